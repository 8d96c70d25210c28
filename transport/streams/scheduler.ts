import { assert } from '../../base/assert.ts';
import { PRIORITY_BULK, PRIORITY_HIGH, type Priority } from '../../wire/frames.ts';

/**
 * Whose turn it is. Streams stand in rings, one pair for each priority: those with something that needs no credit of the tunnel
 * (lost bytes, a FIN by itself), and those with new bytes that their own credit covers. Priorities are strict; within one, what
 * was lost goes first, and whoever has filled a packet goes to the end of its ring. A stream stands in a ring only while it could
 * send, so that picking the next one costs the same however many there are, and while the tunnel's credit is used up the rings
 * of new bytes are not even looked at.
 */
export class Scheduler<T extends Queued> {
  readonly #resend: readonly Ring<T>[] = RESEND_BITS.map((bit) => new Ring<T>(bit, false));
  readonly #fresh: readonly Ring<T>[] = FRESH_BITS.map((bit) => new Ring<T>(bit, true));

  /** Puts a stream where it belongs now. */
  place(stream: T, priority: Priority, hasResend: boolean, hasFresh: boolean): void {
    this.#resend[priority]!.set(stream, hasResend);
    this.#fresh[priority]!.set(stream, hasFresh);
  }

  get hasResend(): boolean {
    return !(this.#resend[0]!.isEmpty && this.#resend[1]!.isEmpty && this.#resend[2]!.isEmpty);
  }

  get hasFresh(): boolean {
    return !(this.#fresh[0]!.isEmpty && this.#fresh[1]!.isEmpty && this.#fresh[2]!.isEmpty);
  }

  trim(): void {
    for (const ring of this.#resend) ring.trim();
    for (const ring of this.#fresh) ring.trim();
  }

  /** The ring whose turn it is, `undefined` where none has anything that may go. */
  next(mayBeFresh: boolean): Ring<T> | undefined {
    for (let priority = PRIORITY_HIGH; priority <= PRIORITY_BULK; priority++) {
      const resend = this.#resend[priority]!;
      if (!resend.isEmpty) return resend;
      const fresh = this.#fresh[priority]!;
      if (mayBeFresh && !fresh.isEmpty) return fresh;
    }
    return undefined;
  }
}

/** What a ring notes about an item, one bit for each ring: that it counts, and that it has a place (which may be out of date). */
export interface Queued {
  counted: number;
  placed: number;
}

const RESEND_BITS = [1, 2, 4] as const;
const FRESH_BITS = [8, 16, 32] as const;
export const CONTROL_BIT = 64;
export const EVENTS_BIT = 128;

/**
 * First in, first out, each item at most once. Taking one out of the middle only leaves its place behind, to be skipped or used
 * again, so everything here takes constant time, on average over any sequence; places out of date are never the greater part.
 */
export class Ring<T extends Queued> {
  /** Whether what its streams have to send uses up the tunnel's credit. */
  readonly needsCredit: boolean;
  readonly #bit: number;
  /** Circular, its length a power of two. */
  #places: (T | undefined)[] = NO_PLACES;
  #head = 0;
  #length = 0;
  #stale = 0;

  constructor(bit: number, needsCredit = false) {
    this.#bit = bit;
    this.needsCredit = needsCredit;
  }

  get isEmpty(): boolean {
    return this.#length === this.#stale;
  }

  get size(): number {
    return this.#length - this.#stale;
  }

  set(item: T, belongs: boolean): void {
    if (belongs === ((item.counted & this.#bit) !== 0)) return;
    if (belongs) this.#add(item);
    else this.#remove(item);
  }

  first(): T | undefined {
    while (this.#length > 0) {
      const item = this.#places[this.#head]!;
      if ((item.counted & this.#bit) !== 0) return item;
      this.#dropFirst();
      item.placed &= ~this.#bit;
      this.#stale--;
    }
    return undefined;
  }

  /** The first one goes to the end. */
  rotate(): void {
    const item = this.first();
    if (item === undefined) return;
    this.#dropFirst();
    this.#append(item);
  }

  /** A few places are kept for whoever comes next, until here. */
  trim(): void {
    if (this.#length === 0) this.#places = NO_PLACES;
  }

  #add(item: T): void {
    item.counted |= this.#bit;
    if ((item.placed & this.#bit) !== 0) {
      this.#stale--;
      return;
    }
    item.placed |= this.#bit;
    this.#append(item);
  }

  #remove(item: T): void {
    item.counted &= ~this.#bit;
    this.#stale++;
    if (this.isEmpty) this.#clear();
    else if (this.#stale > Math.max(this.#length / 2, PLACES_MIN)) this.#compact();
  }

  #append(item: T): void {
    if (this.#length === this.#places.length) this.#resize(Math.max(2 * this.#length, PLACES_MIN));
    this.#places[(this.#head + this.#length) & (this.#places.length - 1)] = item;
    this.#length++;
  }

  #dropFirst(): void {
    this.#places[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#places.length - 1);
    this.#length--;
  }

  #clear(): void {
    while (this.#length > 0) {
      this.#places[this.#head]!.placed &= ~this.#bit;
      this.#dropFirst();
    }
    this.#stale = 0;
    if (this.#places.length > PLACES_MIN) this.#places = NO_PLACES;
  }

  /** Forgets the places out of date, and memory with them. */
  #compact(): void {
    const kept: T[] = [];
    for (let i = 0; i < this.#length; i++) {
      const item = this.#places[(this.#head + i) & (this.#places.length - 1)]!;
      if ((item.counted & this.#bit) !== 0) kept.push(item);
      else item.placed &= ~this.#bit;
    }
    assert(kept.length === this.size, 'every place is of an item that counts, or out of date');
    this.#stale = 0;
    this.#head = 0;
    this.#length = kept.length;
    let size = PLACES_MIN;
    while (size < kept.length) size *= 2;
    this.#places = kept;
    while (this.#places.length < size) this.#places.push(undefined);
  }

  #resize(size: number): void {
    const places: (T | undefined)[] = [];
    for (let i = 0; i < this.#length; i++) places.push(this.#places[(this.#head + i) & (this.#places.length - 1)]);
    while (places.length < size) places.push(undefined);
    this.#places = places;
    this.#head = 0;
  }
}

const PLACES_MIN = 16;
/** What every ring without places shares. */
const NO_PLACES: never[] = [];
