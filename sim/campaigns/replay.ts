import { after, MILLISECOND, SECOND } from '../../base/time.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import { UNCONFIRMED_LIFETIME } from '../../transport/constants.ts';
import type { DropReason } from '../../transport/drops.ts';
import type { EndpointState } from '../../transport/endpoint.ts';
import { INITIATION_BYTES, TYPE_COOKIE, TYPE_RESPONSE } from '../../wire/packet.ts';
import { type SimAddress, simAddress } from '../address.ts';
import type { SeededRng } from '../rng.ts';
import { type SimPeer, World } from '../world.ts';

/**
 * Everything that was ever delivered comes again, in random order and from random addresses: half of it between genuine
 * packets and rekeys, half while the tunnel rests. The same run without the replays says what each node should be like at the
 * end; the two may not differ, and every replay must have been dropped for a reason. One kind is not: an initiation with a
 * cookie that is still good, from the address the cookie is for, takes a provisional slot for five seconds.
 */
const STEP: number = 10 * MILLISECOND;
const STEPS = 400;
const RESTING_STEPS = 500;
/** A rekey a second: some of what comes again is of a session that lives, some of one that does not. */
const REKEY_AFTER_PACKETS = 150;
/** Strange sources; a node keeps a route for each. */
const SOURCES = 20_000;

export interface ReplayResult {
  /** Genuine packets on tape. */
  readonly recorded: number;
  readonly replays: number;
  readonly rekeys: number;
  /** How many replays were dropped, by reason. */
  readonly drops: Readonly<Partial<Record<DropReason, number>>>;
  /** Responses that replayed initiations with a good cookie got: the first for a slot, the others that same one again. */
  readonly responses: number;
  /** Cookie packets that replayed initiations got. */
  readonly cookies: number;
  /** What was neither dropped nor such an initiation. Always 0: anything else has been thrown. */
  readonly accepted: 0;
  readonly digest: string;
}

/** Throws a `SimFailure` where a replay was accepted, got more than it may, or changed anything. */
export function runReplay(seed: number, count: number, crypto: CryptoBackend): ReplayResult {
  const expected = play(seed, 0, crypto);
  const { world, tape, drops, responses, cookies, states, rekeys } = play(seed, count, crypto);
  if (JSON.stringify(states) !== JSON.stringify(expected.states)) {
    throw world.fail('I4: after the replays the nodes are not as they would have been without');
  }
  const counted: Partial<Record<DropReason, number>> = {};
  let accepted = count - responses;
  for (const [reason, total] of drops) {
    const replayed = total - (expected.drops.get(reason) ?? 0);
    if (replayed !== 0) counted[reason] = replayed;
    accepted -= replayed;
  }
  if (accepted !== 0) throw world.fail(`I4: ${accepted} of ${count} replays were accepted`);
  const digest = world.network.digest();
  return { recorded: tape.length, replays: count, rekeys, drops: counted, responses, cookies, accepted, digest };
}

interface Replayable {
  readonly from: SimAddress;
  readonly to: SimAddress;
  readonly bytes: Uint8Array;
}

interface Play {
  readonly world: World;
  readonly tape: readonly Replayable[];
  readonly drops: ReadonlyMap<DropReason, number>;
  readonly responses: number;
  readonly cookies: number;
  readonly rekeys: number;
  /** Of both nodes when the traffic is over, and when all is over; without session ids, which are drawn at random. */
  readonly states: readonly unknown[];
}

