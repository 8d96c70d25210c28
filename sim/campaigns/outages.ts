import { after, type Instant, MILLISECOND, SECOND } from '../../base/time.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import { DEFAULT_CONFIG } from '../../transport/constants.ts';
import type { DownReason } from '../../transport/events.ts';
import { BulkTransfer, connected } from '../bulk.ts';
import type { SeededRng } from '../rng.ts';
import { type SimPeer, World } from '../world.ts';

/**
 * A transfer and one thing that goes wrong under it: the link is cut and mended, comes to carry less, a side is suspended, or
 * moves to other addresses. Each story says how soon data has to flow again, or which event has to say that it never will.
 */
export const FLOWS_AFTER_OUTAGE: number = 2 * SECOND;
export const FLOWS_AFTER_BLACK_HOLE: number = 3 * SECOND;
export const FLOWS_AFTER_SUSPEND: number = 3 * SECOND;
/** A side that only receives is heard again with its next keepalive at the latest. */
export const FLOWS_AFTER_RECEIVER_MOVED: number = 26 * SECOND;
export const CONNECTS_WITHIN: number = 60 * SECOND;

const STORIES: readonly Story[] = [
  { name: 'outage of 1 s', run: (scene) => outage(scene, SECOND) },
  { name: 'outage of 5 s', run: (scene) => outage(scene, 5 * SECOND) },
  { name: 'outage of 25 s', run: (scene) => outage(scene, 25 * SECOND) },
  { name: 'outage of 30 s', run: (scene) => outage(scene, 30 * SECOND), peerTimeout: 300 * SECOND },
  { name: 'outage of 120 s', run: (scene) => outage(scene, 120 * SECOND), peerTimeout: 300 * SECOND },
  { name: 'outage beyond peerTimeout', run: (scene) => endlessOutage(scene) },
  { name: 'black hole', run: (scene) => blackHole(scene), mtuMax: 1_472, delayMax: 50 * MILLISECOND },
  { name: 'suspend of 10 s', run: (scene) => suspend(scene, 10 * SECOND) },
  { name: 'suspend of 10 min', run: (scene) => suspend(scene, 600 * SECOND) },
  { name: 'suspend of 8 h', run: (scene) => suspend(scene, 8 * 3_600 * SECOND) },
  { name: 'sender moves each second', run: (scene) => senderMoves(scene) },
  { name: 'receiver moves', run: (scene) => receiverMoves(scene) },
];

export interface OutageResult {
  readonly story: string;
  /** From the moment that things could go on, until they did or a typed event said that they will not. */
  readonly recoveredAfter: number;
  /** The tunnel had ended by then. */
  readonly down: DownReason['kind'] | undefined;
  readonly roundTrip: number;
  readonly congestion: string;
  readonly digest: string;
}

export function runOutage(seed: number, crypto: CryptoBackend, trace?: (line: string) => void): OutageResult {
  const story = STORIES[seed % STORIES.length]!;
  // A root of its own, because the controller has to be known before there is a network.
  const congestion = (['AIMD', 'CUBIC', 'BBR'] as const)[Math.floor(seed / STORIES.length) % 3]!;
  const {
    peerTimeout = DEFAULT_CONFIG.peerTimeout,
    mtuMax = DEFAULT_CONFIG.mtuMax,
    delayMax = 100 * MILLISECOND,
  } = story;
  const world = new World({
    seed,
    crypto,
    config: { congestion, peerTimeout, mtuMax },
    ...(trace === undefined ? {} : { trace }),
  });
  const rng = world.network.rng('outage');
  const delay = MILLISECOND + rng.below(delayMax);
  const bandwidth = 1_000_000 * (1 + rng.below(8));
  // At least one round trip's worth, at most three.
  const queue = Math.ceil(((1 + 2 * rng.float()) * bandwidth * 2 * delay) / SECOND / 8 / 1_200) + 10;
  const loss = rng.chance(0.5) ? rng.float() * 0.02 : 0;
  world.network.setDefaultLink({ delay, bandwidth, queue, loss, mtu: 1_500 });
  const a = world.addPeer('a');
  const b = world.addPeer('b');
  try {
    connected(world, a, b);
    const bytes = Math.ceil((bandwidth / 8) * TRANSFER_SECONDS);
    const transfer = new BulkTransfer(world, { from: a, to: b, bytes, port: 7 });
    for (const peer of [a, b]) peer.onStream = (event) => transfer.handle(peer, event);
    transfer.start();
    const queueing = Math.ceil((queue * 1_500 * 8 * SECOND) / bandwidth);
    const scene: Scene = { world, a, b, rng, transfer, roundTrip: 2 * delay + queueing, peerTimeout };
    // Into slow start, or well beyond it.
    pass(scene, rng.below(4 * SECOND) + 100 * MILLISECOND);
    const outcome = story.run(scene);
    return { story: story.name, ...outcome, roundTrip: 2 * delay, congestion, digest: world.network.digest() };
  } catch (error) {
    if (error instanceof Error) Object.assign(error, { trace: world.trace.lines() });
    throw error;
  }
}

