import { assert } from '../base/assert.ts';
import type { SeededRng } from '../sim/rng.ts';

/**
 * Inputs for decoders, from a seed: some purely random, most of them entries of a pool after a few mutations that know nothing
 * of any format. The pool starts as the target's corpus; mutants that were accepted join it, which is what takes mutation past
 * the first checks of a format.
 */

/** Beyond every limit that a decoder of messages has, but not by so much that copying is all that is measured. */
export const INPUT_BYTES_MAX = 20_000;
/** Accepted mutants kept beside the corpus; the oldest one gives way. */
const POOL_EXTRA_MAX = 64;
const MUTATIONS_MAX = 6;
const RANDOM_INPUT_BYTES_MAX = 128;
const REGION_BYTES_MAX = 64;

const INTERESTING_BYTES = [0x00, 0x01, 0x02, 0x17, 0x18, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xfe, 0xff];

/** Variable-length integers (RFC 9000 §16) at the edges of their sizes and of 2^53, and some in more bytes than they need. */
const BOUNDARY_VARINTS: readonly (readonly number[])[] = [
  [0x00],
  [0x3f],
  [0x40, 0x40],
  [0x7f, 0xff],
  [0x80, 0x00, 0x40, 0x00],
  [0xbf, 0xff, 0xff, 0xff],
  [0xc0, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00],
  [0xc0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xc0, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0x40, 0x00],
  [0x40, 0x3f],
  [0x80, 0x00, 0x3f, 0xff],
  [0xc0, 0x00, 0x00, 0x00, 0x3f, 0xff, 0xff, 0xff],
];

type Mutation = (mutator: Mutator) => void;

export class Mutator {
  readonly #rng: SeededRng;
  readonly #corpus: readonly Uint8Array[];
  readonly #extra: Uint8Array[] = [];
  #extraNext = 0;
  /** The input being made: the first `#length` bytes. The rest is room to grow in. */
  readonly #scratch: Uint8Array = new Uint8Array(INPUT_BYTES_MAX);
  #length = 0;

  constructor(rng: SeededRng, corpus: readonly Uint8Array[]) {
    assert(corpus.length > 0, 'a corpus has an entry');
    for (const entry of corpus) assert(entry.length <= INPUT_BYTES_MAX, 'an entry of a corpus is not too long');
    this.#rng = rng;
    this.#corpus = corpus;
  }

  /** The next input, valid until the next call. */
  next(): Uint8Array {
    if (this.#rng.below(16) === 0) this.#random();
    else this.#mutant();
    return this.#scratch.subarray(0, this.#length);
  }

  /** Takes an accepted input into the pool. */
  keep(input: Uint8Array): void {
    this.#extra[this.#extraNext] = input.slice();
    this.#extraNext = (this.#extraNext + 1) % POOL_EXTRA_MAX;
  }

  #random(): void {
    this.#length = this.#rng.below(RANDOM_INPUT_BYTES_MAX + 1);
    this.#rng.fill(this.#scratch.subarray(0, this.#length));
  }

  #mutant(): void {
    const entry = this.#pick();
    this.#scratch.set(entry);
    this.#length = entry.length;
    // Few mutations are likelier than many: the fewer, the further into a decoder an input gets.
    const count = 1 + this.#rng.below(1 + this.#rng.below(MUTATIONS_MAX));
    for (let i = 0; i < count; i++) MUTATIONS[this.#rng.below(MUTATIONS.length)]!(this);
  }

