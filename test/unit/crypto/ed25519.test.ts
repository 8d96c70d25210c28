import { ed25519 } from '@noble/curves/ed25519.js';
import { bytesToNumberLE, numberToBytesLE } from '@noble/curves/utils.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ascii, concat, fromHex, toHex } from '../../../base/bytes.ts';
import { randomBytes } from '../../../base/rng.ts';
import { BACKENDS } from '../../../bench/vectors/sets.ts';
import { nobleBackend } from '../../../crypto/noble.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { Secret } from '../../../crypto/secret.ts';
import { SeededRng } from '../../../sim/rng.ts';

const { Point } = ed25519;
const ORDER = Point.Fn.ORDER;
const MESSAGE = ascii('a record');
const rng = new SeededRng(8032);
const pair = opensslBackend.ed25519(new Secret(randomBytes(rng, 32)));
const signature = pair.sign(MESSAGE);

/** Both verdicts, which must be one. */
function verdict(publicKey: Uint8Array, message: Uint8Array, signed: Uint8Array): boolean {
  const [first, second] = BACKENDS.map((backend) => backend.ed25519Verify(publicKey, message, signed));
  expect(first, `key ${toHex(publicKey)} signature ${toHex(signed)}`).toBe(second);
  return first!;
}

/** Points of order 1, 2, 4 and 8: the multiples of one of order 8. */
const TORSION = Array.from({ length: 8 }, (_, i) =>
  Point.fromBytes(fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a')).multiplyUnsafe(
    BigInt(i),
  ),
);

/** Every way to write each small-order point, canonical or not: y and y + p where it fits, with either sign where x is 0. */
const SMALL_ORDER_KEYS = TORSION.flatMap((point, multiple) => {
  const { x, y } = point.toAffine();
  const signs = x === 0n ? [0n, 1n] : [x & 1n];
  return [y, y + Point.Fp.ORDER]
    .filter((value) => value < 2n ** 255n)
    .flatMap((value) => signs.map((sign) => ({ multiple, bytes: numberToBytesLE(value + (sign << 255n), 32) })));
});

function challenge(r: Uint8Array, publicKey: Uint8Array, message: Uint8Array): bigint {
  return Point.Fn.create(bytesToNumberLE(sha512(concat(r, publicKey, message))));
}

