import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRng } from '../../../../sim/rng.ts';
import { CHUNK_BYTES_MAX } from '../../../../transport/streams/constants.ts';
import type { StreamEvent } from '../../../../transport/streams/events.ts';
import type { StreamFrame } from '../../../../transport/streams/streams.ts';
import type { Priority } from '../../../../wire/frames.ts';
import { End, KIB, type SentPacket } from '../../../unit/transport/streams/lab.ts';

/**
 * Two ends, between them a channel that loses, reorders and repeats packets and their acknowledgements, and takes packets for lost
 * that are only late. Beside each direction of each stream stands what it must do, in plain numbers; bytes tell the direction and
 * offset they were written at. In the end the channel heals, everybody finishes, and nothing may be left.
 */

const NOISE = new Uint8Array(2 * 1_024 * KIB);
new SeededRng(11).fill(NOISE);

/** What one direction of a stream was asked to do, and has done. */
class Direction {
  readonly salt: number;
  written = 0;
  /** Both, where a RESET overtook a FIN, or came when all had arrived. */
  wasFinished = false;
  wasReset = false;
  read = 0;
  /** What the reader was told last. */
  told: 'nothing' | 'finished' | 'reset' | 'stopped' = 'nothing';
  isStoppedByReader = false;

  constructor(salt: number) {
    this.salt = salt;
  }

  get isOver(): boolean {
    return this.wasFinished || this.wasReset;
  }

  bytes(offset: number, length: number): Uint8Array {
    const start = (offset + this.salt) % (NOISE.length / 2);
    return NOISE.subarray(start, start + length);
  }
}

class Party {
  readonly end: End;
  readonly name: string;
  /** Of each stream: what we write, and what we read. */
  readonly writes: Map<number, Direction> = new Map();
  readonly reads: Map<number, Direction> = new Map();
  readonly known: number[] = [];
  readonly closed: Set<number> = new Set();
  /** Sent and neither acknowledged nor given up. */
  readonly inFlight: SentPacket[] = [];
  /** On their way to the other. */
  readonly channel: SentPacket[] = [];
  readonly acks: SentPacket[] = [];

  constructor(name: string, opensEven: boolean, config: { peerStreamsMax: number; sendBufferMax: number }) {
    this.name = name;
    this.end = new End({ opensEven, config });
  }

  pick(which: number): number | undefined {
    return this.known.length === 0 ? undefined : this.known[which % this.known.length];
  }

  drainEvents(): number {
    let count = 0;
    for (let event = this.end.streams.pollEvent(); event !== undefined; event = this.end.streams.pollEvent()) {
      this.#check(event);
      count++;
    }
    return count;
  }

  #check(event: StreamEvent): void {
    if (event.kind === 'streams-available') return;
    const id = event.stream;
    must(!this.closed.has(id), `nothing is told of a closed stream, but ${event.kind} was`);
    if (event.kind === 'opened') {
      must(!this.known.includes(id), 'a stream is opened once');
      this.known.push(id);
      this.end.streams.accept(id);
      return;
    }
    must(this.known.includes(id), `${event.kind} is told of a stream after it was opened`);
    const reads = this.reads.get(id)!;
    const writes = this.writes.get(id)!;
    switch (event.kind) {
      case 'finished':
        must(reads.told === 'nothing' && reads.wasFinished, 'only a finished direction is told as finished');
        must(reads.read === reads.written, 'FIN comes after all bytes');
        reads.told = 'finished';
        return;
      case 'reset':
        must(reads.told === 'nothing' && reads.wasReset, 'only a reset direction is told as reset');
        reads.told = 'reset';
        return;
      case 'acknowledged':
        must(writes.wasFinished && !writes.wasReset, 'only a finished direction is acknowledged');
        return;
      case 'stopped':
        must(writes.isStoppedByReader, 'only a reader stops');
        writes.wasReset = true;
        return;
      case 'closed':
        must(reads.told !== 'nothing' && writes.isOver, 'a stream closes when both directions have ended');
        this.closed.add(id);
        return;
      default:
        return;
    }
  }

  write(id: number, length: number): void {
    const direction = this.writes.get(id)!;
    const taken = this.end.streams.write(id, direction.bytes(direction.written, length));
    if (taken === 'ended') return;
    must(!direction.isOver, 'only an open direction takes bytes');
    direction.written += taken;
  }

  finish(id: number): void {
    const direction = this.writes.get(id)!;
    if (!direction.isOver) direction.wasFinished = true;
    this.end.streams.finish(id);
  }

  reset(id: number): void {
    const direction = this.writes.get(id)!;
    // One that has been acknowledged whole stays finished: the state says which.
    this.end.streams.reset(id, 5);
    const state = this.end.state(id)?.sending;
    if (state === 'reset-sent' || state === 'reset-recvd') direction.wasReset = true;
  }

  stop(id: number): void {
    const direction = this.reads.get(id)!;
    direction.isStoppedByReader = true;
    if (direction.told === 'nothing') direction.told = 'stopped';
    this.end.streams.stop(id, 6);
  }

  read(id: number, times: number): number {
    const direction = this.reads.get(id)!;
    let count = 0;
    for (let i = 0; i < times; i++) {
      const bytes = this.end.streams.read(id);
      if (bytes === undefined) break;
      count++;
      must(direction.told === 'nothing', 'nothing is read after an end');
      must(direction.read + bytes.length <= direction.written, 'nothing is read that was not written');
      const expected = direction.bytes(direction.read, bytes.length);
      for (let k = 0; k < bytes.length; k++) if (bytes[k] !== expected[k]) must(false, 'bytes arrive as written');
      direction.read += bytes.length;
    }
    return count;
  }

  send(packets: number, bytes: number): number {
    let sent = 0;
    for (; sent < packets; sent++) {
      const wanted = this.end.streams.wantsToSend;
      const packet = this.end.send(bytes);
      must(packet !== undefined || !wanted, 'who wants to send has something to say');
      if (packet === undefined) break;
      this.inFlight.push(packet);
      this.channel.push(packet);
    }
    return sent;
  }
}

