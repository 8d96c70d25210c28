import type { Measurement } from '../report/report.ts';
import { Figures } from './figures.ts';
import { flowRate, latencies } from './measure.ts';
import { type BenchOptions, type NodeBench, runsIn } from './options.ts';
import { isFastPathThere } from './rig/fast-path.ts';
import { inWorkshop } from './rig/workshop.ts';
import { relayRig, rooflineRig } from './rigs.ts';

/**
 * What the pieces allow: app → Unix socket → process → AES-256-GCM → UDP on loopback → process → Unix socket → app, with a bare
 * credit window and nothing else. Plain is `dgram` and `node:crypto`, fast is segmentation offload and OpenSSL called directly.
 * And what a dial through two daemons cannot do without: two Unix-socket hops that connect, reply and close.
 */
export const rooflineBench: NodeBench = {
  name: 'roofline',
  summary: 'what sockets and ciphers allow by themselves',
  seconds: 3,
  async run({ seconds, progress, note }: BenchOptions): Promise<readonly Measurement[]> {
    const figures = new Figures();
    const isFastThere = await isFastPathThere();
    if (!isFastThere) note('the fast path is not available here: its cases are left out');
    const runs = runsIn(seconds);
    for (let run = 0; run < runs; run++) {
      for (const datagramBytes of SIZES) {
        for (const way of isFastThere ? WAYS : WAYS.slice(0, 1)) {
          const name = `${way} ${datagramBytes}`;
          progress(`${name}, run ${run + 1} of ${runs}`);
          await inWorkshop(async (workshop) => {
            const rig = await rooflineRig(workshop, { datagramBytes, isFast: way === 'fast' });
            figures.add(name, 'throughput', 'MB/s', await flowRate(rig, 'one-way', seconds / runs));
            const { idle, underBulk } = await latencies(rig, seconds / runs);
            for (const quantile of ['p50', 'p99'] as const) {
              figures.add(name, `idle echo ${quantile}`, 'µs', idle[quantile]);
              figures.add(name, `echo ${quantile} under bulk`, 'µs', underBulk[quantile]);
            }
          });
        }
      }
      progress(`bare hops, run ${run + 1} of ${runs}`);
      await inWorkshop(async (workshop) => {
        const { near } = await relayRig(workshop);
        const { streams, seconds: took } = await near.churn(CHURN_MAX, CHURN_AT_ONCE, (1_000 * seconds) / runs);
        figures.add('two bare Unix-socket hops', 'connect + reply + close', '1/s', streams / took);
      });
    }
    for (const size of SIZES) {
      figures.compare(`fast ${size}`, 'throughput', 'plain', figures.of(`plain ${size}`, 'throughput'));
    }
    return figures.measurements;
  },
};

const WAYS = ['plain', 'fast'] as const;
/** What every path carries; a page or two; half of what UDP takes; all of it (65,535 less the headers of UDP and IPv4). */
const SIZES: readonly number[] = [1_200, 8_192, 32_768, 65_507];
const CHURN_MAX = 1_000_000;
/** As many as the dials of `streams`. */
export const CHURN_AT_ONCE = 32;
