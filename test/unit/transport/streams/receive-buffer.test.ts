import { describe, expect, it } from 'vitest';
import { concat, EMPTY, equal } from '../../../../base/bytes.ts';
import { SeededRng } from '../../../../sim/rng.ts';
import { CHUNKS_KEPT_MAX, ChunkPool } from '../../../../transport/streams/chunk-pool.ts';
import { CHUNK_BYTES_MAX, OUT_OF_ORDER_RANGES_MAX } from '../../../../transport/streams/constants.ts';
import { ReceiveBuffer } from '../../../../transport/streams/receive-buffer.ts';
import { KIB, MIB, pattern } from './lab.ts';

function readAll(buffer: ReceiveBuffer): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let part = buffer.read(); part !== undefined; part = buffer.read()) parts.push(part);
  return concat(...parts);
}

describe('a receive buffer', () => {
  it('gives bytes in order, whatever order they come in', () => {
    const rng = new SeededRng(2);
    for (let round = 0; round < 100; round++) {
      const total = 1 + rng.below(100_000);
      const size = 1 + rng.below(3_000);
      const offsets = Array.from({ length: Math.ceil(total / size) }, (_, i) => i * size);
      const buffer = new ReceiveBuffer(new ChunkPool());
      const got: Uint8Array[] = [];
      // Shuffled within a stretch, so that the ranges stay within their bound; some come twice, some overlap their neighbours.
      while (offsets.length > 0) {
        const [offset] = offsets.splice(rng.below(Math.min(offsets.length, 100)), 1) as [number];
        if (rng.chance(0.1)) offsets.splice(rng.below(offsets.length + 1), 0, offset);
        const start = Math.max(0, offset - rng.below(size));
        expect(buffer.receive(start, pattern(start, Math.min(total, offset + size) - start))).toBe(true);
        if (rng.chance(0.3)) got.push(buffer.read() ?? EMPTY);
        if (rng.chance(0.1)) got.push(readAll(buffer));
      }
      got.push(readAll(buffer));
      expect(equal(concat(...got), pattern(0, total))).toBe(true);
      expect([buffer.memory, buffer.rangeCount, buffer.taken, buffer.ready]).toEqual([0, 0, total, total]);
    }
  });

  it('hands out large chunks to a reader that comes seldom', () => {
    const buffer = new ReceiveBuffer(new ChunkPool());
    for (let offset = 0; offset < 300 * 1_000; offset += 1_000) buffer.receive(offset, pattern(offset, 1_000));
    const lengths: number[] = [];
    for (let part = buffer.read(); part !== undefined; part = buffer.read()) lengths.push(part.length);
    expect(lengths.length).toBeLessThan(20);
    expect(Math.max(...lengths)).toBe(CHUNK_BYTES_MAX);
    // And next time they are large from the start.
    for (let offset = 300_000; offset < 332_000; offset += 1_000) buffer.receive(offset, pattern(offset, 1_000));
    expect(buffer.read()).toEqual(pattern(300_000, 32_000));
  });

  it('never writes again what it has handed out', () => {
    const buffer = new ReceiveBuffer(new ChunkPool());
    buffer.receive(0, pattern(0, 100));
    const first = buffer.read()!;
    buffer.receive(0, new Uint8Array(150).fill(1));
    buffer.receive(50, new Uint8Array(100).fill(2));
    expect(first).toEqual(pattern(0, 100));
    expect(readAll(buffer)).toEqual(new Uint8Array(50).fill(1));
  });

  it('keeps the byte that came first where two differ', () => {
    const buffer = new ReceiveBuffer(new ChunkPool());
    buffer.receive(10, new Uint8Array(10).fill(1));
    buffer.receive(30, new Uint8Array(10).fill(1));
    buffer.receive(5, new Uint8Array(40).fill(2));
    buffer.receive(0, new Uint8Array(50).fill(3));
    const expected = [...Array(5).fill(3), ...Array(5).fill(2), ...Array(10).fill(1), ...Array(10).fill(2)];
    expected.push(...Array(10).fill(1), ...Array(5).fill(2), ...Array(5).fill(3));
    expect([...readAll(buffer)]).toEqual(expected);
  });

  it('holds 256 ranges and refuses what would be one more', () => {
    const buffer = new ReceiveBuffer(new ChunkPool());
    for (let i = 1; i <= OUT_OF_ORDER_RANGES_MAX; i++) expect(buffer.receive(10 * i, pattern(10 * i, 1))).toBe(true);
    expect(buffer.rangeCount).toBe(256);
    expect(buffer.receive(5, pattern(5, 1))).toBe(false);
    expect(buffer.receive(10_000, pattern(10_000, 1))).toBe(false);
    expect(buffer.rangeCount).toBe(256);
    // What makes none more is taken: in order, a duplicate, nothing at all, or touching a range.
    expect(buffer.receive(20, pattern(20, 1))).toBe(true);
    expect(buffer.receive(5_000, new Uint8Array(0))).toBe(true);
    expect(buffer.receive(21, pattern(21, 9))).toBe(true);
    expect(buffer.rangeCount).toBe(255);
    expect(buffer.receive(0, pattern(0, 15))).toBe(true);
    expect([buffer.ready, buffer.rangeCount]).toEqual([15, 254]);
    expect(buffer.receive(16, pattern(16, 1))).toBe(true);
    expect(buffer.receive(10_000, pattern(10_000, 1))).toBe(true);
    expect(buffer.receive(20_000, pattern(20_000, 1))).toBe(false);
  });

  it('holds no more memory than offsets up to the highest byte, and a chunk at either end', () => {
    const buffer = new ReceiveBuffer(new ChunkPool());
    for (let i = 1; i <= 200; i++) {
      const offset = i * 100_000;
      buffer.receive(offset, pattern(offset, 1));
      expect(buffer.memory).toBeLessThanOrEqual(offset + 2 * CHUNK_BYTES_MAX);
    }
    // Only chunks with something in them have memory at all.
    expect(buffer.memory).toBeLessThanOrEqual(200 * CHUNK_BYTES_MAX);
    buffer.discard(20 * MIB);
    expect([buffer.memory, buffer.taken, buffer.ready]).toEqual([0, 20 * MIB, 20 * MIB]);
  });

  it('costs a small message little memory, even after a large transfer', () => {
    const buffer = new ReceiveBuffer(new ChunkPool());
    buffer.receive(0, pattern(0, 5));
    expect(buffer.memory).toBeLessThanOrEqual(KIB);
    readAll(buffer);
    for (let offset = 5; offset < MIB; offset += 1_000) buffer.receive(offset, pattern(offset, 1_000));
    readAll(buffer);
    const start = buffer.ready;
    buffer.receive(start, pattern(start, 5));
    readAll(buffer);
    expect(buffer.memory).toBe(0);
    buffer.receive(start + 5, pattern(start + 5, 5));
    expect(buffer.memory).toBeLessThanOrEqual(KIB);
  });

  it('works at the upper end of offsets', () => {
    const start = 2 ** 53 - 1 - 3_000;
    const buffer = new ReceiveBuffer(new ChunkPool(), start);
    buffer.receive(start + 1_000, pattern(start + 1_000, 2_000));
    buffer.receive(start, pattern(start, 1_000));
    expect(readAll(buffer)).toEqual(pattern(start, 3_000));
    expect(buffer.ready).toBe(2 ** 53 - 1);
  });
});

