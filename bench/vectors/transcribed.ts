import { ascii, concat, fromHex, toHex } from '../../base/bytes.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import { Secret } from '../../crypto/secret.ts';
import { AES_256_GCM } from './aes-gcm.ts';
import { ED25519_EDGES } from './ed25519-edges.ts';
import { differs, type RunSet, type SetReport, Tally } from './report.ts';
import { DIFFIE_HELLMAN, ITERATED, ITERATED_MILLION, ITERATED_START, SCALAR_MULTIPLICATIONS } from './rfc7748.ts';
import { ED25519_SIGNATURES } from './rfc8032.ts';
import { HKDF_SHA_256, HMAC_SHA_256, SCRYPT, SHA_256 } from './sha256.ts';

/** The sets that are written out in this folder, copied from the documents that they are named after. */
export const TRANSCRIBED: Readonly<Record<string, RunSet>> = {
  'fips 180 sha-256': sha256,
  'rfc 4231 hmac': hmac,
  'rfc 5869 hkdf': hkdf,
  'rfc 7914 scrypt': scrypt,
  'rfc 7748 x25519': x25519,
  'rfc 8032 ed25519': ed25519,
  'ed25519 edge cases': ed25519Edges,
  'nist aes-256-gcm': aesGcm,
};

/** RFC 7748 §5.2's last loop: a minute and a half with OpenSSL, an hour without. */
export const MILLION = 'rfc 7748 x25519, 1,000,000 times';

export function x25519Million(backend: CryptoBackend): SetReport {
  const tally = new Tally(MILLION, backend.name);
  tally.check('§5.2', () => iterate(backend, ITERATED_MILLION));
  return tally.report();
}

function sha256(set: string, backend: CryptoBackend): SetReport {
  const tally = new Tally(set, backend.name);
  for (const { name, text, digest } of SHA_256) {
    const bytes = ascii(text);
    tally.check(name, () => differs('digest', backend.sha256(bytes), digest));
    tally.check(`${name} in parts`, () => {
      const middle = bytes.length >> 1;
      return differs('digest', backend.sha256(bytes.subarray(0, middle), bytes.subarray(middle)), digest);
    });
  }
  return tally.report('each whole and in two parts');
}

function hmac(set: string, backend: CryptoBackend): SetReport {
  const tally = new Tally(set, backend.name);
  for (const { name, key, data, mac } of HMAC_SHA_256) {
    tally.check(name, () => {
      const bytes = fromHex(data);
      const whole = backend.hmacSha256(fromHex(key), bytes);
      const parts = backend.hmacSha256(fromHex(key), bytes.subarray(0, 3), bytes.subarray(3));
      const length = mac.length / 2;
      return differs('mac', whole.subarray(0, length), mac) ?? differs('mac', parts.subarray(0, length), mac);
    });
  }
  return tally.report();
}

function hkdf(set: string, backend: CryptoBackend): SetReport {
  const tally = new Tally(set, backend.name);
  for (const { name, ikm, salt, info, okm } of HKDF_SHA_256) {
    tally.check(name, () =>
      differs('okm', backend.hkdfSha256(fromHex(ikm), fromHex(salt), fromHex(info), okm.length / 2), okm),
    );
  }
  return tally.report();
}

function scrypt(set: string, backend: CryptoBackend): SetReport {
  const tally = new Tally(set, backend.name);
  for (const { name, passphrase, salt, cost, output } of SCRYPT) {
    tally.check(name, () => differs('output', backend.scrypt(ascii(passphrase), ascii(salt), cost, 64), output));
  }
  return tally.report();
}

