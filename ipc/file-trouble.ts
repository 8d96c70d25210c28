import type { ErrorCode } from '../base/error-codes.ts';

/** The system's word for why a call failed. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'unknown';
}

/** What the system's word for a failed call on a file or directory means, for both ends: what fails alike has one code. */
export interface FileTrouble {
  readonly code: ErrorCode;
  /** As the end of a sentence. */
  readonly what: string;
}

export function fileTrouble(errno: string): FileTrouble {
  const known = TROUBLES.get(errno);
  return known === undefined
    ? { code: 'ERR_WARREN_FILE_IO', what: errno }
    : { ...known, what: `${known.what} (${errno})` };
}

const DISK_FULL: FileTrouble = { code: 'ERR_WARREN_DISK_FULL', what: 'the disk is full' };
const DENIED: FileTrouble = { code: 'ERR_WARREN_FILE_ACCESS', what: 'permission denied' };

const TROUBLES: ReadonlyMap<string, FileTrouble> = new Map([
  ['ENOSPC', DISK_FULL],
  ['EDQUOT', DISK_FULL],
  ['EACCES', DENIED],
  ['EPERM', DENIED],
  ['EROFS', { code: 'ERR_WARREN_READ_ONLY', what: 'the file system is read-only' }],
  ['ENOENT', { code: 'ERR_WARREN_FILE_MISSING', what: 'there is no such file or directory' }],
  ['ENOTDIR', { code: 'ERR_WARREN_NOT_A_DIRECTORY', what: 'something on the way there is not a directory' }],
]);