class World {
  readonly a: Party;
  readonly b: Party;
  readonly #load: Load;
  #opened = 0;

  constructor(load: Load) {
    const config = { peerStreamsMax: 1_024, sendBufferMax: load.sendBufferMax };
    this.#load = load;
    this.a = new Party('a', true, config);
    this.b = new Party('b', false, config);
  }

  other(party: Party): Party {
    return party === this.a ? this.b : this.a;
  }

  open(party: Party, priority: Priority): void {
    const id = party.end.streams.open({ source: 50_000, destination: 80 }, priority, party.end.now);
    if (id === 'stream-limit') return;
    const other = this.other(party);
    const out = new Direction(37 * this.#opened++);
    const back = new Direction(37 * this.#opened++ + 11);
    party.known.push(id);
    party.writes.set(id, out);
    party.reads.set(id, back);
    other.writes.set(id, back);
    other.reads.set(id, out);
  }

  /** Some packet of the channel arrives; it stays there if it is to come once more. */
  arrive(from: Party, which: number, again: boolean): void {
    if (from.channel.length === 0) return;
    const index = which % Math.min(from.channel.length, 8);
    const packet = from.channel[index]!;
    if (!again) from.channel.splice(index, 1);
    const to = this.other(from);
    let isTaken = true;
    for (const frame of packet.frames) {
      const outcome = to.end.streams.handleFrame(frame as StreamFrame, 1_000, to.end.now);
      must(outcome === undefined || outcome === 'not-taken', `an honest peer breaks no rule: ${outcome}`);
      if (outcome !== undefined) isTaken = false;
    }
    if (isTaken) from.acks.push(packet);
    to.drainEvents();
  }

  /** The acknowledgement of some packet arrives: also of one that has been given up. */
  acknowledge(party: Party, which: number): void {
    if (party.acks.length === 0) return;
    const [packet] = party.acks.splice(which % party.acks.length, 1) as [SentPacket];
    const index = party.inFlight.indexOf(packet);
    if (index >= 0) party.inFlight.splice(index, 1);
    party.end.acknowledge(packet);
    party.drainEvents();
  }

  giveUp(party: Party, which: number): void {
    if (party.inFlight.length === 0) return;
    const [packet] = party.inFlight.splice(which % party.inFlight.length, 1) as [SentPacket];
    party.end.lose(packet);
  }

  step(op: Step): void {
    const party = op.side ? this.a : this.b;
    const id = party.pick(op.x);
    switch (op.kind) {
      case 'open':
        if (this.a.writes.size < this.#load.streams) this.open(party, (op.x % 3) as Priority);
        return;
      case 'write':
        if (id !== undefined) party.write(id, choose(this.#load.writes, op.y));
        return;
      case 'finish':
        if (id !== undefined && op.y % 3 === 0) party.finish(id);
        return;
      case 'reset':
        if (id !== undefined && op.y % 4 === 0) party.reset(id);
        return;
      case 'stop':
        if (id !== undefined && op.y % 4 === 0) party.stop(id);
        return;
      case 'priority':
        if (id !== undefined) party.end.streams.setPriority(id, (op.y % 3) as Priority);
        return;
      case 'read':
        if (id !== undefined) party.read(id, 1 + (op.y % 4));
        party.drainEvents();
        return;
      case 'send':
        party.send(1 + (op.x % 40), choose(this.#load.packets, op.y));
        return;
      case 'arrive':
        for (let i = 0; i < 1 + (op.y % 20); i++) this.arrive(party, op.x + i, (op.x + i) % 9 === 0);
        return;
      case 'drop':
        if (party.channel.length > 0) party.channel.splice(op.x % party.channel.length, 1 + (op.y % 3));
        return;
      case 'acknowledge':
        for (let i = 0; i < 1 + (op.y % 20); i++) this.acknowledge(party, op.x * i);
        return;
      case 'give up':
        for (let i = 0; i < 1 + (op.y % 5); i++) this.giveUp(party, op.x);
        return;
      case 'lose acknowledgements':
        party.acks.splice(0, op.x % 5);
        return;
    }
  }

  check(): void {
    for (const party of [this.a, this.b]) {
      const mine = party.end.streams.inspect();
      const theirs = this.other(party).end.streams.inspect();
      must(mine.sent <= mine.sendLimit && mine.sendLimit <= theirs.receiveLimit, 'credit is kept to and not invented');
      must(theirs.received <= mine.sent && mine.taken + mine.ready <= mine.received, 'sums add up');
      must(mine.openLimit <= theirs.peerLimit && mine.opened <= mine.openLimit, 'streams are opened as allowed');
      for (const stream of mine.streams) {
        must(
          stream.sent <= stream.sendLimit && stream.received <= stream.receiveLimit,
          'no stream goes beyond its limit',
        );
        must(stream.memory <= stream.received - stream.taken + 2 * CHUNK_BYTES_MAX, 'memory is bounded by credit');
        must(stream.ranges <= 256, 'ranges are bounded');
      }
    }
  }

  /** The channel heals and everybody finishes: within a bounded number of rounds nothing is left. */
  heal(): void {
    for (let round = 0; round < 400; round++) {
      let moved = 0;
      for (const party of [this.a, this.b]) {
        for (const packet of party.inFlight.splice(0)) if (!party.acks.includes(packet)) party.end.lose(packet);
        party.channel.length = 0;
        moved += party.send(2_000, 1_150);
        while (party.channel.length > 0) this.arrive(party, 0, false);
        while (party.acks.length > 0) this.acknowledge(party, 0);
      }
      for (const party of [this.a, this.b]) {
        moved += party.drainEvents();
        for (const id of party.known) {
          moved += party.read(id, 1_000);
          if (party.writes.get(id)!.isOver) continue;
          party.finish(id);
          moved += 1;
        }
        moved += party.drainEvents();
      }
      if (moved === 0) break;
    }
    for (const party of [this.a, this.b]) {
      const state = party.end.streams.inspect();
      const theirs = this.other(party).end.streams.inspect();
      must(state.streams.length === 0, `everything is forgotten, but ${JSON.stringify(state.streams)} is left`);
      must(!party.end.streams.wantsToSend, 'nothing is left to say');
      must(
        state.ready === 0 && state.taken === state.received && theirs.sent === state.received,
        'all is accounted for',
      );
      must(state.sendLimit === theirs.receiveLimit, 'the last limit has arrived');
      must(party.closed.size === party.known.length, 'every stream was told as closed');
      for (const [id, direction] of party.reads) {
        if (!party.known.includes(id)) continue;
        if (direction.told === 'finished') must(direction.read === direction.written, 'all bytes have come');
      }
      party.end.streams.end();
      must(party.end.budget.used === 0, 'everything lent is given back');
    }
  }
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

function choose<T>(from: readonly T[], which: number): T {
  return from[which % from.length]!;
}

interface Load {
  readonly streams: number;
  readonly writes: readonly number[];
  readonly packets: readonly number[];
  readonly sendBufferMax: number;
}

const LOADS: readonly Load[] = [
  {
    streams: 3,
    writes: [0, 1, 10, 100, 1_000, 4_096, 20_000],
    packets: [64, 100, 300, 1_150],
    sendBufferMax: 4_096 * KIB,
  },
  { streams: 100, writes: [0, 1, 100, 10_000], packets: [100, 1_150], sendBufferMax: 5_000 },
  { streams: 8, writes: [70_000, 300_000, 1_000_000], packets: [8_000, 60_000], sendBufferMax: 4_096 * KIB },
];
const KINDS = [
  'open',
  'write',
  'write',
  'write',
  'finish',
  'reset',
  'stop',
  'priority',
  'read',
  'read',
  'send',
  'send',
  'send',
  'arrive',
  'arrive',
  'arrive',
  'drop',
  'acknowledge',
  'acknowledge',
  'give up',
  'lose acknowledgements',
] as const;

interface Step {
  readonly kind: (typeof KINDS)[number];
  readonly side: boolean;
  readonly x: number;
  readonly y: number;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({ kind: fc.constantFrom(...KINDS), side: fc.boolean(), x: fc.nat(1_000), y: fc.nat(1_000) }),
  { minLength: 5, maxLength: 200, size: 'max' },
);

describe('two ends and a bad channel', () => {
  it.each([1, 2, 3])('agree with plain arrays over any sequence of calls and faults (seed %i)', (seed) => {
    fc.assert(
      fc.property(steps, fc.constantFrom(...LOADS), (sequence, load) => {
        const world = new World(load);
        world.open(world.a, 1);
        world.open(world.b, 2);
        for (const step of sequence) {
          world.step(step);
          world.check();
        }
        world.heal();
      }),
      { seed, numRuns: 1_500 },
    );
    expect(seed).toBeGreaterThan(0);
  });
});
