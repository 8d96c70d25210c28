import { WarrenError } from '../base/errors.ts';
import type { Output } from './output.ts';
import { standardOutput } from './standard-output.ts';

/**
 * What becomes of us when our output cannot be written: its reader has left, as `head` does, or the disk is full. What stands on
 * standard error goes beside the output and changes nothing where it is lost.
 */

/** Most commands have nothing more to do then. `complaint` goes to standard error, whatever form was asked for. */
export function endWithOutput(complaint: Output): void {
  onOutputError = (error) => {
    // Who reads no more has read enough: that is no failure, and one that was to be told is one none the less.
    if (error.code === 'EPIPE') process.exit();
    complaint.failure(unwritable(error));
    process.exit(1);
  };
  standardOutput().on('error', onOutputError);
  process.stderr.on('error', () => undefined);
}

/** A daemon goes on: it is not for its reader that it runs. */
export function outliveOutput(): void {
  if (onOutputError !== undefined) standardOutput().off('error', onOutputError);
  standardOutput().on('error', () => undefined);
}

let onOutputError: ((error: NodeJS.ErrnoException) => void) | undefined;

function unwritable({ code = 'unknown', message }: NodeJS.ErrnoException): WarrenError {
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  return new WarrenError(
    isFull ? 'ERR_WARREN_DISK_FULL' : 'ERR_WARREN_OUTPUT',
    `standard output cannot be written: ${isFull ? `the disk is full (${code})` : code === 'unknown' ? message : code}`,
    `${isFull ? 'free some space' : 'send it elsewhere'}, and run this again: what has been written is not whole`,
  );
}
