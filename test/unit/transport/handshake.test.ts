import { describe, expect, it } from 'vitest';
import { assert } from '../../../base/assert.ts';
import { concat, equal } from '../../../base/bytes.ts';
import { randomBytes } from '../../../base/rng.ts';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import { identityFromSecrets } from '../../../crypto/identity.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { isRecordError, signIdentityRecord } from '../../../crypto/records.ts';
import { simAddress } from '../../../sim/address.ts';
import { SimNode } from '../../../sim/node.ts';
import { SeededRng } from '../../../sim/rng.ts';
import type { SimPeer, World } from '../../../sim/world.ts';
import { COOKIE_LIFETIME, DEFAULT_CONFIG, HANDSHAKE_ATTEMPT_LIFETIME } from '../../../transport/constants.ts';
import type { TunnelEvent } from '../../../transport/events.ts';
import { cookieKey, mac } from '../../../transport/gate.ts';
import { isDecodeError } from '../../../wire/decode-error.ts';
import { GENERATION_MAX } from '../../../wire/handshake-payload.ts';
import { readU32 } from '../../../wire/integers.ts';
import {
  COOKIE_BYTES,
  COOKIE_MAC_OFFSET,
  decodePacket,
  INITIATION_BYTES,
  INITIATION_MAC1_OFFSET,
  INITIATION_MAC2_OFFSET,
  INNER_HANDSHAKE_BYTES_MAX,
  INNER_HANDSHAKE_BYTES_MIN,
  RESPONSE_BYTES,
  TYPE_COOKIE,
  TYPE_DATA,
  TYPE_INITIATION,
  TYPE_RESPONSE,
  writeCookieHeader,
} from '../../../wire/packet.ts';
import { decodeIdentityRecord, encodeIdentityRecord, RECORD_BYTES_MAX } from '../../../wire/records.ts';
import { craftInitiation, craftResponse, KeyedPeer, makeSelf, recordOf, type Self } from '../../security/hostile.ts';
import {
  askCookie,
  CountingBackend,
  connected,
  ELSEWHERE,
  exchangeLetters,
  expectInert,
  feed,
  flipped,
  type Pair,
  pair,
  run,
  stateOf,
  strangeAddress,
  withMac1,
  withMac2,
} from '../../security/support.ts';

const rng = new SeededRng(0x4a);

/** `a` has sent its initiation to `b`, and nothing that a host sends arrives. */
function waiting(options: Parameters<typeof pair>[0] = {}): Pair & { initiation: Uint8Array } {
  const nodes = pair(options);
  const { world, a, b, tape } = nodes;
  world.network.setAdversary(() => 'drop');
  world.connect(a, b);
  run(world, MILLISECOND);
  return { ...nodes, initiation: tape.from(a, TYPE_INITIATION)[0]!.bytes };
}

function completes({ world, a, b }: Pair, within = 2 * SECOND): void {
  world.network.setAdversary(undefined);
  run(world, within);
  expect(world.hasConverged(a, b)).toBe(true);
  exchangeLetters(world, a, b);
}

function eventsOf(peer: SimPeer, kind: TunnelEvent['kind']): TunnelEvent[] {
  return peer.events.filter((event) => event.kind === kind);
}

/** With as much in its record as a record holds. */
function talkative(): Self {
  const { identity } = makeSelf(rng);
  const text = (letter: string, length: number): string => letter.repeat(length);
  const home = { identityKey: new Uint8Array(32), staticKey: new Uint8Array(32), port: 1 };
  const record = signIdentityRecord(identity, {
    sequence: 1,
    name: text('n', 63),
    tags: ['a', 'b', 'c', 'd', 'e'].map((letter) => text(letter, 32)),
    capabilities: ['x', 'y'].map((letter) => text(letter, 48)),
    homes: [{ ...home, host: text('h', 58) }],
  });
  assert(!isRecordError(record), 'the record is valid');
  return { identity, record: encodeIdentityRecord(record) };
}

