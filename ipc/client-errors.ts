import { cancelled, WarrenError } from '../base/errors.ts';

/** What both kinds of connection fail with at a program's end. */

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw cancelled();
}

/** For what was under way, and what is asked for later. */
export function daemonGone(): WarrenError {
  return new WarrenError(
    'ERR_WARREN_DAEMON_GONE',
    'the daemon has ended the connection',
    'Start it again with: warren up, and connect anew.',
  );
}

export function unreadable(): WarrenError {
  return new WarrenError(
    'ERR_WARREN_PROTOCOL',
    'the daemon said something that cannot be read',
    'Use a program and a daemon of the same version.',
  );
}
