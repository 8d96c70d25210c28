import * as nodeFs from 'node:fs';
import { dirname, resolve } from 'node:path';
import { WarrenError } from '../base/errors.ts';
import { makeDirectories } from '../ipc/make-directories.ts';
import { errnoOf, fileError, quietly, shellWord } from './file-errors.ts';

/**
 * A directory that is ours alone: the daemon's state, and the sockets that its programs come through. Made where it is missing,
 * with mode 0700; refused where it belongs to somebody else, lets anybody else in, or is a symbolic link, which whoever owns the
 * place it points to could turn. What is wrong is never put right behind the owner's back: they may have meant another directory.
 */
export function openOwnDirectory(path: string, what: string): { readonly path: string; readonly created: boolean } {
  const directory = resolve(path);
  const created = makeDirectory(directory);
  let fd: number;
  try {
    fd = nodeFs.openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    const errno = errnoOf(error);
    // Linux says ENOTDIR of a symbolic link too where O_DIRECTORY is asked for; other systems ELOOP or EMLINK.
    if (errno === 'ENOTDIR' || errno === 'ELOOP' || errno === 'EMLINK') throw notADirectory(directory, what);
    throw fileError(`open the ${what}`, directory, error);
  }
  try {
    // The umask may have taken bits of ours away, never added any.
    if (created) nodeFs.fchmodSync(fd, DIRECTORY_MODE);
    check(directory, what, nodeFs.fstatSync(fd));
  } catch (error) {
    throw fileError(`check the ${what}`, directory, error);
  } finally {
    quietly(() => nodeFs.closeSync(fd));
  }
  return { path: directory, created };
}

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = nodeFs.constants;

const DIRECTORY_MODE = 0o700;
const OTHERS_ANY = 0o077;
const STICKY = 0o1000;

function makeDirectory(directory: string): boolean {
  let first: string | undefined;
  try {
    first = makeDirectories(directory, DIRECTORY_MODE);
  } catch (error) {
    const errno = errnoOf(error);
    // Something else has that name, or one of its parents has; the first is told apart when it is opened.
    if (errno === 'EEXIST') return false;
    throw fileError('make the directory', directory, error);
  }
  if (first === undefined) return false;
  // A directory lasts once the one that names it is on disk.
  for (let parent = dirname(directory); ; parent = dirname(parent)) {
    syncDirectory(parent);
    if (parent === dirname(first)) return true;
  }
}

function syncDirectory(directory: string): void {
  // A parent may let us make directories and not let us read it, and some file systems synchronise none.
  quietly(() => {
    const fd = nodeFs.openSync(directory, O_RDONLY | O_DIRECTORY);
    try {
      nodeFs.fsyncSync(fd);
    } finally {
      nodeFs.closeSync(fd);
    }
  });
}

function check(directory: string, what: string, status: nodeFs.Stats): void {
  if (status.uid !== process.geteuid!()) {
    throw new WarrenError(
      'ERR_WARREN_DIRECTORY_OWNER',
      `the ${what} ${shellWord(directory)} belongs to another user (uid ${status.uid})`,
      'use a directory of your own, or run as that user',
    );
  }
  if ((status.mode & OTHERS_ANY) !== 0) {
    throw new WarrenError(
      'ERR_WARREN_DIRECTORY_OPEN',
      `other users have access to the ${what} ${shellWord(directory)} (mode ${(status.mode & 0o7777).toString(8)})`,
      // A sticky bit marks a directory that is meant to be shared, as /tmp is.
      (status.mode & STICKY) === 0 ? `chmod 700 ${shellWord(directory)}` : 'use a directory of your own inside it',
    );
  }
}

function notADirectory(directory: string, what: string): WarrenError {
  const isLink = nodeFs.lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  return new WarrenError(
    'ERR_WARREN_NOT_A_DIRECTORY',
    `the ${what} ${shellWord(directory)} is ${isLink ? 'a symbolic link' : 'not a directory'}`,
    isLink ? `name the directory it points to: realpath ${shellWord(directory)}` : 'use another path',
  );
}
