import { FULL_BW_GROWTH, FULL_BW_ROUNDS } from './constants.ts';

/** Whether sending faster still delivers faster (draft-ietf-ccwg-bbr §5.3.1.2): three rounds without a quarter more say no. */
export class FullPipe {
  /** Ever full: Startup is over for good. */
  isReached = false;
  #isNow = false;
  #bw = 0;
  #rounds = 0;

  /** Full in the present probe. */
  get isNow(): boolean {
    return this.#isNow;
  }

  /** A new attempt, from `bw` on. */
  reset(bw = 0): void {
    this.#bw = bw;
    this.#rounds = 0;
    this.#isNow = false;
  }

  /** Once a round, for a sample the application did not limit. */
  onRound(deliveryRate: number): void {
    if (this.#isNow) return;
    if (deliveryRate >= this.#bw * FULL_BW_GROWTH) {
      this.reset(deliveryRate);
      return;
    }
    if (++this.#rounds < FULL_BW_ROUNDS) return;
    this.#isNow = true;
    this.isReached = true;
  }
}
