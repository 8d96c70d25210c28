import { describe, expect, it } from 'vitest';
import { assert } from '../../base/assert.ts';
import { equal, toHex } from '../../base/bytes.ts';
import { SECOND } from '../../base/time.ts';
import { AEAD_KEY_BYTES, AEAD_NONCE_BYTES, type CryptoBackend, type X25519KeyPair } from '../../crypto/backend.ts';
import { HandshakeState, IK } from '../../crypto/noise.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import type { SimPeer, World } from '../../sim/world.ts';
import { REPLACED_LIFETIME_MAX } from '../../transport/constants.ts';
import { readU32 } from '../../wire/integers.ts';
import { DATA_HEADER_BYTES, decodePacket, TYPE_DATA, TYPE_INITIATION, TYPE_RESPONSE } from '../../wire/packet.ts';
import { connected, exchangeLetters, run, type Tape } from './support.ts';

/**
 * Old: somebody keeps every datagram, and after a rekey gets all there is to get: both static secrets, both identity seeds, and
 * every key that either node still holds. What was said before stays closed.
 */
interface KnownKey {
  readonly bytes: Uint8Array;
  isWiped: boolean;
}

/** Writes down every key that a cipher was ever made with and every Diffie-Hellman key pair, which no attacker could. */
interface Recorder {
  readonly crypto: CryptoBackend;
  readonly keys: readonly KnownKey[];
  readonly pairs: readonly X25519KeyPair[];
}

function recorder(): Recorder {
  const keys: KnownKey[] = [];
  const pairs: X25519KeyPair[] = [];
  const crypto: CryptoBackend = {
    ...opensslBackend,
    name: 'recording',
    x25519: (secret) => {
      const pair = opensslBackend.x25519(secret);
      pairs.push(pair);
      return pair;
    },
    aead: (bytes) => {
      const aead = opensslBackend.aead(bytes);
      const key: KnownKey = { bytes: bytes.slice(), isWiped: false };
      keys.push(key);
      return {
        seal: (...args) => aead.seal(...args),
        open: (...args) => aead.open(...args),
        wipe: () => {
          key.isWiped = true;
          aead.wipe();
        },
      };
    },
  };
  return { crypto, keys, pairs };
}

/** A data packet as it was on the wire, tried with one key. */
function opensWith(key: Uint8Array, packet: Uint8Array): boolean {
  const nonce = new Uint8Array(AEAD_NONCE_BYTES);
  nonce.set(packet.subarray(8, 16), 4);
  const aead = opensslBackend.aead(key);
  const header = packet.subarray(0, DATA_HEADER_BYTES);
  const sealed = packet.subarray(DATA_HEADER_BYTES);
  const length = aead.open(nonce, header, sealed, new Uint8Array(sealed.length));
  aead.wipe();
  return length >= 0;
}

function opened(packets: readonly Uint8Array[], keys: readonly Uint8Array[]): number {
  return packets.filter((packet) => keys.some((key) => opensWith(key, packet))).length;
}

interface Story {
  readonly world: World;
  readonly a: SimPeer;
  readonly b: SimPeer;
  readonly tape: Tape;
  readonly recorded: Recorder;
  /** Data packets of the sessions before the one that lasts, in both directions, and of that one. */
  readonly past: readonly Uint8Array[];
  readonly present: readonly Uint8Array[];
}

/** A conversation with a rekey in the middle, until nothing of the first session is left at either node. */
function conversation(): Story {
  const recorded = recorder();
  const { world, a, b, tape } = connected({ crypto: recorded.crypto, config: { rekeyAfterPackets: 100 } });
  const firstIds = idsOf(a, b);
  for (let i = 0; i < 20; i++) exchangeLetters(world, a, b, 4);
  expect([...a.events, ...b.events].some(({ kind }) => kind === 'rekeyed')).toBe(true);
  run(world, REPLACED_LIFETIME_MAX + SECOND);
  exchangeLetters(world, a, b, 4);
  expect(world.hasConverged(a, b)).toBe(true);
  const ids = idsOf(a, b);
  expect(ids.filter((id) => firstIds.includes(id))).toEqual([]);
  const packets = [a, b].flatMap((peer) => tape.from(peer, TYPE_DATA)).map(({ bytes }) => bytes);
  const isPresent = (packet: Uint8Array): boolean => ids.includes(readU32(packet, 4));
  const past = packets.filter((packet) => !isPresent(packet));
  expect(past.filter((packet) => firstIds.includes(readU32(packet, 4))).length).toBeGreaterThan(50);
  return { world, a, b, tape, recorded, past, present: packets.filter(isPresent) };
}

function idsOf(a: SimPeer, b: SimPeer): number[] {
  const sessions = [a.tunnelTo(b)!, b.tunnelTo(a)!].flatMap((tunnel) => tunnel.inspect().sessions);
  return sessions.map(({ localId }) => localId);
}

/** The secrets at rest, and what they agree on with each other. */
function stolenAtRest(a: SimPeer, b: SimPeer): Uint8Array[] {
  const secrets = [a, b].flatMap(({ identity }) => [
    identity.secrets.signingSeed.expose(),
    identity.secrets.exchangeSecret.expose(),
  ]);
  return [...secrets, a.identity.exchange.diffieHellman(b.identity.exchange.publicKey)!];
}

