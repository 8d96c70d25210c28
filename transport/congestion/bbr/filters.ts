import type { Instant } from '../../../base/time.ts';
import { EXTRA_ACKED_ROUNDS, MIN_RTT_TOLERANCE, MIN_RTT_WINDOW } from './constants.ts';

/** The maximum over the current probing cycle and the one before (§5.5.6, MaxBwFilterLen 2). */
export class CycleMaximum {
  #current = 0;
  #previous = 0;

  get value(): number {
    return Math.max(this.#current, this.#previous);
  }

  update(sample: number): void {
    if (sample > this.#current) this.#current = sample;
  }

  /** A new cycle begins. */
  advance(): void {
    // A cycle that saw nothing tells nothing.
    if (this.#current === 0) return;
    this.#previous = this.#current;
    this.#current = 0;
  }
}

/** The maximum over the last ten rounds; over the current one while `isShort` (§5.5.9). */
export class RoundMaximum {
  readonly #rounds: Float64Array = new Float64Array(EXTRA_ACKED_ROUNDS);
  #round = 0;

  update(round: number, sample: number): void {
    const skipped = Math.min(round - this.#round, EXTRA_ACKED_ROUNDS);
    for (let i = 0; i < skipped; i++) this.#rounds[(round - i) % EXTRA_ACKED_ROUNDS] = 0;
    this.#round = round;
    const slot = round % EXTRA_ACKED_ROUNDS;
    if (sample > this.#rounds[slot]!) this.#rounds[slot] = sample;
  }

  value(isShort: boolean): number {
    if (isShort) return this.#rounds[this.#round % EXTRA_ACKED_ROUNDS]!;
    let most = 0;
    for (let i = 0; i < EXTRA_ACKED_ROUNDS; i++) most = Math.max(most, this.#rounds[i]!);
    return most;
  }
}

/** The lowest RTT, in µs, and whether it is so old that it has to be measured anew (§5.3.4.3). */
export class MinimumRtt {
  #value: number = Number.POSITIVE_INFINITY;
  #stamp: Instant;
  #isExpired = false;

  constructor(now: Instant) {
    this.#stamp = now;
  }

  get value(): number {
    return this.#value;
  }

  get isKnown(): boolean {
    return this.#value !== Number.POSITIVE_INFINITY;
  }

  get isExpired(): boolean {
    return this.#isExpired;
  }

  /** To be asked before `update`, which may replace the old value. */
  expires(now: Instant): boolean {
    return this.isKnown && now > this.#stamp + MIN_RTT_WINDOW;
  }

  update(rtt: number | undefined, now: Instant): void {
    this.#isExpired = this.expires(now);
    if (rtt === undefined) return;
    if (rtt < this.#value || this.#isExpired) {
      this.#value = Math.max(1, rtt);
      this.#stamp = now;
    } else if (rtt <= this.#value + this.#value * MIN_RTT_TOLERANCE) {
      this.#stamp = now;
    }
  }

  refresh(now: Instant): void {
    this.#stamp = now;
    this.#isExpired = false;
  }
}
