import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { opensslBackend } from '../crypto/openssl.ts';
import { CAMPAIGNS, type CampaignResult } from './campaigns/index.ts';

/**
 * A range of seeds on every core. The seeds are dealt out in small shares, so that one slow world does not keep a core waiting;
 * a share is run by a worker thread, which is this same file.
 */
export interface SeedRange {
  readonly first: number;
  readonly last: number;
}

export function parseSeeds(text: string): SeedRange | undefined {
  const match = /^(\d+)\.\.(\d+)$/.exec(text);
  if (match === null) return undefined;
  const [first, last] = [Number(match[1]), Number(match[2])];
  return Number.isSafeInteger(last) && first <= last ? { first, last } : undefined;
}

const SHARE = 20;
/** Of the seeds, this many are run twice to see that the digest is the same (I12). */
const REPLAYED_EVERY = 100;
const FAILURES_PRINTED_MAX = 20;

/** How often whoever is not looking at a terminal is told how far it is. */
const TELL_EVERY_SECONDS = 60;

/**
 * Prints the failures, what happened in the runs that passed, and, last, `N passed, M failed`; 0 where nothing failed. With `resume`, what is done is kept in that file
 * after each share, what the file says is done is not run again, and the sums are over all of it.
 */
export async function runRange(
  name: string,
  range: SeedRange,
  jobs: number = availableParallelism(),
  resume?: string,
): Promise<number> {
  const progress = resume === undefined ? newProgress(name, range) : readProgress(resume, name, range);
  if (typeof progress === 'string') {
    process.stderr.write(`${progress}\n`);
    return 2;
  }
  const done = new Set(progress.done);
  const shares = sharesOf(range).filter(({ first }) => !done.has(first));
  if (done.size > 0) process.stdout.write(`${resume}: ${countDone(progress)} seeds are done\n`);
  for (const failure of progress.failures.slice(0, FAILURES_PRINTED_MAX)) printFailure(failure);
  let next = 0;
  const startedAt = process.hrtime.bigint();
  const elapsed = (): number => Number(process.hrtime.bigint() - startedAt) / 1e9;
  const total = range.last - range.first + 1;
  let toldAt = 0;
  const report = (share: ShareResult): void => {
    progress.passed += share.passed;
    addCounts(progress.counts, share.counts);
    progress.done.push(share.first);
    for (const failure of share.failures) {
      progress.failures.push(failure);
      if (progress.failures.length <= FAILURES_PRINTED_MAX) printFailure(failure);
    }
    if (resume !== undefined) writeProgress(resume, progress);
    const state = `${countDone(progress)} of ${total} seeds, ${progress.failures.length} failed`;
    if (process.stderr.isTTY) process.stderr.write(`\r${state}`);
    else if (elapsed() - toldAt >= TELL_EVERY_SECONDS) {
      toldAt = elapsed();
      process.stderr.write(`${state}, ${toldAt.toFixed(0)} s\n`);
    }
  };
  const worker = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const thread = new Worker(new URL(import.meta.url), { workerData: { name } satisfies WorkerInput });
      const deal = (): void => thread.postMessage(shares[next++]);
      thread.on('message', (share: ShareResult) => {
        report(share);
        deal();
      });
      thread.on('error', reject);
      thread.on('exit', () => resolve());
      deal();
    });
  await Promise.all(Array.from({ length: Math.min(jobs, shares.length) }, worker));
  if (process.stderr.isTTY) process.stderr.write('\r');
  process.stdout.write(`${name}, seeds ${range.first}..${range.last}, ${elapsed().toFixed(1)} s\n`);
  printCounts(progress.counts);
  process.stdout.write(`${progress.passed} passed, ${progress.failures.length} failed\n`);
  return progress.failures.length === 0 ? 0 : 1;
}

function sharesOf(range: SeedRange): SeedRange[] {
  const shares: SeedRange[] = [];
  for (let first = range.first; first <= range.last; first += SHARE) {
    shares.push({ first, last: Math.min(range.last, first + SHARE - 1) });
  }
  return shares;
}

