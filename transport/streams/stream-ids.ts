import { assert } from '../../base/assert.ts';
import { STREAMS_INITIAL } from './constants.ts';

/**
 * Which streams there may be. Either side counts its own from 0; id = 2 × number, plus one for the side with the higher identity
 * key. A limit counts all streams there ever were (RFC 9000 §4.6), and only rises.
 */
export class LocalIds {
  #next = 0;
  #limit: number = STREAMS_INITIAL;
  #wasRefused = false;

  get limit(): number {
    return this.#limit;
  }

  /** Opened so far. */
  get count(): number {
    return this.#next;
  }

  /** The number of the next stream, or `undefined` where the peer allows no more. */
  take(): number | undefined {
    this.#wasRefused = this.#next >= this.#limit;
    return this.#wasRefused ? undefined : this.#next++;
  }

  raise(limit: number): void {
    // Numbers stay below 2^52, so that ids stay below 2^53: no peer lives to see it.
    this.#limit = Math.max(this.#limit, Math.min(limit, 2 ** 52));
  }

  /** Whether the limit has risen since one was refused. Told once. */
  takeAvailable(): boolean {
    if (!this.#wasRefused || this.#next >= this.#limit) return false;
    this.#wasRefused = false;
    return true;
  }
}

/**
 * The peer's streams. It uses its numbers in order, but packets overtake each other: an OPEN may come before that of a lower
 * number, which then is missing and may still come; any other below the highest was opened, and is alive or forgotten.
 */
export class PeerIds {
  readonly #concurrentMax: number;
  #next = 0;
  #ended = 0;
  #limit: number = STREAMS_INITIAL;
  /** At most as many as may be open at once: a missing one has not ended. None, before any was. */
  #missing: Set<number> | undefined;

  constructor(concurrentMax: number) {
    this.#concurrentMax = concurrentMax;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Opened and not ended. */
  get alive(): number {
    return this.#next - (this.#missing?.size ?? 0) - this.#ended;
  }

  get isFull(): boolean {
    return this.alive >= this.#concurrentMax;
  }

  allows(number: number): boolean {
    return number < this.#limit;
  }

  wasOpened(number: number): boolean {
    return number < this.#next && !this.#missing?.has(number);
  }

  open(number: number): void {
    assert(this.allows(number) && !this.wasOpened(number), 'a stream is opened once, within the limit');
    if (this.#missing?.delete(number)) return;
    for (; this.#next < number; this.#next++) {
      this.#missing ??= new Set();
      this.#missing.add(this.#next);
    }
    this.#next = number + 1;
  }

  end(): void {
    this.#ended++;
  }

  /**
   * True where the limit rose, and the peer is to be told: when what it has left is at most half of what it could have. Before
   * its first stream nothing is said.
   */
  raise(): boolean {
    const limit = this.#ended + this.#concurrentMax;
    if (this.#next === 0 || 2 * (this.#limit - this.#next) > limit - this.#next || limit <= this.#limit) return false;
    this.#limit = limit;
    return true;
  }
}
