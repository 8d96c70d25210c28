import { assertNever } from '../../base/assert.ts';
import type { Instant } from '../../base/time.ts';
import { CLOSE_CODES } from '../../wire/close-codes.ts';
import type { Priority } from '../../wire/frames.ts';
import type { ByteWriter } from '../../wire/writer.ts';
import {
  CONTENT_ACK,
  CONTENT_MAX_DATA,
  CONTENT_MAX_STREAM_DATA,
  CONTENT_MAX_STREAMS,
  CONTENT_STREAM_DATA,
  CONTENT_STREAM_FIN,
  CONTENT_STREAM_OPEN,
  CONTENT_STREAM_RESET,
  CONTENT_STREAM_STOP,
  type PacketContents,
} from '../packet-contents.ts';
import {
  EVENT_ACCEPTED,
  EVENT_ACKNOWLEDGED,
  EVENT_FINISHED,
  EVENT_OPENED,
  EVENT_READABLE,
  EVENT_RESET,
  EVENT_STOPPED,
  EVENT_WRITABLE,
  type StreamEvent,
} from './events.ts';
import { type FrameOutcome, PeerFrames, type StreamFrame } from './peer-frames.ts';
import { Stream } from './stream.ts';
import { type StreamsOptions, StreamTable, tellable } from './stream-table.ts';
import { StreamsWriter } from './streams-writer.ts';

export type { FrameOutcome, StreamFrame } from './peer-frames.ts';
export type { StreamsOptions } from './stream-table.ts';

/**
 * All streams of one tunnel: what local programs do with them, what the peer's frames do to them, what goes into packets, and
 * what became of those packets.
 *
 * A stream lives from `open`, or the peer's STREAM_OPEN, until both halves have ended and the application has been told; then it
 * is forgotten, and frames that still come for it are ignored. An id that is gone is nothing wrong in a call either: it ended in
 * the meantime, and the event that says so is on its way or was taken.
 *
 * Invariants: the tunnel's sums equal those of its streams. A limit that was given never shrinks. Nothing is sent beyond the
 * peer's limits. A stream stands in exactly the rings that it belongs to. What a peer sends can end the tunnel, by the close code
 * returned, and never throws; what it can make us hold is bounded by flow-control.ts.
 *
 * It never: opens, acknowledges or numbers a packet, reads a clock, or decides who may connect to which port.
 */
export class Streams {
  readonly #table: StreamTable;
  readonly #frames: PeerFrames;
  readonly #writer: StreamsWriter;

  constructor(options: StreamsOptions, now: Instant) {
    this.#table = new StreamTable(options, now);
    this.#frames = new PeerFrames(this.#table);
    this.#writer = new StreamsWriter(this.#table);
  }

  // What local programs ask for.

  /** The id of a new stream. Its OPEN goes into the next packet, with what is written meanwhile. */
  open(ports: StreamPorts, priority: Priority, now: Instant): number | 'stream-limit' {
    const number = this.#table.local.take();
    if (number === undefined) return 'stream-limit';
    const id = 2 * number + this.#table.parity;
    const { chunks } = this.#table.budget;
    const stream = new Stream(
      { id, isLocal: true, sourcePort: ports.source, destinationPort: ports.destination, priority, chunks },
      now,
    );
    this.#table.streams.set(id, stream);
    this.#table.control.set(stream, true);
    return id;
  }

  /** Somebody takes a stream that the peer opened: its other events are told from now on. */
  accept(id: number): void {
    const stream = this.#table.streams.get(id);
    if (stream === undefined || stream.admission !== 'waiting') return;
    stream.admission = 'accepted';
    // Its present limit says so; whoever opened the stream waits for nothing else.
    stream.acceptance = 'due';
    this.#table.control.set(stream, true);
    this.#table.events.set(stream, stream.events !== 0);
  }

  /** Nobody takes it (REFUSALS): both halves end, and no more is told about it. */
  refuse(id: number, code: number): void {
    const stream = this.#table.streams.get(id);
    if (stream !== undefined && stream.admission === 'waiting') this.#table.refuse(stream, code);
  }

