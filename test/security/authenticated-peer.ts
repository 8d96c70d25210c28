import { expect } from 'vitest';
import { assert } from '../../base/assert.ts';
import { compare, toHex } from '../../base/bytes.ts';
import { randomBytes } from '../../base/rng.ts';
import { after, type Instant, instant, SECOND } from '../../base/time.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { hollowBackend } from '../../sim/hollow-backend.ts';
import { SeededRng } from '../../sim/rng.ts';
import { AMPLIFICATION_LIMIT, type TunnelConfig } from '../../transport/constants.ts';
import { Endpoint } from '../../transport/endpoint.ts';
import { InitiatorHandshake } from '../../transport/handshake.ts';
import { type DirectRoute, directRoute } from '../../transport/route.ts';
import { Session } from '../../transport/session.ts';
import {
  DEFAULT_STREAM_CONFIG,
  STREAM_WINDOW_INITIAL,
  STREAMS_INITIAL,
  type StreamConfig,
  TUNNEL_WINDOW_INITIAL,
} from '../../transport/streams/constants.ts';
import type { Tunnel } from '../../transport/tunnel.ts';
import { isDecodeError } from '../../wire/decode-error.ts';
import { decodeFrames } from '../../wire/frame-reader.ts';
import type { Frame } from '../../wire/frames.ts';
import { DATA_HEADER_BYTES, DATA_OVERHEAD_BYTES, decodePacket, TAG_BYTES, TYPE_DATA } from '../../wire/packet.ts';
import { encodeFrames, makeSelf, type Self } from './hostile.ts';

/**
 * One real endpoint and a peer that has shaken hands by the book and keeps to no rule afterwards. The peer holds what the endpoint
 * sends against what it was allowed: every packet is opened and judged, whoever plays the peer.
 *
 * What seals hides nothing here, so that thousands of lives take seconds; handshakes are real.
 */
export const backend: typeof opensslBackend = hollowBackend(opensslBackend);

export interface LifeOptions {
  readonly seed: number;
  /** Whether the victim has the lower key, and so opens even streams. */
  readonly victimIsLower?: boolean;
  readonly config?: Partial<Omit<TunnelConfig, 'streams'>>;
  readonly streams?: Partial<StreamConfig>;
  /** Ports that this peer may not use. */
  readonly trusts?: (port: number) => boolean;
}

/** One tunnel of an endpoint with a peer whose every word a test chooses. */
export class Life {
  readonly endpoint: Endpoint;
  readonly rng: SeededRng;
  readonly judge: Judge;
  readonly key: string;
  readonly streamConfig: StreamConfig;
  now: Instant = instant(10 * SECOND);
  readonly startedAt: Instant = this.now;
  nextNumber = 0;
  readonly #session: Session;
  readonly #peer: Self;
  readonly #victim: Self;

