import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  hash,
  type KeyObject,
  scryptSync,
  sign,
  verify,
} from 'node:crypto';
import { assert } from '../base/assert.ts';
import { concat, EMPTY, equal } from '../base/bytes.ts';
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
import { isAcceptablePoint } from './ed25519-point.ts';
import type { Secret } from './secret.ts';

/**
 * The default backend: OpenSSL through `node:crypto`. Nearly all of a handshake is spent in here, so keys are imported the
 * cheapest way each version of Node has (measured, see `importPrivateKey`), and what comes back as a `Buffer` leaves as a
 * plain `Uint8Array`: `Buffer.slice` shares memory where everyone else's copies.
 */
export const opensslBackend: CryptoBackend = {
  name: 'openssl',

  sha256(...parts: readonly Uint8Array[]): Uint8Array {
    if (parts.length === 1) return plain(hash('sha256', parts[0]!, 'buffer'));
    const joined = gather(EMPTY, parts);
    const digest = plain(hash('sha256', joined, 'buffer'));
    joined.fill(0);
    return digest;
  },

  hmacSha256,

  hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array | undefined {
    // Out of HMACs, for OpenSSL's own HKDF costs 9 µs for two blocks against 6 and takes no more than 1,024 bytes of info.
    if (length > 255 * 32) return undefined;
    const prk = hmacSha256(salt, ikm); // RFC 5869 §2.2
    const okm = new Uint8Array(length);
    // RFC 5869 §2.3: T(n) is the HMAC of T(n - 1), nothing at first, the info and the number n.
    const input = concat(new Uint8Array(32), info, Uint8Array.of(1));
    for (let offset = 0; offset < length; offset += 32) {
      const block = hmacSha256(prk, offset === 0 ? input.subarray(32) : input);
      okm.set(block.subarray(0, length - offset), offset);
      input.set(block, 0);
      input[input.length - 1]! += 1;
      block.fill(0);
    }
    input.fill(0);
    prk.fill(0);
    return okm;
  },

  x25519(secret: Secret): X25519KeyPair {
    return new OpenSslX25519KeyPair(secret);
  },

  ed25519(seed: Secret): Ed25519KeyPair {
    return new OpenSslEd25519KeyPair(seed);
  },

  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    // OpenSSL checks that S is canonical (RFC 8032 §5.1.7 step 1) and compares R as bytes. It decodes too much as A.
    if (signature.length !== 64 || !isAcceptablePoint(publicKey) || !isAcceptablePoint(signature.subarray(0, 32))) {
      return false;
    }
    try {
      return verify(null, message, importPublicKey('Ed25519', publicKey), signature);
    } catch {
      return false; // A y that is on no point of the curve, in versions that decode it when the key is imported.
    }
  },

  aead(key: Uint8Array): Aead {
    return new OpenSslAead(key);
  },

  scrypt(passphrase: Uint8Array, salt: Uint8Array, cost: ScryptCost, length: number): Uint8Array {
    const { n, r, p } = cost;
    // OpenSSL refuses to use more than 32 MiB unless it is told how much this cost needs: RFC 7914 §5 and §6.
    const maxmem = 128 * r * (n + p + 2) + 1024;
    return plain(scryptSync(passphrase, salt, length, { N: n, r, p, maxmem }));
  },
};

class OpenSslX25519KeyPair implements X25519KeyPair {
  readonly publicKey: Uint8Array;
  readonly #privateKey: KeyObject;

