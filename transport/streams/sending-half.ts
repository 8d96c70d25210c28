import { assertNever } from '../../base/assert.ts';
import { FRAME_STREAM_DATA, FRAME_STREAM_DATA_FIN, FRAME_STREAM_RESET } from '../../wire/frames.ts';
import { type ByteWriter, COUNT_LIMIT, varintLength } from '../../wire/writer.ts';
import {
  CONTENT_STREAM_DATA,
  CONTENT_STREAM_FIN,
  CONTENT_STREAM_RESET,
  type PacketContents,
} from '../packet-contents.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { SEND_BUFFER_INITIAL, SLIVER_BYTES, STREAM_WINDOW_INITIAL, WRITABLE_SHARE } from './constants.ts';
import { type NodeBudget, SendCredit } from './flow-control.ts';
import { SendBuffer } from './send-buffer.ts';

/**
 * The sending part of a stream, RFC 9000 §3.1:
 *
 *   ready ──first frame──▸ send ──finish──▸ finishing ──FIN goes out──▸ data-sent ──all acknowledged──▸ data-recvd
 *     └────────────┴──────────┴── reset, or the peer's STOP ──────────────┴──▸ reset-sent ──acknowledged──▸ reset-recvd
 *
 * `finishing` is the RFC's Send after the application has said that it is done: the final size is known from then on. The final
 * size of a reset is what has gone out, because that is what flow control has counted (§4.5). What has gone out is kept until it
 * is acknowledged, and after a reset not at all.
 */
export type SendingState =
  | { readonly kind: 'ready' }
  | { readonly kind: 'send' }
  | { readonly kind: 'finishing'; readonly finalSize: number }
  | { readonly kind: 'data-sent'; readonly finalSize: number; finIsDue: boolean; finIsAcknowledged: boolean }
  | { readonly kind: 'data-recvd'; readonly finalSize: number }
  | { readonly kind: 'reset-sent'; readonly finalSize: number; readonly code: number; isDue: boolean }
  | { readonly kind: 'reset-recvd'; readonly finalSize: number; readonly code: number };

const READY: SendingState = { kind: 'ready' };
const SEND: SendingState = { kind: 'send' };

export class SendingHalf {
  #state: SendingState = READY;
  #buffer: SendBuffer;
  readonly #credit: SendCredit;
  /** What the buffer may hold beyond SEND_BUFFER_INITIAL, lent by the node's budget. */
  #grown = 0;
  #writerWaits = false;

  /** Offsets begin at `start`: 0, but in tests of their upper end. */
  constructor(chunks: ChunkPool, start = 0) {
    this.#buffer = new SendBuffer(chunks, start);
    this.#credit = new SendCredit(start + STREAM_WINDOW_INITIAL, start);
  }

  get state(): SendingState {
    return this.#state;
  }

  get isTerminal(): boolean {
    return this.#state.kind === 'data-recvd' || this.#state.kind === 'reset-recvd';
  }

  /** Takes no more bytes, and never will again. */
  get isClosedForWriting(): boolean {
    return this.#state.kind !== 'ready' && this.#state.kind !== 'send';
  }

  get sent(): number {
    return this.#buffer.sent;
  }

  get written(): number {
    return this.#buffer.written;
  }

  get limit(): number {
    return this.#credit.limit;
  }

  get buffered(): number {
    return this.#buffer.length;
  }

