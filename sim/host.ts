import { after, type Instant, NEVER } from '../base/time.ts';
import type { SimAddress } from './address.ts';
import type { SimMachine } from './machine.ts';
import type { SeededRng } from './rng.ts';

/** A host's place in the network, and its one timer. */
export class Host {
  readonly name: string;
  /** When its queued wakes come, the earliest last. */
  readonly wakes: Instant[] = [];
  readonly #rng: SeededRng;
  addresses: readonly SimAddress[] = [];
  machine: SimMachine | undefined;
  isPaused = false;
  /** From an input to the timer set after it. */
  isBusy = false;
  timerLateness = 0;
  timeouts = 0;
  /** Calls of `handleTimeout` that left the timer due, in a row. */
  spins = 0;
  /** What the machine wants, and when it gets it. */
  timerAt: Instant = NEVER;
  fireAt: Instant = NEVER;

  constructor(name: string, rng: SeededRng) {
    this.name = name;
    this.#rng = rng;
  }

  get isRunning(): boolean {
    return this.machine !== undefined && !this.isPaused;
  }

  arm(wanted: Instant, now: Instant): void {
    if (wanted === this.timerAt) return;
    this.timerAt = wanted;
    if (wanted === NEVER) {
      this.fireAt = NEVER;
      return;
    }
    const lateness = this.timerLateness === 0 ? 0 : this.#rng.below(this.timerLateness + 1);
    this.fireAt = after(wanted < now ? now : wanted, lateness);
  }

  disarm(): void {
    this.timerAt = NEVER;
    this.fireAt = NEVER;
  }
}
