import { setTimeout as sleep } from 'node:timers/promises';
import type { Measurement } from '../report/report.ts';
import { measureAvailable } from './available.ts';
import { Figures } from './figures.ts';
import { FLOWS, flowRate, rooflineFor } from './measure.ts';
import { type BenchOptions, type NodeBench, type PathCase, pathCases, runsIn } from './options.ts';
import type { AppProcess } from './rig/app-process.ts';
import { inWorkshop } from './rig/workshop.ts';
import { daemonRig, rooflineRig } from './rigs.ts';

/**
 * Two daemons on one machine, from application to application: one way, both ways at once (the sum), and echo (what came back).
 * Beside each case stands the roofline with packets of the size that the daemons used.
 */
export const loopbackBench: NodeBench = {
  name: 'loopback',
  summary: 'through two daemons, against the roofline',
  seconds: 3,
  flags: ['mtu', 'no-offload', 'gigabytes'],
  async run(options: BenchOptions): Promise<readonly Measurement[]> {
    const figures = new Figures();
    const { gigabytes } = options;
    if (gigabytes !== undefined) {
      const paths = options.mtu === undefined && options.offload === undefined ? [DEFAULT] : pathCases(options);
      for (const path of paths) await measureTransfer(path, gigabytes, options, figures);
      return figures.measurements;
    }
    const runs = runsIn(options.seconds);
    const cases = await measureAvailable(pathCases(options), runs, options, (path) =>
      measureFlows(path, options.seconds / runs, figures),
    );
    for (const { name } of cases) compareFlows(name, figures);
    return figures.measurements;
  },
};

const DEFAULT: PathCase = { name: 'default' };
const THROUGHPUT = 'throughput';
/** By the names of their cases. */
const GOALS: Readonly<Record<string, number>> = {
  'one-way default': 0.65,
  'one-way mtu 1200': 0.6,
  'one-way mtu 1200 no-offload': 0.6,
};

async function measureFlows(path: PathCase, seconds: number, figures: Figures): Promise<void> {
  const mtu = await inWorkshop(async (workshop) => {
    const rig = await daemonRig(workshop, path);
    for (const flow of FLOWS) {
      figures.add(`${flow} ${path.name}`, THROUGHPUT, 'MB/s', await flowRate(rig, flow, seconds));
    }
    return rig.near.mtu();
  });
  figures.add(path.name, 'packet size', 'B', mtu);
  await inWorkshop(async (workshop) => {
    const rig = await rooflineRig(workshop, await rooflineFor(mtu, path));
    for (const flow of FLOWS) {
      figures.add(rooflineOf(flow, path.name), THROUGHPUT, 'MB/s', await flowRate(rig, flow, seconds));
    }
  });
}

function compareFlows(path: string, figures: Figures): void {
  for (const flow of FLOWS) {
    const name = `${flow} ${path}`;
    const least = GOALS[name];
    const goal = least === undefined ? undefined : { atLeast: least };
    figures.compare(name, THROUGHPUT, 'roofline', figures.of(rooflineOf(flow, path), THROUGHPUT), goal);
  }
}

function rooflineOf(flow: string, path: string): string {
  return `roofline for ${flow} ${path}`;
}

const GIGABYTE = 1e9;
const RETRANSMITTED_PERCENT_MAX = 0.5;
/** A megabyte a second is slower than anything that still works. */
const PATIENCE_MS_PER_GIGABYTE = 1_000_000;
const POLL_MS = 500;

/**
 * One stream, to its end in order. What left the sender beyond the bytes themselves holds every retransmission, and headers and
 * acknowledgements too: where that little is within the goal, the retransmissions are.
 */
async function measureTransfer(
  path: PathCase,
  gigabytes: number,
  options: BenchOptions,
  figures: Figures,
): Promise<void> {
  const { progress } = options;
  await inWorkshop(async (workshop) => {
    const { near, far, daemons } = await daemonRig(workshop, path);
    const bytes = gigabytes * GIGABYTE;
    const name = `${gigabytes} GB ${path.name}`;
    const sender = daemons[0].node;
    const before = (await sender.status()).traffic.bytesOut;
    const transfer = near.transfer(bytes, gigabytes * PATIENCE_MS_PER_GIGABYTE);
    const over = new AbortController();
    const watch = watchTransfer(far, bytes, over.signal, (percent) => progress(`${name}: ${percent} %`));
    const { seconds, error } = await transfer.finally(() => over.abort());
    await watch;
    const { received, broken } = await far.count();
    const sent = (await sender.status()).traffic.bytesOut - before;
    figures.add(name, THROUGHPUT, 'MB/s', received / 1e6 / seconds);
    figures.add(name, 'arrived', '%', (100 * received) / bytes);
    figures.goal(name, 'arrived', { atLeast: 100 });
    figures.add(name, 'spurious resets', '', broken + (error === '' ? 0 : 1));
    figures.goal(name, 'spurious resets', { atMost: 0 });
    figures.add(name, 'sent beyond the payload', '%', 100 * (sent / bytes - 1));
    // Smaller packets have headers that come to more than that by themselves.
    if (path.mtu === undefined) figures.goal(name, 'sent beyond the payload', { atMost: RETRANSMITTED_PERCENT_MAX });
    figures.add(name, 'packet size', 'B', await near.mtu());
  });
}

async function watchTransfer(
  far: AppProcess,
  bytes: number,
  signal: AbortSignal,
  tell: (percent: string) => void,
): Promise<void> {
  while (!signal.aborted) {
    const { received } = await far.count();
    tell(((100 * received) / bytes).toFixed(0));
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}
