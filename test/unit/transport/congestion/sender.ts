import { after, earliest, type Instant, instant, NEVER, SECOND } from '../../../../base/time.ts';
import type { CongestionController } from '../../../../transport/congestion/controller.ts';
import { DeliveryRecords, RateSampler } from '../../../../transport/congestion/rate-sampler.ts';
import { PacingBudget } from '../../../../transport/pacer.ts';
import { MAX_ACK_DELAY, RttEstimator, TIMER_GRANULARITY } from '../../../../transport/rtt.ts';
import type { Receiver } from './receiver.ts';

const SLOTS = 2 ** 16;
/** RFC 9002 §6.1.1. */
const PACKET_THRESHOLD = 3;
/** The longest time between two probes, as the transport promises. */
const PROBE_INTERVAL_MAX = SECOND;

/** What became of a packet; 0 is a slot that was never used. */
const IN_FLIGHT = 1;
const ACKED = 2;
const LOST = 3;

/** The sending end of one flow: RFC 9002's loss detection in its shortest form, around a controller and a pacer. */
export class Sender {
  readonly controller: CongestionController;
  readonly rtt: RttEstimator = new RttEstimator();
  sent = 0;
  lost = 0;
  bytesInFlight = 0;

  readonly #mtu: number;
  readonly #segments: number;
  readonly #credit: number;
  readonly #pacer: PacingBudget;
  readonly #sampler = new RateSampler();
  readonly #records = new DeliveryRecords(SLOTS);
  readonly #state = new Uint8Array(SLOTS);
  readonly #sentAt = new Float64Array(SLOTS);
  readonly #segment = new Float64Array(SLOTS);
  readonly #declaredAt = new Float64Array(SLOTS);
  readonly #resend: number[] = [];
  #resendAt = 0;
  #nextNumber = 0;
  #nextSegment = 0;
  /** The first packet that is neither acknowledged nor lost, and the largest acknowledged. */
  #oldest = 0;
  #largestAcked = -1;
  /** How much of the receiver's log has been seen, and its first missing segment. */
  #seen = 0;
  #contiguous = 0;
  #lossAt: Instant = NEVER;
  #probeAt: Instant = NEVER;
  #probeCount = 0;
  #probes = 0;

  constructor(
    controller: CongestionController,
    mtu: number,
    segments: number | undefined,
    credit: number | undefined,
    now: Instant,
  ) {
    this.controller = controller;
    this.#mtu = mtu;
    this.#segments = segments ?? Number.POSITIVE_INFINITY;
    this.#credit = credit ?? Number.POSITIVE_INFINITY;
    this.#pacer = new PacingBudget(mtu, now);
    this.#pacer.follow(controller, this.rtt.smoothed, now);
  }

