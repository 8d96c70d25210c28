import type { Instant } from './time.ts';
import { NEVER } from './time.ts';

/** A heap of items by deadline, each item at most once; moving one costs the logarithm of how many there are. */
export class Deadlines<T> {
  readonly #heap: { item: T; at: Instant }[] = [];
  readonly #index: Map<T, number> = new Map();

  get size(): number {
    return this.#heap.length;
  }

  next(): Instant {
    return this.#heap[0]?.at ?? NEVER;
  }

  /** NEVER takes the item out. */
  set(item: T, at: Instant): void {
    const index = this.#index.get(item);
    if (index === undefined) {
      if (at === NEVER) return;
      this.#heap.push({ item, at });
      this.#index.set(item, this.#heap.length - 1);
      this.#up(this.#heap.length - 1);
      return;
    }
    if (at === NEVER) {
      this.#removeAt(index);
      return;
    }
    const entry = this.#heap[index]!;
    if (entry.at === at) return;
    entry.at = at;
    this.#up(index);
    this.#down(this.#index.get(item)!);
  }

  takeDue(now: Instant): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    this.#removeAt(0);
    return first.item;
  }

  #removeAt(index: number): void {
    const removed = this.#heap[index]!;
    const last = this.#heap.pop()!;
    this.#index.delete(removed.item);
    if (last === removed) return;
    this.#heap[index] = last;
    this.#index.set(last.item, index);
    this.#up(index);
    this.#down(this.#index.get(last.item)!);
  }

  #up(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#heap[parent]!.at <= this.#heap[index]!.at) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #down(start: number): void {
    let index = start;
    for (;;) {
      const left = 2 * index + 1;
      let least = index;
      for (const child of [left, left + 1]) {
        if (child < this.#heap.length && this.#heap[child]!.at < this.#heap[least]!.at) least = child;
      }
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #swap(a: number, b: number): void {
    const first = this.#heap[a]!;
    const second = this.#heap[b]!;
    this.#heap[a] = second;
    this.#heap[b] = first;
    this.#index.set(second.item, a);
    this.#index.set(first.item, b);
  }
}
