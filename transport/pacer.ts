import type { Instant } from '../base/time.ts';
import { after, MILLISECOND, SECOND } from '../base/time.ts';
import { initialWindow } from './congestion/controller.ts';

/** RFC 9002 §7.7: N, a little more than the window in a round trip, so that pacing does not hold back what the window allows. */
const GAIN_NUMERATOR = 5;
const GAIN_DENOMINATOR = 4;
/** In slow start the window doubles in a round trip, and so must the rate. */
const STARTUP_GAIN = 2;
/** A batch is worth about this much time; shorter than a coarse timer's tick it cannot be. */
const QUANTUM_TIME: number = 1 * MILLISECOND;
const QUANTUM_MIN_PACKETS = 2;
/** Linux joins at most 64 segments, in at most a full datagram. */
const QUANTUM_MAX_PACKETS = 64;
const QUANTUM_MAX_BYTES = 65_507;
/** What a late wake-up may catch up on. */
const DEPTH_TIME: number = 5 * MILLISECOND;
const DEPTH_MIN_PACKETS = 10;
const DEPTH_MAX_PACKETS = 256;
/** Bytes a second. */
const RATE_MIN = 1;
const RATE_MAX = 10_000_000_000;

/** What the pacer follows: the parts of a controller that bear on the rate. */
export interface PacedController {
  readonly window: number;
  readonly pacingRate: number | undefined;
  readonly isStartup: boolean;
}

/**
 * Spreads packets over the round trip (RFC 9002 §7.7), in batches that suit segmentation offload. A token bucket: the rate is the
 * controller's, and the depth what a few milliseconds are worth, so that a timer that fires late loses nothing. After a pause
 * longer than that, no more goes out at once than an initial window: an idle sender has no ACKs to tell it what the path bears.
 *
 * Tokens are whole byte-microseconds (bytes × 10^6), rates whole bytes a second, so no rounding adds up over time; only the
 * instant of the next send is rounded, up to a microsecond.
 */
export class PacingBudget {
  #mtu: number;
  #rate = RATE_MIN;
  #tokens: number;
  #refilledAt: Instant;
  #lastSentAt: Instant;

  constructor(mtu: number, now: Instant) {
    this.#mtu = mtu;
    this.#tokens = initialWindow(mtu) * SECOND;
    this.#refilledAt = now;
    this.#lastSentAt = now;
  }

  /** Bytes a second. */
  get rate(): number {
    return this.#rate;
  }

  /** How many bytes are worth waiting for before a batch is sent. */
  get quantum(): number {
    const packets = Math.floor((this.#rate * QUANTUM_TIME) / SECOND / this.#mtu);
    const most = Math.max(1, Math.min(QUANTUM_MAX_PACKETS, Math.floor(QUANTUM_MAX_BYTES / this.#mtu)));
    return Math.max(Math.min(QUANTUM_MIN_PACKETS, most), Math.min(packets, most)) * this.#mtu;
  }

  /** To be called after the controller or the RTT changed. */
  follow(controller: PacedController, smoothedRtt: number, now: Instant): void {
    this.#refill(now);
    this.#rate = Math.max(RATE_MIN, Math.min(RATE_MAX, Math.floor(wantedRate(controller, smoothedRtt))));
  }

  onMtuChange(mtu: number): void {
    this.#mtu = mtu;
  }

  /** Bytes that may go out now. */
  available(now: Instant): number {
    this.#refill(now);
    return Math.max(0, Math.floor(this.#tokens / SECOND));
  }

  /** May be more than was available: probes are not held back, but they are paid for. */
  onSent(bytes: number, now: Instant): void {
    this.#refill(now);
    this.#tokens = Math.max(this.#tokens - bytes * SECOND, -this.#depth());
    this.#lastSentAt = now;
  }

  /** When `bytes` may go out; more than the bucket holds is not waited for. */
  nextSendAt(bytes: number, now: Instant): Instant {
    this.#refill(now);
    const missing = Math.min(bytes * SECOND, this.#limit(now)) - this.#tokens;
    return missing > 0 ? after(now, Math.ceil(missing / this.#rate)) : now;
  }

  #refill(now: Instant): void {
    if (now > this.#refilledAt) {
      // After a long time this may pass 2^53 and be inexact; it is past the limit then, which is far below.
      this.#tokens += (now - this.#refilledAt) * this.#rate;
      this.#refilledAt = now;
    }
    const limit = this.#limit(now);
    if (this.#tokens > limit) this.#tokens = limit;
  }

  #limit(now: Instant): number {
    const depth = this.#depth();
    return now - this.#lastSentAt <= DEPTH_TIME ? depth : Math.min(depth, initialWindow(this.#mtu) * SECOND);
  }

  #depth(): number {
    const least = DEPTH_MIN_PACKETS * this.#mtu;
    const most = DEPTH_MAX_PACKETS * this.#mtu;
    return Math.max(least * SECOND, Math.min(this.#rate * DEPTH_TIME, most * SECOND));
  }
}

function wantedRate(controller: PacedController, smoothedRtt: number): number {
  if (controller.pacingRate !== undefined) return controller.pacingRate;
  const perRtt = (controller.window * SECOND) / Math.max(1, smoothedRtt);
  return controller.isStartup ? STARTUP_GAIN * perRtt : (perRtt * GAIN_NUMERATOR) / GAIN_DENOMINATOR;
}
