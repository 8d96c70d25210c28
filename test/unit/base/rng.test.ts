import { describe, expect, it } from 'vitest';
import { type Rng, randomBelow, randomBytes, randomU32 } from '../../../base/rng.ts';
import { SeededRng } from '../../../sim/rng.ts';

/** Gives the listed bytes, then zeros. */
function scripted(...bytes: number[]): Rng {
  let next = 0;
  return {
    fill(out): void {
      for (let i = 0; i < out.length; i++) out[i] = bytes[next++] ?? 0;
    },
  };
}

describe('randomness', () => {
  it('comes as many bytes at a time as are wanted', () => {
    expect([...randomBytes(scripted(1, 2, 3), 3)]).toEqual([1, 2, 3]);
    expect(randomBytes(scripted(), 0)).toHaveLength(0);
  });

  it('as a number is the four bytes in network order, without a sign', () => {
    expect(randomU32(scripted(0x12, 0x34, 0x56, 0x78))).toBe(0x12345678);
    expect(randomU32(scripted(0xff, 0xff, 0xff, 0xff))).toBe(0xffff_ffff);
    expect(randomU32(scripted(0x80))).toBe(0x8000_0000);
  });

  it('below a bound reaches from zero to one less, and no further', () => {
    const most = Array.from({ length: 8 }, () => 0xff);
    for (const bound of [1, 2, 3, 1_000, 5_000_000, 2 ** 32]) {
      expect(randomBelow(scripted(), bound), `${bound}`).toBe(0);
      expect(randomBelow(scripted(...most), bound), `${bound}`).toBe(bound - 1);
    }
  });

  it('below a bound is spread evenly', () => {
    const rng = new SeededRng(7);
    const counts = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 20_000; i++) counts[randomBelow(rng, 10)]! += 1;
    for (const count of counts) expect(Math.abs(count - 2_000), `seed 7: ${counts}`).toBeLessThan(250);
  });
});
