import { MILLISECOND } from '../base/time.ts';
import type { Measurement } from '../report/report.ts';
import { MBIT } from '../sim/campaigns/grid.ts';
import { CONTROLLERS } from '../sim/tables/cells.ts';
import { Figures } from './figures.ts';
import { type BenchOptions, type NodeBench, runsIn } from './options.ts';
import type { SimulatedResult, SimulatedRun } from './rig/simulated-link.ts';
import { inWorkshop } from './rig/workshop.ts';

/**
 * The congestion controllers over links of the simulator: computed, not measured, so the same on any machine. `npm run sim -- grid`
 * is the long form. Runs of under ten seconds move less, and then the start of a transfer is more of it.
 */
export const ccBench: NodeBench = {
  name: 'cc',
  summary: 'congestion controllers over simulated links',
  seconds: 10,
  async run({ seconds, progress }: BenchOptions): Promise<readonly Measurement[]> {
    const figures = new Figures();
    const bytes = Math.max(BYTES_MIN, Math.min(BYTES_MAX, BYTES_PER_SECOND * seconds));
    for (let seed = 1; seed <= runsIn(seconds); seed++) {
      for (const { name, link } of LINKS) {
        for (const congestion of CONTROLLERS) {
          progress(`${name}, ${congestion}, seed ${seed}`);
          const result = await simulate({ kind: 'transfer', link, bytes, congestion, seed });
          if (result.kind === 'transfer') {
            figures.add(`${name} / ${congestion}`, 'goodput', 'Mbit/s', (8 * result.goodput) / MBIT);
          }
        }
      }
      // A minute of virtual time, whatever the seconds: a shorter one is not about fairness.
      progress(`two flows of each, seed ${seed}`);
      for (const congestion of seconds >= 1 ? CONTROLLERS : []) {
        const result = await simulate({ kind: 'fairness', flows: [congestion, congestion], seed });
        if (result.kind === 'fairness') figures.add(`two flows / ${congestion}`, "Jain's index", '', result.jain);
      }
    }
    for (const { name, link } of LINKS) {
      for (const congestion of CONTROLLERS) {
        figures.compare(`${name} / ${congestion}`, 'goodput', 'the link', link.bandwidth / MBIT);
        if (congestion !== CONTROLLERS[0]) {
          const other = figures.of(`${name} / ${CONTROLLERS[0]}`, 'goodput');
          figures.compare(`${name} / ${congestion}`, 'goodput', CONTROLLERS[0]!, other);
        }
      }
    }
    return figures.measurements;
  },
};

const BYTES_PER_SECOND = 1_600_000;
const BYTES_MIN = 500_000;
const BYTES_MAX = 64_000_000;

/** Of the tables' links, the ones that tell the controllers apart. The queue holds one BDP where nothing else is said. */
const LINKS = [
  { name: '100 Mbit/s, 30 ms', link: bottleneck(100, 30, 258, 0) },
  { name: '100 Mbit/s, 100 ms, 1 % loss', link: bottleneck(100, 100, 861, 0.01) },
  { name: '10 Mbit/s, 30 ms, 25-packet queue', link: bottleneck(10, 30, 25, 0) },
] as const;

function bottleneck(mbits: number, roundTripMs: number, queue: number, loss: number) {
  return { bandwidth: mbits * MBIT, roundTrip: roundTripMs * MILLISECOND, queue, loss };
}

/** A minute of a fast link takes longer than that on no machine that has the others' patience. */
const PATIENCE_MS = 600_000;

function simulate(run: SimulatedRun): Promise<SimulatedResult> {
  return inWorkshop((workshop) => {
    const child = workshop.start<never, SimulatedResult>('rig/simulated-link.js', [JSON.stringify(run)], {});
    return child.next(run.kind, PATIENCE_MS);
  });
}
