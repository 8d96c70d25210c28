import { after, MILLISECOND, SECOND } from '../../base/time.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import type { ControllerName } from '../../transport/congestion/controller.ts';
import type { TunnelConfig } from '../../transport/constants.ts';
import { DEFAULT_STREAM_CONFIG } from '../../transport/streams/constants.ts';
import { BulkTransfer, connected } from '../bulk.ts';
import { hollowBackend } from '../hollow-backend.ts';
import type { LinkConfig } from '../link-config.ts';
import { type SimPeer, World } from '../world.ts';

/**
 * What streams make of links, as tables: goodput on typical links, the loss grid that smoltcp publishes, and fairness. Virtual
 * time only, so the figures are exact and the same everywhere; a change in them shows in review.
 */
export interface GridRow {
  readonly text: string;
  readonly bandwidth: number;
  readonly roundTrip: number;
  /** Of the bottleneck, in packets of the path MTU. */
  readonly queue: number;
  readonly loss: number;
  readonly bytes: number;
  readonly least: Readonly<Partial<Record<ControllerName, number>>>;
}

export const CONTROLLERS: readonly ControllerName[] = ['AIMD', 'CUBIC', 'BBR'];
const MBIT = 1_000_000;
/** What the internet carries over IPv6 and Ethernet. */
const MTU = 1_452;
/** Header, tag, and a STREAM_DATA frame with a four-byte offset. */
const PACKET_OVERHEAD = 32 + 1 + 1 + 4 + 2;

export const GRID: readonly GridRow[] = [
  row('100 Mbit/s, 30 ms, 1 BDP queue, no loss, 64 MB', [100, 30, 1, 0, 64], { AIMD: 0.93, CUBIC: 0.95, BBR: 0.95 }),
  row('100 Mbit/s, 100 ms, 0.1 % random loss, 64 MB', [100, 100, 1, 0.001, 64], { BBR: 0.9 }),
  row('100 Mbit/s, 100 ms, 1 % random loss, 64 MB', [100, 100, 1, 0.01, 64], { BBR: 0.85 }),
  row('1 Gbit/s, 100 ms, 0.25 BDP queue, 512 MB', [1_000, 100, 0.25, 0, 512], { CUBIC: 0.85, BBR: 0.9 }),
  {
    ...row('10 Mbit/s, 30 ms, 25-packet queue, 10 MB', [10, 30, 1, 0, 10], { AIMD: 0.9, CUBIC: 0.9, BBR: 0.9 }),
    queue: 25,
  },
];

function row(text: string, link: readonly number[], least: GridRow['least']): GridRow {
  const [mbits, roundTripMs, bdps, loss, megabytes] = link as [number, number, number, number, number];
  const roundTrip = roundTripMs * MILLISECOND;
  const bdpBytes = (mbits * MBIT * roundTrip) / 8 / SECOND;
  return {
    text,
    bandwidth: mbits * MBIT,
    roundTrip,
    queue: Math.round((bdps * bdpBytes) / MTU),
    loss,
    bytes: megabytes * 1_000_000,
    least,
  };
}

export interface GoodputResult {
  /** Of the link, over the last three quarters of the bytes, headers counted as delivered. */
  readonly share: number;
  readonly seconds: number;
}

export function runGoodput(
  grid: GridRow,
  congestion: ControllerName,
  seed: number,
  crypto: CryptoBackend,
): GoodputResult {
  const delay = grid.roundTrip / 2;
  const world = gridWorld(seed, crypto, { congestion });
  const a = world.addPeer('a');
  const b = world.addPeer('b');
  const common: Partial<LinkConfig> = { delay, loss: grid.loss, mtu: MTU };
  world.network.setLink('a', 'b', { ...common, bandwidth: grid.bandwidth, queue: grid.queue });
  world.network.setLink('b', 'a', common);
  const [transfer] = startTransfers(world, [{ from: a, to: b }], grid.bytes);
  finish(world, [transfer!], 3_600 * SECOND);
  const { arrivals, startedAt } = transfer!;
  const last = arrivals[99]!;
  const bits = 0.75 * grid.bytes * 8 * (MTU / (MTU - PACKET_OVERHEAD));
  return {
    share: bits / ((grid.bandwidth * (last - arrivals[24]!)) / SECOND),
    seconds: (last - startedAt) / SECOND,
  };
}

export const LOSSES: readonly number[] = [0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3];
/** smoltcp's own figures for these losses, kB/s, without congestion control (RTT 100 ms, 32 KiB window, 10 MiB). */
export const SMOLTCP: readonly number[] = [323, 315, 220, 167, 77, 37.8, 6.1, 1.16];
const LOSS_GRID_BYTES: number = 10 * 2 ** 20;

