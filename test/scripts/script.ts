import { expect } from 'vitest';
import { assert } from '../../base/assert.ts';
import { compare, concat, toHex } from '../../base/bytes.ts';
import { randomBytes } from '../../base/rng.ts';
import type { Instant } from '../../base/time.ts';
import { instant, MILLISECOND, SECOND } from '../../base/time.ts';
import { opensslBackend as crypto } from '../../crypto/openssl.ts';
import { SeededRng } from '../../sim/rng.ts';
import type { TunnelConfig } from '../../transport/constants.ts';
import { Endpoint } from '../../transport/endpoint.ts';
import { InitiatorHandshake } from '../../transport/handshake.ts';
import { type DirectRoute, directRoute } from '../../transport/route.ts';
import { Session } from '../../transport/session.ts';
import { DEFAULT_STREAM_CONFIG, STREAMS_INITIAL, type StreamConfig } from '../../transport/streams/constants.ts';
import type { StreamState, StreamsState } from '../../transport/streams/streams.ts';
import type { CloseCode } from '../../wire/close-codes.ts';
import { isDecodeError } from '../../wire/decode-error.ts';
import { decodeFrames } from '../../wire/frame-reader.ts';
import { type Frame, isAckEliciting, type Priority } from '../../wire/frames.ts';
import { DATA_HEADER_BYTES, DATA_OVERHEAD_BYTES, decodePacket, TAG_BYTES, TYPE_DATA } from '../../wire/packet.ts';
import { encodeFrames, makeSelf, type Self } from '../security/hostile.ts';
import { ack, differences, type FrameSpec, maxStreamData, pattern, streamOpen, textOf, textOfSpec } from './frames.ts';

/**
 * Tests that read as packet traces, in the manner of packetdrill: one real endpoint with a live tunnel, its peer played by the
 * script, and a clock that moves only as the script says.
 *
 *     const t = Script.open({ rtt: 100 });
 *     t.recv(at(0), [streamOpen({ stream: 1 }), streamData({ stream: 1, length: 5 })]);
 *     t.expectSend(at(0), [ack([[0, 1]]), reset({ stream: 1, code: 10, finalSize: 0 }), stop({ stream: 1, code: 10 })]);
 *     t.expectSilence(until(325));
 *
 * Time is in milliseconds and 0 is when the tunnel came up. The peer shook hands by the book `rtt` before; that is the endpoint's
 * first RTT sample, unless `rtt` is 'unknown'. Number 0 of each side is gone by then: the peer's PING that confirmed the session
 * and the endpoint's ACK of it. So the peer's first packet in a script has number 1, and so has the endpoint's.
 *
 * The endpoint has the lower key unless told otherwise: it opens streams 0, 2, 4 …, its peer 1, 3, 5 …
 *
 * What the endpoint sends must be expected, packet by packet and to the microsecond, before the script goes on; `take` passes over
 * what is not the subject. An expected frame names what it cares for (frames.ts); everything named must be equal. Whether nothing
 * *more* is sent at an instant shows with the next step.
 * Initiations from outside, which follow the second unanswered probe, are on the trace and are not expected.
 *
 * The bytes of a stream are a pattern of their offset. Either side's are made by length, and checked wherever they come out.
 *
 * The peer never acts by itself: it acknowledges only when told, by number, by range, or all that was not dropped (`ackAll`,
 * `drop`). Where a transfer is only the way to the subject, `carry` plays an obliging peer for a while.
 */
export class Script {
  readonly endpoint: Endpoint;
  readonly #options: Required<Pick<ScriptOptions, 'rtt' | 'opens'>>;
  readonly #peer: Self;
  readonly #key: string;
  readonly #rng: SeededRng;
  readonly #self: Self;
  #session: Session;
  readonly #trace: string[] = [];
  /** Sent and not yet expected. */
  readonly #waiting: SentPacket[] = [];
  readonly #sent: Map<number, SentPacket> = new Map();
  readonly #dropped: Set<number> = new Set();
  readonly #events: ScriptEvent[] = [];
  readonly #written: Map<number, number> = new Map();
  readonly #read: Map<number, number> = new Map();
  #now: Instant = instant(10 * SECOND);
  #start: Instant = this.#now;
  #nextNumber = 0;

