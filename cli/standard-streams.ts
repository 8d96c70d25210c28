import { fileError } from '../daemon/file-errors.ts';
import type { WarrenStream } from '../sdk/stream.ts';
import { standardOutput } from './standard-output.ts';

/**
 * Standard input goes into the stream and the stream to standard output, byte for byte, each as fast as its reader takes it.
 * Resolves when both ways have ended in order, rejects with what broke them.
 *
 * The end of standard input ends one way only; the other goes on until the far side ends it. A terminal is where it does not:
 * nobody there means to go on typing to somebody who has said the last word.
 */
export function joinStandardStreams(stream: WarrenStream): Promise<void> {
  const { stdin } = process;
  const stdout = standardOutput();
  return new Promise((resolve, reject) => {
    // A directory, for instance. The far side is told that this is no end.
    const onInputError = (error: Error): void => {
      stream.destroy(fileError('read', 'standard input', error) as Error);
    };
    let failure: unknown;
    stream.on('error', (error) => {
      failure = error;
    });
    stream.once('close', () => {
      stdin.off('error', onInputError).unpipe(stream);
      stream.unpipe(stdout);
      // What is left of it is for the next stream, or for nobody.
      stdin.pause();
      if (failure === undefined) resolve();
      else reject(failure);
    });
    stdin.on('error', onInputError);
    if (stdin.readableEnded) stream.end();
    else stdin.pipe(stream);
    stream.pipe(stdout, { end: false });
    if (stdin.isTTY) stream.once('end', () => stream.end());
  });
}

/** Read no more, so that it does not keep the process. */
export function releaseStandardInput(): void {
  process.stdin.destroy();
}
