import { describe, expect, it } from 'vitest';
import { Row } from '../../../base/row.ts';

describe('a row', () => {
  it('keeps the order of coming, whoever leaves', () => {
    const row = new Row<string>();
    const [a, b, c] = ['a', 'b', 'c'].map((item) => row.add(item));
    expect([row.first, row.size, row.items()]).toEqual(['a', 3, ['a', 'b', 'c']]);
    b!.leave();
    expect(row.items()).toEqual(['a', 'c']);
    a!.leave();
    row.add('d');
    expect([row.first, row.items()]).toEqual(['c', ['c', 'd']]);
    c!.leave();
    expect([row.first, row.size]).toEqual(['d', 1]);
  });

  it('is left once: to leave again changes nothing', () => {
    const row = new Row<number>();
    const one = row.add(1);
    row.add(2);
    one.leave();
    one.leave();
    expect([row.size, row.items()]).toEqual([1, [2]]);
  });

  it('is empty when all have left', () => {
    const row = new Row<number>();
    for (const place of [1, 2, 3].map((item) => row.add(item))) place.leave();
    expect([row.size, row.first, row.items()]).toEqual([0, undefined, []]);
  });
});
