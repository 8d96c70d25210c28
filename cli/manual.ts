import { type CommandEntry, wordsOf } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { GLOBAL_OPTIONS } from './common.ts';
import { EXIT_CODES } from './exit-codes.ts';
import { programName } from './program-name.ts';

/** The help for programs: every command, or the one that was asked about. */
export async function manual(one: CommandEntry | undefined): Promise<object> {
  const entries = one === undefined ? COMMANDS : [one];
  return {
    program: programName(),
    commands: await Promise.all(entries.map(describeCommand)),
    globalOptions: describeOptions(GLOBAL_OPTIONS),
    output: {
      success: { ok: true, data: {} },
      failure: { ok: false, error: { code: 'ERR_WARREN_…', message: '', hint: '' } },
      exitCodes: EXIT_CODES,
    },
  };
}

async function describeCommand(entry: CommandEntry): Promise<object> {
  const { positionals = {}, options = {}, examples = [], notes = '' } = await entry.load();
  return {
    name: wordsOf(entry).join(' '),
    usage: `warren ${entry.usage}`,
    summary: entry.summary,
    arguments: positionals,
    options: describeOptions(options),
    examples: examples.map(([command]) => command),
    notes,
    jsonOn: entry.speaksOnStderr ? 'stderr' : 'stdout',
  };
}

function describeOptions(options: Awaited<ReturnType<CommandEntry['load']>>['options'] & object): object {
  return Object.fromEntries(
    Object.entries(options).map(([name, { type, array, describe, defaultDescription }]) => [
      `--${name}`,
      {
        value: type === 'boolean' ? 'none' : array === true ? 'text, repeatable' : 'text',
        meaning: describe,
        ...(defaultDescription === undefined ? {} : { default: defaultDescription }),
      },
    ]),
  );
}
