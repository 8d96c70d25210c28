import type { Instant } from '../../base/time.ts';
import type { WindowLaw } from './loss-based.ts';

/** RFC 9002 §7.3.2, App. B.1: kLossReductionFactor. */
export const LOSS_REDUCTION_FACTOR = 0.5;
/** TCP Veno (Fu and Liew, 2003): a loss with fewer datagrams than this queued on the way is taken for a random one, */
export const RANDOM_LOSS_BACKLOG = 3;
/** and takes a fifth. */
export const RANDOM_LOSS_FACTOR = 0.8;
/** Nor may waiting be more of the RTT than this: with a small window on a congested link a few datagrams are a long queue. */
export const RANDOM_LOSS_QUEUE_SHARE = 0.25;

/**
 * AIMD as in RFC 9002 §7.3.3: one datagram more for each window that is acknowledged, counted in bytes (RFC 3465), half the
 * window for a loss. Whole bytes throughout: what is acknowledged adds up until it makes a window.
 *
 * One thing goes beyond §7.3.2. A loss while the RTT shows next to no queue says little about congestion, and halving for each
 * one leaves radio links idle; such a loss takes a fifth, as in TCP Veno. Where a queue overflows, this is NewReno unchanged.
 */
export class NewRenoLaw implements WindowLaw {
  #acked = 0;

  reduce(window: number, mtu: number, queueShare: number): number {
    this.#acked = 0;
    const isRandom = queueShare < RANDOM_LOSS_QUEUE_SHARE && queueShare * window < RANDOM_LOSS_BACKLOG * mtu;
    return Math.floor(window * (isRandom ? RANDOM_LOSS_FACTOR : LOSS_REDUCTION_FACTOR));
  }

  grow(window: number, acked: number, mtu: number, _smoothedRtt: number, _now: Instant): number {
    this.#acked += acked;
    if (this.#acked < window) return window;
    const windows = Math.floor(this.#acked / window);
    this.#acked -= windows * window;
    return window + windows * mtu;
  }

  onUnused(_now: Instant): void {
    // Growth here depends on bytes, not on time.
  }

  reset(): void {
    this.#acked = 0;
  }

  save(): void {
    // The count of part of a window is not worth keeping.
  }

  restore(): void {
    this.#acked = 0;
  }
}
