import { expect } from 'vitest';
import { assert } from '../../base/assert.ts';
import { compare, concat, fromHex, toHex } from '../../base/bytes.ts';
import { randomBytes, randomU32 } from '../../base/rng.ts';
import type { X25519KeyPair } from '../../crypto/backend.ts';
import { createIdentity, type Identity } from '../../crypto/identity.ts';
import { HandshakeState, IK } from '../../crypto/noise.ts';
import { opensslBackend as crypto } from '../../crypto/openssl.ts';
import { isRecordError, signIdentityRecord } from '../../crypto/records.ts';
import { Secret } from '../../crypto/secret.ts';
import { type SimAddress, simAddress } from '../../sim/address.ts';
import type { SeededRng } from '../../sim/rng.ts';
import type { SimPeer, World } from '../../sim/world.ts';
import { ACK_RANGES_SENT_MAX } from '../../transport/constants.ts';
import type { ReceivedDatagram } from '../../transport/events.ts';
import {
  type Established,
  type HandshakeContext,
  InitiatorHandshake,
  type PeerKeys,
  ResponderHandshake,
} from '../../transport/handshake.ts';
import { Session } from '../../transport/session.ts';
import { isDecodeError } from '../../wire/decode-error.ts';
import { decodeFrames } from '../../wire/frame-reader.ts';
import { encodeFrame, type Frame, frameLength } from '../../wire/frames.ts';
import { encodeInitiationPayload, encodeResponsePayload } from '../../wire/handshake-payload.ts';
import {
  DATA_HEADER_BYTES,
  decodePacket,
  INITIATION_BYTES,
  INITIATION_HEADER_BYTES,
  INITIATION_PAYLOAD_BYTES,
  type Packet,
  PROLOGUE_BYTES,
  RESPONSE_BYTES,
  RESPONSE_HEADER_BYTES,
  RESPONSE_PAYLOAD_BYTES,
  TAG_BYTES,
  writeInitiationHeader,
  writeResponseHeader,
} from '../../wire/packet.ts';
import { encodeIdentityRecord } from '../../wire/records.ts';
import { ByteWriter } from '../../wire/writer.ts';
import { feed, run, type Sent, takeSent, withMac1, withMac2 } from './support.ts';

/** Peers that keep to no rule but hold their keys: handshake messages of any content, and packets of any content. */

/** An identity and its signed record, in any network. */
export interface Self {
  readonly identity: Identity;
  readonly record: Uint8Array;
}

export function makeSelf(rng: SeededRng, network = 0, sequence = 0): Self {
  const identity = createIdentity(crypto, rng, network);
  return { identity, record: recordOf(identity, sequence) };
}

export function recordOf(identity: Identity, sequence = 0): Uint8Array {
  const profile = { sequence, name: 'mallory', tags: [], capabilities: [], homes: [] };
  const record = signIdentityRecord(identity, profile);
  assert(!isRecordError(record), 'the record is valid');
  return encodeIdentityRecord(record);
}

export function keyPair(rng: SeededRng): X25519KeyPair {
  return crypto.x25519(new Secret(randomBytes(rng, 32)));
}

/** Somebody whose public key is a point of low order knows every secret made with it: zero. */
export function lowOrderPair(publicKey: Uint8Array): X25519KeyPair {
  return { publicKey, diffieHellman: () => new Uint8Array(32) };
}

export interface InitiationContent {
  readonly rng: SeededRng;
  /** The static key it is sealed to. */
  readonly to: Uint8Array;
  readonly staticKey: X25519KeyPair;
  readonly record: Uint8Array;
  readonly ephemeral?: X25519KeyPair;
  readonly network?: number;
  readonly senderSession?: number;
  readonly incarnation?: Uint8Array;
  readonly generation?: number;
  /** In the place of the payload made of the fields above. */
  readonly payload?: Uint8Array;
}

/** An initiation that is right in everything but what it says; gives the handshake too, to go on with. */
export function craftInitiation(content: InitiationContent): { message: Uint8Array; noise: HandshakeState } {
  const { rng, to, staticKey, record, network = 0 } = content;
  const message = new Uint8Array(INITIATION_BYTES);
  const senderSession = content.senderSession ?? randomU32(rng);
  writeInitiationHeader(message, { length: INITIATION_BYTES, network, senderSession });
  const noise = new HandshakeState({
    backend: crypto,
    pattern: IK,
    role: 'initiator',
    prologue: message.slice(0, PROLOGUE_BYTES),
    staticKey,
    ephemeralKey: () => content.ephemeral ?? keyPair(rng),
    remoteStatic: to,
  });
  const { incarnation = randomBytes(rng, 16), generation = 1 } = content;
  const payload =
    content.payload ?? encodeInitiationPayload({ incarnation, generation, record }, INITIATION_PAYLOAD_BYTES);
  expect(noise.writeMessage(payload, message.subarray(INITIATION_HEADER_BYTES))).toBeGreaterThan(0);
  return { message: withMac1(message, to), noise };
}

