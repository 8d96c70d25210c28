import { describe, expect, it } from 'vitest';
import { assert } from '../../base/assert.ts';
import { MILLISECOND, SECOND } from '../../base/time.ts';
import type { SimPeer } from '../../sim/world.ts';
import { type HandshakeAnswer, ResponderHandshake } from '../../transport/handshake.ts';
import type { Frame } from '../../wire/frames.ts';
import {
  COOKIE_BYTES,
  decodeInnerHandshake,
  decodePacket,
  INITIATION_BYTES,
  INITIATION_MAC1_OFFSET,
  INITIATION_MAC2_OFFSET,
  RESPONSE_BYTES,
  RESPONSE_MAC1_OFFSET,
  TYPE_DATA,
  TYPE_INITIATION,
} from '../../wire/packet.ts';
import { KeyedPeer } from './hostile.ts';
import {
  connected,
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
} from './support.ts';

/**
 * C6: every byte of every handshake message changed, one at a time. Nothing of it is taken, whether the change is caught by a
 * MAC that anybody can compute or, with that MAC made right again, by Noise.
 */
const PATTERNS = [0x01, 0x80, 0xff] as const;

/** So that no limit on strangers stands in for the refusal that is meant. */
const UNHURRIED = { handshakesPerSecond: 1_000_000, handshakesBurst: 1_000_000, rekeysPerSecond: 1_000_000 };

function eachFlip(from: number, to: number, action: (index: number, pattern: number) => void): void {
  for (let index = from; index < to; index++) for (const pattern of PATTERNS) action(index, pattern);
}

/** `a` has sent its initiation, and nothing that anybody sends arrives. */
function waiting(): Pair & { initiation: Uint8Array } {
  const nodes = pair({ config: UNHURRIED });
  const { world, a, b, tape } = nodes;
  world.network.setAdversary(() => 'drop');
  world.connect(a, b);
  run(world, MILLISECOND);
  return { ...nodes, initiation: tape.from(a, TYPE_INITIATION)[0]!.bytes };
}

function completes({ world, a, b }: Pair): void {
  world.network.setAdversary(undefined);
  run(world, 2 * SECOND);
  expect(world.hasConverged(a, b)).toBe(true);
  exchangeLetters(world, a, b);
}

/** Only reasons that come before, or of, what is meant to refuse. */
function expectReasons(peer: SimPeer, allowed: readonly string[]): void {
  for (const [reason] of peer.node.endpoint.drops.entries()) expect(allowed).toContain(reason);
}

const MALFORMED = ['unsplittable', 'unknown-type', 'reserved-bits', 'length-mismatch', 'unknown-version'];

