import { describe, expect, it } from 'vitest';
import { SeededRng } from '../../../../sim/rng.ts';
import { ChunkPool } from '../../../../transport/streams/chunk-pool.ts';
import { CHUNK_BYTES_MAX, COPIED_BELOW } from '../../../../transport/streams/constants.ts';
import { SendBuffer } from '../../../../transport/streams/send-buffer.ts';
import { ByteWriter } from '../../../../wire/writer.ts';
import { isPattern, KIB, pattern } from './lab.ts';

function bytesOf(buffer: SendBuffer, offset: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  buffer.copyTo(new ByteWriter(out), offset, length);
  return out;
}

function written(...lengths: number[]): SendBuffer {
  const buffer = new SendBuffer(new ChunkPool());
  for (const length of lengths) buffer.append(pattern(buffer.written, length));
  return buffer;
}

describe('a send buffer', () => {
  it('gives any stretch of what was written, across pieces of every size', () => {
    const lengths = [1, 2, 3, COPIED_BELOW - 1, COPIED_BELOW, 7, 3 * COPIED_BELOW, 1, 1, 20 * KIB, 100];
    const buffer = written(...lengths);
    const total = lengths.reduce((a, b) => a + b);
    expect(buffer.length).toBe(total);
    expect(isPattern(bytesOf(buffer, 0, total), 0)).toBe(true);
    const rng = new SeededRng(1);
    for (let i = 0; i < 500; i++) {
      const offset = rng.below(total);
      const length = rng.below(total - offset) + 1;
      expect(isPattern(bytesOf(buffer, offset, length), offset)).toBe(true);
    }
  });

  it('makes room for small pieces between large ones by what they hold, not by all that waits', () => {
    let taken = 0;
    const pool = new ChunkPool();
    pool.allocate = (bytes) => {
      taken += bytes;
      return new Uint8Array(bytes);
    };
    const buffer = new SendBuffer(pool);
    for (let i = 0; i < 64; i++) {
      buffer.append(pattern(buffer.written, COPIED_BELOW));
      buffer.append(pattern(buffer.written, 1));
    }
    expect(taken).toBeLessThan(8 * KIB);
    expect(isPattern(bytesOf(buffer, 0, buffer.written), 0)).toBe(true);
  });

  it('copies a small piece and keeps a large one', () => {
    const buffer = new SendBuffer(new ChunkPool());
    const small = pattern(0, 10);
    const large = pattern(10, COPIED_BELOW);
    buffer.append(small);
    buffer.append(large);
    small.fill(0);
    large.fill(0);
    expect(bytesOf(buffer, 0, 10)).toEqual(pattern(0, 10));
    expect(bytesOf(buffer, 10, COPIED_BELOW)).toEqual(new Uint8Array(COPIED_BELOW));
  });

  it('copies a large piece too where its writer uses it again', () => {
    const buffer = new SendBuffer(new ChunkPool());
    const length = 2 * CHUNK_BYTES_MAX + 100;
    const large = pattern(10, length);
    buffer.append(pattern(0, 10));
    buffer.append(large, false);
    large.fill(0);
    expect(bytesOf(buffer, 0, 10 + length)).toEqual(pattern(0, 10 + length));
  });

  it('gives the memory of copies back once all that lies in it has arrived, and tells of the pieces that it kept', () => {
    const pool = new ChunkPool();
    const buffer = new SendBuffer(pool);
    const kept = pattern(2 * CHUNK_BYTES_MAX, COPIED_BELOW);
    buffer.append(pattern(0, 2 * CHUNK_BYTES_MAX), false);
    buffer.append(kept);
    buffer.markSent(buffer.written);
    const done: Uint8Array[] = [];
    const acknowledge = (start: number, end: number): void =>
      buffer.onAcknowledged(start, end, (piece) => done.push(piece));
    acknowledge(CHUNK_BYTES_MAX, 2 * CHUNK_BYTES_MAX);
    acknowledge(0, CHUNK_BYTES_MAX - 1);
    expect(pool.kept).toBe(0);
    acknowledge(CHUNK_BYTES_MAX - 1, CHUNK_BYTES_MAX);
    expect(pool.kept).toBe(2);
    expect(done).toEqual([]);
    acknowledge(2 * CHUNK_BYTES_MAX, buffer.written);
    expect(pool.kept).toBe(2);
    expect(done).toEqual([kept]);
  });

  it('keeps many tiny pieces in few chunks', () => {
    const buffer = new SendBuffer(new ChunkPool());
    for (let i = 0; i < 100_000; i++) buffer.append(pattern(i, 1));
    expect(isPattern(bytesOf(buffer, 0, 100_000), 0)).toBe(true);
    buffer.markSent(100_000);
    buffer.onAcknowledged(0, 99_999);
    expect(bytesOf(buffer, 99_999, 1)).toEqual(pattern(99_999, 1));
  });

  it('forgets what is acknowledged, in any order', () => {
    const buffer = written(100);
    buffer.markSent(100);
    buffer.onAcknowledged(50, 70);
    expect([buffer.acknowledged, buffer.length]).toEqual([0, 100]);
    buffer.onAcknowledged(0, 40);
    expect([buffer.acknowledged, buffer.length]).toEqual([40, 60]);
    buffer.onAcknowledged(30, 60);
    expect([buffer.acknowledged, buffer.length]).toEqual([70, 30]);
    buffer.onAcknowledged(60, 70);
    expect(buffer.acknowledged).toBe(70);
    buffer.onAcknowledged(70, 100);
    expect([buffer.acknowledged, buffer.length]).toEqual([100, 0]);
  });

  it('absorbs every range that an acknowledgement passes over', () => {
    const buffer = written(100);
    buffer.markSent(100);
    for (const start of [10, 30, 50, 90]) buffer.onAcknowledged(start, start + 5);
    buffer.onAcknowledged(0, 52);
    expect(buffer.acknowledged).toBe(55);
  });

  it('counts as lost what was lost and has not arrived in another way', () => {
    const buffer = written(100);
    buffer.markSent(100);
    buffer.onAcknowledged(20, 30);
    buffer.onLost(10, 40);
    expect([buffer.hasLost, buffer.lostStart, buffer.lostEnd]).toEqual([true, 10, 20]);
    buffer.markSentAgain(10, 20);
    expect([buffer.lostStart, buffer.lostEnd]).toEqual([30, 40]);
    // The ACK was only late.
    buffer.onAcknowledged(30, 40);
    expect(buffer.hasLost).toBe(false);
    buffer.onLost(0, 5);
    buffer.onAcknowledged(0, 10);
    expect([buffer.hasLost, buffer.acknowledged]).toEqual([false, 10]);
    buffer.onLost(0, 10);
    expect(buffer.hasLost).toBe(false);
  });

  it('begins anew after everything was acknowledged', () => {
    const buffer = written(5_000);
    buffer.markSent(5_000);
    buffer.onAcknowledged(0, 5_000);
    buffer.append(pattern(5_000, 10));
    expect([buffer.acknowledged, buffer.sent, buffer.written]).toEqual([5_000, 5_000, 5_010]);
    expect(bytesOf(buffer, 5_000, 10)).toEqual(pattern(5_000, 10));
  });

  it('does not give bytes that it no longer has, or not yet', () => {
    const buffer = written(100);
    buffer.markSent(100);
    buffer.onAcknowledged(0, 50);
    expect(() => bytesOf(buffer, 49, 2)).toThrow('only kept bytes are read');
    expect(() => bytesOf(buffer, 99, 2)).toThrow('only kept bytes are read');
  });
});
