import { Buffer } from 'node:buffer';
import { Decoder } from 'cbor-x/decode-no-eval';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../base/bytes.ts';
import {
  CONTROL_BYTES_MAX,
  CONTROL_DEPTH_MAX,
  type ControlValue,
  controlLength,
  decodeControl,
  encodeControl,
} from '../../../wire/cbor.ts';
import type { DecodeReason } from '../../../wire/decode-error.ts';

const LIMIT = 2 ** 53;

function nested(depth: number): ControlValue {
  let value: ControlValue = 0;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : new Map([['k', value]]);
  return value;
}

function valueIn(hex: string): ControlValue {
  const control = decodeControl(fromHex(hex.replaceAll(' ', '')));
  if (control.kind === 'decode-error') throw new Error(control.reason);
  return control.value;
}

describe('a control message', () => {
  // RFC 8949 Appendix A, as far as the closed set of values reaches.
  it.each<[string, ControlValue]>([
    ['00', 0],
    ['17', 23],
    ['1818', 24],
    ['1903e8', 1000],
    ['1a000f4240', 1_000_000],
    ['1b000000e8d4a51000', 1_000_000_000_000],
    ['20', -1],
    ['3863', -100],
    ['3903e7', -1000],
    ['f4', false],
    ['f5', true],
    ['f6', null],
    ['40', new Uint8Array(0)],
    ['4401020304', Uint8Array.of(1, 2, 3, 4)],
    ['60', ''],
    ['6449455446', 'IETF'],
    ['62c3bc', 'ü'],
    ['64f0908591', '\u{10151}'],
    ['80', []],
    ['8301820203820405', [1, [2, 3], [4, 5]]],
    ['a0', new Map()],
    ['a26161016162820203', new Map<string, ControlValue>([['a', 1], ['b', [2, 3]]])], // biome-ignore format: one line
    // The widest integers.
    ['1b001fffffffffffff', LIMIT - 1],
    ['3b001ffffffffffffe', 1 - LIMIT],
    ['1affffffff', 2 ** 32 - 1],
    ['3affffffff', -(2 ** 32)],
    ['1b0000000100000000', 2 ** 32],
    ['3b0000000100000000', -(2 ** 32) - 1],
  ])('%s is that value, both ways', (hex, value) => {
    expect(valueIn(hex)).toEqual(value);
    expect(toHex(encodeControl(value))).toBe(hex);
  });

  it.each<[string, string, DecodeReason]>([
    ['of nothing', '', 'truncated'],
    ['that breaks off in an integer', '1a0000', 'truncated'],
    ['that breaks off in bytes', '43 0102', 'truncated'],
    ['that breaks off in an array', '82 00', 'truncated'],
    ['that breaks off after a key', 'a1 6161', 'truncated'],
    ['that breaks off before a key', 'a2 6161 00', 'truncated'],
    ['with an array of 2^53 − 1 announced', '9b001fffffffffffff 00', 'truncated'],
    ['with a map of 2^32 − 1 announced', 'baffffffff', 'truncated'],
    ['with bytes after it', '00 00', 'trailing-bytes'],
    ['with an integer of one byte too many', '1817', 'not-shortest-form'],
    ['with an integer of two bytes for one', '1900ff', 'not-shortest-form'],
    ['with an integer of four bytes for two', '1a0000ffff', 'not-shortest-form'],
    ['with an integer of eight bytes for four', '1b00000000ffffffff', 'not-shortest-form'],
    ['with a length not in its shortest form', '7803 616263', 'not-shortest-form'],
    ['with a map count not in its shortest form', 'b80000', 'not-shortest-form'],
    ['with the integer 2^53', '1b0020000000000000', 'out-of-range'],
    ['with the integer −2^53', '3b001fffffffffffff', 'out-of-range'],
    ['with 2^64 − 1', '1bffffffffffffffff', 'out-of-range'],
    ['with bytes of indefinite length', '5f 4101 ff', 'forbidden-item'],
    ['with text of indefinite length', '7f 6161 ff', 'forbidden-item'],
    ['with an array of indefinite length', '9f ff', 'forbidden-item'],
    ['with a map of indefinite length', 'bf ff', 'forbidden-item'],
    ['with a reserved length', '1c', 'forbidden-item'],
    ['with a date tag', 'c1 00', 'forbidden-item'],
    ['with a bignum tag', 'c2 49 010000000000000000', 'forbidden-item'],
    ['with the object tag that libraries build errors from', 'd81b 82 65 4572726f72 6161', 'forbidden-item'],
    ['with the self-describing tag', 'd9d9f7 00', 'forbidden-item'],
    ['with undefined', 'f7', 'forbidden-item'],
    ['with a simple value', 'f0', 'forbidden-item'],
    ['with a simple value of two bytes', 'f8ff', 'forbidden-item'],
    ['with a half-precision float', 'f90000', 'forbidden-item'],
    ['with a float', 'fb3ff199999999999a', 'forbidden-item'],
    ['with a break alone', 'ff', 'forbidden-item'],
    ['with a number for a key', 'a1 00 00', 'forbidden-item'],
    ['with bytes for a key', 'a1 4161 00', 'forbidden-item'],
    ['with an array for a key', 'a1 80 00', 'forbidden-item'],
    ['with a key twice', 'a2 6161 00 6161 01', 'duplicate-key'],
    ['with keys out of order', 'a2 6162 00 6161 00', 'not-ascending'],
    ['with a longer key before a shorter', 'a2 626161 00 6162 00', 'not-ascending'],
    ['with text that is not UTF-8', '61ff', 'bad-text'],
    ['with a surrogate in its text', '63eda080', 'bad-text'],
    ['with a key that is not UTF-8', 'a1 61ff 00', 'bad-text'],
    ['with a byte order mark before its text', '64 efbbbf41', 'bad-text'],
    ['nine arrays deep', `${'81'.repeat(9)}00`, 'too-deep'],
    ['nine maps deep', `${'a16161'.repeat(9)}00`, 'too-deep'],
    ['of 16 KiB and a byte', `59 3ffe ${'00'.repeat(16_382)}`, 'too-long'],
  ])('%s is refused', (_what, hex, reason) => {
    const bytes = fromHex(hex.replaceAll(' ', ''));
    expect(decodeControl(bytes)).toEqual({ kind: 'decode-error', reason });
  });

  it('is at most 8 arrays and maps deep', () => {
    const value = nested(CONTROL_DEPTH_MAX);
    const bytes = encodeControl(value);
    expect(decodeControl(bytes)).toEqual({ kind: 'control', value });
    expect(() => encodeControl(nested(CONTROL_DEPTH_MAX + 1))).toThrow('8 deep');
  });

  it('is at most 16 KiB long', () => {
    const value = new Uint8Array(CONTROL_BYTES_MAX - 3).fill(1);
    const bytes = encodeControl(value);
    expect(bytes).toHaveLength(CONTROL_BYTES_MAX);
    expect(decodeControl(bytes)).toEqual({ kind: 'control', value });
    expect(() => encodeControl(new Uint8Array(CONTROL_BYTES_MAX - 2))).toThrow('bytes fit');
  });

  it('is measured without being kept: what was encoded before stays as it was', () => {
    const first = encodeControl(['first', 1]);
    const values: ControlValue[] = [null, -1, 'ä'.repeat(30), new Map([['key', [true, new Uint8Array(300)]]])];
    for (const value of values) expect(controlLength(value)).toBe(encodeControl(value).length);
    expect(first).toEqual(encodeControl(['first', 1]));
    expect(first.buffer.byteLength).toBe(first.length);
  });

  it('has one encoding, whatever order a map was built in', () => {
    const forwards = new Map<string, ControlValue>([
      ['b', 1],
      ['aa', 2],
      ['ä', 3],
    ]);
    const backwards = new Map([...forwards].reverse());
    expect(toHex(encodeControl(forwards))).toBe('a3616201626161' + '0262c3a403');
    expect(encodeControl(backwards)).toEqual(encodeControl(forwards));
  });

  it('orders keys as their bytes do, and not as JavaScript orders their UTF-16 units', () => {
    // U+FF5E is EF BD 9E, U+1F642 F0 9F 99 82; in UTF-16 the latter begins with D83D.
    const keys = ['\uff5e~', '🙂', 'abcd', 'ü~~', '~~'];
    const bytes = encodeControl(new Map(keys.map((key) => [key, 0])));
    expect([...(valueIn(toHex(bytes)) as ReadonlyMap<string, ControlValue>).keys()]).toEqual([
      '~~',
      'abcd',
      'ü~~',
      '\uff5e~',
      '🙂',
    ]);
  });

  it('gives no meaning to a key: __proto__ is one like any other and pollutes nothing', () => {
    const value = new Map<string, ControlValue>([
      ['__proto__', new Map([['polluted', true]])],
      ['constructor', 'x'],
    ]);
    expect(valueIn(toHex(encodeControl(value)))).toEqual(value);
    expect('polluted' in {}).toBe(false);
  });

  it('leaves its source as it was, and outlives it', () => {
    const source = Buffer.from(encodeControl([Uint8Array.of(1, 2, 3), 'text']));
    const control = decodeControl(source);
    expect(Object.keys(source)).toHaveLength(source.length);
    source.fill(0);
    expect(control).toEqual({ kind: 'control', value: [Uint8Array.of(1, 2, 3), 'text'] });
    const bytes = control.kind === 'control' && Array.isArray(control.value) ? control.value[0] : undefined;
    expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
  });

  it('is read again after one that was refused', () => {
    expect(decodeControl(fromHex('82')).kind).toBe('decode-error');
    expect(valueIn('82 01 02')).toEqual([1, 2]);
  });

  it.each([1.5, Number.NaN, Number.POSITIVE_INFINITY, LIMIT])('never carries %d', (value) => {
    expect(() => encodeControl(value)).toThrow('a whole one');
  });

  it('writes text as well-formed UTF-8 without a signature, so that it can be read', () => {
    const bytes = encodeControl(['\ufeff\ufeffsigned', 'lone \ud800', 'inside \ufeff']);
    expect(decodeControl(bytes)).toEqual({ kind: 'control', value: ['signed', 'lone \ufffd', 'inside \ufeff'] });
  });
});