  /**
   * How many bytes were taken; where that is not all of them, `writable` follows. `isLeftAlone`: what was taken stays as it is until
   * it is acknowledged, so large pieces are not copied. `ended`: this half takes nothing any more.
   */
  write(id: number, data: Uint8Array, isLeftAlone = true): number | 'ended' {
    const stream = this.#table.streams.get(id);
    if (stream === undefined || stream.sending.isClosedForWriting) return 'ended';
    const { config, budget } = this.#table;
    const taken = stream.sending.write(data, { max: config.sendBufferMax, budget, isLeftAlone });
    this.#table.untell(stream, EVENT_WRITABLE);
    this.#table.place(stream);
    return taken;
  }

  finish(id: number): void {
    const stream = this.#table.streams.get(id);
    if (stream === undefined) return;
    stream.sending.finish();
    this.#table.place(stream);
  }

  reset(id: number, code: number): void {
    const stream = this.#table.streams.get(id);
    if (stream !== undefined) this.#table.resetSending(stream, code);
  }

  /** What was not read yet is dropped, and so is what comes. */
  stop(id: number, code: number): void {
    const stream = this.#table.streams.get(id);
    if (stream !== undefined) this.#table.stopReceiving(stream, code);
  }

  /** The next bytes in order, at most a chunk; the caller's to keep, and with `givesBack` to give back. */
  read(id: number, givesBack = false): Uint8Array | undefined {
    const stream = this.#table.streams.get(id);
    if (stream === undefined) return undefined;
    const half = stream.receiving;
    const { slack } = half;
    const bytes = half.read(givesBack);
    if (bytes === undefined) return undefined;
    this.#table.window.moved(0, bytes.length, -bytes.length);
    this.#table.window.noteSlack(half.slack - slack);
    this.#table.returnCredit(stream);
    if (half.isTerminal) {
      this.#table.tell(stream, EVENT_FINISHED);
      this.#table.closeIfThrough(stream);
    }
    return bytes;
  }

  setPriority(id: number, priority: Priority): void {
    const stream = this.#table.streams.get(id);
    if (stream === undefined || stream.priority === priority) return;
    this.#table.scheduler.place(stream, stream.priority, false, false);
    stream.priority = priority;
    this.#table.place(stream);
  }

  // What the peer says.

  /**
   * `undefined` where all is well. `not-taken`: the frame would have to be kept in one piece too many, or in memory that the node
   * does not have, so nothing has changed and the packet must not be acknowledged; its other frames do no harm when they come
   * again. Else the code of a violation, which ends the tunnel.
   */
  handleFrame(frame: StreamFrame, smoothedRtt: number, now: Instant): FrameOutcome {
    return this.#frames.handle(frame, smoothedRtt, now);
  }

  /** A packet of the peer was read, whatever was in it: an occasion to see which windows are no longer used. */
  shrinkUnused(now: Instant): void {
    this.#table.shrinkUnused(now);
  }

  /** Gives back memory that nothing stands in. */
  trim(): void {
    this.#table.trim();
  }

  // What goes into packets, and what became of it.

  /** Whether the peer has everything that was written, and knows how each half that has ended did. */
  get isDelivered(): boolean {
    for (const { sending } of this.#table.streams.values()) {
      if (sending.buffered > 0 || (sending.isClosedForWriting && !sending.isTerminal)) return false;
    }
    return true;
  }

  /** Whether something could go into a packet now, as far as credit is concerned. */
  get wantsToSend(): boolean {
    return this.#writer.wantsToSend;
  }

  /** Once for each packet: what is short and urgent. */
  beginPacket(writer: ByteWriter, contents: PacketContents): void {
    this.#writer.beginPacket(writer, contents);
  }

  /** Data by priority, as far as the packet goes. */
  fillPacket(writer: ByteWriter, contents: PacketContents): void {
    this.#writer.fillPacket(writer, contents);
  }

