import type { CryptoBackend } from '../../crypto/backend.ts';
import { nobleBackend } from '../../crypto/noble.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { NOISE } from './noise.ts';
import type { RunSet } from './report.ts';
import { TRANSCRIBED } from './transcribed.ts';
import { WYCHEPROOF } from './wycheproof.ts';

export const BACKENDS: readonly CryptoBackend[] = [opensslBackend, nobleBackend];

/** Every set of official vectors, in the order in which they are run and shown. */
export const SETS: Readonly<Record<string, RunSet>> = {
  ...TRANSCRIBED,
  ...WYCHEPROOF,
  ...NOISE,
};
