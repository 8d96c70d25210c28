import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';
import { nameCell, table } from '../format.ts';

export const peerList: Command = {
  async run({ args, output }) {
    const data = await withDaemon(args, 'app', (client) => client.request('peers', {}));
    output.result(data, () => {
      if (data.peers.length === 0) return output.commands.inSentence('no peers yet: warren peer add --help');
      const rows = data.peers.map((peer) => [nameCell(peer), peer.address, peer.endpoints.join(' '), peer.key]);
      return table(['PEER', 'ADDRESS', 'ENDPOINTS', 'KEY'], rows);
    });
    return 0;
  },
};
