import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { opensslBackend } from '../crypto/openssl.ts';
import { CAMPAIGNS } from './campaigns/index.ts';

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

export async function runRange(name: string, range: SeedRange, jobs: number = availableParallelism()): Promise<number> {
  let next = range.first;
  let passed = 0;
  const failures: SeedFailure[] = [];
  const startedAt = process.hrtime.bigint();
  const total = range.last - range.first + 1;
  const report = (share: ShareResult): void => {
    passed += share.passed;
    for (const failure of share.failures) {
      failures.push(failure);
      if (failures.length <= FAILURES_PRINTED_MAX) process.stdout.write(`seed ${failure.seed}: ${failure.reason}\n`);
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${passed + failures.length} of ${total} seeds`);
  };
  const worker = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const thread = new Worker(new URL(import.meta.url), { workerData: { name } satisfies WorkerInput });
      const deal = (): void => {
        if (next > range.last) {
          thread.postMessage(undefined);
          return;
        }
        const share: SeedRange = { first: next, last: Math.min(range.last, next + SHARE - 1) };
        next = share.last + 1;
        thread.postMessage(share);
      };
      thread.on('message', (share: ShareResult) => {
        report(share);
        deal();
      });
      thread.on('error', reject);
      thread.on('exit', () => resolve());
      deal();
    });
  await Promise.all(Array.from({ length: Math.min(jobs, Math.ceil(total / SHARE)) }, worker));
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
  if (process.stderr.isTTY) process.stderr.write('\r');
  process.stdout.write(`${name}, seeds ${range.first}..${range.last}, ${seconds.toFixed(1)} s\n`);
  process.stdout.write(`${passed} passed, ${failures.length} failed\n`);
  return failures.length === 0 ? 0 : 1;
}

interface WorkerInput {
  readonly name: string;
}

interface SeedFailure {
  readonly seed: number;
  readonly reason: string;
}

interface ShareResult {
  readonly passed: number;
  readonly failures: readonly SeedFailure[];
}

function runShare(name: string, share: SeedRange): ShareResult {
  let passed = 0;
  const failures: SeedFailure[] = [];
  for (let seed = share.first; seed <= share.last; seed++) {
    const reason = runSeed(name, seed);
    if (reason === undefined) passed += 1;
    else failures.push({ seed, reason });
  }
  return { passed, failures };
}

function runSeed(name: string, seed: number): string | undefined {
  const campaign = CAMPAIGNS[name]!;
  try {
    const { digest } = campaign.run(seed, opensslBackend);
    if (digest === undefined || seed % REPLAYED_EVERY !== 0) return undefined;
    return campaign.run(seed, opensslBackend).digest === digest ? undefined : 'I12: run again, it went another way';
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
