import { describe, expect, it } from 'vitest';
import { Turns, type Worker } from '../../../ipc/turns.ts';

/** With so many pieces of work, each of which is written down; a piece takes so long. */
class Busy implements Worker {
  readonly #name: string;
  readonly #done: string[];
  readonly #milliseconds: number;
  left: number;

  constructor(name: string, left: number, done: string[], milliseconds = 0) {
    this.#name = name;
    this.left = left;
    this.#done = done;
    this.#milliseconds = milliseconds;
  }

  step(): boolean {
    this.#done.push(this.#name);
    this.left -= 1;
    for (const end = performance.now() + this.#milliseconds; performance.now() < end; );
    return this.left > 0;
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** Longer than any test. */
const FOR_EVER = 1e9;

describe('turns', () => {
  it('do at once what there is time for', () => {
    const done: string[] = [];
    new Turns(FOR_EVER).add(new Busy('a', 3, done));
    expect(done).toEqual(['a', 'a', 'a']);
  });

  it('do one piece at least, and the rest in turns to come', async () => {
    const done: string[] = [];
    new Turns(1).add(new Busy('a', 3, done, 2));
    for (const count of [1, 2, 3, 3]) {
      expect(done).toHaveLength(count);
      await nextTurn();
    }
  });

  it('go from one to the other', async () => {
    const done: string[] = [];
    const turns = new Turns(1);
    for (const name of ['a', 'b', 'c']) turns.add(new Busy(name, 9, done, 1));
    while (done.length < 27) await nextTurn();
    // From when the last of them has begun.
    const rounds = done.slice(done.indexOf('c') + 1).slice(0, 12);
    for (let i = 0; i < 12; i += 3) expect(new Set(rounds.slice(i, i + 3)).size).toBe(3);
  });

  it('let in who is new before those who always have work, and do not forget those either', async () => {
    const done: string[] = [];
    const turns = new Turns(1);
    for (const name of ['a', 'b', 'c', 'd']) turns.add(new Busy(name, 100, done, 1));
    while (done.length < 20) await nextTurn();
    const before = done.length;
    for (let i = 0; i < 3; i++) turns.add(new Busy(`new ${i}`, 1, done, 1));
    while (!done.includes('new 2')) await nextTurn();
    const since = done.slice(before);
    expect(since.indexOf('new 0')).toBeLessThanOrEqual(1);
    // Each after one of the old.
    expect(since.indexOf('new 2')).toBeLessThanOrEqual(5);
    expect(since.filter((name) => !name.startsWith('new')).length).toBeGreaterThanOrEqual(2);
  });

  it('hold whoever is added twice once', async () => {
    const done: string[] = [];
    const turns = new Turns(1);
    turns.add(new Busy('first', 1, done, 2));
    const twice = new Busy('a', 1, done);
    turns.add(twice);
    turns.add(twice);
    await nextTurn();
    await nextTurn();
    expect(done).toEqual(['first', 'a']);
  });

  it('take what is added by a piece of work after that piece', () => {
    const done: string[] = [];
    const turns = new Turns(FOR_EVER);
    turns.add({
      step: () => {
        turns.add(new Busy('inner', 1, done));
        done.push('outer');
        return false;
      },
    });
    expect(done).toEqual(['outer', 'inner']);
  });

  it('hold whoever adds itself while it works once', async () => {
    const turns = new Turns(FOR_EVER);
    let steps = 0;
    const worker: Worker = {
      step: () => {
        steps += 1;
        if (steps === 1) turns.add(worker);
        return steps === 1;
      },
    };
    turns.add(worker);
    expect(steps).toBe(2);
  });
});
