import { after, type Instant } from '../../../base/time.ts';
import { PROBE_RTT_DURATION } from './constants.ts';

/** How long a ProbeRTT lasts (§5.3.4.3): a fifth of a second and a round trip, from when the flight has shrunk to its target. */
export class ProbeRtt {
  #doneAt: Instant | undefined;
  #isRoundDone = false;

  start(): void {
    this.#doneAt = undefined;
  }

  /** True where the flight has just shrunk, and the round trip to wait for begins. */
  onAck(bytesInFlight: number, target: number, isRoundStart: boolean, now: Instant): boolean {
    if (this.#doneAt === undefined) {
      if (bytesInFlight > target) return false;
      this.#doneAt = after(now, PROBE_RTT_DURATION);
      this.#isRoundDone = false;
      return true;
    }
    if (isRoundStart) this.#isRoundDone = true;
    return false;
  }

  /** The flight was small for long enough; an idle sender need not wait for its round. */
  isDone(isIdle: boolean, now: Instant): boolean {
    return this.#doneAt !== undefined && now > this.#doneAt && (isIdle || this.#isRoundDone);
  }
}
