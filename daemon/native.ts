import type { CryptoBackend } from '../crypto/backend.ts';
import type { Ffi } from '../crypto/ffi.ts';
import { opensslBackend } from '../crypto/openssl.ts';
import { createFastBackend } from '../crypto/openssl-ffi.ts';
import { loadFfi } from './ffi.ts';

/** What makes a node fast where the system has it, and what it runs with where not. */
export interface Native {
  readonly ffi: Ffi | undefined;
  readonly crypto: CryptoBackend;
}

/** Without any help: what every Node on every system can do. */
export const PLAIN: Native = { ffi: undefined, crypto: opensslBackend };

let loading: Promise<Native> | undefined;

/** Once a process. */
export function loadNative(): Promise<Native> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Native> {
  const ffi = await loadFfi();
  if (ffi === undefined) return PLAIN;
  return { ffi, crypto: createFastBackend(opensslBackend, ffi) ?? opensslBackend };
}
