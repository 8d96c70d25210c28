import { after, MILLISECOND, SECOND } from '../../base/time.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import type { SeededRng } from '../rng.ts';
import { type SimPeer, World } from '../world.ts';

/**
 * Handshakes that cross and nodes that restart, over links that delay, duplicate and reorder: within three seconds of the last
 * such event both sides have one session, the same, and both can use it. Where the links lose up to a third as well, in runs,
 * it takes as long as chance wills, and still always happens.
 */
export const CONVERGES_WITHIN: number = 3 * SECOND;
export const CONVERGES_UNDER_LOSS_WITHIN: number = 120 * SECOND;

const STORIES = [
  'simultaneous-open',
  'restart-one',
  'restart-both',
  'restart-unheard',
  'restart-midway',
  'crossing-rekeys',
] as const;
export type CrossingStory = (typeof STORIES)[number];

export interface CrossingOptions {
  readonly lossy?: boolean;
  readonly trace?: ((line: string) => void) | undefined;
}

export interface CrossingResult {
  readonly story: CrossingStory;
  /** From the last disturbance. */
  readonly convergedAfter: number;
  readonly digest: string;
}

export function runCrossing(seed: number, crypto: CryptoBackend, options: CrossingOptions = {}): CrossingResult {
  const { trace, lossy = false } = options;
  const within = lossy ? CONVERGES_UNDER_LOSS_WITHIN : CONVERGES_WITHIN;
  const story = STORIES[seed % STORIES.length]!;
  const world = new World({
    seed,
    crypto,
    ...(trace === undefined ? {} : { trace }),
    config: {
      // Whoever gives up after half a minute of bad luck would only have to ask again.
      ...(lossy ? { peerTimeout: CONVERGES_UNDER_LOSS_WITHIN } : {}),
      ...(story === 'crossing-rekeys' ? { rekeyAfterPackets: 20, rekeysPerSecond: 1_000 } : {}),
    },
  });
  const rng = world.network.rng('crossing');
  const delay = MILLISECOND + rng.below(75 * MILLISECOND);
  world.network.setDefaultLink({
    delay,
    jitter: rng.below(2 * delay),
    duplicate: rng.chance(0.5) ? rng.float() * 0.2 : 0,
    reorder: rng.chance(0.5) ? rng.float() * 0.2 : 0,
    reorderDelay: rng.below(2 * delay) + 1,
    ...(lossy ? { loss: rng.float() * 0.3, burst: 1 + rng.below(8) } : {}),
  });
  const a = world.addPeer('a');
  const b = world.addPeer('b');
  disturb({ world, story, a, b, rng, within });
  const since = world.network.now;
  const deadline = after(since, within);
  keepTalking(world, story, a, b);
  if (!world.network.runUntilTrue(() => world.hasConverged(a, b), deadline)) {
    throw world.fail(`${story}: not one session after ${within / SECOND} s`);
  }
  const convergedAfter = world.network.now - since;
  checkUse(world, a, b);
  return { story, convergedAfter, digest: world.network.digest() };
}

interface Disturbance {
  readonly world: World;
  readonly story: CrossingStory;
  readonly a: SimPeer;
  readonly b: SimPeer;
  readonly rng: SeededRng;
  readonly within: number;
}

function disturb({ world, story, a, b, rng, within }: Disturbance): void {
  const pause = (most: number): void => world.network.runUntil(after(world.network.now, rng.below(most)));
  if (story === 'simultaneous-open') {
    world.connect(a, b);
    pause(300 * MILLISECOND);
    world.connect(b, a);
    return;
  }
  world.connect(a, b);
  if (story === 'restart-midway') {
    pause(600 * MILLISECOND);
    restart(world, rng.chance(0.5) ? a : b);
    world.connect(a, b);
    pause(200 * MILLISECOND);
    world.connect(b, a);
    return;
  }
  if (!world.network.runUntilTrue(() => world.hasConverged(a, b), after(world.network.now, within))) {
    throw world.fail(`${story}: the first connect did not converge`);
  }
  pause(SECOND);
  if (story === 'crossing-rekeys') {
    // Both reach the limit at about the same packet.
    for (let i = 0; i < 60; i++) {
      world.send(a, b);
      world.send(b, a);
      pause(20 * MILLISECOND);
    }
    return;
  }
  restart(world, a);
  if (story === 'restart-unheard') return;
  if (story === 'restart-both') {
    restart(world, b);
    pause(300 * MILLISECOND);
    world.connect(b, a);
  }
  pause(300 * MILLISECOND);
  world.connect(a, b);
}

function restart(world: World, peer: SimPeer): void {
  world.crash(peer);
  world.start(peer);
}

/** A peer that restarted without connecting is found by the other's traffic. */
function keepTalking(world: World, story: CrossingStory, a: SimPeer, b: SimPeer): void {
  if (story !== 'restart-unheard') return;
  for (let i = 0; i < 30; i++) {
    world.network.at(after(world.network.now, i * 100 * MILLISECOND), () => void world.send(b, a));
  }
}

/** One a second is sent until one arrives; where nothing is lost that is the first. */
function checkUse(world: World, a: SimPeer, b: SimPeer): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const before = world.letters(from, to).received;
    const arrives = (): boolean => world.letters(from, to).received > before;
    for (let tries = 0; !arrives(); tries++) {
      if (!world.send(from, to)) throw world.fail('the tunnel takes no datagram', from);
      if (tries > 60) throw world.fail('nothing that is sent after convergence arrives', from);
      world.network.runUntilTrue(arrives, after(world.network.now, SECOND));
    }
  }
}
