import { escapeText } from '../../daemon/escape.ts';
import { connect } from '../../sdk/connect.ts';
import type { WarrenServer } from '../../sdk/server.ts';
import type { WarrenStream } from '../../sdk/stream.ts';
import type { Command } from '../command.ts';
import { socketOf } from '../daemon-connection.ts';
import { displayName } from '../format.ts';
import type { Output } from '../output.ts';
import { joinStandardStreams, releaseStandardInput } from '../standard-streams.ts';
import { parsePort } from '../values.ts';

export const listen: Command = {
  positionals: { PORT: 'from 1 to 65535, or 0 for any free one' },
  options: {
    keep: { type: 'boolean', describe: 'go on with the next stream, one after the other' },
  },
  examples: [
    ['warren listen 1000 > report.pdf', 'receive a file'],
    ['warren listen 1000 < report.pdf', 'give one to whoever dials'],
  ],
  notes:
    'Takes one stream and ends when both its ways have ended; exit code 1 where one broke off. Standard input goes to the first ' +
    'stream until it ends. With --json: what happened stands on standard error, one line each, for standard output is the stream.',
  async run({ args, output }) {
    const port = parsePort(args.required('PORT'), 0);
    const node = await connect({ socket: await socketOf(args, 'app') });
    try {
      const server = await node.listen(port, { allowHalfOpen: true });
      output.result({ event: 'listening', port: server.port }, () => `listening on port ${server.port}`);
      await serve(server, args.flag('keep'), output);
    } finally {
      releaseStandardInput();
      await node.close();
    }
    return 0;
  },
};

/** Whoever dials while a stream is served waits in the port's backlog. */
async function serve(server: WarrenServer, isKept: boolean, output: Output): Promise<void> {
  for await (const stream of server) {
    output.say(`stream from ${escapeText(displayName(stream.peer!))}`);
    // Others are told at once that nobody will take theirs.
    if (!isKept) await server.close();
    await serveOne(stream, isKept, output);
  }
}

async function serveOne(stream: WarrenStream, isKept: boolean, output: Output): Promise<void> {
  const { peer } = stream;
  try {
    await joinStandardStreams(stream);
    const { bytesRead, bytesWritten } = stream;
    if (output.isJson) output.result({ event: 'ended', peer, bytesRead, bytesWritten }, () => '');
  } catch (error) {
    if (!isKept) throw error;
    // The next one has nothing to do with it.
    output.failure(error);
  }
}
