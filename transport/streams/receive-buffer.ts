import { truncate } from '../../base/arrays.ts';
import { assert } from '../../base/assert.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { CHUNK_BYTES_MAX, OUT_OF_ORDER_RANGES_MAX, READ_CHUNK_BYTES_MIN } from './constants.ts';
import { RangeSet } from './range-set.ts';

/**
 * What one direction of a stream has heard: two offsets, `taken` ≤ `ready`. Below the first the reader has the bytes, up to the
 * second they lie in order for it; beyond lie ranges that arrived early.
 *
 * Bytes are copied once, from the packet to their final place: chunks cover the offsets from `taken` upward without a gap, and a
 * chunk beyond a hole gets its memory when something is written into it. The reader is handed views of them, as long as a chunk
 * and what is in order allow, and a handed-out byte is never written again. A chunk is as large as what came since the reader
 * last had everything, and the next ones double: a reader that keeps up, and an idle stream, cost next to nothing, and under load
 * chunks are large.
 *
 * Flow control counts the offsets from `taken` to the highest received, and memory follows it: nothing is kept beyond the highest
 * but the rest of its chunk, the *slack*, of which the tunnel says how much more there may be; below `taken` the first chunk keeps
 * no more than it still has to give.
 *
 * Where ranges overlap, the byte that came first stays (RFC 9000 §2.2 lets an endpoint treat other bytes at the same offset as an
 * error; comparing would mean keeping what the reader already has, and whoever sends two versions only spoils its own stream).
 */
export class ReceiveBuffer {
  /** From `taken` up, adjoining. */
  readonly #chunks: Chunk[] = [];
  #early: RangeSet | undefined = undefined;
  #taken: number;
  #ready: number;
  #drainedAt: number;
  /** The size of the next chunk. */
  #chunkBytes: number = READ_CHUNK_BYTES_MIN;
  /** Where the last write went. */
  #cursor = 0;

  readonly #pool: ChunkPool;

  constructor(pool: ChunkPool, start = 0) {
    this.#pool = pool;
    this.#taken = start;
    this.#ready = start;
    this.#drainedAt = start;
  }

  get taken(): number {
    return this.#taken;
  }

  get ready(): number {
    return this.#ready;
  }

  get rangeCount(): number {
    return this.#early?.count ?? 0;
  }

