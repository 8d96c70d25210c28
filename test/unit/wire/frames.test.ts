import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../base/bytes.ts';
import { decodeFrames } from '../../../wire/frame-reader.ts';
import { type AckFrame, encodeFrame, type Frame, frameLength, isAckEliciting } from '../../../wire/frames.ts';
import { ipEndpoint } from '../../../wire/ip-endpoint.ts';
import { ByteWriter } from '../../../wire/writer.ts';

const LIMIT = 2 ** 53;
const v4 = ipEndpoint(Uint8Array.of(192, 0, 2, 1), 4440);
const v6 = ipEndpoint(fromHex('20010db8000000000000000000000001'), 1);

function encoded(...frames: readonly Frame[]): Uint8Array {
  let length = 0;
  for (const frame of frames) length += frameLength(frame);
  const writer = new ByteWriter(new Uint8Array(length));
  for (const frame of frames) encodeFrame(writer, frame);
  expect(writer.remaining).toBe(0);
  return writer.buffer;
}

function decoded(hex: string): Frame[] {
  const frames = decodeFrames(fromHex(hex.replaceAll(' ', '')));
  if (!Array.isArray(frames)) throw new Error(frames.reason);
  return frames;
}

function reasonOf(hex: string): string | undefined {
  const frames = decodeFrames(fromHex(hex.replaceAll(' ', '')));
  return Array.isArray(frames) ? undefined : frames.reason;
}

const samples: readonly Frame[] = [
  { kind: 'padding', length: 3 },
  { kind: 'ping' },
  { kind: 'ack', delayUs: 0, ranges: [{ smallest: 0, largest: 0 }] },
  {
    kind: 'ack',
    delayUs: 25_000,
    ranges: [
      { smallest: 90, largest: LIMIT - 1 },
      { smallest: 0, largest: 88 },
    ],
  },
  { kind: 'stream-open', stream: 8, sourcePort: 49_152, destinationPort: 80, priority: 2 },
  { kind: 'stream-reset', stream: 1, code: 10, finalSize: LIMIT - 1 },
  { kind: 'stream-stop', stream: 0, code: 0 },
  { kind: 'stream-data', stream: 4, offset: 0, fin: false, data: Uint8Array.of(1, 2) },
  { kind: 'stream-data', stream: 4, offset: LIMIT - 3, fin: true, data: Uint8Array.of(1, 2) },
  { kind: 'stream-data', stream: 4, offset: 70_000, fin: true, data: new Uint8Array(0) },
  { kind: 'max-data', limit: LIMIT - 1 },
  { kind: 'max-stream-data', stream: 63, limit: 64 },
  { kind: 'max-streams', limit: 0 },
  { kind: 'datagram', sourcePort: 0, destinationPort: 65_535, data: new Uint8Array(64).fill(7) },
  { kind: 'path-challenge', token: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
  { kind: 'path-response', token: Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1) },
  { kind: 'close', code: 0, reason: '' },
  { kind: 'close', code: 3, reason: 'Ende – 終わり' },
  { kind: 'handshake', message: new Uint8Array(130).fill(1) },
  { kind: 'handshake', message: new Uint8Array(750).fill(2) },
  { kind: 'candidates', sequence: 1, endpoints: [] },
  { kind: 'candidates', sequence: 2, endpoints: Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? v4 : v6)) },
  { kind: 'observed-address', sequence: 3, endpoint: v6 },
  { kind: 'optional', type: 0xc0, data: new Uint8Array(0) },
  { kind: 'optional', type: 0xff, data: Uint8Array.of(9) },
];

