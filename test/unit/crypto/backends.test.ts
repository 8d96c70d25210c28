import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../../base/assert.ts';
import { ascii, concat, EMPTY, toHex } from '../../../base/bytes.ts';
import { randomBytes } from '../../../base/rng.ts';
import { BACKENDS } from '../../../bench/vectors/sets.ts';
import { nobleBackend } from '../../../crypto/noble.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { Secret } from '../../../crypto/secret.ts';
import { SeededRng } from '../../../sim/rng.ts';

const rng = new SeededRng(1);

describe.each(BACKENDS)('$name', (backend) => {
  it('hashes no parts like an empty message', () => {
    expect(toHex(backend.sha256())).toBe(toHex(backend.sha256(EMPTY)));
    expect(toHex(backend.hmacSha256(ascii('key')))).toBe(toHex(backend.hmacSha256(ascii('key'), EMPTY)));
  });

  it('gives plain byte arrays, whose slices are copies', () => {
    const pair = backend.x25519(new Secret(randomBytes(rng, 32)));
    const signer = backend.ed25519(new Secret(randomBytes(rng, 32)));
    const results = [
      backend.sha256(EMPTY),
      backend.sha256(EMPTY, EMPTY),
      backend.hmacSha256(EMPTY, EMPTY),
      backend.hkdfSha256(EMPTY, EMPTY, EMPTY, 32)!,
      backend.scrypt(EMPTY, EMPTY, { n: 2, r: 1, p: 1 }, 32),
      pair.publicKey,
      pair.diffieHellman(backend.x25519(new Secret(randomBytes(rng, 32))).publicKey)!,
      signer.publicKey,
      signer.sign(EMPTY),
    ];
    for (const result of results) expect(Object.getPrototypeOf(result)).toBe(Uint8Array.prototype);
  });

  it('derives from nothing to the longest output of HKDF and no more', () => {
    expect(backend.hkdfSha256(ascii('ikm'), EMPTY, EMPTY, 0)).toHaveLength(0);
    expect(backend.hkdfSha256(ascii('ikm'), EMPTY, EMPTY, 255 * 32)).toHaveLength(255 * 32);
    expect(backend.hkdfSha256(ascii('ikm'), EMPTY, EMPTY, 255 * 32 + 1)).toBeUndefined();
  });

  it('keeps its own copy of every key, so that the caller may wipe its', () => {
    const bytes = randomBytes(rng, 32);
    const peer = backend.x25519(new Secret(randomBytes(rng, 32))).publicKey;
    const plaintext = ascii('hello');

    const secret = new Secret(bytes.slice());
    const pair = backend.x25519(secret);
    const shared = pair.diffieHellman(peer);
    secret.wipe();
    expect(pair.diffieHellman(peer)).toEqual(shared);

    const seed = new Secret(bytes.slice());
    const signer = backend.ed25519(seed);
    const signature = signer.sign(plaintext);
    seed.wipe();
    expect(signer.sign(plaintext)).toEqual(signature);

    const key = bytes.slice();
    const aead = backend.aead(key);
    const sealed = new Uint8Array(21);
    const again = new Uint8Array(21);
    aead.seal(new Uint8Array(12), EMPTY, plaintext, sealed);
    key.fill(0);
    aead.seal(new Uint8Array(12), EMPTY, plaintext, again);
    expect(again).toEqual(sealed);
  });

  it('leaves what it is given as it was, wherever it lies in memory', () => {
    const arena = randomBytes(rng, 4_000);
    const before = arena.slice();
    const at = (offset: number, length: number) => arena.subarray(offset, offset + length);
    const pair = backend.x25519(new Secret(at(1, 32)));
    const signer = backend.ed25519(new Secret(at(35, 32)));
    pair.diffieHellman(at(71, 32));
    const signature = signer.sign(at(105, 333));
    expect(backend.ed25519Verify(signer.publicKey, at(105, 333), signature)).toBe(true);
    backend.ed25519Verify(at(441, 32), at(105, 333), at(475, 64));
    const aead = backend.aead(at(541, 32));
    const out = new Uint8Array(1_300);
    const length = aead.seal(at(575, 12), at(589, 17), at(611, 1_203), out);
    expect(aead.open(at(575, 12), at(589, 17), out.subarray(0, length), out)).toBe(1_203);
    expect(toHex(out.subarray(0, 1_203))).toBe(toHex(at(611, 1_203)));
    backend.hkdfSha256(at(1, 33), at(40, 7), at(50, 1_111), 100);
    expect(arena).toEqual(before);
  });

  it('opens nothing shorter than a tag, nor under a tag that was cut', () => {
    const aead = backend.aead(randomBytes(rng, 32));
    const nonce = new Uint8Array(12);
    const sealed = new Uint8Array(16 + 20);
    aead.seal(nonce, EMPTY, new Uint8Array(20), sealed);
    const out = new Uint8Array(36);
    for (let length = 0; length < sealed.length; length++) {
      expect(aead.open(nonce, EMPTY, sealed.subarray(0, length), out), `${length} bytes`).toBe(-1);
    }
    expect(aead.open(nonce, EMPTY, sealed, out)).toBe(20);
  });

  it('seals and opens in the middle of a buffer as it does by itself, and touches nothing around', () => {
    const aead = backend.aead(randomBytes(rng, 32));
    const nonce = randomBytes(rng, 12);
    const aad = randomBytes(rng, 16);
    for (const length of [0, 1, 16, 1_168]) {
      const before = randomBytes(rng, 100 + length);
      const apart = new Uint8Array(length + 16);
      aead.seal(nonce, aad, before.subarray(40, 40 + length), apart);

      const buffer = before.slice();
      expect(aead.seal(nonce, aad, buffer, buffer, 40, length)).toBe(length + 16);
      const sealed = concat(before.subarray(0, 40), apart, before.subarray(56 + length));
      expect(buffer).toEqual(sealed);

      expect(aead.open(nonce, aad, buffer, buffer, 40, length + 16)).toBe(length);
      expect(buffer.subarray(0, 40 + length)).toEqual(before.subarray(0, 40 + length));
      expect(buffer.subarray(56 + length)).toEqual(before.subarray(56 + length));

      const forged = sealed.slice();
      forged[40 + length + 15]! ^= 1;
      const refused = forged.slice();
      expect(aead.open(nonce, aad, refused, refused, 40, length + 16)).toBe(-1);
      // Where it stood is anything now: C has decrypted in place before it knew.
      expect(refused.subarray(0, 40)).toEqual(forged.subarray(0, 40));
      expect(refused.subarray(40 + length)).toEqual(forged.subarray(40 + length));
    }
  });

  it('seals an empty plaintext to a tag alone', () => {
    const aead = backend.aead(randomBytes(rng, 32));
    const sealed = new Uint8Array(16);
    expect(aead.seal(new Uint8Array(12), ascii('header'), EMPTY, sealed)).toBe(16);
    expect(aead.open(new Uint8Array(12), ascii('header'), sealed, EMPTY)).toBe(0);
    expect(aead.open(new Uint8Array(12), EMPTY, sealed, EMPTY)).toBe(-1);
  });

  it('does nothing with a key that was wiped', () => {
    const aead = backend.aead(randomBytes(rng, 32));
    aead.wipe();
    aead.wipe();
    expect(() => aead.seal(new Uint8Array(12), EMPTY, EMPTY, new Uint8Array(16))).toThrow(AssertionError);
    expect(() => aead.open(new Uint8Array(12), EMPTY, new Uint8Array(16), EMPTY)).toThrow(AssertionError);
  });

  it('asserts the lengths that are ours to get right', () => {
    const aead = backend.aead(new Uint8Array(32));
    const pair = backend.x25519(new Secret(new Uint8Array(32)));
    const mistakes = [
      () => backend.aead(new Uint8Array(16)),
      () => backend.x25519(new Secret(new Uint8Array(31))),
      () => backend.ed25519(new Secret(new Uint8Array(64))),
      () => pair.diffieHellman(new Uint8Array(33)),
      () => aead.seal(new Uint8Array(8), EMPTY, EMPTY, new Uint8Array(16)),
      () => aead.seal(new Uint8Array(12), EMPTY, new Uint8Array(4), new Uint8Array(19)),
      () => aead.seal(new Uint8Array(12), EMPTY, new Uint8Array(40), new Uint8Array(40), 20, 5),
      () => aead.seal(new Uint8Array(12), EMPTY, new Uint8Array(20), new Uint8Array(40), 17, 4),
      () => aead.open(new Uint8Array(16), EMPTY, new Uint8Array(16), EMPTY),
      () => aead.open(new Uint8Array(12), EMPTY, new Uint8Array(40), new Uint8Array(40), 20, 21),
      () => aead.open(new Uint8Array(12), EMPTY, new Uint8Array(17), EMPTY),
    ];
    for (const mistake of mistakes) expect(mistake).toThrow(AssertionError);
  });
});

