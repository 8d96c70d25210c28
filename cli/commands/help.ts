import type { Command } from '../command.ts';
import { showHelp } from '../show-help.ts';

export const help: Command = {
  positionals: { COMMAND: 'one of them; left out, all', ACTION: 'where the command has two words, as peer add' },
  async run({ args, output }) {
    const words = [args.text('COMMAND'), args.text('ACTION')].filter((word) => word !== undefined);
    await showHelp(words, output);
    return 0;
  },
};
