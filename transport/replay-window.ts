import { assert } from '../base/assert.ts';
import type { Instant } from '../base/time.ts';
import { MILLISECOND } from '../base/time.ts';

/**
 * Which packet numbers have been accepted, after RFC 6479: a ring of bits behind the highest one. `check` only reads; `commit`
 * is called after the packet has opened, so nothing unauthenticated ever moves the window.
 *
 * It starts small, for the many idle tunnels, and doubles while traffic runs through the whole of it in less than
 * `GROW_WITHIN`: reordering of a fixed time spans more numbers the faster they come. `trim` makes it small again.
 */
export interface ReplayWindow {
  check(packetNumber: number): boolean;
  commit(packetNumber: number, now: Instant): void;
  /** For a tunnel that has fallen silent: nothing old is under way any more. */
  trim(): void;
  readonly size: number;
}

export const REPLAY_WINDOW_MIN = 2_048;
export const REPLAY_WINDOW_MAX = 65_536;
const GROW_WITHIN = 100 * MILLISECOND;

export class SlidingReplayWindow implements ReplayWindow {
  /** A ring: the bit of number n is n mod size. Set means seen, or too old to tell. */
  #bits: Uint32Array;
  #size: number;
  /** One past the highest number seen. */
  #next = 0;
  /** When and where the window last began to be crossed. */
  #crossingFrom = 0;
  #crossingSince: Instant | undefined;

  constructor(size: number = REPLAY_WINDOW_MIN) {
    assert(size >= 32 && (size & (size - 1)) === 0, 'the window is a power of two');
    this.#size = size;
    this.#bits = new Uint32Array(size / 32);
  }

  get size(): number {
    return this.#size;
  }

  check(packetNumber: number): boolean {
    if (packetNumber >= this.#next) return true;
    if (packetNumber < this.#next - this.#size) return false;
    return !this.#isSet(packetNumber);
  }

  commit(packetNumber: number, now: Instant): void {
    assert(this.check(packetNumber), 'only a number that was checked is committed');
    if (packetNumber >= this.#next) {
      this.#clear(this.#next, packetNumber - this.#next + 1);
      this.#next = packetNumber + 1;
      this.#noteCrossing(now);
    }
    const bit = packetNumber & (this.#size - 1);
    this.#bits[bit >>> 5]! |= 1 << (bit & 31);
  }

  trim(): void {
    if (this.#size > REPLAY_WINDOW_MIN) this.#resize(REPLAY_WINDOW_MIN);
  }

  /** `&` takes numbers modulo 2^32, so the low bits of any packet number below 2^53 are right. */
  #isSet(packetNumber: number): boolean {
    const bit = packetNumber & (this.#size - 1);
    return (this.#bits[bit >>> 5]! & (1 << (bit & 31))) !== 0;
  }

  #clear(from: number, count: number): void {
    if (count >= this.#size) {
      this.#bits.fill(0);
      return;
    }
    let bit = from & (this.#size - 1);
    let left = count;
    while (left > 0) {
      if ((bit & 31) === 0 && left >= 32) {
        this.#bits[bit >>> 5] = 0;
        bit += 32;
        left -= 32;
      } else {
        this.#bits[bit >>> 5]! &= ~(1 << (bit & 31));
        bit += 1;
        left -= 1;
      }
      if (bit === this.#size) bit = 0;
    }
  }

  #noteCrossing(now: Instant): void {
    if (this.#crossingSince !== undefined && this.#next - this.#crossingFrom < this.#size) return;
    const quick = this.#crossingSince !== undefined && now - this.#crossingSince < GROW_WITHIN;
    if (quick && this.#size < REPLAY_WINDOW_MAX) this.#resize(2 * this.#size);
    this.#crossingFrom = this.#next;
    this.#crossingSince = now;
  }

  #resize(size: number): void {
    // What fell out of a smaller window is unknown, so it counts as seen.
    const bits = new Uint32Array(size / 32).fill(0xffff_ffff);
    for (let number = Math.max(0, this.#next - Math.min(this.#size, size)); number < this.#next; number++) {
      if (this.#isSet(number)) continue;
      const bit = number & (size - 1);
      bits[bit >>> 5]! &= ~(1 << (bit & 31));
    }
    this.#bits = bits;
    this.#size = size;
  }
}
