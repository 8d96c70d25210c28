import { freeMemory, WORTHWHILE_BYTES } from '../ipc/free-memory.ts';

/**
 * Memory that was read from sockets and is freed as soon as nobody needs it. The collector would free it too; but memory outside its
 * heap makes it collect all of the heap every 64 MiB, which at full speed is several times a second.
 *
 * Only memory whose owner gave it away is known here, and it is freed once all bytes of it are done with. What never is, because a
 * stream ended early or copied the rest, is left to the collector.
 */
export class GivenMemory {
  /** How many bytes of it are still needed. */
  readonly #left: WeakMap<ArrayBufferLike, number> = new WeakMap();

  /** `bytes` are all that there is in their memory, and nobody else uses them from now on; said again of a part, it means nothing. */
  give(bytes: Uint8Array): void {
    const { buffer } = bytes;
    if (bytes.length < WORTHWHILE_BYTES || bytes.length !== buffer.byteLength || this.#left.has(buffer)) return;
    this.#left.set(buffer, bytes.length);
  }

  /** A part that nobody needs any more, which is told of each byte once; of memory that was never given it means nothing. */
  done({ buffer, length }: Uint8Array): void {
    const left = this.#left.get(buffer);
    if (left === undefined) return;
    if (left > length) {
      this.#left.set(buffer, left - length);
      return;
    }
    this.#left.delete(buffer);
    freeMemory(buffer);
  }
}
