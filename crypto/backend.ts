import { assert } from '../base/assert.ts';
import type { Secret } from './secret.ts';

/**
 * The one seam between the protocol and a cryptographic library. Three implementations: `openssl.ts` (through `node:crypto`),
 * `noble.ts` (portable, and the oracle the others must agree with), and `openssl-ffi.ts` (the first with AEAD through C, where it can be had). No method throws on bytes a peer chose;
 * a wrong length given by our own code is a broken invariant and asserts.
 */
export interface CryptoBackend {
  readonly name: string;

  /** SHA-256 over the parts, as if joined. */
  sha256(...parts: readonly Uint8Array[]): Uint8Array;

  /** HMAC-SHA-256 (RFC 2104) over the parts, as if joined: 32 bytes. */
  hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;

  /** HKDF-SHA-256 (RFC 5869), extract and expand; `undefined` where the length is over 255 × 32. */
  hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array | undefined;

  /** Prepares an X25519 key pair from its 32 secret bytes (clamped as RFC 7748 §5 says). */
  x25519(secret: Secret): X25519KeyPair;

  /** Prepares an Ed25519 key pair from its 32-byte seed (RFC 8032 §5.1.5). */
  ed25519(seed: Secret): Ed25519KeyPair;

  /**
   * Strict verification, the same in every backend and under every version of its library: S below the group order, A and R
   * canonical and not of small order, the equation without the cofactor. False for whatever is malformed.
   */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;

  /** A keyed AES-256-GCM context; the key is copied, the caller may wipe its own. */
  aead(key: Uint8Array): Aead;

  /** scrypt (RFC 7914), for secrets sealed at rest under a passphrase. Blocks for as long as the cost says. */
  scrypt(passphrase: Uint8Array, salt: Uint8Array, cost: ScryptCost, length: number): Uint8Array;
}

export interface ScryptCost {
  /** CPU and memory cost, a power of two. */
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

export interface X25519KeyPair {
  readonly publicKey: Uint8Array;
  /** The shared secret, or `undefined` where it is all zero (RFC 7748 §6.1): every low-order point is refused. */
  diffieHellman(publicKey: Uint8Array): Uint8Array | undefined;
}

export interface Ed25519KeyPair {
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

export const AEAD_KEY_BYTES = 32;
export const AEAD_NONCE_BYTES = 12;
/** Always 16: a shorter tag is never produced and never accepted. */
export const AEAD_TAG_BYTES = 16;

export interface Aead {
  /**
   * Writes ciphertext and tag to the start of `out`, which holds at least `plaintext.length + 16` bytes and may begin at the
   * same memory as `plaintext`; gives the bytes written. With `start` and `length` it is about so many bytes from there on, in
   * `plaintext` and in `out`: a packet is sealed where it stands, without a view of it.
   */
  seal(
    nonce: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
    out: Uint8Array,
    start?: number,
    length?: number,
  ): number;

  /**
   * Checks the tag and writes the plaintext to the start of `out` (at least `sealed.length - 16` bytes, may begin at the same
   * memory as `sealed`); gives its length, or -1 where the tag is wrong or `sealed` is shorter than a tag. After -1 what
   * `out` holds is undefined. `start` and `length`, of what is sealed, as for `seal`.
   */
  open(
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
    out: Uint8Array,
    start?: number,
    length?: number,
  ): number;

  /** Forgets the key, as well as the library allows. No call may follow. */
  wipe(): void;
}

/** What `seal` asks of its caller, in every backend alike; `end` is of the plaintext. */
export function assertSealable(nonce: Uint8Array, plaintext: Uint8Array, out: Uint8Array, end: number): void {
  assert(nonce.length === AEAD_NONCE_BYTES, 'a nonce is 12 bytes');
  assert(end <= plaintext.length, 'the plaintext is there');
  assert(out.length >= end + AEAD_TAG_BYTES, 'room for the ciphertext and its tag');
}

/** And `open`; `end` is of what is sealed, behind the tag. */
export function assertOpenable(nonce: Uint8Array, sealed: Uint8Array, out: Uint8Array, end: number): void {
  assert(nonce.length === AEAD_NONCE_BYTES, 'a nonce is 12 bytes');
  assert(end <= sealed.length, 'what is sealed is there');
  assert(out.length >= end - AEAD_TAG_BYTES, 'room for the plaintext');
}