/** How long the transfer would take if nothing happened and nothing was lost. */
const TRANSFER_SECONDS = 12;
const FINISHES_WITHIN: number = 600 * SECOND;

interface Story {
  readonly name: string;
  readonly run: (scene: Scene) => Outcome;
  readonly peerTimeout?: number;
  readonly mtuMax?: number;
  /** One way; a recovery that takes several round trips is promised for shorter ones only. */
  readonly delayMax?: number;
}

interface Scene {
  readonly world: World;
  readonly a: SimPeer;
  readonly b: SimPeer;
  readonly rng: SeededRng;
  readonly transfer: BulkTransfer;
  /** The longest, with the queue full. */
  readonly roundTrip: number;
  readonly peerTimeout: number;
}

interface Outcome {
  readonly recoveredAfter: number;
  readonly down: DownReason['kind'] | undefined;
}

function outage(scene: Scene, span: number): Outcome {
  cut(scene);
  pass(scene, span);
  mend(scene);
  const recoveredAfter = flowsWithin(scene, FLOWS_AFTER_OUTAGE);
  finish(scene);
  return { recoveredAfter, down: undefined };
}

/**
 * Whoever waits for an answer is told after `peerTimeout`. Whoever does not, because it only receives, goes on hearing the other
 * until then where the link is cut one way; its next keepalive asks, and it is told when that has been unanswered as long.
 */
function endlessOutage(scene: Scene): Outcome {
  const { world, a, b, peerTimeout } = scene;
  cut(scene);
  const since = world.network.now;
  const isDown = (peer: SimPeer): boolean => downReason(peer) !== undefined;
  const within = 2 * peerTimeout + 30 * SECOND;
  if (!world.network.runUntilTrue(() => isDown(a) && isDown(b), after(since, within))) {
    throw world.fail(`${within / SECOND} s after the link was cut a side knows nothing of it`);
  }
  const reasons = [downReason(a), downReason(b)];
  if (reasons.some((reason) => reason !== 'peer-timeout')) throw world.fail(`the tunnels ended by ${reasons.join()}`);
  const down = downReason(a);
  mend(scene);
  // What has ended does not come back by itself, and is there again when it is asked for.
  const healed = world.network.now;
  world.connect(a, b);
  if (!world.network.runUntilTrue(() => world.hasConverged(a, b), after(healed, 30 * SECOND))) {
    throw world.fail('no tunnel after the link was mended');
  }
  return { recoveredAfter: world.network.now - healed, down };
}

function blackHole(scene: Scene): Outcome {
  const { world, transfer } = scene;
  const { network } = world;
  // The search has to have gone beyond what is left afterwards.
  const large = (): boolean => network.linkStats('a', 'b').tooBig > 0 || transfer.received > 200_000;
  network.runUntilTrue(large, after(network.now, 5 * SECOND));
  network.setDefaultLink({ ...network.linkConfig('a', 'b'), mtu: 1_280 });
  // What was on its way still arrives.
  pass(scene, scene.roundTrip);
  const recoveredAfter = scene.roundTrip + flowsWithin(scene, FLOWS_AFTER_BLACK_HOLE - scene.roundTrip);
  finish(scene);
  return { recoveredAfter, down: undefined };
}

