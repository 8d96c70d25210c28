import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RangeSet } from '../../../../transport/streams/range-set.ts';

function rangesOf(...pairs: [number, number][]): RangeSet {
  const set = new RangeSet();
  for (const [start, end] of pairs) set.add(start, end);
  return set;
}

function fromSet(offsets: ReadonlySet<number>): [number, number][] {
  const ranges: [number, number][] = [];
  for (const offset of [...offsets].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === offset) last[1] = offset + 1;
    else ranges.push([offset, offset + 1]);
  }
  return ranges;
}

describe('a set of ranges', () => {
  it('is empty at first', () => {
    const set = new RangeSet();
    expect([set.isEmpty, set.count, set.toArray()]).toEqual([true, 0, []]);
    expect([set.endAround(0), set.startFrom(0), set.joins(0, 10)]).toEqual([
      undefined,
      Number.POSITIVE_INFINITY,
      false,
    ]);
  });

  it.each<[string, [number, number], [number, number][]]>([
    [
      'below all',
      [0, 3],
      [
        [0, 3],
        [10, 20],
        [30, 40],
      ],
    ],
    [
      'touching one from below',
      [5, 10],
      [
        [5, 20],
        [30, 40],
      ],
    ],
    [
      'touching one from above',
      [20, 25],
      [
        [10, 25],
        [30, 40],
      ],
    ],
    [
      'between two',
      [22, 28],
      [
        [10, 20],
        [22, 28],
        [30, 40],
      ],
    ],
    ['that joins two', [20, 30], [[10, 40]]],
    ['that swallows all', [0, 100], [[0, 100]]],
    [
      'within one',
      [12, 14],
      [
        [10, 20],
        [30, 40],
      ],
    ],
    [
      'above all',
      [50, 60],
      [
        [10, 20],
        [30, 40],
        [50, 60],
      ],
    ],
    [
      'that is empty',
      [25, 25],
      [
        [10, 20],
        [30, 40],
      ],
    ],
  ])('takes a range %s', (_, [start, end], expected) => {
    const set = rangesOf([10, 20], [30, 40]);
    set.add(start, end);
    expect(set.toArray()).toEqual(expected);
  });

  it.each<[string, [number, number], [number, number][]]>([
    [
      'what is not there',
      [20, 30],
      [
        [10, 20],
        [30, 40],
      ],
    ],
    [
      'the front of one',
      [5, 12],
      [
        [12, 20],
        [30, 40],
      ],
    ],
    [
      'the back of one',
      [18, 25],
      [
        [10, 18],
        [30, 40],
      ],
    ],
    [
      'the middle of one',
      [12, 18],
      [
        [10, 12],
        [18, 20],
        [30, 40],
      ],
    ],
    [
      'from one into the next',
      [15, 35],
      [
        [10, 15],
        [35, 40],
      ],
    ],
    ['everything', [0, 100], []],
  ])('gives up %s', (_, [start, end], expected) => {
    const set = rangesOf([10, 20], [30, 40]);
    set.remove(start, end);
    expect(set.toArray()).toEqual(expected);
  });

  it('agrees with a set of numbers over any sequence', () => {
    const step = fc.record({ adds: fc.boolean(), start: fc.nat(60), length: fc.nat(12) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(70), (steps, probe) => {
        const set = new RangeSet();
        const model = new Set<number>();
        for (const { adds, start, length } of steps) {
          if (adds) set.add(start, start + length);
          else set.remove(start, start + length);
          for (let i = start; i < start + length; i++) {
            if (adds) model.add(i);
            else model.delete(i);
          }
        }
        const ranges = fromSet(model);
        expect(set.toArray()).toEqual(ranges);
        expect(set.endAround(probe)).toBe(ranges.find(([start, end]) => start <= probe && probe < end)?.[1]);
        expect(set.startFrom(probe)).toBe(ranges.find(([start]) => start >= probe)?.[0] ?? Number.POSITIVE_INFINITY);
        expect(set.joins(probe, probe + 3)).toBe(ranges.some(([start, end]) => start <= probe + 3 && end >= probe));
      }),
      { seed: 1, numRuns: 2_000 },
    );
  });
});