describe('Ed25519 verification', () => {
  it('refuses keys and signatures of every other length without throwing', () => {
    for (let length = 0; length <= 130; length++) {
      for (const byte of [0x00, 0x01, 0xff]) {
        const bytes = new Uint8Array(length).fill(byte);
        expect(verdict(bytes, MESSAGE, signature)).toBe(false);
        expect(verdict(pair.publicKey, MESSAGE, bytes)).toBe(false);
        expect(verdict(bytes, MESSAGE, bytes)).toBe(false);
      }
    }
  });

  it('refuses a signature after any one bit of it, of the key or of the message changed', () => {
    const all = concat(pair.publicKey, signature, MESSAGE);
    for (let bit = 0; bit < 8 * all.length; bit++) {
      all[bit >> 3]! ^= 1 << (bit & 7);
      expect(verdict(all.subarray(0, 32), all.subarray(96), all.subarray(32, 96)), `bit ${bit}`).toBe(false);
      all[bit >> 3]! ^= 1 << (bit & 7);
    }
    expect(verdict(all.subarray(0, 32), all.subarray(96), all.subarray(32, 96))).toBe(true);
  });

  it('gives one verdict on anything at all, in either backend', () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    const smallOrder = SMALL_ORDER_KEYS.map((key) => key.bytes);
    const key = fc.oneof(bytes(32), fc.constantFrom(pair.publicKey, ...smallOrder));
    const r = fc.oneof(bytes(32), fc.constantFrom(signature.slice(0, 32), ...smallOrder));
    const edges = [0n, 1n, ORDER - 1n, ORDER, ORDER + 1n, 2n ** 255n - 1n, 2n ** 256n - 1n];
    const s = fc.oneof(bytes(32), fc.constantFrom(signature.slice(32), ...edges.map((n) => numberToBytesLE(n, 32))));
    fc.assert(
      fc.property(key, fc.uint8Array({ maxLength: 200 }), r, s, (publicKey, message, first, second) => {
        verdict(publicKey, message, concat(first, second));
      }),
      { numRuns: 500, seed: 8032 },
    );
  });

  it('refuses the signature with S raised by the group order, which says the same', () => {
    const s = bytesToNumberLE(signature.subarray(32));
    expect(verdict(pair.publicKey, MESSAGE, concat(signature.subarray(0, 32), numberToBytesLE(s + ORDER, 32)))).toBe(
      false,
    );
  });

  it('refuses keys of small order, under which anybody can sign', () => {
    expect(new Set(SMALL_ORDER_KEYS.map(({ bytes }) => toHex(bytes))).size).toBe(14);
    const nonce = 5n;
    const r = Point.BASE.multiply(nonce).toBytes();
    let holding = 0;
    for (const { bytes, multiple } of SMALL_ORDER_KEYS) {
      for (let i = 0; i < 32; i++) {
        const message = ascii(`message ${i}`);
        // S = r, made without any secret: it holds wherever [k]A is zero.
        if ((challenge(r, bytes, message) * BigInt(multiple)) % 8n === 0n) holding++;
        expect(verdict(bytes, message, concat(r, numberToBytesLE(nonce, 32)))).toBe(false);
      }
    }
    expect(holding).toBeGreaterThan(32);
  });

  it('refuses signatures whose R is of small order', () => {
    const a = Point.Fn.create(bytesToNumberLE(randomBytes(rng, 32)));
    const publicKey = Point.BASE.multiply(a).toBytes();
    for (const { bytes } of SMALL_ORDER_KEYS) {
      const s = Point.Fn.create(challenge(bytes, publicKey, MESSAGE) * a);
      expect(verdict(publicKey, MESSAGE, concat(bytes, numberToBytesLE(s, 32)))).toBe(false);
    }
  });

  it('judges keys and signatures with a small-order part by the equation that has no cofactor', () => {
    const verdicts = { accepted: 0, refused: 0 };
    for (let i = 0; i < 64; i++) {
      const a = Point.Fn.create(bytesToNumberLE(randomBytes(rng, 32)));
      const nonce = Point.Fn.create(bytesToNumberLE(randomBytes(rng, 32)));
      const keyPart = i % 8;
      const noncePart = i >> 3;
      const publicKey = Point.BASE.multiply(a).add(TORSION[keyPart]!).toBytes();
      const r = Point.BASE.multiply(nonce).add(TORSION[noncePart]!).toBytes();
      const k = challenge(r, publicKey, MESSAGE);
      const s = Point.Fn.create(nonce + k * a);
      // [S]B = R + [k]A holds where the small-order parts of R and [k]A cancel out.
      const isValid = (BigInt(noncePart) + k * BigInt(keyPart)) % 8n === 0n;
      const signed = concat(r, numberToBytesLE(s, 32));
      expect(verdict(publicKey, MESSAGE, signed), `parts ${keyPart} and ${noncePart}`).toBe(isValid);
      expect(ed25519.verify(signed, MESSAGE, publicKey, { zip215: false }), 'with the cofactor').toBe(true);
      verdicts[isValid ? 'accepted' : 'refused']++;
    }
    expect(verdicts.accepted).toBeGreaterThan(2);
    expect(verdicts.refused).toBeGreaterThan(30);
  });

  it('accepts from either backend what the other signed', () => {
    for (let length = 0; length < 40; length += 3) {
      const seed = randomBytes(rng, 32);
      const message = randomBytes(rng, length);
      const [ours, theirs] = [opensslBackend, nobleBackend].map((backend) => backend.ed25519(new Secret(seed.slice())));
      expect(toHex(ours!.publicKey)).toBe(toHex(theirs!.publicKey));
      expect(toHex(ours!.sign(message))).toBe(toHex(theirs!.sign(message)));
      expect(verdict(ours!.publicKey, message, theirs!.sign(message))).toBe(true);
    }
  });
});
