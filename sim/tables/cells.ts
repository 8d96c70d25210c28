import { MILLISECOND, SECOND } from '../../base/time.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import type { ControllerName } from '../../transport/congestion/controller.ts';
import {
  type Bottleneck,
  FAIR_LINK,
  FAIR_SECONDS,
  MBIT,
  MTU,
  runFairness,
  runTransfer,
  runWindowed,
} from '../campaigns/grid.ts';
import { twoDigits, wholeNumber } from './digits.ts';

/** What the tables hold: every cell, what is demanded of it, and how it is computed. */

/** One table: rows of the same figure. */
export interface Section {
  readonly title: string;
  readonly about: string;
  readonly metric: string;
  readonly unit: string;
  readonly shown: (value: number) => string;
  /** One run a seed; the figure is the median. One is enough where little is left to luck, or the transfer is long. */
  readonly seeds: readonly number[];
  /** Whether the runs' extremes are told beside the figure. */
  readonly showsSpread: boolean;
  /** Whether a run is a whole transfer, whose time stands beside the figure. */
  readonly isTimed: boolean;
}

/** What is in a row before anything has run. */
export interface Case {
  readonly name: string;
  /** What the figure has to come to. */
  readonly least?: number;
  /** Figures of others for the same, by their name. */
  readonly others?: Readonly<Record<string, number>>;
}

export interface Figure {
  readonly value: number;
  /** Of the whole transfer, where the section is timed. */
  readonly seconds?: number;
}

/** What one run gives: a row, or several that cannot be had apart. */
export interface Cell {
  readonly section: Section;
  readonly cases: readonly Case[];
  /** About how many bytes cross the network in one run: the work it is. */
  readonly bytes: number;
  /** A figure for each case. */
  readonly run: (seed: number, crypto: CryptoBackend) => readonly Figure[];
}

export const CONTROLLERS: readonly ControllerName[] = ['AIMD', 'CUBIC', 'BBR'];

const ALONE: Section = {
  title: 'One flow alone',
  about:
    'Share of the link over the last three quarters of the bytes, headers counted as delivered; the time is the whole ' +
    "transfer's. Loss falls in both directions.",
  metric: 'share',
  unit: 'of the link',
  shown: twoDigits,
  seeds: [1],
  showsSpread: false,
  isTimed: true,
};

const WINDOWED: Section = {
  title: 'A window of 32 KiB over a lossy link',
  about:
    'Goodput of the whole transfer, kB/s. The links and the figures beside ours are of the loss grid that smoltcp publishes, ' +
    'without congestion control.',
  metric: 'goodput',
  unit: 'kB/s',
  shown: wholeNumber,
  seeds: [1, 2, 3],
  showsSpread: false,
  isTimed: true,
};

const EQUAL: Section = {
  title: 'Equal flows through one bottleneck',
  about: `Jain's index of what each got in the last three quarters of ${FAIR_SECONDS} s: 1 where all got the same.`,
  metric: 'jain',
  unit: '',
  shown: twoDigits,
  seeds: [1, 2, 3],
  showsSpread: true,
  isTimed: false,
};

const AGAINST: Section = {
  title: 'Two controllers through one bottleneck',
  about: `Part of the traffic that each got in the last three quarters of ${FAIR_SECONDS} s.`,
  metric: 'part of the traffic',
  unit: '',
  shown: twoDigits,
  seeds: [1, 2, 3],
  showsSpread: true,
  isTimed: false,
};

const SWEEP: Section = {
  title: 'Loss, round trip and bandwidth',
  about:
    'Goodput of the whole transfer from its first byte, Mbit/s; the queue holds one BDP, and 25 packets at least; loss falls ' +
    'in both directions. Nothing is demanded here: these rows are there to show what a change does.',
  metric: 'goodput',
  unit: 'Mbit/s',
  shown: twoDigits,
  seeds: [1, 2, 3],
  showsSpread: false,
  isTimed: true,
};