describe('an initiation with one byte changed', () => {
  it('is refused in silence by its MAC1', () => {
    const { world, b, a, initiation } = waiting();
    eachFlip(0, INITIATION_MAC2_OFFSET, (index, pattern) => {
      expectInert(world, b, a.address, flipped(initiation, index, pattern), `byte ${index} ^ ${pattern}`);
    });
    expectReasons(b, [...MALFORMED, 'wrong-network', 'bad-mac1']);
  });

  it('gets a cookie packet and nothing else where the byte is of MAC2', () => {
    const { world, b, a, initiation } = waiting();
    const before = stateOf(b);
    eachFlip(INITIATION_MAC2_OFFSET, INITIATION_BYTES, (index, pattern) => {
      const sent = feed(world, b, a.address, flipped(initiation, index, pattern));
      expect(sent.map(({ bytes }) => bytes.length)).toEqual([COOKIE_BYTES]);
      expect(stateOf(b)).toEqual(before);
    });
    expectReasons(b, ['bad-cookie']);
  });

  it('is refused in silence by Noise with its MAC1 made right again, and the genuine one is then answered', () => {
    const nodes = waiting();
    const { world, b, a, initiation } = nodes;
    eachFlip(0, INITIATION_MAC1_OFFSET, (index, pattern) => {
      const altered = withMac1(flipped(initiation, index, pattern), b.keys.staticKey);
      expectInert(world, b, a.address, altered, `byte ${index} ^ ${pattern}`);
    });
    // `bad-mac1` and `unknown-session` where the type byte makes another message of it.
    expectReasons(b, [...MALFORMED, 'wrong-network', 'not-authentic', 'unknown-session']);
    expect(b.node.endpoint.drops.count('not-authentic')).toBe(3 * (INITIATION_MAC1_OFFSET - 8));
    const [answer] = feed(world, b, a.address, initiation);
    expect(answer?.bytes.length).toBe(RESPONSE_BYTES);
    completes(nodes);
  });

  it('that holds a cookie is refused in silence by MAC1, by Noise with both MACs made right again', () => {
    const { world, b, initiation } = waiting();
    const garbled = flipped(initiation, INITIATION_MAC2_OFFSET, 0xff);
    let source = 0;
    eachFlip(0, INITIATION_MAC1_OFFSET, (index, pattern) => {
      // A source of its own for each: one is only allowed twenty a second.
      const from = strangeAddress(source++);
      const reply = decodePacket(feed(world, b, from, garbled)[0]!.bytes);
      assert(reply.kind === 'cookie', 'a wrong MAC2 is answered with a cookie');
      const about = `byte ${index} ^ ${pattern}`;
      const altered = flipped(initiation, index, pattern);
      if (index % 16 === 0) {
        expectInert(world, b, from, flipped(withMac2(initiation, reply.cookie), index, pattern), about);
      }
      expectInert(world, b, from, withMac2(withMac1(altered, b.keys.staticKey), reply.cookie), about);
    });
    expectReasons(b, [...MALFORMED, 'wrong-network', 'not-authentic', 'bad-cookie', 'bad-mac1', 'unknown-session']);
    expect(b.node.endpoint.drops.count('not-authentic')).toBe(3 * (INITIATION_MAC1_OFFSET - 8));
  });

  it('that holds a cookie gets another cookie where only its MAC1 was made right again, and is answered when genuine', () => {
    const nodes = waiting();
    const { world, b, a, initiation } = nodes;
    const before = stateOf(b);
    const reply = feed(world, b, a.address, flipped(initiation, INITIATION_MAC2_OFFSET, 0xff))[0]!.bytes;
    const packet = decodePacket(reply.slice());
    assert(packet.kind === 'cookie', 'a wrong MAC2 is answered with a cookie');
    // The initiator itself writes MAC2 into what it sends again at once.
    const [signed] = feed(world, a, b.address, reply);
    expect(signed?.bytes).toEqual(withMac2(initiation, packet.cookie));
    eachFlip(8, INITIATION_MAC1_OFFSET, (index, pattern) => {
      if (index % 8 !== 0) return;
      const sent = feed(world, b, a.address, withMac1(flipped(signed!.bytes, index, pattern), b.keys.staticKey));
      expect(sent.map(({ bytes }) => bytes.length)).toEqual([COOKIE_BYTES]);
    });
    expect(stateOf(b)).toEqual(before);
    expect(feed(world, b, a.address, signed!.bytes)[0]?.bytes.length).toBe(RESPONSE_BYTES);
    completes(nodes);
  });
});

