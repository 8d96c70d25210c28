import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * As `mkdirSync` with `recursive`, which never returns where the system says of a directory below one that exists that it cannot
 * be found (Linux does below /proc). The first directory made; `undefined` where there was none to make.
 */
export function makeDirectories(path: string, mode: number): string | undefined {
  try {
    mkdirSync(path, { mode });
    return path;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && isDirectory(path)) return undefined;
    if (code !== 'ENOENT' || isDirectory(dirname(path))) throw error;
  }
  const first = makeDirectories(dirname(path), mode);
  return makeDirectories(path, mode) === undefined ? first : (first ?? path);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