  constructor(options: LifeOptions) {
    const { seed, victimIsLower = true, config = {}, streams = {}, trusts = () => true } = options;
    const [lower, higher] = selves();
    this.rng = new SeededRng(seed);
    this.#victim = victimIsLower ? lower : higher;
    this.#peer = victimIsLower ? higher : lower;
    this.key = toHex(this.#peer.identity.signing.publicKey);
    this.streamConfig = { ...DEFAULT_STREAM_CONFIG, ...streams };
    this.judge = new Judge(victimIsLower ? 0 : 1);
    this.endpoint = new Endpoint(
      {
        crypto: backend,
        rng: new SeededRng(seed + 1),
        identity: this.#victim.identity,
        record: this.#victim.record,
        admit: () => true,
        admitStream: (_record, port) => trusts(port),
        config: { ...config, streams: this.streamConfig },
      },
      this.now,
    );
    this.#session = this.#shakeHands();
    this.say({ kind: 'ping' });
    assert(this.isOpen, 'the first packet confirms the session');
  }

  get tunnel(): Tunnel | undefined {
    return this.endpoint.tunnel(this.key);
  }

  get isOpen(): boolean {
    return this.tunnel?.state === 'open';
  }

  /** The first id of the streams that the peer opens. */
  get ownParity(): 0 | 1 {
    return this.judge.victimParity === 0 ? 1 : 0;
  }

  /** A handshake message of the peer's own, for HANDSHAKE frames. */
  initiate(generation: number): Uint8Array {
    return this.#initiation('frame', generation).message;
  }

  seal(plaintext: Uint8Array, number: number = this.nextNumber++): Uint8Array {
    const bytes = new Uint8Array(DATA_OVERHEAD_BYTES + plaintext.length);
    bytes.set(plaintext, DATA_HEADER_BYTES);
    this.#session.seal(bytes, 0, plaintext.length, number);
    this.judge.noteNumber(number);
    return bytes;
  }

  /** These frames in one packet; gives how many bytes came back at once. */
  say(...frames: readonly Frame[]): number {
    this.judge.noteSaid(frames);
    return this.feed(this.seal(encodeFrames(...frames)));
  }

  feed(bytes: Uint8Array, from = 0): number {
    const route = routeFrom(from);
    this.judge.noteReceived(route.key, bytes.length);
    this.endpoint.handleDatagram(route, bytes.slice(), this.now);
    return this.take();
  }

  /** Time passes, and every timer rings when it is due. */
  pass(span: number): void {
    const target = after(this.now, span);
    for (let turns = 0; this.endpoint.nextTimeout() <= target; turns++) {
      assert(turns < 100_000, 'timers come to rest');
      const next = this.endpoint.nextTimeout();
      if (next > this.now) this.now = next;
      this.endpoint.handleTimeout(this.now);
      this.take();
    }
    this.now = target;
    this.take();
  }

  /** Whatever the victim has to send now, judged; gives the bytes. */
  take(): number {
    let bytes = 0;
    for (;;) {
      const transmit = this.endpoint.pollTransmit(buffer, this.now);
      if (transmit === undefined) return bytes;
      bytes += transmit.length;
      for (let offset = 0; offset < transmit.length; offset += transmit.segmentSize) {
        const end = Math.min(transmit.length, offset + transmit.segmentSize);
        this.#hear(transmit.route.key, buffer.slice(offset, end));
      }
    }
  }

  #hear(to: string, bytes: Uint8Array): void {
    this.judge.noteSent(to, bytes.length);
    if (bytes[0] !== TYPE_DATA) return;
    const packet = decodePacket(bytes);
    assert(packet.kind === 'data', 'the victim writes valid packets');
    // In a session that this peer has not completed nothing can be read.
    if (packet.receiverSession !== this.#session.localId) return;
    assert(this.#session.open(packet, this.now), 'sealed for its peer');
    const frames = decodeFrames(packet.bytes.subarray(packet.start + DATA_HEADER_BYTES, packet.end - TAG_BYTES));
    assert(!isDecodeError(frames), 'and of valid frames');
    this.judge.hear(packet.packetNumber, to, frames);
  }

  #initiation(form: 'packet' | 'frame', generation: number): InitiatorHandshake {
    const { identity, record } = this.#peer;
    return new InitiatorHandshake(
      { crypto: backend, rng: this.rng, identity, record },
      {
        peer: {
          identityKey: this.#victim.identity.signing.publicKey,
          staticKey: this.#victim.identity.exchange.publicKey,
        },
        form,
        localId: 1 + this.rng.below(2 ** 32 - 1),
        incarnation: this.#incarnation,
        generation,
      },
    );
  }

  readonly #incarnation: Uint8Array = randomBytes(new SeededRng(77), 16);

  #shakeHands(): Session {
    const handshake = this.#initiation('packet', 1);
    const home = routeFrom(0);
    this.endpoint.handleDatagram(home, handshake.message.slice(), this.now);
    this.judge.noteReceived(home.key, handshake.message.length);
    const transmit = this.endpoint.pollTransmit(buffer, this.now);
    assert(transmit !== undefined, 'an initiation is answered');
    const response = decodePacket(buffer.slice(0, transmit.segmentSize));
    assert(response.kind === 'response', 'with a response');
    const established = handshake.complete(response, undefined);
    assert(established.kind === 'established', 'which is good');
    this.judge.noteProved(home.key);
    this.now = after(this.now, 20_000);
    return new Session(
      {
        localId: handshake.localId,
        remoteId: established.remoteId,
        generation: established.generation,
        sealing: established.sealing,
        opening: established.opening,
        initiatedLocally: true,
        initiatedByLower: this.judge.victimParity === 1,
      },
      this.now,
    );
  }
}

/** What the victim has said of one stream. */
interface Heard {
  highest: number;
  finalSize: number | undefined;
  wasReset: boolean;
  /** Whether the victim may know that we know the stream, so that its OPEN may be left out. */
  isKnown: boolean;
}

/**
 * Holds everything that the victim sends against what its peer allowed: RFC 9000 §4 (credit), §4.5 (final sizes), §4.6 (streams),
 * §8.1 (amplification), §13 (only what came is acknowledged), and PROTOCOL.md §6 (the OPEN stands first).
 */
