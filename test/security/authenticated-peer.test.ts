import { describe, expect, it } from 'vitest';
import { MILLISECOND, SECOND } from '../../base/time.ts';
import type { ControllerName } from '../../transport/congestion/controller.ts';
import {
  CONTROL_FRAMES_QUEUED_MAX,
  DATAGRAMS_QUEUED_MAX,
  DATAGRAMS_RECEIVED_MAX,
  DIRECTED_QUEUED_MAX,
  EVENTS_QUEUED_MAX,
  PATHS_MAX,
} from '../../transport/constants.ts';
import {
  CHUNK_SLACK_MAX,
  NODE_BUDGET_BYTES,
  OUT_OF_ORDER_RANGES_MAX,
  READ_CHUNK_BYTES_MIN,
  SEND_BUFFER_INITIAL,
  STREAM_WINDOW_INITIAL,
  STREAMS_INITIAL,
  TUNNEL_WINDOW_INITIAL,
} from '../../transport/streams/constants.ts';
import { Life } from './authenticated-peer.ts';
import { commit, sureCrimes } from './authenticated-peer-crimes.ts';
import { Programs } from './authenticated-peer-programs.ts';
import { Hostile } from './authenticated-peer-tricks.ts';

/**
 * Lives of a tunnel whose peer says anything, in any order, to an application that reads, writes, stalls and gives up without any
 * order either. After every packet all that is bounded is within its bound (PROTOCOL.md §12), and nothing that went out was more
 * than the peer allowed. The seed stands in the message of what fails.
 */
const LIVES = 200;
const PACKETS = 70;
const SESSIONS_MAX = 16;

/** All that is counted, against PROTOCOL.md §12 and the constants. */
function checkBounds(life: Life): void {
  const { endpoint, tunnel, streamConfig } = life;
  const state = endpoint.inspect();
  atMost('events', state.events, EVENTS_QUEUED_MAX);
  atMost('datagrams received', state.received, DATAGRAMS_RECEIVED_MAX);
  atMost('budget', state.budget, NODE_BUDGET_BYTES);
  atMost('provisional', state.provisional.length, 4);
  const [own] = state.tunnels;
  // One that closes holds nothing any more.
  if (own === undefined || tunnel === undefined || tunnel.state === 'closing') return;
  atMost('paths', own.paths.length, PATHS_MAX);
  atMost('sessions', own.sessions.length, SESSIONS_MAX);
  atMost('queued', own.queued, CONTROL_FRAMES_QUEUED_MAX + DATAGRAMS_QUEUED_MAX + DIRECTED_QUEUED_MAX);
  const window = tunnel.congestion?.window ?? 1;
  if (!(window > 0 && Number.isFinite(window))) expect.fail(`a window of ${window}`);
  const all = tunnel.streams.inspect();
  atMost(
    'credit',
    all.receiveLimit - all.taken,
    Math.min(TUNNEL_WINDOW_INITIAL + state.budget, streamConfig.tunnelWindowMax),
  );
  atMost('received', all.received, all.receiveLimit);
  atMost('sent', all.sent, all.sendLimit);
  atMost('streams of the peer', all.peerAlive, Math.max(STREAMS_INITIAL, streamConfig.peerStreamsMax));
  atMost('streams', all.streams.length, all.peerAlive + all.opened);
  let [received, taken, memory, grown] = [0, 0, 0, 0];
  for (const stream of all.streams) {
    atMost('ranges', stream.ranges, OUT_OF_ORDER_RANGES_MAX);
    atMost('window', stream.window, streamConfig.streamWindowMax);
    atMost('stream received', stream.received, stream.receiveLimit);
    atMost('stream sent', stream.sent, stream.sendLimit);
    atMost('buffered', stream.buffered, streamConfig.sendBufferMax);
    grown += Math.max(0, stream.buffered - SEND_BUFFER_INITIAL);
    received += stream.received;
    taken += stream.taken;
    memory += stream.memory;
  }
  atMost('grown buffers', grown, state.budget);
  atMost('slack', all.slack, CHUNK_SLACK_MAX + all.streams.length * READ_CHUNK_BYTES_MIN);
  atMost('memory', memory, 2 * (received - taken + all.slack));
}

/** What the victim says of its own: a few bytes for each that came, and what it asks in the course of time. */
function checkAnswers(life: Life): void {
  const { bytesReceived, bytesHeard, payloadHeard } = life.judge;
  const elapsed = (life.now - life.startedAt) / SECOND;
  atMost('answers', bytesHeard - payloadHeard, 4 * bytesReceived + 3_000 * (1 + elapsed));
}

function atMost(what: string, value: number, most: number): void {
  if (!(value <= most)) expect.fail(`${what}: ${value}, at most ${most}`);
}

function live(seed: number): { readonly packets: number; readonly isOpen: boolean } {
  const controllers: readonly ControllerName[] = ['AIMD', 'CUBIC', 'BBR'];
  const isPoor = seed % 5 === 0;
  const life = new Life({
    seed,
    victimIsLower: seed % 2 === 0,
    trusts: (port) => port !== 7,
    config: {
      congestion: controllers[seed % 3]!,
      mtuMax: [1_200, 1_452, 9_000, 65_507][seed % 4]!,
      rekeysPerSecond: 20,
      ...(seed % 7 === 0 ? { rekeyAfterPackets: 20 } : {}),
    },
    streams: isPoor
      ? { peerStreamsMax: 8, streamWindowMax: STREAM_WINDOW_INITIAL, tunnelWindowMax: TUNNEL_WINDOW_INITIAL }
      : {},
  });
  const hostile = new Hostile(life);
  const programs = new Programs(life);
  const time = life.rng.fork('time');
  let packets = 0;
  for (; packets < PACKETS && life.isOpen; packets++) {
    hostile.act();
    if (life.isOpen) programs.act();
    checkBounds(life);
    if (time.chance(0.3)) life.pass(time.below(time.pick([50, 5 * MILLISECOND, 60 * MILLISECOND, 2 * SECOND])));
    else if (time.chance(0.01)) life.pass(time.below(26 * SECOND));
  }
  checkAnswers(life);
  const result = { packets, isOpen: life.isOpen };
  if (life.isOpen) commit(time.pick(sureCrimes(life)), life);
  // However it ends, nothing is left of it.
  life.endpoint.close(life.key, 'SHUTDOWN', '', life.now);
  life.pass(120 * SECOND);
  expect(life.endpoint.inspect()).toMatchObject({ tunnels: [], provisional: [], sessionIds: 0, replies: 0, budget: 0 });
  return result;
}

describe('a peer that says anything, in any order', () => {
  it(`never fails an assertion, never passes a bound and never is sent more than it allowed: ${LIVES} lives`, () => {
    let [packets, survivors] = [0, 0];
    for (let seed = 1; seed <= LIVES; seed++) {
      try {
        const result = live(seed);
        packets += result.packets;
        survivors += result.isOpen ? 1 : 0;
      } catch (error) {
        if (error instanceof Error) error.message = `seed ${seed}: ${error.message}`;
        throw error;
      }
    }
    // Most of them live long enough to get into odd states, and many break a rule and are closed.
    expect(packets).toBeGreaterThan(LIVES * 30);
    expect(survivors).toBeGreaterThan(LIVES / 3);
    expect(survivors).toBeLessThan(LIVES);
  });
});
