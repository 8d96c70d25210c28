import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { opensslBackend } from '../crypto/openssl.ts';
import { Misuse } from '../report/command.ts';
import { reportOf } from '../report/report.ts';
import { CELLS, type Cell, type Figure } from './tables/cells.ts';
import { isMissed, measurementsOf, type Row, rowsOf } from './tables/rows.ts';
import { differences, tablesOf } from './tables/text.ts';

/** `npm run sim -- grid`: the tables, every cell of them or some, computed on every core. */
export interface GridOptions {
  /** Only rows whose name has this in it. */
  readonly only: string | undefined;
  readonly asJson: boolean;
  readonly jobs: number | undefined;
  /** What is done with the committed tables: nothing, compared, or made anew. */
  readonly committed: 'ignore' | 'check' | 'write';
}

/** The tables as they are committed. */
const TABLE = 'sim/tables/grid.md';

/** Prints the tables, or what is another in them; 1 where a run failed, a figure is missed, or a row is another. */
export async function runGrid(options: GridOptions): Promise<number> {
  const { only, asJson, jobs = availableParallelism(), committed } = options;
  const cells = only === undefined ? CELLS : CELLS.filter(({ cases }) => cases.some(({ name }) => name.includes(only)));
  if (cells.length === 0) throw new Misuse(`no row has ${JSON.stringify(only)} in its name`);
  const file = join(packageFolder(), TABLE);
  if (committed === 'check' && !existsSync(file)) throw new Misuse(`there is no ${TABLE}; --write makes it`);

  const { rows, failures } = await compute(cells, jobs);
  const text = tablesOf(rows);
  const complaints = [...firstOf(failures), ...rows.filter(isMissed).map(({ case: { name } }) => `missed: ${name}`)];
  if (committed === 'check') complaints.push(...compared(text, file, only === undefined));
  // A table with holes in it would compare as if those rows had never been.
  if (committed === 'write' && failures.length === 0) writeFileSync(file, text);

  if (asJson) process.stdout.write(`${JSON.stringify(reportOf('grid', rows.flatMap(measurementsOf)))}\n`);
  else if (committed === 'ignore') process.stdout.write(text);
  // With --json, standard output is for the program that reads it.
  const said = asJson ? process.stderr : process.stdout;
  for (const complaint of complaints) said.write(`${complaint}\n`);
  if (committed === 'check' && complaints.length === 0) said.write(`${rows.length} rows are as in ${TABLE}\n`);
  if (committed === 'write' && failures.length === 0)
    said.write(`${rows.length} rows written to ${relative('.', file)}\n`);
  return complaints.length === 0 ? 0 : 1;
}

const FAILURES_PRINTED_MAX = 20;

function firstOf(failures: readonly string[]): readonly string[] {
  const hidden = failures.length - FAILURES_PRINTED_MAX;
  return hidden <= 0 ? failures : [...failures.slice(0, FAILURES_PRINTED_MAX), `and ${hidden} more runs FAILED`];
}

function compared(text: string, file: string, isWhole: boolean): string[] {
  const found = differences(readFileSync(file, 'utf8'), text, isWhole);
  if (found.length === 0) return [];
  return [`${TABLE} (-) is another than what was computed (+):`, ...found, MAKE_ANEW];
}

const MAKE_ANEW = 'Where the change is meant: npm run sim -- grid --write, and commit it.';

/** Above this file, whether it runs from `sim/` or from `dist/sim/`. */
function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

/** One run, computed by whichever worker is free. */
interface Task {
  /** In CELLS: what a cell runs is a function, and no message carries one. */
  readonly cell: number;
  readonly seed: number;
}

interface TaskResult extends Task {
  readonly outcome: readonly Figure[] | { readonly failed: string };
}

interface Computed {
  /** In the order of the tables. */
  readonly rows: readonly Row[];
  readonly failures: readonly string[];
}

async function compute(cells: readonly Cell[], jobs: number): Promise<Computed> {
  const runs = new Map(cells.map((cell) => [cell, new Map<number, readonly Figure[]>()]));
  const failures: string[] = [];
  // The longest first, so that no core waits for one at the end.
  const tasks = cells
    .toSorted((a, b) => b.bytes - a.bytes)
    .flatMap((cell) => cell.section.seeds.map((seed): Task => ({ cell: CELLS.indexOf(cell), seed })));
  const progress = new Progress(tasks.length);
  await Promise.all(
    shares(tasks, jobs, ({ cell: index, seed, outcome }) => {
      const cell = CELLS[index]!;
      if ('failed' in outcome) failures.push(`FAILED: ${cell.cases[0]!.name}, seed ${seed}: ${outcome.failed}`);
      else runs.get(cell)!.set(seed, outcome);
      progress.step();
    }),
  );
  progress.end();
  const whole = cells.filter((cell) => runs.get(cell)!.size === cell.section.seeds.length);
  const rows = whole.flatMap((cell) => {
    const bySeed = runs.get(cell)!;
    return rowsOf(
      cell,
      cell.section.seeds.map((seed) => bySeed.get(seed)!),
    );
  });
  return { rows, failures };
}

/** Workers that take one task after another until there are none. */
function shares(tasks: readonly Task[], jobs: number, done: (result: TaskResult) => void): Promise<void>[] {
  let next = 0;
  const worker = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const thread = new Worker(new URL(import.meta.url), { workerData: WORKER });
      const deal = (): void => thread.postMessage(tasks[next++]);
      thread.on('message', (result: TaskResult) => {
        done(result);
        deal();
      });
      thread.on('error', reject);
      thread.on('exit', () => resolve());
      deal();
    });
  return Array.from({ length: Math.min(jobs, tasks.length) }, worker);
}

const TELL_EVERY_SECONDS = 60;

/** How far it is: on a terminal after each run, elsewhere once a minute. */
class Progress {
  readonly #total: number;
  readonly #startedAt: bigint = process.hrtime.bigint();
  #done = 0;
  #toldAt = 0;

  constructor(total: number) {
    this.#total = total;
  }

  step(): void {
    this.#done += 1;
    const seconds = Number(process.hrtime.bigint() - this.#startedAt) / 1e9;
    const state = `${this.#done} of ${this.#total} runs, ${seconds.toFixed(0)} s`;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${state}`);
    else if (seconds - this.#toldAt >= TELL_EVERY_SECONDS) {
      this.#toldAt = seconds;
      process.stderr.write(`${state}\n`);
    }
  }

  end(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}

/** `range.ts` starts workers too; this says whose one is. */
const WORKER = 'grid';

function run({ cell, seed }: Task): TaskResult {
  try {
    return { cell, seed, outcome: CELLS[cell]!.run(seed, opensslBackend) };
  } catch (error) {
    return { cell, seed, outcome: { failed: error instanceof Error ? error.message : String(error) } };
  }
}

if (!isMainThread && parentPort !== null && workerData === WORKER) {
  const port = parentPort;
  port.on('message', (task: Task | undefined) => {
    if (task === undefined) port.close();
    else port.postMessage(run(task));
  });
}
