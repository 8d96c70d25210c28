/** Somebody who has work, in small pieces. */
export interface Worker {
  /** Does one piece. False where there is no more for now: then it has to be added again. */
  step(): boolean;
}

/**
 * What programs ask for, cut into turns of the event loop: in each only so long, a piece of everybody's one after the other; then
 * the streams and the network have theirs. However many ask for however much, a turn stays that short. Who had nothing to do before
 * need not stand behind those who always have, but goes in alternation with them: as the new flows of RFC 8290 §4.2, and there
 * is no starving of the old ones by ever new ones either.
 */
export class Turns {
  readonly #milliseconds: number;
  readonly #fresh: Set<Worker> = new Set();
  /** Those that have had a piece of theirs done, and have more. */
  readonly #going: Set<Worker> = new Set();
  #nextTurn: NodeJS.Immediate | undefined;
  /** Of the turn, by the clock of `performance`. */
  #end = 0;
  #isWorking = false;
  #isFreshNext = true;

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
  }

  /** There is work: it begins at once where this turn has time left. Who has been added already is not added again. */
  add(worker: Worker): void {
    if (this.#going.has(worker)) return;
    this.#fresh.add(worker);
    if (this.#nextTurn === undefined) this.#begin();
    this.#work();
  }

  #begin(): void {
    this.#end = performance.now() + this.#milliseconds;
    this.#nextTurn = setImmediate(() => {
      this.#nextTurn = undefined;
      if (this.#fresh.size + this.#going.size === 0) return;
      this.#begin();
      this.#work();
    });
  }

  #work(): void {
    // A piece of work may lead to more, of its own or of somebody else.
    if (this.#isWorking) return;
    this.#isWorking = true;
    while (performance.now() < this.#end) {
      const worker = this.#take();
      if (worker === undefined) break;
      // By then it may have been added anew.
      if (worker.step() && !this.#fresh.has(worker)) this.#going.add(worker);
    }
    this.#isWorking = false;
  }

  #take(): Worker | undefined {
    const [first, second] = this.#isFreshNext ? [this.#fresh, this.#going] : [this.#going, this.#fresh];
    this.#isFreshNext = !this.#isFreshNext;
    const from = first.size > 0 ? first : second;
    for (const worker of from) {
      from.delete(worker);
      return worker;
    }
    return undefined;
  }
}
