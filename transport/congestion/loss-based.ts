import type { Instant } from '../../base/time.ts';
import type { AckSample, CongestionController, ControllerName, LossSample } from './controller.ts';
import { initialWindow, MAXIMUM_WINDOW, minimumWindow } from './controller.ts';
import { HyStart } from './hystart.ts';
import { LossEpisode } from './loss-episode.ts';

/**
 * What NewReno and CUBIC share (RFC 9002 §7). Such a controller reads one signal, loss, and answers it by shrinking the window;
 * between losses the window grows. It is in one of three states:
 *
 * - *slow start*, below `ssthresh`: the window grows by what is acknowledged. The first one ends by HyStart++ where it can;
 * - *recovery*, from a loss until a packet sent after it is acknowledged: the window neither grows nor shrinks again, so that a
 *   round trip's losses count once (§7.3.2);
 * - *congestion avoidance*: a `WindowLaw` says how the window grows. The law also says by how much a loss shrinks it; the two
 *   belong together and are all that tells NewReno from CUBIC.
 *
 * The window does not grow while the sender leaves it unused (§7.8), for want of data or of anything else: one that grew for a sender
 * held up by its processor would be no bound at the first loss. Losses that prove spurious are undone, §7.3.2 being silent
 * about it, in the manner of RFC 9438 §4.9: window and threshold go back to at least what they were, and what ends a first slow
 * start, HyStart++, watches it again.
 */
export interface WindowLaw {
  /** A congestion event at `window`: what is left of it. `queueShare` is how much of the RTT is waiting in queues, 0 to 1. */
  reduce(window: number, mtu: number, queueShare: number): number;
  /** Congestion avoidance: the window after `acked` bytes more. May hold fractions. */
  grow(window: number, acked: number, mtu: number, smoothedRtt: number, now: Instant): number;
  /** An acknowledgement came while the sender did not use its window: that time does not count. */
  onUnused(now: Instant): void;
  /** Everything learnt is void (persistent congestion). */
  reset(): void;
  /** Remember the present state, which one `restore` brings back. */
  save(): void;
  restore(): void;
}

export class LossBasedController implements CongestionController {
  readonly name: ControllerName;
  readonly pacingRate: undefined = undefined;

  readonly #law: WindowLaw;
  #mtu: number;
  #cwnd: number;
  #ssthresh: number = Number.POSITIVE_INFINITY;
  #hystart: HyStart | undefined = new HyStart();
  /** The first packet number past the current recovery period. */
  #recoveryEnd = 0;
  /** Where the round trip ends in which the window was last full. */
  #usedUntil = -1;
  #isFull = false;

  /** Of the latest acknowledgement; 0 before the first. */
  #smoothedRtt = 0;
  #minimumRtt = 0;

  // What the latest reduction did, for as long as it can be undone.
  readonly #episode: LossEpisode = new LossEpisode();
  #priorCwnd = 0;
  #priorSsthresh = 0;
  #priorHystart: HyStart | undefined;

  constructor(name: ControllerName, law: WindowLaw, mtu: number) {
    this.name = name;
    this.#law = law;
    this.#mtu = mtu;
    this.#cwnd = initialWindow(mtu);
  }

  get window(): number {
    return Math.floor(this.#cwnd);
  }

  get isStartup(): boolean {
    return this.#cwnd < this.#ssthresh;
  }

  get ssthresh(): number {
    return this.#ssthresh;
  }

  onSent(_bytes: number, bytesInFlight: number, _now: Instant): void {
    if (bytesInFlight + this.#mtu > this.#cwnd) this.#isFull = true;
  }

  onAck(sample: AckSample, now: Instant): void {
    this.#smoothedRtt = sample.smoothedRtt;
    this.#minimumRtt = sample.minimumRtt;
    if (this.#isFull) {
      // Full once is in use for this round trip: nobody fills a window all the time.
      this.#isFull = false;
      this.#usedUntil = sample.nextNumber;
    }
    // The RTT says something about the queue whether or not the window was used.
    if (this.isStartup) this.#hystart?.onAck(sample.largestNumber, sample.nextNumber, sample.rtt);
    // §7.3.2: no growth for what was sent before the reduction.
    if (sample.largestNumber < this.#recoveryEnd) return;
    if (sample.largestNumber > this.#usedUntil) {
      this.#law.onUnused(now);
      return;
    }
    let acked = sample.bytes;
    if (this.isStartup) {
      // §7.3.1, no further than the threshold: the rest of the bytes count for avoidance.
      const room = this.#ssthresh - this.#cwnd;
      const growth = Math.min(this.#hystart?.growth(acked) ?? acked, room);
      this.#cwnd += growth;
      if (this.#hystart?.isDone === true) this.#leaveSlowStart();
      acked = growth < room ? 0 : acked - growth;
    }
    if (acked > 0) this.#cwnd = this.#law.grow(this.#cwnd, acked, this.#mtu, sample.smoothedRtt, now);
    this.#cwnd = Math.min(this.#cwnd, MAXIMUM_WINDOW);
  }

  onLoss(loss: LossSample, now: Instant): void {
    if (loss.isPersistent) {
      // §7.6.2: back to the minimum, and slow start up to the threshold a plain loss would have set.
      if (loss.largestNumber >= this.#recoveryEnd) this.#reduce(loss, now);
      this.#episode.settle();
      this.#law.reset();
      this.#cwnd = minimumWindow(this.#mtu);
      this.#recoveryEnd = 0;
      return;
    }
    if (loss.largestNumber < this.#recoveryEnd) {
      this.#episode.add(loss.packets);
      return;
    }
    this.#reduce(loss, now);
  }

  onSpuriousLoss(packets: number, declaredAt: Instant, _now: Instant): void {
    if (!this.#episode.explain(packets, declaredAt)) return;
    this.#recoveryEnd = 0;
    this.#cwnd = Math.max(this.#cwnd, this.#priorCwnd);
    this.#ssthresh = Math.max(this.#ssthresh, this.#priorSsthresh);
    this.#hystart = this.#priorHystart;
    this.#law.restore();
  }

  onMtuChange(mtu: number): void {
    this.#mtu = mtu;
    this.#cwnd = Math.max(this.#cwnd, minimumWindow(mtu));
  }

  onAppLimited(_bytesInFlight: number, _now: Instant): void {
    // Whether the window was used is seen when it is full.
  }

  onPaced(): void {
    // §7.8: what pacing alone keeps from being full is in use.
    this.#isFull = true;
  }

  #reduce(loss: LossSample, now: Instant): void {
    this.#episode.begin(now);
    this.#episode.add(loss.packets);
    this.#priorCwnd = this.#cwnd;
    this.#priorSsthresh = this.#ssthresh;
    this.#priorHystart = this.#hystart;
    this.#law.save();
    const queueShare = this.#smoothedRtt > 0 ? Math.max(0, 1 - this.#minimumRtt / this.#smoothedRtt) : 1;
    const reduced = this.#law.reduce(this.#cwnd, this.#mtu, queueShare);
    this.#cwnd = Math.max(reduced, minimumWindow(this.#mtu));
    this.#ssthresh = this.#cwnd;
    this.#recoveryEnd = loss.nextNumber;
    // RFC 9406 §4.3: only the first slow start is watched; later ones know their threshold.
    this.#hystart = undefined;
  }

  #leaveSlowStart(): void {
    this.#ssthresh = this.#cwnd;
    this.#hystart = undefined;
  }
}
