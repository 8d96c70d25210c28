import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../../base/assert.ts';
import { instant, MILLISECOND, SECOND } from '../../../base/time.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { REPLAY_WINDOW_MAX, REPLAY_WINDOW_MIN, SlidingReplayWindow } from '../../../transport/replay-window.ts';

const W = REPLAY_WINDOW_MIN;

/** Takes numbers like a tunnel does: committed where they pass. Slow enough that the window keeps its size. */
class Receiver {
  readonly window: SlidingReplayWindow;
  now = 0;
  readonly #pace: number;

  constructor(pace: number = SECOND, size: number = W) {
    this.window = new SlidingReplayWindow(size);
    this.#pace = pace;
  }

  take(number: number): boolean {
    this.now += this.#pace;
    const passes = this.window.check(number);
    if (passes) this.window.commit(number, instant(this.now));
    return passes;
  }
}

/** As many numbers, one after the other, as `times` windows hold. */
function cross(receiver: Receiver, from: number, times: number): number {
  const end = from + times * receiver.window.size;
  for (let number = from; number < end; number++) receiver.take(number);
  return end;
}

/**
 * The behaviours that RFC 6479's window is known to be got wrong by: repetitions, lateness inside and outside of the window,
 * and jumps. One window goes through all the steps.
 */
const STEPS: readonly (readonly [number, 'taken' | 'refused', string])[] = [
  [0, 'taken', 'the first number there is'],
  [0, 'refused', 'again'],
  [1, 'taken', 'the next'],
  [1, 'refused', 'again'],
  [9, 'taken', 'a small gap'],
  [8, 'taken', 'late by one'],
  [7, 'taken', 'late by two'],
  [7, 'refused', 'a late one again'],
  [9, 'refused', 'the highest again'],
  [W, 'taken', 'one more than the window spans from 0'],
  [W - 1, 'taken', 'just below the highest'],
  [W - 1, 'refused', 'again'],
  [W - 2, 'taken', 'below that'],
  [2, 'taken', 'never seen, near the low edge'],
  [2, 'refused', 'again'],
  [1, 'refused', 'seen, on the low edge'],
  [0, 'refused', 'just below the low edge'],
  [W + 16, 'taken', 'moves the edge to 17'],
  [3, 'refused', 'never seen, but below the edge'],
  [16, 'refused', 'never seen, just below the edge'],
  [17, 'taken', 'never seen, on the edge'],
  [17, 'refused', 'again'],
  [W + 16, 'refused', 'the highest again'],
  [4 * W, 'taken', 'a jump over more than the window'],
  [4 * W - (W - 1), 'taken', 'the lowest that it left open'],
  [10, 'refused', 'far below'],
  [4 * W - W, 'refused', 'exactly the window below the highest'],
  [4 * W - (W + 1), 'refused', 'one more than that'],
  [4 * W - (W - 2), 'taken', 'one above the edge'],
  [4 * W - (W - 1), 'refused', 'the edge again'],
  [0, 'refused', 'the first number after all this'],
  [4 * W + 1, 'taken', 'the next after the highest'],
  [4 * W - (W - 2), 'refused', 'now on the edge, and seen'],
  [4 * W + 2 * W, 'taken', 'a jump over exactly two windows'],
  [4 * W + 1, 'refused', 'seen before the jump'],
  [4 * W + W + 1, 'taken', 'the edge after the jump'],
];

