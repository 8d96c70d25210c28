import { describe, expect, it } from 'vitest';
import { assert } from '../../base/assert.ts';
import { concat } from '../../base/bytes.ts';
import { randomBytes } from '../../base/rng.ts';
import { MILLISECOND, SECOND } from '../../base/time.ts';
import type { X25519KeyPair } from '../../crypto/backend.ts';
import { SeededRng } from '../../sim/rng.ts';
import { UNCONFIRMED_LIFETIME } from '../../transport/constants.ts';
import type { DropReason } from '../../transport/drops.ts';
import { encodeInitiationPayload, encodeResponsePayload } from '../../wire/handshake-payload.ts';
import {
  INITIATION_PAYLOAD_BYTES,
  RESPONSE_BYTES,
  RESPONSE_PAYLOAD_BYTES,
  TYPE_DATA,
  TYPE_INITIATION,
  TYPE_RESPONSE,
} from '../../wire/packet.ts';
import { decodeIdentityRecord, encodeIdentityRecord, encodeIdentityRecordBody } from '../../wire/records.ts';
import {
  craftInitiation,
  craftResponse,
  encodeFrames,
  type InitiationContent,
  keyPair,
  LOW_ORDER_POINTS,
  lowOrderPair,
  makeSelf,
  type ResponseContent,
  recordOf,
  type Self,
} from './hostile.ts';
import {
  connected,
  dataPacket,
  ELSEWHERE,
  exchangeLetters,
  expectInert,
  feed,
  flipped,
  type Pair,
  pair,
  run,
  u64,
  withMac1,
} from './support.ts';

/** R3: a key exchange that nothing authenticates, accepted when the other side cannot be checked. Here is no such mode. */
const rng = new SeededRng(0x83);

describe('R3: without a handshake', () => {
  it('data for any session is dropped', () => {
    const { world, a, b } = pair();
    for (let i = 0; i < 1_000; i++) {
      const session = i === 0 ? 0 : rng.u32();
      expectInert(world, b, a.address, dataPacket(session, u64(i), randomBytes(rng, 17 + rng.below(200))));
    }
    expect(b.node.endpoint.drops.count('unknown-session')).toBe(1_000);
  });

  it('frames in clear are dropped, with and without a session, whatever stands where the tag goes', () => {
    const { world, a, b } = connected();
    const frames = encodeFrames(
      { kind: 'datagram', sourcePort: 50_000, destinationPort: 7, data: Uint8Array.of(0, 0, 0, 0) },
      { kind: 'close', code: 0, reason: '' },
      { kind: 'padding', length: 20 },
    );
    const { localId, remoteId } = b.tunnelTo(a)!.inspect().sessions[0]!;
    for (const session of [localId, remoteId, 0]) {
      for (const end of [new Uint8Array(16), new Uint8Array(16).fill(0xff), new Uint8Array(0)]) {
        expectInert(world, b, a.address, dataPacket(session, u64(100), concat(frames, end)));
      }
    }
    // Nor without any header, which some read as a packet of another type.
    expectInert(world, b, a.address, frames);
    exchangeLetters(world, a, b);
  });
});

describe('R3: versions, flags and types that do not exist', () => {
  const nodes = pair();
  const { world, a, b, tape } = nodes;
  world.connect(a, b);
  run(world, 15 * MILLISECOND);
  const initiation = tape.from(a, TYPE_INITIATION)[0]!.bytes;
  const response = tape.from(b, TYPE_RESPONSE)[0]!.bytes;
  run(world, SECOND);
  exchangeLetters(world, a, b);
  const data = tape.from(a, TYPE_DATA).at(-1)!.bytes;

  it('are refused in silence in an initiation, its MAC1 right', () => {
    for (const version of [0, 2, 3, 0x0100, 0xffff]) {
      const altered = initiation.slice();
      altered[4] = version >>> 8;
      altered[5] = version;
      expectInert(world, b, a.address, withMac1(altered, b.keys.staticKey), `version ${version}`);
    }
    expect(b.node.endpoint.drops.count('unknown-version')).toBe(5);
  });

  it('are refused in silence in a response, while one is waited for', () => {
    const waiting = awaitingResponse();
    const answer = craftResponse(waiting.content());
    for (const version of [0, 2, 0xffff]) {
      const altered = answer.slice();
      altered[4] = version >>> 8;
      altered[5] = version;
      const { world, a, b } = waiting.nodes;
      expectInert(world, a, b.address, withMac1(altered, a.keys.staticKey), `version ${version}`);
    }
  });

  it('are refused in silence with any flag set', () => {
    for (let flags = 1; flags < 256; flags++) {
      for (const [packet, receiver] of [
        [initiation, b],
        [response, a],
        [data, b],
      ] as const) {
        const altered = flipped(packet, 1, flags);
        const whole = packet === data ? altered : withMac1(altered, receiver.keys.staticKey);
        expectInert(world, receiver, ELSEWHERE, whole, `flags ${flags}`);
      }
    }
  });

  it('are refused in silence as a type', () => {
    for (let type = 0; type < 256; type++) {
      if (type >= TYPE_INITIATION && type <= TYPE_DATA) continue;
      const altered = data.slice();
      altered[0] = type;
      expectInert(world, b, a.address, altered, `type ${type}`);
    }
  });
});

