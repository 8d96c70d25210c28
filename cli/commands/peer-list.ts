import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';
import { table } from '../format.ts';

export const peerList: Command = {
  async run({ args, output }) {
    const data = await withDaemon(args, 'app', (client) => client.request('peers', {}));
    output.result(data, () => {
      if (data.peers.length === 0) return 'no peers yet: warren peer add --help';
      const rows = data.peers.map(({ name, address, endpoints, key }) => [name, address, endpoints.join(' '), key]);
      return table(['PEER', 'ADDRESS', 'ENDPOINTS', 'KEY'], rows);
    });
    return 0;
  },
};