function suspend(scene: Scene, span: number): Outcome {
  const { world, a, b, rng, transfer } = scene;
  const { network } = world;
  const sleeper = rng.pick([a, b]);
  network.pause(sleeper.host);
  pass(scene, span);
  network.resume(sleeper.host);
  const since = network.now;
  const received = transfer.received;
  const isOver = (): boolean => transfer.received > received || downReason(sleeper) !== undefined;
  if (!network.runUntilTrue(isOver, after(since, FLOWS_AFTER_SUSPEND))) {
    throw world.fail(`nothing flows or is said ${FLOWS_AFTER_SUSPEND / SECOND} s after waking`, sleeper);
  }
  const recoveredAfter = network.now - since;
  const down = downReason(sleeper);
  if (down === undefined) finish(scene);
  return { recoveredAfter, down };
}

function senderMoves(scene: Scene): Outcome {
  const { world, a, rng, transfer, roundTrip } = scene;
  const { network } = world;
  let longest = 0;
  // The first probe of a path without a sample of its own takes three round trips as it is estimated, or a second at most.
  const allowed = 2 * roundTrip + SECOND;
  for (let move = 0; move < 60 && !transfer.isDone; move++) {
    world.rebind(a, 1_024 + rng.below(60_000));
    const until = after(network.now, SECOND);
    while (network.now < until && !transfer.isDone) {
      const since = network.now;
      const { received } = transfer;
      const hasMore = (): boolean => transfer.received > received || transfer.isDone;
      if (!network.runUntilTrue(hasMore, after(since, allowed))) {
        throw world.fail(`move ${move}: nothing flows for ${allowed / MILLISECOND} ms`);
      }
      longest = Math.max(longest, network.now - since);
    }
  }
  finish(scene);
  return { recoveredAfter: longest, down: undefined };
}

function receiverMoves(scene: Scene): Outcome {
  const { world, b, rng } = scene;
  world.rebind(b, 1_024 + rng.below(60_000));
  // What was on its way is lost with the address.
  const recoveredAfter = flowsWithin(scene, FLOWS_AFTER_RECEIVER_MOVED);
  finish(scene);
  return { recoveredAfter, down: undefined };
}

function pass(scene: Scene, span: number): void {
  scene.world.network.runUntil(after(scene.world.network.now, span));
}

function cut({ world, rng }: Scene): void {
  const { network } = world;
  const which = rng.pick(['both', 'both', 'forth', 'back'] as const);
  for (const [from, to] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    const isCut = which === 'both' || (which === 'forth') === (from === 'a');
    if (isCut) network.setLink(from, to, { down: true });
  }
}

function mend({ world }: Scene): void {
  world.network.resetLinks();
}

/** How long it takes until the reader has more than it has now. */
function flowsWithin({ world, transfer }: Scene, limit: number): number {
  const { network } = world;
  const since = network.now;
  const { received } = transfer;
  const until = after(since, limit);
  if (!network.runUntilTrue(() => transfer.received > received || transfer.isDone, until)) {
    throw world.fail(`nothing flows after ${limit / MILLISECOND} ms`);
  }
  return network.now - since;
}

function finish({ world, transfer }: Scene): void {
  const limit: Instant = after(world.network.now, FINISHES_WITHIN);
  if (world.network.runUntilTrue(() => transfer.isDone, limit)) return;
  throw world.fail(`the transfer stands at ${transfer.received} of ${transfer.bytes} bytes`);
}

function downReason(peer: SimPeer): DownReason['kind'] | undefined {
  const event = peer.events.find(({ kind }) => kind === 'tunnel-down');
  return event?.kind === 'tunnel-down' ? event.reason.kind : undefined;
}

export interface ConnectResult {
  /** From `connect` to the event that says that the tunnel is there. */
  readonly connectedAfter: number;
  readonly digest: string;
}

/** One connect at 30 ms round trip over links that lose three in ten, in runs of three (interop's figures). */
export function runConnect(seed: number, crypto: CryptoBackend, trace?: (line: string) => void): ConnectResult {
  const link = { delay: 15 * MILLISECOND, loss: 0.3, burst: 3 };
  const world = new World({ seed, crypto, link, ...(trace === undefined ? {} : { trace }) });
  const a = world.addPeer('a');
  const b = world.addPeer('b');
  const { network } = world;
  world.connect(a, b);
  const isUp = (): boolean => a.events.some(({ kind }) => kind === 'tunnel-up');
  if (!network.runUntilTrue(isUp, after(network.now, CONNECTS_WITHIN))) {
    throw world.fail(`not connected after ${CONNECTS_WITHIN / SECOND} s`);
  }
  return { connectedAfter: network.now, digest: network.digest() };
}
