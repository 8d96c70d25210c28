import { parseArgs } from 'node:util';
import { isMainThread, parentPort } from 'node:worker_threads';
import { runCommand, wholeNumber } from '../report/command.ts';
import { type Job, jobsOf, runJob } from './vectors/jobs.ts';
import { Lines } from './vectors/lines.ts';
import { runAll } from './vectors/pool.ts';
import type { SetReport } from './vectors/report.ts';
import { VECTORS_REQUIRED } from './vectors/shared-files.ts';

/** `npm run vectors`: every official vector against each backend, then the backends against each other. */
const USAGE = `npm run vectors -- [--quick] [--seed N] [--json]

  --quick   a tenth of the random cases, and not the million iterations of RFC 7748
  --seed N  the random cases of another run (0 to 2^53 - 1)
  --json    one JSON document on standard output`;

const FAILURES_SHOWN_MAX = 10;

interface Options {
  readonly isQuick: boolean;
  readonly isJson: boolean;
  readonly seed: number;
}

if (isMainThread) await runCommand(USAGE, async () => ((await main(readOptions())) ? 0 : 1));
else parentPort!.on('message', (job: Job) => parentPort!.postMessage(runJob(job)));

function readOptions(): Options {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, json: { type: 'boolean' }, seed: { type: 'string' } },
  });
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : wholeNumber('--seed', values.seed);
  return { isQuick: values.quick ?? false, isJson: values.json ?? false, seed };
}

async function main(options: Options): Promise<boolean> {
  const { isJson, seed } = options;
  const jobs = jobsOf(options);
  const lines = new Lines(jobs, (report) => {
    if (!isJson) process.stdout.write(shown(report));
  });
  if (!isJson) process.stdout.write(`seed ${seed}\n`);
  // The longest last in the output is the first to begin.
  const order = [...jobs].sort((a, b) => Number(b.kind === 'million') - Number(a.kind === 'million'));
  await runAll(new URL(import.meta.url), order, (job, report) => {
    lines.add(job, report);
    showProgress(lines.done, jobs.length);
  });
  clearProgress();
  const { reports } = lines;
  const passed = reports.reduce((sum, report) => sum + report.passed, 0);
  const failed = reports.reduce((sum, report) => sum + failuresOf(report), 0);
  if (isJson) process.stdout.write(`${JSON.stringify({ seed, passed, failed, sets: reports }, null, 2)}\n`);
  else process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0;
}

function failuresOf(report: SetReport): number {
  return report.failures.length + (report.isAbsent && VECTORS_REQUIRED ? 1 : 0);
}

function shown(report: SetReport): string {
  clearProgress();
  const { set, backend, passed, failures, note } = report;
  if (report.isAbsent) {
    return `${set} · ${backend} · ${VECTORS_REQUIRED ? 'FAILED' : 'skipped'}: ${note} is not in ../shared/vectors\n`;
  }
  const lines = [`${set} · ${backend} · ${passed} passed, ${failures.length} failed${note ? ` (${note})` : ''}`];
  for (const failure of failures.slice(0, FAILURES_SHOWN_MAX)) lines.push(`  ${failure}`);
  if (failures.length > FAILURES_SHOWN_MAX) lines.push(`  and ${failures.length - FAILURES_SHOWN_MAX} more`);
  return `${lines.join('\n')}\n`;
}

function showProgress(done: number, total: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${Math.floor((100 * done) / total)} % of ${total} jobs`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
}
