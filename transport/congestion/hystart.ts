import { MILLISECOND } from '../../base/time.ts';

/** RFC 9406 §4.3. */
export const MIN_RTT_THRESH: number = 4 * MILLISECOND;
export const MAX_RTT_THRESH: number = 16 * MILLISECOND;
export const MIN_RTT_DIVISOR = 8;
export const N_RTT_SAMPLE = 8;
export const CSS_GROWTH_DIVISOR = 4;
export const CSS_ROUNDS = 5;

/**
 * HyStart++ (RFC 9406): leaves the first slow start before the queue overflows. It compares the lowest RTT of this round trip
 * with that of the one before; once a queue shows, the window grows a quarter as fast (Conservative Slow Start) for up to five
 * rounds. Should the RTT fall again meanwhile, the rise was noise and slow start goes on at full speed; otherwise it is over.
 *
 * The limit L on what one ACK may add is left out: §4.3 sets it to infinity for senders that pace.
 */
export class HyStart {
  /** The first packet number past this round; unknown before the first ACK. */
  #roundEnd: number | undefined;
  #lastRoundMinimum: number = Number.POSITIVE_INFINITY;
  #roundMinimum: number = Number.POSITIVE_INFINITY;
  #samples = 0;
  #isConservative = false;
  #baseline: number = Number.POSITIVE_INFINITY;
  #conservativeRounds = 0;
  #isDone = false;

  get isConservative(): boolean {
    return this.#isConservative;
  }

  /** Slow start is over: congestion avoidance begins from here. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** How much the window grows for `acked` bytes (§4.2). */
  growth(acked: number): number {
    return this.#isConservative ? Math.floor(acked / CSS_GROWTH_DIVISOR) : acked;
  }

  onAck(largestNumber: number, nextNumber: number, rtt: number | undefined): void {
    if (this.#isDone) return;
    this.#roundEnd ??= nextNumber;
    if (largestNumber >= this.#roundEnd) this.#startRound(nextNumber);
    if (rtt === undefined) return;
    this.#roundMinimum = Math.min(this.#roundMinimum, rtt);
    this.#samples++;
    this.#judge();
  }

  #judge(): void {
    if (this.#samples < N_RTT_SAMPLE) return;
    if (this.#isConservative) {
      // §4.2: below the baseline that started it, so the exit was spurious.
      if (this.#roundMinimum < this.#baseline) {
        this.#isConservative = false;
        this.#baseline = Number.POSITIVE_INFINITY;
      }
      return;
    }
    if (this.#lastRoundMinimum === Number.POSITIVE_INFINITY) return;
    const threshold = Math.max(
      MIN_RTT_THRESH,
      Math.min(Math.floor(this.#lastRoundMinimum / MIN_RTT_DIVISOR), MAX_RTT_THRESH),
    );
    if (this.#roundMinimum < this.#lastRoundMinimum + threshold) return;
    this.#isConservative = true;
    this.#baseline = this.#roundMinimum;
    this.#conservativeRounds = 0;
  }

  #startRound(nextNumber: number): void {
    this.#roundEnd = nextNumber;
    this.#lastRoundMinimum = this.#roundMinimum;
    this.#roundMinimum = Number.POSITIVE_INFINITY;
    this.#samples = 0;
    // §4.2: the round in which CSS began counts as one of its own.
    if (this.#isConservative && ++this.#conservativeRounds >= CSS_ROUNDS) this.#isDone = true;
  }
}
