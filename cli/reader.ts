/** What becomes of us when whoever reads our output leaves, as `head` does. */

/** Most commands have nothing more to do then: that is no failure of theirs. */
export function endWithReader(): void {
  process.stdout.on('error', onOutputError);
  // Errors and notes that nobody hears change nothing.
  process.stderr.on('error', () => undefined);
}

/** A daemon goes on: it is not for its reader that it runs. */
export function outliveReader(): void {
  process.stdout.off('error', onOutputError).on('error', () => undefined);
}

function onOutputError(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
}
