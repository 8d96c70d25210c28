import { setTimeout as sleep } from 'node:timers/promises';
import type { Measurement } from '../report/report.ts';
import { gatherCrowd } from './crowds.ts';
import { Figures } from './figures.ts';
import { type BenchOptions, type NodeBench, scaled } from './options.ts';
import { DaemonProcess } from './rig/daemon-process.ts';
import { inWorkshop } from './rig/workshop.ts';

/** What a daemon costs whose peers are connected and say nothing. A keepalive comes every 20 to 25 s: half a minute has one of each, and one run is enough of it. */
export const idleBench: NodeBench = {
  name: 'idle',
  summary: 'what connected peers cost that say nothing',
  seconds: 30,
  async run({ seconds, progress }: BenchOptions): Promise<readonly Measurement[]> {
    const figures = new Figures();
    for (const peers of PEERS) {
      progress(`${peers} peers`);
      await inWorkshop(async (workshop) => {
        const daemon = await DaemonProcess.start(workshop, 'near', {}, { part: 0, of: 2 });
        await (await gatherCrowd(workshop, daemon, scaled(peers, seconds))).connect();
        // What connecting leaves behind to be done is not idle.
        await sleep(1_000 * Math.min(SETTLE_SECONDS_MAX, seconds));
        const [before, cost] = [await daemon.node.status(), await daemon.usage()];
        for (let second = 0; second < seconds; second += STEP_SECONDS) {
          progress(`${peers} peers, ${Math.round(second)} of ${seconds} s`);
          await sleep(1_000 * Math.min(STEP_SECONDS, seconds - second));
        }
        // Nor is telling of a thousand peers: that costs as much as they do in ten seconds.
        const [costAfter, after] = [await daemon.usage(), await daemon.node.status()];
        const elapsed = (costAfter.at - cost.at) / 1_000;
        const name = caseOf(peers);
        figures.add(name, 'cpu', '% of a core', (costAfter.cpuMs - cost.cpuMs) / (10 * elapsed));
        figures.add(name, 'sent', 'B/s', (after.traffic.bytesOut - before.traffic.bytesOut) / elapsed);
        figures.add(name, 'received', 'B/s', (after.traffic.bytesIn - before.traffic.bytesIn) / elapsed);
      });
    }
    for (const peers of PEERS.slice(1)) {
      figures.compare(caseOf(peers), 'cpu', caseOf(1), figures.of(caseOf(1), 'cpu'));
    }
    figures.goal(caseOf(100), 'cpu', { atMost: CPU_PERCENT_MAX });
    return figures.measurements;
  },
};

const PEERS: readonly number[] = [1, 100, 1_000];
const CPU_PERCENT_MAX = 1;
const SETTLE_SECONDS_MAX = 3;
const STEP_SECONDS = 1;

function caseOf(peers: number): string {
  return peers === 1 ? '1 peer' : `${peers.toLocaleString('en-GB')} peers`;
}
