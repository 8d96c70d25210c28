/** What every command does alike: `--help`, an argument that is wrong, and an output that nobody reads to its end. */

/** Ends the command with 2, after this line and the usage. */
export class Misuse extends Error {
  override readonly name = 'Misuse';
}

/** Runs a command to its exit status. What it throws and is no misuse is a defect, and shows as one. */
export async function runCommand(usage: string, main: () => number | Promise<number>): Promise<void> {
  process.stdout.on('error', endWithOutput);
  // What nobody hears changes nothing.
  process.stderr.on('error', () => undefined);
  if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) {
    process.stdout.write(`${usage.trimEnd()}\n`);
    return;
  }
  try {
    process.exitCode = await main();
  } catch (error) {
    const why = misuseOf(error);
    if (why === undefined) throw error;
    process.stderr.write(`${why}\n\n${usage.trimEnd()}\n`);
    process.exitCode = 2;
  }
}

/** A whole number within bounds, underscores allowed; `name` is the option it was given for. */
export function wholeNumber(name: string, text: string, least = 0, most: number = Number.MAX_SAFE_INTEGER): number {
  const value = /^\d[\d_]*$/.test(text) ? Number(text.replaceAll('_', '')) : Number.NaN;
  if (value >= least && value <= most) return value;
  const bounds = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new Misuse(`${name} is a whole number ${bounds}, and not ${JSON.stringify(text)}`);
}

function misuseOf(error: unknown): string | undefined {
  if (error instanceof Misuse) return error.message;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  // After the first sentence Node explains its own rules.
  return code.startsWith('ERR_PARSE_ARGS_') ? (error as Error).message.split(/\.\s/, 1)[0] : undefined;
}

/** `| head` has read enough: that is no failure of ours. A full disk is one, of which standard error can still tell. */
function endWithOutput({ code, message }: NodeJS.ErrnoException): void {
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') process.exit(0);
  process.stderr.write(`standard output cannot be written: ${message}\n`);
  process.exit(1);
}
