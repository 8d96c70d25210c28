import { gcm } from '@noble/ciphers/aes.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { bytesToNumberLE } from '@noble/curves/utils.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { scrypt } from '@noble/hashes/scrypt.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { assert } from '../base/assert.ts';
import { concat, equal } from '../base/bytes.ts';
import {
  AEAD_KEY_BYTES,
  AEAD_TAG_BYTES,
  type Aead,
  assertOpenable,
  assertSealable,
  type CryptoBackend,
  type Ed25519KeyPair,
  type ScryptCost,
  type X25519KeyPair,
} from './backend.ts';
import type { Secret } from './secret.ts';

/** Plain JavaScript: runs anywhere, ten to thirty times slower than OpenSSL, and written by other people from the same papers. */
export const nobleBackend: CryptoBackend = {
  name: 'noble',

  sha256(...parts: readonly Uint8Array[]): Uint8Array {
    const running = sha256.create();
    for (const part of parts) running.update(part);
    return running.digest();
  },

  hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
    const running = hmac.create(sha256, key);
    for (const part of parts) running.update(part);
    return running.digest();
  },

  hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array | undefined {
    return length > 255 * 32 ? undefined : hkdf(sha256, ikm, salt, info, length);
  },

  x25519(secret: Secret): X25519KeyPair {
    return new NobleX25519KeyPair(secret);
  },

  ed25519(seed: Secret): Ed25519KeyPair {
    return new NobleEd25519KeyPair(seed);
  },

  ed25519Verify,

  aead(key: Uint8Array): Aead {
    return new NobleAead(key);
  },

  scrypt(passphrase: Uint8Array, salt: Uint8Array, cost: ScryptCost, length: number): Uint8Array {
    const { n, r, p } = cost;
    return scrypt(passphrase, salt, { N: n, r, p, dkLen: length, maxmem: 128 * r * (n + p + 2) });
  },
};

class NobleX25519KeyPair implements X25519KeyPair {
  readonly publicKey: Uint8Array;
  readonly #secret: Uint8Array;

  constructor(secret: Secret) {
    // A copy, as every backend takes one: the caller may wipe its own.
    this.#secret = secret.expose().slice();
    assert(this.#secret.length === 32, 'a secret key is 32 bytes');
    this.publicKey = x25519.getPublicKey(this.#secret);
  }

  diffieHellman(publicKey: Uint8Array): Uint8Array | undefined {
    assert(publicKey.length === 32, 'an X25519 public key is 32 bytes');
    try {
      return x25519.getSharedSecret(this.#secret, publicKey);
    } catch {
      return undefined; // With both lengths right it throws for one reason: the key is a low-order point (RFC 7748 §6.1).
    }
  }
}

class NobleEd25519KeyPair implements Ed25519KeyPair {
  readonly publicKey: Uint8Array;
  readonly #seed: Uint8Array;

  constructor(seed: Secret) {
    this.#seed = seed.expose().slice();
    assert(this.#seed.length === 32, 'a secret key is 32 bytes');
    this.publicKey = ed25519.getPublicKey(this.#seed);
  }

  sign(message: Uint8Array): Uint8Array {
    return ed25519.sign(message, this.#seed);
  }
}

/**
 * RFC 8032 §5.1.7 with the equation of its step 3 not multiplied by the cofactor, as OpenSSL has it. The library's own
 * `verify` multiplies even when told to be strict (`zip215: false`), and so accepts what differs by a small-order point:
 * two nodes with different backends would disagree about such a signature. Neither A nor R may itself be of small order.
 */
function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const { Point } = ed25519;
  try {
    const a = Point.fromBytes(publicKey); // §5.1.3: throws for y at or above p, for no square root, for x = 0 with its sign set.
    if (a.isSmallOrder()) return false;
    const encodedR = signature.subarray(0, 32);
    const s = Point.Fn.fromBytes(signature.subarray(32)); // Throws for S at or above the group order.
    const k = Point.Fn.create(bytesToNumberLE(sha512(concat(encodedR, publicKey, message))));
    const r = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k));
    // Comparing encodings refuses every R that is not canonical.
    return !r.isSmallOrder() && equal(r.toBytes(), encodedR);
  } catch {
    return false;
  }
}

class NobleAead implements Aead {
  #key: Uint8Array | undefined;

  constructor(key: Uint8Array) {
    assert(key.length === AEAD_KEY_BYTES, 'an AES-256 key is 32 bytes');
    this.#key = key.slice();
  }

  seal(
    nonce: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
    out: Uint8Array,
    start = 0,
    length: number = plaintext.length,
  ): number {
    assert(this.#key !== undefined, 'a wiped key seals nothing');
    assertSealable(nonce, plaintext, out, start + length);
    const sealed = gcm(this.#key, nonce, aad).encrypt(plaintext.subarray(start, start + length));
    out.set(sealed, start);
    return sealed.length;
  }

  open(
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
    out: Uint8Array,
    start = 0,
    sealedLength: number = sealed.length,
  ): number {
    const length = sealedLength - AEAD_TAG_BYTES;
    assert(this.#key !== undefined, 'a wiped key opens nothing');
    assertOpenable(nonce, sealed, out, start + sealedLength);
    if (length < 0) return -1;
    try {
      out.set(gcm(this.#key, nonce, aad).decrypt(sealed.subarray(start, start + sealedLength)), start);
      return length;
    } catch {
      return -1;
    }
  }

  wipe(): void {
    this.#key?.fill(0);
    this.#key = undefined;
  }
}
