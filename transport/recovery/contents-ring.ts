import { assert } from '../../base/assert.ts';
import type { ContentKind, PacketContents } from '../packet-contents.ts';

/** More entries than this in one packet, and the packer leaves the rest to the next one. */
export const CONTENTS_PER_PACKET_MAX = 1_024;
/** Entries kept for all packets together, 21 bytes each: four a packet when the ledger is full. */
const ENTRIES_MAX = 2 ** 19;
const ENTRIES_MIN = 16;

/**
 * What the packets in the ledger carried, entry after entry, in the order of sending. An entry's position counts up for ever; its
 * place is the position modulo the capacity. Entries are let go from the old end only, when the ledger lets go of their packets.
 *
 * One flat ring and not a `PacketContents` for each packet: with 50,000 packets in flight the objects alone would take tens of
 * megabytes and be walked by every garbage collection.
 */
export class ContentsRing {
  #kinds: Uint8Array = NONE.kinds;
  #streams: Float64Array = NONE.streams;
  #offsets: Float64Array = NONE.offsets;
  #lengths: Uint32Array = NONE.lengths;
  #capacity = 0;
  #first = 0;
  #next = 0;

  get next(): number {
    return this.#next;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Whether the largest packet there may be still has room. */
  get hasRoom(): boolean {
    return this.#next - this.#first + CONTENTS_PER_PACKET_MAX <= ENTRIES_MAX;
  }

  /** Appends all of `contents`. */
  add(contents: PacketContents): void {
    const { count } = contents;
    assert(count <= CONTENTS_PER_PACKET_MAX, 'a packet carries at most 1,024 entries');
    while (this.#next - this.#first + count > this.#capacity) this.#grow();
    const mask = this.#capacity - 1;
    for (let index = 0; index < count; index++) {
      const place = this.#next++ & mask;
      this.#kinds[place] = contents.kind(index);
      this.#streams[place] = contents.stream(index);
      this.#offsets[place] = contents.offset(index);
      this.#lengths[place] = contents.length(index);
    }
  }

  /** Makes `into` what was added at `position`. */
  load(position: number, count: number, into: PacketContents): void {
    const mask = this.#capacity - 1;
    into.clear();
    for (let index = 0; index < count; index++) {
      const place = (position + index) & mask;
      into.add(this.#kinds[place] as ContentKind, this.#streams[place]!, this.#offsets[place]!, this.#lengths[place]!);
    }
  }

  /** Everything before `position` is done with. */
  releaseTo(position: number): void {
    this.#first = position;
  }

  /** Gives the memory back; only when nothing is kept. */
  trim(): void {
    if (this.#first !== this.#next || this.#capacity === 0) return;
    this.#capacity = 0;
    this.#kinds = NONE.kinds;
    this.#streams = NONE.streams;
    this.#offsets = NONE.offsets;
    this.#lengths = NONE.lengths;
  }

  #grow(): void {
    const capacity = Math.max(2 * this.#capacity, ENTRIES_MIN);
    assert(capacity <= ENTRIES_MAX, 'the ledger makes room before it adds');
    const { kinds, streams, offsets, lengths } = columnsFor(capacity);
    for (let position = this.#first; position < this.#next; position++) {
      const from = position & (this.#capacity - 1);
      const to = position & (capacity - 1);
      kinds[to] = this.#kinds[from]!;
      streams[to] = this.#streams[from]!;
      offsets[to] = this.#offsets[from]!;
      lengths[to] = this.#lengths[from]!;
    }
    this.#capacity = capacity;
    this.#kinds = kinds;
    this.#streams = streams;
    this.#offsets = offsets;
    this.#lengths = lengths;
  }
}

interface ContentColumns {
  readonly kinds: Uint8Array;
  readonly streams: Float64Array;
  readonly offsets: Float64Array;
  readonly lengths: Uint32Array;
}

/** One buffer for all columns: the widest first, so that each is aligned. */
function columnsFor(capacity: number): ContentColumns {
  const buffer = new ArrayBuffer(21 * capacity);
  return {
    streams: new Float64Array(buffer, 0, capacity),
    offsets: new Float64Array(buffer, 8 * capacity, capacity),
    lengths: new Uint32Array(buffer, 16 * capacity, capacity),
    kinds: new Uint8Array(buffer, 20 * capacity, capacity),
  };
}

/** What every ring without entries shares. */
const NONE: ContentColumns = columnsFor(0);