type Least = Readonly<Partial<Record<ControllerName, number>>>;

function alone(text: string, link: Bottleneck, bytes: number, least: Least): Cell[] {
  return CONTROLLERS.map((congestion) => ({
    section: ALONE,
    cases: [{ name: `${text} / ${congestion}`, ...demand(least[congestion]) }],
    bytes,
    run: (seed, crypto) => {
      const { share, seconds } = runTransfer(link, bytes, congestion, seed, crypto);
      return [{ value: share, seconds }];
    },
  }));
}

function bottleneck(mbits: number, roundTripMs: number, queue: { bdps: number } | { packets: number }, loss: number) {
  const bandwidth = mbits * MBIT;
  const roundTrip = roundTripMs * MILLISECOND;
  const packets = 'packets' in queue ? queue.packets : queueOf(bandwidth, roundTrip, queue.bdps);
  return { bandwidth, roundTrip, queue: packets, loss };
}

function queueOf(bandwidth: number, roundTrip: number, bdps: number): number {
  return Math.round((bdps * bandwidth * roundTrip) / 8 / SECOND / MTU);
}

/** By loss: smoltcp's own figures in kB/s (RTT 100 ms, 32 KiB window, 10 MiB). */
const SMOLTCP: readonly (readonly [loss: number, kilobytes: number])[] = [
  [0, 323],
  [0.001, 315],
  [0.01, 220],
  [0.02, 167],
  [0.05, 77],
  [0.1, 37.8],
  [0.2, 6.1],
  [0.3, 1.16],
];
const SMOLTCP_BYTES = 10 * 2 ** 20;
const SMOLTCP_WINDOW = 32 * 2 ** 10;
/** At three lost of ten a transfer still has to get somewhere, kB/s. */
const CRAWL = 5;

function windowed(loss: number, smoltcp: number): Cell[] {
  return CONTROLLERS.map((congestion) => ({
    section: WINDOWED,
    cases: [
      {
        name: `100 ms, 32 KiB window, ${percent(loss)} loss, 10 MiB / ${congestion}`,
        others: { smoltcp },
        ...demand(windowedLeast(loss, smoltcp, congestion)),
      },
    ],
    bytes: SMOLTCP_BYTES,
    run: (seed, crypto) => {
      const link = { roundTrip: 100 * MILLISECOND, loss };
      const { goodput, seconds } = runWindowed(link, SMOLTCP_WINDOW, SMOLTCP_BYTES, congestion, seed, crypto);
      return [{ value: goodput / 1_000, seconds }];
    },
  }));
}

/** AIMD has to yield to loss where a sender without congestion control need not, up to where timeouts decide for both. */
function windowedLeast(loss: number, smoltcp: number, congestion: ControllerName): number | undefined {
  if (congestion === 'CUBIC') return undefined;
  const least = congestion === 'AIMD' && loss <= 0.05 ? 0.7 * smoltcp : smoltcp;
  return Math.max(least, loss >= 0.3 ? CRAWL : 0);
}

const JAIN_LEAST = 0.95;
const PART_LEAST = 0.25;
const FAIR_BYTES = FAIR_SECONDS * (FAIR_LINK.bandwidth / 8);
const FAIR_TEXT = '50 Mbit/s, 40 ms, 1 BDP queue';

function equal(count: number, congestion: ControllerName): Cell {
  const flows = Array.from({ length: count }, () => congestion);
  return {
    section: EQUAL,
    cases: [{ name: `${count} equal flows, ${FAIR_TEXT} / ${congestion}`, least: JAIN_LEAST }],
    bytes: FAIR_BYTES,
    run: (seed, crypto) => [{ value: runFairness(flows, seed, crypto).jain }],
  };
}

