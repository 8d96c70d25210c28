import { describe, expect, it } from 'vitest';
import { concat } from '../../../base/bytes.ts';
import { decodeFrames, FrameReader } from '../../../wire/frame-reader.ts';
import { encodeFrame, type Frame, frameLength } from '../../../wire/frames.ts';
import { ByteWriter } from '../../../wire/writer.ts';

const DATA: Frame = { kind: 'stream-data', stream: 4, offset: 70_000, fin: false, data: Uint8Array.of(1, 2, 3) };
const MORE_DATA: Frame = { kind: 'stream-data', stream: 5, offset: 9, fin: true, data: Uint8Array.of(7) };
const LONG_ACK: Frame = {
  kind: 'ack',
  delayUs: 25,
  ranges: [
    { smallest: 90, largest: 99 },
    { smallest: 70, largest: 80 },
    { smallest: 3, largest: 5 },
  ],
};
const SHORT_ACK: Frame = { kind: 'ack', delayUs: 7, ranges: [{ smallest: 1, largest: 2 }] };

function encoded(...frames: readonly Frame[]): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(frames.reduce((sum, frame) => sum + frameLength(frame), 0)));
  for (const frame of frames) encodeFrame(writer, frame);
  return writer.buffer;
}

function reading(bytes: Uint8Array): FrameReader {
  const reader = new FrameReader();
  expect(reader.load(bytes, 0, bytes.length)).toBeUndefined();
  return reader;
}

/** What it gives, as it is at the time. */
function rest(reader: FrameReader): Frame[] {
  const frames: Frame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
    frames.push(...(decodeFrames(encoded(frame)) as Frame[]));
  }
  return frames;
}

describe('a frame reader', () => {
  it('gives the frames between two places, in their order, and then no more', () => {
    const frames: Frame[] = [LONG_ACK, { kind: 'ping' }, DATA, { kind: 'padding', length: 4 }];
    const body = encoded(...frames);
    const reader = new FrameReader();
    expect(reader.load(concat(new Uint8Array(16).fill(7), body, new Uint8Array(16)), 16, 16 + body.length)).toBe(
      undefined,
    );
    expect(rest(reader)).toEqual(frames);
    expect(reader.next()).toBeUndefined();
  });

  it('gives none of a packet of which one cannot be read, wherever it stands', () => {
    const unknown = Uint8Array.of(0x07);
    for (const bytes of [
      concat(encoded(DATA), unknown),
      concat(unknown, encoded(DATA)),
      encoded(DATA).subarray(0, 6),
    ]) {
      const reader = new FrameReader();
      expect(reader.load(bytes, 0, bytes.length)).toBe(bytes.length === 6 ? 'truncated' : 'unknown-type');
      expect(reader.next()).toBeUndefined();
    }
    const reader = new FrameReader();
    expect(reader.load(encoded(DATA), 3, 3)).toBe('truncated');
    expect(reader.next()).toBeUndefined();
  });

  it('reads the next packet as if there had been no other, a broken one included', () => {
    const reader = reading(encoded(LONG_ACK, DATA));
    reader.next();
    expect(reader.load(Uint8Array.of(0x02, 0xff), 0, 2)).toBe('truncated');
    const bytes = encoded(SHORT_ACK, MORE_DATA);
    expect(reader.load(bytes, 0, bytes.length)).toBeUndefined();
    expect(rest(reader)).toEqual([SHORT_ACK, MORE_DATA]);
  });

  it('writes a frame of a common kind over the one before it', () => {
    const reader = reading(encoded(DATA, LONG_ACK, MORE_DATA, SHORT_ACK));
    const [data, ack] = [reader.next(), reader.next()];
    expect(reader.next()).toBe(data);
    expect(reader.next()).toBe(ack);
    expect(ack).toEqual(SHORT_ACK);
  });

  it('shows the data of a frame where it stands, without a copy', () => {
    const bytes = encoded(DATA);
    const frame = reading(bytes).next() as typeof DATA;
    expect(frame.data).toEqual(DATA.data);
    expect(frame.data.buffer).toBe(bytes.buffer);
  });
});

describe('frames that were decoded', () => {
  it('stay as they are when others are', () => {
    const first = decodeFrames(encoded(DATA, LONG_ACK, MORE_DATA, SHORT_ACK));
    decodeFrames(encoded(MORE_DATA, SHORT_ACK));
    expect(first).toEqual([DATA, LONG_ACK, MORE_DATA, SHORT_ACK]);
  });
});
