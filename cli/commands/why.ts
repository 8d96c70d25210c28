import { escapeText } from '../../daemon/escape.ts';
import type { PeerReport } from '../../ipc/host.ts';
import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';
import { displayName, pairs, table } from '../format.ts';
import type { Style } from '../style.ts';
import { tunnelTable } from './status.ts';

export const why: Command = {
  positionals: { PEER: 'a name, an address, or a key in hex' },
  async run({ args, output }) {
    const peer = args.required('PEER');
    const data = await withDaemon(args, 'app', (client) => client.request('why', { peer }));
    output.result(data, () => describeReport(data, output.style));
    return 0;
  },
};

const PROSE_LENGTH_MAX = 1_000;

function describeReport(report: PeerReport, { bold, dim }: Style): string {
  const { tunnel, routes } = report;
  const lines = [
    bold(`${escapeText(displayName(report))}  ${report.address}`),
    '',
    pairs(
      [
        ['key', dim(report.key)],
        ['endpoints', report.endpoints.map((endpoint) => escapeText(endpoint)).join(', ') || 'none known'],
        ['tunnel', tunnel === undefined ? 'none' : tunnel.state],
        ['last error', escapeText(report.lastError, PROSE_LENGTH_MAX) || 'none'],
        ['to do', escapeText(report.advice, PROSE_LENGTH_MAX) || 'nothing'],
      ],
      '  ',
    ),
  ];
  if (routes.length > 0) {
    const rows = routes.map(({ route, state }) => [route, state]);
    lines.push('', table(['ROUTE', 'HOW IT WENT'], rows));
  }
  if (tunnel !== undefined) lines.push('', tunnelTable([tunnel]));
  return lines.join('\n');
}
