import { assert } from '../../base/assert.ts';
import type { ByteWriter } from '../../wire/writer.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { CHUNK_BYTES_MAX, COPIED_BELOW } from './constants.ts';
import { RangeSet } from './range-set.ts';

/**
 * What one direction of a stream has to say: bytes written and not yet acknowledged. Three offsets cut it,
 * `acknowledged` ≤ `sent` ≤ `written`: below the first nothing is kept, from the second on nothing has gone out. Between them
 * two sets of ranges tell what has been acknowledged out of order and what was lost and waits to go out again; the two never
 * overlap. The rest is on its way.
 *
 * Bytes lie in the chunks they were written in and go from there straight into a packet, as often as they must. A written piece
 * of COPIED_BELOW bytes or more is kept by reference where whoever wrote it leaves it alone until it is acknowledged. Others are
 * copied into shared chunks, which grow with what waits, so a lone small message costs no more than itself, and which go back to
 * the pool.
 */
export class SendBuffer {
  /** In order, without a gap; each holds the bytes from its start up to the next one's, the last up to `written`. */
  readonly #chunks: Chunk[] = [];
  readonly #pool: ChunkPool;
  /** Bytes in chunks that are copies: of so little as lies between large pieces there is never more than as much again. */
  #copied = 0;
  /** Where the last read found its bytes: the next one mostly follows it. */
  #cursor = 0;
  #acknowledged: number;
  #sent: number;
  #written: number;
  #acknowledgedAhead: RangeSet | undefined = undefined;
  #lost: RangeSet | undefined = undefined;

  constructor(pool: ChunkPool, start = 0) {
    this.#pool = pool;
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

  /** `isLeftAlone`, until it is acknowledged: it need not be copied. */
  append(data: Uint8Array, isLeftAlone = true): void {
    if (isLeftAlone && data.length >= COPIED_BELOW) {
      this.#push(data, false);
      this.#written += data.length;
      return;
    }
    for (let copied = 0; copied < data.length; ) {
      const rest = data.length - copied;
      if (this.#sharedRoom() === 0)
        this.#push(this.#pool.take(Math.min(Math.max(rest, this.#copied), CHUNK_BYTES_MAX)), true);
      const count = Math.min(rest, this.#sharedRoom());
      const { bytes, start } = this.#chunks.at(-1)!;
      bytes.set(count === data.length ? data : data.subarray(copied, copied + count), this.#written - start);
      this.#written += count;
      this.#copied += count;
      copied += count;
    }
  }

  /** Writes the bytes from `offset` on; they need not lie in one chunk. */
  copyTo(writer: ByteWriter, offset: number, length: number): void {
    const end = offset + length;
    assert(offset >= this.#acknowledged && end <= this.#written, 'only kept bytes are read');
    let index = this.#find(offset);
    for (let at = offset; at < end; index++) {
      const { bytes, start } = this.#chunks[index]!;
      const stop = Math.min(end, this.#endOf(index));
      writer.bytes(at === start && stop - at === bytes.length ? bytes : bytes.subarray(at - start, stop - start));
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

  /** `done` is told of each piece that was left alone and is not kept any more. */
  onAcknowledged(start: number, end: number, done?: (piece: Uint8Array) => void): void {
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

  /** In the last chunk, where it is one of ours. */
  #sharedRoom(): number {
    const last = this.#chunks.at(-1);
    return last?.isOurs === true ? last.bytes.length - (this.#written - last.start) : 0;
  }

  #endOf(index: number): number {
    return this.#chunks[index + 1]?.start ?? this.#written;
  }

  #push(bytes: Uint8Array, isOurs: boolean): void {
    this.#chunks.push({ bytes, start: this.#written, isOurs });
  }

  #find(offset: number): number {
    const chunks = this.#chunks;
    for (let index = this.#cursor; index <= this.#cursor + 1 && index < chunks.length; index++) {
      if (chunks[index]!.start <= offset && offset < this.#endOf(index)) return index;
    }
    let low = 0;
    let high = chunks.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (chunks[middle]!.start <= offset) low = middle;
      else high = middle;
    }
    return low;
  }

  #trim(done: ((piece: Uint8Array) => void) | undefined): void {
    while (this.#chunks.length > 0 && this.#endOf(0) <= this.#acknowledged) {
      const end = this.#endOf(0);
      const { bytes, start, isOurs } = this.#chunks.shift()!;
      if (isOurs) {
        this.#copied -= end - start;
        this.#pool.put(bytes);
      } else done?.(bytes);
      this.#cursor = Math.max(0, this.#cursor - 1);
    }
    if (this.#chunks.length > 0) return;
    // An idle stream keeps none of what loss left behind.
    this.#acknowledgedAhead = undefined;
    this.#lost = undefined;
  }
}

interface Chunk {
  readonly bytes: Uint8Array;
  readonly start: number;
  /** A copy, with memory of the pool; else a piece as it was written. */
  readonly isOurs: boolean;
}
