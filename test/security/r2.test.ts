import { describe, expect, it } from 'vitest';
import { concat, equal } from '../../base/bytes.ts';
import { MILLISECOND, SECOND } from '../../base/time.ts';
import type { SimAddress } from '../../sim/address.ts';
import type { SimPeer, World } from '../../sim/world.ts';
import { PROVISIONAL_PER_PEER_MAX, UNCONFIRMED_LIFETIME } from '../../transport/constants.ts';
import { readU32 } from '../../wire/integers.ts';
import {
  COOKIE_BYTES,
  INITIATION_BYTES,
  RESPONSE_BYTES,
  TYPE_COOKIE,
  TYPE_DATA,
  TYPE_INITIATION,
  TYPE_RESPONSE,
} from '../../wire/packet.ts';
import {
  connected,
  ELSEWHERE,
  exchangeLetters,
  expectInert,
  feed,
  type Pair,
  pair,
  run,
  type Sent,
  stateOf,
  strangeAddress,
  u64,
  withMac1,
} from './support.ts';

/**
 * R2: a recorded handshake, sent again, installs a fresh state under an old key: counters and window start over, old packets
 * are accepted again and the endpoint moves to whoever replayed. Here a replay is answered at most once, with no more bytes
 * than it has, and leaves a provisional slot that nobody can use.
 */
const REPLAYS = 10_000;

/** A tunnel with some traffic behind it, and the handshake that opened it. */
function recorded(): Pair & { initiation: Uint8Array; response: Uint8Array } {
  const nodes = connected();
  exchangeLetters(nodes.world, nodes.a, nodes.b, 10);
  const { tape, a, b } = nodes;
  return {
    ...nodes,
    initiation: tape.from(a, TYPE_INITIATION)[0]!.bytes,
    response: tape.from(b, TYPE_RESPONSE)[0]!.bytes,
  };
}

function sources(peer: SimPeer): (index: number) => SimAddress {
  return (index) => (index % 3 === 0 ? peer.address : index % 3 === 1 ? ELSEWHERE : strangeAddress(index));
}

/** The tunnel is closed and both sides have forgotten it. */
function closeAndForget(world: World, a: SimPeer, b: SimPeer): void {
  a.node.endpoint.close(b.key, 'NO_ERROR', '', world.network.now);
  world.network.touch(a.name);
  run(world, 10 * SECOND);
  for (const peer of [a, b]) expect(peer.node.endpoint.inspect()).toMatchObject({ tunnels: [], sessionIds: 0 });
}

