import { assert } from '../base/assert.ts';
import { MESSAGE_BYTES_MAX } from './bounds.ts';

/**
 * Messages on a connection of bytes: length u32, big-endian, then that many bytes. The length is judged as soon as its four bytes
 * are there, so a sender that announces too much is refused before anything is kept for it.
 */

const PREFIX_BYTES = 4;

export function frameMessage(body: Uint8Array): Uint8Array {
  assert(body.length > 0 && body.length <= MESSAGE_BYTES_MAX, 'a message has 1 to 16,384 bytes');
  const frame = new Uint8Array(PREFIX_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, PREFIX_BYTES);
  return frame;
}

export type FrameFault = 'empty' | 'too-long';

/**
 * Cuts messages out of chunks of any size. A message inside one chunk is a view of it; only one that spans chunks is copied, once:
 * its bytes go straight to their place in a buffer of its length. So no input costs more than its bytes, however it is cut.
 */
export class FrameReader {
  #chunk: Uint8Array = NOTHING;
  #offset = 0;
  /** Length bytes of the message that has begun, and how many of them. */
  #prefix = 0;
  #prefixBytes = 0;
  /** The message that has begun in an earlier chunk, and how much of it is there. */
  #body: Uint8Array | undefined;
  #bodyBytes = 0;
  #fault: FrameFault | undefined;

  /** More bytes. Only after `next` has given `undefined`; they are looked at until it does so again. */
  push(chunk: Uint8Array): void {
    assert(this.#offset === this.#chunk.length, 'the chunk before has been read');
    this.#chunk = chunk;
    this.#offset = 0;
  }

  /** The next message, to be used before the next `push`; `undefined` where more bytes are needed; a fault for ever. */
  next(): Uint8Array | FrameFault | undefined {
    if (this.#fault !== undefined) return this.#fault;
    if (this.#body !== undefined) return this.#continueBody(this.#body);
    while (this.#prefixBytes < PREFIX_BYTES) {
      if (this.#offset === this.#chunk.length) return undefined;
      this.#prefix = this.#prefix * 0x100 + this.#chunk[this.#offset++]!;
      this.#prefixBytes += 1;
    }
    const length = this.#prefix;
    if (length === 0 || length > MESSAGE_BYTES_MAX) {
      this.#fault = length === 0 ? 'empty' : 'too-long';
      this.#chunk = NOTHING;
      this.#offset = 0;
      return this.#fault;
    }
    if (this.#chunk.length - this.#offset >= length) {
      const body = this.#chunk.subarray(this.#offset, this.#offset + length);
      this.#offset += length;
      this.#prefix = 0;
      this.#prefixBytes = 0;
      return body;
    }
    this.#body = new Uint8Array(length);
    this.#bodyBytes = 0;
    return this.#continueBody(this.#body);
  }

  /** A message has begun and is not complete. True only while there is nothing more to read in the chunk. */
  get isPartial(): boolean {
    return this.#prefixBytes > 0 && this.#offset === this.#chunk.length;
  }

  #continueBody(body: Uint8Array): Uint8Array | undefined {
    const part = this.#chunk.subarray(this.#offset, this.#offset + body.length - this.#bodyBytes);
    body.set(part, this.#bodyBytes);
    this.#bodyBytes += part.length;
    this.#offset += part.length;
    if (this.#bodyBytes < body.length) return undefined;
    this.#body = undefined;
    this.#prefix = 0;
    this.#prefixBytes = 0;
    return body;
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);
