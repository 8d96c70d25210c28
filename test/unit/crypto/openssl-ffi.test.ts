import { createPrivateKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AssertionError } from '../../../base/assert.ts';
import { randomBytes } from '../../../base/rng.ts';
import { FAST_BACKEND } from '../../../bench/vectors/sets.ts';
import type { Aead } from '../../../crypto/backend.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { createFastBackend } from '../../../crypto/openssl-ffi.ts';
import { loadFfi } from '../../../daemon/ffi.ts';
import { SeededRng } from '../../../sim/rng.ts';

const SEED = 5;
const rng = new SeededRng(SEED);
const NONCE = randomBytes(rng, 12);
const KEY = randomBytes(rng, 32);
const GUARD = 64;

describe.skipIf(FAST_BACKEND === undefined)(`AEAD through C (skipped where koffi does not run), seed ${SEED}`, () => {
  let aead: Aead;
  let reference: Aead;
  beforeAll(() => {
    aead = FAST_BACKEND!.aead(KEY);
    reference = opensslBackend.aead(KEY);
  });
  afterAll(() => aead.wipe());

  it('writes nothing outside of what it was given, wherever that stands and whatever is in it', () => {
    for (let round = 0; round < 3_000; round++) {
      const length = rng.below(4) === 0 ? rng.below(65_000) : rng.below(1_500);
      const start = rng.below(70);
      const offset = GUARD + rng.below(9);
      const aad = randomBytes(rng, rng.below(200));
      const memory = randomBytes(rng, offset + start + length + 16 + GUARD);
      const before = memory.slice();
      // A view that begins and ends inside its memory, as the packets of a read do.
      const view = memory.subarray(offset, offset + start + length + 16);
      const opened = aead.open(NONCE, aad, view, view, start, length + 16);
      expect(opened, "random bytes are nobody's").toBe(-1);
      expect(memory.subarray(0, offset + start)).toEqual(before.subarray(0, offset + start));
      expect(memory.subarray(offset + start + length)).toEqual(before.subarray(offset + start + length));

      memory.set(before);
      aead.seal(NONCE, aad, view, view, start, length);
      const expected = before.slice();
      const plain = before.subarray(offset + start, offset + start + length);
      reference.seal(NONCE, aad, plain, expected.subarray(offset + start, offset + start + length + 16));
      expect(Buffer.compare(memory, expected)).toBe(0);
    }
  });

  it('refuses every length that does not fit, before C hears of it', () => {
    const bytes = new Uint8Array(100);
    const none = new Uint8Array(0);
    const wrong = [
      [0, 85],
      [84, 1],
      [-1, 10],
      [0, -1],
      [0.5, 10],
      [0, 10.5],
      [Number.NaN, 10],
      [0, Number.NaN],
      [2 ** 32, 10],
      [0, 2 ** 32],
      [0, Number.POSITIVE_INFINITY],
    ] as const;
    for (const [start, length] of wrong) {
      const what = `${length} bytes from ${start}`;
      expect(() => aead.seal(NONCE, none, bytes, bytes, start, length), what).toThrow(AssertionError);
      if (length === -1) continue; // Fifteen bytes are no tag, which is a peer's doing and no mistake of ours.
      expect(() => aead.open(NONCE, none, bytes, bytes, start, length + 16), what).toThrow(AssertionError);
    }
    const detached = new Uint8Array(100);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    expect(() => aead.seal(NONCE, none, detached, detached, 0, 10)).toThrow(AssertionError);
    expect(bytes).toEqual(new Uint8Array(100));
  });

  it('opens what is good after what was not, and leaves no error for others to find', () => {
    const sealed = new Uint8Array(116);
    aead.seal(NONCE, KEY, new Uint8Array(100), sealed);
    for (let round = 0; round < 200; round++) {
      const forged = sealed.slice();
      forged[rng.below(116)]! ^= 1 << rng.below(8);
      expect(aead.open(NONCE, KEY, forged, forged)).toBe(-1);
      expect(aead.open(NONCE, KEY, sealed, new Uint8Array(100))).toBe(100);
    }
    expect(() => createPrivateKey('not a key')).toThrow(/DECODER|PEM|unsupported/);
  });

  it('lives through thousands of contexts, wiped or forgotten', () => {
    const sealed = new Uint8Array(32);
    for (let round = 0; round < 20_000; round++) {
      const one = FAST_BACKEND!.aead(KEY);
      one.seal(NONCE, KEY, new Uint8Array(16), sealed);
      if (round % 2 === 0) one.wipe();
    }
    expect(aead.open(NONCE, KEY, sealed, new Uint8Array(16))).toBe(16);
  });
});

describe('the backend through C', () => {
  it('is left out where a function is missing, or is another', async (context) => {
    const ffi = await loadFfi();
    if (ffi === undefined) return context.skip('koffi does not run here');
    const without = createFastBackend(opensslBackend, {
      ...ffi,
      find: (name, result, args) => (name === 'EVP_EncryptUpdate' ? undefined : ffi.find(name, result, args)),
    });
    expect(without).toBeUndefined();
    const another = createFastBackend(opensslBackend, {
      ...ffi,
      find: (name, result, args) => ffi.find(name === 'EVP_aes_256_gcm' ? 'EVP_aes_256_ccm' : name, result, args),
    });
    expect(another).toBeUndefined();
  });
});
