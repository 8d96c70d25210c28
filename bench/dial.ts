import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Measurement, median } from '../report/report.ts';
import { Figures } from './figures.ts';
import { type BenchOptions, type NodeBench, runsIn, scaled } from './options.ts';
import { inWorkshop, type Workshop } from './rig/workshop.ts';
import { type DaemonRig, daemonRig, delayTo, type Rig, relayRig } from './rigs.ts';

/**
 * From `dial` until the program on the other side has taken the stream: warm, in a tunnel that is there; cold, where the handshake
 * comes first. Once with a delay between the daemons, where what counts is round trips, and once with none.
 */
export const dialBench: NodeBench = {
  name: 'dial',
  summary: 'how long a dial takes, warm and cold',
  seconds: 5,
  async run({ seconds, progress }: BenchOptions): Promise<readonly Measurement[]> {
    const figures = new Figures();
    const runs = runsIn(seconds);
    for (let run = 0; run < runs; run++) {
      progress(`${2 * DELAY_MS} ms away, run ${run + 1} of ${runs}`);
      await inWorkshop((workshop) => measureFar(workshop, figures, seconds, runs));
      progress(`on loopback, run ${run + 1} of ${runs}`);
      await inWorkshop((workshop) => measureNear(workshop, figures, seconds, runs));
      await inWorkshop(async (workshop) => {
        const rig = await relayRig(workshop);
        await warmUp(rig, seconds);
        figures.add(BARE, 'dial', 'ms', median(await rig.near.dial(DIALS_MAX, (1_000 * seconds) / runs)));
      });
    }
    for (const [name, roundTrips] of [
      [WARM_FAR, 1],
      [COLD_FAR, 2],
    ] as const) {
      const roundTrip = figures.of(AWAY, 'round trip')!;
      figures.compare(name, 'dial', 'round trip', roundTrip);
      const beyond = roundTrips === 1 ? 'beyond a round trip' : `beyond ${roundTrips} round trips`;
      figures.add(name, beyond, 'ms', figures.of(name, 'dial')! - roundTrips * roundTrip);
      figures.goal(name, beyond, { atMost: BEYOND_MS_MAX });
    }
    for (const name of [WARM_NEAR, COLD_NEAR]) {
      figures.compare(name, 'dial', 'two bare Unix-socket hops', figures.of(BARE, 'dial'));
    }
    return figures.measurements;
  },
};

/** One way. */
const DELAY_MS = 20;
const AWAY = `${2 * DELAY_MS} ms away`;
const WARM_FAR = `warm, ${AWAY}`;
const COLD_FAR = `cold, ${AWAY}`;
const WARM_NEAR = 'warm, on loopback';
const COLD_NEAR = 'cold, on loopback';
const BARE = 'two bare Unix-socket hops';
const BEYOND_MS_MAX = 2;
const DIALS_MAX = 10_000;
const COLD_DIALS = 7;
const COLD_WARM_UP = 8;
const ROUND_TRIPS = 10;
/** What runs for the first time is interpreted, and what seldom runs stays so: processes that have carried some streams are measured. */
const WARM_UP_STREAMS = 2_000;
const WARM_UP_AT_ONCE = 32;
const WARM_UP_MS_MAX = 10_000;
const POLL_MS = 20;
const GONE_MS_MAX = 5_000;

async function measureFar(workshop: Workshop, figures: Figures, seconds: number, runs: number): Promise<void> {
  figures.add(AWAY, 'round trip', 'ms', await roundTrip(workshop));
  const rig = await daemonRig(workshop, {}, DELAY_MS);
  await warmUp(rig, seconds);
  figures.add(COLD_FAR, 'dial', 'ms', median(await coldDials(rig, seconds)));
  figures.add(WARM_FAR, 'dial', 'ms', median(await rig.near.dial(DIALS_MAX, (1_000 * seconds) / runs)));
}

async function measureNear(workshop: Workshop, figures: Figures, seconds: number, runs: number): Promise<void> {
  const rig = await daemonRig(workshop, {});
  await warmUp(rig, seconds);
  figures.add(COLD_NEAR, 'dial', 'ms', median(await coldDials(rig, seconds)));
  const start = performance.now();
  const times = await rig.near.dial(DIALS_MAX, (1_000 * seconds) / runs);
  figures.add(WARM_NEAR, 'dial', 'ms', median(times));
  figures.add(WARM_NEAR, 'dials, one after the other', '1/s', (1_000 * times.length) / (performance.now() - start));
}

async function warmUp({ near }: Rig, seconds: number): Promise<void> {
  await near.churn(scaled(WARM_UP_STREAMS, seconds), WARM_UP_AT_ONCE, WARM_UP_MS_MAX);
}

/** Each after the tunnel has ended on both sides, as it does when a peer leaves the book; it is back in it before the dial. */
async function coldDials(rig: DaemonRig, seconds: number): Promise<readonly number[]> {
  const [near, far] = rig.daemons;
  const { endpoints } = (await near.node.peers())[0]!;
  const record = await far.node.record();
  const times: number[] = [];
  // The first handshakes of a process run code that nothing has run before.
  const warmUp = scaled(COLD_WARM_UP, seconds, 0);
  for (let i = 0; i < warmUp + scaled(COLD_DIALS, seconds); i++) {
    await near.node.removePeer(far.node.key);
    await Promise.all([tunnelsGone(near.node), tunnelsGone(far.node)]);
    await near.node.addPeer({ record, endpoints });
    times.push(...(await rig.near.dial(1, GONE_MS_MAX)));
  }
  return times.slice(warmUp);
}

async function tunnelsGone(node: DaemonRig['daemons'][0]['node']): Promise<void> {
  const end = performance.now() + GONE_MS_MAX;
  while ((await node.status()).tunnels.length > 0) {
    if (performance.now() > end) throw new Error('a tunnel did not end');
    await sleep(POLL_MS);
  }
}

/** Of the delay by itself. */
async function roundTrip(workshop: Workshop): Promise<number> {
  const echo = createSocket('udp4').on('message', (bytes, { port, address }) => echo.send(bytes, port, address));
  echo.bind(0, '127.0.0.1');
  await once(echo, 'listening');
  const socket = createSocket('udp4');
  const port = await delayTo(workshop, echo.address().port, DELAY_MS);
  const times: number[] = [];
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const start = performance.now();
    const answer = once(socket, 'message');
    socket.send('x', port, '127.0.0.1');
    await answer;
    times.push(performance.now() - start);
  }
  socket.close();
  echo.close();
  return median(times);
}