export class Judge {
  readonly victimParity: 0 | 1;
  maxData: number = TUNNEL_WINDOW_INITIAL;
  maxStreams: number = STREAMS_INITIAL;
  /** What the victim has given. */
  readonly given: { data: number; streams: number; readonly of: Map<number, number> } = {
    data: TUNNEL_WINDOW_INITIAL,
    streams: STREAMS_INITIAL,
    of: new Map(),
  };
  readonly heard: Map<number, Heard> = new Map();
  readonly #limits: Map<number, number> = new Map();
  /** Numbers of the peer's packets that the victim may have received. */
  readonly #numbers: Set<number> = new Set();
  readonly #places: Map<string, { received: number; sent: number; isProved: boolean }> = new Map();
  /** Opened by the peer. */
  readonly opened: Set<number> = new Set();
  readonly challenges: { readonly to: string; readonly token: Uint8Array }[] = [];
  /** The packets that reached the peer, in ascending ranges. */
  readonly arrived: { smallest: number; largest: number }[] = [];
  #sumOfHighest = 0;
  bytesReceived = 0;
  /** Of everything that was sent, and of that what programs had written, or a search for the MTU filled up. */
  bytesHeard = 0;
  payloadHeard = 0;

  constructor(victimParity: 0 | 1) {
    this.victimParity = victimParity;
  }

  limitOf(stream: number): number {
    return this.#limits.get(stream) ?? STREAM_WINDOW_INITIAL;
  }

  noteNumber(number: number): void {
    this.#numbers.add(number);
  }

  isUnused(number: number): boolean {
    return !this.#numbers.has(number);
  }

  noteReceived(place: string, bytes: number): void {
    this.bytesReceived += bytes;
    this.#place(place).received += bytes;
  }

  noteProved(place: string): void {
    this.#place(place).isProved = true;
  }

  /** An ACK of everything that arrived, as far as one frame goes. */
  get ackOfAll(): Frame {
    return { kind: 'ack', delayUs: 0, ranges: this.arrived.slice(-256).reverse() };
  }

  noteSaid(frames: readonly Frame[]): void {
    for (const frame of frames) {
      if ('stream' in frame) {
        const heard = this.heard.get(frame.stream);
        if (heard !== undefined) heard.isKnown = true;
      }
      if (frame.kind === 'max-data') this.maxData = Math.max(this.maxData, frame.limit);
      else if (frame.kind === 'max-streams') this.maxStreams = Math.max(this.maxStreams, frame.limit);
      else if (frame.kind === 'max-stream-data') {
        this.#limits.set(frame.stream, Math.max(this.limitOf(frame.stream), frame.limit));
      } else if (frame.kind === 'stream-open') this.opened.add(frame.stream);
      // Any of our packets may have acknowledged the OPENs.
      else if (frame.kind === 'ack') for (const heard of this.heard.values()) heard.isKnown = true;
    }
  }

  /** The stream has ended on both sides, and nothing is expected of it any more. */
  forget(stream: number): void {
    this.heard.delete(stream);
  }

  noteSent(to: string, bytes: number): void {
    this.bytesHeard += bytes;
    const place = this.#place(to);
    place.sent += bytes;
    if (!place.isProved) expect(place.sent).toBeLessThanOrEqual(AMPLIFICATION_LIMIT * place.received);
  }

  hear(number: number, to: string, frames: readonly Frame[]): void {
    const last = this.arrived.at(-1);
    assert(number > (last?.largest ?? -1), 'packet numbers are used once, in order');
    if (last?.largest === number - 1) last.largest = number;
    else this.arrived.push({ smallest: number, largest: number });
    const openedHere = new Set<number>();
    for (const frame of frames) {
      if ('stream' in frame) this.#hearOfStream(frame, openedHere);
      switch (frame.kind) {
        case 'ack':
          for (const range of frame.ranges) this.#checkRange(range.smallest, range.largest);
          break;
        case 'max-data':
          assert(frame.limit >= this.given.data, 'a limit never shrinks');
          this.given.data = frame.limit;
          break;
        case 'max-streams':
          assert(frame.limit >= this.given.streams, 'a limit never shrinks');
          this.given.streams = frame.limit;
          break;
        case 'padding':
          this.payloadHeard += frame.length;
          break;
        case 'datagram':
          this.payloadHeard += frame.data.length;
          break;
        case 'path-challenge':
          this.challenges.push({ to, token: frame.token.slice() });
          break;
        default:
      }
    }
  }

