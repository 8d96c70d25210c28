import type { PeerStatus, TunnelStatus } from '../../ipc/host.ts';
import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';
import { formatMilliseconds, nameCell, table } from '../format.ts';

export const peers: Command = {
  notes: 'With --json: each peer with its tunnel, where there is one.',
  async run({ args, output }) {
    const data = await withDaemon(args, 'app', async (client) => {
      const [{ peers: all }, { tunnels }] = await Promise.all([
        client.request('peers', {}),
        client.request('status', {}),
      ]);
      const byKey = new Map(tunnels.map((tunnel) => [tunnel.key, tunnel]));
      return { peers: all.map((peer) => ({ ...peer, tunnel: byKey.get(peer.key) })) };
    });
    output.result(data, () => {
      if (data.peers.length === 0) return output.commands.inSentence('no peers yet: warren peer add --help');
      return table(['PEER', 'ADDRESS', 'CONNECTED', 'BY', 'ROUND TRIP', 'STREAMS'], data.peers.map(rowOf));
    });
    return 0;
  },
};

function rowOf(peer: PeerStatus & { readonly tunnel: TunnelStatus | undefined }): string[] {
  const { tunnel } = peer;
  const roundTrip = tunnel === undefined || tunnel.roundTrip === 0 ? '' : formatMilliseconds(tunnel.roundTrip);
  const streams = tunnel === undefined ? '' : String(tunnel.streams);
  return [nameCell(peer), peer.address, peer.connected ? 'yes' : 'no', tunnel?.route ?? '', roundTrip, streams];
}
