import type { Instant } from '../base/time.ts';
import { after, NEVER } from '../base/time.ts';
import type { AckFrame, AckRange } from '../wire/frames.ts';
import { ACK_AFTER_PACKETS, ACK_RANGES_SENT_MAX } from './constants.ts';
import { ReceivedRanges } from './received-ranges.ts';
import { MAX_ACK_DELAY } from './rtt.ts';

/** What was received and when to say so (RFC 9000 §13.2). */
export class AckState {
  readonly #ranges: ReceivedRanges = new ReceivedRanges();
  #highestAt: Instant = 0 as Instant;
  #owed = 0;
  #deadline: Instant = NEVER;
  /** The packet of ours that reported these ranges and asks for an ACK itself, and the largest number it reported. */
  #report: { readonly packetNumber: number; readonly largest: number } | undefined;

  get highest(): number {
    return this.#ranges.highest;
  }

  /** When the ACK must go out. */
  get deadline(): Instant {
    return this.#deadline;
  }

  /** Whether an ACK would tell the peer something it waits for. */
  get isOwed(): boolean {
    return this.#owed > 0;
  }

  /** Whether there is more to report than the newest run of packets. */
  get hasGaps(): boolean {
    return this.#ranges.count > 1;
  }

  /** `urgent` is for packets whose sender waits on the answer: everything but plain data. */
  received(packetNumber: number, asksForAck: boolean, urgent: boolean, now: Instant): void {
    const inOrder = packetNumber === this.#ranges.highest + 1;
    if (packetNumber > this.#ranges.highest) this.#highestAt = now;
    this.#ranges.add(packetNumber);
    if (!asksForAck) return;
    this.#owed += 1;
    // §13.2.1: a gap is reported at once, it may be a loss.
    if (urgent || !inOrder || this.#owed >= ACK_AFTER_PACKETS) this.#deadline = now;
    else if (this.#deadline === NEVER) this.#deadline = after(now, MAX_ACK_DELAY);
  }

  frame(now: Instant): AckFrame {
    return { kind: 'ack', delayUs: now - this.#highestAt, ranges: this.#ranges.top(ACK_RANGES_SENT_MAX) };
  }

  sent(): void {
    this.#owed = 0;
    this.#deadline = NEVER;
  }

  /** The frame went out in a packet that asks for an ACK. */
  reportedIn(packetNumber: number): void {
    this.#report ??= { packetNumber, largest: this.#ranges.highest };
  }

  /** RFC 9000 §13.2.4: once a report has arrived, what it said need not be said again. */
  reportsAcked(largestAcked: number, ranges: readonly AckRange[]): void {
    const report = this.#report;
    if (report === undefined || report.packetNumber > largestAcked) return;
    this.#report = undefined;
    const arrived = ranges.some(
      (range) => range.smallest <= report.packetNumber && report.packetNumber <= range.largest,
    );
    if (arrived) this.#ranges.dropBelow(report.largest);
  }
}
