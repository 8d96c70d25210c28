import { cancelled, WarrenError } from '../base/errors.ts';
import { resetError } from '../daemon/stream-errors.ts';
import type { PeerName } from '../ipc/host.ts';

/**
 * Everything that fails here fails with one: `code` is for programs and stays what it is, `message` says what happened, `hint` what
 * to do about it. ERRORS.md lists the codes.
 *
 * @example
 * const error = await alice.dial('bob', 9).catch((error) => error);
 * console.log(error instanceof WarrenError, error.code); // true ERR_WARREN_REFUSED
 * console.log(error.message); // nobody listens on port 9 of bob
 * console.log(error.hint); // start the program that serves port 9 there
 */
export { WarrenError };

/**
 * The program at the far side gave a stream up. `streamCode` is the number it gave: its own from 256 on, 14 where it just let go
 * of it.
 *
 * @example
 * const server = await bob.listen(2000);
 * server.on('connection', (stream) => stream.on('data', () => stream.resetAndDestroy(4242)));
 *
 * const stream = await alice.dial('bob', 2000);
 * stream.on('error', (error) => {
 *   if (error instanceof WarrenResetError) console.log(error.code, error.streamCode); // ERR_WARREN_RESET 4242
 * });
 * stream.write('something unheard of');
 */
export class WarrenResetError extends WarrenError {
  readonly streamCode: number;

  /** @internal */
  constructor(peer: PeerName, streamCode: number) {
    const { message, hint } = resetError(peer, streamCode);
    super('ERR_WARREN_RESET', message, hint);
    this.streamCode = streamCode;
  }
}

/** Some work that a signal may end: with what the signal says, whichever way it was noticed. */
export async function cancellable<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    if (signal?.aborted) throw cancelled();
    return await work();
  } catch (error) {
    const isCancelled = error instanceof WarrenError && error.code === 'ERR_WARREN_CANCELLED';
    throw isCancelled ? cancelledBy(signal?.reason) : error;
  }
}

/** `reason` is what the program's signal says. */
export function cancelledBy(reason: unknown): WarrenError {
  const error = cancelled();
  error.cause = reason;
  return error;
}

export function misuse(message: string, hint: string): WarrenError {
  return new WarrenError('ERR_WARREN_ARGUMENT', message, hint);
}

/** For what was still under way, and for what is asked later. */
export function nodeClosed(): WarrenError {
  return new WarrenError('ERR_WARREN_CLOSED', 'this node was closed', 'open another one');
}

export function portClosed(): WarrenError {
  return new WarrenError('ERR_WARREN_CLOSED', 'this port was closed', 'open it again');
}

/** There is no log to write it to, and the program goes on. */
export function warn(_what: string, { message, code, hint }: WarrenError): void {
  process.emitWarning(message, { type: 'WarrenWarning', code, detail: hint });
}