describe('the replay window', () => {
  it('takes and refuses each of a list of numbers as listed', () => {
    const receiver = new Receiver();
    for (const [index, [number, expected, what]] of STEPS.entries()) {
      const taken = receiver.take(number) ? 'taken' : 'refused';
      expect(taken, `step ${index + 1}: ${number}, ${what}`).toBe(expected);
    }
  });

  it('takes ascending numbers once', () => {
    const receiver = new Receiver();
    for (let number = 0; number < 3 * W; number++) expect(receiver.take(number), `${number}`).toBe(true);
    for (let number = 0; number < 3 * W; number++) expect(receiver.take(number), `${number} again`).toBe(false);
  });

  it('takes descending numbers from the highest down to its low edge', () => {
    const receiver = new Receiver();
    const highest = 3 * W;
    for (let number = highest; number > highest - W; number--) expect(receiver.take(number), `${number}`).toBe(true);
    for (let number = highest - W; number >= 0; number--) expect(receiver.take(number), `${number}`).toBe(false);
    for (let number = highest; number > highest - W; number--) {
      expect(receiver.take(number), `${number} again`).toBe(false);
    }
  });

  it('starting from the window’s size less one, descending, reaches zero', () => {
    const receiver = new Receiver();
    for (let number = W - 1; number >= 0; number--) expect(receiver.take(number), `${number}`).toBe(true);
    expect(receiver.take(0)).toBe(false);
  });

  it.each([
    ['less than the window by one', W - 1, true],
    ['exactly the window', W, false],
    ['more than the window by one', W + 1, false],
    ['a hundred windows', 100 * W, false],
    ['a number of windows that is a multiple of 2^32', 2 ** 32 * W, false],
  ])('after a gap of %s, says whether the number before it is still open', (_, gap, isOpen) => {
    for (const start of [1, 31, 32, 33, W - 1, W, 5 * W + 7]) {
      const receiver = new Receiver();
      // `start` itself is left out, then found again behind the gap.
      receiver.take(start - 1);
      receiver.take(start + gap);
      expect(receiver.take(start), `start ${start}`).toBe(isOpen);
      expect(receiver.take(start - 1), `start ${start}`).toBe(false);
      expect(receiver.take(start + gap), `start ${start}`).toBe(false);
    }
  });

  it('after a jump of any length remembers nothing wrong of the places it jumped over', () => {
    for (const jump of [1, 2, 31, 32, 33, 63, 64, W - 33, W - 32, W - 1, W, W + 1, 3 * W + 5]) {
      const receiver = new Receiver();
      for (let number = 0; number <= W; number++) receiver.take(number);
      const highest = W + jump;
      receiver.take(highest);
      for (let number = highest - W + 1; number < highest; number++) {
        expect(receiver.window.check(number), `jump ${jump}, ${number}`).toBe(number > W);
      }
    }
  });

  it('goes over 2^32 and up to 2^53 without confusing numbers', () => {
    for (const middle of [2 ** 31, 2 ** 32, 2 ** 33 + 2 ** 32, 2 ** 48]) {
      const receiver = new Receiver();
      for (let number = middle - W; number < middle + W; number += 2) {
        expect(receiver.take(number), `${number}`).toBe(true);
      }
      for (let number = middle; number < middle + W - 1; number++) {
        expect(receiver.take(number), `${number}`).toBe(number % 2 !== 0);
      }
      expect(receiver.take(middle - 2 ** 32 < 0 ? 5 : middle - 2 ** 32), `below ${middle}`).toBe(false);
    }
    const receiver = new Receiver();
    const last = 2 ** 53 - 1;
    expect(receiver.take(last)).toBe(true);
    expect(receiver.take(last)).toBe(false);
    expect(receiver.take(last - 1)).toBe(true);
    expect(receiver.take(last - W + 1)).toBe(true);
    expect(receiver.take(last - W)).toBe(false);
    expect(receiver.take(0)).toBe(false);
  });

  it('stops rather than commit a number that it refuses', () => {
    const receiver = new Receiver();
    receiver.take(5);
    expect(() => receiver.window.commit(5, instant(0))).toThrow(AssertionError);
  });

  it('is changed by no check, whatever number is asked about', () => {
    const rng = new SeededRng(3);
    const asked = new Receiver(MILLISECOND);
    const left = new Receiver(MILLISECOND);
    for (let step = 0; step < 3_000; step++) {
      const number = step + rng.below(50);
      for (const other of [number, number + 2 ** 40, 0, 2 ** 53 - 1, rng.below(5_000)]) asked.window.check(other);
      expect(asked.take(number), `seed 3, step ${step}`).toBe(left.take(number));
    }
    expect(asked.window.size).toBe(left.window.size);
    for (let number = 0; number < 6_000; number++) {
      expect(asked.window.check(number), `seed 3, ${number}`).toBe(left.window.check(number));
    }
  });

  it('takes each number once over a million random replays of a random sequence', () => {
    const rng = new SeededRng(11);
    const receiver = new Receiver(1);
    const taken = new Set<number>();
    let next = 0;
    let replays = 0;
    while (replays < 1_000_000) {
      const number = rng.chance(0.02) ? next++ : rng.below(next + 1);
      if (receiver.take(number)) {
        if (taken.has(number)) expect.fail(`seed 11: ${number} was taken twice`);
        taken.add(number);
      } else {
        replays += 1;
      }
    }
  });
});

