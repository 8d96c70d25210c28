import { quoteText } from '../daemon/escape.ts';
import { nearest } from '../daemon/nearest.ts';
import { Arguments } from './arguments.ts';
import { type Command, type CommandEntry, positionalsOf, wordsOf } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { GLOBAL_OPTIONS, GROUPS } from './common.ts';
import { Output } from './output.ts';
import { type ParsedWords, parseWords } from './parse.ts';
import { exitCodeOf, UsageError } from './usage-error.ts';
import { version } from './version.ts';

/**
 * Runs the command that the words call. Gives the exit code: 0, 1 where it failed, 2 where the command line is wrong. Whatever goes
 * wrong, from the first word on, is said in the form that was asked for.
 */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  const end = words.indexOf('--');
  // Behind `--` all are words.
  const optional = end === -1 ? words : words.slice(0, end);
  const has = (...options: readonly string[]): boolean => options.some((option) => optional.includes(option));
  const isJson = has('--json');
  let entry: CommandEntry | undefined;
  try {
    const { words: plain } = parseWords(words, GLOBAL_OPTIONS);
    entry = COMMANDS.find((one) => wordsOf(one).every((word, i) => word === plain[i]));
    if (has('--version', '-V')) return sayVersion(new Output(isJson, false));
    if (has('--help', '-h')) return await sayHelp(plain, entry, new Output(isJson, false));
    if (entry === undefined) throw await noSuchCommand(plain, isJson);
    const command = await entry.load();
    const args = argumentsOf(entry, command, parseWords(words, { ...GLOBAL_OPTIONS, ...command.options }));
    const output = new Output(isJson, entry.speaksOnStderr === true);
    return await command.run({ args, output, version: version() });
  } catch (error) {
    new Output(isJson, entry?.speaksOnStderr === true).failure(error);
    return exitCodeOf(error);
  }
}

function sayVersion(output: Output): number {
  output.result({ version: version() }, version);
  return 0;
}

async function sayHelp(words: readonly string[], entry: CommandEntry | undefined, output: Output): Promise<number> {
  if (output.isJson) {
    const { manual } = await import('./manual.ts');
    output.result(await manual(entry), () => '');
  } else {
    const { helpFor } = await import('./help.ts');
    output.say(await helpFor(words));
  }
  return 0;
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

/** Whoever says nothing at all is shown what there is. */
async function noSuchCommand([first, second]: readonly string[], isJson: boolean): Promise<UsageError> {
  if (first === undefined) {
    const { helpFor } = await import('./help.ts');
    if (!isJson) process.stderr.write(`${await helpFor([])}\n\n`);
    return new UsageError('no command was given', 'warren --help lists them');
  }
  if (Object.hasOwn(GROUPS, first)) return noSuchAction(first, second);
  const meant = nearest(first, [...COMMANDS.map((entry) => wordsOf(entry)[0]!), ...Object.keys(GROUPS)]);
  return new UsageError(
    `there is no command ${quoteText(first)}`,
    meant === undefined ? 'warren --help lists the commands' : `did you mean ${meant}?`,
  );
}

function noSuchAction(group: string, action: string | undefined): UsageError {
  const actions = COMMANDS.map(wordsOf).flatMap(([first, second]) => (first === group ? [second!] : []));
  const list = actions.map((word) => `warren ${group} ${word}`).join(', ');
  if (action === undefined) return new UsageError(`${group} does nothing by itself`, `say one of: ${list}`);
  const meant = nearest(action, actions);
  const hint = meant === undefined ? `say one of: ${list}` : `did you mean ${group} ${meant}?`;
  return new UsageError(`there is no command ${quoteText(`${group} ${action}`)}`, hint);
}