  onAcked(contents: PacketContents, index: number): void {
    const stream = this.#table.streams.get(contents.stream(index));
    if (stream === undefined) return;
    const kind = contents.kind(index);
    switch (kind) {
      case CONTENT_STREAM_OPEN:
        this.#table.peerKnows(stream);
        return;
      case CONTENT_STREAM_DATA:
      case CONTENT_STREAM_FIN:
        this.#table.dataAcknowledged(
          stream,
          contents.offset(index),
          contents.length(index),
          kind === CONTENT_STREAM_FIN,
        );
        return;
      case CONTENT_STREAM_RESET:
        stream.sending.onResetAcknowledged();
        this.#table.control.set(stream, stream.hasControlDue);
        this.#table.closeIfThrough(stream);
        return;
      case CONTENT_MAX_STREAM_DATA:
        if (stream.acceptance === 'sent') stream.acceptance = 'known';
        return;
      case CONTENT_STREAM_STOP:
      case CONTENT_MAX_DATA:
      case CONTENT_MAX_STREAMS:
      case CONTENT_ACK:
        return;
      default:
        assertNever(kind);
    }
  }

  /** RFC 9000 §13.3: nothing goes again as it was; each says what it has to say by now, if anything. */
  onLost(contents: PacketContents, index: number): void {
    const kind = contents.kind(index);
    const offset = contents.offset(index);
    if (kind === CONTENT_MAX_DATA || kind === CONTENT_MAX_STREAMS) {
      this.#writer.onCreditLost(kind, offset);
      return;
    }
    const stream = this.#table.streams.get(contents.stream(index));
    if (stream === undefined) return;
    switch (kind) {
      case CONTENT_STREAM_OPEN:
        if (stream.opening === 'sent') stream.opening = 'due';
        break;
      case CONTENT_STREAM_DATA:
      case CONTENT_STREAM_FIN:
        stream.sending.onLost(offset, contents.length(index), kind === CONTENT_STREAM_FIN);
        this.#table.place(stream);
        return;
      case CONTENT_STREAM_RESET:
        stream.sending.onResetLost();
        break;
      case CONTENT_STREAM_STOP:
        stream.receiving.onStopLost();
        break;
      case CONTENT_MAX_STREAM_DATA:
        stream.receiving.onCreditLost(offset);
        if (stream.acceptance === 'sent') stream.acceptance = 'due';
        break;
      case CONTENT_ACK:
        return;
      default:
        assertNever(kind);
    }
    this.#table.control.set(stream, stream.hasControlDue);
  }

  // What happened.

  pollEvent(): StreamEvent | undefined {
    if (this.#table.local.takeAvailable()) return { kind: 'streams-available' };
    const stream = this.#table.events.first();
    if (stream === undefined) return undefined;
    const due = stream.events & tellable(stream);
    const flag = due & -due;
    stream.events &= ~flag;
    this.#table.events.set(stream, due !== flag);
    return this.#event(stream, flag);
  }

  /**
   * The tunnel has ended, and all streams with it: what they borrowed goes back to the node. What had arrived in order is still
   * its readers': a peer that said all it had to say and left has lost nothing by that.
   */
  end(): readonly UnreadStream[] {
    const unread: UnreadStream[] = [];
    for (const stream of this.#table.streams.values()) {
      stream.sending.release(this.#table.budget);
      const left = this.#takeUnread(stream);
      if (left !== undefined) unread.push(left);
      this.#table.stopReceiving(stream, CLOSE_CODES.NO_ERROR);
    }
    this.#table.streams.clear();
    this.#table.window.release();
    return unread;
  }

  /** For tests and status. */
  inspect(): StreamsState {
    return {
      opened: this.#table.local.count,
      openLimit: this.#table.local.limit,
      peerAlive: this.#table.peer.alive,
      peerLimit: this.#table.peer.limit,
      sendLimit: this.#table.credit.limit,
      sent: this.#table.credit.used,
      receiveLimit: this.#table.window.limit,
      received: this.#table.window.received,
      taken: this.#table.window.taken,
      ready: this.#table.window.ready,
      slack: this.#table.window.slack,
      window: this.#table.window.size,
      streams: [...this.#table.streams.values()].map((stream) => ({
        id: stream.id,
        priority: stream.priority,
        admission: stream.admission,
        opening: stream.opening,
        sending: stream.sending.state.kind,
        sent: stream.sending.sent,
        written: stream.sending.written,
        sendLimit: stream.sending.limit,
        buffered: stream.sending.buffered,
        receiving: stream.receiving.state.kind,
        received: stream.receiving.highest,
        taken: stream.receiving.taken,
        ready: stream.receiving.ready,
        receiveLimit: stream.receiving.limit,
        window: stream.receiving.windowSize,
        memory: stream.receiving.memory,
        ranges: stream.receiving.rangeCount,
      })),
    };
  }

  #takeUnread(stream: Stream): UnreadStream | undefined {
    const { id, admission, receiving } = stream;
    if (admission !== 'accepted' || receiving.isStopped) return undefined;
    const data: Uint8Array[] = [];
    for (let bytes = this.read(id); bytes !== undefined; bytes = this.read(id)) data.push(bytes);
    const isWhole = receiving.state.kind === 'data-read';
    // Where the end has been told, there is nothing left to say.
    if (data.length === 0 && !(isWhole && (stream.events & EVENT_FINISHED) !== 0)) return undefined;
    return { stream: id, data, isWhole };
  }

  #event(stream: Stream, flag: number): StreamEvent {
    const { id } = stream;
    switch (flag) {
      case EVENT_OPENED: {
        const { sourcePort, destinationPort, openPriority } = stream;
        return { kind: 'opened', stream: id, sourcePort, destinationPort, priority: openPriority };
      }
      case EVENT_ACCEPTED:
        return { kind: 'accepted', stream: id };
      case EVENT_READABLE:
        return { kind: 'readable', stream: id };
      case EVENT_WRITABLE:
        return { kind: 'writable', stream: id };
      case EVENT_FINISHED:
        return { kind: 'finished', stream: id };
      case EVENT_ACKNOWLEDGED:
        return { kind: 'acknowledged', stream: id };
      case EVENT_RESET: {
        const { state } = stream.receiving;
        stream.receiving.markResetRead();
        this.#table.closeIfThrough(stream);
        return { kind: 'reset', stream: id, code: state.kind === 'reset-recvd' ? state.code : 0 };
      }
      case EVENT_STOPPED:
        return { kind: 'stopped', stream: id, code: stream.stoppedCode };
      default:
        this.#table.forget(stream);
        return { kind: 'closed', stream: id };
    }
  }
}

/** What a reader had not taken when its tunnel ended. */
export interface UnreadStream {
  readonly stream: number;
  readonly data: readonly Uint8Array[];
  /** The peer's FIN stands behind it. */
  readonly isWhole: boolean;
}

export interface StreamPorts {
  readonly source: number;
  readonly destination: number;
}

export interface StreamsState {
  readonly opened: number;
  readonly openLimit: number;
  readonly peerAlive: number;
  readonly peerLimit: number;
  readonly sendLimit: number;
  readonly sent: number;
  readonly receiveLimit: number;
  readonly received: number;
  readonly taken: number;
  readonly ready: number;
  readonly slack: number;
  readonly window: number;
  readonly streams: readonly StreamState[];
}

export interface StreamState {
  readonly id: number;
  readonly priority: Priority;
  readonly admission: Stream['admission'];
  readonly opening: Stream['opening'];
  readonly sending: string;
  readonly sent: number;
  readonly written: number;
  readonly sendLimit: number;
  readonly buffered: number;
  readonly receiving: string;
  readonly received: number;
  readonly taken: number;
  readonly ready: number;
  readonly receiveLimit: number;
  readonly window: number;
  readonly memory: number;
  readonly ranges: number;
}