function x25519(set: string, backend: CryptoBackend): SetReport {
  const tally = new Tally(set, backend.name);
  const pair = (secret: string) => backend.x25519(new Secret(fromHex(secret)));
  for (const { name, scalar, u, output } of SCALAR_MULTIPLICATIONS) {
    tally.check(name, () => differs('output', pair(scalar).diffieHellman(fromHex(u)), output));
  }
  for (const loop of ITERATED) tally.check(`§5.2 ${loop.iterations} times`, () => iterate(backend, loop));
  tally.check('§6.1', () => {
    const { alice, alicePublic, bob, bobPublic, shared } = DIFFIE_HELLMAN;
    return (
      differs("Alice's key", pair(alice).publicKey, alicePublic) ??
      differs("Bob's key", pair(bob).publicKey, bobPublic) ??
      differs("Alice's secret", pair(alice).diffieHellman(fromHex(bobPublic)), shared) ??
      differs("Bob's secret", pair(bob).diffieHellman(fromHex(alicePublic)), shared)
    );
  });
  return tally.report();
}

function iterate(backend: CryptoBackend, loop: { readonly iterations: number; readonly k: string }) {
  let k = fromHex(ITERATED_START);
  let u = fromHex(ITERATED_START);
  for (let i = 0; i < loop.iterations; i++) {
    const output = backend.x25519(new Secret(k)).diffieHellman(u);
    if (output === undefined) return `refused at ${i}`;
    u = k;
    k = output;
  }
  return differs('k', k, loop.k);
}

function ed25519(set: string, backend: CryptoBackend): SetReport {
  const tally = new Tally(set, backend.name);
  for (const { name, secret, publicKey, message, signature } of ED25519_SIGNATURES) {
    tally.check(name, () => {
      const pair = backend.ed25519(new Secret(fromHex(secret)));
      const wrong =
        differs('public key', pair.publicKey, publicKey) ??
        differs('signature', pair.sign(fromHex(message)), signature);
      if (wrong !== undefined) return wrong;
      return verdict(backend, { publicKey, message, signature, isValid: true });
    });
  }
  return tally.report();
}

function ed25519Edges(set: string, backend: CryptoBackend): SetReport {
  const tally = new Tally(set, backend.name);
  for (const [number, { what, publicKey, message, r, s, isValid }] of ED25519_EDGES.entries()) {
    tally.check(`${number} (${what})`, () => verdict(backend, { publicKey, message, signature: r + s, isValid }));
  }
  return tally.report();
}

interface SignatureCase {
  readonly publicKey: string;
  readonly message: string;
  readonly signature: string;
  readonly isValid: boolean;
}

/** What is wrong with the backend's verdict on a signature. */
export function verdict(backend: CryptoBackend, signed: SignatureCase): string | undefined {
  const { publicKey, message, signature, isValid } = signed;
  const isAccepted = backend.ed25519Verify(fromHex(publicKey), fromHex(message), fromHex(signature));
  if (isAccepted === isValid) return undefined;
  return isAccepted ? 'an invalid signature is accepted' : 'a valid signature is refused';
}

function aesGcm(set: string, backend: CryptoBackend): SetReport {
  const tally = new Tally(set, backend.name);
  for (const { name, key, nonce, plaintext, aad, ciphertext, tag } of AES_256_GCM) {
    tally.check(name, () => sealAndOpen(backend, { key, nonce, plaintext, aad, sealed: ciphertext + tag }));
  }
  return tally.report();
}

interface SealedCase {
  readonly key: string;
  readonly nonce: string;
  readonly aad: string;
  readonly plaintext: string;
  readonly sealed: string;
}

/** What is wrong with what the backend seals and opens. */
export function sealAndOpen(backend: CryptoBackend, sealing: SealedCase): string | undefined {
  const aead = backend.aead(fromHex(sealing.key));
  const nonce = fromHex(sealing.nonce);
  const aad = fromHex(sealing.aad);
  const plaintext = fromHex(sealing.plaintext);
  const sealed = fromHex(sealing.sealed);
  const out = new Uint8Array(plaintext.length + 16);
  const written = aead.seal(nonce, aad, plaintext, out);
  const wrong = differs('sealed', out.subarray(0, written), sealing.sealed);
  if (wrong !== undefined) return wrong;
  // In place, as a receiver does it.
  const inPlace = concat(sealed);
  const opened = aead.open(nonce, aad, inPlace, inPlace);
  if (opened !== plaintext.length) return `opened ${opened} bytes instead of ${plaintext.length}`;
  return differs('opened', inPlace.subarray(0, opened), toHex(plaintext));
}
