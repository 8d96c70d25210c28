import { type Measurement, median, reachesGoal } from '../../report/report.ts';
import type { Case, Cell, Figure, Section } from './cells.ts';

/** A row of a table with what its runs gave, one for each seed. */
export interface Row {
  readonly section: Section;
  readonly case: Case;
  readonly values: readonly number[];
  /** Empty where the section is not timed. */
  readonly seconds: readonly number[];
}

export function rowsOf({ section, cases }: Cell, runs: readonly (readonly Figure[])[]): Row[] {
  return cases.map((one, i) => ({
    section,
    case: one,
    values: runs.map((figures) => figures[i]!.value),
    seconds: runs.flatMap((figures) => figures[i]!.seconds ?? []),
  }));
}

/** Held against the figure as it was computed, not as it is shown. */
export function isMissed(row: Row): boolean {
  return !reachesGoal(figureOf(row));
}

/** The figure, and the time beside it. */
export function measurementsOf(row: Row): Measurement[] {
  const figure = figureOf(row);
  if (row.seconds.length === 0) return [figure];
  return [figure, { case: figure.case, metric: 'time', unit: 's', rounds: row.seconds }];
}

function figureOf({ section, case: { name, least, others }, values }: Row): Measurement {
  const value = median(values);
  const vs = Object.entries(others ?? {}).map(([other, figure]) => [other, value / figure] as const);
  return {
    case: name,
    metric: section.metric,
    unit: section.unit,
    rounds: values,
    vs: Object.fromEntries(vs),
    ...(least === undefined ? {} : { atLeast: least }),
  };
}
