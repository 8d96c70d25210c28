import { assertNever } from '../base/assert.ts';
import type { Instant } from '../base/time.ts';
import type { CloseCode } from '../wire/close-codes.ts';
import type { FrameReader } from '../wire/frame-reader.ts';
import type { AckFrame, CloseFrame, DatagramFrame, Frame } from '../wire/frames.ts';
import { isAckEliciting } from '../wire/frames.ts';
import type { Liveness } from './liveness.ts';
import type { Outbox } from './outbox.ts';
import type { PacketWriter } from './packet-writer.ts';
import type { Path } from './path.ts';
import type { AckPolicy } from './recovery/ack-policy.ts';
import type { Recovery } from './recovery/recovery.ts';
import type { Session } from './session.ts';
import type { StreamFrame, Streams } from './streams/streams.ts';
import type { TunnelKeys } from './tunnel-keys.ts';
import type { TunnelPaths } from './tunnel-paths.ts';

/** What a frame leaves to the tunnel: its end, by the peer's word or by the peer's fault. */
export type Ending = CloseFrame | Fault;

export interface Fault {
  readonly kind: 'fault';
  readonly code: CloseCode;
  readonly reason: string;
}

/**
 * What the packets of the peer do once they have opened and can be read: which frame acts where, and what follows for
 * acknowledgements, paths and keys. What is to be answered waits in the outbox.
 *
 * A packet that ends the tunnel stops acting with the frame that does. One of which a frame could not be kept is not
 * acknowledged, so it comes again; frames have to bear being read twice.
 */
export class PacketReader {
  readonly #parts: PacketReaderParts;

  constructor(parts: PacketReaderParts) {
    this.#parts = parts;
  }

  /** `path` is `undefined` where there was no place for another one. */
  read(
    frames: FrameReader,
    packetNumber: number,
    session: Session,
    path: Path | undefined,
    now: Instant,
  ): Ending | undefined {
    const { acks, keys, paths, streams } = this.#parts;
    let asksForAck = false;
    let isUrgent = false;
    let isOnlyAboutPaths = true;
    let isTaken = true;
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      asksForAck ||= isAckEliciting(frame);
      isUrgent ||= URGENT_FRAMES.has(frame.kind);
      isOnlyAboutPaths &&= PATH_FRAMES.has(frame.kind);
      const outcome = this.#act(frame, path, session, now);
      if (outcome === 'not-taken') isTaken = false;
      else if (outcome !== 'taken') return outcome;
    }
    // What could not be kept comes again: it has not been received.
    if (isTaken) acks.received(packetNumber, asksForAck, isUrgent, now);
    streams.shrinkUnused(now);
    this.#parts.noteStreams();
    paths.handleArrival(path, packetNumber, isOnlyAboutPaths, now);
    keys.considerRekey(session, now);
    return undefined;
  }

  #act(frame: Frame, path: Path | undefined, session: Session, now: Instant): FrameOutcome {
    switch (frame.kind) {
      case 'padding':
      case 'ping':
      case 'optional':
        return 'taken';
      case 'ack':
        return this.#handleAck(frame, now);
      case 'datagram':
        session.carriedTraffic = true;
        this.#parts.liveness.noteUse(now);
        this.#parts.deliver(frame);
        return 'taken';
      case 'path-challenge':
        // RFC 9000 §8.2.2: answered by the path it came by.
        if (path !== undefined) {
          const answer: Frame = { kind: 'path-response', token: frame.token.slice() };
          this.#parts.outbox.direct({ path, session: undefined, frame: answer, pad: false });
        }
        return 'taken';
      case 'path-response':
        if (path?.isAnsweredBy(frame.token)) path.validate(now);
        return 'taken';
      case 'handshake': {
        const error = this.#parts.keys.handleInner(frame.message, now);
        return error === undefined ? 'taken' : fault('FRAME_ENCODING', error.reason);
      }
      case 'close':
        return frame;
      case 'stream-data':
      case 'stream-open':
      case 'stream-reset':
      case 'stream-stop':
      case 'max-data':
      case 'max-stream-data':
      case 'max-streams':
        return this.#handleStreamFrame(frame, session, now);
      case 'candidates':
      case 'observed-address':
        // Advice: legal to ignore.
        return 'taken';
      default:
        return assertNever(frame);
    }
  }

  #handleStreamFrame(frame: StreamFrame, session: Session, now: Instant): FrameOutcome {
    const { liveness, streams, paths } = this.#parts;
    session.carriedTraffic = true;
    liveness.noteUse(now);
    const outcome = streams.handleFrame(frame, paths.smoothedRtt, now);
    if (outcome === undefined) return 'taken';
    return outcome === 'not-taken' ? 'not-taken' : fault(outcome, '');
  }

  #handleAck(ack: AckFrame, now: Instant): FrameOutcome {
    const { recovery, writer, paths } = this.#parts;
    const outcome = recovery.onAckFrame(ack.ranges, ack.delayUs, now);
    // RFC 9000 §13.1: an acknowledgement of what was never sent.
    if (outcome !== 'ok') return fault('PROTOCOL_VIOLATION', 'ACK of a packet never sent');
    writer.follow(paths.active, now);
    this.#parts.noteStreams();
    return 'taken';
  }
}

export interface PacketReaderParts {
  readonly keys: TunnelKeys;
  readonly paths: TunnelPaths;
  readonly liveness: Liveness;
  readonly streams: Streams;
  readonly acks: AckPolicy;
  readonly recovery: Recovery;
  readonly outbox: Outbox;
  readonly writer: PacketWriter;
  /** The frame's bytes are the reader's: whoever keeps them copies them. */
  readonly deliver: (frame: DatagramFrame) => void;
  /** Something may have happened to the streams. */
  readonly noteStreams: () => void;
}

/** `not-taken`: the frame could not be kept, so its packet must not be acknowledged. */
type FrameOutcome = 'taken' | 'not-taken' | Ending;

/** Frames whose sender waits on the acknowledgement. */
const URGENT_FRAMES: ReadonlySet<Frame['kind']> = new Set([
  'ping',
  'handshake',
  'path-challenge',
  'path-response',
  'stream-open',
  'stream-reset',
  'stream-stop',
]);

/** RFC 9000 §9.1: what only asks about a path does not move the peer to it. */
const PATH_FRAMES: ReadonlySet<Frame['kind']> = new Set(['padding', 'path-challenge', 'path-response']);

export function fault(code: CloseCode, reason: string): Fault {
  return { kind: 'fault', code, reason };
}
