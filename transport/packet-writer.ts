import { assert } from '../base/assert.ts';
import type { Instant } from '../base/time.ts';
import { NEVER } from '../base/time.ts';
import type { CloseFrame } from '../wire/frames.ts';
import { encodeFrame, frameLength, isAckEliciting, PING } from '../wire/frames.ts';
import { DATA_OVERHEAD_BYTES } from '../wire/packet.ts';
import type { ByteWriter } from '../wire/writer.ts';
import { BASE_MTU, SEGMENTS_MAX } from './constants.ts';
import type { Lane } from './lane.ts';
import type { DirectedFrame, Outbox } from './outbox.ts';
import { CONTENT_ACK } from './packet-contents.ts';
import type { PacketDraft } from './packet-draft.ts';
import type { Path } from './path.ts';
import type { AckPolicy } from './recovery/ack-policy.ts';
import type { NumberSkipper } from './recovery/number-skipper.ts';
import type { Recovery } from './recovery/recovery.ts';
import type { Session } from './session.ts';
import type { SessionSet } from './session-set.ts';
import type { Streams } from './streams/streams.ts';
import type { Transmit } from './transmit.ts';

/**
 * How what waits becomes packets: filled from ACK, outbox and streams as far as window, pace and the path's allowance let them,
 * entered in the ledger, and sealed where they stand in the caller's buffer.
 *
 * Invariants: a packet number is sealed once, whatever the session. No key seals past its limit, and the last packet it may seal
 * is kept for CLOSE. A path that has not proved itself is sent at most three times what came from it.
 *
 * It never decides what is to be said, by which path, or when a tunnel ends.
 */
export class PacketWriter {
  readonly #parts: PacketWriterParts;
  readonly #draft: PacketDraft;
  #nextPacketNumber = 0;
  #paceAt: Instant = NEVER;
  #isKeySpent = false;
  /** What asks for an ACK and has gone out since the pacer was last told. */
  #unpaced = 0;
  /** Where datagrams and stream data both wait they begin packets by turns, so that neither holds the other up. */
  #isDatagramsTurn = true;

  constructor(parts: PacketWriterParts) {
    this.#parts = parts;
    this.#draft = parts.draft;
  }

  get nextPacketNumber(): number {
    return this.#nextPacketNumber;
  }

  /** When pacing lets the next batch out; NEVER where that is not what it waits for. */
  get paceAt(): Instant {
    return this.#paceAt;
  }

  /** A packet was not sealed, because only CLOSE may still be sealed with the key. */
  get isKeySpent(): boolean {
    return this.#isKeySpent;
  }

  handleTimeout(now: Instant): void {
    if (this.#paceAt <= now) this.#paceAt = NEVER;
  }

  /** Window, round trip or packet size of the path may have changed: the next batch finds out anew what it has to wait for. */
  follow(path: Path | undefined, now: Instant): void {
    if (path?.lane === undefined) return;
    path.lane.follow(now);
    this.#paceAt = NEVER;
    this.#parts.acks.onRoundTrip(path.rtt.smoothed);
  }

  /** One directed frame, in a packet of its own. One that cannot go by its path or in its session any more is dropped. */
  writeDirected(buffer: Uint8Array, now: Instant): Transmit | undefined {
    const { outbox } = this.#parts;
    for (let next = outbox.takeDirected(); next !== undefined; next = outbox.takeDirected()) {
      const length = this.#writeDirected(buffer, next, now);
      if (length > 0) return { route: next.path.route, length, segmentSize: length };
    }
    return undefined;
  }

  #writeDirected(buffer: Uint8Array, directed: DirectedFrame, now: Instant): number {
    const { sessions } = this.#parts;
    const { path, frame, pad } = directed;
    const session = directed.session ?? sessions.sending;
    if (session === undefined || !sessions.all.includes(session)) return 0;
    // The path has left the table since.
    if (path.lane === undefined) return 0;
    const limit = Math.min(path.mtu, path.allowance);
    const needed = DATA_OVERHEAD_BYTES + frameLength(frame);
    if (limit < needed) return 0;
    const writer = this.#draft.begin(buffer, 0, pad ? limit : needed);
    encodeFrame(writer, frame);
    // RFC 9000 §8.2.1: a challenge fills the packet, so that its answer also shows what the path carries.
    if (pad) writer.zeros(writer.remaining);
    const length = this.#seal(session);
    // What asks in a session that is not sent in yet is repeated by its own timer, not by probes.
    if (length === 0) return 0;
    this.#noteSent(path, isAckEliciting(frame) && session === sessions.sending, length, now);
    this.#tellPacer(path.lane, now);
    return length;
  }