/** Goodput of the loss grid in kB/s. */
export function runLossGrid(loss: number, congestion: ControllerName, seed: number, crypto: CryptoBackend): number {
  const world = gridWorld(seed, crypto, {
    congestion,
    // At a third of the packets lost, silence proves nothing for a long time.
    peerTimeout: 600 * SECOND,
    streams: { ...DEFAULT_STREAM_CONFIG, sendBufferMax: 32 * 1_024 },
  });
  const a = world.addPeer('a');
  const b = world.addPeer('b');
  world.network.setDefaultLink({ delay: 50 * MILLISECOND, loss, mtu: MTU });
  const [transfer] = startTransfers(world, [{ from: a, to: b }], LOSS_GRID_BYTES);
  // A window of 32 KiB is full again with each ACK; `writable` alone would wait until a quarter of it is free.
  const { network } = world;
  network.observe({
    datagram: ({ fate, toHost }) => {
      if (fate === 'delivered' && toHost === 'a') network.at(network.now, () => transfer!.pump(), 'a');
    },
  });
  finish(world, [transfer!], 100_000 * SECOND);
  return LOSS_GRID_BYTES / 1_000 / ((transfer!.arrivals[99]! - transfer!.startedAt) / SECOND);
}

/** What the loss grid demands (reliability S2), as a share of smoltcp's figure; and a floor in kB/s. */
export function lossGridLeast(loss: number, congestion: ControllerName): number | undefined {
  const smoltcp = SMOLTCP[LOSSES.indexOf(loss)]!;
  const share = congestion === 'BBR' ? 1 : congestion === 'AIMD' ? (loss <= 0.05 ? 0.7 : 1) : undefined;
  if (share === undefined) return undefined;
  return Math.max(share * smoltcp, loss >= 0.3 ? 5 : 0);
}

export interface FairnessResult {
  /** (Σx)² ÷ (n Σx²): 1 where all are equal. */
  readonly jain: number;
  readonly shares: readonly number[];
}

const FAIR_SECONDS = 60;
/** A prime, so that starts do not fall into step with the round trip. */
const FAIR_START_STEP = 7_919;
const FAIR_LINK = { bandwidth: 50 * MBIT, roundTrip: 40 * MILLISECOND };

/**
 * Flows of these controllers through one bottleneck of one BDP, over the last three quarters of a minute. Whom a full queue drops
 * depends on who comes just then, and AIMD and CUBIC draw no lots: flows that start at one instant would be the same single run for
 * every seed. So they start one after another, and the seed says how far apart.
 */
export function runFairness(flows: readonly ControllerName[], seed: number, crypto: CryptoBackend): FairnessResult {
  const world = gridWorld(seed, crypto, {});
  const queue = Math.round((FAIR_LINK.bandwidth * FAIR_LINK.roundTrip) / 8 / SECOND / MTU);
  const delay = FAIR_LINK.roundTrip / 2;
  const senders = world.addPeersBehind('s', flows.length, (i) => ({ congestion: flows[i]! }));
  const receivers = world.addPeersBehind('r', flows.length);
  world.network.setLink('s', 'r', { delay, mtu: MTU, bandwidth: FAIR_LINK.bandwidth, queue });
  world.network.setLink('r', 's', { delay, mtu: MTU });
  const pairs = senders.map((from, i) => ({ from, to: receivers[i]! }));
  const gap = FAIR_LINK.roundTrip + seed * FAIR_START_STEP;
  const transfers = startTransfers(world, pairs, 10 * FAIR_SECONDS * (FAIR_LINK.bandwidth / 8), gap);
  const { network } = world;
  network.runUntil(after(network.now, (FAIR_SECONDS / 4) * SECOND));
  const before = transfers.map((transfer) => transfer.received);
  network.runUntil(after(network.now, (FAIR_SECONDS * 3 * SECOND) / 4));
  const got = transfers.map((transfer, i) => transfer.received - before[i]!);
  const sum = got.reduce((total, one) => total + one, 0);
  const squares = got.reduce((total, one) => total + one * one, 0);
  return { jain: (sum * sum) / (got.length * squares), shares: got.map((one) => one / sum) };
}

function gridWorld(seed: number, crypto: CryptoBackend, config: Partial<TunnelConfig>): World {
  return new World({ seed, crypto: hollowBackend(crypto), config: { mtuMax: MTU, ...config } });
}

function startTransfers(
  world: World,
  pairs: readonly { readonly from: SimPeer; readonly to: SimPeer }[],
  bytes: number,
  gap = 0,
): BulkTransfer[] {
  for (const { from, to } of pairs) connected(world, from, to);
  return pairs.map(({ from, to }, index) => {
    if (index > 0 && gap > 0) world.network.runUntil(after(world.network.now, gap));
    const transfer = new BulkTransfer(world, { from, to, bytes, port: 80 });
    for (const peer of [from, to]) peer.onStream = (event) => transfer.handle(peer, event);
    if (!transfer.start()) throw world.fail('no stream can be opened', from);
    return transfer;
  });
}

function finish(world: World, transfers: readonly BulkTransfer[], limit: number): void {
  const { network } = world;
  const done = network.runUntilTrue(() => transfers.every((one) => one.isDone), after(network.now, limit));
  if (!done) throw world.fail(`a transfer is not over after ${limit / SECOND} s`);
}
