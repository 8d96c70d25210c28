import type { NodeStatus, TunnelStatus } from '../../ipc/host.ts';
import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';
import { formatBytes, formatMilliseconds, formatSpan, pairs, table } from '../format.ts';
import type { Style } from '../style.ts';

export const status: Command = {
  notes:
    'With --json: what the daemon says of itself. Spans of a name without a unit are microseconds, uptime is milliseconds.',
  async run({ args, output }) {
    const data = await withDaemon(args, 'app', (client) => client.request('status', {}));
    output.result(data, () => describeStatus(data, output.style));
    return 0;
  },
};

function describeStatus(status: NodeStatus, { bold, dim }: Style): string {
  const { traffic, udp } = status;
  const lost = Object.entries({ ...status.drops, ...status.socketErrors }).filter(([, count]) => count > 0);
  const lines = [
    `${bold(status.name === '' ? status.address : `${status.name}  ${status.address}`)}`,
    '',
    pairs(
      [
        ['up', `${formatSpan(status.uptime)}  ${dim(`(warren ${status.version}, pid ${status.pid})`)}`],
        ['udp', udp.host.includes(':') ? `[${udp.host}]:${udp.port}` : `${udp.host}:${udp.port}`],
        ['speed', speedText(status)],
        ['ports', status.listening.join(', ') || 'none'],
        ['peers', `${status.peers} known, ${status.tunnels.length} connected, ${status.streams} streams`],
        ['in', `${formatBytes(traffic.bytesIn)} in ${traffic.packetsIn} packets`],
        ['out', `${formatBytes(traffic.bytesOut)} in ${traffic.packetsOut} packets`],
        ...(lost.length === 0 ? [] : [['dropped', lost.map(([why, count]) => `${why} ${count}`).join(', ')] as const]),
      ],
      '  ',
    ),
  ];
  if (status.tunnels.length > 0) lines.push('', tunnelTable(status.tunnels));
  return lines.join('\n');
}

/** Of all packets sent by the path in use, those that have not arrived. */
function lostShare({ packetsSent, packetsLost, packetsLate }: TunnelStatus): string {
  if (packetsSent === 0) return '';
  return `${((100 * Math.max(0, packetsLost - packetsLate)) / packetsSent).toFixed(2)} %`;
}

/** What the system helps with. */
function speedText({ udp, crypto }: NodeStatus): string {
  const helps = [udp.cutsBatches ? 'sending' : '', udp.joinsPackets ? 'receiving' : ''].filter((help) => help !== '');
  const batches = helps.length === 0 ? 'one packet at a time' : `batches when ${helps.join(' and ')}`;
  return `${batches}, ${udp.searchesMtu ? 'packet size by search' : 'packets of 1200 bytes'}, ${crypto}`;
}

export function tunnelTable(tunnels: readonly TunnelStatus[]): string {
  return table(
    ['PEER', 'ADDRESS', 'STATE', 'ROUTE', 'ROUND TRIP', 'CONTROL', 'WINDOW', 'PACKET', 'LOST', 'STREAMS'],
    tunnels.map((tunnel) => [
      tunnel.name,
      tunnel.address,
      tunnel.state,
      tunnel.route,
      tunnel.roundTrip === 0 ? '' : formatMilliseconds(tunnel.roundTrip),
      tunnel.congestion,
      formatBytes(tunnel.window),
      `${tunnel.mtu} B`,
      lostShare(tunnel),
      String(tunnel.streams),
    ]),
  );
}
