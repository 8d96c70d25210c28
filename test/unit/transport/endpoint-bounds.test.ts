import { describe, expect, it } from 'vitest';
import { assert } from '../../../base/assert.ts';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import { type SimAddress, simAddress } from '../../../sim/address.ts';
import { SeededRng } from '../../../sim/rng.ts';
import type { SimPeer, World } from '../../../sim/world.ts';
import {
  DATAGRAMS_QUEUED_MAX,
  DATAGRAMS_RECEIVED_MAX,
  EVICTABLE_AFTER,
  PATHS_MAX,
  PROVISIONAL_COOKIE_FROM,
  PROVISIONAL_MAX,
  PROVISIONAL_PER_PEER_MAX,
  REPLIES_QUEUED_MAX,
  SOURCE_HANDSHAKES_BURST,
  SOURCES_MAX,
  UNCONFIRMED_LIFETIME,
} from '../../../transport/constants.ts';
import { RECEIVED_RANGES_MAX, ReceivedNumbers } from '../../../transport/recovery/received-numbers.ts';
import type { TunnelPlace } from '../../../transport/tunnel-node.ts';
import type { Frame } from '../../../wire/frames.ts';
import { readU32 } from '../../../wire/integers.ts';
import {
  COOKIE_BYTES,
  DATA_OVERHEAD_BYTES,
  INITIATION_MAC2_OFFSET,
  TYPE_COOKIE,
  TYPE_RESPONSE,
} from '../../../wire/packet.ts';
import { craftInitiation, encodeFrames, KeyedPeer, makeSelf, type Self } from '../../security/hostile.ts';
import {
  askCookie,
  CountingBackend,
  connected,
  ELSEWHERE,
  exchangeLetters,
  expectInert,
  feed,
  flipped,
  pair,
  run,
  type Sent,
  strangeAddress,
  withMac1,
  withMac2,
} from '../../security/support.ts';

/** Every bound of PROTOCOL §12, filled: what does not fit is refused or pushes out what the page says, and nothing else. */
const rng = new SeededRng(0xb0);

/** No limit on strangers but the one that is meant. */
const UNHURRIED = { handshakesPerSecond: 1_000_000, handshakesBurst: 1_000_000 };

function initiationBy(self: Self, to: SimPeer): Uint8Array {
  const content = { rng, to: to.keys.staticKey, staticKey: self.identity.exchange, record: self.record };
  return craftInitiation(content).message;
}

/** The initiation with the cookie that this source is given. */
function withCookie(world: World, peer: SimPeer, from: SimAddress, message: Uint8Array): Uint8Array {
  return withMac2(message, askCookie(world, peer, from, message));
}

function types(sent: readonly Sent[]): (number | undefined)[] {
  return sent.map(({ bytes }) => bytes[0]);
}

