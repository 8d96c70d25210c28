import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CELLS } from '../../../sim/tables/cells.ts';
import { twoDigits } from '../../../sim/tables/digits.ts';
import { isMissed, measurementsOf, type Row, rowsOf } from '../../../sim/tables/rows.ts';
import { differences, tablesOf } from '../../../sim/tables/text.ts';

const CASES = CELLS.flatMap(({ cases }) => cases);
const committed = readFileSync(new URL('../../../sim/tables/grid.md', import.meta.url), 'utf8');

/** As if every run of every cell had given this, and taken a second. */
function rowsAsIf(figure: (name: string, seed: number) => number): Row[] {
  return CELLS.flatMap((cell) => {
    const { seeds, isTimed } = cell.section;
    const runs = seeds.map((seed) =>
      cell.cases.map(({ name }) => ({ value: figure(name, seed), ...(isTimed ? { seconds: 1 } : {}) })),
    );
    return rowsOf(cell, runs);
  });
}

function namesIn(text: string): string[] {
  return [...text.matchAll(/^\| (.+? \/ \w+) +\|/gm)].map((match) => match[1]!);
}

const FIRST = '100 Mbit/s, 30 ms, 1 BDP queue, no loss, 64 MB / AIMD';
const FAIR = '4 equal flows, 50 Mbit/s, 40 ms, 1 BDP queue / CUBIC';
const ones = rowsAsIf(() => 1);

describe('the committed tables', () => {
  it('have a row for each case, in order, and none missed', () => {
    expect(namesIn(committed)).toEqual(CASES.map(({ name }) => name));
    expect(committed).not.toMatch(/MISSED \d/);
  });

  it('are laid out as they would be made now: all that can be another is a figure', () => {
    const blank = (text: string): string => text.replaceAll(/ +(MISSED )?[\d.]+( to [\d.]+)? \|/g, ' # |');
    expect(blank(committed)).toBe(blank(tablesOf(ones)));
  });
});

describe('the cells', () => {
  it('have names of their own', () => {
    expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
  });

  it('use `share` for one flow alone and for nothing else', () => {
    const sections = CELLS.filter(({ section }) => section.metric === 'share').map(({ section }) => section.title);
    expect(new Set(sections)).toEqual(new Set(['One flow alone']));
    expect(sections).toHaveLength(15);
  });

  it('put the time of the whole transfer beside every goodput', () => {
    const row = rowsAsIf(() => 0.97)[0]!;
    expect(measurementsOf(row)).toEqual([
      { case: FIRST, metric: 'share', unit: 'of the link', rounds: [0.97], vs: {}, atLeast: 0.93 },
      { case: FIRST, metric: 'time', unit: 's', rounds: [1] },
    ]);
  });

  it('say how a figure stands to others of the same', () => {
    const row = rowsAsIf(() => 630).find((one) => one.case.name.includes('32 KiB window, 0.1 % loss, 10 MiB / BBR'))!;
    expect(measurementsOf(row)[0]).toMatchObject({ metric: 'goodput', atLeast: 315, vs: { smoltcp: 2 } });
  });

  it('are held to what is demanded by the median of their runs, unrounded', () => {
    const fairness = (...values: readonly number[]): Row =>
      rowsAsIf((_, seed) => values[seed - 1]!).find((one) => one.case.name === FAIR)!;
    expect(isMissed(fairness(0.1, 0.95, 0.96))).toBe(false);
    expect(isMissed(fairness(0.99, 0.9499, 0.9))).toBe(true);
    expect(tablesOf([fairness(0.99, 0.9499, 0.9)])).toMatch(/ 0\.95 \| +0\.90 to 0\.99 \| +MISSED 0\.95 \|/);
  });
});

describe('a figure', () => {
  it.each([
    [0, '0.0'],
    [0.0818, '0.082'],
    [0.9949, '0.99'],
    [0.9951, '1.0'],
    [9.94, '9.9'],
    [9.96, '10'],
    [58.8, '59'],
    [231.7, '230'],
    [1_049, '1000'],
  ])('of %d is %s with two digits', (value, text) => {
    expect(twoDigits(value)).toBe(text);
  });
});

describe('comparing', () => {
  const before = tablesOf(ones);

  it('finds nothing where nothing is another', () => {
    expect(differences(before, tablesOf(ones), true)).toEqual([]);
  });

  it('finds nothing where a figure moved by less than is shown', () => {
    expect(differences(before, tablesOf(rowsAsIf(() => 1.004)), true)).toEqual([]);
  });

  it('shows the row that is another, old and new, under the heads of its table', () => {
    const now = tablesOf(rowsAsIf((name) => (name === FIRST ? 0.5 : 1)));
    const [head, old, fresh, ...more] = differences(before, now, true);
    expect(head).toMatch(/^ {2}\| case +\| share, of the link \| at least +\| time, s +\|$/);
    expect(old).toMatch(/^- \| 100 Mbit\/s, 30 ms, .* \/ AIMD +\| +1\.0 \| +0\.93 \| +1\.0 \|$/);
    expect(fresh).toMatch(/^\+ \| 100 Mbit\/s, 30 ms, .* \/ AIMD +\| +0\.50 \| +MISSED 0\.93 \| +1\.0 \|$/);
    expect(more).toEqual([]);
  });

  it('shows a row that is new and one that is gone', () => {
    const without = tablesOf(ones.slice(1));
    expect(differences(without, before, true).map((line) => line[0])).toEqual([' ', '+']);
    expect(differences(before, without, true).map((line) => line[0])).toEqual([' ', '-']);
  });

  it('leaves out the rows that were not computed where only some were', () => {
    expect(differences(before, tablesOf(ones.slice(0, 3)), false)).toEqual([]);
    const other = tablesOf(rowsAsIf(() => 2).slice(0, 1));
    expect(differences(before, other, false).map((line) => line[0])).toEqual([' ', '-', '+']);
  });

  it('sees the text around the rows, and their order', () => {
    const reworded = before.replace('never by hand', 'by hand');
    expect(differences(reworded, before, true)).toEqual(['  the rows are the same; the text or the order is not']);
    const swapped = tablesOf([ones[1]!, ones[0]!, ...ones.slice(2)]);
    expect(differences(swapped, before, true)).toHaveLength(1);
  });

  it('changes no other row where a figure has a digit more', () => {
    const now = tablesOf(rowsAsIf((name) => (name === FIRST ? 123_456 : 1)));
    expect(differences(before, now, true)).toHaveLength(3);
  });
});
