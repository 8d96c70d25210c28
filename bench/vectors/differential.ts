import { equal, toHex } from '../../base/bytes.ts';
import { randomBytes } from '../../base/rng.ts';
import type { CryptoBackend, X25519KeyPair } from '../../crypto/backend.ts';
import { Secret } from '../../crypto/secret.ts';
import { SeededRng } from '../../sim/rng.ts';
import { type SetReport, Tally } from './report.ts';

/**
 * The two backends against each other on random cases: where official vectors end, what two independent authors agree on is
 * the next best oracle. Every case has its own stream of chance, made from the seed and its number, so that the work can be
 * cut up in any way and a failing case is found again by those two.
 */
export const DIFFERENTIALS = ['aead', 'x25519', 'ed25519'] as const;
export type Differential = (typeof DIFFERENTIALS)[number];

export interface DifferentialRange {
  readonly subject: Differential;
  readonly seed: number;
  readonly from: number;
  readonly count: number;
}

type Pair = readonly [CryptoBackend, CryptoBackend];

export function runDifferential(range: DifferentialRange, backends: Pair): SetReport {
  const { subject, seed, from, count } = range;
  const tally = new Tally(`differential ${subject}`, backends.map((backend) => backend.name).join(' = '));
  const root = new SeededRng(seed);
  for (let index = from; index < from + count; index++) {
    const rng = root.fork(`${subject} ${index}`);
    tally.check(`${index} of seed ${seed}`, () => CASES[subject](rng, backends));
  }
  return tally.report();
}

const CASES: Readonly<Record<Differential, (rng: SeededRng, backends: Pair) => string | undefined>> = {
  aead: aeadCase,
  x25519: x25519Case,
  ed25519: ed25519Case,
};

function aeadCase(rng: SeededRng, backends: Pair): string | undefined {
  const key = randomBytes(rng, 32);
  const nonce = randomBytes(rng, 12);
  const aad = randomBytes(rng, rng.below(65));
  const plaintext = randomBytes(rng, rng.chance(0.02) ? rng.below(65_536) : rng.below(1_501));
  const aeads = backends.map((backend) => backend.aead(key));
  const [sealed, other] = aeads.map((aead) => {
    // In place, as a sender does it.
    const out = new Uint8Array(plaintext.length + 16);
    out.set(plaintext);
    return out.subarray(0, aead.seal(nonce, aad, out.subarray(0, plaintext.length), out));
  }) as [Uint8Array, Uint8Array];
  if (!equal(sealed, other)) return `sealed ${plaintext.length} bytes differently`;

  const forgeries = [
    { what: 'a bit of the tag', nonce, aad, sealed: flipped(rng, sealed, plaintext.length, 16) },
    { what: 'a bit of the nonce', nonce: flipped(rng, nonce, 0, 12), aad, sealed },
    { what: 'the associated data', nonce, aad: aad.length === 0 ? nonce : flipped(rng, aad, 0, aad.length), sealed },
    { what: 'the last byte', nonce, aad, sealed: sealed.subarray(0, -1) },
  ];
  if (plaintext.length > 0) {
    forgeries.push({ what: 'the ciphertext', nonce, aad, sealed: flipped(rng, sealed, 0, plaintext.length) });
  }
  for (const [index, aead] of aeads.entries()) {
    const name = backends[index]!.name;
    const out = sealed.slice();
    const opened = aead.open(nonce, aad, out, out);
    if (opened !== plaintext.length || !equal(out.subarray(0, opened), plaintext)) return `${name} does not open it`;
    for (const forged of forgeries) {
      if (aead.open(forged.nonce, forged.aad, forged.sealed, out) !== -1) return `${name} overlooks ${forged.what}`;
    }
  }
  return undefined;
}

/** A copy with one bit of a stretch of it flipped. */
function flipped(rng: SeededRng, bytes: Uint8Array, from: number, length: number): Uint8Array {
  const copy = bytes.slice();
  const bit = rng.below(8 * length);
  copy[from + (bit >> 3)]! ^= 1 << (bit & 7);
  return copy;
}

function x25519Case(rng: SeededRng, backends: Pair): string | undefined {
  const [alice, bob] = [randomBytes(rng, 32), randomBytes(rng, 32)] as const;
  // On the curve, on its twist, not canonical, or of low order: whatever a peer may send.
  const anything = rng.chance(0.1) ? rng.pick(SPECIAL_U) : randomBytes(rng, 32);
  const pairs = backends.map((backend) => [pairOf(backend, alice), pairOf(backend, bob)] as const);
  const [[a, b], [otherA, otherB]] = pairs as [(typeof pairs)[0], (typeof pairs)[0]];
  if (!equal(a.publicKey, otherA.publicKey) || !equal(b.publicKey, otherB.publicKey)) return 'public keys differ';
  const shared = hexOf(a.diffieHellman(b.publicKey));
  if (hexOf(otherA.diffieHellman(b.publicKey)) !== shared) return 'the backends do not share a secret';
  if (hexOf(b.diffieHellman(a.publicKey)) !== shared) return 'the two sides do not share a secret';
  const outputs = [hexOf(a.diffieHellman(anything)), hexOf(otherA.diffieHellman(anything))];
  return outputs[0] === outputs[1] ? undefined : `u ${toHex(anything)} gives ${outputs.join(' and ')}`;
}

function pairOf(backend: CryptoBackend, secret: Uint8Array): X25519KeyPair {
  return backend.x25519(new Secret(secret));
}

/** Values of u that RFC 7748 §5 has reduced or masked: 0, 1, p − 1, p, p + 1, each with and without the unused top bit. */
const SPECIAL_U: readonly Uint8Array[] = [0x00, 0x01, 0xec, 0xed, 0xee].flatMap((low) =>
  [0x00, 0x80].map((top) => {
    const u = new Uint8Array(32).fill(low < 2 ? 0x00 : 0xff);
    u[0] = low;
    u[31] = (low < 2 ? 0x00 : 0x7f) | top;
    return u;
  }),
);

function hexOf(shared: Uint8Array | undefined): string {
  return shared === undefined ? 'refused' : toHex(shared);
}

function ed25519Case(rng: SeededRng, backends: Pair): string | undefined {
  const seed = randomBytes(rng, 32);
  const message = randomBytes(rng, rng.below(601));
  const [pair, other] = backends.map((backend) => backend.ed25519(new Secret(seed.slice())));
  const { publicKey } = pair!;
  const signature = pair!.sign(message);
  if (!equal(publicKey, other!.publicKey)) return 'public keys differ';
  if (!equal(signature, other!.sign(message))) return 'signatures differ';
  if (!backends.every((backend) => backend.ed25519Verify(publicKey, message, signature)))
    return 'a signature is refused';

  const forged = rng.pick([
    { what: 'a bit of R', publicKey, message, signature: flipped(rng, signature, 0, 32) },
    { what: 'a bit of S', publicKey, message, signature: flipped(rng, signature, 32, 32) },
    { what: 'a bit of the key', publicKey: flipped(rng, publicKey, 0, 32), message, signature },
    {
      what: 'the message',
      publicKey,
      message: message.length === 0 ? seed : flipped(rng, message, 0, message.length),
      signature,
    },
    { what: 'everything', publicKey: randomBytes(rng, 32), message, signature: randomBytes(rng, 64) },
  ]);
  for (const backend of backends) {
    if (backend.ed25519Verify(forged.publicKey, forged.message, forged.signature)) {
      return `${backend.name} overlooks ${forged.what}`;
    }
  }
  return undefined;
}
