import { createReadStream } from 'node:fs';
import { escapeText } from '../../daemon/escape.ts';
import { fileError } from '../../daemon/file-errors.ts';
import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';
import { displayName } from '../format.ts';
import { programName } from '../program-name.ts';

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
    'given replaces what there was.',
  async run({ args, output }) {
    const record = await readRecord(args.required('RECORD'));
    const entry = { record, endpoints: args.texts('endpoint'), petname: args.text('as') };
    const data = await withDaemon(args, 'admin', (client) => client.request('add-peer', entry));
    output.result(data, () => {
      const who = escapeText(displayName(data));
      const next = `${programName()} ping ${who}`;
      return `added ${who} (${data.address}); when it has added this node too: ${next}`;
    });
    return 0;
  },
};

const PREFIX = 'wrr1.';
/** A record is shorter: what is longer is some other file, and cut, so that the daemon says what it is not. */
const RECORD_BYTES_MAX = 1_024;

async function readRecord(given: string): Promise<string> {
  if (given.startsWith(PREFIX)) return given;
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
    if (length >= RECORD_BYTES_MAX) break;
  }
  return Buffer.concat(chunks).toString('utf8', 0, RECORD_BYTES_MAX).trim();
}