function play(seed: number, count: number, crypto: CryptoBackend): Play {
  const world = new World({
    seed,
    crypto,
    link: { delay: 5 * MILLISECOND },
    config: { rekeyAfterPackets: REKEY_AFTER_PACKETS, rekeysPerSecond: 1_000 },
  });
  const { network } = world;
  const rng = network.rng('replay');
  const tape: Replayable[] = [];
  network.observe({
    datagram: ({ fate, origin, from, to, bytes }) => {
      if (fate === 'delivered' && origin === 'original') tape.push({ from, to, bytes: bytes.slice() });
    },
  });
  const a = world.addPeer('a');
  const b = world.addPeer('b');
  open(world, a, b);
  // The second handshake meets a live session, so that a cookie and an initiation with it are on tape as well.
  world.crash(a);
  world.start(a);
  open(world, a, b);

  // What a replay gets goes nowhere: it is for the attacker. Nothing genuine is of these types from here on.
  let responses = 0;
  let cookies = 0;
  network.setAdversary(({ bytes }) => {
    if (bytes[0] !== TYPE_COOKIE && bytes[0] !== TYPE_RESPONSE) return 'pass';
    if (bytes.length > INITIATION_BYTES) throw world.fail('an answer is longer than the initiation it answers');
    if (bytes[0] === TYPE_COOKIE) cookies += 1;
    else responses += 1;
    return 'drop';
  });
  const eventsBefore = a.events.length + b.events.length;
  for (let step = 0; step < STEPS; step++) {
    if (!world.send(a, b, 40 + rng.below(1_000)) || !world.send(b, a, 40)) throw world.fail('the tunnel ended');
    replay(world, tape, share(count >> 1, step, STEPS), rng.fork(`traffic ${step}`));
    network.runUntil(after(network.now, STEP));
    checkSlots(world, a, b);
  }
  rest(world);
  const resting = [a, b].map((peer) => peer.node.endpoint.inspect());
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    if (world.letters(from, to).received !== STEPS) throw world.fail('a genuine datagram was not delivered', from);
  }
  for (let step = 0; step < RESTING_STEPS; step++) {
    replay(world, tape, share(count - (count >> 1), step, RESTING_STEPS), rng.fork(`rest ${step}`));
    network.runUntil(after(network.now, STEP));
    checkSlots(world, a, b);
  }
  rest(world);
  const rested = [a, b].map((peer) => peer.node.endpoint.inspect());
  if (JSON.stringify(rested) !== JSON.stringify(resting)) throw world.fail('I4: replays changed a tunnel at rest');
  const rekeys = [...a.events, ...b.events].filter(({ kind }) => kind === 'rekeyed').length;
  if (a.events.length + b.events.length !== eventsBefore + rekeys) throw world.fail('more happened than rekeys');
  const drops = new Map<DropReason, number>();
  for (const peer of [a, b]) {
    for (const [reason, total] of peer.node.endpoint.drops.entries()) {
      drops.set(reason, (drops.get(reason) ?? 0) + total);
    }
  }
  return { world, tape, drops, responses, cookies, rekeys, states: rested.map(withoutIds) };
}

function open(world: World, a: SimPeer, b: SimPeer): void {
  const { network } = world;
  world.connect(a, b);
  if (!network.runUntilTrue(() => world.hasConverged(a, b), after(network.now, 5 * SECOND))) {
    throw world.fail('no tunnel in 5 s');
  }
  network.runUntil(after(network.now, SECOND));
}

/** Until every session that was replaced and every provisional one is gone; too short for a keepalive. */
function rest(world: World): void {
  world.network.runUntil(after(world.network.now, UNCONFIRMED_LIFETIME));
}

function checkSlots(world: World, ...peers: readonly SimPeer[]): void {
  for (const peer of peers) {
    if (peer.node.endpoint.provisionalCount > 1) throw world.fail('one initiation holds two provisional slots', peer);
  }
}

/** At random times of the step that comes. One in eight goes back to whoever sent it. */
function replay(world: World, tape: readonly Replayable[], count: number, rng: SeededRng): void {
  for (let i = 0; i < count; i++) {
    const { from, to, bytes } = rng.pick(tape);
    const [source, target] = rng.chance(1 / 8) ? [to, from] : [from, to];
    const at = rng.chance(1 / 2) ? source : strange(rng.below(SOURCES));
    world.network.inject({ from: at, to: target, bytes, delay: rng.below(STEP) });
  }
}

function strange(index: number): SimAddress {
  return simAddress(`100.64.${index >> 8}.${index & 0xff}`, 1_024 + index);
}

/** How many of `count` fall to one step, so that all steps together have them all. */
function share(count: number, step: number, steps: number): number {
  return Math.floor((count * (step + 1)) / steps) - Math.floor((count * step) / steps);
}

function withoutIds(state: EndpointState): unknown {
  const tunnels = state.tunnels.map((tunnel) => ({
    ...tunnel,
    sessions: tunnel.sessions.map(({ localId, remoteId, ...session }) => session),
  }));
  return { ...state, tunnels };
}