describe('the messages of a handshake', () => {
  it('are 1,200 bytes each, however much the records say', () => {
    const { world, b, tape } = connected();
    const sizes = tape.all.filter(({ bytes }) => bytes[0] !== TYPE_DATA).map(({ bytes }) => bytes.length);
    expect(sizes).toEqual([INITIATION_BYTES, RESPONSE_BYTES]);
    expect([INITIATION_BYTES, RESPONSE_BYTES]).toEqual([1_200, 1_200]);
    const self = talkative();
    expect(self.record.length).toBe(RECORD_BYTES_MAX);
    const content = { rng, to: b.keys.staticKey, staticKey: self.identity.exchange, record: self.record };
    const { message } = craftInitiation(content);
    expect(message.length).toBe(1_200);
    const [answer] = feed(world, b, ELSEWHERE, message);
    expect(answer?.bytes.length).toBe(1_200);
  });

  it('are as long as they must be inside a session, within the bounds of their frame', () => {
    const { world, b } = connected();
    for (const self of [makeSelf(rng), talkative()]) {
      const peer = new KeyedPeer(world, b, `peer of ${self.record.length}`, self.record.length % 200);
      peer.self = self;
      peer.join();
      const handshake = peer.initiate('frame');
      expect(handshake.message.length).toBe(130 + self.record.length);
      expect(handshake.message.length).toBeGreaterThanOrEqual(INNER_HANDSHAKE_BYTES_MIN);
      expect(handshake.message.length).toBeLessThanOrEqual(INNER_HANDSHAKE_BYTES_MAX);
      const frames = peer.say({ kind: 'handshake', message: handshake.message });
      expect(frames.some(({ kind }) => kind === 'handshake')).toBe(true);
    }
  });

  it('are answered with no more bytes than they have, whatever the answer', () => {
    const { world, a, b, initiation } = waiting();
    const cookie = askCookie(world, b, a.address, initiation);
    for (const message of [
      initiation,
      initiation,
      withMac2(initiation, cookie),
      flipped(initiation, INITIATION_MAC2_OFFSET, 1),
      withMac1(flipped(initiation, 600, 1), b.keys.staticKey),
    ]) {
      const sent = feed(world, b, a.address, message);
      expect(sent.length).toBeLessThanOrEqual(1);
      for (const { bytes, to } of sent) {
        expect(bytes.length).toBeLessThanOrEqual(message.length);
        expect(to).toBe(a.address.key);
      }
    }
  });
});

