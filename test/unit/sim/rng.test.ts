import { describe, expect, it } from 'vitest';
import { SeededRng } from '../../../sim/rng.ts';

function words(rng: SeededRng, count: number): number[] {
  return Array.from({ length: count }, () => rng.u32());
}

describe('the seeded generator', () => {
  it('gives the same numbers for the same seed and others for another', () => {
    expect(words(new SeededRng(7), 100)).toEqual(words(new SeededRng(7), 100));
    expect(words(new SeededRng(7), 100)).not.toEqual(words(new SeededRng(8), 100));
  });

  it('keeps its first numbers for good, so that a seed written down stays worth something', () => {
    expect(words(new SeededRng(1), 4)).toMatchInlineSnapshot(`
      [
        309862258,
        1359261484,
        2633108579,
        1641162815,
      ]
    `);
  });

  it('tells seeds apart in their upper 21 bits and takes the largest', () => {
    const seeds = [0, 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52, Number.MAX_SAFE_INTEGER];
    const firsts = new Set(seeds.map((seed) => words(new SeededRng(seed), 2).join()));
    expect(firsts.size).toBe(seeds.length);
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53])('refuses the seed %s', (seed) => {
    expect(() => new SeededRng(seed)).toThrow('seed');
  });

  it('forks by seed and label alone, whatever has been drawn before', () => {
    const fresh = new SeededRng(7);
    const used = new SeededRng(7);
    words(used, 1_000);
    expect(words(used.fork('loss'), 10)).toEqual(words(fresh.fork('loss'), 10));
    expect(words(fresh.fork('loss'), 10)).not.toEqual(words(fresh.fork('jitter'), 10));
    expect(words(fresh.fork(''), 10)).not.toEqual(words(new SeededRng(7), 10));
    expect(words(new SeededRng(8).fork('loss'), 10)).not.toEqual(words(fresh.fork('loss'), 10));
  });

  it('gives ten thousand labels ten thousand streams', () => {
    const root = new SeededRng(3);
    const firsts = new Set(Array.from({ length: 10_000 }, (_, i) => words(root.fork(`link ${i}`), 2).join()));
    expect(firsts.size).toBe(10_000);
  });

  it('fills any length, big-endian word by word', () => {
    const [first, second] = words(new SeededRng(5), 2) as [number, number];
    const bytes = new Uint8Array(7);
    new SeededRng(5).fill(bytes);
    const view = new DataView(bytes.buffer);
    expect(view.getUint32(0)).toBe(first);
    expect(view.getUint16(4)).toBe(second >>> 16);
    expect(bytes[6]).toBe((second >>> 8) & 0xff);
  });

  it('spreads evenly', () => {
    const rng = new SeededRng(11);
    const counts = new Array<number>(10).fill(0);
    let sum = 0;
    for (let i = 0; i < 100_000; i++) {
      counts[rng.below(10)]!++;
      sum += rng.float();
    }
    // Six standard deviations of a binomial of 100,000 and 1/10.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(6 * Math.sqrt(9_000));
    expect(sum / 100_000).toBeCloseTo(0.5, 2);
  });

  it('never hits where the chance is 0 and always where it is 1', () => {
    const rng = new SeededRng(12);
    for (let i = 0; i < 10_000; i++) {
      expect(rng.chance(0)).toBe(false);
      expect(rng.chance(1)).toBe(true);
    }
  });

  it('draws exponential spans around their mean', () => {
    const rng = new SeededRng(13);
    let sum = 0;
    for (let i = 0; i < 100_000; i++) sum += rng.exponential(50);
    expect(Math.abs(sum / 100_000 - 50)).toBeLessThan(1);
  });

  it('picks every item', () => {
    const rng = new SeededRng(14);
    expect(new Set(Array.from({ length: 100 }, () => rng.pick(['a', 'b', 'c'])))).toEqual(new Set(['a', 'b', 'c']));
  });
});
