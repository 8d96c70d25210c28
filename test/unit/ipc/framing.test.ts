import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat } from '../../../base/bytes.ts';
import { FrameReader, frameMessage } from '../../../ipc/framing.ts';

const SEED = 20_260_801;

/** All messages in these chunks, and the fault that ended them. */
function read(chunks: readonly Uint8Array[]): {
  messages: Uint8Array[];
  fault: string | undefined;
  isPartial: boolean;
} {
  const reader = new FrameReader();
  const messages: Uint8Array[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (;;) {
      const next = reader.next();
      if (next === undefined) break;
      if (typeof next === 'string') return { messages, fault: next, isPartial: reader.isPartial };
      messages.push(next.slice());
    }
  }
  return { messages, fault: undefined, isPartial: reader.isPartial };
}

function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i]!, end));
}

const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 20 });

describe('frames', () => {
  it('are the same messages however the bytes are cut', () => {
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(6_000), { maxLength: 50 }), (messages, cuts) => {
        const bytes = concat(...messages.map(frameMessage));
        expect(read(cutAt(bytes, cuts))).toEqual({ messages, fault: undefined, isPartial: false });
      }),
      { seed: SEED },
    );
  });

  it('are the same byte by byte, up to the longest', () => {
    const messages = [1, 2, 255, 256, 16_384].map((length) => new Uint8Array(length).fill(length));
    const bytes = concat(...messages.map(frameMessage));
    expect(read(Array.from(bytes, (byte) => Uint8Array.of(byte))).messages).toEqual(messages);
  });

  it('inside one chunk are views of it; only one that spans chunks is copied', () => {
    const chunk = concat(frameMessage(Uint8Array.of(1, 2)), frameMessage(Uint8Array.of(3, 4, 5)));
    const reader = new FrameReader();
    reader.push(chunk.subarray(0, 12));
    expect((reader.next() as Uint8Array).buffer).toBe(chunk.buffer);
    expect(reader.next()).toBeUndefined();
    reader.push(chunk.subarray(12));
    const second = reader.next() as Uint8Array;
    expect(second).toEqual(Uint8Array.of(3, 4, 5));
    expect(second.buffer).not.toBe(chunk.buffer);
  });

  it('know whether one has begun', () => {
    const frame = frameMessage(Uint8Array.of(7, 7));
    for (let length = 0; length <= frame.length; length++) {
      expect(read([frame.subarray(0, length)]).isPartial).toBe(length > 0 && length < frame.length);
    }
  });

  it('of length 0, or of more than 16,384, are refused by their length alone, and for ever', () => {
    for (const [hex, fault] of [
      ['00000000', 'empty'],
      ['00004001', 'too-long'],
      ['ffffffff', 'too-long'],
    ] as const) {
      const prefix = Uint8Array.from(Buffer.from(hex, 'hex'));
      const good = frameMessage(Uint8Array.of(9));
      expect(read([concat(good, prefix), good])).toMatchObject({ messages: [Uint8Array.of(9)], fault });
      const reader = new FrameReader();
      reader.push(prefix);
      expect([reader.next(), reader.next()]).toEqual([fault, fault]);
    }
  });
});
