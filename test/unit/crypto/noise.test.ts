import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../../base/assert.ts';
import { ascii, concat, fromHex, toHex } from '../../../base/bytes.ts';
import { randomBytes } from '../../../base/rng.ts';
import { patternOf } from '../../../bench/vectors/noise-patterns.ts';
import { BACKENDS } from '../../../bench/vectors/sets.ts';
import type { CryptoBackend, X25519KeyPair } from '../../../crypto/backend.ts';
import { type HandshakeOptions, HandshakeState, IK, writeNonce } from '../../../crypto/noise.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { Secret } from '../../../crypto/secret.ts';
import { SeededRng } from '../../../sim/rng.ts';

const PROLOGUE = ascii('the header');
const HELLO = ascii('hello from the initiator');
const ANSWER = ascii('hello back');
const FIRST_BYTES = 96 + HELLO.length;
/** RFC 7748 §5.2 would compute with it; every result is zero. */
const LOW_ORDER = fromHex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800');

const rng = new SeededRng(34);
const keyPair = (backend: CryptoBackend = opensslBackend): X25519KeyPair =>
  backend.x25519(new Secret(randomBytes(rng, 32)));
const alice = keyPair();
const bob = keyPair();

function initiator(overrides: Partial<HandshakeOptions> = {}): HandshakeState {
  return new HandshakeState({
    backend: opensslBackend,
    pattern: IK,
    role: 'initiator',
    prologue: PROLOGUE,
    staticKey: alice,
    ephemeralKey: keyPair,
    remoteStatic: bob.publicKey,
    ...overrides,
  });
}

function responder(overrides: Partial<HandshakeOptions> = {}): HandshakeState {
  return new HandshakeState({
    backend: opensslBackend,
    pattern: IK,
    role: 'responder',
    prologue: PROLOGUE,
    staticKey: bob,
    ephemeralKey: keyPair,
    ...overrides,
  });
}

function write(state: HandshakeState, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(payload.length + 96);
  const length = state.writeMessage(payload, out);
  expect(length).toBeGreaterThan(0);
  return out.slice(0, length);
}

function read(state: HandshakeState, message: Uint8Array): string | number {
  const out = new Uint8Array(message.length);
  const length = state.readMessage(message, out);
  return length < 0 ? length : toHex(out.subarray(0, length));
}

function expectUnusable(state: HandshakeState, message: Uint8Array): void {
  expect(read(state, message)).toBe(-1);
  expect(state.readStatic(message)).toBe(false);
  expect(() => state.writeMessage(ANSWER, new Uint8Array(200))).toThrow(AssertionError);
  expect(() => state.split()).toThrow(AssertionError);
  expect(() => state.clone()).toThrow(AssertionError);
}

