import { assert } from '../../base/assert.ts';
import { DELIVERY_BYTES, DeliveryRecords } from '../congestion/rate-sampler.ts';
import type { PacketContents } from '../packet-contents.ts';
import { ContentsRing } from './contents-ring.ts';

/**
 * Every packet of a tunnel whose fate is still of interest, as numbers in parallel columns: a ring with one slot for each packet
 * number from `oldest` to `next − 1`.
 *
 * A slot is in one of three states. *Outstanding*: sent, not acknowledged, not given up. *Lost*: declared lost, and remembered in
 * case an acknowledgement comes late after all. *Done*: acknowledged, forgotten, or a number that was never sent; nothing can
 * happen to it any more. The two first are *pending*. `oldest` passes over what is done and never over what is pending.
 *
 * The columns start empty, double when a packet finds no slot, and end at `LEDGER_SLOTS_MAX`; there the ledger is full and the
 * owner stops sending, but for a reserve that probes and acknowledgements may use. `trim` gives the memory of an idle ledger back.
 *
 * A run of done slots is passed in one step: the first slot of a run knows how long the run is, as far as anybody has looked
 * (`skip`). So an ACK frame that names the same long range again and again costs what is new in it, however much is in flight,
 * and a peer that enters the run at odd places only makes the paths shorter for the next time.
 */
export const LEDGER_SLOTS_MIN = 16;
export const LEDGER_SLOTS_MAX = 131_072;
/** Slots kept back from ordinary sending. */
export const LEDGER_RESERVE = 1_024;

export const SENT_ASKS_FOR_ACK = 1;
export const SENT_MTU_PROBE = 2;
/** Its contents were handed over as lost. */
export const SENT_REPORTED_LOST = 4;
export const SENT_OUTSTANDING = 8;
export const SENT_LOST = 16;
/** Lost without a congestion signal, so that its late arrival takes none back. */
export const SENT_LOST_QUIETLY = 32;
const PENDING = SENT_OUTSTANDING | SENT_LOST;

export class SentLedger {
  #columns: LedgerColumns = NONE;
  readonly #contents: ContentsRing = new ContentsRing();
  #mask = 0;
  #oldest: number;
  #next: number;

  constructor(firstPacketNumber: number) {
    this.#oldest = firstPacketNumber;
    this.#next = firstPacketNumber;
  }

  /** Every number below it is done. */
  get oldest(): number {
    return this.#oldest;
  }

  /** The next number to be sent. */
  get next(): number {
    return this.#next;
  }

  /** Read anew after each `add`: growing replaces them. */
  get columns(): LedgerColumns {
    return this.#columns;
  }

  get hasSlot(): boolean {
    return this.#next - this.#oldest < this.#columns.capacity && this.#contents.hasRoom;
  }

  /** Ordinary sending stops here. */
  get isFull(): boolean {
    return this.#next - this.#oldest >= LEDGER_SLOTS_MAX - LEDGER_RESERVE || !this.#contents.hasRoom;
  }

  slot(packetNumber: number): number {
    return packetNumber & this.#mask;
  }

