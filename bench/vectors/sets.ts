import type { CryptoBackend } from '../../crypto/backend.ts';
import { nobleBackend } from '../../crypto/noble.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { createFastBackend } from '../../crypto/openssl-ffi.ts';
import { loadFfi } from '../../daemon/ffi.ts';
import { NOISE } from './noise.ts';
import type { RunSet } from './report.ts';
import { TRANSCRIBED } from './transcribed.ts';
import { WYCHEPROOF } from './wycheproof.ts';

const ffi = await loadFfi();

/** `undefined` on a system that lends no C functions. */
export const FAST_BACKEND: CryptoBackend | undefined = ffi && createFastBackend(opensslBackend, ffi);

export const BACKENDS: readonly CryptoBackend[] = [
  opensslBackend,
  nobleBackend,
  ...(FAST_BACKEND === undefined ? [] : [FAST_BACKEND]),
];

/** Every set of official vectors, in the order in which they are run and shown. */
export const SETS: Readonly<Record<string, RunSet>> = {
  ...TRANSCRIBED,
  ...WYCHEPROOF,
  ...NOISE,
};