  /** Memory beyond the highest byte received, which no credit covers. */
  get slack(): number {
    const last = this.#chunks.at(-1);
    if (last === undefined) return 0;
    return last.start + last.size - (this.rangeCount > 0 ? this.#early!.lastEnd : this.#ready);
  }

  /** Bytes of memory held. */
  get memory(): number {
    let bytes = 0;
    for (const chunk of this.#chunks) bytes += chunk.bytes?.length ?? 0;
    return bytes;
  }

  /**
   * False where the bytes would make one range too many: then nothing has been taken, and the packet must not be acknowledged.
   * `slackLeft` is how much more slack there may be.
   */
  receive(offset: number, data: Uint8Array, slackLeft: number = CHUNK_BYTES_MAX): boolean {
    const end = offset + data.length;
    if (end <= this.#ready || data.length === 0) return true;
    const early = this.#early;
    if (offset <= this.#ready && (early === undefined || early.isEmpty)) {
      this.#cover(end, slackLeft);
      this.#write(this.#ready, offset === this.#ready ? data : data.subarray(this.#ready - offset));
      this.#ready = end;
      return true;
    }
    return this.#receiveAmongRanges(offset, data, slackLeft);
  }

  /** The next bytes in order, or `undefined` where there are none. `givesBack`: whoever reads says when it is done with them. */
  read(givesBack = false): Uint8Array | undefined {
    if (this.#taken === this.#ready) return undefined;
    const chunk = this.#chunks[0]!;
    const start = this.#taken;
    const end = Math.min(this.#ready, chunk.start + chunk.size);
    const bytes = chunk.bytes!.subarray(start - chunk.start, end - chunk.start);
    this.#taken = end;
    const hasAll = end === this.#ready && this.rangeCount === 0;
    if (givesBack && start === chunk.start && (hasAll || end === chunk.start + chunk.size)) this.#pool.lend(bytes);
    if (hasAll) this.#drained();
    else if (end === chunk.start + chunk.size) {
      this.#chunks.shift();
      this.#cursor = Math.max(0, this.#cursor - 1);
    } else if (2 * (end - chunk.start) > chunk.size) {
      // At a hole. The bytes beyond it would hold those that the reader has had; to move them costs less than reading those did.
      const rest = end - chunk.start;
      this.#chunks[0] = { start: end, size: chunk.size - rest, bytes: chunk.bytes!.slice(rest) };
    }
    return bytes;
  }

  /** Drops all bytes; what has been taken moves up to `offset`. */
  discard(offset: number): void {
    assert(offset >= this.#ready, 'nothing beyond what was received is discarded');
    truncate(this.#chunks, 0);
    this.#early = undefined;
    this.#cursor = 0;
    this.#taken = offset;
    this.#ready = offset;
  }

  #receiveAmongRanges(offset: number, data: Uint8Array, slackLeft: number): boolean {
    this.#early ??= new RangeSet();
    const early = this.#early;
    const end = offset + data.length;
    if (offset > this.#ready && early.count >= OUT_OF_ORDER_RANGES_MAX && !early.joins(offset, end)) return false;
    this.#cover(end, slackLeft);
    let at = Math.max(offset, this.#ready);
    while (at < end) {
      const known = early.endAround(at);
      if (known !== undefined) {
        at = known;
        continue;
      }
      const next = Math.min(end, early.startFrom(at));
      this.#write(at, data.subarray(at - offset, next - offset));
      at = next;
    }
    if (offset > this.#ready) {
      early.add(offset, end);
      return true;
    }
    early.add(this.#ready, end);
    this.#ready = early.firstEnd;
    early.removeFirst();
    return true;
  }

  #write(offset: number, data: Uint8Array): void {
    const end = offset + data.length;
    let index = this.#find(offset);
    for (let at = offset; at < end; index++) {
      const chunk = this.#chunks[index]!;
      const stop = Math.min(end, chunk.start + chunk.size);
      chunk.bytes ??= this.#pool.take(chunk.size);
      const isWhole = at === offset && stop === end;
      chunk.bytes.set(isWhole ? data : data.subarray(at - offset, stop - offset), at - chunk.start);
      this.#cursor = index;
      at = stop;
    }
  }

  /** Chunks up to `end` at least: as large as they should be, where the slack of the last one is granted. */
  #cover(end: number, slackLeft: number): void {
    const last = this.#chunks.at(-1);
    let covered = last === undefined ? this.#taken : last.start + last.size;
    while (covered < end) {
      const needed = Math.min(end - covered, CHUNK_BYTES_MAX);
      const size = Math.max(needed, Math.min(this.#chunkBytes, needed + Math.max(slackLeft, READ_CHUNK_BYTES_MIN)));
      this.#chunks.push({ start: covered, size, bytes: undefined });
      covered += size;
      this.#chunkBytes = Math.min(2 * size, CHUNK_BYTES_MAX);
    }
  }

  #find(offset: number): number {
    const chunks = this.#chunks;
    for (let index = this.#cursor; index <= this.#cursor + 1 && index < chunks.length; index++) {
      const { start, size } = chunks[index]!;
      if (start <= offset && offset < start + size) return index;
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

  /** The reader has everything: what follows begins in a chunk of its own, as large as what it had to wait for this time. */
  #drained(): void {
    const came = this.#taken - this.#drainedAt;
    this.#drainedAt = this.#taken;
    this.#chunkBytes = Math.min(Math.max(came, READ_CHUNK_BYTES_MIN), CHUNK_BYTES_MAX);
    truncate(this.#chunks, 0);
    this.#early = undefined;
    this.#cursor = 0;
  }
}

interface Chunk {
  readonly start: number;
  readonly size: number;
  bytes: Uint8Array | undefined;
}
