import { assert } from '../base/assert.ts';
import { utf8Length, writeUtf8 } from './utf8.ts';

/** The first number that is too large for a packet number, a stream offset or any other count on the wire. */
export const COUNT_LIMIT: number = 2 ** 53;

/** A cursor over a caller's buffer. Values come from our own code, so one that does not fit is a broken invariant. */
export class ByteWriter {
  buffer: Uint8Array;
  end: number;
  offset: number;

  constructor(buffer: Uint8Array, offset = 0, end: number = buffer.length) {
    this.buffer = buffer;
    this.offset = offset;
    this.end = end;
  }

  /** For a writer that is used again and again: as a new one would be. */
  reset(buffer: Uint8Array, offset: number, end: number): void {
    this.buffer = buffer;
    this.offset = offset;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  u8(value: number): void {
    assert(value >= 0 && value <= 0xff && this.offset < this.end, 'u8 fits');
    this.buffer[this.offset++] = value;
  }

  u16(value: number): void {
    assert(value >= 0 && value <= 0xffff && this.remaining >= 2, 'u16 fits');
    this.buffer[this.offset++] = value >>> 8;
    this.buffer[this.offset++] = value & 0xff;
  }

  u32(value: number): void {
    assert(value >= 0 && value <= 0xffff_ffff && this.remaining >= 4, 'u32 fits');
    this.buffer[this.offset++] = value >>> 24;
    this.buffer[this.offset++] = (value >>> 16) & 0xff;
    this.buffer[this.offset++] = (value >>> 8) & 0xff;
    this.buffer[this.offset++] = value & 0xff;
  }

  u64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0 && this.remaining >= 8, 'u64 fits');
    this.u32(Math.floor(value / 0x1_0000_0000));
    this.u32(value >>> 0);
  }

  /** RFC 9000 §16, in the shortest form. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'a count is below 2^53');
    if (value < 0x40) this.u8(value);
    else if (value < 0x4000) this.u16(0x4000 | value);
    else if (value < 0x4000_0000) this.u32((0x8000_0000 | value) >>> 0);
    else {
      this.u32((0xc000_0000 | Math.floor(value / 0x1_0000_0000)) >>> 0);
      this.u32(value >>> 0);
    }
  }

  bytes(value: Uint8Array): void {
    assert(value.length <= this.remaining, 'bytes fit');
    this.buffer.set(value, this.offset);
    this.offset += value.length;
  }

  utf8(value: string): void {
    // No UTF-16 unit takes more than three bytes.
    assert(value.length * 3 <= this.remaining || utf8Length(value) <= this.remaining, 'a text fits');
    this.offset = writeUtf8(value, this.buffer, this.offset);
  }

  zeros(length: number): void {
    assert(length <= this.remaining, 'zeros fit');
    this.buffer.fill(0, this.offset, this.offset + length);
    this.offset += length;
  }
}

/** The bytes `varint` takes for a value. */
export function varintLength(value: number): number {
  if (value < 0x40) return 1;
  if (value < 0x4000) return 2;
  return value < 0x4000_0000 ? 4 : 8;
}