/** What a record or payload can be wrong in, and what it is refused as. */
interface Lie {
  readonly name: string;
  readonly reason: DropReason;
  /** The record as `self` would present it. */
  readonly record?: (self: Self) => Uint8Array;
  /** Changes the payload's bytes; `record` is where its record begins. */
  readonly payload?: (payload: Uint8Array, record: number) => void;
}

const stranger = makeSelf(new SeededRng(0x8300));
const abroad = makeSelf(new SeededRng(0x8301), 9);

const LIES: readonly Lie[] = [
  { name: 'a record of somebody else', reason: 'wrong-peer', record: () => stranger.record },
  {
    name: 'a record with the signature of another key',
    reason: 'bad-record',
    record: (self) => resigned(self, stranger, {}),
  },
  { name: 'a record with one bit of the signature wrong', reason: 'bad-record', record: (self) => bent(self.record) },
  {
    name: 'a record that names another X25519 key',
    reason: 'wrong-peer',
    record: (self) => resigned(self, self, { staticKey: stranger.identity.exchange.publicKey }),
  },
  {
    name: 'a record of another network, rightly signed',
    reason: 'wrong-network',
    record: (self) => resigned(self, self, { network: 9 }),
  },
  { name: 'a record of another network and somebody else', reason: 'wrong-network', record: () => abroad.record },
  {
    name: 'an address that the key does not derive to',
    reason: 'bad-record',
    record: (self) => resigned(self, self, { node: 0x1234_5678 }),
  },
  {
    name: 'a reserved address',
    reason: 'bad-record',
    record: (self) => resigned(self, self, { node: 7 }),
  },
  {
    name: 'the address under another counter',
    reason: 'bad-record',
    record: (self) => resigned(self, self, { counter: 1 }),
  },
  { name: 'a record cut short', reason: 'bad-record', record: (self) => self.record.slice(0, -1) },
  { name: 'a longer record', reason: 'bad-record', record: (self) => concat(self.record, new Uint8Array(1)) },
  { name: 'no record', reason: 'bad-record', record: () => new Uint8Array(0) },
  {
    name: 'an endpoint record in its place',
    reason: 'bad-record',
    record: (self) => concat(Uint8Array.of(2), self.record.subarray(1)),
  },
  {
    name: 'generation 0',
    reason: 'malformed-payload',
    payload: (payload, record) => payload.fill(0, record - 6, record - 2),
  },
  {
    name: 'a record longer than the payload',
    reason: 'malformed-payload',
    payload: (payload, record) => payload.fill(0xff, record - 2, record),
  },
  {
    name: 'padding that is not zero',
    reason: 'malformed-payload',
    payload: (payload) => payload.fill(1, payload.length - 1),
  },
];