  private constructor(options: ScriptOptions) {
    const { rtt = 100, opens = 'even', config = {}, streams = {}, trusts = () => true, seed = 1 } = options;
    this.#options = { rtt, opens };
    this.#rng = new SeededRng(seed);
    const [lower, higher] = selves();
    const self = opens === 'even' ? lower : higher;
    this.#self = self;
    this.#peer = opens === 'even' ? higher : lower;
    this.#key = toHex(this.#peer.identity.signing.publicKey);
    this.endpoint = new Endpoint(
      {
        crypto,
        rng: new SeededRng(seed + 1),
        identity: self.identity,
        record: self.record,
        admit: () => true,
        admitStream: (_record, port) => trusts(port),
        config: { ...config, streams: { ...DEFAULT_STREAM_CONFIG, peerStreamsMax: STREAMS_INITIAL, ...streams } },
      },
      this.#now,
    );
    this.#session = this.#comeUp();
  }

  static open(options: ScriptOptions = {}): Script {
    return new Script(options);
  }

  /**
   * With stream 1, which the peer opened and the endpoint has taken, and all acknowledged. The endpoint's next packet has number 2,
   * its peer's 3. The answer to this, at time 0, is the first RTT sample.
   */
  static accepted(options: ScriptOptions = {}): Script {
    const { rtt = 100 } = options;
    const t = new Script({ ...options, rtt: 'unknown' });
    t.app(0, (app) => app.listen());
    t.recv(0, [streamOpen({ stream: 1 })], { taking: 1 });
    t.expectSend(0, [ack([[0, 1]]), maxStreamData(1)]);
    t.expectEvent('opened', { stream: 1 });
    assert(rtt !== 'unknown', 'a stream that was taken has been a round trip');
    t.#advance(rtt);
    t.#start = t.#now;
    t.ack(0, [[0, 1]]);
    return t;
  }

  // What happens to the endpoint.

