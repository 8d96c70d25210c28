import { assert } from '../base/assert.ts';
import { ascii, EMPTY } from '../base/bytes.ts';
import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES, type Aead, type CryptoBackend } from './backend.ts';

/** Noise §12.4: an AES-GCM nonce is four zero bytes, then the counter. The first four bytes are left alone. */
export function writeNonce(nonce: Uint8Array, counter: number): void {
  assert(nonce.length === AEAD_NONCE_BYTES, 'a nonce is 12 bytes');
  assert(Number.isSafeInteger(counter) && counter >= 0, 'a counter below 2^53');
  const high = Math.floor(counter / 2 ** 32);
  nonce[4] = 0;
  nonce[5] = high >>> 16;
  nonce[6] = high >>> 8;
  nonce[7] = high;
  nonce[8] = counter >>> 24;
  nonce[9] = counter >>> 16;
  nonce[10] = counter >>> 8;
  nonce[11] = counter;
}

/** One for each pattern that is spoken, and that is one; the vectors speak some sixty more. */
const initialHashes: Map<string, Uint8Array> = new Map();

/** Noise §5.2, InitializeSymmetric: the name itself, or its hash where it is too long. Nobody writes to it. */
function initialHash(backend: CryptoBackend, protocolName: string): Uint8Array {
  let hash = initialHashes.get(protocolName);
  if (hash === undefined) {
    const name = ascii(protocolName);
    hash = name.length > 32 ? backend.sha256(name) : padTo32(name);
    initialHashes.set(protocolName, hash);
  }
  return hash;
}

/**
 * Noise §5.1 and §5.2: what both sides have heard so far (h), what they share so far (ck), and the key that follows from it.
 * Nothing in here is kept of the caller's: bytes handed in may be reused as soon as a method returns.
 */
export class SymmetricState {
  readonly #backend: CryptoBackend;
  /** h. Replaced, never written to, so that a clone may share it. */
  #hash: Uint8Array;
  /** ck. */
  #chainingKey: Uint8Array;
  #key: Uint8Array | undefined;
  /** Made when the key is first used: some keys of a pattern never are. */
  #aead: Aead | undefined;
  #counter = 0;
  readonly #nonce = new Uint8Array(AEAD_NONCE_BYTES);

  constructor(backend: CryptoBackend, protocolName: string) {
    this.#backend = backend;
    this.#hash = initialHash(backend, protocolName);
    this.#chainingKey = this.#hash.slice();
  }

  get handshakeHash(): Uint8Array {
    return this.#hash;
  }

  /** How many bytes longer than its plaintext the next ciphertext is. */
  get overhead(): number {
    return this.#key === undefined ? 0 : AEAD_TAG_BYTES;
  }

  mixHash(data: Uint8Array): void {
    this.#hash = this.#backend.sha256(this.#hash, data);
  }

  mixKey(input: Uint8Array): void {
    const output = this.#derive(input, 2);
    this.#setKey(output.slice(32, 64));
    output.fill(0);
  }

  mixKeyAndHash(input: Uint8Array): void {
    const output = this.#derive(input, 3);
    this.mixHash(output.subarray(32, 64));
    this.#setKey(output.slice(64, 96));
    output.fill(0);
  }

  /** Gives the bytes written to the start of `out`. */
  encryptAndHash(plaintext: Uint8Array, out: Uint8Array): number {
    const length = plaintext.length + this.overhead;
    assert(out.length >= length, 'room for the ciphertext');
    if (this.#key === undefined) out.set(plaintext, 0);
    else this.#cipher(this.#key).seal(this.#nextNonce(), this.#hash, plaintext, out);
    this.mixHash(out.subarray(0, length));
    return length;
  }

  /** Gives the bytes written to the start of `out`, or -1 where the ciphertext is not authentic or `out` too small for it. */
  decryptAndHash(ciphertext: Uint8Array, out: Uint8Array): number {
    const length = ciphertext.length - this.overhead;
    if (length < 0 || out.length < length) return -1;
    // Before it is opened, since `out` may be the same memory.
    const heard = this.#backend.sha256(this.#hash, ciphertext);
    if (this.#key === undefined) out.set(ciphertext, 0);
    else if (this.#cipher(this.#key).open(this.#nextNonce(), this.#hash, ciphertext, out) < 0) return -1;
    this.#hash = heard;
    return length;
  }

  /** Noise's Split: the initiator's key to send with in the first 32 bytes, the responder's in the last. */
  split(): Uint8Array {
    const output = this.#backend.hkdfSha256(EMPTY, this.#chainingKey, EMPTY, 64);
    assert(output !== undefined, 'two blocks are within HKDF');
    return output;
  }

  clone(): SymmetricState {
    const twin = new SymmetricState(this.#backend, '');
    twin.#hash = this.#hash;
    twin.#chainingKey = this.#chainingKey.slice();
    twin.#key = this.#key?.slice();
    twin.#counter = this.#counter;
    return twin;
  }

  /** Forgets every secret; h remains. */
  wipe(): void {
    this.#chainingKey.fill(0);
    this.#dropKey();
  }

  #derive(input: Uint8Array, outputs: number): Uint8Array {
    // Noise §4.3 defines its HKDF by HMACs: it is RFC 5869 with ck as the salt and no info.
    const output = this.#backend.hkdfSha256(input, this.#chainingKey, EMPTY, 32 * outputs);
    assert(output !== undefined, 'three blocks are within HKDF');
    this.#chainingKey.set(output.subarray(0, 32));
    return output;
  }

  #setKey(key: Uint8Array): void {
    this.#dropKey();
    this.#key = key;
    this.#counter = 0;
  }

  #dropKey(): void {
    this.#aead?.wipe();
    this.#aead = undefined;
    this.#key?.fill(0);
    this.#key = undefined;
  }

  #cipher(key: Uint8Array): Aead {
    this.#aead ??= this.#backend.aead(key);
    return this.#aead;
  }

  #nextNonce(): Uint8Array {
    writeNonce(this.#nonce, this.#counter++);
    return this.#nonce;
  }
}

function padTo32(name: Uint8Array): Uint8Array {
  const padded = new Uint8Array(32);
  padded.set(name);
  return padded;
}
