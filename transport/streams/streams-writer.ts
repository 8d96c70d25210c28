import { FRAME_MAX_DATA, FRAME_MAX_STREAMS } from '../../wire/frames.ts';
import { type ByteWriter, varintLength } from '../../wire/writer.ts';
import { CONTENT_MAX_DATA, CONTENT_MAX_STREAMS, type PacketContents } from '../packet-contents.ts';
import { CONTENTS_PER_PACKET_MAX } from '../recovery/contents-ring.ts';
import type { Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

/**
 * Fills packets. The order within one: limits of the tunnel, because the peer may be waiting for nothing else; then what single
 * streams have to say in few bytes (OPEN, RESET, STOP, MAX_STREAM_DATA), first come first served; then data, as the scheduler
 * says. Whatever is about a stream that the peer may not know yet has the stream's OPEN before it in the same packet.
 *
 * A packet ends where its bytes do, or where it carries as many things as are remembered of one: refusals take four bytes each, so
 * a large packet would hold more of them than that.
 */
export class StreamsWriter {
  readonly #table: StreamTable;
  /** Counts packets, so that an OPEN goes into each once. */
  #packet = 0;

  constructor(table: StreamTable) {
    this.#table = table;
  }

  /** Whether something could go into a packet now, as far as credit is concerned. */
  get wantsToSend(): boolean {
    return (
      this.#table.maxDataIsDue ||
      this.#table.maxStreamsIsDue ||
      !this.#table.control.isEmpty ||
      this.#table.scheduler.hasResend ||
      (this.#table.credit.available > 0 && this.#table.scheduler.hasFresh)
    );
  }

  /** Only the newest limit matters (RFC 9000 §13.3). */
  onCreditLost(kind: typeof CONTENT_MAX_DATA | typeof CONTENT_MAX_STREAMS, limit: number): void {
    if (kind === CONTENT_MAX_DATA && limit === this.#table.window.limit) this.#table.maxDataIsDue = true;
    if (kind === CONTENT_MAX_STREAMS && limit === this.#table.peer.limit) this.#table.maxStreamsIsDue = true;
  }

  /** Once for each packet: limits, and what single streams have to say in few bytes. */
  beginPacket(writer: ByteWriter, contents: PacketContents): void {
    this.#packet++;
    // The node's budget may have come free since the last frame or read.
    this.#table.considerCredit();
    this.#writeTunnelLimits(writer, contents);
    this.#writeControl(writer, contents);
  }

  #writeTunnelLimits(writer: ByteWriter, contents: PacketContents): void {
    const { limit } = this.#table.window;
    if (this.#table.maxDataIsDue && writer.remaining >= 1 + varintLength(limit)) {
      writer.u8(FRAME_MAX_DATA);
      writer.varint(limit);
      contents.add(CONTENT_MAX_DATA, 0, limit, 0);
      this.#table.maxDataIsDue = false;
    }
    const { limit: streams } = this.#table.peer;
    if (this.#table.maxStreamsIsDue && writer.remaining >= 1 + varintLength(streams)) {
      writer.u8(FRAME_MAX_STREAMS);
      writer.varint(streams);
      contents.add(CONTENT_MAX_STREAMS, 0, streams, 0);
      this.#table.maxStreamsIsDue = false;
    }
  }

  #writeControl(writer: ByteWriter, contents: PacketContents): void {
    while (canTellMore(contents)) {
      const stream = this.#table.control.first();
      if (stream === undefined) return;
      const fitted = this.#writeControlOf(stream, writer, contents);
      this.#table.control.set(stream, stream.hasControlDue);
      if (!fitted) return;
    }
  }

  #writeControlOf(stream: Stream, writer: ByteWriter, contents: PacketContents): boolean {
    const { id, sending, receiving } = stream;
    if (stream.opening === 'due' && !stream.writeOpen(writer, contents, this.#packet, 0)) return false;
    if (sending.hasResetDue) {
      if (!stream.writeOpen(writer, contents, this.#packet, RESET_BYTES_MAX)) return false;
      sending.writeReset(writer, id, contents);
    }
    if (receiving.hasStopDue) {
      if (!stream.writeOpen(writer, contents, this.#packet, STOP_BYTES_MAX)) return false;
      receiving.writeStop(writer, id, contents);
    }
    if (receiving.hasCreditDue || stream.acceptance === 'due') {
      if (!stream.writeOpen(writer, contents, this.#packet, CREDIT_BYTES_MAX)) return false;
      receiving.writeCredit(writer, id, contents);
      if (stream.acceptance === 'due') stream.acceptance = 'sent';
    }
    return true;
  }

  /** In a packet that was begun. One with room for 64 bytes takes something of whatever there is to send. */
  fillPacket(writer: ByteWriter, contents: PacketContents): void {
    while (canTellMore(contents)) {
      const credit = this.#table.credit.available;
      const ring = this.#table.scheduler.next(credit > 0);
      const stream = ring?.first();
      if (ring === undefined || stream === undefined) return;
      const opening = stream.opening;
      if (!stream.writeOpen(writer, contents, this.#packet, DATA_HEAD_BYTES_MIN)) return;
      if (stream.opening !== opening) this.#table.control.set(stream, stream.hasControlDue);
      if (ring.needsCredit) {
        const bytes = stream.sending.writeFresh(writer, stream.id, contents, credit);
        if (bytes < 0) return;
        this.#table.credit.use(bytes);
      } else if (!stream.sending.writeResend(writer, stream.id, contents)) {
        return;
      }
      this.#table.place(stream);
      if (ring.first() === stream) ring.rotate();
    }
  }
}

/** Whether one more stream may have its turn: with OPEN, RESET, STOP and MAX_STREAM_DATA it tells four things at the most. */
function canTellMore(contents: PacketContents): boolean {
  return contents.count + 4 <= CONTENTS_PER_PACKET_MAX;
}

const RESET_BYTES_MAX = 1 + 8 + 8 + 8;
const STOP_BYTES_MAX = 1 + 8 + 8;
const CREDIT_BYTES_MAX = 1 + 8 + 8;
const DATA_HEAD_BYTES_MIN = 4;
