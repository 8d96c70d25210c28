import type { Instant } from '../../base/time.ts';
import { after, MILLISECOND, NEVER } from '../../base/time.ts';
import type { AckFrame } from '../../wire/frames.ts';
import { ACK_AFTER_PACKETS, ACK_RANGES_SENT_MAX } from '../constants.ts';
import { INITIAL_RTT, MAX_ACK_DELAY } from '../rtt.ts';
import type { AckDraft } from '../scratch.ts';
import { ReceivedNumbers } from './received-numbers.ts';

/** Packets acknowledged two by two at first, and again after a pause: the sender's window is small, and grows with each ACK. */
export const ACK_EAGER_PACKETS = 100;
/** With nothing received for so many round trips the sender starts small again. */
const PAUSE_ROUND_TRIPS = 4;
/** ACKs a round trip at the least, once many packets come (the ack-frequency draft, §8.2, advises so many). */
const ACKS_PER_ROUND_TRIP = 4;
/**
 * And however long the round trip, one in this time: a sender held by a small window sends all of it at once, and what the ACK
 * puts off is lost to it in every round trip. A thousand ACKs a second cost nothing worth saving.
 */
export const ACK_INTERVAL_MAX: number = 1 * MILLISECOND;
/**
 * One packet alone waits for a second a twelfth of a round trip: an odd one at the end of a small window comes in every round
 * trip, and delays the next by as long as it waits. But it waits at least as long as an answer takes that could carry the ACK.
 */
const LONE_WAITS_PER_ROUND_TRIP = 12;
const LONE_WAIT_MIN: number = 5 * MILLISECOND;
/** Packets that wait for one ACK at the most, however short the time: more would make the sender burst. */
export const ACK_PACKETS_MAX = 64;
/** After so many ACKs that nobody acknowledged, while there are gaps to repeat, one asks for an answer (RFC 9000 §13.2.4). */
export const ACKS_UNANSWERED_MAX = 16;

/**
 * What was received, and when to say so (RFC 9000 §13.2). The owner sends an ACK when `deadline` has come *after it has read all
 * that waits*, so a batch of packets gets one ACK, whatever is in it; and puts one into any packet it sends while `isOwed`.
 *
 * - At once: a packet out of order or after a gap (§13.2.1), and one whose sender waits on the answer.
 * - Of plain data, two packets (§13.2.2), as long as ACKs are rare: for the first hundred packets, after a pause, and wherever the
 *   last ACK is a quarter of a round trip or a millisecond past. At high rates that is often enough, or one ACK for 64 packets.
 * - One packet alone waits a twelfth of a round trip for a second, 5 ms at the least and 25 ms at the most.
 *
 * What an ACK reported is dropped once that ACK was itself acknowledged (§13.2.4). ACKs alone are acknowledged by nobody: when many
 * have gone out and there are gaps that each of them repeats, `wantsAnswer` asks the owner to add a PING.
 */
export class AckPolicy {
  readonly #received: ReceivedNumbers = new ReceivedNumbers();
  #highestAt: Instant = 0 as Instant;
  /** Packets that ask for an ACK since the last one. */
  #owed = 0;
  #deadline: Instant = NEVER;
  #roundTrip: number = INITIAL_RTT;
  #lastAckAt: Instant = Number.NEGATIVE_INFINITY as Instant;
  #lastReceivedAt: Instant = Number.NEGATIVE_INFINITY as Instant;
  #eager: number = ACK_EAGER_PACKETS;
  #unanswered = 0;
  /** The lowest number received since the last ACK. */
  #lowestNews: number = Number.POSITIVE_INFINITY;
  readonly #draft: AckDraft;

  constructor(draft: AckDraft) {
    this.#draft = draft;
  }

  /** −1 before any packet. */
  get highest(): number {
    return this.#received.highest;
  }

  /** When the ACK must go out. */
  get deadline(): Instant {
    return this.#deadline;
  }

  /** Whether an ACK would tell the peer something it waits for. */
  get isOwed(): boolean {
    return this.#owed > 0;
  }

  /** Whether the packet that carries the next ACK should ask for one itself. */
  get wantsAnswer(): boolean {
    return this.#unanswered >= ACKS_UNANSWERED_MAX && this.#received.count > 1;
  }

  get rangeCount(): number {
    return this.#received.count;
  }

  /** The smoothed RTT of the active path: ACKs go out by it, and what they answer mostly came by it. */
  onRoundTrip(rtt: number): void {
    this.#roundTrip = rtt;
  }

  /** `isUrgent` is for packets whose sender waits on the answer: everything but plain data. */
  received(packetNumber: number, asksForAck: boolean, isUrgent: boolean, now: Instant): void {
    const inOrder = packetNumber === this.#received.highest + 1;
    if (packetNumber > this.#received.highest) this.#highestAt = now;
    this.#received.add(packetNumber);
    if (packetNumber < this.#lowestNews) this.#lowestNews = packetNumber;
    if (!asksForAck) return;
    if (now - this.#lastReceivedAt > PAUSE_ROUND_TRIPS * this.#roundTrip) this.#eager = ACK_EAGER_PACKETS;
    this.#lastReceivedAt = now;
    if (this.#eager > 0) this.#eager -= 1;
    this.#owed += 1;
    const due = !inOrder || isUrgent ? now : this.#dueForData(now);
    if (due < this.#deadline) this.#deadline = due;
  }

  /** The frame to send now. It is written over by the next one: encode it at once. */
  frame(now: Instant): AckFrame {
    this.#received.top(ACK_RANGES_SENT_MAX, this.#lowestNews, this.#draft.ranges);
    this.#draft.delayUs = now - this.#highestAt;
    return this.#draft;
  }

  /** The frame went out, in a packet that asks for an ACK itself or not. */
  sent(asksForAck: boolean, now: Instant): void {
    this.#owed = 0;
    this.#lowestNews = Number.POSITIVE_INFINITY;
    this.#deadline = NEVER;
    this.#lastAckAt = now;
    // Asked once, it is asked again only after as many ACKs: the answer may be lost.
    this.#unanswered = asksForAck ? 0 : this.#unanswered + 1;
  }

  /** An ACK that named `largest` as its largest number has been acknowledged: the peer knows all that it said. */
  onAckAcked(largest: number): void {
    this.#received.forgetTo(largest);
  }

  /** How long one packet alone waits for a second. */
  #patience(): number {
    const share = Math.ceil(this.#roundTrip / LONE_WAITS_PER_ROUND_TRIP);
    return Math.min(Math.max(share, LONE_WAIT_MIN), MAX_ACK_DELAY);
  }

  #dueForData(now: Instant): Instant {
    if (this.#owed < ACK_AFTER_PACKETS) return after(now, this.#patience());
    if (this.#eager > 0 || this.#owed >= ACK_PACKETS_MAX) return now;
    const interval = Math.min(this.#roundTrip / ACKS_PER_ROUND_TRIP, ACK_INTERVAL_MAX);
    return Math.max(now, Math.ceil(this.#lastAckAt + interval)) as Instant;
  }
}