describe('the two backends', () => {
  it('derive the same from more info than OpenSSL itself takes', () => {
    const info = randomBytes(rng, 5_000);
    const [ours, theirs] = BACKENDS.map((backend) => backend.hkdfSha256(ascii('ikm'), ascii('salt'), info, 200)!);
    expect(toHex(ours!)).toBe(toHex(theirs!));
  });

  it('stretch a passphrase to the same key', () => {
    const cost = { n: 2 ** 15, r: 8, p: 1 };
    const [ours, theirs] = BACKENDS.map((backend) => backend.scrypt(ascii('a passphrase'), ascii('salt'), cost, 32));
    expect(toHex(ours!)).toBe(toHex(theirs!));
  });

  it('hash the same, in one part or in many', () => {
    for (let length = 0; length < 200; length += 7) {
      const bytes = randomBytes(rng, length);
      const parts = [
        bytes.subarray(0, length >> 2),
        bytes.subarray(length >> 2, length >> 1),
        bytes.subarray(length >> 1),
      ];
      const digest = toHex(opensslBackend.sha256(bytes));
      expect(toHex(opensslBackend.sha256(...parts))).toBe(digest);
      expect(toHex(nobleBackend.sha256(...parts))).toBe(digest);
      const mac = toHex(opensslBackend.hmacSha256(bytes, concat(...parts)));
      expect(toHex(nobleBackend.hmacSha256(bytes, ...parts))).toBe(mac);
    }
  });
});
