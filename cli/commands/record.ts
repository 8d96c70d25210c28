import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';

export const record: Command = {
  examples: [
    ['warren record > alice.record', 'into a file, to give away'],
    ['warren record | ssh other warren peer add - --endpoint 192.0.2.1:4440', 'straight to another node'],
  ],
  notes: 'A record is public: address, keys and name, signed. It says nothing about where the node is.',
  async run({ args, output }) {
    const data = await withDaemon(args, 'admin', async (client) => {
      const { address, name, key } = client.hello;
      return { ...(await client.request('record', {})), address, name, key };
    });
    output.result(data, () => data.record);
    return 0;
  },
};
