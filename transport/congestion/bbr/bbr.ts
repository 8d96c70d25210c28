import type { Rng } from '../../../base/rng.ts';
import { randomU32 } from '../../../base/rng.ts';
import type { Instant } from '../../../base/time.ts';
import type { AckSample, CongestionController, LossSample, RateSample } from '../controller.ts';
import { LossEpisode } from '../loss-episode.ts';
import { Bounds, inflightAtLoss } from './bounds.ts';
import {
  DRAIN_ROUNDS_MAX,
  MIN_PIPE_PACKETS,
  PROBE_RTT_CWND_GAIN,
  PROBE_WAIT_BASE,
  PROBE_WAIT_SPREAD,
  RENO_ROUNDS_MAX,
  STARTUP_FULL_LOSS_EVENTS,
} from './constants.ts';
import { type BbrState, Control, isProbeBw } from './control.ts';
import { FullPipe } from './full-pipe.ts';
import { isExcessLoss, PathModel } from './model.ts';
import { ProbeRtt } from './probe-rtt.ts';

/** Which part of a probe the ACKs that come in are about. */
type AckPhase = 'Init' | 'Refilling' | 'Starting' | 'Feedback' | 'Stopping';

/**
 * BBR version 3 (draft-ietf-ccwg-bbr). Instead of filling the queue until something is lost, it measures the path, how fast it
 * delivers and how long an empty one takes, and keeps about their product in flight, paced at the measured rate. Measuring
 * takes turns, for a path that is never pressed does not show its bandwidth and one that is always pressed not its RTT:
 *
 * - *Startup* doubles the rate each round until it delivers no more, or loses too much; *Drain* then empties the queue;
 * - *ProbeBW* is where a flow lives: `Down` sends a little less and leaves room, `Cruise` keeps the rate, `Refill` fills the path
 *   for one round, `Up` sends a quarter more to see whether more arrives. A cycle takes two to three seconds, or as many rounds
 *   as Reno would need to come back from a loss, whichever is shorter;
 * - *ProbeRTT*, where ten seconds brought no RTT as low as the lowest: a fifth of a second with half a pipe.
 *
 * Loss is evidence about the model and not an order to slow down. While probing, more than 2 % of a flight lost says how much was
 * too much; at other times a round with as much loss lowers the short-term bounds to what was delivered.
 *
 * Deviations from the draft are named where they are: LOSS_SLACK_PACKETS, MIN_RTT_TOLERANCE, the threshold on the short-term
 * bounds (`#adaptLower`), the losses that Drain has answered (`#isAnsweredByDrain`), the headroom in `Bounds.lowerHigh` and the
 * floor under the rate in `Control`.
 */
export class BbrController implements CongestionController {
  readonly name = 'BBR';

  readonly #rng: Rng;
  readonly #model: PathModel;
  readonly #bounds: Bounds = new Bounds();
  readonly #pipe: FullPipe = new FullPipe();
  readonly #control: Control;
  readonly #probeRtt: ProbeRtt = new ProbeRtt();
  readonly #episode: LossEpisode = new LossEpisode();
  #mtu: number;
  #state: BbrState = 'Startup';
  #ackPhase: AckPhase = 'Init';

  // ProbeBW.
  #cycleStart: Instant;
  #probeWait: number = PROBE_WAIT_BASE;
  #roundsSinceProbe = 0;
  #isProbeSample = false;
  #wasProbeTooHigh = false;
  #wasProbePrecautionary = false;
  #drainStartRound = 0;
  #drainStartedAt: Instant = Number.NEGATIVE_INFINITY as Instant;

  // The window was full at some point of this round, and of the round before.
  #wasFull = false;
  #isCwndLimited = false;
  // Sending stopped for want of data; samples of packets sent before this much was delivered are low for it.
  #isAppLimited = false;
  #isIdleRestart = false;
  #lowUntilDelivered = 0;

  // The state that the latest loss episode ended, for as long as that can be undone.
  #undoState: 'Startup' | 'Up' | undefined;

  constructor(mtu: number, rng: Rng, now: Instant) {
    this.#mtu = mtu;
    this.#rng = rng;
    this.#model = new PathModel(now);
    this.#control = new Control(this.#model, this.#bounds, mtu);
    this.#cycleStart = now;
  }

  get window(): number {
    return this.#control.window;
  }

  get pacingRate(): number | undefined {
    return this.#control.pacingRate;
  }

  get isStartup(): boolean {
    return this.#state === 'Startup';
  }

  /** For `status` and tests. */
  get state(): BbrState {
    return this.#state;
  }

  /** Bytes a second: max_bw. */
  get bandwidth(): number {
    return this.#model.maxBw.value;
  }

