import { MILLISECOND } from '../base/time.ts';

/** RFC 9002 §6.2.2: before any sample. */
export const INITIAL_RTT: number = 333 * MILLISECOND;
/** RFC 9002 §6.1.2: kGranularity. */
export const TIMER_GRANULARITY: number = 1 * MILLISECOND;
/** How long a receiver may hold back an ACK; both sides use the same, so it is not negotiated. */
export const MAX_ACK_DELAY: number = 25 * MILLISECOND;

/** One path's round-trip time, RFC 9002 §5. */
export class RttEstimator {
  #latest = 0;
  #minimum = 0;
  #smoothed: number = INITIAL_RTT;
  #variation: number = INITIAL_RTT / 2;
  #sampled = false;

  get smoothed(): number {
    return this.#smoothed;
  }

  get variation(): number {
    return this.#variation;
  }

  get latest(): number {
    return this.#latest;
  }

  get minimum(): number {
    return this.#minimum;
  }

  get isSampled(): boolean {
    return this.#sampled;
  }

  sample(rtt: number, ackDelay: number): void {
    this.#latest = rtt;
    if (!this.#sampled) {
      // §5.3: the first sample.
      this.#sampled = true;
      this.#minimum = rtt;
      this.#smoothed = rtt;
      this.#variation = Math.floor(rtt / 2);
      return;
    }
    // §5.2: the minimum ignores the peer's delay.
    this.#minimum = Math.min(this.#minimum, rtt);
    // §5.3: a delay is believed up to the agreed maximum, and only where it keeps the sample above the minimum.
    const delay = Math.min(ackDelay, MAX_ACK_DELAY);
    const adjusted = rtt >= this.#minimum + delay ? rtt - delay : rtt;
    // In the order of A.7: the variation first, against the old average.
    this.#variation = Math.floor((3 * this.#variation + Math.abs(this.#smoothed - adjusted)) / 4);
    this.#smoothed = Math.floor((7 * this.#smoothed + adjusted) / 8);
  }

  /**
   * §5.2: once persistent congestion is established the minimum is the newest sample. What was measured before it may belong to
   * another way through the network, and would go on calling the round trip of this one a queue.
   */
  restartMinimum(): void {
    this.#minimum = this.#latest;
  }

  /** The probe timeout without backoff, §6.2.1. */
  get probeTimeout(): number {
    return this.#smoothed + Math.max(4 * this.#variation, TIMER_GRANULARITY) + MAX_ACK_DELAY;
  }
}
