import type { Bench, BenchRun } from '../report/report.ts';
import type { PathOptions } from './carriers/embedded.ts';

/** What the benchmarks of nodes may be told beyond `--json` and `--seconds`. */
export interface BenchOptions extends BenchRun, PathOptions {
  /** One transfer of so many instead of the usual cases. */
  readonly gigabytes?: number | undefined;
  /** What the run leaves out, and why; beside the figures. */
  note(text: string): void;
}

export type Flag = 'mtu' | 'no-offload' | 'gigabytes';

/** As `Bench`, for one that has flags of its own or something to say. */
export interface NodeBench extends Omit<Bench, 'run'> {
  readonly flags?: readonly Flag[];
  run(options: BenchOptions): ReturnType<Bench['run']>;
}

/** One way to run nodes, and what its cases are called by. */
export interface PathCase extends PathOptions {
  readonly name: string;
}

const PATH_CASES: readonly PathCase[] = [
  { name: 'default' },
  { name: 'mtu 1200', mtu: 1_200 },
  { name: 'no-offload', offload: false },
  { name: 'mtu 1200 no-offload', mtu: 1_200, offload: false },
];

/** All of them; with flags, what the flags say. */
export function pathCases({ mtu, offload }: PathOptions): readonly PathCase[] {
  if (mtu === undefined && offload === undefined) return PATH_CASES;
  const name = [...(mtu === undefined ? [] : [`mtu ${mtu}`]), ...(offload === false ? ['no-offload'] : [])].join(' ');
  return [{ name, mtu, offload }];
}

/** What a short run makes smaller, so that it still shows that everything works; from a second on it is as it should be. */
export function scaled(count: number, seconds: number, least = 1): number {
  return seconds >= 1 ? count : Math.max(least, Math.round((count * seconds) / 10));
}

/** Each in fresh processes; the figure is their median. */
export function runsIn(seconds: number): number {
  return seconds >= 1 ? 3 : 1;
}
