import type { Instant } from '../../base/time.ts';

/**
 * The losses behind one reaction of a controller, counted until they are explained: each packet that arrives after all takes one
 * off, and when none is left the whole episode was a mistake.
 */
export class LossEpisode {
  #since: Instant | undefined;
  #unexplained = 0;

  begin(now: Instant): void {
    this.#since = now;
    this.#unexplained = 0;
  }

  add(packets: number): void {
    this.#unexplained += packets;
  }

  /** It can no longer be undone. */
  settle(): void {
    this.#since = undefined;
  }

  /** `packets` declared lost at `declaredAt` have arrived. True, once, where that explains the last of the losses. */
  explain(packets: number, declaredAt: Instant): boolean {
    // What an earlier episode took for lost says nothing about this one.
    if (this.#since === undefined || declaredAt < this.#since) return false;
    this.#unexplained -= packets;
    if (this.#unexplained > 0) return false;
    this.#since = undefined;
    return true;
  }
}
