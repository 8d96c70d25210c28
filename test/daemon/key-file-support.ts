import * as nodeFs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ascii } from '../../base/bytes.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { type IdentityOptions, type KeyFileFs, REAL_FS } from '../../daemon/key-file.ts';
import { SeededRng } from '../../sim/rng.ts';
import { refusal } from './refusal.ts';

export const CONTENT: Uint8Array = ascii(`{"content": "${'old '.repeat(100)}"}`);
export const OTHER: Uint8Array = ascii(`{"content": "${'new '.repeat(120)}"}`);
export const NOBODY = 65534;
export const isRoot: boolean = process.geteuid?.() === 0;

/** A directory of a test's own, and where the key file is to be in it. */
export function makePlace(): { readonly base: string; readonly path: string } {
  const base = nodeFs.mkdtempSync(join(tmpdir(), 'warren-key-file-'));
  return { base, path: join(base, 'identity.json') };
}

export function removePlace(base: string): void {
  nodeFs.chmodSync(base, 0o700);
  nodeFs.rmSync(base, { recursive: true, force: true });
}

export function modeOf(file: string): number {
  return nodeFs.lstatSync(file).mode & 0o7777;
}

export function codeOf(step: () => unknown): string {
  return refusal(step).code;
}

export function withUmask<T>(umask: number, step: () => T): T {
  const before = process.umask(umask);
  try {
    return step();
  } finally {
    process.umask(before);
  }
}

export function options(seed: number, more: Partial<IdentityOptions> = {}): IdentityOptions {
  return { backend: opensslBackend, rng: new SeededRng(seed), network: 7, cost: { n: 16, r: 8, p: 1 }, ...more };
}

/** The real file system with something done before each of its calls. */
export function hooked(
  before: (call: keyof KeyFileFs, args: readonly unknown[]) => void,
  writeMax?: number,
): KeyFileFs {
  const calls = Object.keys(REAL_FS) as (keyof KeyFileFs)[];
  const wrapped = calls.map((call) => [
    call,
    (...args: unknown[]): unknown => {
      if (call === 'effectiveUser' || call === 'wallMs') return REAL_FS[call]();
      before(call, args);
      if (call === 'write' && writeMax !== undefined) args[3] = Math.min(args[3] as number, writeMax);
      return (REAL_FS[call] as (...args: unknown[]) => unknown)(...args);
    },
  ]);
  return Object.fromEntries(wrapped) as KeyFileFs;
}

export function errno(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code, syscall: 'injected' });
}