  /** RFC 8899 §4.1: a packet of the size in question, of nothing that anybody would miss. */
  writeMtuProbe(buffer: Uint8Array, path: Path, now: Instant): Transmit | undefined {
    const { sessions, recovery } = this.#parts;
    const session = sessions.sending;
    const { lane } = path;
    if (session === undefined || lane === undefined) return undefined;
    if (!path.isValidated || !session.isConfirmed || lane.recovery.ptoCount > 0) return undefined;
    const room = Math.min(recovery.room(lane.recovery), buffer.length);
    const size = lane.recovery.mtuSearch.nextProbe(room);
    if (size === undefined) return undefined;
    const writer = this.#draft.begin(buffer, 0, size);
    encodeFrame(writer, PING);
    writer.zeros(writer.remaining);
    const packetNumber = this.#nextPacketNumber;
    const length = this.#seal(session);
    if (length === 0) return undefined;
    path.bytesSent += length;
    recovery.onMtuProbeSent(lane.recovery, packetNumber, length, now);
    lane.pacer.onSent(length, now);
    return { route: path.route, length, segmentSize: length };
  }

  /** Packets of one size from what waits, the last one possibly shorter. */
  writeBatch(buffer: Uint8Array, path: Path, now: Instant): Transmit | undefined {
    const { sessions, recovery } = this.#parts;
    const session = sessions.sending;
    const { lane } = path;
    if (session === undefined || lane === undefined) return undefined;
    const room = recovery.room(lane.recovery);
    let budget = Math.min(room, lane.pacer.available(now));
    let length = 0;
    const segmentSize = path.mtu;
    for (let segments = 0; segments < SEGMENTS_MAX; segments++) {
      const limit = Math.min(segmentSize, path.allowance);
      if (buffer.length - length < limit) break;
      // Only what a full packet needs is enough: less would be used up in slivers.
      const mayAsk = budget >= limit || lane.recovery.probesDue > 0;
      this.#draft.begin(buffer, length, limit);
      const written = this.#writePacket(mayAsk, session, path, now);
      length += written;
      budget -= written;
      if (segments === 0 && mayAsk && this.#beginsMtuSearch(lane, now)) break;
      if (written < segmentSize) break;
    }
    this.#tellPacer(lane, now);
    this.#noteLimit(lane, room - length, now);
    if (length === 0) return undefined;
    recovery.onBatchSent(lane.recovery, now);
    return { route: path.route, length, segmentSize: Math.min(segmentSize, length) };
  }

  /**
   * Where more waits than the first packet of a batch holds, larger ones may be looked for. The probe then goes before the rest of
   * the batch, which may leave it no room in the window.
   */
  #beginsMtuSearch(lane: Lane, now: Instant): boolean {
    return this.#hasData() && lane.recovery.mtuSearch.onCrowded(now);
  }

  writeClose(buffer: Uint8Array, frame: CloseFrame, path: Path, now: Instant): Transmit | undefined {
    const { sessions, sealedPacketsMax } = this.#parts;
    const session = sessions.sending;
    const needed = DATA_OVERHEAD_BYTES + frameLength(frame);
    if (session === undefined || path.allowance < needed || session.sealedPackets >= sealedPacketsMax) return undefined;
    encodeFrame(this.#draft.begin(buffer, 0, needed), frame);
    const length = this.#draft.seal(session, this.#nextPacketNumber++);
    this.#noteSent(path, false, length, now);
    return { route: path.route, length, segmentSize: length };
  }

  #hasData(): boolean {
    return this.#parts.outbox.hasFrames || this.#parts.streams.wantsToSend;
  }