  /** Twice the slots; false at the bound. */
  grow(): boolean {
    if (!this.#contents.hasRoom) return false;
    const capacity = Math.max(2 * this.#columns.capacity, LEDGER_SLOTS_MIN);
    if (capacity > LEDGER_SLOTS_MAX) return false;
    const columns = new LedgerColumns(capacity);
    for (let number = this.#oldest; number < this.#next; number++) {
      this.#columns.copy(number & this.#mask, columns, number & (capacity - 1));
    }
    this.#columns = columns;
    this.#mask = capacity - 1;
    return true;
  }

  /** Takes in the packet with the number `next` and what it carried. The caller fills in the columns of the slot returned. */
  add(contents: PacketContents): number {
    assert(this.hasSlot, 'room is made before a packet is added');
    const slot = this.#next++ & this.#mask;
    this.#columns.contentsAt[slot] = this.#contents.next;
    this.#columns.contentsCount[slot] = contents.count;
    this.#columns.skip[slot] = 1;
    if (contents.count > 0) this.#contents.add(contents);
    return slot;
  }

  /** Makes `into` what the packet in the slot carried. */
  loadContents(slot: number, into: PacketContents): void {
    this.#contents.load(this.#columns.contentsAt[slot]!, this.#columns.contentsCount[slot]!, into);
  }

  /** The packet's story is over. `advance` then lets go of it. */
  markDone(slot: number): void {
    this.#columns.flags[slot] = this.#columns.flags[slot]! & ~PENDING;
    this.#columns.skip[slot] = 1;
  }

  /** The first pending number from `packetNumber` to `last`, else one above `last`. Looks no lower than `oldest`. */
  nextPending(packetNumber: number, last: number): number {
    // A slot that holds no packet has no run to go on by: the way would never end there.
    assert(last < this.#next, 'only numbers that were given out are looked for');
    const { flags, skip } = this.#columns;
    const mask = this.#mask;
    let number = packetNumber;
    while (number <= last) {
      const slot = number & mask;
      if ((flags[slot]! & PENDING) !== 0) return number;
      let run = skip[slot]!;
      if (number + run < this.#next) {
        // Each look halves the way for the next one, as in a union-find.
        const further = (number + run) & mask;
        if ((flags[further]! & PENDING) === 0) {
          run += skip[further]!;
          skip[slot] = run;
        }
      }
      number += run;
    }
    return number;
  }

  /** From `first` up to, not including, `end` everything is done: that is one run. */
  joinRun(first: number, end: number): void {
    if (end > first) this.#columns.skip[first & this.#mask] = end - first;
  }

  /** Lets go of what is done at the old end. */
  advance(): void {
    const before = this.#oldest;
    this.#oldest = this.nextPending(before, this.#next - 1);
    if (this.#oldest === before) return;
    const isEmpty = this.#oldest === this.#next;
    this.#contents.releaseTo(isEmpty ? this.#contents.next : this.#columns.contentsAt[this.#oldest & this.#mask]!);
  }

  /** Gives the memory back; only when nothing is kept. */
  trim(): void {
    if (this.#oldest !== this.#next) return;
    this.#columns = NONE;
    this.#mask = 0;
    this.#contents.trim();
  }
}

/** The columns of `capacity` slots, a power of two. What belongs to the rate sampler is in `delivery`. */
export class LedgerColumns {
  readonly capacity: number;
  readonly sentAt: Float64Array;
  /** When it was declared lost. */
  readonly lostAt: Float64Array;
  /** Counts the packets of one path: thresholds compare packets of the same path only. */
  readonly sequence: Float64Array;
  readonly contentsAt: Float64Array;
  readonly contentsCount: Uint16Array;
  readonly skip: Uint32Array;
  readonly bytes: Uint16Array;
  readonly flags: Uint8Array;
  readonly path: Uint8Array;
  readonly delivery: DeliveryRecords;

  constructor(capacity: number) {
    this.capacity = capacity;
    // One buffer for all, the widest first: small ledgers are many, and a buffer of its own costs more than a short column.
    const buffer = new ArrayBuffer((DELIVERY_BYTES + SLOT_BYTES) * capacity);
    this.delivery = new DeliveryRecords(capacity, buffer);
    // Aligned, since there are a multiple of eight slots.
    const at = DELIVERY_BYTES * capacity;
    this.sentAt = new Float64Array(buffer, at, capacity);
    this.lostAt = new Float64Array(buffer, at + 8 * capacity, capacity);
    this.sequence = new Float64Array(buffer, at + 16 * capacity, capacity);
    this.contentsAt = new Float64Array(buffer, at + 24 * capacity, capacity);
    this.skip = new Uint32Array(buffer, at + 32 * capacity, capacity);
    this.contentsCount = new Uint16Array(buffer, at + 36 * capacity, capacity);
    this.bytes = new Uint16Array(buffer, at + 38 * capacity, capacity);
    this.flags = new Uint8Array(buffer, at + 40 * capacity, capacity);
    this.path = new Uint8Array(buffer, at + 41 * capacity, capacity);
  }

  copy(from: number, target: LedgerColumns, to: number): void {
    target.sentAt[to] = this.sentAt[from]!;
    target.lostAt[to] = this.lostAt[from]!;
    target.sequence[to] = this.sequence[from]!;
    target.contentsAt[to] = this.contentsAt[from]!;
    target.skip[to] = this.skip[from]!;
    target.contentsCount[to] = this.contentsCount[from]!;
    target.bytes[to] = this.bytes[from]!;
    target.flags[to] = this.flags[from]!;
    target.path[to] = this.path[from]!;
    this.delivery.copy(from, target.delivery, to);
  }
}

const SLOT_BYTES = 42;

/** What every ledger without packets shares. */
const NONE: LedgerColumns = new LedgerColumns(0);
