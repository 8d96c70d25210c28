import type { AckRange } from '../wire/frames.ts';

/** RFC 9000 §13.2.3: a receiver limits the ranges it keeps; the lowest are forgotten first. */
export const ACK_RANGES_MAX = 256;

/** The packet numbers received in one direction, as disjoint ranges, highest last. */
export class ReceivedRanges {
  readonly #smallest: number[] = [];
  readonly #largest: number[] = [];

  get count(): number {
    return this.#smallest.length;
  }

  get highest(): number {
    return this.#largest.at(-1) ?? -1;
  }

  /** Adds a number that the replay window has accepted, so it is in no range yet. */
  add(number: number): void {
    let index = this.#smallest.length;
    while (index > 0 && this.#smallest[index - 1]! > number) index -= 1;
    // `index - 1` is the range at or below the number, `index` the one above.
    const joinsBelow = index > 0 && this.#largest[index - 1]! >= number - 1;
    const joinsAbove = index < this.#smallest.length && this.#smallest[index] === number + 1;
    if (joinsBelow && this.#largest[index - 1]! >= number) return;
    if (joinsBelow && joinsAbove) {
      this.#largest[index - 1] = this.#largest[index]!;
      this.#smallest.splice(index, 1);
      this.#largest.splice(index, 1);
    } else if (joinsBelow) {
      this.#largest[index - 1] = number;
    } else if (joinsAbove) {
      this.#smallest[index] = number;
    } else {
      this.#smallest.splice(index, 0, number);
      this.#largest.splice(index, 0, number);
      if (this.#smallest.length > ACK_RANGES_MAX) {
        this.#smallest.shift();
        this.#largest.shift();
      }
    }
  }

  /** Forgets what lies below a number; a range that reaches over it is cut. */
  dropBelow(number: number): void {
    let gone = 0;
    while (gone < this.#largest.length && this.#largest[gone]! < number) gone += 1;
    this.#smallest.splice(0, gone);
    this.#largest.splice(0, gone);
    if (this.#smallest.length > 0 && this.#smallest[0]! < number) this.#smallest[0] = number;
  }

  /** The highest ranges, highest first, at most `max`. */
  top(max: number): AckRange[] {
    const ranges: AckRange[] = [];
    for (let i = this.#smallest.length - 1; i >= 0 && ranges.length < max; i--) {
      ranges.push({ smallest: this.#smallest[i]!, largest: this.#largest[i]! });
    }
    return ranges;
  }
}
