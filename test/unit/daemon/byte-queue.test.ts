import { describe, expect, it } from 'vitest';
import { randomBytes } from '../../../base/rng.ts';
import { ByteQueue } from '../../../daemon/byte-queue.ts';
import { SeededRng } from '../../../sim/rng.ts';

const SEED = 3;

describe('a queue of bytes', () => {
  it(`gives what was put in, in order, however it was cut (seed ${SEED})`, () => {
    const rng = new SeededRng(SEED);
    const queue = new ByteQueue();
    const put: number[] = [];
    const got: number[] = [];
    for (let round = 0; round < 3_000; round++) {
      const data = randomBytes(rng, rng.chance(0.02) ? rng.below(90_000) : rng.below(20));
      queue.append(data);
      put.push(...data);
      data.fill(0);
      while (rng.chance(0.4)) {
        const first = queue.peek();
        if (first === undefined) break;
        const count = rng.chance(0.5) ? first.length : rng.below(first.length + 1);
        got.push(...first.subarray(0, count));
        queue.drop(count);
      }
      expect(queue.length).toBe(put.length - got.length);
    }
    for (let first = queue.peek(); first !== undefined; first = queue.peek()) {
      got.push(...first);
      queue.drop(first.length);
    }
    expect(Buffer.compare(Buffer.from(got), Buffer.from(put))).toBe(0);
  });

  it('holds sixteen thousand single bytes in a few pieces', () => {
    const queue = new ByteQueue();
    for (let i = 0; i < 16_384; i++) queue.append(Uint8Array.of(i));
    let pieces = 0;
    let memory = 0;
    for (let first = queue.peek(); first !== undefined; first = queue.peek()) {
      pieces += 1;
      memory += first.buffer.byteLength;
      queue.drop(first.length);
    }
    expect(pieces).toBeLessThan(12);
    expect(memory).toBeLessThanOrEqual(2 * 16_384);
  });

  it('leaves what it gave as it was', () => {
    const queue = new ByteQueue();
    queue.append(Uint8Array.of(1, 2, 3));
    const first = queue.peek()!;
    queue.drop(3);
    queue.append(new Uint8Array(1_000).fill(9));
    expect([...first]).toEqual([1, 2, 3]);
  });
});
