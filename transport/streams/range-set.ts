import { truncate } from '../../base/arrays.ts';

/**
 * Stretches of stream offsets, from a start up to an end that is not part of them: disjoint, not touching, in ascending order.
 * The last one is looked at first, because offsets mostly grow.
 */
export class RangeSet {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  get count(): number {
    return this.#starts.length;
  }

  get isEmpty(): boolean {
    return this.#starts.length === 0;
  }

  /** Of the lowest range; only where there is one. */
  get firstStart(): number {
    return this.#starts[0]!;
  }

  get firstEnd(): number {
    return this.#ends[0]!;
  }

  /** Of the highest range; only where there is one. */
  get lastEnd(): number {
    return this.#ends[this.#ends.length - 1]!;
  }

  add(start: number, end: number): void {
    if (start >= end) return;
    const starts = this.#starts;
    const ends = this.#ends;
    const last = starts.length - 1;
    if (last < 0 || start > ends[last]!) {
      starts.push(start);
      ends.push(end);
      return;
    }
    // Every range from `from` up to, not including, `to` overlaps or touches the new one and becomes part of it.
    const from = this.#firstEndingAtOrAfter(start);
    let to = from;
    while (to <= last && starts[to]! <= end) to++;
    if (to === from) {
      starts.splice(from, 0, start);
      ends.splice(from, 0, end);
      return;
    }
    starts[from] = Math.min(start, starts[from]!);
    ends[from] = Math.max(end, ends[to - 1]!);
    if (to - from > 1) {
      starts.splice(from + 1, to - from - 1);
      ends.splice(from + 1, to - from - 1);
    }
  }

  remove(start: number, end: number): void {
    if (start >= end || this.isEmpty) return;
    const starts = this.#starts;
    const ends = this.#ends;
    let at = this.#firstEndingAtOrAfter(start + 1);
    if (at === starts.length || starts[at]! >= end) return;
    if (starts[at]! < start) {
      const tail = ends[at]!;
      ends[at] = start;
      at++;
      if (tail > end) {
        starts.splice(at, 0, end);
        ends.splice(at, 0, tail);
        return;
      }
    }
    let to = at;
    while (to < starts.length && ends[to]! <= end) to++;
    if (to < starts.length && starts[to]! < end) starts[to] = end;
    if (to > at) {
      starts.splice(at, to - at);
      ends.splice(at, to - at);
    }
  }

  removeFirst(): void {
    this.#starts.shift();
    this.#ends.shift();
  }

  /** The end of the range that holds `offset`, or `undefined` where none does. */
  endAround(offset: number): number | undefined {
    const at = this.#firstEndingAtOrAfter(offset + 1);
    return at < this.#starts.length && this.#starts[at]! <= offset ? this.#ends[at]! : undefined;
  }

  /** The start of the first range at or above `offset`, infinite where there is none. */
  startFrom(offset: number): number {
    const at = this.#firstEndingAtOrAfter(offset + 1);
    for (let i = at; i < this.#starts.length; i++) if (this.#starts[i]! >= offset) return this.#starts[i]!;
    return Number.POSITIVE_INFINITY;
  }

  /** Whether a range overlaps or touches this stretch, so that adding it makes no range more. */
  joins(start: number, end: number): boolean {
    const at = this.#firstEndingAtOrAfter(start);
    return at < this.#starts.length && this.#starts[at]! <= end;
  }

  clear(): void {
    truncate(this.#starts, 0);
    truncate(this.#ends, 0);
  }

  /** For tests. */
  toArray(): [number, number][] {
    return this.#starts.map((start, i) => [start, this.#ends[i]!]);
  }

  #firstEndingAtOrAfter(offset: number): number {
    const ends = this.#ends;
    let low = 0;
    let high = ends.length;
    if (high > 0 && ends[0]! >= offset) return 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ends[middle]! < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
