import { equal } from '../base/bytes.ts';
import { after, type Instant, MILLISECOND, SECOND } from '../base/time.ts';
import type { PeerStreamEvent } from '../transport/endpoint.ts';
import {
  DEFAULT_STREAM_CONFIG,
  OUT_OF_ORDER_RANGES_MAX,
  REFUSALS,
  type StreamConfig,
} from '../transport/streams/constants.ts';
import type { StreamState, StreamsState } from '../transport/streams/streams.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import { SimFailure } from './failure.ts';
import type { SeededRng } from './rng.ts';
import type { SimPeer, World } from './world.ts';

/**
 * Programs on every node that open streams to each other, write and read at their own pace, stop half way, and are turned away;
 * beside them the model that says what each may see. A stream has a number of its own in the whole world, which travels as its
 * source port, and every byte follows from that number and its offset.
 *
 * Checked at every event and read: what arrives is a prefix of what was written (I1), by the peer that wrote it (I2); FIN once and
 * after everything; nothing after a reset; a code is the one that was given. `check` holds both ends of each tunnel against each
 * other (I5, I7), `isOver` says when no stream is left (I11), and `checkEmpty` that none is remembered either (I9).
 */
export class StreamTraffic {
  readonly #world: World;
  readonly #rng: SeededRng;
  readonly #config: StreamConfig;
  readonly #streams: Map<number, Wire> = new Map();
  /** What a program holds in its hand, by node, peer and id. */
  readonly #ends: Map<string, End> = new Map();
  /** How many of a peer's tunnel events have been seen. */
  readonly #seen: Map<SimPeer, number> = new Map();
  readonly #limits: WeakMap<Tunnel, Map<string, number>> = new WeakMap();
  /** Suspended, and their programs with them. */
  readonly #asleep: Set<SimPeer> = new Set();
  #isWindingUp = false;
  #isTicking = false;
  #bytesRead = 0;
  #finished = 0;

  constructor(world: World, config: Partial<StreamConfig> = {}) {
    this.#world = world;
    this.#rng = world.network.rng('stream traffic');
    this.#config = { ...DEFAULT_STREAM_CONFIG, ...config };
  }

  get opened(): number {
    return this.#streams.size;
  }

