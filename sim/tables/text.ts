import { median } from '../../report/report.ts';
import { CELLS, type Section } from './cells.ts';
import { twoDigits } from './digits.ts';
import { isMissed, type Row } from './rows.ts';

/** The tables as the text that is committed, and what is another in it. */

const HEAD = `# What streams make of links

Made by \`npm run sim -- grid --write\`, never by hand; \`npm run sim -- grid --check\` compares. The clock is virtual and the dice have
seeds, so these figures are computed, not measured: the same code gives the same bytes on any machine. A change of the code that
changes a figure comes with the changed row, where its review sees it.

Figures are rounded to the digits that say something. "At least" is held against the unrounded figure, and a row that does not
come to it says MISSED.
`;

/** The sections in order, each with its rows in order; a section without rows is left out. */
export function tablesOf(rows: readonly Row[]): string {
  const sections = [...new Set(rows.map((row) => row.section))];
  return [HEAD, ...sections.map((section) => tableOf(section, rows))].join('\n');
}

function tableOf(section: Section, rows: readonly Row[]): string {
  const columns = columnsOf(section);
  const heads = columns.map(({ head, width }) => head.padEnd(width));
  const rules = columns.map(({ isNumber, width }) => (isNumber ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)));
  const lines = rows
    .filter((row) => row.section === section)
    .map((row) => columns.map(({ isNumber, width, cell }) => padded(cell(row), width, isNumber)));
  const runs = section.seeds.length > 1 ? ` Median of ${section.seeds.length} runs, each with its own seed.` : '';
  return `## ${section.title}\n\n${section.about}${runs}\n\n${[heads, rules, ...lines].map(lineOf).join('\n')}\n`;
}

interface Column {
  readonly head: string;
  readonly isNumber: boolean;
  /** From what the section is, not from its figures: a figure that grows by a digit must not change every row. */
  readonly width: number;
  readonly cell: (row: Row) => string;
}

function columnsOf(section: Section): Column[] {
  const cases = CELLS.filter((cell) => cell.section === section).flatMap((cell) => cell.cases);
  const names = Math.max(...cases.map(({ name }) => name.length));
  const others = [...new Set(cases.flatMap((one) => Object.keys(one.others ?? {})))];
  const unit = section.unit === '' ? section.metric : `${section.metric}, ${section.unit}`;
  const isDemanded = cases.some(({ least }) => least !== undefined);
  const number = (head: string, cell: Column['cell'], width = NUMBER_WIDTH): Column => {
    return { head, isNumber: true, width: Math.max(head.length, width), cell };
  };
  return [
    { head: 'case', isNumber: false, width: names, cell: (row) => row.case.name },
    number(unit, ({ values }) => section.shown(median(values))),
    ...(section.showsSpread ? [number('lowest to highest', spread)] : []),
    ...(isDemanded ? [number('at least', demanded, 'MISSED 0.000'.length)] : []),
    ...others.map((other) => number(other, (row) => String(row.case.others?.[other] ?? ''))),
    ...(section.isTimed ? [number('time, s', ({ seconds }) => twoDigits(median(seconds)))] : []),
  ];
}

const NUMBER_WIDTH = 8;

function demanded(row: Row): string {
  const { least } = row.case;
  if (least === undefined) return '';
  return `${isMissed(row) ? 'MISSED ' : ''}${Number(least.toPrecision(4))}`;
}

function spread({ section: { shown }, values }: Row): string {
  return `${shown(Math.min(...values))} to ${shown(Math.max(...values))}`;
}

function padded(text: string, width: number, isNumber: boolean): string {
  return isNumber ? text.padStart(width) : text.padEnd(width);
}

function lineOf(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/**
 * What is another in the fresh tables than in the committed ones, as lines for people: for each row the old one with a `-` and the
 * new one with a `+`, under the heads of its table. Where the fresh ones are only some of the rows, only those are compared.
 */
export function differences(committed: string, fresh: string, isWhole: boolean): string[] {
  const [before, now] = [parse(committed), parse(fresh)];
  const gone = isWhole ? [...before.keys()].filter((name) => !now.has(name)) : [];
  const found: string[] = [];
  let lastHead: string | undefined;
  const tell = (head: string, sign: '-' | '+', line: string): void => {
    if (head !== lastHead) found.push(`  ${head}`);
    lastHead = head;
    found.push(`${sign} ${line}`);
  };
  for (const [name, { head, line }] of now) {
    const old = before.get(name);
    if (old?.line === line && old.head === head) continue;
    if (old !== undefined) tell(head, '-', old.line);
    tell(head, '+', line);
  }
  for (const name of gone) tell(before.get(name)!.head, '-', before.get(name)!.line);
  if (isWhole && found.length === 0 && committed !== fresh)
    found.push('  the rows are the same; the text or the order is not');
  return found;
}

/** By the name of the row: its line, and the line of heads above it. */
function parse(text: string): Map<string, { readonly head: string; readonly line: string }> {
  const rows = new Map<string, { head: string; line: string }>();
  let head = '';
  let previous = '';
  for (const line of text.split('\n')) {
    const name = line.split('|')[1]?.trim() ?? '';
    if (/^-+$/.test(name)) head = previous;
    else if (name !== '' && head !== '') rows.set(name, { head, line });
    if (!line.startsWith('|')) head = '';
    previous = line;
  }
  return rows;
}
