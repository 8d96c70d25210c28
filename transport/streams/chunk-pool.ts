import { CHUNK_BYTES_MAX } from './constants.ts';

/** Chunks that are kept for the next who needs one, 4 MiB of them. */
export const CHUNKS_KEPT_MAX = 64;

/**
 * Memory for what streams receive, and for copies of what is written to them, in chunks of `CHUNK_BYTES_MAX`, for all streams of a
 * node. A copy that has arrived, and what a reader says that it is done with, are memory for the next bytes: at full speed a
 * collector would else be mostly busy with chunks.
 *
 * Of what readers had, only a chunk that went out in one piece comes back, and only once; with any other nothing happens.
 */
export class ChunkPool {
  /** Whoever knows memory that need not be zeroed first may say so, */
  allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes);
  /** and whoever can free what is too much to keep, which is left to the collector otherwise. */
  free: ((chunk: Uint8Array) => void) | undefined = undefined;
  readonly #kept: Uint8Array[] = [];
  readonly #lent: WeakSet<ArrayBufferLike> = new WeakSet();

  get kept(): number {
    return this.#kept.length;
  }

  /** What stands in it is somebody's from before: nothing that was not written anew may be read from it. */
  take(bytes: number): Uint8Array {
    return (bytes === CHUNK_BYTES_MAX ? this.#kept.pop() : undefined) ?? this.allocate(bytes);
  }

  /** As it was taken, by somebody who showed it to nobody. */
  put(chunk: Uint8Array): void {
    if (chunk.length !== CHUNK_BYTES_MAX) return;
    if (this.#kept.length < CHUNKS_KEPT_MAX) this.#kept.push(chunk);
    else this.free?.(chunk);
  }

  /** A reader gets all that there was in a chunk, and the chunk is forgotten. */
  lend(bytes: Uint8Array): void {
    if (bytes.buffer.byteLength === CHUNK_BYTES_MAX) this.#lent.add(bytes.buffer);
  }

  /** Nobody reads it any more. */
  giveBack({ buffer }: Uint8Array): void {
    if (this.#lent.delete(buffer)) this.put(new Uint8Array(buffer));
  }
}
