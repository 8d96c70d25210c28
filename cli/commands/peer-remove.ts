import { escapeText } from '../../daemon/escape.ts';
import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';
import { displayName } from '../format.ts';

export const peerRemove: Command = {
  positionals: { PEER: 'a name, an address, or a key in hex' },
  notes: 'Its streams end at once, and it is not answered any more.',
  async run({ args, output }) {
    const peer = args.required('PEER');
    const data = await withDaemon(args, 'admin', (client) => client.request('remove-peer', { peer }));
    output.result(data, () => `removed ${escapeText(displayName(data))} (${data.address})`);
    return 0;
  },
};