  /** Half of the time from the corpus: accepted mutants tend to be short, and would crowd it out. */
  #pick(): Uint8Array {
    const accepted = this.#extra.length > 0 && this.#rng.below(2) === 0;
    return this.#rng.pick(accepted ? this.#extra : this.#corpus);
  }

  flipBit(): void {
    if (this.#length > 0) this.#scratch[this.#position()]! ^= 1 << this.#rng.below(8);
  }

  setByte(): void {
    if (this.#length > 0) this.#scratch[this.#position()] = this.#rng.below(256);
  }

  setInterestingByte(): void {
    if (this.#length > 0) this.#scratch[this.#position()] = this.#rng.pick(INTERESTING_BYTES);
  }

  /** One more or one less: what counts and lengths are off by. */
  nudgeByte(): void {
    if (this.#length > 0) this.#scratch[this.#position()]! += this.#rng.below(2) === 0 ? 1 : -1;
  }

  truncate(): void {
    this.#length = this.#rng.below(this.#length + 1);
  }

  extend(): void {
    const added = Math.min(1 + this.#rng.below(REGION_BYTES_MAX), INPUT_BYTES_MAX - this.#length);
    const room = this.#scratch.subarray(this.#length, this.#length + added);
    if (this.#rng.below(2) === 0) room.fill(0);
    else this.#rng.fill(room);
    this.#length += added;
  }

  /** The start of this input and the end of another. */
  splice(): void {
    const other = this.#pick();
    const from = this.#rng.below(other.length + 1);
    const to = Math.min(this.#rng.below(this.#length + 1), INPUT_BYTES_MAX - (other.length - from));
    this.#scratch.set(other.subarray(from), to);
    this.#length = to + other.length - from;
  }

  /** All of another input in the middle of this one. */
  insertOther(): void {
    this.#insert(this.#position(), this.#pick());
  }

  insertByte(): void {
    this.#insert(this.#position(), [this.#rng.below(256)]);
  }

  overwriteVarint(): void {
    const at = this.#position();
    const varint = this.#rng.pick(BOUNDARY_VARINTS);
    for (let i = 0; i < varint.length && at + i < this.#length; i++) this.#scratch[at + i] = varint[i]!;
  }

  insertVarint(): void {
    this.#insert(this.#position(), this.#rng.pick(BOUNDARY_VARINTS));
  }

  duplicateRegion(): void {
    const [from, to] = this.#region();
    this.#insert(this.#position(), this.#scratch.slice(from, to));
  }

  deleteRegion(): void {
    const [from, to] = this.#region();
    this.#scratch.copyWithin(from, to, this.#length);
    this.#length -= to - from;
  }

  /** The length of the input, or nearly, as 16 bits: the value that a length field has to have. */
  overwriteWithLength(): void {
    const at = this.#position();
    if (at + 2 > this.#length) return;
    const length = Math.max(0, this.#length + this.#rng.below(3) - 1);
    this.#scratch[at] = length >>> 8;
    this.#scratch[at + 1] = length;
  }

  #position(): number {
    return this.#length === 0 ? 0 : this.#rng.below(this.#length);
  }

  #region(): [from: number, to: number] {
    const from = this.#position();
    return [from, Math.min(this.#length, from + 1 + this.#rng.below(REGION_BYTES_MAX))];
  }

  #insert(at: number, bytes: ArrayLike<number>): void {
    if (this.#length + bytes.length > INPUT_BYTES_MAX) return;
    this.#scratch.copyWithin(at + bytes.length, at, this.#length);
    this.#scratch.set(bytes, at);
    this.#length += bytes.length;
  }
}

const MUTATIONS: readonly Mutation[] = [
  (mutator) => mutator.flipBit(),
  (mutator) => mutator.flipBit(),
  (mutator) => mutator.setByte(),
  (mutator) => mutator.setInterestingByte(),
  (mutator) => mutator.nudgeByte(),
  (mutator) => mutator.truncate(),
  (mutator) => mutator.extend(),
  (mutator) => mutator.splice(),
  (mutator) => mutator.insertOther(),
  (mutator) => mutator.insertByte(),
  (mutator) => mutator.overwriteVarint(),
  (mutator) => mutator.insertVarint(),
  (mutator) => mutator.duplicateRegion(),
  (mutator) => mutator.deleteRegion(),
  (mutator) => mutator.overwriteWithLength(),
];
