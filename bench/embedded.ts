import type { Measurement } from '../report/report.ts';
import { measureAvailable } from './available.ts';
import { Figures } from './figures.ts';
import { FLOWS, flowRate, rooflineFor } from './measure.ts';
import { type BenchOptions, type NodeBench, type PathCase, pathCases, runsIn } from './options.ts';
import { inWorkshop } from './rig/workshop.ts';
import { daemonRig, embeddedRig, rooflineRig } from './rigs.ts';

/** Two programs with a node in each, and no Unix socket on the way; against the same through two daemons, and the roofline. */
export const embeddedBench: NodeBench = {
  name: 'embedded',
  summary: 'nodes in the programs themselves, against daemons',
  seconds: 3,
  flags: ['mtu', 'no-offload'],
  async run(options: BenchOptions): Promise<readonly Measurement[]> {
    const figures = new Figures();
    const runs = runsIn(options.seconds);
    const cases = await measureAvailable(pathCases(options), runs, options, (path) =>
      measure(path, options.seconds / runs, figures),
    );
    for (const { name: path } of cases) {
      const name = `one-way ${path}`;
      const goal = path === 'default' ? { atLeast: AGAINST_LOOPBACK_GOAL } : undefined;
      figures.compare(name, THROUGHPUT, 'loopback', figures.of(`loopback for ${name}`, THROUGHPUT), goal);
      figures.compare(name, THROUGHPUT, 'roofline', figures.of(`roofline for ${name}`, THROUGHPUT));
    }
    return figures.measurements;
  },
};

const THROUGHPUT = 'throughput';
const AGAINST_LOOPBACK_GOAL = 1.3;

async function measure(path: PathCase, seconds: number, figures: Figures): Promise<void> {
  const name = `one-way ${path.name}`;
  const mtu = await inWorkshop(async (workshop) => {
    const rig = await embeddedRig(workshop, path);
    for (const flow of FLOWS) {
      figures.add(`${flow} ${path.name}`, THROUGHPUT, 'MB/s', await flowRate(rig, flow, seconds));
    }
    return rig.near.mtu();
  });
  figures.add(path.name, 'packet size', 'B', mtu);
  await inWorkshop(async (workshop) => {
    const rig = await daemonRig(workshop, path);
    figures.add(`loopback for ${name}`, THROUGHPUT, 'MB/s', await flowRate(rig, 'one-way', seconds));
  });
  await inWorkshop(async (workshop) => {
    const rig = await rooflineRig(workshop, await rooflineFor(mtu, path));
    figures.add(`roofline for ${name}`, THROUGHPUT, 'MB/s', await flowRate(rig, 'one-way', seconds));
  });
}