  get bounds(): Readonly<Bounds> {
    return this.#bounds;
  }

  onSent(bytes: number, bytesInFlight: number, now: Instant): void {
    // HandleRestartFromIdle (§5.4.1).
    if (bytesInFlight <= bytes && this.#isAppLimited) {
      this.#isIdleRestart = true;
      this.#model.restartAggregation(now);
      if (isProbeBw(this.#state)) this.#control.paceAt(1, this.#pipe.isReached);
      else if (this.#state === 'ProbeRtt' && this.#probeRtt.isDone(true, now)) this.#exitProbeRtt(now);
    }
    this.#isAppLimited = false;
    if (bytesInFlight + this.#mtu > this.#control.window) this.#wasFull = true;
  }

  onAck(sample: AckSample, now: Instant): void {
    const rate = sample.rate;
    this.#control.onRtt(sample.smoothedRtt);
    if (rate !== undefined) this.#updateModelAndState(sample, rate, now);
    this.#control.update(this.#state, this.#pipe.isReached, sample.bytes);
  }

  onLoss(loss: LossSample, now: Instant): void {
    if (this.#isAnsweredByDrain(loss)) {
      this.#episode.add(loss.packets);
      return;
    }
    if (this.#model.lossEventsInRound === 0) this.#saveUponLoss(now);
    this.#episode.add(loss.packets);
    this.#model.noteLoss(loss);
    if (loss.isPersistent) {
      // RFC 9002 §7.6.2 in place of OnEnterRTO (§5.6.4.4): the window comes back as fast as data is acknowledged.
      this.#control.collapse();
      return;
    }
    if (!this.#isProbeSample) return;
    if (!isExcessLoss(loss.lostSinceSent, loss.sentInFlight, this.#mtu)) return;
    this.#onInflightTooHigh(inflightAtLoss(loss.bytes, loss.lostSinceSent, loss.sentInFlight), loss.isAppLimited, now);
    this.#control.update(this.#state, this.#pipe.isReached, 0);
  }

  onSpuriousLoss(packets: number, declaredAt: Instant, _now: Instant): void {
    if (!this.#episode.explain(packets, declaredAt)) return;
    // HandleSpuriousLossDetection (§5.5.11.2).
    this.#control.restoreWindow();
    this.#model.clearRoundLoss();
    this.#pipe.reset();
    this.#bounds.restore();
    const undo = this.#undoState;
    this.#undoState = undefined;
    if (undo === 'Startup' && this.#state !== 'Startup') {
      this.#pipe.isReached = false;
      if (this.#state !== 'ProbeRtt') this.#state = 'Startup';
    } else if (undo === 'Up' && this.#state !== 'Up' && isProbeBw(this.#state)) {
      this.#startRefill();
    }
    this.#control.update(this.#state, this.#pipe.isReached, 0);
  }

  onMtuChange(mtu: number): void {
    this.#mtu = mtu;
    this.#control.onMtuChange(mtu);
  }

  onPaced(): void {
    // Its rate is what it wants to go out.
  }

  onAppLimited(_bytesInFlight: number, _now: Instant): void {
    this.#isAppLimited = true;
  }

  /** UpdateModelAndState (§5.2.3), in the draft's order. */
  #updateModelAndState(sample: AckSample, rate: RateSample, now: Instant): void {
    const model = this.#model;
    const isLow = this.#isLow(rate.isAppLimited, rate.priorDelivered);
    model.onRate(rate, isLow);
    if (model.isRoundStart) {
      this.#roundsSinceProbe++;
      this.#isCwndLimited = this.#wasFull;
      this.#wasFull = false;
    }
    if (model.isLossRoundStart) this.#adaptLower();
    model.onAggregation(sample, this.#control.bw, this.#control.window, now);
    if (model.isRoundStart && !isLow) this.#pipe.onRound(rate.deliveryRate);
    if (this.#state === 'Startup' && this.#pipe.isReached) this.#enterDrain(now);
    this.#checkDrainDone(sample, now);
    this.#updateCycle(sample, rate, isLow, now);
    this.#checkProbeRtt(sample, now);
    model.finishAck(rate);
    if (model.isLossRoundStart) model.clearRoundLoss();
  }

  /** Limited by the application, or by ProbeRTT, whose samples are as low (§5.3.4.3). */
  #isLow(isAppLimited: boolean, priorDelivered: number): boolean {
    return isAppLimited || priorDelivered < this.#lowUntilDelivered;
  }

  /** Once a round, respond to its losses (§5.5.10.3, and §5.3.1.3 in Startup). */
  #adaptLower(): void {
    const model = this.#model;
    // The draft adapts to any loss. Then 1 % of random loss takes 1 % off the rate in every round of cruising, which is a
    // third by the next probe; what a probe may lose, cruising may lose as well.
    if (!model.isRoundLossy(this.#mtu)) return;
    if (this.#state === 'Startup') {
      if (model.lossEventsInRound < STARTUP_FULL_LOSS_EVENTS) return;
      this.#undoState = 'Startup';
      this.#pipe.isReached = true;
      this.#bounds.inflightHi = Math.max(model.bdp(this.#control.bw) ?? 0, model.inflightLatest);
      return;
    }
    if (this.#state === 'Refill' || this.#state === 'Up') return;
    this.#bounds.adaptLower(model.maxBw.value, this.#control.window, model.bwLatest, model.inflightLatest);
  }

  #enterDrain(now: Instant): void {
    this.#state = 'Drain';
    this.#drainStartRound = this.#model.roundCount;
    this.#drainStartedAt = now;
  }

  /**
   * Startup sends nearly three times what arrives, so what overflowed goes on being reported for a round trip after it, and what
   * is delivered meanwhile says how much was dropped and not what the path bears. inflight_hi and Drain are the answer to all of
   * it; the draft also lets it lower the short-term bounds, which then hold until the next probe, seconds later.
   */
  #isAnsweredByDrain(loss: LossSample): boolean {
    return this.#state !== 'Startup' && !loss.isPersistent && loss.largestSentAt <= this.#drainStartedAt;
  }

  #checkDrainDone(sample: AckSample, now: Instant): void {
    if (this.#state !== 'Drain') return;
    const isDrained = sample.bytesInFlight <= this.#control.inflight(1, this.#state);
    // §5.3.2: an estimate that was too high must not hold the flow here.
    if (isDrained || this.#model.roundCount > this.#drainStartRound + DRAIN_ROUNDS_MAX) this.#startDown(now);
  }

  /** UpdateProbeBWCyclePhase (§5.3.3.9). */
  #updateCycle(sample: AckSample, rate: RateSample, isLow: boolean, now: Instant): void {
    if (!this.#pipe.isReached) return;
    if (this.#adaptLong(sample, rate, isLow)) return;
    switch (this.#state) {
      case 'Down':
        if (this.#isTimeToProbe(now)) this.#startRefill();
        else if (this.#isTimeToCruise(sample.bytesInFlight)) this.#state = 'Cruise';
        return;
      case 'Cruise':
        if (this.#isTimeToProbe(now)) this.#startRefill();
        return;
      case 'Refill':
        if (this.#model.isRoundStart) this.#startUp(rate);
        return;
      case 'Up':
        if (this.#isTimeToGoDown(sample.bytesInFlight, rate)) {
          this.#wasProbeTooHigh = false;
          this.#startDown(now);
        }
        return;
      default:
        return;
    }
  }

  /** AdaptLongTermModel: true where it decided on a state. */
  #adaptLong(sample: AckSample, rate: RateSample, isLow: boolean): boolean {
    if (this.#ackPhase === 'Starting' && this.#model.isRoundStart) this.#ackPhase = 'Feedback';
    if (this.#ackPhase === 'Stopping' && this.#model.isRoundStart) {
      // The last samples of the probe are in.
      this.#isProbeSample = false;
      this.#ackPhase = 'Init';
      if (isProbeBw(this.#state)) {
        if (!isLow) this.#model.maxBw.advance();
        // §5.3.3.6: a careful probe that lost little is followed by a full one at once.
        if (this.#wasProbePrecautionary && !this.#wasProbeTooHigh) {
          this.#startRefill();
          return true;
        }
      }
    }
    if (isExcessLoss(rate.lost, rate.sentInFlight, this.#mtu)) return false;
    this.#bounds.admit(rate.sentInFlight);
    if (this.#state === 'Up' && this.#isHeldByInflightHi()) {
      this.#bounds.raiseHigh(sample.bytes, this.#mtu);
      if (this.#model.isRoundStart) this.#bounds.raiseSlope(this.#control.window, this.#mtu);
    }
    return false;
  }

  #isHeldByInflightHi(): boolean {
    return (this.#isCwndLimited || this.#wasFull) && this.#control.window >= Math.floor(this.#bounds.inflightHi);
  }

  /** HandleInflightTooHigh (§5.5.10.2). */
  #onInflightTooHigh(inflight: number, isLow: boolean, now: Instant): void {
    this.#wasProbeTooHigh = true;
    // One reaction to a probe.
    this.#isProbeSample = false;
    if (!isLow) this.#bounds.lowerHigh(inflight, this.#targetInflight());
    if (this.#state !== 'Up') return;
    this.#undoState = 'Up';
    this.#startDown(now);
  }

  #startDown(now: Instant): void {
    this.#model.resetSignals();
    this.#bounds.stopProbe();
    // PickProbeWait (§5.3.3.8.3).
    const chance = randomU32(this.#rng);
    this.#roundsSinceProbe = chance & 1;
    this.#probeWait = PROBE_WAIT_BASE + Math.floor(((chance >>> 1) / 2 ** 31) * PROBE_WAIT_SPREAD);
    this.#cycleStart = now;
    this.#ackPhase = 'Stopping';
    this.#model.startRound();
    this.#state = 'Down';
  }

  #startRefill(): void {
    this.#bounds.resetLower();
    this.#bounds.startProbe();
    this.#wasProbePrecautionary = false;
    this.#ackPhase = 'Refilling';
    this.#model.startRound();
    this.#state = 'Refill';
  }

  #startUp(rate: RateSample): void {
    this.#isProbeSample = true;
    this.#ackPhase = 'Starting';
    this.#model.startRound();
    this.#pipe.reset(rate.deliveryRate);
    this.#state = 'Up';
    this.#bounds.raiseSlope(this.#control.window, this.#mtu);
  }

  #isTimeToProbe(now: Instant): boolean {
    if (now > this.#cycleStart + this.#probeWait) return true;
    // IsRenoCoexistenceProbeTime: as many rounds as there are datagrams in flight.
    return this.#roundsSinceProbe >= Math.min(this.#targetInflight() / this.#mtu, RENO_ROUNDS_MAX);
  }

  #isTimeToCruise(bytesInFlight: number): boolean {
    if (bytesInFlight > this.#bounds.withHeadroom(this.#mtu)) return false;
    return bytesInFlight <= this.#control.inflightAt(this.#model.maxBw.value, 1, this.#state);
  }

  #isTimeToGoDown(bytesInFlight: number, rate: RateSample): boolean {
    // §5.3.3.6: the last probe lost too much at this level, so this one only touches it.
    if (this.#wasProbeTooHigh && bytesInFlight >= this.#bounds.inflightHi) {
      this.#wasProbePrecautionary = true;
      return true;
    }
    if (this.#isHeldByInflightHi()) {
      // The bound, not the path, keeps the rate from growing.
      this.#pipe.reset(rate.deliveryRate);
      return false;
    }
    return this.#pipe.isNow;
  }

  /** TargetInflight: the estimated BDP, unless congestion cut the window below it. */
  #targetInflight(): number {
    return Math.min(this.#model.bdp(this.#control.bw) ?? this.#control.window, this.#control.window);
  }

  /** UpdateMinRTT and CheckProbeRTT (§5.3.4.3). */
  #checkProbeRtt(sample: AckSample, now: Instant): void {
    const minRtt = this.#model.minRtt;
    // Taken before a sample from a full queue replaces the minimum.
    if (this.#state !== 'ProbeRtt' && minRtt.expires(now)) {
      this.#control.probeRttWindow = Math.max(
        PROBE_RTT_CWND_GAIN * (this.#model.bdp(this.#control.bw) ?? 0),
        MIN_PIPE_PACKETS * this.#mtu,
      );
    }
    minRtt.update(sample.rtt, now);
    if (this.#state !== 'ProbeRtt' && minRtt.isExpired && !this.#isIdleRestart) {
      this.#control.saveWindow();
      this.#state = 'ProbeRtt';
      this.#probeRtt.start();
      this.#ackPhase = 'Stopping';
      this.#model.startRound();
    }
    if (this.#state === 'ProbeRtt') this.#handleProbeRtt(sample.bytesInFlight, now);
    this.#isIdleRestart = false;
  }

  #handleProbeRtt(bytesInFlight: number, now: Instant): void {
    const model = this.#model;
    this.#lowUntilDelivered = model.delivered + bytesInFlight;
    if (this.#probeRtt.onAck(bytesInFlight, this.#control.probeRttWindow, model.isRoundStart, now)) model.startRound();
    else if (this.#probeRtt.isDone(false, now)) this.#exitProbeRtt(now);
  }

  #exitProbeRtt(now: Instant): void {
    this.#model.minRtt.refresh(now);
    this.#control.restoreWindow();
    // What was lost in a half-empty pipe does not bind a full one.
    this.#bounds.resetLower();
    if (this.#pipe.isReached) {
      this.#startDown(now);
      this.#state = 'Cruise';
    } else {
      this.#state = 'Startup';
    }
  }

  /** SaveStateUponLoss: an episode of losses begins. */
  #saveUponLoss(now: Instant): void {
    this.#episode.begin(now);
    this.#undoState = undefined;
    this.#control.saveWindow();
    this.#bounds.save();
  }
}
