import { escapeText, quoteText } from '../../daemon/escape.ts';
import { connect } from '../../sdk/connect.ts';
import type { Command } from '../command.ts';
import { socketOf } from '../daemon-connection.ts';
import { displayName, formatBytes } from '../format.ts';
import { ProgressBar } from '../progress.ts';
import { CONTROLLERS, type Controller, type EchoFigures, measureEcho } from '../throughput.ts';
import { UsageError } from '../usage-error.ts';
import { parseCount, parseSize } from '../values.ts';

const SIZE_MAX = 1e12;
const STREAMS_MAX = 256;

export const bench: Command = {
  positionals: { PEER: 'a name, an address, or a key in hex; this node itself too' },
  options: {
    size: { type: 'string', describe: 'SIZE: how much, as 500KB, 64MB, 1GiB', defaultDescription: '64MB' },
    streams: { type: 'string', describe: 'N: over so many at once', defaultDescription: '1' },
    cc: { type: 'string', describe: 'NAME: aimd, cubic or bbr, where no tunnel is there yet' },
  },
  notes:
    'Through the echo service on port 7: every byte goes there and comes back at the same time as others go, and every one is ' +
    'compared. The rate counts what came back, from the first byte written to the last one read; a megabyte is a million bytes. ' +
    'A run in which anything is missing or wrong has no figures, and exit code 1.',
  async run({ args, output }) {
    const peer = args.required('PEER');
    const size = parseSize('size', args.text('size') ?? '64MB', SIZE_MAX);
    const streams = parseCount('streams', args.text('streams') ?? '1', STREAMS_MAX);
    const congestion = controller(args.text('cc'));
    const node = await connect({ socket: await socketOf(args, 'app') });
    const bar = new ProgressBar('echo', size, !output.isJson);
    try {
      const figures = await measureEcho(node, {
        peer,
        size,
        streams,
        congestion,
        progress: (bytes) => bar.update(bytes),
      });
      bar.clear();
      output.result(figures, () => describe(figures));
    } finally {
      bar.clear();
      await node.close();
    }
    return 0;
  },
};

function controller(name: string | undefined): Controller | undefined {
  if (name === undefined) return undefined;
  const found = CONTROLLERS.find((one) => one === name);
  if (found !== undefined) return found;
  throw new UsageError(`--cc: ${quoteText(name)} is no congestion controller`, `say ${CONTROLLERS.join(', ')}`);
}

function describe(figures: EchoFigures): string {
  const { peer, address, bytesReceived, streams, seconds, megabytesPerSecond, congestion } = figures;
  const who = escapeText(displayName({ name: peer, address }));
  const over = streams === 1 ? 'one stream' : `${streams} streams`;
  const by = congestion === '' ? '' : `, ${congestion}`;
  return (
    `${formatBytes(bytesReceived)} to ${who} and back over ${over} in ${seconds.toFixed(2)} s: ` +
    `${megabytesPerSecond} MB/s each way${by}; every byte compared`
  );
}
