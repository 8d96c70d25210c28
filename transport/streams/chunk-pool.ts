import { READ_CHUNK_BYTES_MAX } from './constants.ts';

/** Chunks that are kept for the next reader, 4 MiB of them. */
export const CHUNKS_KEPT_MAX = 128;

/**
 * Memory for what streams receive, in chunks of `READ_CHUNK_BYTES_MAX`, for all streams of a node. A reader that says when it is done
 * with what it read lets the next bytes have the same memory: at full speed a collector would else be mostly busy with chunks.
 *
 * Only a chunk that went out in one piece comes back, and only once; with any other nothing happens.
 */
export class ChunkPool {
  /** Whoever knows memory that need not be zeroed first may say so. */
  allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes);
  readonly #kept: Uint8Array[] = [];
  readonly #lent: WeakSet<ArrayBufferLike> = new WeakSet();

  get kept(): number {
    return this.#kept.length;
  }

  /** What stands in it is somebody's from before: nothing that was not written anew may be read from it. */
  take(bytes: number): Uint8Array {
    return (bytes === READ_CHUNK_BYTES_MAX ? this.#kept.pop() : undefined) ?? this.allocate(bytes);
  }

  /** A reader gets all that there was in a chunk, and the chunk is forgotten. */
  lend(bytes: Uint8Array): void {
    if (bytes.buffer.byteLength === READ_CHUNK_BYTES_MAX) this.#lent.add(bytes.buffer);
  }

  /** Nobody reads it any more. */
  giveBack({ buffer }: Uint8Array): void {
    if (this.#lent.delete(buffer) && this.#kept.length < CHUNKS_KEPT_MAX) this.#kept.push(new Uint8Array(buffer));
  }
}
