import yargs, { type Argv } from 'yargs';
import { type Command, type CommandEntry, wordsOf } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { GLOBAL_OPTIONS, GROUPS } from './common.ts';

/** The help of a command, of a group of them, or where the words name neither, of all; laid out by yargs. */
export async function helpFor(words: readonly string[]): Promise<string> {
  const parser = yargs([...words])
    .scriptName('warren')
    .usage(USAGE)
    .epilogue(EPILOGUE);
  // What a program reads must not depend on the language of the terminal.
  parser.detectLocale(false).exitProcess(false).help(false).version(false);
  parser.wrap(Math.min(WIDTH_MAX, process.stdout.columns || WIDTH_MAX));
  addOptions(parser, GLOBAL_OPTIONS, 'Of every command:');
  const groups = new Set<string>();
  for (const entry of COMMANDS) {
    const [first, action] = wordsOf(entry);
    if (action === undefined) register(parser, entry, entry.usage);
    else if (!groups.has(first!)) registerGroup(parser, first!);
    groups.add(first!);
  }
  return await parser.getHelp();
}

const WIDTH_MAX = 110;
const USAGE = "$0 COMMAND: a permanent address and encrypted streams for this machine's programs";
const EPILOGUE = 'warren help COMMAND says more. To begin: warren up; to see it work: warren demo.';

function registerGroup(parser: Argv, group: string): void {
  parser.command(group, GROUPS[group]!, (inner) => {
    for (const entry of COMMANDS) {
      const { usage } = entry;
      if (usage.startsWith(`${group} `)) register(inner, entry, usage.slice(group.length + 1));
    }
    return inner;
  });
}

function register(parser: Argv, entry: CommandEntry, usage: string): void {
  // yargs waits for it; its types do not know.
  const build = async (inner: Argv): Promise<Argv> => describeCommand(inner, entry, await entry.load());
  parser.command(usage, entry.summary, build as never);
}

function describeCommand(parser: Argv, entry: CommandEntry, command: Command): Argv {
  for (const [name, describe] of Object.entries(command.positionals ?? {})) {
    parser.positional(name, { type: 'string', describe });
  }
  addOptions(parser, command.options ?? {}, 'Options:');
  for (const [example, what] of command.examples ?? []) parser.example(example, what);
  return parser.usage(`$0 ${entry.usage}: ${entry.summary}`).epilogue(command.notes ?? '');
}

function addOptions(parser: Argv, options: Command['options'] & object, group: string): void {
  for (const [name, { type, array, describe, defaultDescription }] of Object.entries(options)) {
    parser.option(name, {
      type,
      describe,
      group,
      ...(array && { array }),
      ...(defaultDescription && { defaultDescription }),
    });
  }
}
