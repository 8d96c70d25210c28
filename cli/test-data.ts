import { randomBytes } from 'node:crypto';

/**
 * Bytes of which every one is known from its place, without keeping them: blocks of one random piece, each with its own number in
 * front. So a loss, a repetition, an exchange and a wrong byte are all found, and at the speed of a comparison.
 */
export class TestData {
  readonly #block: Buffer = randomBytes(BLOCK_BYTES);
  readonly #expected: Buffer = Buffer.from(this.#block);
  readonly #stream: number;
  readonly #size: number;
  #checked = 0;

  /** `stream` tells several of one piece of data apart. */
  constructor(stream: number, size: number) {
    this.#stream = stream;
    this.#size = size;
  }

  /** How many of its bytes have come back, all of them right. */
  get checked(): number {
    return this.#checked;
  }

  get isComplete(): boolean {
    return this.#checked === this.#size;
  }

  *blocks(): Generator<Buffer> {
    for (let offset = 0; offset < this.#size; offset += BLOCK_BYTES) {
      const block = Buffer.from(this.#block);
      this.#number(block, offset / BLOCK_BYTES);
      yield block.subarray(0, Math.min(BLOCK_BYTES, this.#size - offset));
    }
  }

  /** `false` where these are not the next bytes. */
  check(bytes: Uint8Array): boolean {
    if (bytes.length > this.#size - this.#checked) return false;
    for (let at = 0; at < bytes.length; ) {
      const start = this.#checked % BLOCK_BYTES;
      if (start === 0) this.#number(this.#expected, this.#checked / BLOCK_BYTES);
      const length = Math.min(BLOCK_BYTES - start, bytes.length - at);
      if (this.#expected.compare(bytes, at, at + length, start, start + length) !== 0) return false;
      at += length;
      this.#checked += length;
    }
    return true;
  }

  #number(block: Buffer, index: number): void {
    block.writeUInt32BE(this.#stream, 0);
    block.writeUInt32BE(index, 4);
  }
}

const BLOCK_BYTES: number = 64 * 1_024;