function against(...flows: readonly ControllerName[]): Cell {
  const text = `${flows.join(' against ')}, ${FAIR_TEXT}`;
  return {
    section: AGAINST,
    cases: flows.map((congestion) => ({ name: `${text} / ${congestion}`, least: PART_LEAST })),
    bytes: FAIR_BYTES,
    run: (seed, crypto) => runFairness(flows, seed, crypto).shares.map((value) => ({ value })),
  };
}

const SWEEP_LOSSES: readonly number[] = [0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.3];
const SWEEP_ROUND_TRIPS_MS: readonly number[] = [10, 100, 300];
/** Long enough to leave the start behind, short enough that all of it is a minute's work. */
const SWEEP_LINKS: readonly { readonly mbits: number; readonly bytes: number; readonly size: string }[] = [
  { mbits: 1, bytes: 250_000, size: '250 kB' },
  { mbits: 10, bytes: 2_000_000, size: '2 MB' },
  { mbits: 100, bytes: 8_000_000, size: '8 MB' },
];
const SWEEP_QUEUE_LEAST = 25;

function sweep(): Cell[] {
  const cells: Cell[] = [];
  for (const { mbits, bytes, size } of SWEEP_LINKS) {
    for (const ms of SWEEP_ROUND_TRIPS_MS) {
      for (const loss of SWEEP_LOSSES) {
        const packets = Math.max(SWEEP_QUEUE_LEAST, queueOf(mbits * MBIT, ms * MILLISECOND, 1));
        const link = bottleneck(mbits, ms, { packets }, loss);
        for (const congestion of CONTROLLERS) {
          cells.push({
            section: SWEEP,
            cases: [{ name: `${mbits} Mbit/s, ${ms} ms, ${percent(loss)} loss, ${size} / ${congestion}` }],
            bytes,
            run: (seed, crypto) => {
              const { goodput, seconds } = runTransfer(link, bytes, congestion, seed, crypto);
              return [{ value: (goodput * 8) / MBIT, seconds }];
            },
          });
        }
      }
    }
  }
  return cells;
}

function percent(loss: number): string {
  return `${Number((100 * loss).toPrecision(3))} %`;
}

/** An absent property, not an undefined one, is how a case says that nothing is demanded. */
function demand(least: number | undefined): Pick<Case, 'least'> {
  return least === undefined ? {} : { least };
}

const BDP = { bdps: 1 };
const MB = 1_000_000;

/** In the order of the tables. */
export const CELLS: readonly Cell[] = [
  ...alone('100 Mbit/s, 30 ms, 1 BDP queue, no loss, 64 MB', bottleneck(100, 30, BDP, 0), 64 * MB, {
    AIMD: 0.93,
    CUBIC: 0.95,
    BBR: 0.95,
  }),
  ...alone('100 Mbit/s, 100 ms, 0.1 % random loss, 64 MB', bottleneck(100, 100, BDP, 0.001), 64 * MB, { BBR: 0.9 }),
  ...alone('100 Mbit/s, 100 ms, 1 % random loss, 64 MB', bottleneck(100, 100, BDP, 0.01), 64 * MB, { BBR: 0.85 }),
  ...alone('1 Gbit/s, 100 ms, 0.25 BDP queue, 512 MB', bottleneck(1_000, 100, { bdps: 0.25 }, 0), 512 * MB, {
    CUBIC: 0.85,
    BBR: 0.9,
  }),
  ...alone('10 Mbit/s, 30 ms, 25-packet queue, 10 MB', bottleneck(10, 30, { packets: 25 }, 0), 10 * MB, {
    AIMD: 0.9,
    CUBIC: 0.9,
    BBR: 0.9,
  }),
  ...SMOLTCP.flatMap(([loss, kilobytes]) => windowed(loss, kilobytes)),
  ...[2, 4, 8, 16].flatMap((count) => CONTROLLERS.map((congestion) => equal(count, congestion))),
  against('BBR', 'CUBIC'),
  ...sweep(),
];
