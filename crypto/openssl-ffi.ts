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

/** C counts in `int`. */
const LENGTH_MAX = 2 ** 31 - 1;

/** What all contexts of one backend share; a call is over before the next begins. */
class Gcm {
  readonly functions: Functions;
  readonly cipher: number;
  /** Where C writes lengths. */
  readonly outLength: number;
  /** The nonce and the additional data of a packet mostly stand where the last one's did, and so do the packets of a read or a batch. */
  readonly nonce: LastArray;
  readonly aad: LastArray;
  readonly packet: LastArray;
  readonly #length: Uint8Array = new Uint8Array(8);

  constructor(functions: Functions, ffi: Ffi) {
    this.functions = functions;
    this.cipher = functions.EVP_aes_256_gcm();
    this.outLength = new LastArray(ffi).addressOf(this.#length, 0);
    this.nonce = new LastArray(ffi);
    this.aad = new LastArray(ffi);
    this.packet = new LastArray(ffi);
  }

  /** A context that is collected without having been wiped takes its key with it. */
  readonly forgotten: FinalizationRegistry<number> = new FinalizationRegistry((context) =>
    this.functions.EVP_CIPHER_CTX_free(context),
  );
}

/** Where an array stands is asked when it is not the one that was asked about last; and of arrays in one memory, once. */
class LastArray {
  readonly #ffi: Ffi;
  #array: Uint8Array | undefined;
  #arrayAddress = 0;
  #buffer: ArrayBufferLike | undefined;
  #address = 0;

  constructor(ffi: Ffi) {
    this.#ffi = ffi;
  }

  /** Of a byte of the array, which has one. */
  addressOf(bytes: Uint8Array, offset: number): number {
    if (bytes !== this.#array) this.#find(bytes);
    return this.#arrayAddress + offset;
  }

  #find(bytes: Uint8Array): void {
    // From here on it stands outside V8's heap, however small it is, and does not move.
    const { buffer } = bytes;
    if (buffer !== this.#buffer) {
      this.#address = this.#ffi.addressOf(new Uint8Array(buffer));
      this.#buffer = buffer;
    }
    this.#arrayAddress = this.#address + bytes.byteOffset;
    this.#array = bytes;
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
      EVP_EncryptInit_ex(this.#context, gcm.cipher, 0, gcm.packet.addressOf(key, 0), 0) === 1,
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
    const iv = gcm.nonce.addressOf(nonce, 0);
    let done = functions.EVP_EncryptInit_ex(context, 0, 0, 0, iv);
    if (aad.length > 0)
      done &= functions.EVP_EncryptUpdate(context, 0, outLength, gcm.aad.addressOf(aad, 0), aad.length);
    if (length > 0) {
      const from = gcm.packet.addressOf(plaintext, start);
      const to = gcm.packet.addressOf(out, start);
      done &= functions.EVP_EncryptUpdate(context, to, outLength, from, length);
    }
    const tag = gcm.packet.addressOf(out, start + length);
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
    const iv = gcm.nonce.addressOf(nonce, 0);
    let done = functions.EVP_DecryptInit_ex(context, 0, 0, 0, iv);
    if (aad.length > 0)
      done &= functions.EVP_DecryptUpdate(context, 0, outLength, gcm.aad.addressOf(aad, 0), aad.length);
    const tag = gcm.packet.addressOf(sealed, start + length);
    done &= functions.EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, tag);
    if (length > 0) {
      const from = gcm.packet.addressOf(sealed, start);
      const to = gcm.packet.addressOf(out, start);
      done &= functions.EVP_DecryptUpdate(context, to, outLength, from, length);
    }
    assert(done === 1, 'OpenSSL opens with a good key');
    // It writes nothing for GCM: any address of ours will do.
    if (functions.EVP_DecryptFinal_ex(context, iv, outLength) === 1) return length;
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
