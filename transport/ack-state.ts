import type { Instant } from '../base/time.ts';
import { after, NEVER } from '../base/time.ts';
import type { AckFrame } from '../wire/frames.ts';
import { ACK_AFTER_PACKETS, ACK_RANGES_SENT_MAX } from './constants.ts';
import { ReceivedRanges } from './received-ranges.ts';
import { MAX_ACK_DELAY } from './rtt.ts';

/** What was received and when to say so (RFC 9000 §13.2). */
export class AckState {
  readonly #ranges: ReceivedRanges = new ReceivedRanges();
  #highestAt: Instant = 0 as Instant;
  #owed = 0;
  #deadline: Instant = NEVER;

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
}
