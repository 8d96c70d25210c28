import { truncate } from '../../base/arrays.ts';
import type { AckRange } from '../../wire/frames.ts';

/** RFC 9000 §13.2.3: a receiver limits the ranges it keeps; the lowest are forgotten first. */
export const RECEIVED_RANGES_MAX = 256;

/**
 * The packet numbers received in one direction, as disjoint ranges, highest last. Nearly every number joins the highest range, so
 * that is looked at first. What the peer knows to have arrived is forgotten (`forgetTo`), all but the highest number.
 */
export class ReceivedNumbers {
  readonly #smallest: number[] = [];
  readonly #largest: number[] = [];

  get count(): number {
    return this.#smallest.length;
  }

  /** −1 before any. */
  get highest(): number {
    return this.#largest.length === 0 ? -1 : this.#largest[this.#largest.length - 1]!;
  }

  /** Adds a number; one that is there already changes nothing. */
  add(number: number): void {
    const last = this.#largest.length - 1;
    if (last >= 0 && this.#largest[last] === number - 1) {
      this.#largest[last] = number;
      return;
    }
    let index = last + 1;
    while (index > 0 && this.#smallest[index - 1]! > number) index -= 1;
    // `index - 1` is the range at or below the number, `index` the one above.
    if (index > 0 && this.#largest[index - 1]! >= number) return;
    const joinsBelow = index > 0 && this.#largest[index - 1] === number - 1;
    const joinsAbove = index <= last && this.#smallest[index] === number + 1;
    if (joinsBelow && joinsAbove) {
      this.#largest[index - 1] = this.#largest[index]!;
      this.#remove(index, 1);
    } else if (joinsBelow) {
      this.#largest[index - 1] = number;
    } else if (joinsAbove) {
      this.#smallest[index] = number;
    } else {
      this.#smallest.splice(index, 0, number);
      this.#largest.splice(index, 0, number);
      if (this.#smallest.length > RECEIVED_RANGES_MAX) this.#remove(0, 1);
    }
  }

  /** Everything up to `number` need not be said again. The highest number stays: an ACK names at least one. */
  forgetTo(number: number): void {
    let gone = 0;
    while (gone < this.#largest.length - 1 && this.#largest[gone]! <= number) gone += 1;
    if (gone > 0) this.#remove(0, gone);
    if (this.#smallest.length === 0 || this.#smallest[0]! > number) return;
    this.#smallest[0] = Math.min(number + 1, this.#largest[0]!);
  }

  /**
   * Makes `into` the highest ranges, highest first, at most `max`; its objects are used again. Where the range with `news` is not
   * among them, it takes the place of the last one: what has just come is said, however deep it lies.
   */
  top(max: number, news: number, into: WritableRange[]): void {
    const total = this.#smallest.length;
    const count = Math.min(max, total);
    while (into.length < count) into.push({ smallest: 0, largest: 0 });
    truncate(into, count);
    for (let i = 0; i < count; i++) this.#copy(total - 1 - i, into[i]!);
    if (count === total || news >= this.#smallest[total - count]!) return;
    for (let index = total - count - 1; index >= 0; index--) {
      if (this.#smallest[index]! > news) continue;
      this.#copy(index, into[count - 1]!);
      return;
    }
  }

  #copy(index: number, into: WritableRange): void {
    into.smallest = this.#smallest[index]!;
    into.largest = this.#largest[index]!;
  }

  #remove(index: number, count: number): void {
    this.#smallest.splice(index, count);
    this.#largest.splice(index, count);
  }
}

export type WritableRange = { -readonly [Key in keyof AckRange]: AckRange[Key] };
