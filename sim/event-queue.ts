import { assert } from '../base/assert.ts';
import { type Instant, NEVER } from '../base/time.ts';

/**
 * What is to happen, earliest first; what is due at the same time comes out in the order it went in. A binary heap over three
 * parallel arrays: times and sequence numbers are compared without touching the events.
 *
 * It never holds more than `max` events: `push` then refuses, and it is for the caller to say what that means.
 */
export class EventQueue<Event> {
  readonly #max: number;
  #times = new Float64Array(INITIAL_CAPACITY);
  #sequences = new Float64Array(INITIAL_CAPACITY);
  readonly #events: (Event | undefined)[] = [];
  #size = 0;
  #nextSequence = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  /** When the first event is due; `NEVER` where there is none. */
  nextTime(): Instant {
    return this.#size === 0 ? NEVER : (this.#times[0]! as Instant);
  }

  /** False where the queue is full. */
  push(time: Instant, event: Event): boolean {
    assert(time < NEVER, 'an event needs a time');
    if (this.#size === this.#max) return false;
    if (this.#size === this.#times.length) this.#grow();
    this.#rise(this.#size++, time, this.#nextSequence++, event);
    return true;
  }

  pop(): Event | undefined {
    if (this.#size === 0) return undefined;
    const first = this.#events[0];
    const last = --this.#size;
    const event = this.#events[last];
    this.#events[last] = undefined;
    if (last > 0) this.#sink(this.#times[last]!, this.#sequences[last]!, event);
    return first;
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 2);
    times.set(this.#times);
    this.#times = times;
    const sequences = new Float64Array(times.length);
    sequences.set(this.#sequences);
    this.#sequences = sequences;
  }

  /** A new event moves up from the free slot `at`. It has the highest sequence number, so only an earlier time moves it. */
  #rise(at: number, time: number, sequence: number, event: Event): void {
    const times = this.#times;
    let slot = at;
    while (slot > 0) {
      const parent = (slot - 1) >> 1;
      if (times[parent]! <= time) break;
      this.#move(parent, slot);
      slot = parent;
    }
    this.#place(slot, time, sequence, event);
  }

  /** The event that stood last moves down from the root. */
  #sink(time: number, sequence: number, event: Event | undefined): void {
    const times = this.#times;
    const sequences = this.#sequences;
    const size = this.#size;
    let slot = 0;
    for (;;) {
      let child = 2 * slot + 1;
      if (child >= size) break;
      const right = child + 1;
      if (
        right < size &&
        (times[right]! < times[child]! || (times[right] === times[child] && sequences[right]! < sequences[child]!))
      ) {
        child = right;
      }
      if (times[child]! > time || (times[child] === time && sequences[child]! > sequence)) break;
      this.#move(child, slot);
      slot = child;
    }
    this.#place(slot, time, sequence, event);
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from]!;
    this.#sequences[to] = this.#sequences[from]!;
    this.#events[to] = this.#events[from];
  }

  #place(slot: number, time: number, sequence: number, event: Event | undefined): void {
    this.#times[slot] = time;
    this.#sequences[slot] = sequence;
    this.#events[slot] = event;
  }
}

const INITIAL_CAPACITY = 1_024;
