import type { Instant } from './time.ts';
import { NEVER } from './time.ts';

/** Timers as data: a machine's few named deadlines. Nothing runs by itself; the owner asks what is due. */
export class Timers<Name extends string> {
  readonly #names: readonly Name[];
  readonly #deadlines: Instant[];

  constructor(names: readonly Name[]) {
    this.#names = names;
    this.#deadlines = names.map(() => NEVER);
  }

  set(name: Name, at: Instant): void {
    this.#deadlines[this.#names.indexOf(name)] = at;
  }

  stop(name: Name): void {
    this.set(name, NEVER);
  }

  get(name: Name): Instant {
    return this.#deadlines[this.#names.indexOf(name)]!;
  }

  next(): Instant {
    let next = NEVER;
    for (const deadline of this.#deadlines) if (deadline < next) next = deadline;
    return next;
  }

  /** Stops and names one timer that is due, in the order of the names; `undefined` when none is. */
  takeDue(now: Instant): Name | undefined {
    for (let i = 0; i < this.#deadlines.length; i++) {
      if (this.#deadlines[i]! <= now) {
        this.#deadlines[i] = NEVER;
        return this.#names[i];
      }
    }
    return undefined;
  }
}
