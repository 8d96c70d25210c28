import { connect } from '../../sdk/connect.ts';
import type { Command } from '../command.ts';
import { socketOf } from '../daemon-connection.ts';
import { joinStandardStreams, releaseStandardInput } from '../standard-streams.ts';
import { parseTarget, parseTime } from '../values.ts';

export const dial: Command = {
  positionals: {
    'PEER:PORT': 'a name or an address, and a port of it',
    PORT: 'where it does not stand behind the colon',
  },
  options: {
    timeout: { type: 'string', describe: 'TIME: how long the far side may take to take it', defaultDescription: '30s' },
  },
  examples: [
    ['warren dial alice:1000 < report.pdf', 'send a file'],
    ['echo hello | warren dial alice:7', 'hear it from the echo service'],
  ],
  notes:
    'The end of standard input ends one way of the stream; the other is read until the far side ends it. Exit code 1 where either ' +
    'way broke off. With --json: what happened stands on standard error, one line each, for standard output is the stream.',
  async run({ args, output }) {
    const { peer, port } = parseTarget(args.required('PEER:PORT'), args.text('PORT'));
    const timeout = parseTime('timeout', args.text('timeout') ?? '30s');
    const node = await connect({ socket: await socketOf(args, 'app') });
    try {
      const stream = await node.dial(peer, port, { timeout, allowHalfOpen: true });
      await joinStandardStreams(stream);
      // For people the end is the end of the command.
      if (output.isJson) {
        const { bytesRead, bytesWritten, peer: far } = stream;
        output.result({ peer: far, port, bytesRead, bytesWritten }, () => '');
      }
    } finally {
      releaseStandardInput();
      await node.close();
    }
    return 0;
  },
};
