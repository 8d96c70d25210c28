import type { DecodeReason } from './decode-error.ts';

/**
 * A cursor over received bytes that never throws. The first failure sticks: from then on every read gives zero or nothing, and
 * `failure` names the reason, so a decoder reads straight through and asks once at the end.
 */
export class ByteReader {
  bytes: Uint8Array;
  end: number;
  offset: number;
  failure: DecodeReason | undefined = undefined;

  constructor(bytes: Uint8Array, offset = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  /** For a reader that is used again and again: as a new one would be. */
  reset(bytes: Uint8Array, offset: number, end: number): void {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
    this.failure = undefined;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  fail(reason: DecodeReason): void {
    this.failure ??= reason;
    this.offset = this.end;
  }

  u8(): number {
    return this.#take(1) ? this.bytes[this.offset - 1]! : 0;
  }

  u16(): number {
    if (!this.#take(2)) return 0;
    const b = this.bytes;
    const i = this.offset;
    return (b[i - 2]! << 8) | b[i - 1]!;
  }

  u32(): number {
    if (!this.#take(4)) return 0;
    const b = this.bytes;
    const i = this.offset;
    return ((b[i - 4]! << 24) | (b[i - 3]! << 16) | (b[i - 2]! << 8) | b[i - 1]!) >>> 0;
  }

  /** 64 bits on the wire, below 2^53 in here: nothing this protocol counts ever gets there, so larger is out of range. */
  u64(): number {
    const high = this.u32();
    const low = this.u32();
    if (high >= 0x20_0000) {
      this.fail('out-of-range');
      return 0;
    }
    return high * 0x1_0000_0000 + low;
  }

  /** RFC 9000 §16, shortest form only. */
  varint(): number {
    const first = this.u8();
    const prefix = first >> 6;
    const top = first & 0x3f;
    if (prefix === 0) return top;
    if (prefix === 1) return this.#shortest((top << 8) | this.u8(), 0x40);
    if (prefix === 2) return this.#shortest(top * 0x100_0000 + (this.u8() << 16) + this.u16(), 0x4000);
    const high = top * 0x100_0000 + (this.u8() << 16) + this.u16();
    const low = this.u32();
    if (high >= 0x20_0000) {
      this.fail('out-of-range');
      return 0;
    }
    return this.#shortest(high * 0x1_0000_0000 + low, 0x4000_0000);
  }

  /** Passes over bytes that are looked at later, if at all. */
  skip(length: number): void {
    this.#take(length);
  }

  /** A view, not a copy: it must not outlive the datagram it came in. */
  view(length: number): Uint8Array {
    return this.#take(length) ? this.bytes.subarray(this.offset - length, this.offset) : this.bytes.subarray(0, 0);
  }

  copy(length: number): Uint8Array {
    return this.#take(length) ? this.bytes.slice(this.offset - length, this.offset) : new Uint8Array(0);
  }

  /** For the end of a decoder: whatever is left over is an error of its own. */
  finish(): DecodeReason | undefined {
    if (this.failure === undefined && this.remaining > 0) this.fail('trailing-bytes');
    return this.failure;
  }

  #shortest(value: number, least: number): number {
    if (this.failure !== undefined) return 0;
    if (value < least) {
      this.fail('not-shortest-form');
      return 0;
    }
    return value;
  }

  #take(length: number): boolean {
    if (length > this.end - this.offset) {
      this.fail('truncated');
      return false;
    }
    if (this.failure !== undefined) return false;
    this.offset += length;
    return true;
  }
}