export interface ResponseContent {
  readonly rng: SeededRng;
  readonly initiation: Uint8Array;
  /** Of the responder, as the initiator knows it. */
  readonly staticKey: X25519KeyPair;
  readonly record: Uint8Array;
  readonly ephemeral?: X25519KeyPair;
  readonly network?: number;
  readonly senderSession?: number;
  /** What the payload says of the header's sender session. */
  readonly repeatedSession?: number;
  readonly incarnation?: Uint8Array;
  readonly generation?: number;
  readonly payload?: Uint8Array;
}

/** A response by whoever holds the key that the initiation was sealed to. */
export function craftResponse(content: ResponseContent): Uint8Array {
  const { rng, initiation, staticKey, record, network = 0 } = content;
  const packet = decodePacket(initiation.slice());
  assert(packet.kind === 'initiation', 'an initiation is answered');
  const noise = new HandshakeState({
    backend: crypto,
    pattern: IK,
    role: 'responder',
    prologue: packet.prologue,
    staticKey,
    ephemeralKey: () => content.ephemeral ?? keyPair(rng),
  });
  assert(noise.readMessage(packet.noiseMessage, new Uint8Array(2_000)) > 0, 'the initiation is for this key');
  const { senderSession = randomU32(rng), incarnation = randomBytes(rng, 16), generation = 1 } = content;
  const { repeatedSession = senderSession } = content;
  const message = new Uint8Array(RESPONSE_BYTES);
  const receiverSession = packet.senderSession;
  writeResponseHeader(message, { length: RESPONSE_BYTES, network, senderSession, receiverSession });
  const fields = { senderSession: repeatedSession, incarnation, generation, record };
  const payload = content.payload ?? encodeResponsePayload(fields, RESPONSE_PAYLOAD_BYTES);
  expect(noise.writeMessage(payload, message.subarray(RESPONSE_HEADER_BYTES))).toBeGreaterThan(0);
  return withMac1(message, noise.remoteStatic!);
}

export function encodeFrames(...frames: readonly Frame[]): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(frames.reduce((sum, frame) => sum + frameLength(frame), 0)));
  for (const frame of frames) encodeFrame(writer, frame);
  return writer.buffer;
}

/**
 * A peer with a valid identity that has shaken hands by the book and from then on seals whatever it likes. It lives beside the
 * network: what it says is handed straight to its victim, and what comes back at once is opened here.
 */
export class KeyedPeer {
  readonly world: World;
  readonly victim: SimPeer;
  readonly rng: SeededRng;
  self: Self;
  readonly address: SimAddress;
  incarnation: Uint8Array;
  /** What its victim would have delivered. */
  readonly delivered: ReceivedDatagram[] = [];
  readonly sessions: Session[] = [];
  nextNumber = 0;
  /** Numbers of the packets it has opened. */
  readonly received: Set<number> = new Set();
  generation = 0;

  constructor(world: World, victim: SimPeer, name = 'mallory', index = 66) {
    this.world = world;
    this.victim = victim;
    this.rng = world.network.rng(`hostile ${name}`);
    this.self = makeSelf(this.rng);
    this.address = simAddress(`10.66.0.${index}`, 4440);
    this.incarnation = randomBytes(this.rng, 16);
  }

  get key(): string {
    return toHex(this.self.identity.signing.publicKey);
  }

  get keys(): PeerKeys {
    return { identityKey: this.self.identity.signing.publicKey, staticKey: this.self.identity.exchange.publicKey };
  }

  get context(): HandshakeContext {
    return { crypto, rng: this.rng, identity: this.self.identity, record: this.self.record };
  }

  get session(): Session {
    return this.sessions.at(-1)!;
  }

  /** Its own handshake message, in either form. */
  initiate(form: 'packet' | 'frame', generation: number = ++this.generation): InitiatorHandshake {
    return new InitiatorHandshake(this.context, {
      peer: this.victim.keys,
      form,
      localId: randomU32(this.rng),
      incarnation: this.incarnation,
      generation,
    });
  }

  /** From outside, with a cookie where one is asked for; throws where nothing answers. */
  shakeHands(from: SimAddress = this.address, generation?: number): Session {
    const handshake = this.initiate('packet', generation);
    const answerTo = (message: Uint8Array): Packet | undefined => {
      const [answer] = this.feed(message, from);
      if (answer === undefined) return undefined;
      const packet = decodePacket(answer.bytes);
      return isDecodeError(packet) ? undefined : packet;
    };
    let packet = answerTo(handshake.message);
    if (packet?.kind === 'cookie') packet = answerTo(withMac2(handshake.message, packet.cookie));
    assert(packet?.kind === 'response', 'the initiation is answered with a response');
    const established = handshake.complete(packet, undefined);
    assert(established.kind === 'established', 'the response is good');
    return this.adopt(handshake, established);
  }

  /** Its victim dials it, and is answered by the book from that address; gives what the victim sends for the answer. */
  beDialled(from: SimAddress = this.address): Sent[] {
    const { world, victim } = this;
    const { endpoint } = victim.node;
    const { now } = world.network;
    expect(endpoint.connect(this.keys, [victim.node.routeTo(this.address)], now)).toBe('started');
    endpoint.handleTimeout(now);
    const initiation = takeSent(world, victim).find(({ to }) => to === this.address.key);
    assert(initiation !== undefined, 'the victim asks');
    return this.feed(this.answerInitiation(initiation.bytes), from);
  }

