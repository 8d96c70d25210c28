import type { Measurement } from '../report/report.ts';
import { gatherCrowd } from './crowds.ts';
import { Figures } from './figures.ts';
import { flowFor, settled } from './measure.ts';
import { type BenchOptions, type NodeBench, runsIn, scaled } from './options.ts';
import { inWorkshop } from './rig/workshop.ts';
import { type DaemonRig, daemonRig } from './rigs.ts';

/**
 * What a gigabyte costs both daemons together, as ever more streams share the tunnel, and as ever more other peers are connected
 * that say nothing. Flat is what both curves should be.
 */
export const scaleBench: NodeBench = {
  name: 'scale',
  summary: 'what a gigabyte costs, as streams and peers grow',
  seconds: 5,
  async run({ seconds, progress }: BenchOptions): Promise<readonly Measurement[]> {
    const figures = new Figures();
    const runs = runsIn(seconds);
    for (let run = 0; run < runs; run++) {
      for (const streams of STREAMS) {
        progress(`${streamsCase(streams)}, run ${run + 1} of ${runs}`);
        await inWorkshop(async (workshop) => {
          const rig = await daemonRig(workshop, {});
          await rig.near.open('sink', scaled(streams, seconds));
          await measure(rig, streamsCase(streams), seconds / runs, figures);
        });
      }
      for (const peers of PEERS) {
        progress(`${peersCase(peers)}, run ${run + 1} of ${runs}`);
        await inWorkshop(async (workshop) => {
          const rig = await daemonRig(workshop, {});
          await (await gatherCrowd(workshop, rig.daemons[0], scaled(peers, seconds))).connect();
          await rig.near.open('sink');
          await measure(rig, peersCase(peers), seconds / runs, figures);
        });
      }
    }
    const alone = streamsCase(1);
    for (const name of [...STREAMS.slice(1).map(streamsCase), ...PEERS.map(peersCase)]) {
      for (const metric of [COST, 'throughput']) figures.compare(name, metric, alone, figures.of(alone, metric));
    }
    return figures.measurements;
  },
};

/** One program may have a thousand streams at a daemon, and a node a thousand tunnels. */
const STREAMS: readonly number[] = [1, 10, 100, 1_000];
const PEERS: readonly number[] = [1, 10, 100, 1_000];
const COST = 'cpu';

function streamsCase(streams: number): string {
  return streams === 1 ? '1 stream' : `${streams.toLocaleString('en-GB')} streams`;
}

function peersCase(peers: number): string {
  return peers === 1 ? '1 idle peer' : `${peers.toLocaleString('en-GB')} idle peers`;
}

async function measure(rig: DaemonRig, name: string, seconds: number, figures: Figures): Promise<void> {
  await settled(rig, seconds);
  const before = await cpuOf(rig);
  const { bytes, milliseconds } = await flowFor(rig, 'one-way', seconds);
  const cpuMs = (await cpuOf(rig)) - before;
  figures.add(name, COST, 's/GB', (1e6 * cpuMs) / bytes);
  figures.add(name, 'throughput', 'MB/s', bytes / 1e3 / milliseconds);
}

/** Of both daemons, in milliseconds. */
async function cpuOf({ daemons }: DaemonRig): Promise<number> {
  const usages = await Promise.all(daemons.map((daemon) => daemon.usage()));
  return usages.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}
