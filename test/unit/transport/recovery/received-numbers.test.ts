import { describe, expect, it } from 'vitest';
import { SeededRng } from '../../../../sim/rng.ts';
import {
  RECEIVED_RANGES_MAX,
  ReceivedNumbers,
  type WritableRange,
} from '../../../../transport/recovery/received-numbers.ts';

function received(...numbers: number[]): ReceivedNumbers {
  const ranges = new ReceivedNumbers();
  for (const number of numbers) ranges.add(number);
  return ranges;
}

function text(ranges: ReceivedNumbers, max = 1_000, news = Number.POSITIVE_INFINITY): string {
  const into: WritableRange[] = [];
  ranges.top(max, news, into);
  return into
    .map(({ smallest, largest }) => (smallest === largest ? `${largest}` : `${smallest}-${largest}`))
    .join(' ');
}

/** The same from a plain set. */
function textOf(numbers: ReadonlySet<number>): string {
  const ranges: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => b - a)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[0] === number + 1) last[0] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([from, to]) => (from === to ? `${to}` : `${from}-${to}`)).join(' ');
}

describe('the numbers received', () => {
  it('are none at first', () => {
    const ranges = new ReceivedNumbers();
    ranges.forgetTo(10);
    expect([ranges.count, ranges.highest, text(ranges)]).toEqual([0, -1, '']);
  });

  it.each<[string, number[], string]>([
    ['grow the highest range in order', [0, 1, 2, 3], '0-3'],
    ['join the range below', [1, 5, 2], '5 1-2'],
    ['join the range above', [1, 5, 4], '4-5 1'],
    ['join two ranges into one', [1, 3, 2], '1-3'],
    ['stand alone between two', [1, 9, 5], '9 5 1'],
    ['stand alone below all', [5, 9, 1], '9 5 1'],
    ['that are there already change nothing', [4, 5, 6, 9, 5, 4, 6, 9], '9 4-6'],
  ])('%s', (_, numbers, expected) => {
    expect(text(received(...numbers))).toBe(expected);
  });

  it('are given highest first, no more than are wanted', () => {
    expect(text(received(0, 1, 5, 9, 10, 20), 2)).toBe('20 9-10');
  });

  it('that have just come are given however deep they lie, instead of the last range', () => {
    const ranges = received(0, 1, 5, 9, 10, 20, 30);
    expect(text(ranges, 3, 1)).toBe('30 20 0-1');
    expect(text(ranges, 3, 5)).toBe('30 20 5');
    expect(text(ranges, 3, 9)).toBe('30 20 9-10');
    expect(text(ranges, 3, 20)).toBe('30 20 9-10');
    // In no range any more.
    ranges.forgetTo(5);
    expect(text(ranges, 2, 1)).toBe('30 20');
  });

  it('write into the same objects each time', () => {
    const ranges = received(1, 3);
    const into: WritableRange[] = [];
    ranges.top(8, 0, into);
    const [first] = into;
    ranges.add(5);
    ranges.top(1, 9, into);
    expect(into).toEqual([{ smallest: 5, largest: 5 }]);
    expect(into[0]).toBe(first);
  });

  it('are kept in at most 256 ranges: the lowest is forgotten', () => {
    const ranges = new ReceivedNumbers();
    for (let i = 0; i <= RECEIVED_RANGES_MAX; i++) ranges.add(10 + 2 * i);
    expect([ranges.count, text(ranges).split(' ').at(-1)]).toEqual([256, '12']);
    ranges.add(3);
    expect([ranges.count, text(ranges).split(' ').at(-1)]).toEqual([256, '12']);
    ranges.add(13);
    expect(ranges.count).toBe(255);
  });

  it.each<[number, string]>([
    [-1, '20-22 9-10 0-3'],
    [1, '20-22 9-10 2-3'],
    [3, '20-22 9-10'],
    [5, '20-22 9-10'],
    [9, '20-22 10'],
    [15, '20-22'],
    [21, '22'],
    [22, '22'],
    [99, '22'],
  ])('are forgotten up to %i, the highest never', (number, expected) => {
    const ranges = received(0, 1, 2, 3, 9, 10, 20, 21, 22);
    ranges.forgetTo(number);
    expect([text(ranges), ranges.highest]).toEqual([expected, 22]);
  });

  it('agree with a set over random numbers and forgetting', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const rng = new SeededRng(seed);
      const ranges = new ReceivedNumbers();
      const model = new Set<number>();
      for (let step = 0; step < 2_000; step++) {
        const number = step + rng.below(60);
        ranges.add(number);
        model.add(number);
        if (rng.chance(0.02)) {
          const upTo = step + rng.below(70) - 40;
          const highest = Math.max(...model);
          ranges.forgetTo(upTo);
          for (const each of model) if (each <= upTo && each !== highest) model.delete(each);
        }
        if (step % 20 === 0) expect(text(ranges), `seed ${seed}, step ${step}`).toBe(textOf(model));
      }
    }
  });
});