  /**
   * One packet with these frames; its number is the next one unless it is named. A program that takes a stream as soon as it hears
   * of it (`taking`) does so before the answer goes out.
   */
  recv(at: number, frames: readonly FrameSpec[], options: RecvOptions = {}): void {
    this.#reach(at);
    const number = options.number ?? this.#nextNumber;
    if (number === this.#nextNumber) this.#nextNumber += 1;
    this.#log('<', number, frames.map(textOfSpec).join(', '));
    const bytes = this.#seal(encodeFrames(...frames.map(({ frame }) => frame)), number);
    this.endpoint.handleDatagram(routeFrom(options.from ?? 0), bytes, this.#now);
    if (options.taking !== undefined) this.#app.accept(options.taking);
    this.#drain();
  }

  /** One packet with any bytes for frames. */
  recvBytes(at: number, plaintext: Uint8Array): void {
    this.#reach(at);
    const number = this.#nextNumber++;
    this.#log('<', number, `bytes ${toHex(plaintext)}`);
    this.#feed(plaintext, number, routeFrom(0));
  }

  /** The peer acknowledges these packets: numbers, or ranges from and to. */
  ack(at: number, what: readonly (number | Range)[], options: { readonly delay?: number } = {}): void {
    const ranges = what.map((one): Range => (typeof one === 'number' ? [one, one] : one));
    this.recv(at, [ack(ranges, { delay: 0, ...options })]);
  }

  /** The peer acknowledges all that it was sent until now, but what was dropped. What is sent meanwhile is not looked at. */
  ackAll(at: number): void {
    this.take(at);
    const ranges: Range[] = [];
    for (let number = 0; number <= this.lastNumber; number++) {
      if (this.#dropped.has(number) || (number > 0 && !this.#sent.has(number))) continue;
      const last = ranges.at(-1);
      if (last?.[1] === number - 1) ranges[ranges.length - 1] = [last[0], number];
      else ranges.push([number, number]);
    }
    this.recv(at, [ack(ranges, { delay: 0 })]);
  }

  /** These packets of the endpoint never reach its peer: `ackAll` leaves them out. */
  drop(...numbers: readonly number[]): void {
    for (const number of numbers) this.#dropped.add(number);
  }

  /** An obliging peer: acknowledges everything every `every` ms, until nothing that asks for an ACK comes any more. */
  carry(from: number, every: number, most = 100): number {
    let time = from;
    for (let round = 0; round < most; round++) {
      const asked = this.take(time).some(({ asksForAck }) => asksForAck);
      if (!asked && round > 0) return time;
      this.ackAll(time);
      time += every;
    }
    return this.#fail(`all is acknowledged after ${most} rounds`, 'more was sent');
  }

  /** A program writes so many packets' worth to the stream, and all of them go out at once; gives their numbers. */
  fill(at: number, packets: number, stream = 1): number[] {
    this.app(at, (app) => app.write(stream, packets * FILLING));
    const sent = this.take(at).map(({ number }) => number);
    this.expect('packets sent at once', sent.length, packets);
    return sent;
  }

  /** The peer comes again after its tunnel has ended, as if it had lost its state; time and numbers begin anew. */
  comeAgain(): void {
    this.#comeUp();
  }

  /** Several packets in one read of the socket, each with these frames. */
  recvTogether(at: number, packets: readonly (readonly FrameSpec[])[]): void {
    this.#reach(at);
    const sealed = packets.map((frames) => {
      const number = this.#nextNumber++;
      this.#log('<', number, frames.map(textOfSpec).join(', '));
      return this.#seal(encodeFrames(...frames.map(({ frame }) => frame)), number);
    });
    this.endpoint.handleDatagram(routeFrom(0), concat(...sealed), this.#now);
    this.#drain();
  }

  /** What a program does. */
  app<T>(at: number, work: (app: App) => T): T {
    this.#reach(at);
    const result = work(this.#app);
    this.#drain();
    return result;
  }

  // What is expected of it.

  /** Exactly these packets next, all of them at that time; gives the first. */
  expectSend(at: number, ...packets: readonly (readonly FrameSpec[])[]): SentPacket {
    this.#advance(at);
    const text = (specs: readonly FrameSpec[]): string => `${time(at)} > ${specs.map(textOfSpec).join(', ')}`;
    let first: SentPacket | undefined;
    for (const specs of packets) {
      const packet = this.#waiting.shift();
      if (packet === undefined) return this.#fail(text(specs), 'nothing');
      if (packet.at !== at) return this.#fail(text(specs), packet.text);
      const frames = packet.frames.filter((frame) => frame.kind !== 'padding' || specs.some(isPadding));
      const reasons = specs.flatMap((spec, index) => differences(spec, frames[index]));
      if (frames.length > specs.length) reasons.push(`${textOf(frames[specs.length]!)} is too much`);
      if (reasons.length > 0) return this.#fail(text(specs), `${packet.text}\n  ${reasons.join('\n  ')}`);
      first ??= packet;
    }
    assert(first !== undefined, 'something is expected');
    return first;
  }

  /** Nothing is sent before that time. */
  expectSilence(until: number): void {
    this.#advance(until - 0.001);
    const [packet] = this.#waiting;
    if (packet !== undefined) this.#fail(`silence until ${time(until)}`, packet.text);
  }

  /** Everything sent up to and including that time; none of it need be expected any more. */
  take(at: number): SentPacket[] {
    this.#advance(at);
    return this.#waiting.splice(0);
  }

  /** The next event of that kind, those before it passed over, says what is named. */
  expectEvent(kind: ScriptEvent['kind'], named: Readonly<Record<string, unknown>> = {}): ScriptEvent {
    const index = this.#events.findIndex((event) => event.kind === kind);
    if (index < 0) return this.#fail(`event ${kind} ${JSON.stringify(named)}`, this.#events.map(eventText).join(', '));
    const event = this.#events[index]!;
    this.#events.splice(0, index + 1);
    for (const [key, value] of Object.entries(named)) {
      if (event[key] !== value) this.#fail(`event ${kind} ${JSON.stringify(named)}`, eventText(event));
    }
    return event;
  }

  /** Nothing of that kind, or nothing at all, waits to be told. */
  expectNoEvent(kind?: ScriptEvent['kind']): void {
    const event = this.#events.find((one) => kind === undefined || one.kind === kind);
    if (event !== undefined) this.#fail(`no event ${kind ?? ''}`, eventText(event));
  }

  expectClosed(code: CloseCode): void {
    const event = this.expectEvent('tunnel-down');
    const reason = event.reason as { kind: string; code: string };
    if (reason.kind !== 'closed' || reason.code !== code) this.#fail(`closed with ${code}`, eventText(event));
  }

  /** A question about the present; where it fails the trace is shown. */
  expect<T>(what: string, actual: T, wanted: T): void {
    try {
      expect(actual).toEqual(wanted);
    } catch {
      this.#fail(`${what}: ${JSON.stringify(wanted)}`, JSON.stringify(actual));
    }
  }

  // What tests may ask.

  get lastNumber(): number {
    return Math.max(-1, ...this.#sent.keys());
  }

  /** The congestion window, in bytes. */
  get window(): number {
    return this.endpoint.tunnel(this.#key)!.congestion!.window;
  }

  get isSlowStart(): boolean {
    return this.endpoint.tunnel(this.#key)!.congestion!.isStartup;
  }

  get state(): string | undefined {
    return this.endpoint.tunnel(this.#key)?.state;
  }

  get streams(): StreamsState {
    return this.endpoint.tunnel(this.#key)!.streams.inspect();
  }

  stream(id: number): StreamState | undefined {
    return this.streams.streams.find((stream) => stream.id === id);
  }

  packet(number: number): SentPacket {
    const packet = this.#sent.get(number);
    return packet ?? this.#fail(`packet ${number}`, 'it was never sent');
  }

  /** All packets sent since the tunnel came up. */
  get allSent(): SentPacket[] {
    return [...this.#sent.values()];
  }

  get trace(): string {
    return this.#trace.slice(-TRACE_LINES).join('\n');
  }

  // How it is done.

  readonly #app: App = {
    listen: (port = 80, backlog) => void this.endpoint.listen(port, backlog),
    open: ({ port = 80, from = 5_000, priority = 1 } = {}) => {
      const id = this.endpoint.openStream(this.#key, { source: from, destination: port }, priority, this.#now);
      this.#log('app', undefined, `open ${id}`);
      return id;
    },
    accept: (stream, port = 80) => {
      this.#log('app', undefined, `accept ${stream}`);
      this.endpoint.acceptStream(this.#key, stream, port, this.#now);
    },
    refuse: (stream, port = 80) => {
      this.#log('app', undefined, `refuse ${stream}`);
      this.endpoint.refuseStream(this.#key, stream, port, this.#now);
    },
    write: (stream, length) => {
      const from = this.#written.get(stream) ?? 0;
      const taken = this.endpoint.writeStream(this.#key, stream, pattern(from, length), this.#now);
      if (taken !== 'ended') this.#written.set(stream, from + taken);
      this.#log('app', undefined, `write ${stream}: ${taken} of ${length}`);
      return taken;
    },
    read: (stream, most = Number.POSITIVE_INFINITY) => {
      const from = this.#read.get(stream) ?? 0;
      let length = 0;
      while (length < most) {
        const bytes = this.endpoint.readStream(this.#key, stream, this.#now);
        if (bytes === undefined) break;
        this.expect(`bytes read at ${from + length}`, toHex(bytes), toHex(pattern(from + length, bytes.length)));
        length += bytes.length;
      }
      this.#read.set(stream, from + length);
      this.#log('app', undefined, `read ${stream}: ${length}`);
      return length;
    },
    readText: (stream) => {
      const bytes = this.endpoint.readStream(this.#key, stream, this.#now);
      return bytes && new TextDecoder().decode(bytes);
    },
    finish: (stream) => {
      this.#log('app', undefined, `finish ${stream}`);
      this.endpoint.finishStream(this.#key, stream, this.#now);
    },
    reset: (stream, code) => {
      this.#log('app', undefined, `reset ${stream} with ${code}`);
      this.endpoint.resetStream(this.#key, stream, code, this.#now);
    },
    stop: (stream, code) => {
      this.#log('app', undefined, `stop ${stream} with ${code}`);
      this.endpoint.stopStream(this.#key, stream, code, this.#now);
    },
    datagram: (length, port = 80) => {
      const ports = { source: 5_000, destination: port };
      const result = this.endpoint.sendDatagram(this.#key, ports, pattern(0, length), this.#now);
      this.#log('app', undefined, `datagram of ${length}: ${result}`);
      return result;
    },
    close: (code = 'NO_ERROR', reason = '') => {
      this.#log('app', undefined, `close with ${code}`);
      this.endpoint.close(this.#key, code, reason, this.#now);
    },
  };

  /** A tunnel, and time 0. */
  #comeUp(): Session {
    this.#session = this.#shakeHands();
    this.#start = this.#now;
    this.#nextNumber = 0;
    this.#sent.clear();
    this.recv(0, [{ frame: { kind: 'ping' }, named: {} }]);
    const opening = this.#waiting.findIndex(({ frames }) => frames.length === 1 && frames[0]!.kind === 'ack');
    assert(opening >= 0, 'the confirmation is acknowledged');
    this.#waiting.splice(opening, 1);
    this.#events.length = 0;
    return this.#session;
  }

  #shakeHands(): Session {
    const { rtt, opens } = this.#options;
    const self = this.#self;
    const peerIdentity = this.#peer.identity;
    const context = { crypto, rng: this.#rng, identity: peerIdentity, record: this.#peer.record };
    const handshake = new InitiatorHandshake(context, {
      peer: { identityKey: self.identity.signing.publicKey, staticKey: self.identity.exchange.publicKey },
      form: 'packet',
      localId: 0x0a0b0c0d,
      incarnation: randomBytes(this.#rng, 16),
      generation: 1,
    });
    // An initiation that came twice leaves open which of the two answers was used, and so is no RTT sample.
    for (let i = 0; i < (rtt === 'unknown' ? 2 : 1); i++) {
      this.endpoint.handleDatagram(routeFrom(0), handshake.message.slice(), this.#now);
    }
    const transmit = this.endpoint.pollTransmit(buffer, this.#now);
    assert(transmit !== undefined, 'an initiation is answered');
    const response = decodePacket(buffer.slice(0, transmit.segmentSize));
    assert(response.kind === 'response', 'with a response');
    while (this.endpoint.pollTransmit(buffer, this.#now) !== undefined);
    const established = handshake.complete(response, undefined);
    assert(established.kind === 'established', 'which is good');
    this.#now = instant(this.#now + (rtt === 'unknown' ? 100 : rtt) * MILLISECOND);
    const { remoteId, generation, sealing, opening } = established;
    return new Session(
      {
        localId: handshake.localId,
        remoteId,
        generation,
        sealing,
        opening,
        initiatedLocally: true,
        initiatedByLower: opens === 'odd',
      },
      this.#now,
    );
  }

  #feed(plaintext: Uint8Array, number: number, route: DirectRoute): void {
    this.endpoint.handleDatagram(route, this.#seal(plaintext, number), this.#now);
    this.#drain();
  }

  #seal(plaintext: Uint8Array, number: number): Uint8Array {
    const bytes = new Uint8Array(DATA_OVERHEAD_BYTES + plaintext.length);
    bytes.set(plaintext, DATA_HEADER_BYTES);
    this.#session.seal(bytes, 0, plaintext.length, number);
    return bytes;
  }

  /** To that time, everything before it expected. */
  #reach(at: number): void {
    this.#advance(at);
    const [packet] = this.#waiting;
    if (packet !== undefined) this.#fail(`nothing more before ${time(at)}`, packet.text);
  }

  #advance(at: number): void {
    const target = instant(this.#start + Math.round(at * MILLISECOND));
    if (target < this.#now) this.#fail(`time to go on to ${time(at)}`, `it is ${time(this.#ms)} already`);
    for (let turns = 0; this.endpoint.nextTimeout() <= target; turns++) {
      if (turns > TURNS_MAX) this.#fail('timers to come to rest', `they rang ${TURNS_MAX} times by ${time(this.#ms)}`);
      const next = this.endpoint.nextTimeout();
      if (next > this.#now) this.#now = next;
      this.endpoint.handleTimeout(this.#now);
      this.#drain();
    }
    this.#now = target;
  }

  get #ms(): number {
    return (this.#now - this.#start) / MILLISECOND;
  }

  #drain(): void {
    for (;;) {
      const transmit = this.endpoint.pollTransmit(buffer, this.#now);
      if (transmit === undefined) break;
      for (let offset = 0; offset < transmit.length; offset += transmit.segmentSize) {
        const end = Math.min(transmit.length, offset + transmit.segmentSize);
        this.#noteSent(buffer.slice(offset, end), transmit.route.key);
      }
    }
    for (let event = this.endpoint.pollEvent(); event !== undefined; event = this.endpoint.pollEvent()) {
      this.#noteEvent({ ...event });
    }
    for (let event = this.endpoint.pollStreamEvent(); event !== undefined; event = this.endpoint.pollStreamEvent()) {
      this.#noteEvent({ ...event });
    }
    for (let next = this.endpoint.pollDatagram(); next !== undefined; next = this.endpoint.pollDatagram()) {
      this.#noteEvent({ kind: 'datagram', port: next.destinationPort, length: next.data.length });
    }
  }

  #noteSent(bytes: Uint8Array, to: string): void {
    const size = bytes.length;
    if (bytes[0] !== TYPE_DATA) {
      this.#log('>', undefined, `a packet of type ${bytes[0]}, ${size} bytes`);
      return;
    }
    const packet = decodePacket(bytes);
    assert(packet.kind === 'data', 'it writes valid packets');
    assert(this.#session.open(packet, this.#now), 'sealed for its peer');
    const frames = decodeFrames(packet.bytes.subarray(packet.start + DATA_HEADER_BYTES, packet.end - TAG_BYTES));
    assert(!isDecodeError(frames), 'and of valid frames');
    const number = packet.packetNumber;
    const text = this.#log('>', number, frames.map(textOf).join(', '));
    const sent = { at: this.#ms, number, frames, size, text, to, asksForAck: frames.some(isAckEliciting) };
    this.#sent.set(number, sent);
    this.#waiting.push(sent);
  }

  #noteEvent(event: ScriptEvent): void {
    if (event.kind === 'record') return;
    this.#log('event', undefined, eventText(event));
    this.#events.push(event);
  }

  #log(what: string, number: number | undefined, text: string): string {
    const line = `${time(this.#ms)} ${what} ${number === undefined ? '' : `#${number} `}${text}`;
    this.#trace.push(line);
    return line;
  }

  #fail(expected: string, actual: string): never {
    return expect.fail(`expected: ${expected}\n  actual: ${actual}\n\nThe trace so far:\n${this.trace}\n`);
  }
}

export interface RecvOptions {
  readonly number?: number;
  readonly from?: number;
  /** A stream that a program on port 80 takes at once. */
  readonly taking?: number;
}

export interface ScriptOptions {
  /** In ms; what the handshake took. */
  readonly rtt?: number | 'unknown';
  /** Which streams the endpoint opens. */
  readonly opens?: 'even' | 'odd';
  readonly config?: Partial<Omit<TunnelConfig, 'streams'>>;
  /** The peer may have the 128 streams that the protocol gives it, so that the first of them raises no limit. */
  readonly streams?: Partial<StreamConfig>;
  /** Which ports the peer may open streams to. */
  readonly trusts?: (port: number) => boolean;
  readonly seed?: number;
}

/** What programs can do; the clock stands meanwhile. */
export interface App {
  listen(port?: number, backlog?: number): void;
  open(options?: OpenOptions): number | 'stream-limit' | 'closed';
  accept(stream: number, port?: number): void;
  refuse(stream: number, port?: number): void;
  /** The next `length` bytes of the pattern. */
  write(stream: number, length: number): number | 'ended';
  /** How many bytes came, all that there are or at least `most`; they are checked against the pattern. */
  read(stream: number, most?: number): number;
  readText(stream: number): string | undefined;
  finish(stream: number): void;
  reset(stream: number, code: number): void;
  stop(stream: number, code: number): void;
  datagram(length: number, port?: number): string;
  close(code?: CloseCode, reason?: string): void;
}

export interface OpenOptions {
  readonly port?: number;
  readonly from?: number;
  readonly priority?: Priority;
}

export interface SentPacket {
  readonly at: number;
  readonly number: number;
  readonly frames: readonly Frame[];
  /** Of the whole packet, in bytes. */
  readonly size: number;
  readonly text: string;
  readonly to: string;
  readonly asksForAck: boolean;
}

export type ScriptEvent = { readonly kind: string; readonly reason?: unknown } & Readonly<Record<string, unknown>>;
type Range = readonly [number, number];

/** Times in ms, to be read as the words of a script. */
export const at = (ms: number): number => ms;
export const until = (ms: number): number => ms;

/** The base size of packets, in bytes of UDP payload. */
export const MTU = 1_200;
/** Bytes of a stream that need a packet of that size for themselves, wherever they begin. */
const FILLING = 1_160;

const TURNS_MAX = 100_000;
const TRACE_LINES = 400;
const buffer: Uint8Array = new Uint8Array(65_536);

const routes: Map<number, DirectRoute> = new Map();
function routeFrom(index: number): DirectRoute {
  let route = routes.get(index);
  if (route === undefined) {
    route = directRoute(0, { family: 4, address: Uint8Array.of(192, 0, 2, 1 + index), port: 4_440 });
    routes.set(index, route);
  }
  return route;
}

let made: readonly [Self, Self] | undefined;

/** Two identities, the one with the lower key first. */
function selves(): readonly [Self, Self] {
  if (made !== undefined) return made;
  const [one, other] = [makeSelf(new SeededRng(11)), makeSelf(new SeededRng(12))];
  const isSorted = compare(one.identity.signing.publicKey, other.identity.signing.publicKey) < 0;
  made = isSorted ? [one, other] : [other, one];
  return made;
}

function isPadding(spec: FrameSpec): boolean {
  return spec.frame.kind === 'padding';
}

function time(ms: number): string {
  return `${ms.toFixed(3).padStart(11)} ms`;
}

function eventText({ kind, ...rest }: ScriptEvent): string {
  const parts = Object.entries(rest).filter(([key]) => key !== 'peer' && key !== 'record' && key !== 'route');
  return [kind, ...parts.map(([key, value]) => `${key}=${JSON.stringify(value)}`)].join(' ');
}