  #hearOfStream(frame: Extract<Frame, { readonly stream: number }>, openedHere: Set<number>): void {
    const { stream } = frame;
    const isVictims = stream % 2 === this.victimParity;
    if (frame.kind === 'stream-open') {
      assert(isVictims, 'a side opens its own streams');
      assert((stream - this.victimParity) / 2 < this.maxStreams, 'and no more than its peer allows');
      openedHere.add(stream);
    } else if (!isVictims) {
      assert(this.opened.has(stream), 'of the peer’s streams only those that it opened are spoken of');
    }
    let heard = this.heard.get(stream);
    if (heard === undefined) {
      heard = { highest: 0, finalSize: undefined, wasReset: false, isKnown: !isVictims };
      this.heard.set(stream, heard);
    }
    assert(heard.isKnown || openedHere.has(stream), 'the OPEN of a stream stands before all else about it');
    if (frame.kind === 'stream-data') this.#hearData(frame, heard);
    else if (frame.kind === 'stream-reset') {
      assert(frame.finalSize === (heard.finalSize ?? frame.finalSize), 'a final size does not change');
      assert(frame.finalSize === heard.highest, 'a reset counts what went out, no less and no more');
      heard.finalSize = frame.finalSize;
      heard.wasReset = true;
    } else if (frame.kind === 'max-stream-data') {
      assert(frame.limit >= (this.given.of.get(stream) ?? STREAM_WINDOW_INITIAL), 'a limit never shrinks');
      this.given.of.set(stream, frame.limit);
    }
  }

  #hearData(frame: Extract<Frame, { readonly kind: 'stream-data' }>, heard: Heard): void {
    const end = frame.offset + frame.data.length;
    this.payloadHeard += frame.data.length;
    assert(!heard.wasReset, 'nothing follows a reset');
    assert(end <= this.limitOf(frame.stream), 'a stream keeps within its credit');
    assert(end <= (heard.finalSize ?? end), 'nothing lies beyond the final size');
    if (frame.fin) {
      assert(end === (heard.finalSize ?? end) && end >= heard.highest, 'a final size is final');
      heard.finalSize = end;
    }
    if (end > heard.highest) {
      this.#sumOfHighest += end - heard.highest;
      heard.highest = end;
    }
    assert(this.#sumOfHighest <= this.maxData, 'all streams together keep within the tunnel’s credit');
    for (let i = 0; i < frame.data.length; i++) {
      if (frame.data[i] !== byteAt(frame.offset + i)) assert(false, 'the bytes are those of their offset');
    }
  }

  #checkRange(smallest: number, largest: number): void {
    assert(largest - smallest < this.#numbers.size, 'no more is acknowledged than was sent');
    for (let number = smallest; number <= largest; number++) {
      if (!this.#numbers.has(number)) assert(false, 'only what was sent is acknowledged');
    }
  }

  #place(key: string): { received: number; sent: number; isProved: boolean } {
    let place = this.#places.get(key);
    if (place === undefined) {
      place = { received: 0, sent: 0, isProved: false };
      this.#places.set(key, place);
    }
    return place;
  }
}

/** What every stream carries, in either direction. */
export function byteAt(offset: number): number {
  return (offset * 31 + (offset >>> 8) * 7) & 0x7f;
}

const PATTERN: Uint8Array = Uint8Array.from({ length: 3 * 65_536 }, (_, i) => byteAt(i));

/** The bytes from that offset on; their pattern repeats after 64 KiB. Not to be written to. */
export function bytesAt(offset: number, length: number): Uint8Array {
  const start = offset % 32_768;
  return PATTERN.subarray(start, start + length);
}

const buffer: Uint8Array = new Uint8Array(65_536);
const routes: Map<number, DirectRoute> = new Map();

export function routeFrom(index: number): DirectRoute {
  let route = routes.get(index);
  if (route === undefined) {
    const address = Uint8Array.of(192, 0, 2, 1 + (index % 250));
    route = directRoute(0, { family: 4, address, port: 4_440 + index });
    routes.set(index, route);
  }
  return route;
}

let made: readonly [Self, Self] | undefined;

/** Two identities, the one with the lower key first. */
function selves(): readonly [Self, Self] {
  if (made !== undefined) return made;
  const [one, other] = [makeSelf(new SeededRng(21)), makeSelf(new SeededRng(22))];
  const isSorted = compare(one.identity.signing.publicKey, other.identity.signing.publicKey) < 0;
  made = isSorted ? [one, other] : [other, one];
  return made;
}
