import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';

/**
 * Memory that programs were handed for good: what they read of a node of their own. When they are done with it only the collector
 * can find out. Its young collection does so in a fraction of a millisecond; but that begins when V8's young space is full, of
 * which bytes outside the heap take nothing, and these bytes count when V8 considers whether to mark all of the heap. A small heap
 * is marked after some 20 MB of them, for 20 ms.
 *
 * So whenever so much has been handed out, the rest of the young space is filled, and what nobody has any more is gone before it
 * counts. Whoever keeps what was read loses nothing by it, and is told nothing.
 */
export class KeptMemory {
  /** Handed out since the young space was last filled. */
  #bytes = 0;
  /** What it is filled with; what nobody could see, V8 might not make. */
  filling: readonly unknown[] = NOTHING;

  handOut(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < BYTES_BETWEEN) return;
    this.#bytes = 0;
    const young = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space');
    if (young === undefined || young.space_available_size > YOUNG_BYTES_MAX) return;
    const old = getHeapStatistics().used_heap_size - young.space_used_size;
    if (old <= SMALL_HEAP_BYTES_MAX) this.#fill(young.space_available_size);
  }

  #fill(bytes: number): void {
    for (let filled = 0; filled <= bytes; filled += FILLING_BYTES) {
      // Nothing of it may survive: that would make V8 enlarge the young space.
      this.filling = NOTHING;
      this.filling = new Array(FILLING_BYTES / POINTER_BYTES);
    }
    this.filling = NOTHING;
  }
}

const NOTHING: readonly unknown[] = [];
/** V8 strikes what is gone off its books when it collects the next time: twice as much must not make it mark even the smallest heap. */
const BYTES_BETWEEN: number = 10 * 2 ** 20;
/** Larger heaps do without: V8 has a young collection for every 32 MiB of such memory, and would mark them only later. */
const SMALL_HEAP_BYTES_MAX: number = 12 * 2 ** 20;
/** As large as the young space becomes by itself; filling a larger one would cost more than it saves. */
const YOUNG_BYTES_MAX: number = 16 * 2 ** 20;
/** Just below what V8 keeps in a space of its own. */
const FILLING_BYTES = 120_000;
const POINTER_BYTES = 8;
