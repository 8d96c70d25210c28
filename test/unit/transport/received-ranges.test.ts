import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRng } from '../../../sim/rng.ts';
import { ACK_RANGES_MAX, ReceivedRanges } from '../../../transport/received-ranges.ts';
import type { AckRange } from '../../../wire/frames.ts';

function received(...numbers: number[]): ReceivedRanges {
  const ranges = new ReceivedRanges();
  for (const number of numbers) ranges.add(number);
  return ranges;
}

function pairs(ranges: readonly AckRange[]): [number, number][] {
  return ranges.map(({ smallest, largest }) => [smallest, largest]);
}

/** The same ranges, highest first, from a plain set. */
function rangesOf(numbers: ReadonlySet<number>): [number, number][] {
  const ranges: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => b - a)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[0] === number + 1) last[0] = number;
    else ranges.push([number, number]);
  }
  return ranges;
}

describe('the ranges of received packet numbers', () => {
  it('are none at first, and the highest is below zero', () => {
    const ranges = new ReceivedRanges();
    expect([ranges.count, ranges.highest, ranges.top(10)]).toEqual([0, -1, []]);
  });

  it('grow with numbers in order', () => {
    expect(pairs(received(0, 1, 2, 3).top(10))).toEqual([[0, 3]]);
  });

  it('are given highest first, and no more than are wanted', () => {
    const ranges = received(0, 1, 5, 9, 10, 20);
    expect(pairs(ranges.top(10))).toEqual([
      [20, 20],
      [9, 10],
      [5, 5],
      [0, 1],
    ]);
    expect(pairs(ranges.top(2))).toEqual([
      [20, 20],
      [9, 10],
    ]);
  });

  it.each<[string, number[], string]>([
    ['joins the range below it', [1, 5, 2], '5 1-2'],
    ['joins the range above it', [1, 5, 4], '4-5 1'],
    ['joins two ranges into one', [1, 3, 2], '1-3'],
    ['stands alone between two', [1, 9, 5], '9 5 1'],
    ['stands alone below all', [5, 9, 1], '9 5 1'],
    ['that is there already changes nothing', [4, 5, 6, 9, 5, 4, 6, 9], '9 4-6'],
  ])('a number %s', (_, numbers, expected) => {
    const ranges = pairs(received(...numbers).top(10));
    expect(ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(' ')).toBe(expected);
  });

  it('are at most 256: the lowest is forgotten', () => {
    const ranges = new ReceivedRanges();
    for (let i = 0; i < ACK_RANGES_MAX; i++) ranges.add(10 + 2 * i);
    expect(ranges.count).toBe(256);
    ranges.add(10 + 2 * ACK_RANGES_MAX);
    expect(ranges.count).toBe(256);
    expect(ranges.top(1_000).at(-1)).toEqual({ smallest: 12, largest: 12 });
    // One below all the others is itself the lowest.
    ranges.add(3);
    expect(ranges.count).toBe(256);
    expect(ranges.top(1_000).at(-1)).toEqual({ smallest: 12, largest: 12 });
    // One that joins two makes room again.
    ranges.add(13);
    expect(ranges.count).toBe(255);
  });

  it('agree with a set over any sequence of numbers', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(60), { maxLength: 120 }), (numbers) => {
        const ranges = new ReceivedRanges();
        const model = new Set<number>();
        for (const number of numbers) {
          ranges.add(number);
          model.add(number);
          expect(pairs(ranges.top(1_000))).toEqual(rangesOf(model));
          expect(ranges.highest).toBe(Math.max(...model));
        }
      }),
    );
  });

  it('agree with a set whose lowest ranges are taken out, when there are more than 256', () => {
    for (let seed = 0; seed < 3; seed++) {
      const rng = new SeededRng(seed);
      const ranges = new ReceivedRanges();
      const model = new Set<number>();
      for (let step = 0; step < 1_500; step++) {
        const number = step + rng.below(900);
        ranges.add(number);
        model.add(number);
        for (const [smallest, largest] of rangesOf(model).slice(ACK_RANGES_MAX)) {
          for (let gone = smallest; gone <= largest; gone++) model.delete(gone);
        }
        if (step % 50 === 0) expect(pairs(ranges.top(1_000)), `seed ${seed}, step ${step}`).toEqual(rangesOf(model));
      }
    }
  });
});
