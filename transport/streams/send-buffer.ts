import { truncate } from '../../base/arrays.ts';
import { assert } from '../../base/assert.ts';
import type { ByteWriter } from '../../wire/writer.ts';
import { COPIED_BELOW, SHARED_CHUNK_BYTES_MAX } from './constants.ts';
import { RangeSet } from './range-set.ts';

/**
 * What one direction of a stream has to say: bytes written and not yet acknowledged. Three offsets cut it,
 * `acknowledged` ≤ `sent` ≤ `written`: below the first nothing is kept, from the second on nothing has gone out. Between them
 * two sets of ranges tell what has been acknowledged out of order and what was lost and waits to go out again; the two never
 * overlap. The rest is on its way.
 *
 * Bytes lie in the chunks they were written in and go from there straight into a packet, as often as they must. A written piece
 * of COPIED_BELOW bytes or more is kept by reference: whoever wrote it leaves it alone until it is acknowledged. Smaller ones are
 * copied into shared chunks, which grow with what waits, so a lone small message costs no more than itself.
 */
export class SendBuffer {
  /** In order, without a gap; each holds the bytes from its start up to the next one's, the last up to `written`. */
  readonly #chunks: Uint8Array[] = [];
  readonly #starts: number[] = [];
  /** The last chunk is our own and ends in room for more. */
  #isLastShared = false;
  /** Where the last read found its bytes: the next one mostly follows it. */
  #cursor = 0;
  #acknowledged: number;
  #sent: number;
  #written: number;
  #acknowledgedAhead: RangeSet | undefined = undefined;
  #lost: RangeSet | undefined = undefined;

  constructor(start = 0) {
    this.#acknowledged = start;
    this.#sent = start;
    this.#written = start;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get sent(): number {
    return this.#sent;
  }

  get written(): number {
    return this.#written;
  }

  /** Bytes kept. */
  get length(): number {
    return this.#written - this.#acknowledged;
  }

  get hasLost(): boolean {
    return this.#lost !== undefined && !this.#lost.isEmpty;
  }

  /** The lowest lost stretch; only where `hasLost`. */
  get lostStart(): number {
    return this.#lost!.firstStart;
  }

  get lostEnd(): number {
    return this.#lost!.firstEnd;
  }

  append(data: Uint8Array): void {
    if (data.length >= COPIED_BELOW) {
      this.#push(data, false);
      this.#written += data.length;
      return;
    }
    const last = this.#chunks.length - 1;
    let copied = 0;
    if (this.#isLastShared) {
      const chunk = this.#chunks[last]!;
      const filled = this.#written - this.#starts[last]!;
      copied = Math.min(data.length, chunk.length - filled);
      chunk.set(copied === data.length ? data : data.subarray(0, copied), filled);
      this.#written += copied;
    }
    if (copied === data.length) return;
    const rest = data.length - copied;
    const chunk = new Uint8Array(Math.max(rest, Math.min(this.length, SHARED_CHUNK_BYTES_MAX)));
    chunk.set(copied === 0 ? data : data.subarray(copied));
    this.#push(chunk, true);
    this.#written += rest;
  }

  /** Writes the bytes from `offset` on; they need not lie in one chunk. */
  copyTo(writer: ByteWriter, offset: number, length: number): void {
    const end = offset + length;
    assert(offset >= this.#acknowledged && end <= this.#written, 'only kept bytes are read');
    const starts = this.#starts;
    let index = this.#find(offset);
    for (let at = offset; at < end; index++) {
      const chunk = this.#chunks[index]!;
      const start = starts[index]!;
      const stop = Math.min(end, index + 1 < starts.length ? starts[index + 1]! : this.#written);
      writer.bytes(at === start && stop - at === chunk.length ? chunk : chunk.subarray(at - start, stop - start));
      this.#cursor = index;
      at = stop;
    }
  }

  /** The bytes up to here are in a packet for the first time. */
  markSent(end: number): void {
    assert(end >= this.#sent && end <= this.#written, 'what is sent was written');
    this.#sent = end;
  }

  /** Lost bytes are in a packet again. */
  markSentAgain(start: number, end: number): void {
    this.#lost!.remove(start, end);
  }

  /** `done` is told of each chunk that is not kept any more. */
  onAcknowledged(start: number, end: number, done?: (chunk: Uint8Array) => void): void {
    if (end <= this.#acknowledged) return;
    if (this.#lost !== undefined) this.#lost.remove(start, end);
    if (start > this.#acknowledged) {
      this.#acknowledgedAhead ??= new RangeSet();
      this.#acknowledgedAhead.add(start, end);
      return;
    }
    const ahead = this.#acknowledgedAhead;
    if (ahead === undefined || ahead.isEmpty) {
      this.#acknowledged = end;
    } else {
      ahead.add(this.#acknowledged, end);
      this.#acknowledged = ahead.firstEnd;
      ahead.removeFirst();
    }
    this.#trim(done);
  }

  onLost(start: number, end: number): void {
    // What a late ACK, or a copy sent meanwhile, has brought over is not lost.
    let at = Math.max(start, this.#acknowledged);
    while (at < end) {
      const known = this.#acknowledgedAhead?.endAround(at);
      if (known !== undefined) {
        at = known;
        continue;
      }
      const next = Math.min(end, this.#acknowledgedAhead?.startFrom(at) ?? end);
      this.#lost ??= new RangeSet();
      this.#lost.add(at, next);
      at = next;
    }
  }

  #push(chunk: Uint8Array, isShared: boolean): void {
    this.#chunks.push(chunk);
    this.#starts.push(this.#written);
    this.#isLastShared = isShared;
  }

  #find(offset: number): number {
    const starts = this.#starts;
    for (let index = this.#cursor; index <= this.#cursor + 1 && index < starts.length; index++) {
      const next = index + 1 < starts.length ? starts[index + 1]! : this.#written;
      if (starts[index]! <= offset && offset < next) return index;
    }
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return low;
  }

  #trim(done: ((chunk: Uint8Array) => void) | undefined): void {
    if (this.#acknowledged === this.#written) {
      if (done !== undefined) for (const chunk of this.#chunks) done(chunk);
      truncate(this.#chunks, 0);
      truncate(this.#starts, 0);
      this.#isLastShared = false;
      this.#cursor = 0;
      // An idle stream keeps none of what loss left behind.
      this.#acknowledgedAhead = undefined;
      this.#lost = undefined;
      return;
    }
    while (this.#starts.length > 1 && this.#starts[1]! <= this.#acknowledged) {
      const chunk = this.#chunks.shift()!;
      done?.(chunk);
      this.#starts.shift();
      this.#cursor = Math.max(0, this.#cursor - 1);
    }
  }
}
