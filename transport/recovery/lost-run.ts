import type { Instant } from '../../base/time.ts';

/**
 * Persistent congestion (RFC 9002 §7.6): how long a stretch of a path's packets was lost without a single one in it arriving.
 * Losses are declared in the order of sending, so the stretch is a run of consecutive sequence numbers. It is counted from and to
 * packets that asked for an ACK (§7.6.2) and were no MTU probes, whose loss says nothing of congestion (RFC 9000 §14.4).
 */
export class LostRun {
  #first = -1;
  #last = -1;
  #startSentAt: Instant | undefined;
  #longest = 0;

  /** The longest stretch that was begun or grew since the last call: from its first to its last packet that counts, in µs. */
  takeLongest(): number {
    const longest = this.#longest;
    this.#longest = 0;
    return longest;
  }

  onLost(sequence: number, sentAt: Instant, counts: boolean): void {
    if (this.#first < 0 || sequence !== this.#last + 1) {
      this.reset();
      this.#first = sequence;
    }
    this.#last = sequence;
    if (!counts) return;
    this.#startSentAt ??= sentAt;
    this.#longest = Math.max(this.#longest, sentAt - this.#startSentAt);
  }

  /** A packet thought lost has arrived. */
  onLateAck(sequence: number): void {
    if (sequence >= this.#first && sequence <= this.#last) this.reset();
  }

  reset(): void {
    this.#first = -1;
    this.#last = -1;
    this.#startSentAt = undefined;
  }
}