  /** Directions whose reader was told that it has everything. */
  get finished(): number {
    return this.#finished;
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** No program holds a stream any more. */
  get isOver(): boolean {
    for (const peer of this.#world.peers) this.#hear(peer);
    return this.#ends.size === 0;
  }

  /** The streams that somebody still holds, for whoever has waited too long. */
  get left(): string {
    const describe = ({ peer, wire, out, into }: End): string =>
      `${peer.name} holds ${wire.number} (wrote ${out.written} of ${out.plan.total}, ${out.ended ?? 'goes on'}; read ${into.read}, ${into.outcome ?? 'waits'})`;
    return [...this.#ends.values()].map(describe).join('; ');
  }

  /** A node runs, for the first time or again: its programs have nothing in their hands. */
  started(peer: SimPeer): void {
    for (const [key, end] of this.#ends) if (end.peer === peer) this.#ends.delete(key);
    this.#seen.set(peer, peer.events.length);
    this.#asleep.delete(peer);
    for (const port of PORTS) peer.node.endpoint.listen(port, this.#rng.pick([1, 4, 128]));
    peer.onStream = (event) => this.#onEvent(peer, event);
  }

  sleeps(peer: SimPeer): void {
    this.#asleep.add(peer);
  }

  wakes(peer: SimPeer): void {
    this.#asleep.delete(peer);
  }

  /** A stream from one to the other, where the tunnel takes one. */
  open(from: SimPeer, to: SimPeer): boolean {
    this.#hear(from);
    if (this.#asleep.has(from)) return false;
    const { network } = this.#world;
    const number = this.#streams.size + 1;
    if (number > STREAMS_MAX) return false;
    const port = this.#rng.chance(0.05) ? DEAF_PORT : this.#rng.pick(PORTS);
    const priority = this.#rng.pick([0, 1, 2] as const);
    const ports = { source: number, destination: port };
    const id = from.node.endpoint.openStream(to.key, ports, priority, network.now);
    if (typeof id !== 'number') return false;
    const wire: Wire = {
      number,
      id,
      from,
      to,
      port,
      priority,
      forth: this.#draw(2 * number),
      back: this.#draw(2 * number + 1),
      turnedAway: undefined,
      wasOffered: false,
    };
    this.#streams.set(number, wire);
    const end = this.#take(wire, from, to, wire.forth, wire.back);
    if (this.#rng.chance(0.8)) this.#write(end);
    this.#keepTicking();
    network.touch(from.host);
    return true;
  }

  /** From now on everybody writes and reads as fast as it goes, and says when it is done. */
  windUp(): void {
    this.#isWindingUp = true;
    for (const end of this.#ends.values()) {
      end.reading = { kind: 'eager' };
      if (end.out.plan.ending === 'linger') end.out.plan.ending = 'finish';
    }
    this.#keepTicking();
  }

  #draw(salt: number): Direction {
    // A buffer is sent once a round trip, so a small one is given little.
    const most = Math.min(this.#rng.pick(SIZES), BUFFERS_MAX * this.#config.sendBufferMax);
    const total = this.#rng.below(most + 1);
    const ending = this.#rng.pick(ENDINGS);
    const pieceMax = this.#rng.pick([1, 700, 5_000, 64 * 1_024]);
    return {
      salt,
      // A byte at a time is slow, so of that only a little.
      plan: { total: pieceMax === 1 ? total % 200 : total, pieceMax, ending, isEager: this.#rng.chance(0.6) },
      written: 0,
      isWaiting: false,
      ended: undefined,
      resetCode: undefined,
      stopCode: undefined,
      read: 0,
      outcome: undefined,
    };
  }

  #drawReading(): Reading {
    if (this.#isWindingUp) return { kind: 'eager' };
    const kind = this.#rng.pick(['eager', 'eager', 'eager', 'slow', 'stalls', 'stops'] as const);
    if (kind === 'stalls') return { kind, until: after(this.#world.network.now, this.#rng.below(10 * SECOND)) };
    return kind === 'stops' ? { kind, at: this.#rng.below(50_000) } : { kind };
  }

  // What happens to a program.

  #onEvent(peer: SimPeer, event: PeerStreamEvent): void {
    this.#hear(peer);
    if (event.kind === 'streams-available') return;
    if (event.kind === 'opened') {
      this.#offered(peer, event);
      return;
    }
    const end = this.#ends.get(endKey(peer, event.peer, event.stream));
    if (end === undefined) throw new SimFailure(`I1: ${event.kind} for stream ${event.stream} that no program holds`);
    const { wire, out, into } = end;
    switch (event.kind) {
      case 'readable':
        if (end.reading.kind === 'eager' || end.reading.kind === 'stops') this.#read(end, false);
        return;
      case 'writable':
        if (!out.isWaiting) throw new SimFailure(`stream ${wire.number} is writable and nobody waits`);
        out.isWaiting = false;
        if (out.plan.isEager || this.#isWindingUp) this.#write(end);
        return;
      case 'finished':
        this.#conclude(end, 'finished');
        if (into.ended !== 'finish' || into.read !== into.written) {
          throw new SimFailure(`I1: FIN of ${wire.number} after ${into.read} of ${into.written} bytes`);
        }
        this.#finished++;
        return;
      case 'reset':
        this.#conclude(end, 'reset');
        this.#checkCode(wire, event.code, into.resetCode, 'reset');
        this.#expectNothing(end);
        return;
      case 'acknowledged':
        if (out.ended !== 'finish' || end.isOutDone) throw new SimFailure(`${wire.number} is acknowledged without FIN`);
        end.isOutDone = true;
        this.#checkArrived(end);
        return;
      case 'stopped':
        if (end.isOutDone) throw new SimFailure(`stream ${wire.number} is stopped after its end`);
        this.#checkCode(wire, event.code, out.stopCode, 'stop');
        end.isOutDone = true;
        // The machine answers with a reset of its own, of the same code; one that the program had said before stands.
        if (out.ended !== 'reset') out.resetCode = event.code;
        out.ended = 'reset';
        return;
      case 'closed':
        if (into.outcome === undefined || out.ended === undefined || !(end.isOutDone || out.ended === 'reset')) {
          throw new SimFailure(`stream ${wire.number} is closed before both sides have ended`);
        }
        this.#note(end, 'closed');
        this.#ends.delete(endKey(peer, event.peer, event.stream));
        return;
    }
  }

  #offered(peer: SimPeer, event: PeerStreamEvent & { readonly kind: 'opened' }): void {
    const { endpoint } = peer.node;
    const wire = this.#streams.get(event.sourcePort);
    const isTrue =
      wire !== undefined &&
      wire.to === peer &&
      wire.from.key === event.peer &&
      wire.id === event.stream &&
      wire.port === event.destinationPort &&
      wire.priority === event.priority;
    if (!isTrue) throw new SimFailure(`I2: stream ${event.sourcePort} was not opened by who it is said to be from`);
    if (wire.wasOffered) throw new SimFailure(`I4: stream ${wire.number} was opened twice`);
    wire.wasOffered = true;
    const { now } = this.#world.network;
    if (!this.#isWindingUp && this.#rng.chance(0.1)) {
      wire.turnedAway = REFUSALS.NO_LISTENER;
      endpoint.refuseStream(event.peer, event.stream, event.destinationPort, now);
      return;
    }
    endpoint.acceptStream(event.peer, event.stream, event.destinationPort, now);
    const end = this.#take(wire, peer, wire.from, wire.back, wire.forth);
    if (this.#rng.chance(0.5)) this.#write(end);
    this.#keepTicking();
  }

  #take(wire: Wire, peer: SimPeer, other: SimPeer, out: Direction, into: Direction): End {
    const end: End = {
      wire,
      peer,
      other,
      out,
      into,
      reading: this.#drawReading(),
      isOutDone: false,
    };
    if (this.#isWindingUp && out.plan.ending === 'linger') out.plan.ending = 'finish';
    this.#ends.set(endKey(peer, other.key, wire.id), end);
    this.#note(end, peer === wire.from ? 'open' : 'accept');
    return end;
  }

  /** Once, and never after the program has stopped. */
  #conclude(end: End, outcome: 'finished' | 'reset'): void {
    if (end.into.outcome !== undefined) {
      throw new SimFailure(`I1: ${outcome} of ${end.wire.number}, which was ${end.into.outcome} before`);
    }
    end.into.outcome = outcome;
    this.#note(end, outcome);
  }

  /** A code is what the other program said, or what its node says where no program was asked, or none would have it. */
  #checkCode(wire: Wire, code: number, said: number | undefined, what: string): void {
    if (code === said || code === wire.turnedAway) return;
    if (!wire.wasOffered && REFUSAL_CODES.includes(code)) {
      wire.turnedAway = code;
      return;
    }
    throw new SimFailure(`${what} of ${wire.number} came with code ${code}, and ${said ?? 'none'} was given`);
  }

  /** A tunnel takes its streams with it. */
  #hear(peer: SimPeer): void {
    let seen = this.#seen.get(peer) ?? 0;
    if (seen === peer.events.length) return;
    for (; seen < peer.events.length; seen++) {
      const event = peer.events[seen]!;
      if (event.kind !== 'tunnel-down') continue;
      for (const [key, end] of this.#ends) {
        if (end.peer !== peer || end.other.key !== event.peer) continue;
        this.#note(end, 'gone with its tunnel');
        this.#ends.delete(key);
      }
    }
    this.#seen.set(peer, seen);
  }

  // What a program does.

  #keepTicking(): void {
    if (this.#isTicking) return;
    this.#isTicking = true;
    this.#tickLater();
  }

  #tickLater(): void {
    const { network } = this.#world;
    const span = 20 * MILLISECOND + this.#rng.below(100 * MILLISECOND);
    network.at(after(network.now, span), () => this.#tick());
  }

  #tick(): void {
    for (const peer of this.#world.peers) this.#hear(peer);
    if (this.#ends.size === 0) {
      this.#isTicking = false;
      return;
    }
    for (const end of [...this.#ends.values()]) {
      // One that another's doing has ended in the meantime is nobody's any more.
      if (this.#ends.get(endKey(end.peer, end.other.key, end.wire.id)) !== end) continue;
      if (this.#asleep.has(end.peer)) continue;
      if (!end.out.isWaiting && (this.#isWindingUp || this.#rng.chance(0.5))) this.#write(end);
      const { reading } = end;
      if (reading.kind === 'slow' && this.#rng.chance(0.5)) this.#read(end, true);
      if (reading.kind === 'stalls' && reading.until <= this.#world.network.now) end.reading = { kind: 'eager' };
      if (end.reading !== reading || this.#isWindingUp) this.#read(end, false);
    }
    this.#tickLater();
  }

  #write(end: End): void {
    const { out, peer, other, wire } = end;
    const { now } = this.#world.network;
    const { plan } = out;
    if (out.ended !== undefined) return;
    while (out.written < plan.total) {
      const length = Math.min(1 + this.#rng.below(plan.pieceMax), plan.total - out.written);
      const taken = peer.node.endpoint.writeStream(other.key, wire.id, pattern(out.salt, out.written, length), now);
      if (taken === 'ended') {
        this.#checkEnded(end);
        return;
      }
      out.written += taken;
      out.isWaiting = taken < length;
      if (out.isWaiting || !(plan.isEager || this.#isWindingUp)) return;
    }
    if (plan.ending === 'finish') {
      out.ended = 'finish';
      peer.node.endpoint.finishStream(other.key, wire.id, now);
    } else if (plan.ending === 'reset') {
      out.ended = 'reset';
      out.resetCode = RESET_CODE + (wire.number % 97);
      peer.node.endpoint.resetStream(other.key, wire.id, out.resetCode, now);
    } else {
      return;
    }
    this.#note(end, `${plan.ending} at ${out.written}`);
  }

  #read(end: End, once: boolean): void {
    const { into, peer, other, wire } = end;
    const { now } = this.#world.network;
    if (into.outcome !== undefined) {
      this.#expectNothing(end);
      return;
    }
    for (;;) {
      if (end.reading.kind === 'stops' && into.read >= end.reading.at) {
        // A reset that came first, and is still to be told, is not told any more.
        into.outcome = 'stopped';
        into.stopCode = STOP_CODE + (wire.number % 89);
        this.#note(end, 'stop');
        peer.node.endpoint.stopStream(other.key, wire.id, into.stopCode, now);
        return;
      }
      const bytes = peer.node.endpoint.readStream(other.key, wire.id, now);
      if (bytes === undefined) return;
      if (bytes.length === 0) throw new SimFailure(`a read of ${wire.number} gave nothing`);
      if (into.read + bytes.length > into.written) throw new SimFailure(`I1: ${wire.number} has bytes nobody wrote`);
      if (!equal(bytes, pattern(into.salt, into.read, bytes.length))) {
        throw new SimFailure(`I1: bytes of ${wire.number} from ${into.read} on are others`);
      }
      into.read += bytes.length;
      this.#bytesRead += bytes.length;
      if (once) return;
    }
  }

  #expectNothing(end: End): void {
    const { peer, other, wire } = end;
    if (peer.node.endpoint.readStream(other.key, wire.id, this.#world.network.now) === undefined) return;
    throw new SimFailure(`I1: ${wire.number} has bytes after its end`);
  }

  /** A half that takes nothing more has been stopped or turned away, or its tunnel is over; the event may still come. */
  #checkEnded(end: End): void {
    const { peer, other, wire, out } = end;
    const hasReason = out.stopCode !== undefined || wire.turnedAway !== undefined || !wire.wasOffered;
    if (hasReason || peer.tunnelTo(other)?.isUsable !== true) return;
    throw new SimFailure(`stream ${wire.number} takes nothing more, and nobody ended it`);
  }

  /** What is acknowledged is there: the program at the other end has it or can read it. */
  #checkArrived(end: End): void {
    const { wire, out, other, peer } = end;
    const there = this.#ends.get(endKey(other, peer.key, wire.id));
    if (there?.wire !== wire || out.outcome !== undefined) return;
    const state = other
      .tunnelTo(peer)
      ?.streams.inspect()
      .streams.find(({ id }) => id === wire.id);
    const isThere =
      state === undefined || (state.received === out.written && state.taken + state.ready === out.written);
    if (!isThere) throw new SimFailure(`I1: ${wire.number} is acknowledged and not all there`);
  }

  // What must hold between two ends at any time.

  check(): void {
    for (const peer of this.#world.peers) {
      this.#hear(peer);
      for (const tunnel of peer.node.endpoint.tunnels) {
        const mine = tunnel.streams.inspect();
        this.#checkBounds(peer, tunnel, mine);
        const other = this.#world.peers.find(({ key }) => key === tunnel.key)!;
        const facing = other.tunnelTo(peer);
        if (facing === undefined || !areOne(tunnel, facing)) continue;
        this.#checkCredit(peer, mine, facing.streams.inspect());
      }
    }
  }

  /** I5, and limits that only rise. */
  #checkBounds(peer: SimPeer, tunnel: Tunnel, state: StreamsState): void {
    const limits = this.#limits.get(tunnel) ?? new Map<string, number>();
    this.#limits.set(tunnel, limits);
    const rises = (name: string, limit: number): void => {
      if (limit < (limits.get(name) ?? 0)) throw this.#world.fail(`I7: ${name} shrank to ${limit}`, peer);
      limits.set(name, limit);
    };
    rises('MAX_DATA', state.receiveLimit);
    rises('MAX_STREAMS', state.peerLimit);
    for (const stream of state.streams) {
      rises(`MAX_STREAM_DATA ${stream.id}`, stream.receiveLimit);
      if (!isBounded(stream, this.#config)) throw this.#world.fail(`I5: stream ${stream.id} outgrew its bound`, peer);
    }
    const isBeyond = state.sent > state.sendLimit || state.received > state.receiveLimit;
    if (isBeyond) throw this.#world.fail('I7: more than the tunnel was allowed', peer);
  }

  /** I7: what is believed of the peer's limits is at most what the peer has given; it has no more than was sent. */
  #checkCredit(peer: SimPeer, mine: StreamsState, theirs: StreamsState): void {
    const isKept = mine.sendLimit <= theirs.receiveLimit && theirs.received <= mine.sent;
    if (!isKept || mine.openLimit > theirs.peerLimit) throw this.#world.fail('I7: credit that nobody gave', peer);
    for (const stream of mine.streams) {
      const there = theirs.streams.find(({ id }) => id === stream.id);
      if (there === undefined) continue;
      if (stream.sendLimit > there.receiveLimit || there.received > stream.sent) {
        throw this.#world.fail(`I7: stream ${stream.id} has credit or bytes that nobody gave`, peer);
      }
    }
  }

  /** I9: with no stream in anybody's hand, no tunnel remembers one. Late acknowledgements get a moment. */
  checkEmpty(): void {
    for (const peer of this.#world.peers) {
      for (const tunnel of peer.node.endpoint.tunnels) {
        const { streams, ready, received, taken, peerAlive } = tunnel.streams.inspect();
        if (streams.length + ready + peerAlive > 0 || received !== taken) {
          throw this.#world.fail(`I9: ${streams.length} streams, ${received - taken} bytes are left`, peer);
        }
      }
    }
  }

  #note(end: End, text: string): void {
    this.#world.network.note(end.peer.name, `stream ${end.wire.number} ${text}`);
  }
}

const PORTS: readonly number[] = [80, 81, 82];
const DEAF_PORT = 9;
const STREAMS_MAX = 65_535;
const SIZES: readonly number[] = [0, 100, 3_000, 3_000, 20_000, 60_000, 300_000];
const BUFFERS_MAX = 300;
const ENDINGS = ['finish', 'finish', 'finish', 'finish', 'reset', 'linger'] as const;
/** Above every code that a node gives by itself. */
const RESET_CODE = 10_000;
const STOP_CODE = 20_000;
const REFUSAL_CODES: readonly number[] = Object.values(REFUSALS);

/** One stream of the world. */
interface Wire {
  readonly number: number;
  readonly id: number;
  readonly from: SimPeer;
  readonly to: SimPeer;
  readonly port: number;
  readonly priority: 0 | 1 | 2;
  readonly forth: Direction;
  readonly back: Direction;
  /** The code with which it was refused. */
  turnedAway: number | undefined;
  wasOffered: boolean;
}

/** The model of one direction: what its writer has said and what its reader has heard. */
interface Direction {
  readonly salt: number;
  readonly plan: {
    readonly total: number;
    readonly pieceMax: number;
    ending: (typeof ENDINGS)[number];
    readonly isEager: boolean;
  };
  written: number;
  /** Not everything was taken, and `writable` has not come yet. */
  isWaiting: boolean;
  ended: 'finish' | 'reset' | undefined;
  resetCode: number | undefined;
  stopCode: number | undefined;
  read: number;
  outcome: 'finished' | 'reset' | 'stopped' | undefined;
}

type Reading =
  | { readonly kind: 'eager' | 'slow' }
  | { readonly kind: 'stalls'; readonly until: Instant }
  | { readonly kind: 'stops'; readonly at: number };

/** A stream in the hand of a program. */
interface End {
  readonly wire: Wire;
  readonly peer: SimPeer;
  readonly other: SimPeer;
  readonly out: Direction;
  readonly into: Direction;
  reading: Reading;
  /** Acknowledged or stopped: told. */
  isOutDone: boolean;
}

function endKey(peer: SimPeer, other: string, id: number): string {
  return `${peer.name} ${other} ${id}`;
}

function isBounded(stream: StreamState, config: StreamConfig): boolean {
  return (
    stream.buffered <= config.sendBufferMax &&
    stream.sent <= stream.sendLimit &&
    stream.sent <= stream.written &&
    stream.received <= stream.receiveLimit &&
    stream.receiveLimit <= stream.taken + stream.window &&
    stream.ranges <= OUT_OF_ORDER_RANGES_MAX + 1
  );
}

/** Two ends of the same tunnel: they share a session. */
function areOne(a: Tunnel, b: Tunnel): boolean {
  const theirs = b.inspect().sessions;
  return a
    .inspect()
    .sessions.some((mine) =>
      theirs.some(({ localId, remoteId }) => localId === mine.remoteId && remoteId === mine.localId),
    );
}

/** `length` bytes of the direction with this salt, from `offset` on; they are never written to. */
function pattern(salt: number, offset: number, length: number): Uint8Array {
  const start = (salt * 7_919 + offset) % PATTERN_PERIOD;
  return PATTERN.subarray(start, start + length);
}

/** Prime, so that no power of two lines up with it. */
const PATTERN_PERIOD = 65_521;
const PATTERN: Uint8Array = Uint8Array.from(
  { length: PATTERN_PERIOD + 2 * 65_536 },
  (_, i) => ((i % PATTERN_PERIOD) * 31 + ((i % PATTERN_PERIOD) >> 8) * 7) & 0xff,
);
