import { truncate } from '../base/arrays.ts';

/** No piece is larger, so that a reader of one holds no more than that. */
const PIECE_BYTES_MAX: number = 32 * 1_024;
const PIECE_BYTES_MIN = 64;

/**
 * Bytes that wait, as copies and close together: however small the pieces they came in, they take at most twice their number.
 */
export class ByteQueue {
  readonly #pieces: Piece[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(data: Uint8Array): void {
    let at = 0;
    const last = this.#pieces.at(-1);
    if (last !== undefined) at = fill(last, data, 0);
    while (at < data.length) {
      const wanted = Math.max(data.length - at, Math.min(this.#length, PIECE_BYTES_MAX), PIECE_BYTES_MIN);
      const piece: Piece = { bytes: new Uint8Array(Math.min(wanted, PIECE_BYTES_MAX)), start: 0, end: 0 };
      this.#pieces.push(piece);
      at = fill(piece, data, at);
    }
    this.#length += data.length;
  }

  /** The first of them, as they lie; they stay as they are, also once they are dropped. */
  peek(): Uint8Array | undefined {
    const first = this.#pieces[0];
    return first?.bytes.subarray(first.start, first.end);
  }

  /** So many of what `peek` gives. */
  drop(bytes: number): void {
    const first = this.#pieces[0];
    if (first === undefined) return;
    first.start += bytes;
    this.#length -= bytes;
    if (first.start >= first.end) this.#pieces.shift();
  }

  clear(): void {
    truncate(this.#pieces, 0);
    this.#length = 0;
  }
}

interface Piece {
  readonly bytes: Uint8Array;
  start: number;
  end: number;
}

/** Copies from `at` on as far as there is room; where it stopped. */
function fill(piece: Piece, data: Uint8Array, at: number): number {
  const count = Math.min(data.length - at, piece.bytes.length - piece.end);
  piece.bytes.set(data.subarray(at, at + count), piece.end);
  piece.end += count;
  return at + count;
}
