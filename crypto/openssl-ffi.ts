import { assert } from '../base/assert.ts';
import { equal } from '../base/bytes.ts';
import type { Aead, CryptoBackend } from './backend.ts';
import { AEAD_KEY_BYTES, AEAD_NONCE_BYTES, AEAD_TAG_BYTES, assertOpenable, assertSealable } from './backend.ts';
import { type CFunction, type Ffi, findAll, type Signatures } from './ffi.ts';

/**
 * AES-256-GCM by the OpenSSL that the process has loaded anyway, called directly: a keyed context per `Aead`, the bytes where they
 * stand, and no object made for a packet. What that saves, `npm run bench -- roofline` shows. All else is the other backend's.
 *
 * C checks nothing. Every length is asserted against the arrays before an address is formed from them, and each call gets
 * addresses inside one of: an array of the caller's, a context of ours, the scratch memory below.
 *
 * `undefined` where a function is missing, or where what comes out is not what the other backend makes of it.
 */
export function createFastBackend(base: CryptoBackend, ffi: Ffi): CryptoBackend | undefined {
  const functions = findAll(ffi, SIGNATURES);
  if (functions === undefined) return undefined;
  const gcm = new Gcm(functions, ffi);
  const backend: CryptoBackend = { ...base, name: `${base.name}-ffi`, aead: (key) => new FastAead(gcm, key) };
  try {
    return agrees(backend, base) ? backend : undefined;
  } catch {
    return undefined;
  }
}

/** RFC 5116 §5.2 through EVP; the numbers are those of openssl/evp.h. */
const EVP_CTRL_AEAD_GET_TAG = 0x10;
const EVP_CTRL_AEAD_SET_TAG = 0x11;

const SIGNATURES = {
  EVP_aes_256_gcm: ['address', []],
  EVP_CIPHER_CTX_new: ['address', []],
  EVP_CIPHER_CTX_free: ['void', ['address']],
  EVP_CIPHER_CTX_ctrl: ['int', ['address', 'int', 'int', 'address']],
  EVP_EncryptInit_ex: ['int', ['address', 'address', 'address', 'address', 'address']],
  EVP_EncryptUpdate: ['int', ['address', 'address', 'address', 'address', 'int']],
  EVP_EncryptFinal_ex: ['int', ['address', 'address', 'address']],
  EVP_DecryptInit_ex: ['int', ['address', 'address', 'address', 'address', 'address']],
  EVP_DecryptUpdate: ['int', ['address', 'address', 'address', 'address', 'int']],
  EVP_DecryptFinal_ex: ['int', ['address', 'address', 'address']],
  ERR_clear_error: ['void', []],
} as const satisfies Signatures;

type Functions = Record<keyof typeof SIGNATURES, CFunction>;

/** Where things stand in the scratch memory: a length that C writes, the nonce, the additional data. */
const OUT_LENGTH_AT = 0;
const NONCE_AT = 16;
const AAD_AT = 32;
/** Longer additional data is read where it stands. */
const AAD_MAX = 64;
/** C counts in `int`. */
const LENGTH_MAX = 2 ** 31 - 1;

/** What all contexts of one backend share; a call is over before the next begins. */
class Gcm {
  readonly functions: Functions;
  readonly cipher: number;
  readonly scratch: Uint8Array = new Uint8Array(AAD_AT + AAD_MAX);
  readonly outLength: number;
  readonly nonce: number;
  readonly #aad: number;
  readonly #ffi: Ffi;
  /** Packets of one read or one batch stand in one array: where it is need be asked once, and of all in one memory no more often. */
  #array: Uint8Array | undefined;
  #arrayAddress = 0;
  #buffer: ArrayBufferLike | undefined;
  #address = 0;

  constructor(functions: Functions, ffi: Ffi) {
    this.functions = functions;
    this.#ffi = ffi;
    this.cipher = functions.EVP_aes_256_gcm();
    const address = ffi.addressOf(this.scratch);
    this.outLength = address + OUT_LENGTH_AT;
    this.nonce = address + NONCE_AT;
    this.#aad = address + AAD_AT;
  }

  /** A context that is collected without having been wiped takes its key with it. */
  readonly forgotten: FinalizationRegistry<number> = new FinalizationRegistry((context) =>
    this.functions.EVP_CIPHER_CTX_free(context),
  );

  /** Of a byte of the array, which has one. */
  addressOf(bytes: Uint8Array, offset: number): number {
    if (bytes !== this.#array) {
      if (bytes.buffer !== this.#buffer) {
        const whole = new Uint8Array(bytes.buffer);
        this.#address = this.#ffi.addressOf(whole);
        this.#buffer = bytes.buffer;
      }
      this.#arrayAddress = this.#address + bytes.byteOffset;
      this.#array = bytes;
    }
    return this.#arrayAddress + offset;
  }

  setNonce(nonce: Uint8Array): void {
    for (let i = 0; i < AEAD_NONCE_BYTES; i++) this.scratch[NONCE_AT + i] = nonce[i]!;
  }