  /**
   * One packet from what waits, where the draft has begun; 0 where nothing does, or nothing fits. `mayAsk`: it may carry what asks
   * for an ACK.
   */
  #writePacket(mayAsk: boolean, session: Session, path: Path, now: Instant): number {
    const { outbox, acks, streams, recovery } = this.#parts;
    const { writer } = this.#draft;
    const from = writer.offset;
    const { contents } = recovery;
    const hasMore = mayAsk && this.#hasData();
    const isWorthwhile = acks.isOwed || (outbox.hasControl && acks.rangeCount > 1);
    let hasAck = false;
    if (acks.deadline <= now || (hasMore && isWorthwhile)) {
      const ack = acks.frame(now);
      hasAck = frameLength(ack) <= writer.remaining;
      if (hasAck) {
        encodeFrame(writer, ack);
        contents.add(CONTENT_ACK, 0, acks.highest, 0);
      }
    }
    const afterAck = writer.offset;
    if (mayAsk) {
      if (hasAck && acks.wantsAnswer && writer.remaining > 0) encodeFrame(writer, PING);
      outbox.writeControl(writer);
      const afterControl = writer.offset;
      streams.beginPacket(writer, contents);
      this.#writeData(writer);
      if (writer.offset > afterControl) session.carriedTraffic = true;
    }
    if (writer.offset === from) return 0;
    const asksForAck = writer.offset > afterAck;
    if (hasAck) acks.sent(asksForAck, now);
    const length = this.#seal(session);
    if (length > 0) this.#noteSent(path, asksForAck, length, now);
    return length;
  }

  #writeData(writer: ByteWriter): void {
    const { outbox, streams, recovery } = this.#parts;
    if (!this.#isDatagramsTurn || !outbox.hasDatagrams) {
      streams.fillPacket(writer, recovery.contents);
      outbox.writeDatagrams(writer);
      this.#isDatagramsTurn = true;
      return;
    }
    // One that fits a packet of its own has the next one, and does not wait for ever behind ACKs.
    if (!outbox.writeDatagrams(writer) && this.#draft.limit >= BASE_MTU) return;
    streams.fillPacket(writer, recovery.contents);
    this.#isDatagramsTurn = false;
  }

  /** Once for all packets of a batch. */
  #tellPacer(lane: Lane, now: Instant): void {
    if (this.#unpaced > 0) lane.pacer.onSent(this.#unpaced, now);
    this.#unpaced = 0;
  }

  /** Why sending stopped: for want of data, of window, or of time. */
  #noteLimit(lane: Lane, room: number, now: Instant): void {
    this.#paceAt = NEVER;
    if (room < lane.mtu) return;
    if (!this.#hasData()) this.#parts.recovery.onAppLimited(lane.recovery, now);
    else if (lane.pacer.available(now) < lane.mtu) {
      this.#paceAt = lane.pacer.nextSendAt(lane.pacer.quantum, now);
      this.#parts.recovery.onPaced(lane.recovery);
    }
  }

  /** Seals the draft; 0 where this session's key may seal nothing any more but CLOSE. */
  #seal(session: Session): number {
    if (session.sealedPackets >= this.#parts.sealedPacketsMax - 1) {
      this.#isKeySpent = true;
      return 0;
    }
    return this.#draft.seal(session, this.#nextPacketNumber++);
  }

  #noteSent(path: Path, asksForAck: boolean, length: number, now: Instant): void {
    assert(length <= path.allowance, 'a path that has not proved itself is sent at most three times what came from it');
    path.bytesSent += length;
    const { lane } = path;
    assert(lane !== undefined, 'a path that is sent by has a lane');
    this.#parts.recovery.onSent(lane.recovery, this.#nextPacketNumber - 1, length, asksForAck, now);
    if (!asksForAck) return;
    this.#unpaced += length;
    // RFC 9000 §21.4: now and then a number is passed over.
    const { recovery, skipper } = this.#parts;
    if (!skipper.skips(this.#nextPacketNumber, lane.recovery.packetsInFlight)) return;
    recovery.onSkipped(this.#nextPacketNumber++, now);
  }
}

export interface PacketWriterParts {
  readonly sessions: SessionSet;
  readonly outbox: Outbox;
  readonly streams: Streams;
  readonly acks: AckPolicy;
  readonly recovery: Recovery;
  readonly skipper: NumberSkipper;
  readonly draft: PacketDraft;
  readonly sealedPacketsMax: number;
}
