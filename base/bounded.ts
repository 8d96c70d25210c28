import { assert } from './assert.ts';

/** First in, first out, at most `max` items: pushing into a full queue drops the oldest and returns it. */
export class BoundedQueue<T> {
  readonly max: number;
  #items: (T | undefined)[] = [];
  #head = 0;

  constructor(max: number) {
    assert(max > 0, 'a bound is positive');
    this.max = max;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): T | undefined {
    const dropped = this.length >= this.max ? this.shift() : undefined;
    this.#items.push(item);
    return dropped;
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  some(test: (item: T) => boolean): boolean {
    return this.#items.some((item) => item !== undefined && test(item));
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    // The taken front is cut off once it is half of the array: amortised constant time, memory within twice the length.
    if (this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
  }
}

/** A map of at most `max` entries that forgets the longest unused one. Reading an entry is using it. */
export class LruMap<K, V> {
  readonly max: number;
  readonly #entries: Map<K, V> = new Map();

  constructor(max: number) {
    assert(max > 0, 'a bound is positive');
    this.max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, value);
    }
    return value;
  }

  set(key: K, value: V): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.max) this.#entries.delete(this.#entries.keys().next().value as K);
    this.#entries.set(key, value);
  }
}
