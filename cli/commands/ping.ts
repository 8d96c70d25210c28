import { setTimeout as sleep } from 'node:timers/promises';
import { WarrenError } from '../../base/errors.ts';
import { escapeSentence, escapeText } from '../../daemon/escape.ts';
import type { ControlClient } from '../../ipc/client.ts';
import type { PeerName } from '../../ipc/host.ts';
import { type SpanBounds, TIMEOUT_MS } from '../../ipc/value-bounds.ts';
import type { Command } from '../command.ts';
import { withDaemon } from '../daemon-connection.ts';
import { displayName, formatMilliseconds } from '../format.ts';
import type { Output } from '../output.ts';
import { parseCount, parseTime } from '../values.ts';

const COUNT_MAX = 1_000_000;
/** As a timeout, or none at all. */
const INTERVAL_MS: SpanBounds = { ...TIMEOUT_MS, least: 0 };

export const ping: Command = {
  positionals: { PEER: 'a name, an address, or a key in hex' },
  options: {
    count: { type: 'string', describe: 'N: so many', defaultDescription: '4' },
    timeout: { type: 'string', describe: 'TIME: how long to wait for each', defaultDescription: '5s' },
    interval: { type: 'string', describe: 'TIME: from one to the next', defaultDescription: '1s' },
  },
  notes:
    "The time of a program's 16 bytes to the echo service there and back, without what opening a tunnel and a stream takes. " +
    'Exit code 1 where none came back. Ctrl-C ends it early, with the figures so far.',
  async run({ args, output }) {
    const peer = args.required('PEER');
    const count = parseCount('count', args.text('count') ?? '4', COUNT_MAX);
    const timeoutMs = parseTime('timeout', args.text('timeout') ?? '5s');
    const intervalMs = parseTime('interval', args.text('interval') ?? '1s', INTERVAL_MS);
    await withDaemon(args, 'app', async (client) => {
      const who = await client.request('resolve', { peer });
      const replies = await pingAll(client, who, { count, timeoutMs, intervalMs, output });
      const data = { peer: who, ...summary(replies) };
      output.result(data, () => describeSummary(data));
    });
    return 0;
  },
};

interface Plan {
  readonly count: number;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  readonly output: Output;
}

type Reply =
  | { readonly seq: number; readonly roundTripMs: number; readonly route: string }
  | { readonly seq: number; readonly error: Pick<WarrenError, 'code' | 'message' | 'hint'> };

/** Throws what went wrong last where nothing came back. */
async function pingAll(client: ControlClient, who: PeerName, plan: Plan): Promise<readonly Reply[]> {
  const { count, timeoutMs, intervalMs, output } = plan;
  const interrupt = new AbortController();
  const onSignal = (): void => interrupt.abort();
  process.once('SIGINT', onSignal);
  const replies: Reply[] = [];
  let failure: unknown;
  try {
    for (let seq = 1; seq <= count && !interrupt.signal.aborted; seq++) {
      const next = seq === count ? undefined : pause(intervalMs, interrupt.signal);
      try {
        const { roundTrip, route } = await client.request('ping', { peer: who.key, timeoutMs }, interrupt.signal);
        replies.push({ seq, roundTripMs: roundTrip / 1_000, route });
        output.say(`${seq}: ${formatMilliseconds(roundTrip)} by ${escapeText(route)}`);
      } catch (error) {
        if (!(error instanceof WarrenError)) throw error;
        if (interrupt.signal.aborted) break;
        if (client.over !== undefined) throw error;
        const { code, message, hint } = error;
        failure = error;
        replies.push({ seq, error: { code, message, hint } });
        output.say(`${seq}: ${escapeSentence(message)} (${code})`);
      }
      await next;
    }
  } finally {
    process.off('SIGINT', onSignal);
  }
  if (failure !== undefined && replies.every((reply) => 'error' in reply)) throw failure;
  return replies;
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}

interface Summary {
  readonly results: readonly Reply[];
  readonly sent: number;
  readonly received: number;
  readonly minMs: number | null;
  readonly avgMs: number | null;
  readonly maxMs: number | null;
}

function summary(results: readonly Reply[]): Summary {
  const times = results.flatMap((reply) => ('roundTripMs' in reply ? [reply.roundTripMs] : []));
  const hasTimes = times.length > 0;
  return {
    results,
    sent: results.length,
    received: times.length,
    minMs: hasTimes ? Math.min(...times) : null,
    avgMs: hasTimes ? Number((times.reduce((sum, time) => sum + time, 0) / times.length).toFixed(3)) : null,
    maxMs: hasTimes ? Math.max(...times) : null,
  };
}

function describeSummary({ peer, sent, received, minMs, avgMs, maxMs }: Summary & { readonly peer: PeerName }): string {
  const who = escapeText(displayName(peer));
  if (minMs === null) return `${who}: none sent to its end`;
  const [min, avg, max] = [minMs, avgMs!, maxMs!].map((time) => formatMilliseconds(time * 1_000));
  return `${who} (${peer.address}): ${received} of ${sent} came back, min ${min}, avg ${avg}, max ${max}`;
}
