import type { Instant } from '../../base/time.ts';
import { SECOND } from '../../base/time.ts';
import type { RateSample } from './controller.ts';

/** What the columns take for one packet. */
export const DELIVERY_BYTES = 41;

/**
 * Delivery-rate estimation (draft-ietf-ccwg-bbr §4.1): how fast the network really delivers. Every packet remembers how much had
 * been delivered when it left; when it is acknowledged, what was delivered meanwhile over the time that took is a rate. The time
 * is the longer of the two that could have limited it, that of sending and that of acknowledging, so that neither a burst out
 * nor a burst of ACKs back looks like bandwidth.
 *
 * What is remembered of a packet are numbers in columns, one slot a packet; the recovery owns the slots. One ACK is
 * `onAcked` for each newly acknowledged packet, then `finish`, then `onLost` for what the ACK showed to be lost.
 */
export class DeliveryRecords {
  readonly capacity: number;
  readonly delivered: Float64Array;
  readonly deliveredAt: Float64Array;
  readonly firstSentAt: Float64Array;
  readonly lost: Float64Array;
  readonly sentInFlight: Float64Array;
  readonly isAppLimited: Uint8Array;

  /** At the beginning of the buffer, which the owner may have more columns in. */
  constructor(capacity: number, buffer: ArrayBuffer = new ArrayBuffer(DELIVERY_BYTES * capacity)) {
    this.capacity = capacity;
    this.delivered = new Float64Array(buffer, 0, capacity);
    this.deliveredAt = new Float64Array(buffer, 8 * capacity, capacity);
    this.firstSentAt = new Float64Array(buffer, 16 * capacity, capacity);
    this.lost = new Float64Array(buffer, 24 * capacity, capacity);
    this.sentInFlight = new Float64Array(buffer, 32 * capacity, capacity);
    this.isAppLimited = new Uint8Array(buffer, 40 * capacity, capacity);
  }

  /** For an owner that grows: slot `from` here becomes slot `to` there. */
  copy(from: number, target: DeliveryRecords, to: number): void {
    target.delivered[to] = this.delivered[from]!;
    target.deliveredAt[to] = this.deliveredAt[from]!;
    target.firstSentAt[to] = this.firstSentAt[from]!;
    target.lost[to] = this.lost[from]!;
    target.sentInFlight[to] = this.sentInFlight[from]!;
    target.isAppLimited[to] = this.isAppLimited[from]!;
  }
}

export class RateSampler {
  #delivered = 0;
  #deliveredAt = 0;
  #firstSentAt = 0;
  #lost = 0;
  /** C.app_limited: the sending is marked until more than this has been delivered; 0 where it is not. */
  #limitedUntil = 0;

  // The newest packet acknowledged since `finish` (RS in the draft); −1 where there is none.
  #newestNumber = -1;
  #newestSentAt = 0;
  #priorDelivered = 0;
  #priorAt = 0;
  #sendElapsed = 0;
  #priorLost = 0;
  #sentInFlight = 0;
  #isAppLimited = false;

  /** Bytes delivered so far. */
  get delivered(): number {
    return this.#delivered;
  }

  get isAppLimited(): boolean {
    return this.#limitedUntil > 0;
  }

  /** A packet goes out: its slot is filled in. `bytesInFlight` includes it. */
  onSent(records: DeliveryRecords, slot: number, bytes: number, bytesInFlight: number, now: Instant): void {
    // Out of an empty pipe: what is delivered from here on is measured from here.
    if (bytesInFlight <= bytes) {
      this.#firstSentAt = now;
      this.#deliveredAt = now;
    }
    records.firstSentAt[slot] = this.#firstSentAt;
    records.deliveredAt[slot] = this.#deliveredAt;
    records.delivered[slot] = this.#delivered;
    records.lost[slot] = this.#lost;
    records.sentInFlight[slot] = bytesInFlight;
    records.isAppLimited[slot] = this.#limitedUntil > 0 ? 1 : 0;
  }

  onAcked(
    records: DeliveryRecords,
    slot: number,
    packetNumber: number,
    bytes: number,
    sentAt: Instant,
    now: Instant,
  ): void {
    this.#delivered += bytes;
    this.#deliveredAt = now;
    if (packetNumber <= this.#newestNumber) return;
    this.#newestNumber = packetNumber;
    this.#newestSentAt = sentAt;
    this.#priorDelivered = records.delivered[slot]!;
    this.#priorAt = records.deliveredAt[slot]!;
    this.#sendElapsed = sentAt - records.firstSentAt[slot]!;
    this.#priorLost = records.lost[slot]!;
    this.#sentInFlight = records.sentInFlight[slot]!;
    this.#isAppLimited = records.isAppLimited[slot] === 1;
  }

  onLost(bytes: number): void {
    this.#lost += bytes;
  }

  /** Bytes declared lost since that packet was sent. */
  lostSince(records: DeliveryRecords, slot: number): number {
    return this.#lost - records.lost[slot]!;
  }

  /** The sender has nothing to send, or no credit to, while the window has room. */
  onAppLimited(bytesInFlight: number): void {
    this.#limitedUntil = Math.max(this.#delivered + bytesInFlight, 1);
  }

  /** After the packets of one ACK; `undefined` where it acknowledged none. `minimumRtt` may be 0 where it is not known. */
  finish(minimumRtt: number): RateSample | undefined {
    // The bubble has passed through.
    if (this.#limitedUntil > 0 && this.#delivered > this.#limitedUntil) this.#limitedUntil = 0;
    if (this.#newestNumber < 0) return undefined;
    this.#newestNumber = -1;
    // Sampling of sends starts anew at the newest packet; an older one that arrives late must not turn it back.
    if (this.#newestSentAt > this.#firstSentAt) this.#firstSentAt = this.#newestSentAt;
    const delivered = this.#delivered - this.#priorDelivered;
    const interval = Math.max(this.#sendElapsed, this.#deliveredAt - this.#priorAt, 0);
    return {
      deliveryRate: interval > 0 && interval >= minimumRtt ? (delivered * SECOND) / interval : 0,
      delivered,
      interval,
      priorDelivered: this.#priorDelivered,
      totalDelivered: this.#delivered,
      sentInFlight: this.#sentInFlight,
      lost: this.#lost - this.#priorLost,
      isAppLimited: this.#isAppLimited,
    };
  }
}
