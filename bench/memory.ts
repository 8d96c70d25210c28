import { setTimeout as sleep } from 'node:timers/promises';
import type { Measurement } from '../report/report.ts';
import { gatherCrowd } from './crowds.ts';
import { Figures } from './figures.ts';
import { type BenchOptions, type NodeBench, runsIn, scaled } from './options.ts';
import { DaemonProcess } from './rig/daemon-process.ts';
import type { Usage } from './rig/probe.ts';
import { inWorkshop, type Workshop } from './rig/workshop.ts';
import { daemonRig, embeddedRig } from './rigs.ts';

/**
 * What an idle tunnel and an idle stream hold, each the share of one among hundreds: objects and the memory they own, after a
 * collection. The resident set is shown beside it; what it has grown to once it does not give back.
 */
export const memoryBench: NodeBench = {
  name: 'memory',
  summary: 'what an idle tunnel and an idle stream hold',
  seconds: 5,
  async run({ seconds, progress }: BenchOptions): Promise<readonly Measurement[]> {
    const figures = new Figures();
    const runs = runsIn(seconds);
    for (let run = 0; run < runs; run++) {
      progress(`tunnels, run ${run + 1} of ${runs}`);
      await inWorkshop((workshop) => measureTunnels(workshop, seconds, figures));
      progress(`streams, run ${run + 1} of ${runs}`);
      await inWorkshop((workshop) => measureDaemonStreams(workshop, seconds, figures));
      await inWorkshop((workshop) => measureEmbeddedStreams(workshop, seconds, figures));
    }
    figures.goal(TUNNEL, HELD, { atMost: TUNNEL_KIB_MAX });
    for (const name of STREAMS) figures.goal(name, HELD, { atMost: STREAM_KIB_MAX });
    const tunnel = figures.of(TUNNEL, HELD);
    for (const name of STREAMS) figures.compare(name, HELD, 'tunnel', tunnel);
    return figures.measurements;
  },
};

/** About as many as a node may have. */
const TUNNELS = 1_000;
/** Made before anything is counted. */
const FIRST_TUNNELS = 100;
/** One program may have so many at a daemon, and so many a peer in a tunnel. */
const STREAMS_OPEN = 1_000;
const TUNNEL = 'tunnel in a daemon';
const STREAMS = [
  'stream in the daemon that dialled',
  'stream in the daemon that was dialled',
  'stream in a program with a node that dialled',
  'stream in a program with a node that was dialled',
] as const;
const HELD = 'held';
const TUNNEL_KIB_MAX = 16;
const STREAM_KIB_MAX = 10;
/** A tunnel rests within three seconds. */
const SETTLE_MS_MAX = 4_000;

interface Measured {
  usage(collects: boolean): Promise<Usage>;
}

async function measureTunnels(workshop: Workshop, seconds: number, figures: Figures): Promise<void> {
  const [first, all] = [scaled(FIRST_TUNNELS, seconds), scaled(TUNNELS, seconds, 2)];
  const daemon = await DaemonProcess.start(workshop, 'near', {}, { part: 0, of: 2 });
  const crowd = await gatherCrowd(workshop, daemon, all);
  // The first of everything is no tunnel's: code, which took two megabytes, tables, buffers that all share.
  await crowd.connect(first);
  await holding([[daemon, TUNNEL]], all - first, seconds, figures, () => crowd.connect());
}

async function measureDaemonStreams(workshop: Workshop, seconds: number, figures: Figures): Promise<void> {
  const { near, daemons } = await daemonRig(workshop, {});
  await near.dial(2, 1_000);
  const count = scaled(STREAMS_OPEN, seconds);
  const measured = daemons.map((daemon, i): [Measured, string] => [daemon, STREAMS[i]!]);
  await holding(measured, count, seconds, figures, () => near.open('idle', count));
}

async function measureEmbeddedStreams(workshop: Workshop, seconds: number, figures: Figures): Promise<void> {
  const { near, far } = await embeddedRig(workshop, {});
  await near.dial(2, 1_000);
  const count = scaled(STREAMS_OPEN, seconds);
  const measured = [near, far].map((app, i): [Measured, string] => [app, STREAMS[2 + i]!]);
  await holding(measured, count, seconds, figures, () => near.open('idle', count));
}

/** How much more each process has after so many of something than before, for one of it. */
async function holding(
  measured: readonly (readonly [Measured, string])[],
  count: number,
  seconds: number,
  figures: Figures,
  make: () => Promise<void>,
): Promise<void> {
  const settle = (): Promise<void> => sleep(1_000 * Math.min(SETTLE_MS_MAX / 1_000, seconds));
  await settle();
  const before = await Promise.all(measured.map(([one]) => one.usage(true)));
  await make();
  await settle();
  for (const [i, [one, name]] of measured.entries()) {
    const after = await one.usage(true);
    figures.add(name, HELD, 'KiB', (after.heldBytes - before[i]!.heldBytes) / 1_024 / count);
    figures.add(name, 'resident', 'KiB', (after.residentBytes - before[i]!.residentBytes) / 1_024 / count);
  }
}