describe('a response with one byte changed', () => {
  it('is refused in silence by MAC1, and by Noise with MAC1 made right again; the genuine one completes', () => {
    const nodes = waiting();
    const { world, a, b, initiation } = nodes;
    const response = feed(world, b, a.address, initiation)[0]!.bytes;
    eachFlip(0, RESPONSE_BYTES, (index, pattern) => {
      expectInert(world, a, b.address, flipped(response, index, pattern), `byte ${index} ^ ${pattern}`);
    });
    expectReasons(a, [...MALFORMED, 'bad-mac1']);
    eachFlip(0, RESPONSE_MAC1_OFFSET, (index, pattern) => {
      const altered = withMac1(flipped(response, index, pattern), a.keys.staticKey);
      if (altered[0] === TYPE_INITIATION) {
        // The last 16 bytes are a MAC2 now, and a wrong one is answered with a cookie.
        const before = stateOf(a);
        expect(feed(world, a, b.address, altered).map(({ bytes }) => bytes.length)).toEqual([COOKIE_BYTES]);
        expect(stateOf(a)).toEqual(before);
        return;
      }
      expectInert(world, a, b.address, altered, `byte ${index} ^ ${pattern}, MAC1 right`);
    });
    expectReasons(a, [
      ...MALFORMED,
      'bad-mac1',
      'bad-cookie',
      'wrong-network',
      'unknown-session',
      'altered-header',
      'not-authentic',
    ]);
    const { drops } = a.node.endpoint;
    // Its own session id is not in Noise's hash: the payload says it again.
    expect(drops.count('altered-header')).toBe(3 * 4);
    expect(drops.count('not-authentic')).toBe(3 * (RESPONSE_MAC1_OFFSET - 16));
    const sent = feed(world, a, b.address, response);
    expect(sent.map(({ bytes }) => bytes[0])).toEqual([TYPE_DATA]);
    expect(feed(world, b, a.address, sent[0]!.bytes).length).toBeGreaterThan(0);
    completes(nodes);
  });
});

describe('a cookie packet with one byte changed', () => {
  it('is refused in silence, and the genuine one is used', () => {
    const nodes = waiting();
    const { world, a, b, initiation } = nodes;
    const cookie = feed(world, b, a.address, flipped(initiation, INITIATION_MAC2_OFFSET, 0xff))[0]!.bytes;
    expect(cookie.length).toBe(COOKIE_BYTES);
    eachFlip(0, COOKIE_BYTES, (index, pattern) => {
      expectInert(world, a, b.address, flipped(cookie, index, pattern), `byte ${index} ^ ${pattern}`);
    });
    expectReasons(a, [...MALFORMED, 'out-of-range', 'unknown-session', 'not-authentic']);
    const sent = feed(world, a, b.address, cookie);
    expect(sent.map(({ bytes }) => bytes.length)).toEqual([INITIATION_BYTES]);
    completes(nodes);
  });
});

describe('a data packet with one byte changed', () => {
  it('is refused in silence, and the genuine one is taken', () => {
    const { world, a, b, tape } = connected();
    exchangeLetters(world, a, b);
    world.network.setAdversary(() => 'drop');
    world.send(a, b, 300);
    const packet = tape.from(a, TYPE_DATA).at(-1)!.bytes;
    eachFlip(0, packet.length, (index, pattern) => {
      expectInert(world, b, a.address, flipped(packet, index, pattern), `byte ${index} ^ ${pattern}`);
    });
    const before = world.letters(a, b).received;
    feed(world, b, a.address, packet);
    expect(world.letters(a, b).received).toBe(before + 1);
  });
});

/**
 * Inside a session only its peer can send these: what comes with each is a packet that opens, so packet numbers and ACKs go on.
 * The sessions do not change.
 */
