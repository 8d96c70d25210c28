import { escapeSentence, escapeText } from '../../daemon/escape.ts';
import type { PeerReport } from '../../ipc/host.ts';
import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';
import { displayName, otherClaim, pairs, table } from '../format.ts';
import type { Output } from '../output.ts';
import { tunnelTable } from './status.ts';

export const why: Command = {
  positionals: { PEER: 'a name, an address, or a key in hex' },
  async run({ args, output }) {
    const peer = args.required('PEER');
    const data = await withDaemon(args, 'app', (client) => client.request('why', { peer }));
    output.result(data, () => describeReport(data, output));
    return 0;
  },
};

function describeReport(report: PeerReport, { style, commands }: Output): string {
  const { bold, dim } = style;
  const { tunnel, routes } = report;
  const claim = otherClaim(report);
  const lines = [
    bold(`${escapeText(displayName(report))}  ${report.address}`),
    '',
    pairs(
      [
        ...(claim === '' ? [] : [['calls itself', escapeText(claim)] as const]),
        ['key', dim(report.key)],
        ['endpoints', report.endpoints.map((endpoint) => escapeText(endpoint)).join(', ') || 'none known'],
        ['tunnel', tunnel === undefined ? 'none' : tunnel.state],
        ['last error', escapeSentence(report.lastError) || 'none'],
        ['to do', escapeSentence(commands.inSentence(report.advice)) || 'nothing'],
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