describe('R2: a replayed initiation', () => {
  it('gets a cookie packet and changes nothing where the session lives, 10,000 times from anywhere', () => {
    const { world, a, b, initiation } = recorded();
    const before = stateOf(b);
    const from = sources(a);
    const events = b.events.length;
    for (let i = 0; i < REPLAYS; i++) {
      const sent = feed(world, b, from(i), initiation);
      expect(sent.map(({ to, bytes }) => [to, bytes[0], bytes.length])).toEqual([
        [from(i).key, TYPE_COOKIE, COOKIE_BYTES],
      ]);
      if (i % 100 === 0) expect(stateOf(b)).toEqual(before);
    }
    expect(stateOf(b)).toEqual(before);
    expect(b.events.length).toBe(events);
    expect(b.tunnelTo(a)?.activeRoute?.key).toBe(a.address.key);
    exchangeLetters(world, a, b);
  });

  it('takes one provisional slot while the genuine handshake is under way, and gets the same answer again', () => {
    const { world, a, b, tape } = pair();
    world.connect(a, b);
    run(world, 15 * MILLISECOND);
    const initiation = tape.from(a, TYPE_INITIATION)[0]!.bytes;
    const response = tape.from(b, TYPE_RESPONSE)[0]!.bytes;
    const before = stateOf(b);
    expect(before.provisional).toHaveLength(1);
    for (let i = 0; i < 1_000; i++) {
      const sent = feed(world, b, a.address, initiation);
      expect(sent.map(({ to }) => to)).toEqual([a.address.key]);
      expect(equal(sent[0]!.bytes, response)).toBe(true);
    }
    expect(stateOf(b)).toEqual(before);
    run(world, SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
  });

  it('from other places takes the other three slots of the peer, and the genuine handshake completes all the same', () => {
    const { world, a, b, tape } = pair();
    world.connect(a, b);
    run(world, 15 * MILLISECOND);
    const initiation = tape.from(a, TYPE_INITIATION)[0]!.bytes;
    const lengths: number[] = [];
    for (let i = 0; i < 100; i++) {
      const from = strangeAddress(i);
      const sent = feed(world, b, from, initiation);
      expect(sent.map(({ to }) => to)).toEqual([from.key]);
      lengths.push(sent[0]!.bytes.length);
      expect(b.node.endpoint.provisionalCount).toBeLessThanOrEqual(PROVISIONAL_PER_PEER_MAX);
    }
    // Then it takes a cookie, which nobody gets who cannot receive at the place it is for.
    expect(lengths).toEqual(lengths.map((_, i) => (i < PROVISIONAL_PER_PEER_MAX - 1 ? RESPONSE_BYTES : COOKIE_BYTES)));
    run(world, SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
    expect(b.tunnelTo(a)?.activeRoute?.key).toBe(a.address.key);
    run(world, UNCONFIRMED_LIFETIME);
    expect(b.node.endpoint.inspect()).toMatchObject({ provisional: [], sessionIds: 1 });
    exchangeLetters(world, a, b);
  });

  it.each([
    ['from one place takes one slot', 1, () => ELSEWHERE],
    ['from anywhere takes the four slots of the peer', PROVISIONAL_PER_PEER_MAX, strangeAddress],
  ] as const)('after close %s for 5 s and nothing else, 10,000 times over a minute', (_, slots, from) => {
    const { world, a, b, initiation } = recorded();
    closeAndForget(world, a, b);
    const before = b.node.endpoint.inspect();
    const events = b.events.length;
    const answers = new Set<number>();
    for (let i = 0; i < REPLAYS; i++) {
      const sent = feed(world, b, from(i), initiation);
      expect(sent.length).toBeLessThanOrEqual(1);
      for (const { to, bytes } of sent) {
        expect(to).toBe(from(i).key);
        expect(bytes.length).toBeLessThanOrEqual(INITIATION_BYTES);
        if (bytes[0] === TYPE_RESPONSE) answers.add(readU32(bytes, 8));
      }
      const state = b.node.endpoint.inspect();
      expect(state.provisional.length).toBeLessThanOrEqual(slots);
      expect(state.tunnels).toEqual([]);
      run(world, 6 * MILLISECOND);
    }
    // A slot is somebody's for five seconds, and then the next one's.
    const turns = Math.ceil((REPLAYS * 6 * MILLISECOND) / UNCONFIRMED_LIFETIME) + 1;
    expect(answers.size).toBeLessThanOrEqual(slots * turns);
    run(world, UNCONFIRMED_LIFETIME);
    expect(b.node.endpoint.inspect()).toEqual(before);
    expect(b.events.length).toBe(events);
  });

  it('does not make old packets acceptable again, not even under the new session id', () => {
    const { world, a, b, tape, initiation } = recorded();
    const packets = tape.from(a, TYPE_DATA).map(({ bytes }) => bytes);
    const backwards = tape.from(b, TYPE_DATA).map(({ bytes }) => bytes);
    closeAndForget(world, a, b);
    const [answer] = feed(world, b, a.address, initiation);
    const session = readU32(answer!.bytes, 8);
    for (const bytes of [...packets, ...backwards]) {
      expectInert(world, b, a.address, bytes, 'as it was');
      expectInert(world, b, a.address, readdressed(bytes, session), 'readdressed');
      expectInert(world, b, ELSEWHERE, readdressed(bytes, session, 2 ** 40), 'readdressed and renumbered');
    }
    const drops = b.node.endpoint.drops;
    expect(drops.count('not-authentic')).toBe(2 * (packets.length + backwards.length));
    expect(world.letters(a, b)).toEqual({ sent: 10, received: 10 });
  });

  it('does not end the live tunnel of a peer that has restarted since, nor one that it opened anew', () => {
    const { world, a, b, initiation } = recorded();
    world.crash(a);
    world.start(a);
    for (let i = 0; i < 100; i++) feed(world, b, sources(a)(i), initiation);
    expect(b.tunnelTo(a)?.state).toBe('open');
    world.connect(a, b);
    run(world, SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
    const before = stateOf(b);
    for (let i = 0; i < 1_000; i++) {
      const sent = feed(world, b, sources(a)(i), initiation);
      expect(sent.map(({ bytes }) => bytes.length)).toEqual([COOKIE_BYTES]);
    }
    expect(stateOf(b)).toEqual(before);
    exchangeLetters(world, a, b);
  });

  it('gets a cookie packet from a node that is just closing, and does not keep it from forgetting', () => {
    const { world, a, b, initiation } = recorded();
    // Its CLOSE does not arrive, so that it waits to say it again.
    world.network.setAdversary(() => 'drop');
    b.node.endpoint.close(a.key, 'SHUTDOWN', '', world.network.now);
    world.network.touch(b.name);
    const before = stateOf(b);
    expect(before.tunnels[0]?.state).toBe('closing');
    for (let i = 0; i < 1_000; i++) {
      const sent = feed(world, b, sources(a)(i), initiation);
      expect(sent.map(({ bytes }) => bytes.length)).toEqual([COOKIE_BYTES]);
    }
    expect(stateOf(b)).toEqual(before);
    run(world, 2 * SECOND);
    expect(b.node.endpoint.inspect()).toMatchObject({ tunnels: [], provisional: [], sessionIds: 0 });
  });

  it('with its recorded cookie, at the address that cookie is for, still only takes slots that expire', () => {
    const { world, a, b, tape } = recorded();
    // A second handshake from outside, while the first session lives: it has to show a cookie.
    world.crash(a);
    world.start(a);
    world.connect(a, b);
    run(world, SECOND);
    const withCookie = tape.from(a, TYPE_INITIATION).at(-1)!.bytes;
    expect(withCookie.subarray(-16)).not.toEqual(new Uint8Array(16));
    exchangeLetters(world, a, b);
    const tunnels = b.node.endpoint.inspect().tunnels;
    let replies: Sent[] = [];
    for (let i = 0; i < 1_000; i++) {
      replies = replies.concat(feed(world, b, a.address, withCookie));
      expect(b.node.endpoint.inspect().provisional.length).toBeLessThanOrEqual(1);
    }
    expect(replies.length).toBeLessThanOrEqual(1_000);
    for (const { bytes } of replies) expect(bytes.length).toBeLessThanOrEqual(INITIATION_BYTES);
    expect(b.node.endpoint.inspect().tunnels).toEqual(tunnels);
    run(world, UNCONFIRMED_LIFETIME);
    expect(b.node.endpoint.inspect()).toMatchObject({ provisional: [], sessionIds: 1 });
    exchangeLetters(world, a, b);
  });
});

describe('R2: a replayed response', () => {
  it('is refused in silence by the initiator that has its session, 10,000 times from anywhere', () => {
    const { world, a, b, response } = recorded();
    for (let i = 0; i < REPLAYS; i++) expectInert(world, a, sources(b)(i), response);
    expect(a.tunnelTo(b)?.activeRoute?.key).toBe(b.address.key);
    exchangeLetters(world, a, b);
  });

  it('is refused after close, after a restart, and by the handshake that comes next', () => {
    const { world, a, b, response } = recorded();
    closeAndForget(world, a, b);
    for (let i = 0; i < 100; i++) expectInert(world, a, sources(b)(i), response);
    world.crash(a);
    world.start(a);
    for (let i = 0; i < 100; i++) expectInert(world, a, sources(b)(i), response);
    world.connect(a, b);
    run(world, MILLISECOND);
    for (let i = 0; i < 100; i++) expectInert(world, a, sources(b)(i), response);
    run(world, SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
  });

  it('does not answer the present attempt under its session id either', () => {
    const { world, a, b, tape, response } = recorded();
    closeAndForget(world, a, b);
    world.network.setAdversary(() => 'drop');
    world.connect(a, b);
    run(world, MILLISECOND);
    const attempt = tape.from(a, TYPE_INITIATION).at(-1)!.bytes;
    const redirected = concat(response.subarray(0, 12), attempt.subarray(8, 12), response.subarray(16));
    expectInert(world, a, b.address, redirected, 'with its old MAC1');
    expectInert(world, a, b.address, withMac1(redirected, a.keys.staticKey), 'with a MAC1 made for it');
    const { drops } = a.node.endpoint;
    expect([drops.count('bad-mac1'), drops.count('not-authentic')]).toEqual([1, 1]);
    world.network.setAdversary(undefined);
    run(world, 2 * SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
  });
});

describe('R2: recorded data packets', () => {
  it('are refused in a live tunnel, across rekeys and after them, by their receiver and by their sender', () => {
    const { world, a, b, tape } = connected({ config: { rekeyAfterPackets: 10, rekeysPerSecond: 1_000 } });
    for (let i = 0; i < 10; i++) {
      exchangeLetters(world, a, b, 5);
      // Their time is past, their session may not be.
      for (const { bytes, fromHost } of tape.all.slice(-12)) {
        const [sender, receiver] = fromHost === a.name ? [a, b] : [b, a];
        expectInert(world, receiver, sender.address, bytes);
        expectInert(world, receiver, ELSEWHERE, bytes);
        expectInert(world, sender, receiver.address, bytes);
      }
    }
    expect(b.events.filter((event) => event.kind === 'rekeyed').length).toBeGreaterThan(5);
    run(world, 11 * SECOND);
    for (const { bytes, fromHost } of tape.all.filter((taped) => taped.bytes[0] === TYPE_DATA)) {
      expectInert(world, fromHost === a.name ? b : a, ELSEWHERE, bytes);
    }
    exchangeLetters(world, a, b);
  });
});

/** The packet under another session id, and another number where one is given. */
function readdressed(packet: Uint8Array, session: number, number?: number): Uint8Array {
  const id = Uint8Array.of(session >>> 24, session >>> 16, session >>> 8, session);
  return concat(
    packet.subarray(0, 4),
    id,
    number === undefined ? packet.subarray(8, 16) : u64(number),
    packet.subarray(16),
  );
}
