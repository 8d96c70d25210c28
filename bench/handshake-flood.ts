import { setTimeout as sleep } from 'node:timers/promises';
import { fromHex } from '../base/bytes.ts';
import { opensslBackend } from '../crypto/openssl.ts';
import { EndpointDriver } from '../daemon/endpoint-driver.ts';
import { type Bench, type BenchRun, type Measurement, median } from '../report/report.ts';
import { ipEndpoint } from '../wire/ip-endpoint.ts';
import { Child } from './child.ts';
import type { FloodKind, SenderOptions, SenderReply, SenderRequest } from './flood-sender.ts';
import type { TargetReply, TargetRequest, TargetSnapshot } from './flood-target.ts';
import { makeParty } from './party.ts';

/**
 * What strangers can cost a node: a process that is nothing but a node gets 20,000 initiations a second over loopback, none of
 * them honest, from sockets at many addresses. Processor time, memory and answers are those of that process alone, measured once
 * it has warmed up; while the flood goes on, honest nodes then connect one after the other.
 */
export const handshakeFloodBench: Bench = {
  name: 'handshake-flood',
  summary: 'what 20,000 junk initiations a second cost a node',
  seconds: 10,
  async run({ seconds, progress }: BenchRun): Promise<readonly Measurement[]> {
    const measurements: Measurement[] = [];
    for (const kind of KINDS) {
      measurements.push(...(await measure(kind, seconds, (text) => progress(`${kind}: ${text}`))));
    }
    return measurements;
  },
};

const KINDS: readonly FloodKind[] = ['bad MAC1', 'random bytes', 'valid MAC1, forged, no cookie'];
const PER_SECOND = 20_000;
/** As many different sources, so that nothing is gained by looking at where it comes from. */
const SOCKETS = 64;
const WARM_UP_SECONDS_MAX = 3;
const SLICES = 10;
const HONEST_NODES = 5;
const HONEST_MS_MAX = 5_000;

/** For junk. What comes from those who know our key has no figure: what it costs is printed. */
const CPU_PERCENT_MAX = 35;
const GROWTH_MIB_MAX = 16;
const LOOP_DELAY_MS_MAX = 20;
const HONEST_MS_GOAL = 5_000;

async function measure(
  kind: FloodKind,
  seconds: number,
  progress: (text: string) => void,
): Promise<readonly Measurement[]> {
  progress('starting');
  const target = new Child<TargetRequest, TargetReply>('flood-target.js', []);
  const ready = await target.next('ready');
  const { port, staticKey, identityKey } = ready;
  const options: SenderOptions = { kind, port, staticKey, perSecond: PER_SECOND, sockets: SOCKETS };
  const sender = new Child<SenderRequest, SenderReply>('flood-sender.js', [JSON.stringify(options)]);
  try {
    await sender.next('sending');
    await sleep(1_000 * Math.min(WARM_UP_SECONDS_MAX, seconds));
    const sentBefore = await sender.ask({ kind: 'count' }, 'count');
    const snapshots = [await target.ask({ kind: 'snapshot', isFirst: true }, 'snapshot')];
    for (let slice = 0; slice < SLICES; slice++) {
      progress(`${slice + 1} of ${SLICES}`);
      await sleep((1_000 * seconds) / SLICES);
      snapshots.push(await target.ask({ kind: 'snapshot', isFirst: false }, 'snapshot'));
    }
    const sentAfter = await sender.ask({ kind: 'count' }, 'count');
    progress('honest nodes');
    const honest: number[] = [];
    const peer = { identityKey: fromHex(identityKey), staticKey: fromHex(staticKey) };
    for (let i = 0; i < HONEST_NODES; i++) honest.push(await connectHonestly(peer, port));
    const sentPerSecond = (1_000 * (sentAfter.datagrams - sentBefore.datagrams)) / (sentAfter.at - sentBefore.at);
    return measurementsOf(kind, snapshots, sentPerSecond, honest);
  } finally {
    await Promise.all([sender.end(), target.end()]);
  }
}

