import type { Instant } from '../../base/time.ts';
import type { CloseCode } from '../../wire/close-codes.ts';
import { FRAME_MAX_STREAM_DATA, FRAME_STREAM_STOP } from '../../wire/frames.ts';
import type { ByteWriter } from '../../wire/writer.ts';
import { CONTENT_MAX_STREAM_DATA, CONTENT_STREAM_STOP, type PacketContents } from '../packet-contents.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { STREAM_WINDOW_INITIAL } from './constants.ts';
import { ReceiveWindow, type TunnelWindow } from './flow-control.ts';
import { ReceiveBuffer } from './receive-buffer.ts';

/**
 * The receiving part of a stream, RFC 9000 §3.2:
 *
 *   recv ──FIN──▸ size-known ──all bytes──▸ data-recvd ──read──▸ data-read
 *     └──────────────┴── RESET ──▸ reset-recvd ──application told──▸ reset-read
 *
 * A RESET that comes when all bytes are there changes nothing: they are delivered (§3.2 leaves the choice). Before that, nothing
 * that was not read yet will be.
 *
 * An application that stops reading makes the half deaf: bytes are counted and dropped, as if read at once, so that the tunnel's
 * credit comes back; the stream's own limit stays. The half is through as soon as the final size is known, since nothing else
 * about it matters any more.
 */
export type ReceivingState =
  | { readonly kind: 'recv' }
  | { readonly kind: 'size-known'; readonly finalSize: number }
  | { readonly kind: 'data-recvd'; readonly finalSize: number }
  | { readonly kind: 'data-read'; readonly finalSize: number }
  | { readonly kind: 'reset-recvd'; readonly finalSize: number; readonly code: number }
  | { readonly kind: 'reset-read'; readonly finalSize: number; readonly code: number };

const RECV: ReceivingState = { kind: 'recv' };

export class ReceivingHalf {
  #state: ReceivingState = RECV;
  readonly #buffer: ReceiveBuffer;
  readonly #window: ReceiveWindow;
  /** RFC 9000 §4.1: the largest offset received, which is what the peer has used of its credit. */
  #highest = 0;
  #stop: { readonly code: number; isDue: boolean } | undefined = undefined;
  #creditIsDue = false;

  constructor(chunks: ChunkPool, now: Instant) {
    this.#buffer = new ReceiveBuffer(chunks);
    this.#window = new ReceiveWindow(STREAM_WINDOW_INITIAL, now);
  }

  get state(): ReceivingState {
    return this.#state;
  }

  get isTerminal(): boolean {
    return this.#state.kind === 'data-read' || this.#state.kind === 'reset-read';
  }

  get highest(): number {
    return this.#highest;
  }

  get taken(): number {
    return this.#buffer.taken;
  }

  /** Bytes that lie in order for the reader. */
  get ready(): number {
    return this.#buffer.ready - this.#buffer.taken;
  }

  get limit(): number {
    return this.#window.limit;
  }

  get windowSize(): number {
    return this.#window.size;
  }

  get memory(): number {
    return this.#buffer.memory;
  }

  /** Memory that no credit covers. */
  get slack(): number {
    return this.#buffer.slack;
  }

  get rangeCount(): number {
    return this.#buffer.rangeCount;
  }

  /** The application does not read any more. */
  get isStopped(): boolean {
    return this.#stop !== undefined;
  }

  get hasStopDue(): boolean {
    return this.#stop?.isDue === true && this.#state.kind === 'recv';
  }

  get hasCreditDue(): boolean {
    return this.#creditIsDue;
  }

  // What the peer says. `check…` first: nothing changes where a frame breaks a rule.

