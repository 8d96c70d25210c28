import type { Measurement } from '../report/report.ts';
import { Figures } from './figures.ts';
import { type Latencies, latencies, rooflineFor } from './measure.ts';
import { type BenchOptions, type NodeBench, runsIn } from './options.ts';
import { inWorkshop } from './rig/workshop.ts';
import { daemonRig, rooflineRig } from './rigs.ts';

/**
 * 64 bytes to the other application and back, one after the other: alone, and beside a stream of the same tunnel that takes all
 * there is, with BBR. The roofline does the same with packets of the same size.
 */
export const latencyBench: NodeBench = {
  name: 'latency',
  summary: '64-byte echoes, idle and under bulk load',
  seconds: 5,
  flags: ['mtu', 'no-offload'],
  async run({ seconds, progress, mtu, offload }: BenchOptions): Promise<readonly Measurement[]> {
    const figures = new Figures();
    const runs = runsIn(seconds);
    for (let run = 0; run < runs; run++) {
      progress(`run ${run + 1} of ${runs}`);
      const used = await inWorkshop(async (workshop) => {
        const rig = await daemonRig(workshop, { mtu, offload, congestion: 'bbr' });
        add(figures, '', await latencies(rig, seconds / runs, WARM_UP_SECONDS));
        return rig.near.mtu();
      });
      await inWorkshop(async (workshop) => {
        const rig = await rooflineRig(workshop, await rooflineFor(used, { offload }));
        add(figures, 'roofline ', await latencies(rig, seconds / runs, WARM_UP_SECONDS));
      });
    }
    for (const load of LOADS) {
      for (const quantile of Object.keys(QUANTILES)) {
        const most = GOALS[`${load} ${quantile}`];
        const goal = most === undefined ? undefined : { atMost: most };
        figures.compare(load, quantile, 'roofline', figures.of(`roofline ${load}`, quantile), goal);
      }
    }
    return figures.measurements;
  },
};

/** A message at a time runs little code often, and it takes V8 some thousand of them until all of it is compiled. */
const WARM_UP_SECONDS = 5;
const LOADS = ['idle', 'under bulk'] as const;
const QUANTILES = { p50: 'p50', p99: 'p99', 'p99.9': 'p999' } as const;
const GOALS: Readonly<Record<string, number>> = { 'idle p50': 2, 'under bulk p99': 1.5 };

function add(figures: Figures, prefix: string, { idle, underBulk }: Latencies): void {
  for (const [name, key] of Object.entries(QUANTILES)) {
    figures.add(`${prefix}idle`, name, 'µs', idle[key]);
    figures.add(`${prefix}under bulk`, name, 'µs', underBulk[key]);
  }
}