  aadAddress(aad: Uint8Array): number {
    const { length } = aad;
    if (length > AAD_MAX) return this.addressOf(aad, 0);
    for (let i = 0; i < length; i++) this.scratch[AAD_AT + i] = aad[i]!;
    return this.#aad;
  }
}

class FastAead implements Aead {
  readonly #gcm: Gcm;
  /** 0 once it has been wiped. */
  #context: number;

  constructor(gcm: Gcm, key: Uint8Array) {
    assert(key.length === AEAD_KEY_BYTES, 'an AES-256 key is 32 bytes');
    this.#gcm = gcm;
    const { EVP_CIPHER_CTX_new, EVP_EncryptInit_ex } = gcm.functions;
    this.#context = EVP_CIPHER_CTX_new();
    assert(this.#context !== 0, 'memory for a cipher context');
    gcm.forgotten.register(this, this.#context, this);
    assert(
      EVP_EncryptInit_ex(this.#context, gcm.cipher, 0, gcm.addressOf(key, 0), 0) === 1,
      'OpenSSL takes an AES-256 key',
    );
  }

  seal(
    nonce: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
    out: Uint8Array,
    start = 0,
    length: number = plaintext.length,
  ): number {
    assert(this.#context !== 0, 'a wiped key seals nothing');
    assertRange(start, length);
    assertSealable(nonce, plaintext, out, start + length);
    const gcm = this.#gcm;
    const { functions, outLength } = gcm;
    const context = this.#context;
    gcm.setNonce(nonce);
    let done = functions.EVP_EncryptInit_ex(context, 0, 0, 0, gcm.nonce);
    if (aad.length > 0) done &= functions.EVP_EncryptUpdate(context, 0, outLength, gcm.aadAddress(aad), aad.length);
    if (length > 0) {
      const from = gcm.addressOf(plaintext, start);
      const to = gcm.addressOf(out, start);
      done &= functions.EVP_EncryptUpdate(context, to, outLength, from, length);
    }
    const tag = gcm.addressOf(out, start + length);
    done &= functions.EVP_EncryptFinal_ex(context, tag, outLength);
    done &= functions.EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, tag);
    assert(done === 1, 'OpenSSL seals with a good key');
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
    assert(this.#context !== 0, 'a wiped key opens nothing');
    assertRange(start, sealedLength);
    assertOpenable(nonce, sealed, out, start + sealedLength);
    if (length < 0) return -1;
    const gcm = this.#gcm;
    const { functions, outLength } = gcm;
    const context = this.#context;
    gcm.setNonce(nonce);
    let done = functions.EVP_DecryptInit_ex(context, 0, 0, 0, gcm.nonce);
    if (aad.length > 0) done &= functions.EVP_DecryptUpdate(context, 0, outLength, gcm.aadAddress(aad), aad.length);
    const tag = gcm.addressOf(sealed, start + length);
    done &= functions.EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, tag);
    if (length > 0) {
      const from = gcm.addressOf(sealed, start);
      const to = gcm.addressOf(out, start);
      done &= functions.EVP_DecryptUpdate(context, to, outLength, from, length);
    }
    assert(done === 1, 'OpenSSL opens with a good key');
    // It writes nothing for GCM: any address of ours will do.
    if (functions.EVP_DecryptFinal_ex(context, gcm.nonce, outLength) === 1) return length;
    // What it noted of the failure would be taken for that of the next call of somebody else.
    functions.ERR_clear_error();
    return -1;
  }

  wipe(): void {
    if (this.#context === 0) return;
    this.#gcm.forgotten.unregister(this);
    this.#gcm.functions.EVP_CIPHER_CTX_free(this.#context);
    this.#context = 0;
  }
}

function assertRange(start: number, length: number): void {
  assert(Number.isInteger(start) && start >= 0, 'a start inside the array');
  assert(Number.isInteger(length) && length >= 0 && length <= LENGTH_MAX, 'a length that C can count');
}

/** Another library under the same names might do something else. */
function agrees(backend: CryptoBackend, base: CryptoBackend): boolean {
  const key = Uint8Array.from({ length: AEAD_KEY_BYTES }, (_, i) => i);
  const nonce = Uint8Array.from({ length: AEAD_NONCE_BYTES }, (_, i) => 100 + i);
  const aad = Uint8Array.from({ length: 16 }, (_, i) => 200 + i);
  const plaintext = Uint8Array.from({ length: 100 }, (_, i) => i);
  const [expected, sealed] = [base, backend].map((one) => {
    const out = new Uint8Array(plaintext.length + AEAD_TAG_BYTES);
    const aead = one.aead(key);
    aead.seal(nonce, aad, plaintext, out);
    aead.wipe();
    return out;
  });
  if (!equal(expected!, sealed!)) return false;
  const aead = backend.aead(key);
  const opened = new Uint8Array(plaintext.length);
  const isOpened = aead.open(nonce, aad, sealed!, opened) === plaintext.length && equal(opened, plaintext);
  sealed![0]! ^= 1;
  const isRefused = aead.open(nonce, aad, sealed!, opened) === -1;
  aead.wipe();
  return isOpened && isRefused;
}