  /** Something to send that needs no credit: lost bytes, or a FIN after all bytes. */
  get hasResend(): boolean {
    const state = this.#state;
    if (state.kind === 'reset-sent') return false;
    if (this.#buffer.hasLost) return true;
    if (state.kind === 'finishing') return this.#buffer.sent === state.finalSize;
    return state.kind === 'data-sent' && state.finIsDue;
  }

  /** Bytes that were never sent and that the stream's own credit covers. */
  get fresh(): number {
    return Math.min(this.#buffer.written, this.#credit.limit) - this.#buffer.sent;
  }

  get hasResetDue(): boolean {
    return this.#state.kind === 'reset-sent' && this.#state.isDue;
  }

  // What the application asks for.

  /** How many bytes were taken: less than all of them where the buffer is full, and then the writer waits. */
  write(data: Uint8Array, options: WriteOptions): number {
    const buffer = this.#buffer;
    const wanted = buffer.length + data.length;
    if (wanted > SEND_BUFFER_INITIAL + this.#grown) this.#growBuffer(wanted, options.max, options.budget);
    const room = Math.min(this.#capacity(options.max) - buffer.length, COUNT_LIMIT - 1 - buffer.written);
    const taken = Math.max(0, Math.min(room, data.length));
    this.#writerWaits = taken < data.length;
    if (taken > 0) buffer.append(taken === data.length ? data : data.subarray(0, taken), options.isLeftAlone);
    return taken;
  }

  finish(): void {
    if (this.isClosedForWriting) return;
    this.#state = { kind: 'finishing', finalSize: this.#buffer.written };
  }

  /** True where a RESET is now due; a half that is through, or already reset, is left as it is. */
  reset(code: number, budget: NodeBudget): boolean {
    const state = this.#state;
    switch (state.kind) {
      case 'ready':
      case 'send':
      case 'finishing':
      // RFC 9000 §3.1: nothing that was finished needs to be waited for; the final size stays what the FIN said.
      case 'data-sent':
        this.#state = { kind: 'reset-sent', finalSize: this.#buffer.sent, code, isDue: true };
        this.#drop(budget);
        return true;
      case 'data-recvd':
      case 'reset-sent':
      case 'reset-recvd':
        return false;
      default:
        return assertNever(state);
    }
  }

  // What the peer says.

  /** MAX_STREAM_DATA. */
  raiseLimit(limit: number): void {
    this.#credit.raise(limit);
  }

  /**
   * Whether a writer that waits may go on: a quarter of the buffer is free, or becomes so because the peer's window has opened
   * further and the buffer may follow it. Waiting for more would let what is unsent run dry behind a hole, which keeps all that
   * lies above it for a round trip. Told once.
   */
  takeWritable(options: { readonly max: number; readonly budget: NodeBudget }): boolean {
    if (!this.#writerWaits || this.isClosedForWriting) return false;
    if (!this.#hasRoomWorthTelling(options.max)) {
      this.#growBuffer(this.#capacity(options.max) + 1, options.max, options.budget);
      if (!this.#hasRoomWorthTelling(options.max)) return false;
    }
    this.#writerWaits = false;
    return true;
  }

  onAcknowledged(offset: number, length: number, fin: boolean, budget: NodeBudget): void {
    const state = this.#state;
    if (state.kind === 'reset-sent' || this.isTerminal) return;
    this.#buffer.onAcknowledged(offset, offset + length, budget.pieceDone);
    if (this.#buffer.length === 0) this.#releaseGrowth(budget);
    if (state.kind !== 'data-sent') return;
    if (fin) {
      state.finIsAcknowledged = true;
      state.finIsDue = false;
    }
    if (state.finIsAcknowledged && this.#buffer.acknowledged === state.finalSize) {
      this.#state = { kind: 'data-recvd', finalSize: state.finalSize };
    }
  }

  onLost(offset: number, length: number, fin: boolean): void {
    const state = this.#state;
    if (state.kind === 'reset-sent' || this.isTerminal) return;
    this.#buffer.onLost(offset, offset + length);
    if (fin && state.kind === 'data-sent' && !state.finIsAcknowledged) state.finIsDue = true;
  }

  onResetAcknowledged(): void {
    const state = this.#state;
    if (state.kind !== 'reset-sent') return;
    this.#state = { kind: 'reset-recvd', finalSize: state.finalSize, code: state.code };
  }

  onResetLost(): void {
    if (this.#state.kind === 'reset-sent') this.#state.isDue = true;
  }

  /** The tunnel has ended. A half that came to its own end holds nothing any more. */
  release(budget: NodeBudget): void {
    this.#releaseGrowth(budget);
  }

  // The wire. Each writes one frame where it fits, and tells the packet's contents.

  writeReset(writer: ByteWriter, stream: number, contents: PacketContents): void {
    const state = this.#state;
    if (state.kind !== 'reset-sent') return;
    writer.u8(FRAME_STREAM_RESET);
    writer.varint(stream);
    writer.varint(state.code);
    writer.varint(state.finalSize);
    contents.add(CONTENT_STREAM_RESET, stream, state.finalSize, 0);
    state.isDue = false;
  }

  /** Lost bytes, or a FIN by itself. False where it did not fit. */
  writeResend(writer: ByteWriter, stream: number, contents: PacketContents): boolean {
    const buffer = this.#buffer;
    const start = buffer.hasLost ? buffer.lostStart : buffer.sent;
    const length = buffer.hasLost ? buffer.lostEnd - start : 0;
    const fits = dataRoom(writer, stream, start, length);
    if (fits < 0) return false;
    if (length > 0) buffer.markSentAgain(start, start + fits);
    this.#writeData(writer, stream, contents, start, fits);
    return true;
  }

  /** Bytes for the first time, at most `credit`; how many, or −1 where nothing fitted. */
  writeFresh(writer: ByteWriter, stream: number, contents: PacketContents, credit: number): number {
    const start = this.#buffer.sent;
    const fits = dataRoom(writer, stream, start, Math.min(this.fresh, credit));
    if (fits <= 0) return -1;
    this.#buffer.markSent(start + fits);
    this.#credit.use(fits);
    if (this.#state.kind === 'ready') this.#state = SEND;
    this.#writeData(writer, stream, contents, start, fits);
    return fits;
  }

  #writeData(writer: ByteWriter, stream: number, contents: PacketContents, offset: number, length: number): void {
    const fin = this.#reachesEnd(offset + length);
    writer.u8(fin ? FRAME_STREAM_DATA_FIN : FRAME_STREAM_DATA);
    writer.varint(stream);
    writer.varint(offset);
    writer.varint(length);
    if (length > 0) this.#buffer.copyTo(writer, offset, length);
    contents.add(fin ? CONTENT_STREAM_FIN : CONTENT_STREAM_DATA, stream, offset, length);
  }

  /** Whether a frame that ends here is to carry the FIN; if so, it is on its way. */
  #reachesEnd(end: number): boolean {
    const state = this.#state;
    if (state.kind === 'finishing' && end === state.finalSize) {
      this.#state = { kind: 'data-sent', finalSize: end, finIsDue: false, finIsAcknowledged: false };
      return true;
    }
    if (state.kind !== 'data-sent' || end !== state.finalSize) return false;
    state.finIsDue = false;
    return true;
  }

  /** A window that the peer opened further is worth a larger buffer: as much as may be on its way at once, and no more. */
  #growBuffer(wanted: number, max: number, budget: NodeBudget): void {
    const target = Math.min(max, this.#credit.limit - this.#buffer.acknowledged);
    let capacity = SEND_BUFFER_INITIAL + this.#grown;
    while (capacity < wanted && capacity < target) {
      const growth = Math.min(capacity, max - capacity);
      if (!budget.take(growth)) return;
      this.#grown += growth;
      capacity += growth;
    }
  }

  #hasRoomWorthTelling(max: number): boolean {
    const capacity = this.#capacity(max);
    return capacity - this.#buffer.length >= capacity * WRITABLE_SHARE;
  }

  #capacity(max: number): number {
    return Math.min(SEND_BUFFER_INITIAL + this.#grown, max);
  }

  #releaseGrowth(budget: NodeBudget): void {
    budget.giveBack(this.#grown);
    this.#grown = 0;
  }

  #drop(budget: NodeBudget): void {
    this.#buffer = new SendBuffer(budget.chunks, this.#buffer.sent);
    this.#writerWaits = false;
    this.#releaseGrowth(budget);
  }
}

export interface WriteOptions {
  readonly max: number;
  readonly budget: NodeBudget;
  /** What is taken stays as it is until it is acknowledged: it need not be copied. */
  readonly isLeftAlone?: boolean;
}

/**
 * Of `length` bytes at `offset`, how many fit as one STREAM_DATA frame; −1 where not even its head does, or so few that they are
 * better off in the next packet. An empty frame fits where its head does.
 */
function dataRoom(writer: ByteWriter, stream: number, offset: number, length: number): number {
  const room = writer.remaining - 1 - varintLength(stream) - varintLength(offset);
  const fits = Math.min(length, room - varintLength(Math.max(0, Math.min(length, room))));
  if (fits < 0 || (length > 0 && fits === 0)) return -1;
  return fits < length && fits < SLIVER_BYTES ? -1 : fits;
}