describe('a handshake frame with one byte changed', () => {
  function keyed(): KeyedPeer {
    const { world, b } = connected({ config: { ...UNHURRIED, rekeyAfterPackets: 1_000 } });
    return new KeyedPeer(world, b).join();
  }

  function sessionsOf(peer: KeyedPeer): unknown {
    const { sessions, isAttempting, isRekeying, state } = peer.victim.node.endpoint.tunnel(peer.key)!.inspect();
    const { sessionIds, provisional } = peer.victim.node.endpoint.inspect();
    return { sessions, isAttempting, isRekeying, state, sessionIds, provisional };
  }

  /** True where the header of the message inside is one that no handshake has. */
  function breaksLayout(index: number, pattern: number): boolean {
    return index === 0 ? pattern !== 0x01 : index < 6;
  }

  /** Says the altered message; a message that is none closes the tunnel, everything else leaves the sessions as they are. */
  function sayFlipped(peer: KeyedPeer, message: Uint8Array, index: number, pattern: number): void {
    const before = sessionsOf(peer);
    const about = `byte ${index} ^ ${pattern}`;
    const frames = peer.say({ kind: 'handshake', message: flipped(message, index, pattern) });
    if (breaksLayout(index, pattern)) {
      expect(frames, about).toMatchObject([{ kind: 'close', code: 3 }]);
      expect(peer.victim.node.endpoint.tunnel(peer.key)?.state).toBe('closing');
      return;
    }
    expect(sessionsOf(peer), about).toEqual(before);
    expect(answers(frames), about).toEqual([]);
  }

  function answers(frames: readonly Frame[]): Frame[] {
    return frames.filter(({ kind }) => kind !== 'ack');
  }

  it('as a rekey initiation is refused, and the genuine one is answered', () => {
    let peer = keyed();
    let handshake = peer.initiate('frame');
    eachFlip(0, handshake.message.length, (index, pattern) => {
      sayFlipped(peer, handshake.message, index, pattern);
      if (!breaksLayout(index, pattern)) return;
      peer = keyed();
      handshake = peer.initiate('frame');
    });
    const { drops } = peer.victim.node.endpoint;
    expect(drops.count('rate-limited')).toBe(0);
    expect(drops.count('not-authentic')).toBeGreaterThan(3 * (handshake.message.length - 12));
    const [answer] = answers(peer.say({ kind: 'handshake', message: handshake.message }));
    assert(answer?.kind === 'handshake', 'the genuine one is answered');
    const response = decodeInnerHandshake(answer.message);
    assert(response.kind === 'inner-response', 'with a response');
    const established = handshake.complete(response, undefined);
    assert(established.kind === 'established', 'that is good');
    peer.adopt(handshake, established);
    expect(peer.say({ kind: 'ping' }).length).toBeGreaterThan(0);
    expect(peer.victim.node.endpoint.tunnel(peer.key)?.inspect().sessions[0]).toMatchObject({
      localId: established.remoteId,
      isConfirmed: true,
      isSending: true,
    });
  });

  it('as a rekey response is refused, and the genuine one completes', () => {
    let { peer, answer } = askedToRekey();
    eachFlip(0, answer.message.length, (index, pattern) => {
      sayFlipped(peer, answer.message, index, pattern);
      if (breaksLayout(index, pattern)) ({ peer, answer } = askedToRekey());
    });
    const { drops } = peer.victim.node.endpoint;
    expect(drops.count('altered-header')).toBe(3 * 4);
    expect(drops.count('not-authentic')).toBe(3 * (answer.message.length - 16));
    peer.say({ kind: 'handshake', message: answer.message });
    const { sessions, isRekeying } = peer.victim.node.endpoint.tunnel(peer.key)!.inspect();
    expect(isRekeying).toBe(false);
    expect(sessions.map(({ generation }) => generation)).toEqual([2, 1]);
  });

  /** The victim has started a rekey, and this is the answer to it. */
  function askedToRekey(): { peer: KeyedPeer; answer: HandshakeAnswer } {
    const peer = keyed();
    let asked: Frame | undefined;
    for (let i = 0; i < 1_200 && asked === undefined; i++) {
      asked = peer.say({ kind: 'padding', length: 1 }).find(({ kind }) => kind === 'handshake');
    }
    assert(asked?.kind === 'handshake', 'the victim asks for a rekey');
    const initiation = decodeInnerHandshake(asked.message);
    assert(initiation.kind === 'inner-initiation', 'with an initiation');
    const handshake = ResponderHandshake.identify(peer.context, initiation);
    assert(handshake.kind === 'responder', 'that is for this peer');
    const request = handshake.readRequest(undefined);
    assert(request.kind === 'request', 'and good');
    const answer = handshake.respond({ form: 'frame', localId: 0x0666, incarnation: peer.incarnation });
    assert(answer !== undefined, 'so it can be answered');
    return { peer, answer };
  }
});
