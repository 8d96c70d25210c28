import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Deadlines } from '../../../base/deadlines.ts';
import { instant, NEVER } from '../../../base/time.ts';
import { SeededRng } from '../../../sim/rng.ts';

describe('deadlines', () => {
  it('give nothing while nothing is set', () => {
    const deadlines = new Deadlines<string>();
    expect(deadlines.size).toBe(0);
    expect(deadlines.next()).toBe(NEVER);
    expect(deadlines.takeDue(instant(Number.MAX_SAFE_INTEGER))).toBeUndefined();
  });

  it('are taken earliest first, each once, and not before their time', () => {
    const deadlines = new Deadlines<string>();
    deadlines.set('late', instant(30));
    deadlines.set('early', instant(10));
    deadlines.set('middle', instant(20));
    expect(deadlines.next()).toBe(10);
    expect(deadlines.takeDue(instant(9))).toBeUndefined();
    expect([deadlines.takeDue(instant(20)), deadlines.takeDue(instant(20))]).toEqual(['early', 'middle']);
    expect(deadlines.takeDue(instant(20))).toBeUndefined();
    expect([deadlines.size, deadlines.next()]).toEqual([1, 30]);
  });

  it('hold an item once, at its latest deadline', () => {
    const deadlines = new Deadlines<string>();
    deadlines.set('it', instant(10));
    deadlines.set('it', instant(40));
    deadlines.set('other', instant(20));
    expect([deadlines.size, deadlines.next()]).toEqual([2, 20]);
    deadlines.set('it', instant(5));
    expect(deadlines.next()).toBe(5);
  });

  it('forget an item that is set to never, known or not', () => {
    const deadlines = new Deadlines<string>();
    deadlines.set('it', instant(10));
    deadlines.set('it', NEVER);
    deadlines.set('stranger', NEVER);
    expect([deadlines.size, deadlines.next()]).toEqual([0, NEVER]);
  });

  it('give every one of those that are due at the same time', () => {
    const deadlines = new Deadlines<number>();
    for (let item = 0; item < 100; item++) deadlines.set(item, instant(7));
    const taken = new Set<number>();
    for (let item = deadlines.takeDue(instant(7)); item !== undefined; item = deadlines.takeDue(instant(7))) {
      taken.add(item);
    }
    expect(taken.size).toBe(100);
  });

  it('agree with a sorted list over any sequence of operations', () => {
    const operation = fc.oneof(
      { weight: 6, arbitrary: fc.record({ item: fc.nat(15), at: fc.nat(60) }) },
      { weight: 2, arbitrary: fc.record({ item: fc.nat(15), at: fc.constant(Number.POSITIVE_INFINITY) }) },
      { weight: 3, arbitrary: fc.record({ take: fc.nat(60) }) },
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 150 }), (operations) => {
        const model = new Model();
        for (const step of operations) {
          if ('take' in step) model.take(step.take);
          else model.set(step.item, step.at);
        }
      }),
    );
  });

  it('agree with a sorted list when there are many', () => {
    for (let seed = 0; seed < 3; seed++) {
      const rng = new SeededRng(seed);
      const model = new Model(`seed ${seed}`);
      for (let step = 0; step < 4_000; step++) {
        const draw = rng.below(10);
        if (draw < 7) model.set(rng.below(500), rng.below(1_000_000));
        else if (draw < 8) model.set(rng.below(500), NEVER);
        else model.take(rng.below(50_000));
      }
      model.drain();
    }
  });
});

/** Does everything twice: to the heap, and to a map that is searched. Of several due at once the heap may give any. */
class Model {
  readonly #deadlines: Deadlines<number> = new Deadlines();
  readonly #model: Map<number, number> = new Map();
  readonly #label: string;

  constructor(label = '') {
    this.#label = label;
  }

  set(item: number, at: number): void {
    this.#deadlines.set(item, instant(at));
    if (at === NEVER) this.#model.delete(item);
    else this.#model.set(item, at);
    this.#compare();
  }

  take(now: number): void {
    const least = this.#next();
    const taken = this.#deadlines.takeDue(instant(now));
    expect(taken === undefined ? 'nothing' : 'one', this.#label).toBe(least <= now ? 'one' : 'nothing');
    if (taken !== undefined) {
      expect(this.#model.get(taken), this.#label).toBe(least);
      this.#model.delete(taken);
    }
    this.#compare();
  }

  drain(): void {
    while (this.#model.size > 0) this.take(Number.MAX_SAFE_INTEGER);
    expect(this.#deadlines.size, this.#label).toBe(0);
  }

  #next(): number {
    let least: number = NEVER;
    for (const at of this.#model.values()) least = Math.min(least, at);
    return least;
  }

  #compare(): void {
    expect(this.#deadlines.size, this.#label).toBe(this.#model.size);
    expect(this.#deadlines.next(), this.#label).toBe(this.#next());
  }
}