describe('provisional sessions', () => {
  it('of one peer are four; a fifth needs a cookie, and then takes the place of the oldest', () => {
    const { world, b } = pair({ config: UNHURRIED });
    const self = makeSelf(rng);
    const ids: number[] = [];
    for (let i = 0; i < PROVISIONAL_PER_PEER_MAX; i++) {
      const sent = feed(world, b, strangeAddress(i), initiationBy(self, b));
      expect(types(sent)).toEqual([TYPE_RESPONSE]);
      ids.push(readU32(sent[0]!.bytes, 8));
      run(world, MILLISECOND);
    }
    expect(b.node.endpoint.inspect().provisional).toEqual(ids);
    const fifth = initiationBy(self, b);
    const before = b.node.endpoint.inspect();
    const from = strangeAddress(99);
    expect(types(feed(world, b, from, fifth))).toEqual([TYPE_COOKIE]);
    expect(b.node.endpoint.inspect()).toEqual(before);
    const sent = feed(world, b, from, withCookie(world, b, from, fifth));
    expect(types(sent)).toEqual([TYPE_RESPONSE]);
    expect(b.node.endpoint.inspect().provisional).toEqual([...ids.slice(1), readU32(sent[0]!.bytes, 8)]);
    expect(b.node.endpoint.inspect().sessionIds).toBe(PROVISIONAL_PER_PEER_MAX);
    run(world, UNCONFIRMED_LIFETIME);
    expect(b.node.endpoint.inspect()).toMatchObject({ provisional: [], sessionIds: 0 });
  });

  it('of all peers are 256, from 64 on only with a cookie; what comes then is dropped in silence', () => {
    const { world, a, b } = pair({ config: UNHURRIED });
    const selves = Array.from({ length: PROVISIONAL_MAX / PROVISIONAL_PER_PEER_MAX }, () => makeSelf(rng));
    let asked = 0;
    const next = (): { from: SimAddress; message: Uint8Array } => {
      const self = selves[Math.floor(asked / PROVISIONAL_PER_PEER_MAX)]!;
      return { from: strangeAddress(asked++), message: initiationBy(self, b) };
    };
    for (; asked < PROVISIONAL_COOKIE_FROM; ) {
      const { from, message } = next();
      expect(types(feed(world, b, from, message))).toEqual([TYPE_RESPONSE]);
    }
    for (; asked < PROVISIONAL_MAX; ) {
      const { from, message } = next();
      const before = b.node.endpoint.provisionalCount;
      expect(feed(world, b, from, message).map(({ bytes }) => bytes.length)).toEqual([COOKIE_BYTES]);
      expect(b.node.endpoint.provisionalCount).toBe(before);
      expect(types(feed(world, b, from, withCookie(world, b, from, message)))).toEqual([TYPE_RESPONSE]);
    }
    expect(b.node.endpoint.provisionalCount).toBe(PROVISIONAL_MAX);
    // One more peer finds no room; a peer that has its four gives up its oldest.
    const [stranger, known] = [strangeAddress(asked++), strangeAddress(asked++)];
    expectInert(world, b, stranger, withCookie(world, b, stranger, initiationBy(makeSelf(rng), b)));
    expect(b.node.endpoint.drops.count('tables-full')).toBe(1);
    const again = withCookie(world, b, known, initiationBy(selves[0]!, b));
    expect(types(feed(world, b, known, again))).toEqual([TYPE_RESPONSE]);
    expect(b.node.endpoint.provisionalCount).toBe(PROVISIONAL_MAX);
    // After five seconds there is room for everybody.
    run(world, UNCONFIRMED_LIFETIME);
    expect(b.node.endpoint.inspect()).toMatchObject({ tunnels: [], provisional: [], sessionIds: 0 });
    world.connect(a, b);
    run(world, SECOND);
    exchangeLetters(world, a, b);
  });

  it('that wait do not keep another from being confirmed', () => {
    const { world, b } = pair({ config: UNHURRIED });
    for (let i = 0; i < PROVISIONAL_COOKIE_FROM; i++) feed(world, b, strangeAddress(i), initiationBy(makeSelf(rng), b));
    const peer = new KeyedPeer(world, b).join();
    expect(b.node.endpoint.provisionalCount).toBe(PROVISIONAL_COOKIE_FROM);
    expect(b.node.endpoint.tunnel(peer.key)?.state).toBe('open');
  });
});

describe('handshakes that strangers may cost', () => {
  it('are as many as is configured, at once and a second; what is more gets a cookie packet', () => {
    const crypto = new CountingBackend();
    const { world, b } = pair({ crypto, config: { handshakesPerSecond: 10, handshakesBurst: 20 } });
    const before = crypto.diffieHellmans;
    const answered = (count: number): number => {
      let responses = 0;
      for (let i = 0; i < count; i++) {
        const garbage = flipped(initiationBy(makeSelf(rng), b), 100, 1);
        const refused = b.node.endpoint.drops.count('bad-mac1');
        expect(feed(world, b, strangeAddress(i), garbage)).toEqual([]);
        expect(b.node.endpoint.drops.count('bad-mac1')).toBe(refused + 1);
        responses += types(feed(world, b, strangeAddress(i), initiationBy(makeSelf(rng), b))).filter(
          (type) => type === TYPE_RESPONSE,
        ).length;
      }
      return responses;
    };
    // Half of the burst is kept for those who show a cookie.
    expect(answered(50)).toBe(11);
    run(world, SECOND);
    expect(answered(50)).toBe(10);
    expect(crypto.diffieHellmans - before).toBe(21 * 4);
  });
});

