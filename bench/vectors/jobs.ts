import { nobleBackend } from '../../crypto/noble.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { DIFFERENTIALS, type DifferentialRange, runDifferential } from './differential.ts';
import type { SetReport } from './report.ts';
import { BACKENDS, FAST_BACKEND, SETS } from './sets.ts';
import { MILLION, x25519Million } from './transcribed.ts';

/** One piece of work for one thread; plain data, so that it can be sent there. */
export type Job =
  | { readonly kind: 'set'; readonly line: string; readonly set: string; readonly backend: string }
  | {
      readonly kind: 'differential';
      readonly line: string;
      readonly range: DifferentialRange;
      readonly isFast: boolean;
    }
  | { readonly kind: 'million'; readonly line: string };

export function runJob(job: Job): SetReport {
  switch (job.kind) {
    case 'set':
      return SETS[job.set]!(job.set, BACKENDS.find((backend) => backend.name === job.backend)!);
    case 'differential':
      return runDifferential(job.range, [job.isFast ? FAST_BACKEND! : opensslBackend, nobleBackend]);
    case 'million':
      return x25519Million(opensslBackend);
  }
}

/** How many random cases of each subject: the whole command's, and a tenth for a quick look. */
const CASES = { aead: 100_000, x25519: 5_000, ed25519: 5_000 } as const;
const CHUNKS = 50;

/** Every job, those of one line of the output next to each other. */
export function jobsOf(options: { readonly seed: number; readonly isQuick: boolean }): Job[] {
  const { seed, isQuick } = options;
  const jobs: Job[] = [];
  for (const set of Object.keys(SETS)) {
    for (const { name } of BACKENDS) jobs.push({ kind: 'set', line: `${set} ${name}`, set, backend: name });
  }
  for (const subject of DIFFERENTIALS) {
    const count = CASES[subject] / CHUNKS / (isQuick ? 10 : 1);
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      const range = { subject, seed, from: chunk * count, count };
      jobs.push({ kind: 'differential', line: subject, range, isFast: false });
    }
    // All but AEAD is the same code.
    for (let chunk = 0; chunk < CHUNKS && subject === 'aead' && FAST_BACKEND !== undefined; chunk++) {
      const range = { subject, seed, from: chunk * count, count };
      jobs.push({ kind: 'differential', line: `${subject} ${FAST_BACKEND.name}`, range, isFast: true });
    }
  }
  if (!isQuick) jobs.push({ kind: 'million', line: MILLION });
  return jobs;
}
