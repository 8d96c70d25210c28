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
 * What streams make of links: one flow through a bottleneck, one behind a small window, and several that share. Which links, and
 * what is demanded of them, is in `tables/cells.ts`. Virtual time only, so the figures are exact and the same everywhere.
 */
export interface Bottleneck {
  /** Bits a second. */
  readonly bandwidth: number;
  readonly roundTrip: number;
  /** In packets of the path MTU. */
  readonly queue: number;
  /** Of the datagrams, in each direction. */
  readonly loss: number;
}

/** What the internet carries over IPv6 and Ethernet. */
export const MTU = 1_452;
export const MBIT = 1_000_000;
/** Header, tag, and a STREAM_DATA frame with a four-byte offset. */
const PACKET_OVERHEAD = 32 + 1 + 1 + 4 + 2;

/** One transfer from its first write on. */
export interface TransferResult {
  /** Of the link, over the last three quarters of the bytes, headers counted as delivered. */
  readonly share: number;
  /** Bytes a second of the whole transfer, headers not counted. */
  readonly goodput: number;
  /** Of the whole transfer. */
  readonly seconds: number;
}

export function runTransfer(
  link: Bottleneck,
  bytes: number,
  congestion: ControllerName,
  seed: number,
  crypto: CryptoBackend,
): TransferResult {
  const world = gridWorld(seed, crypto, { congestion });
  const a = world.addPeer('a');
  const b = world.addPeer('b');
  const common: Partial<LinkConfig> = { delay: link.roundTrip / 2, loss: link.loss, mtu: MTU };
  world.network.setLink('a', 'b', { ...common, bandwidth: link.bandwidth, queue: link.queue });
  world.network.setLink('b', 'a', common);
  const [transfer] = startTransfers(world, [{ from: a, to: b }], bytes);
  finish(world, [transfer!], 3_600 * SECOND);
  const { arrivals } = transfer!;
  const bits = 0.75 * bytes * 8 * (MTU / (MTU - PACKET_OVERHEAD));
  const share = bits / ((link.bandwidth * (arrivals[99]! - arrivals[24]!)) / SECOND);
  return { share, ...wholeOf(transfer!) };
}

/** One transfer that may never have more than `window` bytes on their way, over a link with no bottleneck. */
export function runWindowed(
  link: Pick<Bottleneck, 'roundTrip' | 'loss'>,
  window: number,
  bytes: number,
  congestion: ControllerName,
  seed: number,
  crypto: CryptoBackend,
): Omit<TransferResult, 'share'> {
  const world = gridWorld(seed, crypto, {
    congestion,
    // At a third of the packets lost, silence proves nothing for a long time.
    peerTimeout: 600 * SECOND,
    streams: { ...DEFAULT_STREAM_CONFIG, sendBufferMax: window },
  });
  const a = world.addPeer('a');
  const b = world.addPeer('b');
  world.network.setDefaultLink({ delay: link.roundTrip / 2, loss: link.loss, mtu: MTU });
  const [transfer] = startTransfers(world, [{ from: a, to: b }], bytes);
  // So small a window is full again with each ACK; `writable` alone would wait until a quarter of it is free.
  const { network } = world;
  network.observe({
    datagram: ({ fate, toHost }) => {
      if (fate === 'delivered' && toHost === 'a') network.at(network.now, () => transfer!.pump(), 'a');
    },
  });
  finish(world, [transfer!], 100_000 * SECOND);
  return wholeOf(transfer!);
}

function wholeOf({ bytes, arrivals, startedAt }: BulkTransfer): Omit<TransferResult, 'share'> {
  const seconds = (arrivals[99]! - startedAt) / SECOND;
  return { goodput: bytes / seconds, seconds };
}

export interface FairnessResult {
  /** (Σx)² ÷ (n Σx²): 1 where all are equal. */
  readonly jain: number;
  readonly shares: readonly number[];
}

export const FAIR_SECONDS = 60;
/** A prime, so that starts do not fall into step with the round trip. */
const FAIR_START_STEP = 7_919;
export const FAIR_LINK: Pick<Bottleneck, 'bandwidth' | 'roundTrip'> = {
  bandwidth: 50 * MBIT,
  roundTrip: 40 * MILLISECOND,
};

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
