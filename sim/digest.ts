/**
 * A running 64-bit digest that two runs are compared by. Two 32-bit multiplicative lanes that take four bytes at a step: it
 * tells runs apart, it withstands nobody.
 */
export class RunningDigest {
  #low = 0x811c9dc5;
  #high = 0x01000193;

  /** A whole number, up to 2^53. */
  number(value: number): void {
    this.#word(value | 0);
    this.#word(Math.floor(value / 2 ** 32));
  }

  /** The length goes first, so that neighbouring values do not run into each other. */
  text(value: string): void {
    this.#word(value.length);
    for (let i = 0; i < value.length; i++) this.#word(value.charCodeAt(i));
  }

  bytes(value: Uint8Array): void {
    this.#word(value.length);
    // The lanes are in locals here, since this loop is what a run spends most of its digest on.
    let low = this.#low;
    let high = this.#high;
    let at = 0;
    for (; at + 4 <= value.length; at += 4) {
      const word = value[at]! | (value[at + 1]! << 8) | (value[at + 2]! << 16) | (value[at + 3]! << 24);
      low = stepLow(low, word);
      high = stepHigh(high, word, low);
    }
    this.#low = low;
    this.#high = high;
    for (; at < value.length; at++) this.#word(value[at]!);
  }

  hex(): string {
    return `${(this.#high >>> 0).toString(16).padStart(8, '0')}${(this.#low >>> 0).toString(16).padStart(8, '0')}`;
  }

  #word(word: number): void {
    this.#low = stepLow(this.#low, word);
    this.#high = stepHigh(this.#high, word, this.#low);
  }
}

function stepLow(lane: number, word: number): number {
  const mixed = Math.imul(lane ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

/** Sees the word rotated and the first lane's state: no pair of words cancels out in both lanes. */
function stepHigh(lane: number, word: number, low: number): number {
  const mixed = (Math.imul(lane ^ ((word << 16) | (word >>> 16)), 0x85ebca77) + low) | 0;
  return mixed ^ (mixed >>> 13);
}