  onAck(receiver: Receiver, count: number, contiguous: number, now: Instant): void {
    this.#contiguous = Math.max(this.#contiguous, contiguous);
    let packets = 0;
    let largest = -1;
    let spurious = 0;
    let declaredAt = NEVER;
    for (; this.#seen < count; this.#seen++) {
      const number = receiver.at(this.#seen);
      const slot = number % SLOTS;
      if (this.#state[slot] === LOST) {
        spurious++;
        declaredAt = earliest(declaredAt, instant(this.#declaredAt[slot]!));
      }
      if (this.#state[slot] !== IN_FLIGHT) continue;
      this.#state[slot] = ACKED;
      this.bytesInFlight -= this.#mtu;
      packets++;
      this.#sampler.onAcked(this.#records, slot, number, this.#mtu, instant(this.#sentAt[slot]!), now);
      if (number > largest) largest = number;
    }
    if (spurious > 0) this.controller.onSpuriousLoss(spurious, declaredAt, now);
    if (packets === 0) return;
    const sentAt = instant(this.#sentAt[largest % SLOTS]!);
    let sample: number | undefined;
    if (largest > this.#largestAcked) {
      this.#largestAcked = largest;
      sample = now - sentAt;
      this.rtt.sample(sample, 0);
    }
    const rate = this.#sampler.finish(this.rtt.minimum);
    this.controller.onAck(
      {
        bytes: packets * this.#mtu,
        packets,
        largestNumber: largest,
        largestSentAt: sentAt,
        nextNumber: this.#nextNumber,
        bytesInFlight: this.bytesInFlight,
        rtt: sample,
        smoothedRtt: this.rtt.smoothed,
        minimumRtt: this.rtt.minimum,
        rate,
        isAppLimited: rate?.isAppLimited ?? false,
      },
      now,
    );
    this.#probeCount = 0;
    this.#detectLoss(now);
    this.#setProbeTimer(now);
    this.#pacer.follow(this.controller, this.rtt.smoothed, now);
  }

  onTimeout(now: Instant): void {
    if (this.#lossAt <= now) {
      this.#detectLoss(now);
      this.#setProbeTimer(now);
      this.#pacer.follow(this.controller, this.rtt.smoothed, now);
    } else if (this.#probeAt <= now) {
      // §6.2.4: two probes.
      this.#probeCount++;
      this.#probes = 2;
      this.#setProbeTimer(now);
    }
  }

  send(now: Instant, out: (number: number, segment: number) => void): void {
    for (;;) {
      const isProbe = this.#probes > 0;
      if (!isProbe) {
        if (this.bytesInFlight + this.#mtu > this.controller.window) return;
        if (!this.#hasData()) {
          this.#sampler.onAppLimited(this.bytesInFlight);
          this.controller.onAppLimited(this.bytesInFlight, now);
          return;
        }
        if (this.#pacer.available(now) < this.#mtu) return;
      }
      const segment = this.#take(isProbe);
      if (isProbe) this.#probes--;
      if (segment < 0) continue;
      const number = this.#nextNumber++;
      const slot = number % SLOTS;
      this.#state[slot] = IN_FLIGHT;
      this.#sentAt[slot] = now;
      this.#segment[slot] = segment;
      this.bytesInFlight += this.#mtu;
      this.sent++;
      this.#sampler.onSent(this.#records, slot, this.#mtu, this.bytesInFlight, now);
      this.controller.onSent(this.#mtu, this.bytesInFlight, now);
      this.#pacer.onSent(this.#mtu, now);
      this.#setProbeTimer(now);
      out(number, segment);
    }
  }

  nextTimeout(now: Instant): Instant {
    let next = earliest(this.#lossAt, this.#probeAt);
    if (this.#hasData() && this.bytesInFlight + this.#mtu <= this.controller.window) {
      next = earliest(next, this.#pacer.nextSendAt(this.#pacer.quantum, now));
    }
    return next;
  }

  #hasData(): boolean {
    return (
      this.#resendAt < this.#resend.length ||
      (this.#nextSegment < this.#segments && this.#nextSegment < this.#contiguous + this.#credit)
    );
  }

  /** What was lost first, then what is new; a probe with neither repeats the oldest in flight (§6.2.4). −1: nothing. */
  #take(isProbe: boolean): number {
    if (this.#resendAt < this.#resend.length) return this.#resend[this.#resendAt++]!;
    if (this.#resend.length > 0) {
      this.#resend.length = 0;
      this.#resendAt = 0;
    }
    if (this.#hasData()) return this.#nextSegment++;
    if (!isProbe) return -1;
    // The second probe repeats the second oldest, if there is one.
    let skip = this.#probes === 1 ? 1 : 0;
    let found = -1;
    for (let number = this.#oldest; number < this.#nextNumber; number++) {
      if (this.#state[number % SLOTS] !== IN_FLIGHT) continue;
      found = this.#segment[number % SLOTS]!;
      if (skip-- === 0) break;
    }
    return found;
  }

  #detectLoss(now: Instant): void {
    this.#lossAt = NEVER;
    // §6.1.2.
    const delay = Math.max(Math.ceil((9 * Math.max(this.rtt.smoothed, this.rtt.latest)) / 8), TIMER_GRANULARITY);
    let packets = 0;
    let newest = -1;
    let runStart = -1;
    let isPersistent = false;
    const persistentAfter =
      3 * (this.rtt.smoothed + Math.max(4 * this.rtt.variation, TIMER_GRANULARITY) + MAX_ACK_DELAY);
    let isOldest = true;
    for (let number = this.#oldest; number < this.#largestAcked; number++) {
      const slot = number % SLOTS;
      if (this.#state[slot] !== IN_FLIGHT) {
        if (this.#state[slot] === ACKED) runStart = -1;
        if (isOldest) this.#oldest = number + 1;
        continue;
      }
      const sentAt = this.#sentAt[slot]!;
      if (number > this.#largestAcked - PACKET_THRESHOLD && sentAt + delay > now) {
        isOldest = false;
        this.#lossAt = earliest(this.#lossAt, instant(sentAt + delay));
        continue;
      }
      this.#state[slot] = LOST;
      this.#declaredAt[slot] = now;
      this.bytesInFlight -= this.#mtu;
      this.#sampler.onLost(this.#mtu);
      this.#resend.push(this.#segment[slot]!);
      packets++;
      newest = slot;
      if (runStart < 0) runStart = sentAt;
      // §7.6.
      else if (sentAt - runStart > persistentAfter) isPersistent = true;
      if (isOldest) this.#oldest = number + 1;
    }
    if (packets === 0) return;
    this.lost += packets;
    const largestNumber = this.#largestAcked - (((this.#largestAcked % SLOTS) - newest + SLOTS) % SLOTS);
    this.controller.onLoss(
      {
        bytes: packets * this.#mtu,
        packets,
        largestNumber,
        largestSentAt: instant(this.#sentAt[newest]!),
        nextNumber: this.#nextNumber,
        bytesInFlight: this.bytesInFlight,
        sentInFlight: this.#records.sentInFlight[newest]!,
        lostSinceSent: this.#sampler.lostSince(this.#records, newest),
        isAppLimited: this.#records.isAppLimited[newest] === 1,
        isPersistent,
      },
      now,
    );
  }

  #setProbeTimer(now: Instant): void {
    this.#probeAt = NEVER;
    if (this.bytesInFlight === 0 && this.#resendAt >= this.#resend.length) return;
    const timeout = this.rtt.probeTimeout * 2 ** Math.min(this.#probeCount, 10);
    this.#probeAt = after(now, Math.min(timeout, Math.max(PROBE_INTERVAL_MAX, this.rtt.probeTimeout)));
  }
}
