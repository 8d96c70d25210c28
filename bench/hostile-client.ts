import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, type BenchRun, type Measurement, median } from '../report/report.ts';
import { connect, createNode, type NewPeer, type WarrenNode, type WarrenStream } from '../sdk/index.ts';
import { Child } from './child.ts';
import type { Attack, SenderOptions, SenderReply, SenderRequest } from './hostile-sender.ts';
import type { TargetReply, TargetRequest } from './hostile-target.ts';
import { runsIn } from './options.ts';
import type { Place } from './rig/cores.ts';

/**
 * What one hostile local program costs the others: two daemons, a program at one of them that sends small messages to the echo of
 * the other and waits for each, and beside it one that does its worst to their daemon. Each attack is held against the same with
 * nobody else there, measured just before it.
 */
export const hostileClientBench: Bench = {
  name: 'hostile-client',
  summary: 'what a hostile local program costs another one',
  seconds: 5,
  async run({ seconds, progress }: BenchRun): Promise<readonly Measurement[]> {
    const stage = await Stage.open();
    try {
      const measurements: Measurement[] = [];
      for (const attack of ATTACKS) {
        measurements.push(...(await measure(stage, attack, seconds, (text) => progress(`${attack}: ${text}`))));
      }
      return measurements;
    } finally {
      await stage.close();
    }
  },
};

const ATTACKS: readonly Attack[] = [
  'length 2³² − 1',
  'a million empty frames',
  'a byte a second',
  'never reads',
  'unknown commands',
  '10,000 dials',
];
/**
 * What the hostile program takes of the machine is the system's to divide, which a daemon can do nothing about: `10,000 dials` keeps
 * more than a core busy with its own attempts. What it makes the daemon do is measured: so neither runs on the cores of the other.
 */
const ATTACKED: Place = { part: 0, of: 2 };
const HOSTILE: Place = { part: 1, of: 2 };
const LOOPBACK = '127.0.0.1';
const PEER = 'peer';
const GHOST = 'ghost';
const ECHO_PORT = 7;
const MESSAGE_BYTES = 64;
const SLICES = 5;
const WARM_UP_MS = 5_000;
/** How long an attack lasts before it is measured, and how long what is left of it has to go; shorter in a shorter run. */
const SETTLE_SECONDS_MAX = 2;
const RATIO_MAX = 5;
/** D7 of our reliability figures. */
const GROWTH_MIB_MAX = 32;

type Target = Child<TargetRequest, TargetReply>;

/** The daemon that is attacked, its peer, and the programs that mean no harm. */
class Stage {
  readonly target: Target;
  readonly #peer: Target;
  readonly #nodes: WarrenNode[] = [];
  readonly #ghost: Socket = createSocket('udp4');
  socket = '';

  private constructor() {
    this.target = new Child('hostile-target.js', ['target'], { place: ATTACKED });
    this.#peer = new Child('hostile-target.js', [PEER]);
  }