describe('sources remembered', () => {
  it('are 4,096: each has five handshakes at once, and the longest unused is forgotten', () => {
    const { world, b } = pair({ config: UNHURRIED });
    // MAC1 is right and Noise is not: the cheapest that a cookie pays for.
    const message = withMac1(flipped(initiationBy(makeSelf(rng), b), 50, 1), b.keys.staticKey);
    const refused = (): number => b.node.endpoint.drops.count('rate-limited');
    const spend = (from: SimAddress): void => void feed(world, b, from, withCookie(world, b, from, message));
    for (let i = 0; i < SOURCE_HANDSHAKES_BURST; i++) spend(ELSEWHERE);
    expect(refused()).toBe(0);
    spend(ELSEWHERE);
    expect(refused()).toBe(1);
    for (let i = 0; i < 100; i++) spend(strangeAddress(i));
    spend(ELSEWHERE);
    expect(refused()).toBe(2);
    // As many others as there is room for push it out.
    for (let i = 0; i < SOURCES_MAX; i++) spend(strangeAddress(100 + i));
    spend(ELSEWHERE);
    expect(refused()).toBe(2);
  });
});

describe('tunnels', () => {
  const TUNNELS = 4;

  function full(): { world: World; a: SimPeer; b: SimPeer; peers: SimPeer[] } {
    const { world, a, b } = pair({ config: { tunnelsMax: TUNNELS } });
    const peers = Array.from({ length: TUNNELS }, (_, i) => world.addPeer(`peer-${i}`));
    for (const peer of peers) {
      world.connect(b, peer);
      run(world, SECOND);
    }
    expect(b.node.endpoint.tunnels).toHaveLength(TUNNELS);
    return { world, a, b, peers };
  }

  it('are as many as is configured; one more is refused, asked for from here or from there', () => {
    const { world, a, b, peers } = full();
    const before = b.node.endpoint.inspect();
    const route = b.node.routeTo(a.address);
    expect(b.node.endpoint.connect(a.keys, [route], world.network.now)).toBe('tables-full');
    expect(b.node.endpoint.inspect()).toEqual(before);
    world.connect(a, b);
    run(world, SECOND);
    expect(b.node.endpoint.tunnel(a.key)).toBeUndefined();
    expect(b.node.endpoint.drops.count('tables-full')).toBeGreaterThan(0);
    // A peer that has its tunnel is not one more.
    expect(b.node.endpoint.connect(peers[0]!.keys, [], world.network.now)).toBe('started');
    for (const peer of peers) exchangeLetters(world, peer, b, 1);
  });

  it('are kept in part for who may have those: others are refused, from here and from there, and what is kept is not without end', () => {
    const { world, a, b } = pair({ config: { tunnelsMax: TUNNELS, tunnelsKept: 1 } });
    const peers = Array.from({ length: TUNNELS - 1 }, (_, i) => world.addPeer(`peer-${i}`));
    for (const peer of peers) {
      world.connect(b, peer);
      run(world, SECOND);
    }
    const stranger = world.addPeer('stranger');
    const ask = (peer: SimPeer, place?: TunnelPlace): string =>
      b.node.endpoint.connect(peer.keys, [b.node.routeTo(peer.address)], world.network.now, {}, place);
    expect(ask(a)).toBe('tables-full');
    world.connect(a, b);
    run(world, SECOND);
    expect(b.node.endpoint.tunnel(a.key)).toBeUndefined();
    expect(ask(a, 'kept')).toBe('started');
    expect(ask(stranger, 'kept')).toBe('tables-full');
    expect(b.node.endpoint.tunnels).toHaveLength(TUNNELS);
  });

  it('that were kept are pushed out by none of the others, however long they are unused', () => {
    const { world, a, b } = pair({ config: { tunnelsMax: TUNNELS, tunnelsKept: 1 } });
    const ask = (peer: SimPeer, place?: TunnelPlace): string =>
      b.node.endpoint.connect(peer.keys, [b.node.routeTo(peer.address)], world.network.now, {}, place);
    expect(ask(a, 'kept')).toBe('started');
    run(world, SECOND);
    const others = Array.from({ length: 2 * TUNNELS }, (_, i) => world.addPeer(`peer-${i}`));
    for (const peer of others) {
      ask(peer);
      run(world, EVICTABLE_AFTER + SECOND);
    }
    expect(b.node.endpoint.tunnel(a.key)).toBeDefined();
    expect(b.node.endpoint.tunnels.length).toBeLessThanOrEqual(TUNNELS);
  });

  it('give way after a minute without use, the longest unused first', () => {
    const { world, a, b, peers } = full();
    run(world, EVICTABLE_AFTER / 2);
    // The first is used again; the second is the longest unused from here on.
    exchangeLetters(world, b, peers[0]!, 1);
    run(world, EVICTABLE_AFTER / 2 - 10 * SECOND);
    const route = b.node.routeTo(a.address);
    expect(b.node.endpoint.connect(a.keys, [route], world.network.now)).toBe('tables-full');
    run(world, 10 * SECOND);
    expect(b.node.endpoint.connect(a.keys, [route], world.network.now)).toBe('started');
    world.network.touch(b.name);
    expect(b.events.at(-1)).toMatchObject({
      kind: 'tunnel-down',
      peer: peers[1]!.key,
      reason: { kind: 'evicted' },
    });
    expect(b.node.endpoint.tunnel(peers[0]!.key)?.state).toBe('open');
    expect(b.node.endpoint.tunnel(peers[1]!.key)).toBeUndefined();
    expect(b.node.endpoint.tunnels).toHaveLength(TUNNELS);
    run(world, SECOND);
    expect(world.hasConverged(b, a)).toBe(true);
  });

  it('give way to one that is asked for from there as well, and it costs nothing that is not counted', () => {
    const { world, a, b, peers } = full();
    run(world, EVICTABLE_AFTER + SECOND);
    world.connect(a, b);
    run(world, SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
    expect(b.events.filter((event) => event.kind === 'tunnel-down')).toHaveLength(1);
    expect(b.node.endpoint.tunnel(peers[0]!.key)).toBeUndefined();
    expect(b.node.endpoint.inspect()).toMatchObject({ sessionIds: TUNNELS, provisional: [] });
    exchangeLetters(world, a, b);
  });
});

describe('paths', () => {
  it('are eight a tunnel: the oldest candidate gives way, never the active one', () => {
    const { world, b } = connected();
    const peer = new KeyedPeer(world, b).join();
    const seen: string[] = [];
    for (let i = 0; i < 30; i++) {
      const from = simAddress('203.0.113.7', 1_000 + i);
      seen.push(from.key);
      peer.feed(peer.seal(Uint8Array.of(1)), from);
      const { paths, active } = b.node.endpoint.tunnel(peer.key)!.inspect();
      expect(paths.length).toBeLessThanOrEqual(PATHS_MAX);
      expect(active).toBe(peer.address.key);
      expect(paths.map(({ route }) => route)).toEqual([peer.address.key, ...seen.slice(-(PATHS_MAX - 1))]);
    }
  });

  it('that proved themselves stay when candidates come; without any, the one proved longest ago gives way', () => {
    const { world, b } = connected();
    const peer = new KeyedPeer(world, b).join();
    const proved: SimAddress[] = [];
    const prove = (i: number): SimAddress => {
      const from = simAddress('203.0.113.7', 1_000 + i);
      const sent = peer.feed(peer.seal(encodeFrames({ kind: 'ping' }, { kind: 'padding', length: 500 })), from);
      const challenge = sent
        .filter(({ to }) => to === from.key)
        .flatMap(({ bytes }) => peer.open(bytes) ?? [])
        .find(({ kind }) => kind === 'path-challenge');
      assert(challenge?.kind === 'path-challenge', 'a new place is challenged');
      const response: Frame = { kind: 'path-response', token: challenge.token.slice() };
      peer.feed(peer.seal(encodeFrames(response)), from);
      run(world, 10 * MILLISECOND);
      return from;
    };
    for (let i = 0; i < PATHS_MAX - 1; i++) proved.push(prove(i));
    const routes = (): string[] =>
      b.node.endpoint
        .tunnel(peer.key)!
        .inspect()
        .paths.map(({ route }) => route);
    expect(routes()).toHaveLength(PATHS_MAX);
    const active = b.node.endpoint.tunnel(peer.key)!.inspect().active;
    // A place that proves nothing has nobody to push out but whoever was proved longest ago.
    peer.feed(peer.seal(Uint8Array.of(1)), simAddress('203.0.113.9', 9));
    expect(routes()).toHaveLength(PATHS_MAX);
    expect(routes()).toContain(active);
    // From then on candidates push out each other.
    const rest = routes().slice(0, -1);
    for (let i = 0; i < 20; i++) {
      const from = simAddress('203.0.113.9', 10 + i);
      peer.feed(peer.seal(Uint8Array.of(1)), from);
      expect(routes()).toEqual([...rest, from.key]);
    }
  });
});

describe('datagrams queued for sending', () => {
  it('are 64 a tunnel; the oldest is dropped, the newest arrive', () => {
    const { world, a, b } = pair();
    world.connect(a, b);
    for (let i = 0; i < 200; i++) expect(world.send(a, b, 900)).toBe(true);
    expect(a.tunnelTo(b)!.inspect().queued).toBe(DATAGRAMS_QUEUED_MAX);
    run(world, SECOND);
    expect(world.letters(a, b)).toEqual({ sent: 200, received: DATAGRAMS_QUEUED_MAX });
  });

  it('are no longer than a packet takes', () => {
    const { world, a, b } = connected();
    const { endpoint } = a.node;
    const ports = { source: 50_000, destination: 7 };
    // Frame type, two ports and a length of two bytes.
    const room = 1_200 - DATA_OVERHEAD_BYTES - (1 + 2 + 2 + 2);
    expect(endpoint.sendDatagram(b.key, ports, new Uint8Array(room + 1), world.network.now)).toBe('too-large');
    expect(world.send(a, b, room)).toBe(true);
    run(world, SECOND);
    expect(world.letters(a, b).received).toBe(1);
  });
});

describe('datagrams received and not yet taken', () => {
  it('are 1,024 a node, over all peers; the oldest is dropped and counted', () => {
    const { world, b } = connected();
    const peers = [new KeyedPeer(world, b).join(), new KeyedPeer(world, b, 'trent', 67).join()];
    const { endpoint } = b.node;
    const count = 2_000;
    for (let i = 0; i < count; i++) {
      const peer = peers[i % 2]!;
      const data = Uint8Array.of(i >>> 8, i);
      const frame: Frame = { kind: 'datagram', sourcePort: 1, destinationPort: 2, data };
      endpoint.handleDatagram(b.node.routeTo(peer.address), peer.seal(encodeFrames(frame)), world.network.now);
      expect(endpoint.inspect().received).toBe(Math.min(i + 1, DATAGRAMS_RECEIVED_MAX));
    }
    expect(endpoint.datagramsDropped).toBe(count - DATAGRAMS_RECEIVED_MAX);
    for (let i = count - DATAGRAMS_RECEIVED_MAX; i < count; i++) {
      expect(endpoint.pollDatagram()?.data).toEqual(Uint8Array.of(i >>> 8, i));
    }
    expect(endpoint.pollDatagram()).toBeUndefined();
  });
});

describe('the next deadline', () => {
  it('is the right one also for an owner who asks before it has polled', () => {
    const { world, b } = connected();
    const peer = new KeyedPeer(world, b).join();
    const { endpoint } = b.node;
    run(world, SECOND);
    const { now } = world.network;
    expect(endpoint.nextTimeout()).toBeGreaterThan(now);
    endpoint.handleDatagram(b.node.routeTo(peer.address), peer.seal(encodeFrames({ kind: 'ping' })), now);
    // A PING is acknowledged at once.
    expect(endpoint.nextTimeout()).toBe(now);
  });
});

describe('ranges acknowledged', () => {
  it('are 256; the lowest is forgotten', () => {
    const received = new ReceivedNumbers();
    for (let i = 0; i < 1_000; i++) received.add(2 * i);
    expect(received.count).toBe(RECEIVED_RANGES_MAX);
    expect(RECEIVED_RANGES_MAX).toBe(256);
  });

  it('are never more in what a node sends, however the packets came', () => {
    const { world, b } = connected();
    const peer = new KeyedPeer(world, b).join();
    for (let i = 0; i < 1_000; i++) {
      const number = 100 + ((i * 7_919) % 2_000) * 2;
      for (const frame of peer.read(peer.feed(peer.seal(Uint8Array.of(1), number)))) {
        if (frame.kind === 'ack') expect(frame.ranges.length).toBeLessThanOrEqual(32);
      }
    }
  });
});

describe('answers to strangers', () => {
  it('are 256 at a time; the oldest is dropped', () => {
    const { world, b } = pair();
    const { endpoint } = b.node;
    const message = flipped(initiationBy(makeSelf(rng), b), INITIATION_MAC2_OFFSET, 1);
    for (let i = 0; i < 1_000; i++) {
      endpoint.handleDatagram(b.node.routeTo(strangeAddress(i)), message.slice(), world.network.now);
      expect(endpoint.inspect().replies).toBe(Math.min(i + 1, REPLIES_QUEUED_MAX));
    }
    const buffer = new Uint8Array(65_536);
    for (let i = 1_000 - REPLIES_QUEUED_MAX; i < 1_000; i++) {
      expect(endpoint.pollTransmit(buffer, world.network.now)?.route.key).toBe(strangeAddress(i).key);
    }
    expect(endpoint.pollTransmit(buffer, world.network.now)).toBeUndefined();
  });

  it('and tunnels take turns: neither keeps the other back', () => {
    const { world, a, b } = connected();
    const { endpoint } = b.node;
    const { now } = world.network;
    const ports = { source: 1, destination: 2 };
    for (let i = 0; i < 20; i++) endpoint.sendDatagram(a.key, ports, new Uint8Array(1_000), now);
    const message = flipped(initiationBy(makeSelf(rng), b), INITIATION_MAC2_OFFSET, 1);
    for (let i = 0; i < REPLIES_QUEUED_MAX; i++) {
      endpoint.handleDatagram(b.node.routeTo(strangeAddress(i)), message.slice(), now);
    }
    const buffer = new Uint8Array(65_536);
    const kinds = Array.from({ length: 8 }, () => {
      expect(endpoint.pollTransmit(buffer, now)).toBeDefined();
      return buffer[0] === TYPE_COOKIE ? 'cookie' : 'data';
    });
    expect(kinds.slice(0, 2).sort()).toEqual(['cookie', 'data']);
    expect(kinds.filter((kind) => kind === 'cookie').length).toBeGreaterThanOrEqual(4);
  });
});
