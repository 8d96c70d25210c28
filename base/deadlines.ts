import type { Instant } from './time.ts';
import { NEVER } from './time.ts';

/** For items that are known and wait for nothing. */
const NOWHERE = -1;

/**
 * A heap of items by deadline, each item at most once; moving one costs the logarithm of how many there are, and no memory. An
 * item is known from its first deadline until it is set to NEVER, also while it has none because it was taken.
 */
export class Deadlines<T> {
  readonly #items: T[] = [];
  /** The deadlines of the items in the same places. */
  readonly #ats: Instant[] = [];
  readonly #places: Map<T, number> = new Map();

  /** Items that have a deadline. */
  get size(): number {
    return this.#items.length;
  }

  next(): Instant {
    return this.#items.length === 0 ? NEVER : this.#ats[0]!;
  }

  /** NEVER takes the item out. */
  set(item: T, at: Instant): void {
    const place = this.#places.get(item);
    if (at === NEVER) {
      if (place === undefined) return;
      if (place !== NOWHERE) this.#removeAt(place);
      this.#places.delete(item);
    } else if (place === undefined || place === NOWHERE) {
      this.#items.push(item);
      this.#ats.push(at);
      this.#places.set(item, this.#items.length - 1);
      this.#up(this.#items.length - 1);
    } else if (this.#ats[place] !== at) {
      this.#ats[place] = at;
      this.#move(place);
    }
  }

  takeDue(now: Instant): T | undefined {
    if (this.#items.length === 0 || this.#ats[0]! > now) return undefined;
    const item = this.#items[0]!;
    this.#removeAt(0);
    return item;
  }

  #removeAt(place: number): void {
    this.#places.set(this.#items[place]!, NOWHERE);
    const item = this.#items.pop()!;
    const at = this.#ats.pop()!;
    if (place === this.#items.length) return;
    this.#items[place] = item;
    this.#ats[place] = at;
    this.#places.set(item, place);
    this.#move(place);
  }

  /** What stands there has another deadline than what stood there. */
  #move(place: number): void {
    const item = this.#items[place]!;
    this.#up(place);
    this.#down(this.#places.get(item)!);
  }

  #up(start: number): void {
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#ats[parent]! <= this.#ats[place]!) return;
      this.#swap(place, parent);
      place = parent;
    }
  }

  #down(start: number): void {
    let place = start;
    for (;;) {
      const left = 2 * place + 1;
      let least = place;
      if (left < this.#ats.length && this.#ats[left]! < this.#ats[least]!) least = left;
      if (left + 1 < this.#ats.length && this.#ats[left + 1]! < this.#ats[least]!) least = left + 1;
      if (least === place) return;
      this.#swap(place, least);
      place = least;
    }
  }

  #swap(a: number, b: number): void {
    const item = this.#items[a]!;
    const at = this.#ats[a]!;
    this.#items[a] = this.#items[b]!;
    this.#ats[a] = this.#ats[b]!;
    this.#items[b] = item;
    this.#ats[b] = at;
    this.#places.set(this.#items[a]!, a);
    this.#places.set(item, b);
  }
}
