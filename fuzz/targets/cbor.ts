import { CONTROL_DEPTH_MAX, type ControlValue, decodeControl, encodeControl } from '../../wire/cbor.ts';
import { ACCEPTED, type FuzzTarget, mustRewrite } from '../target.ts';
import { EDGE_TEXT } from '../texts.ts';

/** One bit from a byte order mark. */
const ALMOST_SIGNED_TEXT = `\ufefe${'x'.repeat(80)}`;

function corpus(): Uint8Array[] {
  const request = new Map<string, ControlValue>([
    ['id', 7],
    ['verb', 'register'],
    ['name', 'zürich-🙂'],
    ['__proto__', new Map([['polluted', true]])],
    ['endpoints', [Uint8Array.of(4, 192, 0, 2, 1, 0x11, 0x58), new Uint8Array(40).fill(6)]],
    ['expires', 1_790_000_000_000],
    ['offset', -2_000_000_000_000],
    ['none', null],
    ['public', false],
  ]);
  let nested: ControlValue = [];
  for (let i = 0; i < 7; i++) nested = i % 2 === 0 ? new Map([['k', nested]]) : [nested, i];
  let deep: ControlValue = 0;
  for (let i = 0; i < CONTROL_DEPTH_MAX; i++) deep = [deep];
  const widths: ControlValue[] = [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
  const values: ControlValue[] = [
    request,
    nested,
    deep,
    [...widths, ...widths.map((width) => -1 - Math.min(Number(width), 2 ** 53 - 2))],
    // Texts on both sides of where their heads change.
    [3, 23, 24, 64, 255, 256].flatMap((length) => ['a'.repeat(length), 'ü'.repeat(length / 2)]),
    [EDGE_TEXT, ALMOST_SIGNED_TEXT],
    Array.from({ length: 300 }, (_, i) => i),
    new Map(['a', 'b', 'c', 'aa'].map((key) => [key, key])),
    'plain',
    null,
  ];
  return values.map(encodeControl);
}

export const CBOR: FuzzTarget = {
  name: 'cbor',
  corpus,
  check(input) {
    const control = decodeControl(input);
    if (control.kind === 'decode-error') return control.reason;
    mustRewrite(input, encodeControl(control.value));
    return ACCEPTED;
  },
};
