import type { CommandOption } from './command.ts';

/** What every command takes. */
export const GLOBAL_OPTIONS: Readonly<Record<string, CommandOption>> = {
  json: { type: 'boolean', describe: 'one line of JSON instead of text' },
  socket: {
    type: 'string',
    describe: 'DIR: where to reach the daemon, or one socket in it (WARREN_SOCKET)',
    defaultDescription: '$XDG_RUNTIME_DIR/warren, else ~/.warren/run',
  },
  state: {
    type: 'string',
    describe: 'DIR: whose config.json may say where that is (WARREN_STATE)',
    defaultDescription: '~/.warren',
  },
  help: { type: 'boolean', describe: 'this text; with --json for programs' },
  version: { type: 'boolean', describe: 'which warren this is' },
};

/** Words that are no command by themselves. */
export const GROUPS: Readonly<Record<string, string>> = {
  peer: 'the nodes that are let in: add, list, remove',
};