describe('the memory of what was read', () => {
  const MAX = CHUNK_BYTES_MAX;

  /** A buffer whose next chunk is as large as they get. */
  function underLoad(pool: ChunkPool): ReceiveBuffer {
    const buffer = new ReceiveBuffer(pool);
    buffer.receive(0, new Uint8Array(MAX));
    buffer.read(true);
    return buffer;
  }

  it('is used again once the reader has given it back, and holds what came anew', () => {
    const pool = new ChunkPool();
    const buffer = underLoad(pool);
    buffer.receive(MAX, new Uint8Array(MAX).fill(1));
    const first = buffer.read(true)!;
    pool.giveBack(first);
    expect(pool.kept).toBe(1);
    buffer.receive(2 * MAX, new Uint8Array(100).fill(2));
    const second = buffer.read(true)!;
    expect(second.buffer).toBe(first.buffer);
    expect(second).toEqual(new Uint8Array(100).fill(2));
    expect(pool.kept).toBe(0);
  });

  it('comes back once, however often it is given back', () => {
    const pool = new ChunkPool();
    const buffer = underLoad(pool);
    buffer.receive(MAX, new Uint8Array(MAX));
    const bytes = buffer.read(true)!;
    for (let i = 0; i < 3; i++) pool.giveBack(bytes);
    pool.giveBack(new Uint8Array(MAX));
    expect(pool.kept).toBe(1);
  });

  it('does not come back from a reader of a part while the rest is to be read', () => {
    const pool = new ChunkPool();
    const buffer = underLoad(pool);
    buffer.receive(MAX, new Uint8Array(100));
    buffer.receive(MAX + 200, new Uint8Array(MAX - 200).fill(3));
    const part = buffer.read(true)!;
    expect(part.length).toBe(100);
    pool.giveBack(part);
    buffer.receive(MAX + 100, new Uint8Array(100).fill(2));
    const rest = buffer.read(true)!;
    expect(rest.slice(0, 101)).toEqual(Uint8Array.from({ length: 101 }, (_, i) => (i < 100 ? 2 : 3)));
    pool.giveBack(rest);
    expect(pool.kept).toBe(0);
  });

  it('is not used again where its reader did not say that it gives it back', () => {
    const pool = new ChunkPool();
    const buffer = underLoad(pool);
    buffer.receive(MAX, new Uint8Array(MAX));
    pool.giveBack(buffer.read()!);
    expect(pool.kept).toBe(0);
  });

  it('is kept up to a bound, and freed beyond it where somebody can', () => {
    const pool = new ChunkPool();
    let freed = 0;
    pool.free = () => {
      freed += 1;
    };
    const lent = Array.from({ length: CHUNKS_KEPT_MAX + 10 }, () => {
      const bytes = pool.take(MAX);
      pool.lend(bytes);
      return bytes;
    });
    for (const bytes of lent) pool.giveBack(bytes);
    expect(pool.kept).toBe(CHUNKS_KEPT_MAX);
    expect(freed).toBe(10);
  });
});
