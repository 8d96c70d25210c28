import { inspect } from 'node:util';
import { toHex } from '../../../base/bytes.ts';
import type { Rng } from '../../../base/rng.ts';
import type { CryptoBackend } from '../../../crypto/backend.ts';
import type { Identity } from '../../../crypto/identity.ts';
import { identityFromSecrets } from '../../../crypto/identity.ts';
import { nobleBackend } from '../../../crypto/noble.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { Secret } from '../../../crypto/secret.ts';

export const BACKENDS: readonly [string, CryptoBackend][] = [
  ['openssl', opensslBackend],
  ['noble', nobleBackend],
];

/** The bytes `first`, `first` + 1, … */
export function counting(first: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i);
}

/** The identity of golden.ts. */
export function goldenIdentity(backend: CryptoBackend): Identity {
  const secrets = { signingSeed: new Secret(counting(0, 32)), exchangeSecret: new Secret(counting(32, 32)) };
  const identity = identityFromSecrets(backend, secrets, 0, 7);
  if (identity === undefined) throw new Error('the golden identity has an address');
  return identity;
}

/** Gives the bytes `first`, `first` + 1, … over all its calls. */
export function countingRng(first: number): Rng {
  let next = first;
  return {
    fill(bytes): void {
      for (let i = 0; i < bytes.length; i++) bytes[i] = next++;
    },
  };
}

/** A backend whose hash says, of the last byte it is given, that the node is `nodeOf(byte)`. */
export function withNodes(backend: CryptoBackend, nodeOf: (counter: number) => number): CryptoBackend {
  return {
    ...backend,
    sha256: (...parts) => {
      const hash = new Uint8Array(32);
      new DataView(hash.buffer).setUint32(0, nodeOf(parts.at(-1)!.at(-1)!));
      return hash;
    },
  };
}

/** Whether any of the ways in which a value gets printed shows these bytes, in hexadecimal or in decimal. */
export function shows(value: unknown, bytes: Uint8Array): boolean {
  const printed = [
    inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden: true, maxArrayLength: null, breakLength: 1e6 }),
    JSON.stringify(value) ?? '',
    String(value),
    ...(value instanceof Error ? [value.stack ?? '', value.message] : []),
  ].map((text) => text.replace(/\s+/g, ' '));
  const decimal = [...bytes.subarray(0, 8)].join(', ');
  const dense = [...bytes.subarray(0, 8)].join(',');
  const hex = toHex(bytes.subarray(0, 8));
  const spaced = [...bytes.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return printed.some((text) => [decimal, dense, hex, spaced].some((form) => text.toLowerCase().includes(form)));
}
