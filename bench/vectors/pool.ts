import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Job } from './jobs.ts';
import type { SetReport } from './report.ts';

/** A few threads that each take the next job when they are done with one; `worker` answers every job posted to it. */
const THREADS_MAX = 4;

export function runAll(
  worker: URL,
  jobs: readonly Job[],
  onReport: (job: Job, report: SetReport) => void,
): Promise<void> {
  const waiting = [...jobs];
  const threads = Math.min(THREADS_MAX, availableParallelism(), jobs.length);
  return Promise.all(Array.from({ length: threads }, () => runThread(worker, waiting, onReport))).then(() => undefined);
}

function runThread(worker: URL, waiting: Job[], onReport: (job: Job, report: SetReport) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(worker);
    let current: Job | undefined;
    const next = () => {
      current = waiting.shift();
      if (current === undefined) thread.terminate().then(() => resolve(), reject);
      else thread.postMessage(current);
    };
    thread.on('message', (report: SetReport) => {
      onReport(current!, report);
      next();
    });
    thread.on('error', reject);
    next();
  });
}
