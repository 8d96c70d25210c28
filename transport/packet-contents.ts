import { assert } from '../base/assert.ts';

/**
 * What a sent packet carried, as far as somebody wants to hear whether it arrived: numbers only, in a few parallel columns that
 * are used again for later packets, so that sending costs no allocation. A lost packet is never sent again as it was; whoever put something into it decides what
 * to say instead (RFC 9000 §13.3).
 */
export const CONTENT_STREAM_OPEN = 0;
export const CONTENT_STREAM_DATA = 1;
/** Data that ends its stream. */
export const CONTENT_STREAM_FIN = 2;
export const CONTENT_STREAM_RESET = 3;
export const CONTENT_STREAM_STOP = 4;
export const CONTENT_MAX_DATA = 5;
export const CONTENT_MAX_STREAM_DATA = 6;
export const CONTENT_MAX_STREAMS = 7;
/** An ACK frame; `offset` is the largest number it acknowledged. */
export const CONTENT_ACK = 8;

export type ContentKind = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

export class PacketContents {
  #count = 0;
  readonly #kinds: ContentKind[] = [];
  readonly #streams: number[] = [];
  readonly #offsets: number[] = [];
  readonly #lengths: number[] = [];

  get count(): number {
    return this.#count;
  }

  /** `stream` and `length` are 0 where a kind has none. */
  add(kind: ContentKind, stream: number, offset: number, length: number): void {
    const index = this.#count++;
    this.#kinds[index] = kind;
    this.#streams[index] = stream;
    this.#offsets[index] = offset;
    this.#lengths[index] = length;
  }

  kind(index: number): ContentKind {
    assert(index < this.#count, 'an entry that was added');
    return this.#kinds[index]!;
  }

  stream(index: number): number {
    return this.#streams[index]!;
  }

  offset(index: number): number {
    return this.#offsets[index]!;
  }

  length(index: number): number {
    return this.#lengths[index]!;
  }

  /** Empty again, the columns kept. */
  clear(): void {
    this.#count = 0;
  }
}
