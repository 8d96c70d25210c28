import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { type ConfigKey, flagOptions, flagsOf, KEYS, loadConfig } from '../../daemon/config.ts';
import { quoteText } from '../../daemon/escape.ts';
import { serviceFile } from '../../daemon/service-files.ts';
import type { Arguments } from '../arguments.ts';
import type { Command } from '../command.ts';
import { MAIN_PATH } from '../program-name.ts';
import { UsageError } from '../usage-error.ts';

export const service: Command = {
  positionals: { MANAGER: 'systemd or launchd' },
  options: flagOptions(),
  examples: [['warren service systemd --name alice > ~/.config/systemd/user/warren.service', 'then what it says']],
  notes: 'Prints the file. The options are those that the daemon is to be started with.',
  async run({ args, output }) {
    const manager = args.required('MANAGER');
    if (manager !== 'systemd' && manager !== 'launchd') {
      throw new UsageError(`${quoteText(manager)} is no service manager that is known here`, 'say systemd or launchd');
    }
    const home = homedir();
    const file = serviceFile(manager, { node: process.execPath, script: MAIN_PATH, flags: flagsFor(args), home });
    output.result(file, () => file.content.trimEnd());
    output.note(`\nIt belongs into ${file.path}. Then:\n${file.commands.map((line) => `  ${line}`).join('\n')}`);
    return 0;
  },
};

const PATHS: ReadonlySet<string> = new Set<ConfigKey>(['state', 'socket', 'passphraseFile', 'logFile']);

/** As they were given, and as the daemon will understand them: it starts in another directory. */
function flagsFor(args: Arguments): readonly string[] {
  const flags = flagsOf(args.values);
  // Whatever is wrong with them is better said now.
  loadConfig({ flags, env: {}, home: homedir(), workingDirectory: process.cwd() });
  return Object.entries(KEYS).flatMap(([key, { flag }]) => {
    const value = flags[flag];
    if (typeof value !== 'string') return [];
    const text = PATHS.has(key) && !value.startsWith('~') ? resolve(value) : value;
    return [`--${flag}`, text];
  });
}