describe('the replay window grows', () => {
  it('to twice its size when traffic passes through all of it in less than 100 ms', () => {
    const receiver = new Receiver(0);
    cross(receiver, 0, 1);
    expect(receiver.window.size).toBe(W);
    receiver.take(W);
    expect(receiver.window.size).toBe(2 * W);
  });

  it('only where the crossing took less than 100 ms', () => {
    for (const [span, size] of [
      [100 * MILLISECOND - 1, 2 * W],
      [100 * MILLISECOND, W],
      [SECOND, W],
    ] as const) {
      const receiver = new Receiver(0);
      cross(receiver, 0, 1);
      receiver.now = span;
      receiver.take(W);
      expect(receiver.window.size, `${span} µs`).toBe(size);
    }
  });

  it('under fast traffic that follows slow', () => {
    const receiver = new Receiver(MILLISECOND);
    const from = cross(receiver, 0, 3);
    expect(receiver.window.size).toBe(W);
    const fast = new Receiver(10, W);
    cross(fast, from, 5);
    expect(fast.window.size).toBe(4 * W);
  });

  it('up to 65,536 and no further', () => {
    const receiver = new Receiver(0);
    const sizes = new Set<number>();
    for (let number = 0; number < 4 * REPLAY_WINDOW_MAX; number++) {
      receiver.take(number);
      sizes.add(receiver.window.size);
    }
    expect([...sizes]).toEqual([2_048, 4_096, 8_192, 16_384, 32_768, 65_536]);
    const highest = 4 * REPLAY_WINDOW_MAX + 1_000;
    receiver.take(highest);
    expect(receiver.take(highest - REPLAY_WINDOW_MAX)).toBe(false);
    expect(receiver.take(highest - 1)).toBe(true);
  });

  it('and never takes what fell out of the smaller one, seen or not', () => {
    const receiver = new Receiver(0);
    // Every third number never came.
    for (let number = 0; receiver.window.size === W; number++) if (number % 3 !== 0) receiver.take(number);
    const highest = W + 1;
    expect(receiver.window.size).toBe(2 * W);
    for (let number = 0; number <= highest; number++) {
      const isOpen = number > highest - W && number % 3 === 0;
      expect(receiver.window.check(number), `${number}`).toBe(isOpen);
    }
    // And not after it has moved on by less than its new size either.
    receiver.take(highest + W);
    for (let number = 0; number <= highest - W; number++)
      expect(receiver.window.check(number), `${number}`).toBe(false);
  });

  it('and keeps open what was open in the smaller one', () => {
    const receiver = new Receiver(0);
    for (let number = 0; receiver.window.size === W; number += 2) receiver.take(number);
    for (let number = 3; number < W; number += 2) expect(receiver.take(number), `${number}`).toBe(true);
    for (let number = 3; number < W; number += 2) expect(receiver.take(number), `${number} again`).toBe(false);
  });

  it('and through all sizes agrees with a set that remembers everything', () => {
    for (let seed = 0; seed < 4; seed++) {
      const rng = new SeededRng(seed);
      const model = new Model();
      const start = [0, 2 ** 32 - 40_000, 2 ** 33 - 100_000, 2 ** 53 - 300_000][seed]!;
      for (let step = 0; step < 180_000; step++) {
        // Mostly forward by little; sometimes late by up to more than the window; now and then a jump.
        const draw = rng.below(1_000);
        let number = model.next + rng.below(3);
        if (model.next === 0) number = start;
        else if (draw < 200) number = Math.max(start, model.next - 1 - rng.below(Math.floor(model.size * 1.2)));
        else if (draw === 999) number = model.next + rng.below(model.size);
        if (number > 2 ** 53 - 1) break;
        if (draw === 998 && step < 40_000) model.trim();
        const [actual, expected] = model.take(number, step);
        if (actual !== expected) {
          expect.fail(`seed ${seed}, step ${step}: ${number} of ${model.next}, size ${model.size}: ${actual}`);
        }
      }
      expect(model.size, `seed ${seed}`).toBe(REPLAY_WINDOW_MAX);
    }
  });
});

describe('a replay window that is trimmed', () => {
  it('has its first size again, and grows anew', () => {
    const receiver = new Receiver(0);
    const from = cross(receiver, 0, 20);
    expect(receiver.window.size).toBeGreaterThan(4 * W);
    receiver.window.trim();
    expect(receiver.window.size).toBe(W);
    cross(receiver, from, 3);
    expect(receiver.window.size).toBeGreaterThan(W);
  });

  it('opens nothing that was seen or too old, and keeps open what is left in it', () => {
    const receiver = new Receiver(0);
    for (let number = 0; number < 10 * W; number++) if (number % 3 !== 0) receiver.take(number);
    const highest = 10 * W - 1;
    receiver.window.trim();
    for (let number = 0; number <= highest; number++) {
      const isOpen = number > highest - W && number % 3 === 0;
      expect(receiver.window.check(number), `${number}`).toBe(isOpen);
    }
    expect(receiver.take(highest + 1)).toBe(true);
    expect(receiver.take(highest + 1)).toBe(false);
  });

  it('of which little was used takes what has not come yet', () => {
    const receiver = new Receiver(0);
    for (let number = 0; number < 100; number += 2) receiver.take(number);
    receiver.window.trim();
    for (let number = 0; number < W; number++) {
      expect(receiver.take(number), `${number}`).toBe(number >= 100 || number % 2 === 1);
    }
  });
});

/** The window beside a set of all numbers taken, and the highest edge there ever was. */
class Model {
  readonly #window = new SlidingReplayWindow();
  readonly #taken: Set<number> = new Set();
  #edge = 0;
  next = 0;

  get size(): number {
    return this.#window.size;
  }

  trim(): void {
    this.#window.trim();
    this.#edge = Math.max(this.#edge, this.next - this.size);
  }

  take(number: number, now: number): [boolean, boolean] {
    const expected = number >= this.#edge && !this.#taken.has(number);
    const actual = this.#window.check(number);
    if (actual) {
      const size = this.#window.size;
      this.#window.commit(number, instant(now));
      this.#taken.add(number);
      this.next = Math.max(this.next, number + 1);
      this.#edge = Math.max(this.#edge, this.next - size);
    }
    return [actual, expected];
  }
}
