import type { Instant } from '../../base/time.ts';
import { SECOND } from '../../base/time.ts';
import type { WindowLaw } from './loss-based.ts';

/** RFC 9438 §4.1: C, in segments a second cubed. */
export const CUBIC_C = 0.4;
/** §4.6: β_cubic. */
export const CUBIC_BETA = 0.7;
/** §4.3: α_cubic, which makes the Reno-friendly estimate grow as Reno would with β_cubic. */
export const CUBIC_ALPHA: number = (3 * (1 - CUBIC_BETA)) / (1 + CUBIC_BETA);
/** §4.2: how far ahead of the window the target may be. */
const TARGET_MAX = 1.5;

interface CubicState {
  /** W_max in bytes: where the last loss was, less what fast convergence takes off. */
  wMax: number;
  /** cwnd_prior: the window before the last reduction. */
  cwndPrior: number;
  /** The start of the current epoch, in µs; `undefined` until the first growth after a reduction. */
  epochStart: number | undefined;
  /** K in seconds. */
  k: number;
  /** W_est in bytes. */
  wEst: number;
}

/**
 * CUBIC (RFC 9438): between losses the window follows a cubic in time, flat around the window of the last loss and steeper the
 * further it is from there, so that its growth depends on the clock and not on the RTT. Where Reno would be faster, on short or
 * slow paths, it follows an estimate of Reno's window instead (§4.3).
 */
export class CubicLaw implements WindowLaw {
  #state: CubicState = initial();
  #saved: CubicState = initial();
  #lastAckAt = 0;

  reduce(window: number, _mtu: number, _queueShare: number): number {
    const state = this.#state;
    // §4.7, fast convergence: a window that no longer reaches the last one makes room for others.
    state.wMax = window < state.wMax ? (window * (1 + CUBIC_BETA)) / 2 : window;
    state.cwndPrior = window;
    state.epochStart = undefined;
    return window * CUBIC_BETA;
  }

  grow(window: number, acked: number, mtu: number, smoothedRtt: number, now: Instant): number {
    const state = this.#state;
    if (state.epochStart === undefined) this.#startEpoch(window, mtu, now);
    this.#lastAckAt = now;
    const elapsed = (now - state.epochStart!) / SECOND;

    // §4.3: once the estimate has regained the old window, it grows as Reno does.
    const alpha = state.wEst < state.cwndPrior ? CUBIC_ALPHA : 1;
    state.wEst += (alpha * mtu * acked) / window;
    if (this.#cubic(elapsed, mtu) < state.wEst) return Math.max(window, state.wEst);

    // §4.4, §4.5: towards where the curve will be a round trip from now.
    const ahead = this.#cubic(elapsed + smoothedRtt / SECOND, mtu);
    const target = Math.max(window, Math.min(ahead, TARGET_MAX * window));
    return window + ((target - window) * Math.min(acked, window)) / window;
  }

  onUnused(now: Instant): void {
    // §5.8: the curve stands still while the window is not used.
    if (this.#state.epochStart !== undefined) this.#state.epochStart += now - this.#lastAckAt;
    this.#lastAckAt = now;
  }

  reset(): void {
    this.#state = initial();
  }

  save(): void {
    this.#saved = { ...this.#state };
  }

  restore(): void {
    this.#state = { ...this.#saved };
  }

  #startEpoch(window: number, mtu: number, now: Instant): void {
    const state = this.#state;
    state.epochStart = now;
    state.wEst = window;
    if (state.wMax <= window) {
      // §4.10: avoidance entered without a loss, or a window that grew past the last one: the curve starts at its flat point.
      state.wMax = window;
      state.k = 0;
    } else {
      state.k = Math.cbrt((state.wMax - window) / mtu / CUBIC_C);
    }
  }

  /** W_cubic(t) of §4.2, in bytes. */
  #cubic(elapsed: number, mtu: number): number {
    return CUBIC_C * (elapsed - this.#state.k) ** 3 * mtu + this.#state.wMax;
  }
}

function initial(): CubicState {
  return { wMax: 0, cwndPrior: 0, epochStart: undefined, k: 0, wEst: 0 };
}
