import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { toHex } from '../base/bytes.ts';
import { SeededRng } from '../sim/rng.ts';
import { Mutator } from './mutate.ts';
import { ACCEPTED, type FuzzTarget } from './target.ts';

export interface FuzzOptions {
  readonly inputs: number;
  readonly seed: number;
}

export interface FuzzReport {
  readonly target: string;
  readonly inputs: number;
  readonly seed: number;
  readonly accepted: number;
  readonly refused: number;
  /** How often each reason was given. */
  readonly reasons: ReadonlyMap<string, number>;
  /** Of decoding, and of writing again what was accepted; making the inputs is not in it. */
  readonly meanUs: number;
  readonly slowestUs: number;
  /** What is still there after the run and a collection: a decoder that keeps anything shows. */
  readonly heapGrowthBytes: number;
}

/** What no decoder may exceed, on any machine: generous, so that only a real defect does. */
export const MEAN_US_MAX = 50;
/** What any one input may take; so long that no pause of the machine is mistaken for the decoder's. */
export const SLOWEST_MS_MAX = 1_000;
export const HEAP_GROWTH_BYTES_MAX: number = 64 * 1024 * 1024;

/** An input that made a decoder throw, break a property or take for ever. Its message has all it takes to see it again. */
export class FuzzFinding extends Error {
  override readonly name = 'FuzzFinding';
  readonly input: Uint8Array;

  constructor(target: string, seed: number, index: number, input: Uint8Array, cause: unknown) {
    const what = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    super(`${target}: ${what}\n  seed ${seed}, input ${index}\n  npm run fuzz -- ${target} --input ${toHex(input)}`, {
      cause,
    });
    this.input = input;
  }
}

/** Runs a target on its corpus and then on mutants of it. The same options give the same inputs. */
export function fuzz(target: FuzzTarget, options: FuzzOptions): FuzzReport {
  const { inputs, seed } = options;
  const corpus = target.corpus();
  const mutator = new Mutator(new SeededRng(seed).fork(target.name), corpus);
  const reasons = new Map<string, number>();
  let accepted = 0;
  let totalMs = 0;
  let slowestMs = 0;
  const heapBefore = settledHeapBytes();
  for (let index = 0; index < inputs; index++) {
    const input = corpus[index] ?? mutator.next();
    let verdict: string;
    const start = performance.now();
    try {
      verdict = target.check(input);
    } catch (cause) {
      throw new FuzzFinding(target.name, seed, index, input.slice(), cause);
    }
    const spent = performance.now() - start;
    if (spent > SLOWEST_MS_MAX) {
      throw new FuzzFinding(target.name, seed, index, input.slice(), `one input took ${spent.toFixed(0)} ms`);
    }
    totalMs += spent;
    if (spent > slowestMs) slowestMs = spent;
    if (verdict !== ACCEPTED) {
      reasons.set(verdict, (reasons.get(verdict) ?? 0) + 1);
    } else if (index >= corpus.length) {
      accepted++;
      mutator.keep(input);
    }
  }
  const heapGrowthBytes = settledHeapBytes() - heapBefore;
  let refused = 0;
  for (const count of reasons.values()) refused += count;
  return {
    target: target.name,
    inputs,
    seed,
    accepted,
    refused,
    reasons,
    meanUs: (totalMs * 1000) / inputs,
    slowestUs: slowestMs * 1000,
    heapGrowthBytes,
  };
}

/** What is wrong with a run in which no single input failed; nothing, for a good one. */
export function faultsOf(report: FuzzReport): string[] {
  const faults: string[] = [];
  if (report.accepted === 0) faults.push('no mutated input was accepted: the run does not get past the first check');
  if (report.refused === 0) faults.push('no input was refused');
  if (report.meanUs > MEAN_US_MAX) faults.push(`an input takes ${report.meanUs.toFixed(1)} µs on average`);
  if (report.heapGrowthBytes > HEAP_GROWTH_BYTES_MAX) {
    faults.push(`${(report.heapGrowthBytes / 1024 / 1024).toFixed(0)} MiB are still there after the run`);
  }
  return faults;
}

export function formatReport(report: FuzzReport): string {
  const share = ((100 * report.accepted) / report.inputs).toFixed(1);
  const reasons = [...report.reasons].sort((a, b) => b[1] - a[1]).map(([reason, count]) => `${reason} ${count}`);
  const heap = (report.heapGrowthBytes / 1024).toFixed(0);
  return [
    `${report.target}: ${report.inputs} inputs from seed ${report.seed}, ${report.accepted} mutants accepted (${share} %)`,
    `  refused: ${reasons.join(', ')}`,
    `  ${report.meanUs.toFixed(2)} µs on average, ${report.slowestUs.toFixed(0)} µs at the most, heap ${heap} KiB larger`,
  ].join('\n');
}

let collect: (() => void) | undefined;

function settledHeapBytes(): number {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
  return process.memoryUsage().heapUsed;
}