describe('what was recorded before a rekey', () => {
  it('opens under no key that the nodes still hold, nor under any they keep at rest', () => {
    const { a, b, recorded, past, present } = conversation();
    const held = recorded.keys.filter(({ isWiped }) => !isWiped).map(({ bytes }) => bytes);
    // Two directions, a key for each at either end, and nothing else: no handshake's either.
    expect(held).toHaveLength(4);
    expect(new Set(held.map(toHex)).size).toBe(2);
    // That the trying is right: those keys open all of the present, and those that were once there all of the past.
    expect(opened(present, held)).toBe(present.length);
    const everMade = recorded.keys.map(({ bytes }) => bytes);
    expect(opened(past, everMade)).toBe(past.length);

    expect(opened(past, [...held, ...stolenAtRest(a, b)])).toBe(0);
  });

  it('opens under nothing that the recorded handshake gives to whoever has both static keys', () => {
    const { a, b, tape, recorded, past } = conversation();
    const initiation = decodePacket(tape.from(a, TYPE_INITIATION)[0]!.bytes.slice());
    const response = decodePacket(tape.from(b, TYPE_RESPONSE)[0]!.bytes.slice());
    assert(initiation.kind === 'initiation' && response.kind === 'response', 'the first handshake is on tape');
    const { prologue, noiseMessage } = initiation;
    const [initiatorEphemeral, responderEphemeral] = [noiseMessage, response.noiseMessage].map((m) => m.slice(0, 32));
    const derived = recorder();

    // As the responder: the first message opens, as it must under IK, and says who asked whom.
    const listen = (ephemeral: X25519KeyPair): { heard: Uint8Array; keys: Uint8Array[] } => {
      const noise = new HandshakeState({
        backend: derived.crypto,
        pattern: IK,
        role: 'responder',
        prologue,
        staticKey: b.identity.exchange,
        ephemeralKey: () => ephemeral,
      });
      const out = new Uint8Array(noiseMessage.length);
      const length = noise.readMessage(noiseMessage, out);
      expect(length).toBeGreaterThan(0);
      expect(noise.remoteStatic).toEqual(a.identity.exchange.publicKey);
      noise.writeMessage(new Uint8Array(0), new Uint8Array(1_000));
      return { heard: out.slice(0, length), keys: splitKeys(noise) };
    };
    const { heard } = listen(b.identity.exchange);
    const answered = [a, b].flatMap(({ identity }) => listen(identity.exchange).keys);

    // As the initiator: the same first message, byte for byte, since its one secret step can be done from the other end.
    // To read the answer takes what the two ephemeral keys agree on; here it is guessed.
    const resume = (agreed: Uint8Array): Uint8Array[] | undefined => {
      const ephemeral: X25519KeyPair = {
        publicKey: initiatorEphemeral!,
        diffieHellman: (key) =>
          equal(key, b.identity.exchange.publicKey) ? b.identity.exchange.diffieHellman(initiatorEphemeral!) : agreed,
      };
      const noise = new HandshakeState({
        backend: derived.crypto,
        pattern: IK,
        role: 'initiator',
        prologue,
        staticKey: a.identity.exchange,
        remoteStatic: b.identity.exchange.publicKey,
        ephemeralKey: () => ephemeral,
      });
      const written = new Uint8Array(noiseMessage.length);
      expect(noise.writeMessage(heard, written)).toBe(noiseMessage.length);
      expect(written).toEqual(noiseMessage);
      const length = noise.readMessage(response.noiseMessage, new Uint8Array(response.noiseMessage.length));
      return length < 0 ? undefined : splitKeys(noise);
    };
    const statics = [a, b].map(({ identity }) => identity.exchange);
    const guesses = [
      ...statics.flatMap((pair) => [
        pair.diffieHellman(initiatorEphemeral!)!,
        pair.diffieHellman(responderEphemeral!)!,
        ...statics.map((other) => pair.diffieHellman(other.publicKey)!),
      ]),
      ...stolenAtRest(a, b),
      new Uint8Array(32),
    ];
    for (const guess of guesses) expect(resume(guess)).toBeUndefined();
    const derivedKeys = derived.keys.map(({ bytes }) => bytes);
    expect(derivedKeys.length).toBeGreaterThan(20);
    expect(opened(past, [...answered, ...derivedKeys])).toBe(0);

    // One ephemeral secret is all that was missing: with it the answer opens, and so does the first session.
    const ephemeral = recorded.pairs.find(({ publicKey }) => equal(publicKey, initiatorEphemeral!))!;
    const keys = resume(ephemeral.diffieHellman(responderEphemeral!)!);
    expect(opened(past, keys!)).toBeGreaterThan(50);
  });
});

function splitKeys(noise: HandshakeState): Uint8Array[] {
  const { initiatorToResponder, responderToInitiator } = noise.split();
  const keys = [initiatorToResponder, responderToInitiator].map((key) => key.expose().slice());
  for (const { length } of keys) expect(length).toBe(AEAD_KEY_BYTES);
  return keys;
}
