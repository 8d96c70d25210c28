import { assertNever } from '../../base/assert.ts';
import type { Instant } from '../../base/time.ts';
import type { CloseCode } from '../../wire/close-codes.ts';
import type {
  MaxDataFrame,
  MaxStreamDataFrame,
  MaxStreamsFrame,
  StreamDataFrame,
  StreamOpenFrame,
  StreamResetFrame,
  StreamStopFrame,
} from '../../wire/frames.ts';
import { REFUSALS } from './constants.ts';
import { EVENT_ACCEPTED, EVENT_FINISHED, EVENT_OPENED, EVENT_READABLE, EVENT_RESET, EVENT_STOPPED } from './events.ts';
import { Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

/**
 * What the peer's frames do. Every rule is checked before a stream is changed, so that a frame which breaks one, or cannot be
 * taken, leaves it as it was. Frames about a stream that has ended are late and ignored; about one that never was they are a violation.
 */
export class PeerFrames {
  readonly #table: StreamTable;

  constructor(table: StreamTable) {
    this.#table = table;
  }

  handle(frame: StreamFrame, smoothedRtt: number, now: Instant): FrameOutcome {
    switch (frame.kind) {
      case 'stream-data':
        return this.#handleData(frame, smoothedRtt, now);
      case 'stream-open':
        return this.#handleOpen(frame, now);
      case 'stream-reset':
        return this.#handleReset(frame);
      case 'stream-stop':
        return this.#handleStop(frame);
      case 'max-data':
        this.#table.credit.raise(frame.limit);
        return undefined;
      case 'max-stream-data':
        return this.#handleMaxStreamData(frame);
      case 'max-streams':
        this.#table.local.raise(frame.limit);
        return undefined;
      default:
        return assertNever(frame);
    }
  }

  #handleData(frame: StreamDataFrame, smoothedRtt: number, now: Instant): FrameOutcome {
    const stream = this.#table.streams.get(frame.stream);
    if (stream === undefined) return this.#judgeUnknown(frame.stream);
    this.#table.peerKnows(stream);
    const half = stream.receiving;
    const { offset, data, fin } = frame;
    const end = offset + data.length;
    const violation = half.checkData(end, fin);
    if (violation !== undefined) return violation;
    const { highest, taken, ready, slack } = half;
    const { window } = this.#table;
    if (end - highest > window.open) return 'FLOW_CONTROL';
    if (!half.makeRoom(end, this.#table.config.streamWindowMax, window)) return 'not-taken';
    const wasTerminal = half.isTerminal;
    if (!half.receive(offset, data, fin, window.slackLeft)) return 'not-taken';
    this.#noteAccepted(stream);
    window.moved(half.highest - highest, half.taken - taken, half.ready - ready);
    window.noteSlack(half.slack - slack);
    if (half.measure(smoothedRtt, now)) half.growWindow(this.#table.config.streamWindowMax, window);
    window.measure(smoothedRtt, now);
    if (ready === 0 && half.ready > 0) this.#table.tell(stream, EVENT_READABLE);
    this.#table.returnCredit(stream);
    if (half.isTerminal && !wasTerminal) {
      if (!half.isStopped) this.#table.tell(stream, EVENT_FINISHED);
      this.#table.closeIfThrough(stream);
    }
    return undefined;
  }

  #handleOpen(frame: StreamOpenFrame, now: Instant): FrameOutcome {
    const { stream: id } = frame;
    const number = (id - (id % 2)) / 2;
    // RFC 9000 §19.8: only its owner opens a stream.
    if (id % 2 === this.#table.parity) return 'STREAM_STATE';
    if (!this.#table.peer.allows(number)) return 'STREAM_LIMIT';
    const known = this.#table.streams.get(id);
    if (known !== undefined) return known.wasOpenedBy(frame) ? undefined : 'STREAM_STATE';
    if (this.#table.peer.wasOpened(number)) return undefined;
    // A tunnel that holds more than its own while the node has nothing left, or that is full, is given no more to hold.
    const isFull = this.#table.peer.isFull || (this.#table.budget.isExhausted && this.#table.window.isBeyondFirst);
    this.#table.peer.open(number);
    const { sourcePort, destinationPort, priority } = frame;
    const stream = new Stream(
      { id, isLocal: false, sourcePort, destinationPort, priority, chunks: this.#table.budget.chunks },
      now,
    );
    this.#table.streams.set(id, stream);
    const refusal = isFull ? REFUSALS.LIMIT : this.#table.admit(destinationPort);
    if (refusal === undefined) this.#table.tell(stream, EVENT_OPENED);
    else this.#table.refuse(stream, refusal);
    this.#table.considerStreams();
    return undefined;
  }

  #handleReset(frame: StreamResetFrame): FrameOutcome {
    const stream = this.#table.streams.get(frame.stream);
    if (stream === undefined) return this.#judgeUnknown(frame.stream);
    this.#table.peerKnows(stream);
    const half = stream.receiving;
    const violation = half.checkReset(frame.finalSize);
    if (violation !== undefined) return violation;
    const { highest, taken, ready, slack } = half;
    if (frame.finalSize - highest > this.#table.window.open) return 'FLOW_CONTROL';
    if (half.receiveReset(frame.code, frame.finalSize)) {
      this.#table.untell(stream, EVENT_READABLE);
      this.#table.tell(stream, EVENT_RESET);
    }
    this.#table.window.moved(half.highest - highest, half.taken - taken, half.ready - ready);
    this.#table.window.noteSlack(half.slack - slack);
    this.#table.returnCredit(stream);
    this.#table.closeIfThrough(stream);
    return undefined;
  }

  #handleStop(frame: StreamStopFrame): FrameOutcome {
    const stream = this.#table.streams.get(frame.stream);
    if (stream === undefined) return this.#judgeUnknown(frame.stream);
    this.#table.peerKnows(stream);
    // RFC 9000 §3.5: STOP is answered by a RESET with its code.
    if (this.#table.resetSending(stream, frame.code)) {
      stream.stoppedCode = frame.code;
      this.#table.tell(stream, EVENT_STOPPED);
    }
    return undefined;
  }

  #handleMaxStreamData(frame: MaxStreamDataFrame): FrameOutcome {
    const stream = this.#table.streams.get(frame.stream);
    if (stream === undefined) return this.#judgeUnknown(frame.stream);
    this.#table.peerKnows(stream);
    stream.sending.raiseLimit(frame.limit);
    this.#table.place(stream);
    this.#noteAccepted(stream);
    return undefined;
  }

  /** Only who has taken a stream gives credit for it, or writes to it. */
  #noteAccepted(stream: Stream): void {
    if (!stream.isLocal || stream.acceptance === 'known') return;
    stream.acceptance = 'known';
    this.#table.tell(stream, EVENT_ACCEPTED);
  }

  /** A frame about a stream that is not here: of one that has ended it is late; of any other it has no business to exist. */
  #judgeUnknown(id: number): CloseCode | undefined {
    const number = (id - (id % 2)) / 2;
    if (id % 2 === this.#table.parity) return number < this.#table.local.count ? undefined : 'STREAM_STATE';
    if (!this.#table.peer.allows(number)) return 'STREAM_LIMIT';
    return this.#table.peer.wasOpened(number) ? undefined : 'STREAM_STATE';
  }
}

export type StreamFrame =
  | StreamOpenFrame
  | StreamDataFrame
  | StreamResetFrame
  | StreamStopFrame
  | MaxDataFrame
  | MaxStreamDataFrame
  | MaxStreamsFrame;

export type FrameOutcome = CloseCode | 'not-taken' | undefined;