describe('what a handshake binds', () => {
  it('is the generation: a response that names another is refused, and the attempt goes on', () => {
    const nodes = waiting();
    const { world, a, b, initiation } = nodes;
    const record = recordOf(b.identity);
    for (const generation of [2, 3, GENERATION_MAX]) {
      const response = craftResponse({ rng, initiation, staticKey: b.identity.exchange, record, generation });
      expectInert(world, a, b.address, response);
    }
    expect(a.node.endpoint.drops.entries()).toEqual([['altered-header', 3]]);
    for (const generation of [GENERATION_MAX + 1, 0xffff_ffff]) {
      const response = craftResponse({ rng, initiation, staticKey: b.identity.exchange, record, generation });
      expectInert(world, a, b.address, response);
    }
    expect(a.node.endpoint.drops.count('malformed-payload')).toBe(2);
    completes(nodes);
    expect(a.tunnelTo(b)?.inspect().sessions[0]?.generation).toBe(1);
  });

  it('is the responder’s session id: a header that names another than the payload is refused', () => {
    const nodes = waiting();
    const { world, a, b, initiation } = nodes;
    const record = recordOf(b.identity);
    const content = { rng, initiation, staticKey: b.identity.exchange, record, senderSession: 5, repeatedSession: 6 };
    expectInert(world, a, b.address, craftResponse(content));
    expect(a.node.endpoint.drops.entries()).toEqual([['altered-header', 1]]);
    completes(nodes);
  });

  it('is the initiator’s session id: a response to another one is nobody’s', () => {
    const nodes = waiting();
    const { world, a, b, initiation } = nodes;
    const response = feed(world, b, a.address, initiation)[0]!.bytes;
    const redirected = concat(response.subarray(0, 12), Uint8Array.of(1, 2, 3, 4), response.subarray(16));
    expectInert(world, a, b.address, withMac1(redirected, a.keys.staticKey));
    expect(a.node.endpoint.drops.entries()).toEqual([['unknown-session', 1]]);
    completes(nodes);
  });

  it('is the incarnation inside a tunnel: a rekey that shows another one is refused', () => {
    const { world, b } = connected({ config: { rekeysPerSecond: 1_000 } });
    const peer = new KeyedPeer(world, b).join();
    const before = sessionsAt(peer);
    peer.incarnation = randomBytes(rng, 16);
    const frames = peer.say({ kind: 'handshake', message: peer.initiate('frame').message });
    expect(frames.map(({ kind }) => kind)).toEqual(['ack']);
    expect(sessionsAt(peer)).toEqual(before);
    expect(b.node.endpoint.drops.count('unexpected')).toBe(1);
  });

  it('is the order of generations: a rekey to one that is not higher is refused', () => {
    const { world, b } = connected({ config: { rekeysPerSecond: 1_000 } });
    const peer = new KeyedPeer(world, b).join();
    peer.say({ kind: 'handshake', message: peer.initiate('frame', 7).message });
    const before = sessionsAt(peer);
    expect(before.map(({ generation }) => generation)).toEqual([7, 1]);
    for (const generation of [1, 2, 6, 7]) {
      const frames = peer.say({ kind: 'handshake', message: peer.initiate('frame', generation).message });
      expect(frames.map(({ kind }) => kind)).toEqual(['ack']);
    }
    expect(sessionsAt(peer)).toEqual(before);
    expect(b.node.endpoint.drops.count('unexpected')).toBe(4);
  });

  it('is who the session belongs to: a rekey by another identity inside it is refused', () => {
    const { world, b } = connected({ config: { rekeysPerSecond: 1_000 } });
    const peer = new KeyedPeer(world, b).join();
    const before = sessionsAt(peer);
    const other = new KeyedPeer(world, b, 'trent', 67);
    const frames = peer.say({ kind: 'handshake', message: other.initiate('frame', 2).message });
    expect(frames.map(({ kind }) => kind)).toEqual(['ack']);
    expect(sessionsAt(peer)).toEqual(before);
    expect(b.node.endpoint.drops.count('wrong-peer')).toBe(1);
  });

  it('is the form: neither message passes for the other form of itself', () => {
    const { world, b } = connected({ config: { rekeysPerSecond: 1_000 } });
    const peer = new KeyedPeer(world, b).join();
    // The body of a frame, padded and with MACs, its length field saying so: the prologue holds the length.
    const inner = peer.initiate('frame', 2).message;
    const drawn = concat(inner, new Uint8Array(INITIATION_BYTES - inner.length));
    drawn.set([INITIATION_BYTES >>> 8, INITIATION_BYTES & 0xff], 2);
    expectInert(world, b, ELSEWHERE, withMac1(drawn, b.keys.staticKey));
    expect(b.node.endpoint.drops.count('not-authentic')).toBe(1);
    // And a packet cut down to its fields.
    const outer = peer.initiate('packet', 3).message;
    const cut = outer.slice(0, INNER_HANDSHAKE_BYTES_MAX);
    cut.set([cut.length >>> 8, cut.length & 0xff], 2);
    const before = sessionsAt(peer);
    expect(peer.say({ kind: 'handshake', message: cut }).map(({ kind }) => kind)).toEqual(['ack']);
    expect(sessionsAt(peer)).toEqual(before);
    expect(b.node.endpoint.drops.count('not-authentic')).toBe(2);
  });

  it('from outside with the same pair of incarnations goes on with the tunnel: numbers and window stay', () => {
    const { world, a, b } = connected();
    exchangeLetters(world, a, b, 20);
    const before = a.tunnelTo(b)!.inspect();
    // Both ask from outside while nothing arrives, and nobody has lost anything.
    world.network.setDefaultLink({ delay: 10 * MILLISECOND, loss: 1 });
    world.send(a, b);
    run(world, 5 * SECOND);
    expect(a.tunnelTo(b)?.inspect().isAttempting).toBe(true);
    world.network.setDefaultLink({ delay: 10 * MILLISECOND });
    run(world, 5 * SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
    const after = a.tunnelTo(b)!.inspect();
    expect(after.nextPacketNumber).toBeGreaterThan(before.nextPacketNumber);
    expect(after.highestReceived).toBeGreaterThan(before.highestReceived);
    expect(after.sessions[0]?.generation).toBeGreaterThan(1);
    for (const peer of [a, b]) expect(eventsOf(peer, 'tunnel-down')).toEqual([]);
    exchangeLetters(world, a, b);
  });

  it('from outside with another incarnation is a restart: the old tunnel ends and numbers begin again', () => {
    const { world, a, b } = connected();
    exchangeLetters(world, a, b, 20);
    world.crash(a);
    world.start(a);
    world.connect(a, b);
    run(world, SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
    expect(eventsOf(b, 'tunnel-down')).toMatchObject([{ reason: { kind: 'peer-restarted' } }]);
    expect(b.tunnelTo(a)!.inspect().nextPacketNumber).toBeLessThan(5);
    exchangeLetters(world, a, b);
  });
});

describe('an initiation that comes again', () => {
  it('gets the identical response and costs no Diffie-Hellman, no key pair and no signature check', () => {
    const crypto = new CountingBackend();
    const nodes = waiting({ crypto });
    const { world, a, b, initiation } = nodes;
    const response = feed(world, b, a.address, initiation)[0]!.bytes;
    const costs = (): number[] => [crypto.diffieHellmans, crypto.keyPairs, crypto.verifications];
    const before = { costs: costs(), state: stateOf(b) };
    for (let i = 0; i < 500; i++) {
      const sent = feed(world, b, a.address, initiation);
      expect(sent.length).toBe(1);
      expect(equal(sent[0]!.bytes, response)).toBe(true);
    }
    expect({ costs: costs(), state: stateOf(b) }).toEqual(before);
    completes(nodes);
  });

  it('costs no more with a cookie than without: MAC2 is not part of what is compared', () => {
    const crypto = new CountingBackend();
    const { world, a, b, initiation } = waiting({ crypto });
    const response = feed(world, b, a.address, initiation)[0]!.bytes;
    const signed = withMac2(initiation, askCookie(world, b, a.address, initiation));
    const before = crypto.diffieHellmans;
    expect(equal(feed(world, b, a.address, signed)[0]!.bytes, response)).toBe(true);
    expect(crypto.diffieHellmans).toBe(before);
  });

  it('from another source is answered there with a session of its own, so that its use proves that place', () => {
    const { world, b } = connected();
    const peer = new KeyedPeer(world, b);
    const handshake = peer.initiate('packet');
    const victim = simAddress('203.0.113.7', 53);
    const [there] = peer.feed(handshake.message, victim);
    const [here] = peer.feed(handshake.message);
    expect([there?.to, here?.to]).toEqual([victim.key, peer.address.key]);
    expect(there!.bytes).not.toEqual(here!.bytes);
    const packet = decodePacket(here!.bytes.slice());
    assert(packet.kind === 'response', 'the initiation is answered');
    const established = handshake.complete(packet, undefined);
    assert(established.kind === 'established', 'the response is good');
    peer.adopt(handshake, established);
    peer.say({ kind: 'ping' });
    expect(
      b.node.endpoint
        .tunnel(peer.key)!
        .inspect()
        .paths.map(({ route }) => route),
    ).toEqual([peer.address.key]);
  });

  it('in a rekey gets the identical response and costs nothing either', () => {
    const crypto = new CountingBackend();
    const { world, b } = connected({ crypto });
    const peer = new KeyedPeer(world, b).join();
    const { message } = peer.initiate('frame');
    const [first] = peer.say({ kind: 'handshake', message }).filter(({ kind }) => kind === 'handshake');
    const before = { cost: crypto.diffieHellmans, sessions: sessionsAt(peer) };
    for (let i = 0; i < 100; i++) {
      const answers = peer.say({ kind: 'handshake', message }).filter(({ kind }) => kind === 'handshake');
      expect(answers).toEqual([first]);
      peer.acknowledge();
      run(world, 10 * MILLISECOND);
    }
    expect({ cost: crypto.diffieHellmans, sessions: sessionsAt(peer) }).toEqual(before);
  });
});

describe('cookies', () => {
  it('keep a flood with the right MAC1 from costing more Diffie-Hellman than is allowed, and a peer still connects', () => {
    const crypto = new CountingBackend();
    const { world, a, b, tape } = pair({ crypto });
    const key = b.keys.staticKey;
    const perSecond = 2_000;
    const seconds = 6;
    let forged = 0;
    for (let ms = 0; ms < seconds * 1_000; ms += 10) {
      if (ms === 1_000) world.connect(a, b);
      for (let i = 0; i < perSecond / 100; i++) {
        const message = new Uint8Array(INITIATION_BYTES);
        message.set([TYPE_INITIATION, 0, 0x04, 0xb0, 0, 1, 0, 0]);
        rng.fill(message.subarray(8, INITIATION_MAC1_OFFSET));
        world.network.inject({
          from: strangeAddress(forged++),
          to: b.address,
          bytes: withMac1(message, key),
          delay: rng.below(10 * MILLISECOND),
        });
      }
      run(world, 10 * MILLISECOND);
      if (ms < 1_000 + 5_000) continue;
      expect(world.hasConverged(a, b)).toBe(true);
    }
    const { handshakesPerSecond, handshakesBurst } = DEFAULT_CONFIG;
    const admitted = b.node.endpoint.drops.count('not-authentic');
    expect(admitted).toBeLessThanOrEqual(handshakesBurst + handshakesPerSecond * seconds);
    // One for each of those; the few others are the genuine handshake at its two ends.
    expect(crypto.diffieHellmans - admitted).toBeLessThan(20);
    const answers = tape.from(b).filter(({ to }) => to.key !== a.address.key);
    expect(new Set(answers.map(({ bytes }) => `${bytes[0]} ${bytes.length}`))).toEqual(
      new Set([`${TYPE_COOKIE} ${COOKIE_BYTES}`]),
    );
    expect(answers.length).toBeGreaterThan(forged - admitted - 100);
    expect(b.node.endpoint.inspect()).toMatchObject({ provisional: [], sessionIds: 1 });
    // The genuine one had to show one.
    expect(tape.from(b, TYPE_COOKIE).some(({ to }) => to.key === a.address.key)).toBe(true);
    exchangeLetters(world, a, b);
    console.log(`FIGURE D3-dh-per-second ${Math.round((admitted - handshakesBurst) / seconds)} ${handshakesPerSecond}`);
  });

  it('are not asked for while there is no load', () => {
    const { world, a, b, initiation } = waiting();
    expect(feed(world, b, a.address, initiation).map(({ bytes }) => bytes[0])).toEqual([TYPE_RESPONSE]);
  });

  it('are for one source: shown from another they get another cookie, and nothing is computed for them', () => {
    const crypto = new CountingBackend();
    const { world, a, b, initiation } = waiting({ crypto });
    const signed = withMac2(initiation, askCookie(world, b, a.address, initiation));
    const before = { cost: crypto.diffieHellmans, state: stateOf(b) };
    const others = [ELSEWHERE, simAddress(a.address.ip, a.address.port + 1), strangeAddress(9)];
    for (const from of others) {
      const sent = feed(world, b, from, signed);
      expect(sent.map(({ to, bytes }) => [to, bytes.length])).toEqual([[from.key, COOKIE_BYTES]]);
    }
    expect({ cost: crypto.diffieHellmans, state: stateOf(b) }).toEqual(before);
    expect(feed(world, b, a.address, signed).map(({ bytes }) => bytes[0])).toEqual([TYPE_RESPONSE]);
  });

  it('that are stale get a new one, which then does', () => {
    const { world, b } = pair();
    const self = makeSelf(rng);
    const content = { rng, to: b.keys.staticKey, staticKey: self.identity.exchange, record: self.record };
    const { message } = craftInitiation(content);
    const cookie = askCookie(world, b, ELSEWHERE, message);
    run(world, COOKIE_LIFETIME - MILLISECOND);
    expect(feed(world, b, ELSEWHERE, withMac2(message, cookie))[0]?.bytes[0]).toBe(TYPE_RESPONSE);
    run(world, 2 * COOKIE_LIFETIME);
    const before = b.node.endpoint.inspect();
    const [answer] = feed(world, b, ELSEWHERE, withMac2(message, cookie));
    expect(b.node.endpoint.inspect()).toEqual(before);
    const packet = decodePacket(answer!.bytes);
    assert(packet.kind === 'cookie', 'a stale cookie is answered with a new one');
    expect(equal(packet.cookie, cookie)).toBe(false);
    expect(feed(world, b, ELSEWHERE, withMac2(message, packet.cookie))[0]?.bytes[0]).toBe(TYPE_RESPONSE);
  });

  it('are needed where the peer has a live session; without one nothing changes', () => {
    const { world, a, b } = connected();
    const peer = new KeyedPeer(world, b).join();
    const before = stateOf(b);
    const { message } = peer.initiate('packet');
    const replies = peer.feed(message);
    expect(replies.map(({ bytes }) => bytes[0])).toEqual([TYPE_COOKIE]);
    expect(stateOf(b)).toEqual(before);
    const packet = decodePacket(replies[0]!.bytes);
    assert(packet.kind === 'cookie', 'it is a cookie packet');
    expect(peer.feed(withMac2(message, packet.cookie)).map(({ bytes }) => bytes[0])).toEqual([TYPE_RESPONSE]);
    expect(b.node.endpoint.provisionalCount).toBe(1);
    // The tunnel is as it was until the new session is used.
    expect(b.node.endpoint.inspect().tunnels).toEqual(before.tunnels);
    exchangeLetters(world, a, b);
  });

  it('are kept by the initiator for the address they came from, and shown nowhere else', () => {
    const nodes = waiting();
    const { world, a, b, initiation, tape } = nodes;
    const garbled = initiation.slice().fill(0xff, INITIATION_MAC2_OFFSET);
    const [reply] = feed(world, b, a.address, garbled);
    // A second route to the same peer, which knows no cookie.
    const other = simAddress('10.0.9.9', 4440);
    const { endpoint } = a.node;
    endpoint.connect(b.keys, [a.node.routeTo(b.address), a.node.routeTo(other)], world.network.now);
    feed(world, a, b.address, reply!.bytes);
    run(world, SECOND);
    const later = tape.from(a, TYPE_INITIATION).slice(1);
    const mac2 = (to: string): boolean[] =>
      later.filter((sent) => sent.to.key === to).map(({ bytes }) => bytes.subarray(-16).some((byte) => byte !== 0));
    expect(mac2(other.key).length).toBeGreaterThan(0);
    expect(mac2(other.key)).not.toContain(true);
    expect(mac2(b.address.key)).not.toContain(false);
    completes(nodes);
  });
});

describe('an initiator', () => {
  it('keeps waiting after forged responses: random, for another handshake, from another source', () => {
    const nodes = waiting();
    const { world, a, b, initiation } = nodes;
    const header = concat(Uint8Array.of(0x11, 0, 0x04, 0xb0, 0, 1, 0, 0, 9, 9, 9, 9), initiation.subarray(8, 12));
    for (let i = 0; i < 200; i++) {
      const forged = concat(header, randomBytes(rng, RESPONSE_BYTES - 16));
      expectInert(world, a, i % 2 === 0 ? b.address : ELSEWHERE, withMac1(forged, a.keys.staticKey));
    }
    expect(a.node.endpoint.drops.entries()).toEqual([['not-authentic', 200]]);
    completes(nodes);
  });

  it('does not take a place that passes the response on for the peer’s: that path has yet to prove itself', () => {
    const nodes = waiting();
    const { world, a, b, initiation } = nodes;
    const response = feed(world, b, a.address, initiation)[0]!.bytes;
    const sent = feed(world, a, ELSEWHERE, response);
    const path = a
      .tunnelTo(b)!
      .inspect()
      .paths.find(({ route }) => route === ELSEWHERE.key);
    expect(path).toMatchObject({ isValidated: false, isChallenged: true });
    expect(sent.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(3 * RESPONSE_BYTES);
    world.network.setAdversary(undefined);
    run(world, 10 * SECOND);
    world.send(b, a);
    run(world, 10 * SECOND);
    expect(a.tunnelTo(b)?.activeRoute?.key).toBe(b.address.key);
    exchangeLetters(world, a, b);
  });

  it('keeps waiting after forged cookies, and sends nothing for them', () => {
    const nodes = waiting();
    const { world, a, b, initiation } = nodes;
    const header = concat(Uint8Array.of(0x12, 0, 0, 40), initiation.subarray(8, 12));
    for (let i = 0; i < 200; i++) expectInert(world, a, b.address, concat(header, randomBytes(rng, 32)));
    expect(a.node.endpoint.drops.entries()).toEqual([['not-authentic', 200]]);
    completes(nodes);
  });

  it('sends a few initiations for wrong cookies by somebody who can compute their MAC, and is then put right', () => {
    const nodes = waiting();
    const { world, a, b, initiation } = nodes;
    const forged = new Uint8Array(COOKIE_BYTES);
    const before = stateOf(a);
    let sent = 0;
    for (let i = 0; i < 50; i++) {
      writeCookieHeader(forged, readU32(initiation, 8), randomBytes(rng, 16));
      const key = cookieKey(opensslBackend, b.keys.staticKey);
      const mac1 = initiation.subarray(INITIATION_MAC1_OFFSET, INITIATION_MAC2_OFFSET);
      forged.set(mac(opensslBackend, key, forged.subarray(0, COOKIE_MAC_OFFSET), mac1), COOKIE_MAC_OFFSET);
      for (const { to, bytes } of feed(world, a, b.address, forged)) {
        expect([to, bytes.length]).toEqual([b.address.key, INITIATION_BYTES]);
        expect(feed(world, b, a.address, bytes).map((reply) => reply.bytes[0])).toEqual([TYPE_COOKIE]);
        sent += 1;
      }
    }
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThanOrEqual(4);
    expect(stateOf(a)).toEqual(before);
    completes(nodes);
  });

  it('is not sent elsewhere by a cookie packet from an address that it has not asked', () => {
    const nodes = waiting();
    const { world, a, b, initiation } = nodes;
    const garbled = initiation.slice().fill(0xff, INITIATION_MAC2_OFFSET);
    const genuine = feed(world, b, a.address, garbled)[0]!.bytes;
    for (let i = 0; i < 20; i++) expectInert(world, a, strangeAddress(i), genuine);
    completes(nodes);
  });
});

describe('simultaneous open', () => {
  it('gives one tunnel with one event on each side, and everything queued before arrives once', () => {
    for (let seed = 0; seed < 10; seed++) {
      const { world, a, b } = pair({ seed });
      world.connect(a, b);
      run(world, rng.below(25 * MILLISECOND));
      world.connect(b, a);
      for (let i = 0; i < 10; i++) {
        world.send(a, b);
        world.send(b, a);
      }
      run(world, 3 * SECOND);
      expect(world.hasConverged(a, b)).toBe(true);
      for (const peer of [a, b]) {
        expect(eventsOf(peer, 'tunnel-up')).toHaveLength(1);
        expect(eventsOf(peer, 'tunnel-down')).toEqual([]);
      }
      expect(world.letters(a, b)).toEqual({ sent: 10, received: 10 });
      expect(world.letters(b, a)).toEqual({ sent: 10, received: 10 });
    }
  });

  it('ends in the session of the lower identity key, also where one of the four messages is lost', () => {
    for (let lost = 0; lost < 4; lost++) {
      const { world, a, b } = pair({ seed: 100 + lost });
      loseHandshake(world, lost);
      world.connect(a, b);
      world.connect(b, a);
      run(world, 3 * SECOND);
      expect(world.hasConverged(a, b), `message ${lost} lost`).toBe(true);
      for (const peer of [a, b]) expect(eventsOf(peer, 'tunnel-down')).toEqual([]);
      exchangeLetters(world, a, b);
    }
  });

  it('leaves one session id and nothing provisional behind, once every attempt is too old to be answered', () => {
    for (let lost = -1; lost < 4; lost++) {
      const { world, a, b } = pair({ seed: 100 + lost });
      loseHandshake(world, lost);
      world.connect(a, b);
      world.connect(b, a);
      run(world, HANDSHAKE_ATTEMPT_LIFETIME + 2 * SECOND);
      for (const peer of [a, b]) {
        expect(peer.node.endpoint.inspect(), `message ${lost} lost`).toMatchObject({ provisional: [], sessionIds: 1 });
        expect(peer.node.endpoint.inspect().tunnels[0]?.isAttempting).toBe(false);
      }
    }
  });
});

describe('an attempt that was never answered', () => {
  it('takes no answer once it is too old: one held back for minutes does not move the path', () => {
    const { world, a, b, tape } = pair();
    // Of the two that cross, b's is answered; what b answers is held back.
    world.network.setAdversary(({ bytes, fromHost }) =>
      bytes[0] === TYPE_RESPONSE && fromHost === b.name ? 'drop' : 'pass',
    );
    world.connect(a, b);
    world.connect(b, a);
    run(world, 3 * SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
    const heldBack = tape.from(b, TYPE_RESPONSE)[0]!.bytes;
    const oldAddress = b.address;
    world.rebind(b, 5555);
    world.send(b, a);
    run(world, 60 * SECOND);
    expect(a.tunnelTo(b)?.activeRoute?.key).toBe(b.address.key);
    expectInert(world, a, oldAddress, heldBack);
    expect(a.tunnelTo(b)?.activeRoute?.key).toBe(b.address.key);
  });
});

describe('a record that names the static key of somebody else', () => {
  /** A record shows who signed it, not that its owner holds the X25519 key that it names. */
  function dialThief(world: World, from: SimPeer, owner: SimPeer): void {
    const keys = { identityKey: makeSelf(rng).identity.signing.publicKey, staticKey: owner.keys.staticKey };
    const { endpoint } = from.node;
    expect(endpoint.connect(keys, [from.node.routeTo(ELSEWHERE)], world.network.now)).toBe('started');
    world.network.touch(from.name);
  }

  it('does not keep that somebody out while its owner is being dialled', () => {
    const { world, a, b } = pair();
    dialThief(world, b, a);
    world.connect(a, b);
    run(world, 2 * SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
    exchangeLetters(world, a, b);
  });

  it('does not keep a peer out that restarts', () => {
    const { world, a, b } = connected();
    dialThief(world, b, a);
    world.crash(a);
    world.start(a);
    world.connect(a, b);
    run(world, 2 * SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
    exchangeLetters(world, a, b);
  });

  it('takes nothing from the tunnel of that somebody: its replayed initiation still meets a live session', () => {
    const { world, a, b, tape } = connected();
    const initiation = tape.from(a, TYPE_INITIATION)[0]!.bytes;
    dialThief(world, b, a);
    run(world, 40 * SECOND);
    expect(b.node.endpoint.tunnels).toHaveLength(1);
    const before = stateOf(b);
    expect(feed(world, b, a.address, initiation).map(({ bytes }) => bytes[0])).toEqual([TYPE_COOKIE]);
    expect(stateOf(b)).toEqual(before);
    // Nor does a handshake from outside after an outage take this node for one that has restarted.
    world.network.setDefaultLink({ delay: 10 * MILLISECOND, loss: 1 });
    world.send(a, b);
    run(world, 5 * SECOND);
    world.network.setDefaultLink({ delay: 10 * MILLISECOND });
    run(world, 5 * SECOND);
    expect(eventsOf(a, 'tunnel-down')).toEqual([]);
    exchangeLetters(world, a, b);
  });
});

describe('a node that does not want a peer', () => {
  it('answers nothing to its initiation and keeps nothing of it, for two Diffie-Hellman and one signature check', () => {
    const { world, a, b } = pair();
    const crypto = new CountingBackend();
    // The same secrets on a backend that counts.
    const identity = identityFromSecrets(crypto, b.identity.secrets, b.identity.counter, 0);
    assert(identity !== undefined, 'its secrets make an identity');
    const asked: string[] = [];
    const events: TunnelEvent[] = [];
    world.crash(b);
    b.node = new SimNode(
      {
        crypto,
        rng: b.rng.fork('choosy'),
        identity,
        record: recordOf(b.identity),
        admit: (record) => {
          asked.push(record.name);
          return false;
        },
        listener: { event: (event) => events.push(event), datagram: () => {} },
      },
      world.network.now,
    );
    world.network.attach(b.name, b.node);
    const self = makeSelf(rng);
    const content = { rng, to: b.keys.staticKey, staticKey: self.identity.exchange, record: self.record };
    expectInert(world, b, ELSEWHERE, craftInitiation(content).message);
    expect(b.node.endpoint.drops.entries()).toEqual([['not-admitted', 1]]);
    expect([crypto.diffieHellmans, crypto.verifications]).toEqual([2, 1]);
    world.connect(a, b);
    run(world, 2 * SECOND);
    expect(asked).toEqual(['mallory', 'a', 'a', 'a', 'a']);
    expect(events).toEqual([]);
    expect(b.node.endpoint.inspect()).toMatchObject({ tunnels: [], provisional: [], sessionIds: 0 });
    expect(a.tunnelTo(b)?.state).toBe('connecting');
  });
});

it('a record that somebody has verified before is not verified again, and any other is', () => {
  const { world, b } = pair();
  const crypto = new CountingBackend();
  const identity = identityFromSecrets(crypto, b.identity.secrets, b.identity.counter, 0);
  assert(identity !== undefined, 'its secrets make an identity');
  const self = makeSelf(rng);
  const known = decodeIdentityRecord(self.record);
  assert(!isDecodeError(known), 'the record is valid');
  world.crash(b);
  b.node = new SimNode(
    {
      crypto,
      rng: b.rng.fork('mindful'),
      identity,
      record: recordOf(b.identity),
      admit: () => true,
      recall: (bytes) => (equal(bytes, self.record) ? known : undefined),
      listener: { event: () => {}, datagram: () => {} },
    },
    world.network.now,
  );
  world.network.attach(b.name, b.node);
  for (const [record, verifications] of [
    [self.record, 0],
    [recordOf(self.identity, 1), 1],
  ] as const) {
    const content = { rng, to: b.keys.staticKey, staticKey: self.identity.exchange, record };
    expect(feed(world, b, ELSEWHERE, craftInitiation(content).message)).toHaveLength(1);
    expect(crypto.verifications).toBe(verifications);
  }
});

/** The n-th handshake message that is sent does not arrive, counted from 0. */
function loseHandshake(world: World, n: number): void {
  let sent = 0;
  world.network.setAdversary(({ bytes }) => {
    const isHandshake = bytes[0] === TYPE_INITIATION || bytes[0] === TYPE_RESPONSE;
    return isHandshake && sent++ === n ? 'drop' : 'pass';
  });
}

function sessionsAt(peer: KeyedPeer) {
  return peer.victim.node.endpoint.tunnel(peer.key)!.inspect().sessions;
}
