import type { Instant } from './time.ts';
import { SECOND } from './time.ts';

/** `perSecond` on average, `burst` at once. Time is given; a bucket costs nothing while nobody asks. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: Instant;

  constructor(perSecond: number, burst: number, now: Instant) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  take(now: Instant): boolean {
    this.#refill(now);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** What was taken turns out not to count. */
  giveBack(): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + 1);
  }

  /** Takes one, on credit where there is none, and gives the span until there is another. */
  overdraw(now: Instant): number {
    this.#refill(now);
    this.#tokens -= 1;
    return this.#tokens < 1 ? Math.ceil(((1 - this.#tokens) * SECOND) / this.#perSecond) : 0;
  }

  /** Whether less than `share` of the burst is left. */
  isBelow(share: number, now: Instant): boolean {
    this.#refill(now);
    return this.#tokens < this.#burst * share;
  }

  #refill(now: Instant): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) * this.#perSecond) / SECOND);
    this.#at = now;
  }
}
