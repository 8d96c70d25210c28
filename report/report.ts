import { arch, cpus, release, totalmem, type } from 'node:os';

/** What a benchmark measured, in one shape for people and for programs. */

export interface Measurement {
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  /** One value a round; what is reported is the median. */
  readonly rounds: readonly number[];
  /** Ratios to other measurements, by their name. */
  readonly vs?: Readonly<Record<string, number>>;
  /** What the value may come to at most, or at least, where the project has set itself a figure. */
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Bench {
  readonly name: string;
  readonly summary: string;
  /** What `--seconds` is where it is not given; each benchmark says what lasts so long. */
  readonly seconds: number;
  run(options: BenchRun): Promise<readonly Measurement[]>;
}

export interface BenchRun {
  readonly seconds: number;
  /** Where the run stands, for a terminal. */
  progress(text: string): void;
}

/** The last line of `--json`. */
export interface BenchReport {
  readonly bench: string;
  readonly machine: Machine;
  readonly results: readonly BenchResult[];
}

export interface BenchResult {
  readonly case: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly vs: Readonly<Record<string, number>>;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly openssl: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? arch(),
    cores: cpus().length,
    memoryGiB: rounded(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()} ${arch()}`,
    node: process.versions.node,
    openssl: process.versions.openssl,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Whether the median is what the project has set itself; true where it has set nothing. */
export function reachesGoal({ rounds, atMost, atLeast }: Measurement): boolean {
  const value = median(rounds);
  return (atMost === undefined || value <= atMost) && (atLeast === undefined || value >= atLeast);
}

export function reportOf(bench: string, measurements: readonly Measurement[]): BenchReport {
  const results = measurements.map(({ case: name, metric, unit, rounds, vs = {} }) => ({
    case: name,
    metric,
    value: rounded(median(rounds)),
    unit,
    vs: Object.fromEntries(Object.entries(vs).map(([other, ratio]) => [other, rounded(ratio)])),
  }));
  return { bench, machine: describeMachine(), results };
}

export function formatForPeople(bench: string, measurements: readonly Measurement[]): string {
  const machine = describeMachine();
  const head =
    `${bench} on ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.kernel}, ` +
    `Node ${machine.node}, OpenSSL ${machine.openssl}`;
  const rows = measurements.map((one) => [
    one.case,
    one.metric,
    shown(median(one.rounds)),
    one.unit,
    one.rounds.length < 2
      ? ''
      : `${shown(Math.min(...one.rounds))} to ${shown(Math.max(...one.rounds))} in ${one.rounds.length} rounds`,
    [goalOf(one), ...Object.entries(one.vs ?? {}).map(([name, ratio]) => `${shown(ratio)} × ${name}`)]
      .filter((text) => text !== '')
      .join(', '),
  ]);
  return `${head}\n\n${table([['case', 'metric', 'median', 'unit', 'spread', ''], ...rows], [2])}`;
}

function goalOf(one: Measurement): string {
  const isReached = reachesGoal(one);
  if (one.atMost !== undefined) return `${isReached ? 'within' : 'OVER'} ${shown(one.atMost)}`;
  if (one.atLeast !== undefined) return `${isReached ? 'reaches' : 'BELOW'} ${shown(one.atLeast)}`;
  return '';
}

function table(rows: readonly (readonly string[])[], rightAligned: readonly number[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, i) => (rightAligned.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

function shown(value: number): string {
  return rounded(value).toLocaleString('en-GB', { maximumFractionDigits: 6 });
}

/** To four significant digits below 1,000, to whole numbers above: more is noise. */
function rounded(value: number): number {
  return Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(4));
}
