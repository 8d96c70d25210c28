import { equal } from '../base/bytes.ts';
import { after, MILLISECOND } from '../base/time.ts';
import type { PeerStreamEvent } from '../transport/endpoint.ts';
import { REFUSALS } from '../transport/streams/constants.ts';
import type { StreamsState, UnreadStream } from '../transport/streams/streams.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import { StreamLimits } from './checks/stream-limits.ts';
import { SimFailure } from './failure.ts';
import type { Happenings } from './happenings.ts';
import type { SeededRng } from './rng.ts';
import { type Direction, describe, direction, type End, type Plan, pattern, type Wire } from './stream-model.ts';
import { type Manner, StreamPlanner, streamConfigOf } from './stream-plan.ts';
import type { SimPeer, World } from './world.ts';

/** What a reader leaves in memory that it gives back: whoever reads it there as a stream's bytes is found out. */
const GIVEN_BACK = 0xdd;

/**
 * Programs on every node that open streams to each other, take them at once or late, write and read at their own pace, stop half
 * way, and are turned away; beside them the model that says what each may see. A stream has a number of its own in the whole
 * world, which travels as its source port, and every byte follows from that number and its offset.
 *
 * Checked at every event and read: what arrives is a prefix of what was written (I1), by the peer that wrote it (I2); FIN once and
 * after everything; nothing after a reset; a code is the one that was given. `check` holds both ends of each tunnel against each
 * other (I1, I5, I7), `isOver` says when no stream is left (I11), and `checkEmpty` that none is remembered either (I9).
 */
export class StreamTraffic {
  readonly #world: World;
  readonly #rng: SeededRng;
  readonly #planner: StreamPlanner;
  readonly #happenings: Happenings;
  readonly #onGulp: TrafficOptions['onGulp'];
  readonly #streams: Map<number, Wire> = new Map();
  /** What a program holds in its hand, by node, peer and id. */
  readonly #ends: Map<string, End> = new Map();
  /** How many of a peer's tunnel events have been seen. */
  readonly #seen: Map<SimPeer, number> = new Map();
  readonly #limits: StreamLimits = new StreamLimits();
  /** Streams that wait for a program to take them. */
  readonly #offers: Set<Offer> = new Set();
  /** Suspended, and their programs with them. */
  readonly #asleep: Set<SimPeer> = new Set();
  #isWindingUp = false;
  #isResting = false;
  #isTicking = false;
  #bytesRead = 0;
  #finished = 0;

