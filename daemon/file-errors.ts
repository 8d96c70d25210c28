import { dirname } from 'node:path';
import { WarrenError } from '../base/errors.ts';
import { escapeText } from './escape.ts';

/** What the file system said about the daemon's files and directories, in words, each with what to do about it. */
export function fileError(action: string, path: string, error: unknown): unknown {
  const errno = errnoOf(error);
  // Anything else is a mistake of ours, and no sentence makes it better.
  if (errno === undefined) return error;
  const message = `cannot ${action} ${shellWord(path)}`;
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new WarrenError('ERR_WARREN_DISK_FULL', `${message}: the disk is full (${errno})`, 'free some space');
    case 'EROFS':
      return new WarrenError(
        'ERR_WARREN_READ_ONLY',
        `${message}: the file system is read-only (${errno})`,
        'use another directory',
      );
    case 'EACCES':
    case 'EPERM':
      return new WarrenError(
        'ERR_WARREN_FILE_ACCESS',
        `${message}: permission denied (${errno})`,
        `ls -ld ${shellWord(dirname(path))} shows who may do so`,
      );
    case 'ENOENT':
      return new WarrenError(
        'ERR_WARREN_FILE_MISSING',
        `${message}: there is no such file or directory (${errno})`,
        `ls -ld ${shellWord(dirname(path))} shows what is there`,
      );
    default:
      return new WarrenError(
        'ERR_WARREN_FILE_IO',
        `${message}: ${errno}`,
        'check the disk and the system log, then try again',
      );
  }
}

export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || error instanceof WarrenError) return undefined;
  const { code, syscall } = error as NodeJS.ErrnoException;
  return typeof code === 'string' && typeof syscall === 'string' ? code : undefined;
}

/** Ready for a shell, so that a hint can be typed as it stands; what no terminal should see is shown escaped. */
export function shellWord(path: string): string {
  const shown = escapeText(path, PATH_LENGTH_MAX);
  return /^[A-Za-z0-9_./@%+=:,-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
}

/** For steps whose failure changes nothing about the outcome. */
export function quietly(step: () => void): void {
  try {
    step();
  } catch {
    // The caller has its outcome already.
  }
}

/** What Linux takes. */
const PATH_LENGTH_MAX = 4_096;