  constructor(secret: Secret) {
    this.#privateKey = importPrivateKey('X25519', secret);
    this.publicKey = exportPublicKey(this.#privateKey);
  }

  diffieHellman(publicKey: Uint8Array): Uint8Array | undefined {
    assert(publicKey.length === 32, 'an X25519 public key is 32 bytes');
    const theirs = recentPublicKey(publicKey);
    try {
      return plain(diffieHellman({ privateKey: this.#privateKey, publicKey: theirs }));
    } catch {
      // With two keys of the right kind OpenSSL fails for one reason: the result is all zero (RFC 7748 §6.1).
      return undefined;
    }
  }
}

class OpenSslEd25519KeyPair implements Ed25519KeyPair {
  readonly publicKey: Uint8Array;
  readonly #privateKey: KeyObject;

  constructor(seed: Secret) {
    this.#privateKey = importPrivateKey('Ed25519', seed);
    this.publicKey = exportPublicKey(this.#privateKey);
  }

  sign(message: Uint8Array): Uint8Array {
    return plain(sign(null, message, this.#privateKey));
  }
}

const GCM = 'aes-256-gcm';
/** Always stated: without it Node 20 accepts a tag cut down to four bytes. */
const GCM_OPTIONS = { authTagLength: AEAD_TAG_BYTES };
/** The tag of the packet being opened, which OpenSSL copies at once. */
const tag = new Uint8Array(AEAD_TAG_BYTES);

class OpenSslAead implements Aead {
  /** A `KeyObject`, since a raw key costs up to 15 µs more for each packet. */
  #key: KeyObject | undefined;

  constructor(key: Uint8Array) {
    assert(key.length === AEAD_KEY_BYTES, 'an AES-256 key is 32 bytes');
    this.#key = createSecretKey(key);
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
    const cipher = createCipheriv(GCM, this.#key, nonce, GCM_OPTIONS);
    cipher.setAAD(aad);
    out.set(cipher.update(plaintext.subarray(start, start + length)), start);
    cipher.final();
    out.set(cipher.getAuthTag(), start + length);
    return length + AEAD_TAG_BYTES;
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
    const end = start + length;
    const decipher = createDecipheriv(GCM, this.#key, nonce, GCM_OPTIONS);
    decipher.setAAD(aad);
    for (let i = 0; i < AEAD_TAG_BYTES; i++) tag[i] = sealed[end + i]!;
    decipher.setAuthTag(tag);
    const plaintext = decipher.update(sealed.subarray(start, end));
    try {
      decipher.final();
    } catch {
      return -1;
    }
    // Copied only here, so that nothing unauthenticated ever stands in the caller's buffer.
    out.set(plaintext, start);
    return length;
  }

  wipe(): void {
    this.#key = undefined; // OpenSSL clears its copy once the object is collected.
  }
}

/** RFC 2104 §2: the bytes that the key is combined with, and the size of a block of SHA-256. */
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;
const BLOCK_BYTES = 64;

const innerKey = new Uint8Array(BLOCK_BYTES);
/** The padded key, then the inner digest. */
const outer = new Uint8Array(BLOCK_BYTES + 32);

/** By two hashes in one call each: less than a keyed object costs, and on Node 24 six times less. */
function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const short = key.length > BLOCK_BYTES ? hash('sha256', key, 'buffer') : key;
  innerKey.fill(INNER_PAD);
  outer.fill(OUTER_PAD);
  for (let i = 0; i < short.length; i++) {
    innerKey[i]! ^= short[i]!;
    outer[i]! ^= short[i]!;
  }
  const inner = gather(innerKey, parts);
  outer.set(hash('sha256', inner, 'buffer'), BLOCK_BYTES);
  inner.fill(0);
  return plain(hash('sha256', outer, 'buffer'));
}

/** Room for what a handshake hashes, reused: a fresh array for each would cost as much as the hash of it. */
const gathered = new Uint8Array(2_048);

/** The parts in one piece, to be used before the next call. A hash object takes longer to make than most of them to copy. */
function gather(first: Uint8Array, rest: readonly Uint8Array[]): Uint8Array {
  let length = first.length;
  for (const part of rest) length += part.length;
  const joined = length <= gathered.length ? gathered.subarray(0, length) : new Uint8Array(length);
  joined.set(first);
  let offset = first.length;
  for (const part of rest) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

type Curve = 'X25519' | 'Ed25519';

/** PKCS #8 up to the 32 secret bytes: RFC 8410 §7, the algorithm's last octet being 110 for X25519 and 112 for Ed25519. */
const PKCS8_PREFIX: Record<Curve, Uint8Array> = {
  X25519: Uint8Array.of(0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20),
  Ed25519: Uint8Array.of(
    0x30,
    0x2e,
    0x02,
    0x01,
    0x00,
    0x30,
    0x05,
    0x06,
    0x03,
    0x2b,
    0x65,
    0x70,
    0x04,
    0x22,
    0x04,
    0x20,
  ),
};

/** OpenSSL 3.0 (Node 20, early 22) takes 300 µs to look for a decoder for PKCS #8; later versions take none. */
const PKCS8_IS_SLOW = process.versions.openssl.startsWith('3.0.');
const NO_PUBLIC_KEY = 'A'.repeat(43);

/**
 * The caller may wipe its secret afterwards. PKCS #8 is the better way in: the bytes are ours to wipe, while a JWK leaves a
 * string behind. Where it is slow, a JWK whose public half is a placeholder does it in 35 µs (Node 26 would refuse that).
 */
function importPrivateKey(curve: Curve, secret: Secret): KeyObject {
  const bytes = secret.expose();
  assert(bytes.length === 32, 'a secret key is 32 bytes');
  if (PKCS8_IS_SLOW) {
    return createPrivateKey({ format: 'jwk', key: { kty: 'OKP', crv: curve, d: base64url(bytes), x: NO_PUBLIC_KEY } });
  }
  const key = Buffer.alloc(48);
  key.set(PKCS8_PREFIX[curve]);
  key.set(bytes, 16);
  try {
    return createPrivateKey({ format: 'der', type: 'pkcs8', key });
  } finally {
    key.fill(0);
  }
}

/** Any 32 bytes are imported: what an X25519 key is not, RFC 7748 §5 says; what an Ed25519 key is not, shows at `verify`. */
function importPublicKey(curve: Curve, bytes: Uint8Array): KeyObject {
  return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: curve, x: base64url(bytes) } });
}

const RECENT_KEYS_MAX = 2;
const recentKeys: { readonly bytes: Uint8Array; readonly key: KeyObject }[] = [];

/** A handshake uses each of the peer's two X25519 keys twice, and importing one costs a quarter of what using it does. */
function recentPublicKey(bytes: Uint8Array): KeyObject {
  const known = recentKeys.find((recent) => equal(recent.bytes, bytes));
  if (known !== undefined) return known.key;
  const key = importPublicKey('X25519', bytes);
  recentKeys.unshift({ bytes: bytes.slice(), key });
  if (recentKeys.length > RECENT_KEYS_MAX) recentKeys.pop();
  return key;
}

/** OpenSSL derived the public half when it imported the key: asking for it takes 1 µs, deriving it again would take 35. */
function exportPublicKey(privateKey: KeyObject): Uint8Array {
  const encoded = privateKey.export({ format: 'jwk' }).x;
  assert(encoded !== undefined, 'an OKP key has a public half');
  return new Uint8Array(Buffer.from(encoded, 'base64url'));
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
}

function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
