import type { Measurement } from '../report/report.ts';
import { measureAvailable } from './available.ts';
import { Figures } from './figures.ts';
import { flowRate } from './measure.ts';
import { type BenchOptions, type NodeBench, runsIn } from './options.ts';
import { Unavailable } from './rig/unavailable.ts';
import { inWorkshop, type Workshop } from './rig/workshop.ts';
import { daemonRig, embeddedRig, hyperdhtRig, type Rig, tlsRig, udxRig } from './rigs.ts';
import { installRival, rivalTitle } from './rivals.ts';

/**
 * Others, each moving the same bytes between the same applications in the same layout of processes: in two processes `udx-native`,
 * which is C and encrypts nothing, and `hyperdht`, which is Noise over it; through two processes in between, behind the same
 * Unix sockets, Node's own TLS over TCP.
 */
export const peersBench: NodeBench = {
  name: 'peers',
  summary: 'against udx-native, hyperdht, and TLS over TCP',
  seconds: 3,
  async run(options: BenchOptions): Promise<readonly Measurement[]> {
    const figures = new Figures();
    const runs = runsIn(options.seconds);
    const measure = ({ name, build }: Entrant): Promise<void> =>
      inWorkshop(async (workshop) => {
        const rig = await build(workshop);
        figures.add(name, THROUGHPUT, 'MB/s', await flowRate(rig, 'one-way', options.seconds / runs));
        const mtu = await rig.near.mtu();
        if (mtu > 0) figures.add(name, 'packet size', 'B', mtu);
      });
    const entrants = [...OURS, ...RIVALS];
    await measureAvailable(entrants, runs, options, (one) =>
      OURS.includes(one) ? measure(one) : orLeftOut(measure(one)),
    );
    for (const [ours, theirs, as, atLeast] of CONTESTS) {
      figures.compare(ours, THROUGHPUT, as, figures.of(theirs, THROUGHPUT), { atLeast });
    }
    return figures.measurements;
  },
};

interface Entrant {
  readonly name: string;
  readonly build: (workshop: Workshop) => Promise<Rig>;
}

const THROUGHPUT = 'throughput';
const EMBEDDED = 'embedded mtu 1200';
const LOOPBACK = 'loopback default';
const TLS = 'TLS over TCP';

const OURS: readonly Entrant[] = [
  { name: EMBEDDED, build: (workshop) => embeddedRig(workshop, { mtu: 1_200 }) },
  { name: LOOPBACK, build: (workshop) => daemonRig(workshop, {}) },
  { name: TLS, build: tlsRig },
];

/** Fetched at their turn. */
const RIVALS: readonly Entrant[] = [
  { name: rivalTitle('udx-native'), build: async (workshop) => udxRig(workshop, await installRival('udx-native')) },
  { name: rivalTitle('hyperdht'), build: async (workshop) => hyperdhtRig(workshop, await installRival('hyperdht')) },
];

const CONTESTS: readonly (readonly [ours: string, theirs: string, as: string, atLeast: number])[] = [
  [EMBEDDED, rivalTitle('udx-native'), 'udx-native', 1],
  [EMBEDDED, rivalTitle('hyperdht'), 'hyperdht', 1.5],
  [LOOPBACK, TLS, 'TLS', 0.7],
];

/** What goes wrong in a rival is not for us to fail of. */
async function orLeftOut(measuring: Promise<void>): Promise<void> {
  try {
    await measuring;
  } catch (error) {
    throw new Unavailable((error as Error).message);
  }
}