function printFailure({ seed, reason }: SeedFailure): void {
  process.stdout.write(`seed ${seed}: ${reason}\n`);
}

/** So often over all seeds; what never happened was not tested, and stands by itself. */
function printCounts(counts: Readonly<Record<string, number>>): void {
  const entries = Object.entries(counts);
  if (entries.length === 0) return;
  const happened = entries.filter(([, times]) => times > 0).map(([what, times]) => `${what} ${times}`);
  const never = entries.filter(([, times]) => times === 0).map(([what]) => what);
  process.stdout.write(`happened: ${happened.join(', ')}\n`);
  if (never.length > 0) process.stdout.write(`never happened: ${never.join(', ')}\n`);
}

function addCounts(sums: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [what, times] of Object.entries(counts)) sums[what] = (sums[what] ?? 0) + times;
}

/** What a run that is to be resumed leaves behind. */
interface Progress extends SeedRange {
  readonly campaign: string;
  readonly share: number;
  /** The first seed of each share that is done. */
  readonly done: number[];
  passed: number;
  readonly failures: SeedFailure[];
  /** Of the campaigns that count what happened, over all seeds that passed. */
  readonly counts: Record<string, number>;
}

function newProgress(campaign: string, { first, last }: SeedRange): Progress {
  return { campaign, first, last, share: SHARE, done: [], passed: 0, failures: [], counts: {} };
}

function countDone({ passed, failures }: Progress): number {
  return passed + failures.length;
}

/** What the file says; a new beginning where there is none; or why it is of no use here. */
function readProgress(file: string, campaign: string, range: SeedRange): Progress | string {
  if (!existsSync(file)) return newProgress(campaign, range);
  let read: Progress;
  try {
    read = JSON.parse(readFileSync(file, 'utf8')) as Progress;
  } catch (error) {
    return `--resume ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
  const { first, last } = range;
  const isOurs = read.campaign === campaign && read.first === first && read.last === last && read.share === SHARE;
  const isWhole = Array.isArray(read.done) && Array.isArray(read.failures) && typeof read.counts === 'object';
  if (isOurs && isWhole) return read;
  return `--resume ${file} is of ${read.campaign}, seeds ${read.first}..${read.last}, and not of this run`;
}

/** Whole or not at all, whenever the run is cut short. */
function writeProgress(file: string, progress: Progress): void {
  const beside = `${file}.new`;
  writeFileSync(beside, `${JSON.stringify(progress)}\n`);
  renameSync(beside, file);
}

interface WorkerInput {
  readonly name: string;
}

interface SeedFailure {
  readonly seed: number;
  readonly reason: string;
}

interface ShareResult {
  /** The first seed of the share. */
  readonly first: number;
  readonly passed: number;
  readonly failures: readonly SeedFailure[];
  readonly counts: Readonly<Record<string, number>>;
}

function runShare(name: string, share: SeedRange): ShareResult {
  let passed = 0;
  const failures: SeedFailure[] = [];
  const counts: Record<string, number> = {};
  for (let seed = share.first; seed <= share.last; seed++) {
    const result = runSeed(name, seed);
    if (typeof result === 'string') {
      failures.push({ seed, reason: result });
      continue;
    }
    passed += 1;
    addCounts(counts, result.counts ?? {});
  }
  return { first: share.first, passed, failures, counts };
}

/** What it saw, or why it failed. */
function runSeed(name: string, seed: number): CampaignResult | string {
  const campaign = CAMPAIGNS[name]!;
  try {
    const result = campaign.run(seed, opensslBackend);
    if (result.digest === undefined || seed % REPLAYED_EVERY !== 0) return result;
    const again = campaign.run(seed, opensslBackend);
    return again.digest === result.digest ? result : 'I12: run again, it went another way';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const { name } = workerData as WorkerInput;
  port.on('message', (share: SeedRange | undefined) => {
    if (share === undefined) port.close();
    else port.postMessage(runShare(name, share));
  });
}
