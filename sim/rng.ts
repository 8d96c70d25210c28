import { assert } from '../base/assert.ts';
import type { Rng } from '../base/rng.ts';

/**
 * The simulator's only source of chance: xoshiro128** (Blackman and Vigna), its state filled by SplitMix32. Fast, small and the
 * same on every machine; of no use for anything secret.
 *
 * A fork takes nothing from its parent's stream: it depends on the parent's seed and the label alone. One stream per fault and
 * per host keeps them apart, so that switching a fault off leaves the draws of the others where they were, which is what makes
 * shrinking a failing run possible.
 */
export class SeededRng implements Rng {
  readonly #seed: number;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** A whole number from 0 to 2^53 − 1; all its bits count. */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed) && seed >= 0, 'a seed is a whole number from 0 to 2^53 - 1');
    this.#seed = seed;
    const low = new SplitMix32(seed >>> 0);
    const high = new SplitMix32(Math.floor(seed / 2 ** 32) ^ HIGH_HALF);
    this.#a = (low.next() ^ high.next()) >>> 0;
    this.#b = (low.next() ^ high.next()) >>> 0;
    this.#c = (low.next() ^ high.next()) >>> 0;
    this.#d = (low.next() ^ high.next()) >>> 0;
    // The all-zero state is the one xoshiro never leaves.
    if ((this.#a | this.#b | this.#c | this.#d) === 0) this.#a = 1;
  }

  u32(): number {
    const b = this.#b;
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const shifted = b << 9;
    const c = this.#c ^ this.#a;
    const d = this.#d ^ b;
    this.#b = b ^ c;
    this.#a ^= d;
    this.#c = c ^ shifted;
    this.#d = (d << 11) | (d >>> 21);
    return result;
  }

  fill(bytes: Uint8Array): void {
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) {
      const word = this.u32();
      bytes[at] = word >>> 24;
      bytes[at + 1] = word >>> 16;
      bytes[at + 2] = word >>> 8;
      bytes[at + 3] = word;
    }
    if (at === bytes.length) return;
    for (let word = this.u32(); at < bytes.length; at++, word <<= 8) bytes[at] = word >>> 24;
  }

  /** In [0, 1), a multiple of 2^-53. */
  float(): number {
    const high = this.u32() >>> 5;
    return (high * 2 ** 26 + (this.u32() >>> 6)) / 2 ** 53;
  }

  /** A whole number from 0 to `bound` − 1, for a `bound` from 1 to 2^53. */
  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= 2 ** 53, 'a bound is a whole number from 1 to 2^53');
    return Math.floor(this.float() * bound);
  }

  /** True with that probability, to a resolution of 2^-32. Draws once, even where the answer is certain. */
  chance(probability: number): boolean {
    return this.u32() < probability * 2 ** 32;
  }

  /** Exponentially distributed, at least 0. */
  exponential(mean: number): number {
    return -Math.log(1 - this.float()) * mean;
  }

  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, 'nothing to pick from');
    return items[this.below(items.length)] as T;
  }

  /** An independent stream: the same seed and label give the same one, however much has been drawn from this one. */
  fork(label: string): SeededRng {
    // Two FNV-1a hashes of the label, started from the two halves of the seed; the second also depends on the first.
    let low = FNV_OFFSET ^ (this.#seed >>> 0);
    let high = FNV_OFFSET ^ Math.floor(this.#seed / 2 ** 32) ^ HIGH_HALF;
    for (let i = 0; i < label.length; i++) {
      const code = label.charCodeAt(i);
      low = Math.imul(low ^ code, FNV_PRIME);
      high = Math.imul(high ^ code ^ (low >>> 16), FNV_PRIME);
    }
    return new SeededRng((new SplitMix32(high).next() >>> 11) * 2 ** 32 + new SplitMix32(low).next());
  }
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** Keeps the two halves of a seed from cancelling out where they are equal. */
const HIGH_HALF = 0x5851f42d;

class SplitMix32 {
  #state: number;

  constructor(state: number) {
    this.#state = state;
  }

  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  }
}
