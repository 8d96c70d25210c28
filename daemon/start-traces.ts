import * as nodeFs from 'node:fs';
import { dirname, resolve } from 'node:path';
import { quietly } from './file-errors.ts';

/**
 * What a start is about to make, noted before it is made, so that a start that fails can take it away again. What was there is left
 * alone, and so is a directory that somebody has put something into meanwhile.
 */
export class StartTraces {
  readonly #files: string[] = [];
  readonly #directories: string[] = [];

  noteFile(path: string): void {
    if (isMissing(path)) this.#files.push(path);
  }

  /** With the ones above it that are missing too. */
  noteDirectory(path: string): void {
    for (let at = resolve(path); isMissing(at); at = dirname(at)) this.#directories.push(at);
  }

  /** For whoever holds the lock of the directory they are in. */
  removeFiles(): void {
    for (const path of this.#files.splice(0)) quietly(() => nodeFs.unlinkSync(path));
  }

  removeDirectories(): void {
    // A path is longer than the one it lies below.
    const deepestFirst = this.#directories.splice(0).sort((a, b) => b.length - a.length);
    for (const path of deepestFirst) quietly(() => nodeFs.rmdirSync(path));
  }
}

/** What cannot be looked at is not ours to take away. */
function isMissing(path: string): boolean {
  try {
    return nodeFs.lstatSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}