  checkData(end: number, fin: boolean): CloseCode | undefined {
    const finalSize = this.#finalSize();
    // RFC 9000 §4.5: nothing beyond the final size, and no other final size.
    if (finalSize !== undefined && (end > finalSize || (fin && end !== finalSize))) return 'FINAL_SIZE';
    if (fin && end < this.#highest) return 'FINAL_SIZE';
    return end > this.#window.limit ? 'FLOW_CONTROL' : undefined;
  }

  /** RFC 9000 §4.5: a RESET counts as all bytes up to its final size. */
  checkReset(finalSize: number): CloseCode | undefined {
    return this.checkData(finalSize, true);
  }

  /** False where the frame was not taken, because it would leave too many ranges out of order; then nothing has changed. */
  receive(offset: number, data: Uint8Array, fin: boolean, slackLeft?: number): boolean {
    const end = offset + data.length;
    const state = this.#state;
    if (state.kind !== 'recv' && state.kind !== 'size-known') return true;
    if (this.#stop !== undefined) {
      this.#highest = Math.max(this.#highest, end);
      this.#buffer.discard(this.#highest);
      if (fin) this.#state = { kind: 'data-read', finalSize: end };
      return true;
    }
    if (!this.#buffer.receive(offset, data, slackLeft)) return false;
    if (end > this.#highest) this.#highest = end;
    if (fin && state.kind === 'recv') this.#state = { kind: 'size-known', finalSize: end };
    this.#settle();
    return true;
  }

  /** True where the application has to be told. */
  receiveReset(code: number, finalSize: number): boolean {
    const state = this.#state;
    if (state.kind !== 'recv' && state.kind !== 'size-known') return false;
    this.#highest = finalSize;
    this.#buffer.discard(finalSize);
    this.#creditIsDue = false;
    this.#state = { kind: this.#stop === undefined ? 'reset-recvd' : 'reset-read', code, finalSize };
    return this.#stop === undefined;
  }

  // What the application asks for.

  read(givesBack = false): Uint8Array | undefined {
    const bytes = this.#buffer.read(givesBack);
    if (bytes !== undefined) this.#settle();
    return bytes;
  }

  /** The application has heard of the reset. */
  markResetRead(): void {
    const state = this.#state;
    if (state.kind === 'reset-recvd') this.#state = { ...state, kind: 'reset-read' };
  }

  stop(code: number): void {
    const state = this.#state;
    switch (state.kind) {
      case 'recv':
        this.#stop ??= { code, isDue: true };
        this.#buffer.discard(this.#highest);
        this.#creditIsDue = false;
        return;
      // RFC 9000 §3.5: once the size is known there is little left to spare anybody; all credit up to it comes back now. What
      // is still on its way is answered with nothing, because the stream is not waited for.
      case 'size-known':
      case 'data-recvd':
        this.#highest = state.finalSize;
        this.#buffer.discard(state.finalSize);
        this.#creditIsDue = false;
        this.#state = { kind: 'data-read', finalSize: state.finalSize };
        return;
      case 'reset-recvd':
        this.#state = { ...state, kind: 'reset-read' };
        return;
      default:
        return;
    }
  }

  // Credit.

  /** True where the stream's window was used up so fast that it should double. */
  measure(smoothedRtt: number, now: Instant): boolean {
    if (this.#state.kind !== 'recv' || this.#stop !== undefined) return false;
    return this.#window.measure(this.#buffer.taken, smoothedRtt, now);
  }

  /** Doubles the window, to `max` at the most. False where it is as large already, or the tunnel has no room for it. */
  growWindow(max: number, tunnel: TunnelWindow): boolean {
    const size = Math.min(2 * this.#window.size, max);
    if (size <= this.#window.size || !tunnel.growStream(size - this.#window.size)) return false;
    this.#window.resize(size);
    return true;
  }

  /**
   * True where bytes up to `end` have room, in the stream's window and in the tunnel's. There always is for what the present windows
   * gave; what comes by credit from before they shrank is taken as far as they can grow back.
   */
  makeRoom(end: number, max: number, tunnel: TunnelWindow): boolean {
    if (end <= this.#highest || this.#stop !== undefined) return true;
    while (end - this.#buffer.taken > this.#window.size) if (!this.growWindow(max, tunnel)) return false;
    return tunnel.makeRoom(end - this.#highest);
  }

  /** Halves the window where it was not used, as far as what lies in it lets it. */
  shrinkUnused(tunnel: TunnelWindow, now: Instant): void {
    if (!this.#window.isUnused(this.#buffer.taken, now)) return;
    const size = Math.max(Math.floor(this.#window.size / 2), STREAM_WINDOW_INITIAL);
    if (this.#highest - this.#buffer.taken > size) return;
    tunnel.shrinkStream(this.#window.size - size);
    this.#window.resize(size);
  }

  /** True where the limit rose, and the peer is to be told. Once the final size is known nobody needs more. */
  raiseLimit(): boolean {
    if (this.#state.kind !== 'recv' || this.#stop !== undefined) return false;
    if (!this.#window.raise(this.#buffer.taken + this.#window.size)) return false;
    this.#creditIsDue = true;
    return true;
  }

  // The wire.

  writeStop(writer: ByteWriter, stream: number, contents: PacketContents): void {
    if (this.#stop === undefined) return;
    writer.u8(FRAME_STREAM_STOP);
    writer.varint(stream);
    writer.varint(this.#stop.code);
    contents.add(CONTENT_STREAM_STOP, stream, 0, 0);
    this.#stop.isDue = false;
  }

  writeCredit(writer: ByteWriter, stream: number, contents: PacketContents): void {
    writer.u8(FRAME_MAX_STREAM_DATA);
    writer.varint(stream);
    writer.varint(this.#window.limit);
    contents.add(CONTENT_MAX_STREAM_DATA, stream, this.#window.limit, 0);
    this.#creditIsDue = false;
  }

  onStopLost(): void {
    if (this.#stop !== undefined) this.#stop.isDue = true;
  }

  /** Only the newest limit matters (RFC 9000 §13.3). */
  onCreditLost(limit: number): void {
    if (limit === this.#window.limit && this.#state.kind === 'recv' && this.#stop === undefined)
      this.#creditIsDue = true;
  }

  #finalSize(): number | undefined {
    return this.#state.kind === 'recv' ? undefined : this.#state.finalSize;
  }

  #settle(): void {
    const state = this.#state;
    if (state.kind === 'size-known' && this.#buffer.ready === state.finalSize) {
      this.#state = { kind: 'data-recvd', finalSize: state.finalSize };
    }
    if (this.#state.kind === 'size-known' || this.#state.kind === 'data-recvd') this.#creditIsDue = false;
    if (this.#state.kind === 'data-recvd' && this.#buffer.taken === this.#state.finalSize) {
      this.#state = { kind: 'data-read', finalSize: this.#state.finalSize };
    }
  }
}
