import { createReadStream } from 'node:fs';
import { escapeText } from '../../daemon/escape.ts';
import { fileError } from '../../daemon/file-errors.ts';
import { parsePeerEndpoint } from '../../daemon/peer-endpoint.ts';
import { PEER_ENDPOINTS_MAX, RECORD_TEXT_BYTES_MAX } from '../../ipc/value-bounds.ts';
import type { Arguments } from '../arguments.ts';
import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';
import { displayName } from '../format.ts';
import { UsageError } from '../usage-error.ts';

export const peerAdd: Command = {
  positionals: { RECORD: 'what warren record printed there: the line itself, a file, or - for standard input' },
  options: {
    endpoint: {
      type: 'string',
      array: true,
      describe:
        'HOST:PORT: where its UDP port is reached; may be given more than once, or not at all where it dials us',
    },
    as: { type: 'string', describe: 'PETNAME: what this node calls it', defaultDescription: 'the name in its record' },
  },
  examples: [
    ['warren peer add bob.record --endpoint 192.0.2.7:4440', 'reach it there'],
    ['warren peer add - --as printer < printer.record', 'under a name of our own'],
  ],
  notes:
    'Both sides have to do this: a node does not answer those whom it does not know. Of a peer that is there already, what is ' +
    'given replaces what there was. The name is fixed by this: whatever the peer calls itself later, it goes by that name until ' +
    'it is added again.',
  async run({ args, output }) {
    const endpoints = endpointsOf(args);
    const record = await readRecord(args.required('RECORD'));
    const entry = { record, endpoints, petname: args.text('as') };
    const data = await withDaemon(args, 'admin', (client) => client.request('add-peer', entry));
    output.result(data, () => {
      const who = escapeText(displayName(data));
      const next = output.commands.line(`ping ${who}`);
      return `added ${who} (${data.address}); when it has added this node too: ${next}`;
    });
    return 0;
  },
};

/** Thrown: what cannot be one. The daemon would say so too, after all the rest. */
function endpointsOf(args: Arguments): readonly string[] {
  const endpoints = args.texts('endpoint');
  if (endpoints.length > PEER_ENDPOINTS_MAX) {
    const hint = `a peer has at most ${PEER_ENDPOINTS_MAX} endpoints`;
    throw new UsageError(`--endpoint was given ${endpoints.length} times`, hint);
  }
  for (const endpoint of endpoints) parsePeerEndpoint(endpoint);
  return endpoints;
}

const PREFIX = 'wrr1.';

/** What is longer than a record is some other file, and cut, so that the daemon says what it is not. */
async function readRecord(given: string): Promise<string> {
  if (given.startsWith(PREFIX)) return given.slice(0, RECORD_TEXT_BYTES_MAX);
  try {
    const source = given === '-' ? process.stdin : createReadStream(given);
    return await readSome(source);
  } catch (error) {
    throw fileError('read the record', given, error);
  }
}

async function readSome(source: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of source) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= RECORD_TEXT_BYTES_MAX) break;
  }
  return Buffer.concat(chunks).toString('utf8', 0, RECORD_TEXT_BYTES_MAX).trim();
}