describe('an IK handshake', () => {
  it('is the pattern of the specification', () => {
    expect(IK).toEqual(patternOf('IK'));
  });

  it.each(BACKENDS)('gives both sides the same two keys, hash and certainty ($name)', (backend) => {
    const [ours, theirs] = [keyPair(backend), keyPair(backend)];
    const mine = initiator({
      backend,
      staticKey: ours,
      remoteStatic: theirs.publicKey,
      ephemeralKey: () => keyPair(backend),
    });
    const yours = responder({ backend, staticKey: theirs, ephemeralKey: () => keyPair(backend) });
    const first = write(mine, HELLO);
    expect(first).toHaveLength(FIRST_BYTES);
    expect(read(yours, first)).toBe(toHex(HELLO));
    const second = write(yours, ANSWER);
    expect(second).toHaveLength(48 + ANSWER.length);
    expect(read(mine, second)).toBe(toHex(ANSWER));

    expect(toHex(yours.remoteStatic!)).toBe(toHex(ours.publicKey));
    expect(toHex(yours.handshakeHash)).toBe(toHex(mine.handshakeHash));
    const [a, b] = [mine.split(), yours.split()];
    expect(toHex(a.initiatorToResponder.expose())).toBe(toHex(b.initiatorToResponder.expose()));
    expect(toHex(a.responderToInitiator.expose())).toBe(toHex(b.responderToInitiator.expose()));
    expect(toHex(a.initiatorToResponder.expose())).not.toBe(toHex(a.responderToInitiator.expose()));
  });

  it('tells the responder who speaks after one Diffie-Hellman, before its own ephemeral is made', () => {
    let exchanges = 0;
    let ephemerals = 0;
    const counting: X25519KeyPair = {
      publicKey: bob.publicKey,
      diffieHellman: (key) => {
        exchanges++;
        return bob.diffieHellman(key);
      },
    };
    const ephemeralKey = () => {
      ephemerals++;
      return keyPair();
    };
    const state = responder({ staticKey: counting, ephemeralKey });
    const first = write(initiator(), HELLO);
    expect(state.readStatic(first)).toBe(true);
    expect(toHex(state.remoteStatic!)).toBe(toHex(alice.publicKey));
    expect(exchanges).toBe(1);
    expect(read(state, first)).toBe(toHex(HELLO));
    expect(exchanges).toBe(2);
    expect(ephemerals).toBe(0);
    write(state, ANSWER);
    expect(ephemerals).toBe(1);
  });

  it('fails for good after any one bit of the first message changed, wherever it is noticed', () => {
    const first = write(initiator(), HELLO);
    for (let bit = 0; bit < 8 * first.length; bit += 3) {
      const forged = first.slice();
      forged[bit >> 3]! ^= 1 << (bit & 7);
      // The top bit of an X25519 key is masked out of the exchange (RFC 7748 §5); the hash still covers it.
      const whole = responder();
      expect(read(whole, forged), `bit ${bit}`).toBe(-1);
      if (bit % 64 === 0) expectUnusable(whole, first);

      const halves = responder();
      const isStaticFine = halves.readStatic(forged);
      expect(isStaticFine, `bit ${bit}`).toBe(bit >= 8 * 80);
      if (isStaticFine) expect(read(halves, forged)).toBe(-1);
      if (bit % 64 === 0) expectUnusable(halves, first);
    }
  });

  it('fails for good after any one bit of the second message changed', () => {
    const mine = initiator();
    const yours = responder();
    read(yours, write(mine, HELLO));
    const second = write(yours, ANSWER);
    for (let bit = 0; bit < 8 * second.length; bit += 3) {
      const forged = second.slice();
      forged[bit >> 3]! ^= 1 << (bit & 7);
      const state = mine.clone();
      expect(read(state, forged), `bit ${bit}`).toBe(-1);
      expect(read(state, second)).toBe(-1);
    }
    expect(read(mine, second)).toBe(toHex(ANSWER));
  });

  it('reads no message that is cut short, extended or too long for Noise', () => {
    const first = write(initiator(), HELLO);
    for (let length = 0; length < first.length; length++) {
      expect(read(responder(), first.subarray(0, length)), `${length} bytes`).toBe(-1);
      const halves = responder();
      expect(halves.readStatic(first.subarray(0, length))).toBe(length >= 80);
    }
    expect(read(responder(), concat(first, new Uint8Array(1)))).toBe(-1);
    expect(read(responder(), new Uint8Array(65_536))).toBe(-1);
    expect(responder().readStatic(new Uint8Array(65_536))).toBe(false);
  });

  it('does not start with a peer, nor answer one, whose key is of low order', () => {
    const out = new Uint8Array(200);
    const state = initiator({ remoteStatic: LOW_ORDER });
    expect(state.writeMessage(HELLO, out)).toBe(-1);
    expectUnusable(state, out);

    const first = write(initiator(), HELLO);
    first.set(LOW_ORDER, 0);
    expect(responder().readStatic(first)).toBe(false);

    const low: X25519KeyPair = { publicKey: LOW_ORDER, diffieHellman: () => new Uint8Array(32) };
    const impostor = write(initiator({ staticKey: low }), HELLO);
    const deceived = responder();
    expect(deceived.readStatic(impostor)).toBe(true);
    expect(read(deceived, impostor)).toBe(-1);
  });

  it('does not open for another responder, another prologue or another initiator key than was proven', () => {
    const first = write(initiator(), HELLO);
    expect(read(responder({ staticKey: keyPair() }), first)).toBe(-1);
    expect(read(responder({ prologue: ascii('another header') }), first)).toBe(-1);
    const liar: X25519KeyPair = { publicKey: alice.publicKey, diffieHellman: (key) => keyPair().diffieHellman(key) };
    const state = responder();
    const claimed = write(initiator({ staticKey: liar }), HELLO);
    expect(state.readStatic(claimed)).toBe(true);
    expect(read(state, claimed)).toBe(-1);
  });

  it('refuses a payload that is longer than the room for it', () => {
    const first = write(initiator(), HELLO);
    expect(responder().readMessage(first, new Uint8Array(HELLO.length - 1))).toBe(-1);
    expect(responder().readMessage(first, new Uint8Array(HELLO.length))).toBe(HELLO.length);
  });

  it('may read a payload into the memory it came in', () => {
    const mine = initiator();
    const yours = responder();
    const first = write(mine, HELLO);
    const payload = first.subarray(80);
    expect(yours.readMessage(first, payload)).toBe(HELLO.length);
    expect(toHex(payload.subarray(0, HELLO.length))).toBe(toHex(HELLO));
    expect(read(mine, write(yours, ANSWER))).toBe(toHex(ANSWER));
  });

  it('takes no notice of a message out of turn', () => {
    const mine = initiator();
    const yours = responder();
    const first = write(initiator(), HELLO);
    expect(read(mine, first)).toBe(-1);
    const own = write(mine, HELLO);
    expect(read(yours, own)).toBe(toHex(HELLO));
    expect(read(yours, own)).toBe(-1);
    const second = write(yours, ANSWER);
    expect(read(mine, second)).toBe(toHex(ANSWER));
    expect(read(mine, second)).toBe(-1);
    expect(toHex(mine.split().initiatorToResponder.expose())).toBe(toHex(yours.split().initiatorToResponder.expose()));
  });

  it('goes on waiting after a forgery was read into a clone', () => {
    const mine = initiator();
    const yours = responder();
    read(yours, write(mine, HELLO));
    const second = write(yours, ANSWER);
    expect(read(mine.clone(), new Uint8Array(second.length))).toBe(-1);
    const twin = mine.clone();
    expect(read(twin, second)).toBe(toHex(ANSWER));
    const keys = twin.split();
    expect(read(mine, second)).toBe(toHex(ANSWER));
    expect(toHex(mine.handshakeHash)).toBe(toHex(twin.handshakeHash));
    expect(toHex(mine.split().responderToInitiator.expose())).toBe(toHex(keys.responderToInitiator.expose()));
  });

  it('goes on in a clone from between the two halves of a message', () => {
    const first = write(initiator(), HELLO);
    const state = responder();
    expect(state.readStatic(first)).toBe(true);
    const twin = state.clone();
    expect(read(twin, first)).toBe(toHex(HELLO));
    expect(read(state, first)).toBe(toHex(HELLO));
  });

  it('is split once, when it is complete, and has no hash before', () => {
    const mine = initiator();
    const yours = responder();
    expect(() => mine.split()).toThrow(AssertionError);
    expect(() => mine.handshakeHash).toThrow(AssertionError);
    read(yours, write(mine, HELLO));
    expect(mine.isComplete).toBe(false);
    read(mine, write(yours, ANSWER));
    expect(mine.isComplete && yours.isComplete).toBe(true);
    mine.split();
    expect(() => mine.split()).toThrow(AssertionError);
    expect(toHex(mine.handshakeHash)).toBe(toHex(yours.handshakeHash));
  });

  it('has nothing left of a message that the caller reuses', () => {
    const mine = initiator();
    const yours = responder();
    const first = write(mine, HELLO);
    const prologue = PROLOGUE.slice();
    const careful = responder({ prologue });
    prologue.fill(0);
    expect(careful.readStatic(first)).toBe(true);
    expect(read(careful, first)).toBe(toHex(HELLO));
    expect(read(yours, first)).toBe(toHex(HELLO));
    first.fill(0);
    expect(toHex(careful.remoteStatic!)).toBe(toHex(alice.publicKey));
    expect(read(mine, write(careful, ANSWER))).toBe(toHex(ANSWER));
  });
});

describe('a Noise nonce', () => {
  it.each([
    [0, '000000000000000000000000'],
    [1, '000000000000000000000001'],
    [2 ** 32 - 1, '0000000000000000ffffffff'],
    [2 ** 32, '000000000000000100000000'],
    [2 ** 53 - 1, '00000000001fffffffffffff'],
  ])('of the counter %i is four zero bytes and the counter, big-endian', (counter, expected) => {
    const nonce = new Uint8Array(12);
    nonce.fill(0xff, 4);
    writeNonce(nonce, counter);
    expect(toHex(nonce)).toBe(expected);
  });

  it('exists for no counter that a number cannot hold', () => {
    for (const counter of [-1, 0.5, 2 ** 53, Number.NaN]) {
      expect(() => writeNonce(new Uint8Array(12), counter)).toThrow(AssertionError);
    }
  });
});