function measurementsOf(
  kind: FloodKind,
  snapshots: readonly TargetSnapshot[],
  sentPerSecond: number,
  honest: readonly number[],
): readonly Measurement[] {
  const of = (
    metric: string,
    unit: string,
    rounds: readonly number[],
    more: Partial<Measurement> = {},
  ): Measurement => ({
    case: kind,
    metric,
    unit,
    rounds,
    ...more,
  });
  const slices = snapshots.slice(1).map((after, i) => {
    const before = snapshots[i]!;
    const elapsed = after.at - before.at;
    return {
      cpu: (100 * (after.cpuMs - before.cpuMs)) / elapsed,
      perSecond: (1_000 * (after.datagramsReceived - before.datagramsReceived)) / elapsed,
    };
  });
  // Whoever forges a valid MAC1 knows our key: each initiation is then checked for a cookie, and answered with one.
  const isJunk = !kind.startsWith('valid');
  const first = snapshots[0]!;
  const last = snapshots.at(-1)!;
  const receivedPerSecond = (1_000 * (last.datagramsReceived - first.datagramsReceived)) / (last.at - first.at);
  // The collector makes single readings of memory jump: each end is the median of three.
  const residentAt = (some: readonly TargetSnapshot[]): number => median(some.map(({ residentMiB }) => residentMiB));
  const connected = honest.filter((ms) => ms < HONEST_MS_MAX).length;
  return [
    of(
      'cpu',
      '% of a core',
      slices.map(({ cpu }) => cpu),
      isJunk ? { atMost: CPU_PERCENT_MAX } : {},
    ),
    of(
      'received',
      '1/s',
      slices.map(({ perSecond }) => perSecond),
    ),
    of('sent', '1/s', [sentPerSecond]),
    // Where the flood itself, or the kernel, did not manage the rate that the other figures are for.
    of('short of the rate', '%', [Math.max(0, 100 * (1 - receivedPerSecond / PER_SECOND))]),
    of('memory growth', 'MiB', [residentAt(snapshots.slice(-3)) - residentAt(snapshots.slice(0, 3))], {
      atMost: GROWTH_MIB_MAX,
    }),
    of('replies', '', [last.datagramsSent - first.datagramsSent], isJunk ? { atMost: 0 } : {}),
    of('event loop delay p99', 'ms', [last.loopDelayP99Ms], { atMost: LOOP_DELAY_MS_MAX }),
    of('honest nodes connected', '%', [(100 * connected) / honest.length], { atLeast: 100 }),
    of('honest node connects in', 'ms', honest, { atMost: HONEST_MS_GOAL }),
  ];
}

/** How many milliseconds a node nobody has seen before needs for a tunnel; `HONEST_MS_MAX` where it gets none. */
async function connectHonestly(
  peer: { identityKey: Uint8Array; staticKey: Uint8Array },
  port: number,
): Promise<number> {
  const { identity, record } = makeParty(opensslBackend);
  const abort = new AbortController();
  const timeout = sleep(HONEST_MS_MAX, undefined, { signal: abort.signal }).catch(() => undefined);
  let up!: () => void;
  const isUp = new Promise<void>((resolve) => {
    up = resolve;
  });
  const driver = await EndpointDriver.open({
    crypto: opensslBackend,
    identity,
    record,
    admit: () => true,
    host: '127.0.0.1',
    listener: {
      event: (event) => {
        if (event.kind === 'tunnel-up') up();
      },
      datagram: () => undefined,
    },
  });
  const remote = driver.routeTo(ipEndpoint(Uint8Array.of(127, 0, 0, 1), port));
  const start = performance.now();
  driver.use((endpoint, now) => endpoint.connect(peer, [remote], now));
  await Promise.race([isUp, timeout]);
  const milliseconds = Math.min(HONEST_MS_MAX, performance.now() - start);
  abort.abort();
  await driver.close();
  return milliseconds;
}