describe('R3: an initiation by somebody without a valid identity', () => {
  for (const lie of LIES) {
    it(`is refused in silence: ${lie.name}`, () => {
      const { world, b } = pair();
      const self = makeSelf(rng);
      const record = lie.record?.(self) ?? self.record;
      const fields = { incarnation: randomBytes(rng, 16), generation: 1, record };
      const payload = encodeInitiationPayload(fields, INITIATION_PAYLOAD_BYTES);
      lie.payload?.(payload, 16 + 4 + 2);
      const { message } = craftInitiation({ ...claim(self, b.keys.staticKey), payload });
      expectInert(world, b, ELSEWHERE, message);
      expect(b.node.endpoint.drops.entries()).toEqual([[lie.reason, 1]]);
    });
  }

  it('is refused in silence for another network, in its header', () => {
    const { world, b } = pair();
    const { message } = craftInitiation({ ...claim(abroad, b.keys.staticKey), network: 9 });
    expectInert(world, b, ELSEWHERE, message);
    expect(b.node.endpoint.drops.entries()).toEqual([['wrong-network', 1]]);
  });

  it('is refused in silence where it claims to be us', () => {
    const { world, b } = pair();
    const record = recordOf(b.identity);
    const { message } = craftInitiation({ ...claim({ identity: b.identity, record }, b.keys.staticKey) });
    expectInert(world, b, ELSEWHERE, message);
    expect(b.node.endpoint.drops.entries()).toEqual([['own-key', 1]]);
  });

  it('is refused in silence with an ephemeral key of low order, whose secrets anybody knows', () => {
    for (const point of LOW_ORDER_POINTS) {
      const { world, b } = pair();
      const { message } = craftInitiation({
        ...claim(makeSelf(rng), b.keys.staticKey),
        ephemeral: lowOrderPair(point),
      });
      expectInert(world, b, ELSEWHERE, message);
      expect(b.node.endpoint.drops.entries()).toEqual([['not-authentic', 1]]);
    }
  });

  it('is refused in silence with a static key of low order, though a record names it', () => {
    for (const point of LOW_ORDER_POINTS) {
      const { world, b } = pair();
      const self = makeSelf(rng);
      const record = resigned(self, self, { staticKey: point });
      const content = { ...claim(self, b.keys.staticKey), record, staticKey: lowOrderPair(point) };
      expectInert(world, b, ELSEWHERE, craftInitiation(content).message);
      expect(b.node.endpoint.drops.entries()).toEqual([['not-authentic', 1]]);
    }
  });

  it('by a thief of our own key who poses as a peer is answered, and never gets further', () => {
    // Key compromise impersonation: with B's secret anybody can write an initiation that A might have written.
    const { world, a, b } = pair();
    const stolen = b.identity.exchange;
    const posing: X25519KeyPair = {
      publicKey: a.keys.staticKey,
      diffieHellman: () => stolen.diffieHellman(a.keys.staticKey),
    };
    const content = { rng, to: b.keys.staticKey, staticKey: posing, record: recordOf(a.identity) };
    const { message, noise } = craftInitiation(content);
    const [answer] = feed(world, b, ELSEWHERE, message);
    expect(answer?.bytes.length).toBe(RESPONSE_BYTES);
    // `se` needs A's secret or the responder's ephemeral one.
    expect(noise.readMessage(answer!.bytes.subarray(16, -16), new Uint8Array(2_000))).toBe(-1);
    expect(b.node.endpoint.inspect()).toMatchObject({ tunnels: [], provisional: [expect.any(Number)] });
    run(world, UNCONFIRMED_LIFETIME);
    expect(b.node.endpoint.inspect()).toMatchObject({ tunnels: [], provisional: [], sessionIds: 0 });
  });
});