describe('a frame', () => {
  it.each(samples.map((frame) => [frame.kind, frame] as const))('%s reads back as it was written', (_kind, frame) => {
    const bytes = encoded(frame);
    expect(decodeFrames(bytes)).toEqual([frame]);
  });

  it('stands among others, in their order', () => {
    // Two runs of padding would read as one.
    const frames = samples.filter((frame) => frame.kind !== 'padding');
    expect(decodeFrames(encoded(...frames))).toEqual(frames);
    expect(decodeFrames(encoded({ kind: 'ping' }, samples[0]!, { kind: 'ping' }))).toEqual([
      { kind: 'ping' },
      { kind: 'padding', length: 3 },
      { kind: 'ping' },
    ]);
  });

  it('asks for an ACK unless it is PADDING, ACK or CLOSE', () => {
    const silent = new Set(samples.filter((frame) => !isAckEliciting(frame)).map((frame) => frame.kind));
    expect([...silent]).toEqual(['padding', 'ack', 'close']);
  });

  it('holds views of the packet, and copies of what outlives it', () => {
    const bytes = encoded(samples[13]!, samples[22]!);
    const [datagram, observed] = decodeFrames(bytes) as [
      Frame & { kind: 'datagram' },
      Frame & { kind: 'observed-address' },
    ];
    expect(datagram.data.buffer).toBe(bytes.buffer);
    bytes.fill(0);
    expect(observed.endpoint).toEqual(v6);
  });

  it.each([
    ['no frame at all', '', 'truncated'],
    ['the type kept for ECN counts', '03 00 00 00 00', 'unknown-type'],
    ['an unknown type', '07', 'unknown-type'],
    ['an unknown type after a good frame', '01 bf', 'unknown-type'],
    ['a type alone', '02', 'truncated'],
    ['a number not in its shortest form', '10 40 01', 'not-shortest-form'],
    ['a number of 2^53', '10 c0 20 00 00 00 00 00 00', 'out-of-range'],
    ['a priority of 3', '04 00 00 01 00 02 03', 'out-of-range'],
    ['stream data that breaks off', '08 04 00 03 aa bb', 'truncated'],
    ['stream data that ends at 2^53', '08 04 c0 1f ff ff ff ff ff ff 01 aa', 'out-of-range'],
    ['a datagram longer than the packet', '18 00 01 00 02 05 00', 'truncated'],
    ['a path token of seven bytes', '1a 01 02 03 04 05 06 07', 'truncated'],
    ['a reason of 257 bytes', `1c 00 41 01 ${'61'.repeat(257)}`, 'too-long'],
    ['a reason that is not UTF-8', '1c 00 02 c3 28', 'bad-text'],
    ['a handshake message of 129 bytes', `20 40 81 ${'00'.repeat(129)}`, 'out-of-range'],
    ['a handshake message of 751 bytes', `20 42 ef ${'00'.repeat(751)}`, 'too-long'],
    ['17 candidates', `21 00 11 ${'04c00002011158'.repeat(17)}`, 'too-many'],
    ['a candidate of family 5', '21 00 01 05 c0 00 02 01 11 58', 'unknown-type'],
    ['a v4-mapped candidate', '22 00 06 00000000000000000000ffffc0000201 1158', 'not-shortest-form'],
    ['an optional frame that breaks off', 'c5 02 00', 'truncated'],
    ['an optional frame without a length', 'ff', 'truncated'],
  ])('%s is refused', (_what, hex, reason) => {
    expect(reasonOf(hex)).toBe(reason);
  });

  it.each<[string, Frame]>([
    ['padding without a length', { kind: 'padding', length: 0 }],
    ['an ACK without a range', { kind: 'ack', delayUs: 0, ranges: [] }],
    [
      'ranges that touch',
      {
        kind: 'ack',
        delayUs: 0,
        ranges: [
          { smallest: 5, largest: 9 },
          { smallest: 1, largest: 4 },
        ],
      },
    ],
    [
      'ranges that ascend',
      {
        kind: 'ack',
        delayUs: 0,
        ranges: [
          { smallest: 1, largest: 2 },
          { smallest: 5, largest: 9 },
        ],
      },
    ],
    ['an empty range', { kind: 'ack', delayUs: 0, ranges: [{ smallest: 9, largest: 8 }] }],
    ['a stream past 2^53', { kind: 'stream-data', stream: 0, offset: LIMIT - 1, fin: false, data: Uint8Array.of(1) }],
    ['a short path token', { kind: 'path-response', token: new Uint8Array(7) }],
    ['a long reason', { kind: 'close', code: 1, reason: 'ä'.repeat(129) }],
    ['a short handshake message', { kind: 'handshake', message: new Uint8Array(129) }],
    ['too many candidates', { kind: 'candidates', sequence: 0, endpoints: Array.from({ length: 17 }, () => v4) }],
    ['an optional frame of an assigned type', { kind: 'optional', type: 0x22, data: new Uint8Array(0) }],
  ])('%s is never written', (_what, frame) => {
    expect(() => encodeFrame(new ByteWriter(new Uint8Array(1024)), frame)).toThrow();
  });
});

describe('an ACK', () => {
  function ranges(hex: string): AckFrame['ranges'] {
    const [frame] = decoded(hex) as [AckFrame];
    return frame.ranges;
  }

  it('with one range acknowledges from largest − first range to largest (RFC 9000 §19.3.1)', () => {
    expect(ranges('02 14 00 00 05')).toEqual([{ smallest: 15, largest: 20 }]);
  });

  it('reads a further range two below the gap: largest = previous smallest − gap − 2 (RFC 9000 §19.3.1)', () => {
    // Largest 20, first range 5 → 15–20; gap 3 leaves out 11–14; range 2 → 8–10; gap 0 leaves out 7; range 6 → 0–6.
    expect(ranges('02 14 00 02 05 03 02 00 06')).toEqual([
      { smallest: 15, largest: 20 },
      { smallest: 8, largest: 10 },
      { smallest: 0, largest: 6 },
    ]);
  });

  it.each([
    ['a first range below packet 0', '02 05 00 00 06'],
    ['a gap below packet 0', '02 05 00 01 05 00 00'],
    ['a gap that ends at −1', '02 05 00 01 04 00 00'],
    ['a further range below packet 0', '02 05 00 01 00 01 03'],
  ])('with %s is refused', (_what, hex) => {
    expect(reasonOf(hex)).toBe('out-of-range');
  });

  it('that breaks off in its ranges is truncated', () => {
    expect(reasonOf('02 14 00 02 05 03')).toBe('truncated');
  });

  it('holds at most 256 ranges', () => {
    const many = (count: number): AckFrame => ({
      kind: 'ack',
      delayUs: 1,
      ranges: Array.from({ length: count }, (_, i) => ({ smallest: 1000 - 2 * i, largest: 1000 - 2 * i })),
    });
    expect(decodeFrames(encoded(many(256)))).toEqual([many(256)]);
    expect(() => encoded(many(257))).toThrow('1 to 256');
    expect(reasonOf(`02 43e8 00 4100 00 ${'0000'.repeat(256)}`)).toBe('too-many');
    expect(toHex(encoded(many(256))).startsWith('0243e80140ff00')).toBe(true);
  });
});