  /** By the book; gives the response, and holds the session from now on. */
  answerInitiation(initiation: Uint8Array): Uint8Array {
    const { now } = this.world.network;
    const packet = decodePacket(initiation);
    assert(packet.kind === 'initiation', 'with an initiation');
    const handshake = ResponderHandshake.identify(this.context, packet);
    assert(handshake.kind === 'responder', 'that is for this peer');
    const request = handshake.readRequest(undefined);
    assert(request.kind === 'request', 'and good');
    const localId = randomU32(this.rng);
    const answer = handshake.respond({ form: 'packet', localId, incarnation: this.incarnation });
    assert(answer !== undefined, 'so it can be answered');
    const { sealing, opening } = answer;
    const { generation } = request;
    const remoteId = packet.senderSession;
    const options = { localId, remoteId, generation, sealing, opening, initiatedLocally: false };
    this.sessions.push(new Session({ ...options, initiatedByLower: !this.isLower }, now));
    return answer.message;
  }

  get isLower(): boolean {
    return compare(this.keys.identityKey, this.victim.keys.identityKey) < 0;
  }

  adopt(handshake: InitiatorHandshake, established: Established): Session {
    const session = new Session(
      {
        localId: handshake.localId,
        remoteId: established.remoteId,
        generation: established.generation,
        initiatedLocally: true,
        initiatedByLower: this.isLower,
        sealing: established.sealing,
        opening: established.opening,
      },
      this.world.network.now,
    );
    this.sessions.push(session);
    return session;
  }

  /** A tunnel, confirmed at the victim. */
  join(): this {
    this.shakeHands();
    this.say({ kind: 'ping' });
    expect(this.victim.node.endpoint.tunnel(this.key)?.state).toBe('open');
    return this;
  }

  seal(plaintext: Uint8Array, number: number = this.nextNumber++, session: Session = this.session): Uint8Array {
    const buffer = new Uint8Array(16 + plaintext.length + 16);
    buffer.set(plaintext, 16);
    session.seal(buffer, 0, plaintext.length, number);
    return buffer;
  }

  /** Straight to the victim; gives what it answers at once. */
  feed(bytes: Uint8Array, from: SimAddress = this.address): Sent[] {
    return feed(this.world, this.victim, from, bytes, this.delivered);
  }

  /** These frames in one packet; gives the frames that come back. */
  say(...frames: readonly Frame[]): Frame[] {
    return this.read(this.feed(this.seal(encodeFrames(...frames))));
  }

  /** All that its victim has sent it so far, as an honest peer would. */
  acknowledge(): Frame[] {
    const ranges: { smallest: number; largest: number }[] = [];
    for (const number of [...this.received].sort((one, other) => other - one)) {
      const last = ranges.at(-1);
      if (last?.smallest === number + 1) last.smallest = number;
      else ranges.push({ smallest: number, largest: number });
    }
    return ranges.length === 0
      ? []
      : this.say({ kind: 'ack', delayUs: 0, ranges: ranges.slice(0, ACK_RANGES_SENT_MAX) });
  }

  sayBytes(plaintext: Uint8Array): Frame[] {
    return this.read(this.feed(this.seal(plaintext)));
  }

  /** What the victim has for it after this time has passed. */
  wait(span: number): Frame[] {
    run(this.world, span);
    return this.read(takeSent(this.world, this.victim));
  }

  /** The frames of the packets among these that are sealed for it. */
  read(sent: readonly Sent[]): Frame[] {
    return sent.flatMap(({ bytes }) => this.open(bytes) ?? []);
  }

  open(bytes: Uint8Array): Frame[] | undefined {
    const packet = decodePacket(bytes.slice());
    if (isDecodeError(packet) || packet.kind !== 'data') return undefined;
    const session = this.sessions.find(({ localId }) => localId === packet.receiverSession);
    if (!session?.open(packet, this.world.network.now)) return undefined;
    this.received.add(packet.packetNumber);
    const frames = decodeFrames(packet.bytes.subarray(packet.start + DATA_HEADER_BYTES, packet.end - TAG_BYTES));
    assert(!isDecodeError(frames), 'the victim writes valid frames');
    return frames;
  }
}

/** The points of small order on Curve25519 and their other encodings below 2^255. */
export const LOW_ORDER_POINTS: readonly Uint8Array[] = [
  filled(0x00, 0x00, 0x00),
  filled(0x01, 0x00, 0x00),
  filled(0xec, 0xff, 0x7f),
  filled(0xed, 0xff, 0x7f),
  filled(0xee, 0xff, 0x7f),
  // The two of order 8.
  fromHex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'),
  fromHex('5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157'),
];

function filled(first: number, middle: number, last: number): Uint8Array {
  return concat(Uint8Array.of(first), new Uint8Array(30).fill(middle), Uint8Array.of(last));
}
