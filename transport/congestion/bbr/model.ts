import type { Instant } from '../../../base/time.ts';
import { SECOND } from '../../../base/time.ts';
import type { AckSample, LossSample, RateSample } from '../controller.ts';
import { LOSS_SLACK_PACKETS, LOSS_THRESH } from './constants.ts';
import { CycleMaximum, MinimumRtt, RoundMaximum } from './filters.ts';

/**
 * What BBR believes of the path (draft-ietf-ccwg-bbr §5.5): how fast it delivers, how long an empty one takes, how much its ACKs
 * come in lumps, and what the latest round trip looked like. Rounds are counted in packets: one ends when a packet is
 * acknowledged that was sent after the last one ended. Loss has rounds of its own, which begin with the first loss.
 */
export class PathModel {
  readonly maxBw: CycleMaximum = new CycleMaximum();
  readonly minRtt: MinimumRtt;

  roundCount = 0;
  /** This ACK begins a round. */
  isRoundStart = false;
  /** This ACK ends a round of the loss signals. */
  isLossRoundStart = false;
  /** Bytes a second and bytes: the best of the latest round. */
  bwLatest = 0;
  inflightLatest = 0;
  /** Bytes lost in this round of the loss signals, and in how many events. */
  lostInRound = 0;
  lossEventsInRound = 0;
  delivered = 0;

  readonly #extraAcked: RoundMaximum = new RoundMaximum();
  #aggregationStart: Instant;
  #aggregationDelivered = 0;
  #nextRoundDelivered = 0;
  #lossRoundDelivered = 0;
  #lossRoundStartDelivered = 0;

  constructor(now: Instant) {
    this.minRtt = new MinimumRtt(now);
    this.#aggregationStart = now;
  }

  /** The start of an ACK: rounds, the latest delivery, the bandwidth (UpdateLatestDeliverySignals, UpdateMaxBw). */
  onRate(rate: RateSample, isAppLimited: boolean): void {
    this.delivered = Math.max(this.delivered, rate.totalDelivered);
    this.bwLatest = Math.max(this.bwLatest, rate.deliveryRate);
    this.inflightLatest = Math.max(this.inflightLatest, rate.delivered);
    this.isLossRoundStart = rate.priorDelivered >= this.#lossRoundDelivered;
    if (this.isLossRoundStart) this.#lossRoundDelivered = this.delivered;

    this.isRoundStart = rate.priorDelivered >= this.#nextRoundDelivered;
    if (this.isRoundStart) {
      this.startRound();
      this.roundCount++;
    }
    // §5.5.4: limited by the application, a sample counts only where it raises the estimate.
    if (!isAppLimited || rate.deliveryRate >= this.maxBw.value) this.maxBw.update(rate.deliveryRate);
  }

  /** The end of an ACK (AdvanceLatestDeliverySignals). */
  finishAck(rate: RateSample): void {
    if (!this.isLossRoundStart) return;
    this.bwLatest = rate.deliveryRate;
    this.inflightLatest = rate.delivered;
  }

  /** A round ends once what is sent from now on is acknowledged. */
  startRound(): void {
    this.#nextRoundDelivered = this.delivered;
  }

  noteLoss(loss: LossSample): void {
    if (this.lossEventsInRound === 0) {
      this.#lossRoundDelivered = this.delivered;
      this.#lossRoundStartDelivered = this.delivered;
    }
    this.lossEventsInRound++;
    this.lostInRound += loss.bytes;
  }

  /** More of the round was lost than LossThresh allows. */
  isRoundLossy(mtu: number): boolean {
    const sent = this.delivered - this.#lossRoundStartDelivered + this.lostInRound;
    return isExcessLoss(this.lostInRound, sent, mtu);
  }

  clearRoundLoss(): void {
    this.lostInRound = 0;
    this.lossEventsInRound = 0;
  }

  /** ResetCongestionSignals. */
  resetSignals(): void {
    this.clearRoundLoss();
    this.bwLatest = 0;
    this.inflightLatest = 0;
  }

  /** UpdateACKAggregation (§5.5.9): what came beyond what the bandwidth explains. */
  onAggregation(sample: AckSample, bw: number, cwnd: number, now: Instant): void {
    let expected = (bw * (now - this.#aggregationStart)) / SECOND;
    if (this.#aggregationDelivered <= expected) {
      this.restartAggregation(now);
      expected = 0;
    }
    this.#aggregationDelivered += sample.bytes;
    this.#extraAcked.update(this.roundCount, Math.min(this.#aggregationDelivered - expected, cwnd));
  }

  restartAggregation(now: Instant): void {
    this.#aggregationStart = now;
    this.#aggregationDelivered = 0;
  }

  extraAcked(isStartup: boolean): number {
    return this.#extraAcked.value(isStartup);
  }

  /** Bytes in flight that fill the path at `bw`, or `undefined` before the first RTT. */
  bdp(bw: number): number | undefined {
    return this.minRtt.isKnown ? (bw * this.minRtt.value) / SECOND : undefined;
  }
}

/** IsInflightTooHigh (§5.5.10.2), with the slack for small flights. */
export function isExcessLoss(lost: number, inFlight: number, mtu: number): boolean {
  return lost > LOSS_THRESH * inFlight + LOSS_SLACK_PACKETS * mtu;
}