  constructor(world: World, options: TrafficOptions) {
    this.#world = world;
    this.#rng = world.network.rng('stream traffic');
    this.#planner = new StreamPlanner(this.#rng, options.manner);
    this.#happenings = options.happenings;
    this.#onGulp = options.onGulp;
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

  /** No program holds a stream any more, or could take one. */
  get isOver(): boolean {
    for (const peer of this.#world.peers) this.#hear(peer);
    return this.#isIdle;
  }

  get #isIdle(): boolean {
    return this.#ends.size + this.#offers.size === 0;
  }

  /** The streams that somebody still holds, for whoever has waited too long. */
  get left(): string {
    return [...this.#ends.values()].map(describe).join('; ');
  }

  /** A node runs, for the first time or again: its programs have nothing in their hands. */
  started(peer: SimPeer): void {
    for (const [key, end] of this.#ends) if (end.peer === peer) this.#ends.delete(key);
    for (const offer of this.#offers) if (offer.peer === peer) this.#offers.delete(offer);
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

  /** Nobody does anything until `goesOn`. */
  rests(): void {
    this.#isResting = true;
  }

  goesOn(): void {
    this.#isResting = false;
    this.#keepTicking();
  }

  /** A program of the one opens streams to the other, a few or many. */
  open(from: SimPeer, to: SimPeer): void {
    for (let left = this.#planner.opens(); left > 0; left--) {
      const port = this.#rng.chance(0.05) ? DEAF_PORT : this.#rng.pick(PORTS);
      const priority = this.#rng.pick([0, 1, 2] as const);
      const end = this.#open({ from, to, port, priority }, () => ({
        forth: this.#planner.forth(from, to),
        back: this.#planner.back(to),
      }));
      if (end === undefined) return;
      // What is written at once rides with the opening.
      if (this.#rng.chance(0.8)) this.#write(end);
      this.#world.network.touch(from.host);
    }
  }

  /** A short stream that nothing stands in the way of; `undefined` where the tunnel takes none now. */
  openPlain(from: SimPeer, to: SimPeer, port: number): Wire | undefined {
    const end = this.#open({ from, to, port, priority: 1 }, () => ({ forth: PLAIN, back: PLAIN }));
    if (end === undefined) return undefined;
    this.#write(end);
    this.#world.network.touch(from.host);
    return end.wire;
  }

  #open(
    options: Pick<Wire, 'from' | 'to' | 'port' | 'priority'>,
    draw: () => { readonly forth: Plan; readonly back: Plan },
  ): End | undefined {
    const { from, to, port, priority } = options;
    this.#hear(from);
    const number = this.#streams.size + 1;
    if (this.#asleep.has(from) || number > STREAMS_MAX) return undefined;
    const ports = { source: number, destination: port };
    const id = from.node.endpoint.openStream(to.key, ports, priority, this.#world.network.now);
    if (typeof id !== 'number') {
      if (id === 'stream-limit') this.#happenings.add('stream limit');
      return undefined;
    }
    this.#happenings.add(`priority ${priority}`);
    const plans = draw();
    const forth = direction(2 * number, plans.forth);
    const back = direction(2 * number + 1, plans.back);
    const wire: Wire = {
      number,
      id,
      from,
      to,
      port,
      priority,
      forth,
      back,
      turnedAway: undefined,
      wasOffered: false,
      isTaken: false,
      isTakingTold: false,
    };
    this.#streams.set(number, wire);
    this.#keepTicking();
    return this.#take(wire, from, to, forth, back);
  }

  /** From now on everybody takes, writes and reads as fast as it goes, and says when it is done. */
  windUp(): void {
    this.#isWindingUp = true;
    for (const end of this.#ends.values()) {
      end.reading = { kind: 'eager' };
      if (end.out.plan.ending === 'linger') end.out.plan.ending = 'finish';
    }
    this.#keepTicking();
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
      case 'accepted':
        if (peer !== wire.from || !wire.isTaken || wire.isTakingTold) {
          throw new SimFailure(`${wire.number} is told to be taken, and it is not, or was told before`);
        }
        wire.isTakingTold = true;
        return;
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
        this.#happenings.add('finished');
        if (out.ended === undefined && out.written < out.plan.total) this.#happenings.add('half-closed');
        return;
      case 'reset':
        this.#conclude(end, 'reset');
        this.#happenings.add('reset');
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
        this.#happenings.add('stopped');
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
    if (!this.#isWindingUp && this.#rng.chance(0.1)) {
      wire.turnedAway = REFUSALS.NO_LISTENER;
      this.#happenings.add('turned away');
      peer.node.endpoint.refuseStream(event.peer, event.stream, event.destinationPort, this.#world.network.now);
      return;
    }
    const offer: Offer = { wire, peer };
    if (!this.#isWindingUp && this.#rng.chance(0.2)) {
      this.#happenings.add('taken late');
      this.#offers.add(offer);
      this.#keepTicking();
      return;
    }
    this.#accept(offer);
  }

  #accept({ wire, peer }: Offer): void {
    wire.isTaken = true;
    peer.node.endpoint.acceptStream(wire.from.key, wire.id, wire.port, this.#world.network.now);
    const end = this.#take(wire, peer, wire.from, wire.back, wire.forth);
    if (this.#rng.chance(0.5)) this.#write(end);
    this.#keepTicking();
  }

  #take(wire: Wire, peer: SimPeer, other: SimPeer, out: Direction, into: Direction): End {
    const { now } = this.#world.network;
    const reading = this.#isWindingUp ? EAGER : this.#planner.reading(into.plan, now);
    const end: End = { wire, peer, other, out, into, reading, isOutDone: false };
    if (this.#isWindingUp && out.plan.ending === 'linger') out.plan.ending = 'finish';
    if (reading.kind === 'slow') this.#happenings.add('slow reader');
    if (reading.kind === 'stalls') this.#happenings.add('stalled reader');
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
    if (!wire.wasOffered && REFUSAL_OF.has(code)) {
      wire.turnedAway = code;
      this.#happenings.add(REFUSAL_OF.get(code)!);
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
      for (const unread of event.unread) this.#takeUnread(peer, event.peer, unread);
      for (const [key, end] of this.#ends) {
        if (end.peer !== peer || end.other.key !== event.peer) continue;
        this.#note(end, 'gone with its tunnel');
        this.#ends.delete(key);
        if (end.into.outcome === undefined) this.#planner.missed(end.into.plan);
      }
      for (const offer of this.#offers) {
        if (offer.peer === peer && offer.wire.from.key === event.peer) this.#offers.delete(offer);
      }
    }
    this.#seen.set(peer, seen);
  }

  /** What had arrived when the tunnel ended, and the FIN if it had: told with its end, since nobody can read there any more. */
  #takeUnread(peer: SimPeer, other: string, { stream, data, isWhole }: UnreadStream): void {
    const end = this.#ends.get(endKey(peer, other, stream));
    if (end === undefined || end.into.outcome !== undefined) {
      throw new SimFailure(`I1: bytes of stream ${stream} are left, and nobody reads it`);
    }
    this.#happenings.add('left unread');
    for (const bytes of data) this.#receive(end, bytes);
    const { wire, into } = end;
    if (!isWhole) return;
    if (into.ended !== 'finish' || into.read !== into.written) {
      throw new SimFailure(`I1: ${wire.number} is whole with ${into.read} of ${into.written} bytes`);
    }
    this.#conclude(end, 'finished');
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
    if (this.#isIdle || this.#isResting) {
      this.#isTicking = false;
      return;
    }
    for (const offer of [...this.#offers]) {
      if (this.#asleep.has(offer.peer) || !(this.#isWindingUp || this.#rng.chance(0.1))) continue;
      this.#offers.delete(offer);
      this.#accept(offer);
    }
    for (const end of [...this.#ends.values()]) {
      // One that another's doing has ended in the meantime is nobody's any more.
      if (this.#ends.get(endKey(end.peer, end.other.key, end.wire.id)) !== end) continue;
      if (!this.#asleep.has(end.peer)) this.#act(end);
    }
    this.#tickLater();
  }

  #act(end: End): void {
    if (!end.out.isWaiting && (this.#isWindingUp || this.#rng.chance(0.5))) this.#write(end);
    if (this.#isWindingUp) {
      this.#read(end, false);
      return;
    }
    const { now } = this.#world.network;
    const { reading } = end;
    if (reading.kind === 'slow' && this.#rng.chance(0.5)) this.#read(end, true);
    if (reading.kind === 'stalls' && reading.until <= now) {
      end.reading = EAGER;
      this.#read(end, false);
    }
    if (reading.kind === 'gulps' && reading.until <= now) {
      end.reading = { kind: 'gulps', until: this.#planner.nextGulp(now) };
      this.#gulp(end);
    }
    if (this.#rng.chance(0.02)) {
      this.#happenings.add('priority change');
      end.peer.tunnelTo(end.other)?.streams.setPriority(end.wire.id, this.#rng.pick([0, 1, 2] as const));
    }
  }

  /** Or it has enough, while the writer has no credit left: what tells the writer so is all that it will ever hear. */
  #gulp(end: End): void {
    this.#happenings.add('gulp');
    this.#onGulp?.(end.peer, end.other);
    if (this.#rng.chance(0.25)) end.reading = { kind: 'stops', at: end.into.read };
    this.#read(end, false);
  }

  /** All who are to gulp do so now. */
  gulp(): void {
    for (const end of this.#ends.values()) {
      if (end.reading.kind === 'gulps' && !this.#asleep.has(end.peer)) this.#gulp(end);
    }
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
      if (out.isWaiting) this.#happenings.add('writer waits');
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
      this.#receive(end, bytes);
      bytes.fill(GIVEN_BACK);
      peer.node.endpoint.giveBack(bytes);
      if (once) return;
    }
  }

  /** I1: the next of what was written, and nothing else. */
  #receive({ wire, into }: End, bytes: Uint8Array): void {
    if (bytes.length === 0) throw new SimFailure(`a read of ${wire.number} gave nothing`);
    if (into.read + bytes.length > into.written) throw new SimFailure(`I1: ${wire.number} has bytes nobody wrote`);
    if (!equal(bytes, pattern(into.salt, into.read, bytes.length))) {
      throw new SimFailure(`I1: bytes of ${wire.number} from ${into.read} on are others`);
    }
    into.read += bytes.length;
    this.#bytesRead += bytes.length;
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
        this.#limits.check(tunnel, mine, streamConfigOf(peer));
        this.#noteUsedUp(mine);
        const other = this.#world.peers.find(({ key }) => key === tunnel.key)!;
        const facing = other.tunnelTo(peer);
        if (facing !== undefined && areOne(tunnel, facing)) this.#limits.checkBoth(mine, facing.streams.inspect());
      }
    }
  }

  #noteUsedUp({ sent, sendLimit, streams }: StreamsState): void {
    if (sent === sendLimit) this.#happenings.add('tunnel window used up');
    this.#happenings.add('stream window used up', streams.filter((stream) => stream.sent === stream.sendLimit).length);
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

export interface TrafficOptions {
  readonly manner: Manner;
  readonly happenings: Happenings;
  /** A reader is about to take a whole window at once, and to say so in one message. */
  readonly onGulp?: (reader: SimPeer, writer: SimPeer) => void;
}

/** A stream that a node has been offered, and no program has taken yet. */
interface Offer {
  readonly wire: Wire;
  readonly peer: SimPeer;
}

export const PORTS: readonly number[] = [80, 81, 82];
const DEAF_PORT = 9;
const STREAMS_MAX = 65_535;
const EAGER = { kind: 'eager' } as const;
const PLAIN: Plan = { total: 100, pieceMax: 100, ending: 'finish', isEager: true, isGulped: false };
/** Above every code that a node gives by itself. */
const RESET_CODE = 10_000;
const STOP_CODE = 20_000;
const REFUSAL_OF: ReadonlyMap<number, 'NO_LISTENER' | 'BACKLOG_FULL' | 'LIMIT'> = new Map(
  (['NO_LISTENER', 'BACKLOG_FULL', 'LIMIT'] as const).map((name) => [REFUSALS[name], name]),
);

function endKey(peer: SimPeer, other: string, id: number): string {
  return `${peer.name} ${other} ${id}`;
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