  static async open(): Promise<Stage> {
    const stage = new Stage();
    try {
      await stage.#open();
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  /** Of the daemon that is attacked. */
  get node(): WarrenNode {
    return this.#nodes[0]!;
  }

  async close(): Promise<void> {
    this.#ghost.close();
    await Promise.all(this.#nodes.map((node) => node.close()));
    await Promise.all([this.target.end(), this.#peer.end()]);
  }

  async #open(): Promise<void> {
    this.#ghost.bind(0, LOOPBACK);
    await once(this.#ghost, 'listening');
    for (const child of [this.target, this.#peer]) {
      const { socket } = await child.next('ready');
      this.#nodes.push(await connect({ socket, admin: true }));
      this.socket ||= socket;
    }
    const [near, far] = this.#nodes as [WarrenNode, WarrenNode];
    await near.addPeer(await entryOf(far));
    await far.addPeer(await entryOf(near));
    // A peer whose place is taken by a socket that never answers.
    const ghost = await createNode({ name: GHOST, listen: `${LOOPBACK}:0` });
    await near.addPeer({ record: await ghost.record(), endpoints: [`${LOOPBACK}:${this.#ghost.address().port}`] });
    await ghost.close();
    // What has just begun runs more slowly, and its path is still being searched.
    const stream = await near.dial(PEER, ECHO_PORT);
    await echoes(stream, WARM_UP_MS);
    stream.destroy();
  }
}

async function entryOf(node: WarrenNode): Promise<NewPeer> {
  return { record: await node.record(), endpoints: [`${LOOPBACK}:${(await node.status()).udp.port}`] };
}

/** Several runs, each with a hostile program of its own. */
async function measure(
  stage: Stage,
  attack: Attack,
  seconds: number,
  progress: (text: string) => void,
): Promise<readonly Measurement[]> {
  const runs: Run[] = [];
  const count = runsIn(seconds);
  for (let i = 0; i < count; i++) {
    runs.push(await attackOnce(stage, attack, seconds, (text) => progress(`run ${i + 1} of ${count}, ${text}`)));
  }
  const of = (
    metric: string,
    unit: string,
    rounds: readonly number[],
    more: Partial<Measurement> = {},
  ): Measurement => ({ case: attack, metric, unit, rounds, ...more });
  const ratios = runs.map(({ idle, attacked }) => median(attacked.map(p99)) / median(idle.map(p99)));
  const rounds = (figure: (run: Run) => number): readonly number[] => runs.map(figure);
  return [
    of(
      'idle echo p99',
      'ms',
      rounds(({ idle }) => median(idle.map(p99))),
    ),
    of(
      'echo p99',
      'ms',
      rounds(({ attacked }) => median(attacked.map(p99))),
      { vs: { idle: median(ratios) } },
    ),
    of('echo p99 against idle', '', ratios, { atMost: RATIO_MAX }),
    of(
      'echoes',
      '1/s',
      rounds(({ attacked }) => attacked.flat().length / seconds),
    ),
    of(
      'hostile connections',
      '1/s',
      rounds(({ connections }) => connections),
    ),
    of(
      'of which closed',
      '1/s',
      rounds(({ closed }) => closed),
    ),
    of(
      'memory growth',
      'MiB',
      rounds(({ growth }) => growth),
      { atMost: GROWTH_MIB_MAX },
    ),
  ];
}

interface Run {
  /** Milliseconds of each echo, by slices. */
  readonly idle: readonly number[][];
  readonly attacked: readonly number[][];
  /** A second. */
  readonly connections: number;
  readonly closed: number;
  /** MiB. */
  readonly growth: number;
}

async function attackOnce(
  stage: Stage,
  attack: Attack,
  seconds: number,
  progress: (text: string) => void,
): Promise<Run> {
  const { target, node, socket } = stage;
  const stream = await node.dial(PEER, ECHO_PORT);
  const sliceMs = (1_000 * seconds) / SLICES;
  const settleMs = 1_000 * Math.min(SETTLE_SECONDS_MAX, seconds);
  progress('idle');
  const idle = await slices(stream, sliceMs);
  const before = await target.ask({ kind: 'snapshot' }, 'snapshot');
  const options: SenderOptions = { attack, socket, peer: PEER, ghost: GHOST };
  const sender = new Child<SenderRequest, SenderReply>('hostile-sender.js', [JSON.stringify(options)], {
    place: HOSTILE,
  });
  try {
    await sender.next('attacking');
    await sleep(settleMs);
    progress('under attack');
    const first = await sender.ask({ kind: 'count' }, 'count');
    const attacked = await slices(stream, sliceMs);
    const last = await sender.ask({ kind: 'count' }, 'count');
    const after = await target.ask({ kind: 'snapshot' }, 'snapshot');
    const perSecond = (counted: 'connections' | 'closed'): number =>
      (1_000 * (last[counted] - first[counted])) / (last.at - first.at);
    return {
      idle,
      attacked,
      connections: perSecond('connections'),
      closed: perSecond('closed'),
      growth: after.residentMiB - before.residentMiB,
    };
  } finally {
    await sender.end();
    stream.destroy();
    progress('settling');
    await settled(node, settleMs);
  }
}

/** Until the daemon has nothing of it left. */
async function settled(node: WarrenNode, milliseconds: number): Promise<void> {
  while ((await node.status()).streams > 0) await sleep(100);
  await sleep(milliseconds);
}

async function slices(stream: WarrenStream, milliseconds: number): Promise<readonly number[][]> {
  const all: number[][] = [];
  for (let i = 0; i < SLICES; i++) all.push(await echoes(stream, milliseconds));
  return all;
}

/** How many milliseconds each of the messages took, one after the other. */
async function echoes(stream: WarrenStream, milliseconds: number): Promise<number[]> {
  const message = Buffer.alloc(MESSAGE_BYTES, 'echo ');
  const times: number[] = [];
  const end = performance.now() + milliseconds;
  for (let start = performance.now(); start < end || times.length === 0; start = performance.now()) {
    stream.write(message);
    for (let left = MESSAGE_BYTES; left > 0; ) {
      const chunk = stream.read() as Buffer | null;
      // Rejects where the stream is cut, which no hostile neighbour may bring about.
      if (chunk === null) await once(stream, 'readable');
      else left -= chunk.length;
    }
    times.push(performance.now() - start);
  }
  return times;
}

function p99(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.ceil(0.99 * sorted.length) - 1]!;
}
