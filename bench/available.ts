import type { BenchOptions } from './options.ts';
import { Unavailable } from './rig/unavailable.ts';

/** Measures each of these, run by run, and leaves out from then on what turns out not to be there; gives those that were. */
export async function measureAvailable<T extends { readonly name: string }>(
  all: readonly T[],
  runs: number,
  { progress, note }: Pick<BenchOptions, 'progress' | 'note'>,
  measure: (one: T) => Promise<void>,
): Promise<readonly T[]> {
  const left = new Set(all);
  for (let run = 0; run < runs; run++) {
    for (const one of left) {
      progress(`${one.name}, run ${run + 1} of ${runs}`);
      try {
        await measure(one);
      } catch (error) {
        const { message } = error as Error;
        if (!(error instanceof Unavailable)) throw new Error(`${one.name}: ${message}`, { cause: error });
        note(`${one.name} is left out: ${message}`);
        left.delete(one);
      }
    }
  }
  return [...left];
}