describe('cbor-x, a library of somebody else’s', () => {
  const key = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((text) => !text.startsWith('\ufeff'));
  const { value } = fc.letrec<{ value: ControlValue; list: ControlValue; map: ControlValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', maxDepth: CONTROL_DEPTH_MAX - 1 },
      fc.constantFrom(null, true, false),
      fc.maxSafeInteger().map((whole) => whole + 0),
      fc.oneof(
        key,
        fc.integer({ min: 20, max: 70 }).map((length) => 'ü'.repeat(length)),
      ),
      fc.uint8Array({ maxLength: 300 }),
      tie('list'),
      tie('map'),
    ),
    list: fc.array(tie('value'), { maxLength: 30 }),
    map: fc
      .uniqueArray(fc.tuple(key, tie('value')), { selector: ([name]) => name, maxLength: 30 })
      .map((all) => new Map(all)),
  }));

  /** It gives every integer of eight bytes as a bigint. */
  const plain = (item: unknown): unknown => {
    if (typeof item === 'bigint') return Number(item);
    if (Array.isArray(item)) return item.map(plain);
    return item instanceof Map ? new Map([...item].map(([name, inner]) => [name, plain(inner)])) : item;
  };

  it('reads what we write as what it was, and so do we', () => {
    const library = new Decoder({ mapsAsObjects: false, useRecords: false, copyBuffers: true });
    fc.assert(
      fc.property(value, (written) => {
        const bytes = encodeControl(written);
        expect(decodeControl(bytes)).toEqual({ kind: 'control', value: written });
        expect(plain(library.decode(bytes.slice()))).toEqual(written);
      }),
    );
  });
});
