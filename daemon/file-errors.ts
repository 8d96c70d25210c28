import { dirname } from 'node:path';
import type { ErrorCode } from '../base/error-codes.ts';
import { WarrenError } from '../base/errors.ts';
import { fileTrouble } from '../ipc/file-trouble.ts';
import { escapeText } from './escape.ts';

/** What the file system said about the daemon's files and directories, in words, each with what to do about it. */
export function fileError(action: string, path: string, error: unknown): unknown {
  const errno = errnoOf(error);
  // Anything else is a mistake of ours, and no sentence makes it better.
  if (errno === undefined) return error;
  const { code, what } = fileTrouble(errno);
  return new WarrenError(code, `cannot ${action} ${shellWord(path)}: ${what}`, hintFor(code, path));
}

function hintFor(code: ErrorCode, path: string): string {
  switch (code) {
    case 'ERR_WARREN_DISK_FULL':
      return 'free some space';
    case 'ERR_WARREN_READ_ONLY':
    case 'ERR_WARREN_NOT_A_DIRECTORY':
      return 'use another directory';
    case 'ERR_WARREN_FILE_ACCESS':
      return `ls -ld ${shellWord(dirname(path))} shows who may do so`;
    case 'ERR_WARREN_FILE_MISSING':
      return `ls -ld ${shellWord(dirname(path))} shows what is there`;
    default:
      return 'check the disk and the system log, then try again';
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
