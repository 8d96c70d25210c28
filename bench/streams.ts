import type { Measurement } from '../report/report.ts';
import { Figures } from './figures.ts';
import { type BenchOptions, type NodeBench, runsIn, scaled } from './options.ts';
import { inWorkshop, type Workshop } from './rig/workshop.ts';
import { daemonRig, embeddedRig, type Rig, relayRig } from './rigs.ts';
import { CHURN_AT_ONCE } from './roofline.ts';

/**
 * Streams opened and closed in order, from one to ten thousand of them, at most 32 at any time: with nodes in the programs, through
 * two daemons, and for comparison connections over two bare Unix-socket hops. Each run of so many is the whole of it, so the first
 * figures hold what the first stream of a program costs.
 */
export const streamsBench: NodeBench = {
  name: 'streams',
  summary: 'streams opened and closed a second',
  seconds: 5,
  async run({ seconds, progress }: BenchOptions): Promise<readonly Measurement[]> {
    const figures = new Figures();
    const runs = runsIn(seconds);
    for (let run = 0; run < runs; run++) {
      for (const [name, build] of LAYOUTS) {
        progress(`${name}, run ${run + 1} of ${runs}`);
        await inWorkshop(async (workshop) => {
          const { near } = await build(workshop);
          for (const count of COUNTS) {
            const least = Math.min(count, CHURN_AT_ONCE);
            const { streams, seconds: took } = await near.churn(scaled(count, seconds, least), CHURN_AT_ONCE, MS_MAX);
            figures.add(caseOf(name, count), METRIC, '1/s', streams / took);
          }
        });
      }
    }
    for (const count of COUNTS) {
      const isLast = count === COUNTS.at(-1);
      const bare = figures.of(caseOf(BARE, count), METRIC);
      figures.compare(caseOf('embedded', count), METRIC, BARE, bare);
      figures.compare(caseOf('daemons', count), METRIC, BARE, bare, isLast ? { atLeast: DAEMONS_GOAL } : undefined);
      if (isLast) figures.goal(caseOf('embedded', count), METRIC, { atLeast: EMBEDDED_GOAL });
    }
    return figures.measurements;
  },
};

export const COUNTS: readonly number[] = [1, 10, 100, 1_000, 10_000];
const BARE = 'bare hops';
const METRIC = 'opens + closes';
const EMBEDDED_GOAL = 5_000;
const DAEMONS_GOAL = 0.4;
const MS_MAX = 60_000;

const LAYOUTS: readonly (readonly [name: string, build: (workshop: Workshop) => Promise<Rig>])[] = [
  ['embedded', (workshop) => embeddedRig(workshop, {})],
  ['daemons', (workshop) => daemonRig(workshop, {})],
  [BARE, relayRig],
];

function caseOf(layout: string, count: number): string {
  return `${layout}, ${count.toLocaleString('en-GB')}`;
}