describe('R3: a response by somebody who is not who was dialled', () => {
  for (const lie of LIES) {
    it(`is refused in silence, and the attempt goes on: ${lie.name}`, () => {
      const { nodes, content } = awaitingResponse();
      const { world, a, b } = nodes;
      const self = { identity: b.identity, record: recordOf(b.identity) };
      const record = lie.record?.(self) ?? self.record;
      const fields = { senderSession: 77, incarnation: randomBytes(rng, 16), generation: 1, record };
      const payload = encodeResponsePayload(fields, RESPONSE_PAYLOAD_BYTES);
      lie.payload?.(payload, 4 + 16 + 4 + 2);
      expectInert(world, a, b.address, craftResponse({ ...content(), senderSession: 77, payload }));
      expect(a.node.endpoint.drops.entries()).toEqual([[lie.reason, 1]]);
      completes(nodes);
    });
  }

  it('is refused in silence where the record is of another identity with the same X25519 key', () => {
    const { nodes, content } = awaitingResponse();
    const { world, a, b } = nodes;
    const other = makeSelf(rng);
    const record = resigned(other, other, { staticKey: b.keys.staticKey });
    expectInert(world, a, b.address, craftResponse({ ...content(), record }));
    expect(a.node.endpoint.drops.entries()).toEqual([['wrong-peer', 1]]);
    completes(nodes);
  });

  it('is refused in silence for another network, in its header', () => {
    const { nodes, content } = awaitingResponse();
    const { world, a, b } = nodes;
    expectInert(world, a, b.address, craftResponse({ ...content(), network: 9 }));
    expect(a.node.endpoint.drops.entries()).toEqual([['wrong-network', 1]]);
    completes(nodes);
  });

  it('is refused in silence with an ephemeral key of low order', () => {
    const { nodes, content } = awaitingResponse();
    const { world, a, b } = nodes;
    for (const point of LOW_ORDER_POINTS) {
      expectInert(world, a, b.address, craftResponse({ ...content(), ephemeral: lowOrderPair(point) }));
    }
    expect(a.node.endpoint.drops.entries()).toEqual([['not-authentic', LOW_ORDER_POINTS.length]]);
    completes(nodes);
  });

  it('cannot be written by somebody with another key, even one who owns the initiator', () => {
    // Key compromise impersonation the other way: A's secret does not make anybody B.
    const { nodes, initiation } = awaitingResponse();
    const { world, a, b } = nodes;
    const stolen = a.identity.exchange;
    const impostor = keyPair(rng);
    const posing: X25519KeyPair = { publicKey: b.keys.staticKey, diffieHellman: (key) => stolen.diffieHellman(key) };
    for (const staticKey of [impostor, posing]) {
      expect(() => craftResponse({ rng, initiation, staticKey, record: recordOf(b.identity) })).toThrow(
        'the initiation is for this key',
      );
    }
    expectInert(
      world,
      a,
      b.address,
      withMac1(concat(responseHeader(initiation), randomBytes(rng, 1_184)), a.keys.staticKey),
    );
    completes(nodes);
  });

  it('is not even asked where the key dialled is of low order', () => {
    const { world, a, b } = pair();
    for (const staticKey of LOW_ORDER_POINTS) {
      const keys = { identityKey: b.keys.identityKey, staticKey };
      const before = a.node.endpoint.inspect();
      expect(a.node.endpoint.connect(keys, [a.node.routeTo(b.address)], world.network.now)).toBe('bad-key');
      expect(a.node.endpoint.inspect()).toEqual(before);
    }
  });
});

function claim(self: Self, to: Uint8Array): InitiationContent {
  return { rng, to, staticKey: self.identity.exchange, record: self.record };
}

/** A node that has sent its initiation and heard nothing. */
function awaitingResponse(): { nodes: Pair; initiation: Uint8Array; content: () => ResponseContent } {
  const nodes = pair();
  const { world, a, b, tape } = nodes;
  world.network.setAdversary(() => 'drop');
  world.connect(a, b);
  run(world, MILLISECOND);
  const initiation = tape.from(a, TYPE_INITIATION)[0]!.bytes;
  const record = recordOf(b.identity);
  return { nodes, initiation, content: () => ({ rng, initiation, staticKey: b.identity.exchange, record }) };
}

/** The genuine responder is let through, and the handshake ends as if nothing had been. */
function completes({ world, a, b }: Pair): void {
  world.network.setAdversary(undefined);
  run(world, 2 * SECOND);
  expect(world.hasConverged(a, b)).toBe(true);
  exchangeLetters(world, a, b);
}

function responseHeader(initiation: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(0x11, 0, 0x04, 0xb0, 0, 1, 0, 0, 1, 2, 3, 4), initiation.subarray(8, 12));
}

interface Changes {
  readonly staticKey?: Uint8Array;
  readonly network?: number;
  readonly node?: number;
  readonly counter?: number;
}

/** The record of `self`, changed, and signed with the key of `signer`. */
function resigned(self: Self, signer: Self, changes: Changes): Uint8Array {
  const { identity } = self;
  const { network, node } = identity.address;
  const decoded = decodeIdentityRecord(self.record);
  assert(decoded.kind === 'identity-record', 'its own record is one');
  const fields = {
    ...decoded,
    address: { network: changes.network ?? network, node: changes.node ?? node },
    counter: changes.counter ?? identity.counter,
    identityKey: identity.signing.publicKey,
    staticKey: changes.staticKey ?? identity.exchange.publicKey,
  };
  const label = new TextEncoder().encode('warren identity record v1\0');
  const signature = signer.identity.signing.sign(concat(label, encodeIdentityRecordBody(fields)));
  return encodeIdentityRecord({ ...fields, kind: 'identity-record', signature });
}

function bent(record: Uint8Array): Uint8Array {
  return flipped(record, record.length - 1, 0x80);
}
