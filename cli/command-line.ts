import { quoteText } from '../daemon/escape.ts';
import { nearest } from '../daemon/nearest.ts';
import { version } from '../daemon/version.ts';
import { Arguments } from './arguments.ts';
import { type Command, type CommandEntry, positionalsOf, wordsOf } from './command.ts';
import { GLOBAL_OPTIONS } from './common.ts';
import { exitCodeOf } from './exit-codes.ts';
import { findCommand, noSuchCommand } from './find-command.ts';
import { Output } from './output.ts';
import { type ParsedWords, parseWords } from './parse.ts';
import { endWithOutput } from './reader.ts';
import { showHelp } from './show-help.ts';
import { TypedCommands } from './typed-commands.ts';
import { UsageError } from './usage-error.ts';

/**
 * Runs the command that the words call. Gives the exit code, one of `EXIT_CODES`. Whatever goes wrong, from the first word on, is
 * said in the form that was asked for.
 */
export async function runCommandLine(given: readonly string[]): Promise<number> {
  const end = given.indexOf('--');
  // Behind `--` all are words.
  const words = given.map((word, i) => (end !== -1 && i > end ? word : (SHORT[word] ?? word)));
  const has = (option: string): boolean => (end === -1 ? words : words.slice(0, end)).includes(option);
  const isJson = has('--json');
  let commands = new TypedCommands({});
  let speaksOnStderr = false;
  endWithOutput(new Output({ isJson, speaksOnStderr: true, commands }));
  try {
    const { words: plain, options } = parseWords(words, GLOBAL_OPTIONS);
    commands = new TypedCommands(options);
    if (has('--version')) return sayVersion(new Output({ isJson, speaksOnStderr, commands }));
    if (has('--help')) {
      await showHelp(plain, new Output({ isJson, speaksOnStderr, commands }));
      return 0;
    }
    const entry = findCommand(plain);
    if (entry === undefined) {
      if (plain.length === 0 && !isJson) await showAll();
      throw noSuchCommand(plain);
    }
    speaksOnStderr = entry.speaksOnStderr === true;
    const command = await entry.load();
    const args = argumentsOf(entry, command, parseWords(words, { ...GLOBAL_OPTIONS, ...command.options }));
    return await command.run({
      args,
      output: new Output({ isJson, speaksOnStderr, commands }),
      version: version(),
    });
  } catch (error) {
    // Before it is said: where nobody hears it, it is none the less so.
    process.exitCode = exitCodeOf(error);
    new Output({ isJson, speaksOnStderr, commands }).failure(error);
    return exitCodeOf(error);
  }
}

const SHORT: Readonly<Record<string, string>> = { '-h': '--help', '-V': '--version' };

function sayVersion(output: Output): number {
  output.result({ version: version() }, version);
  return 0;
}

/** Whoever says nothing at all is shown what there is. */
async function showAll(): Promise<void> {
  const { helpFor } = await import('./help.ts');
  process.stderr.write(`${await helpFor([])}\n\n`);
}

function argumentsOf(entry: CommandEntry, command: Command, { words, options }: ParsedWords): Arguments {
  const name = wordsOf(entry).join(' ');
  const hint = `warren ${name} --help`;
  const known = Object.keys({ ...GLOBAL_OPTIONS, ...command.options });
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    const meant = nearest(option, known);
    throw new UsageError(
      `${name} has no option ${quoteText(`${option.length === 1 ? '-' : '--'}${option}`)}`,
      meant === undefined ? hint : `did you mean --${meant}?`,
    );
  }
  const positionals = positionalsOf(entry);
  const given = words.slice(wordsOf(entry).length);
  const extra = given[positionals.length];
  if (extra !== undefined) throw new UsageError(`${name} does not take ${quoteText(extra)} as well`, hint);
  return new Arguments(name, { ...options, ...Object.fromEntries(given.map((word, i) => [positionals[i], word])) });
}
