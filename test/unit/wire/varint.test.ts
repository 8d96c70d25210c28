import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../base/bytes.ts';
import { ByteReader } from '../../../wire/reader.ts';
import { ByteWriter, varintLength } from '../../../wire/writer.ts';

function encoded(value: number): string {
  const writer = new ByteWriter(new Uint8Array(8));
  writer.varint(value);
  return toHex(writer.buffer.subarray(0, writer.offset));
}

function refusal(hex: string): string | undefined {
  const reader = new ByteReader(fromHex(hex));
  reader.varint();
  return reader.finish();
}

describe('a variable-length integer', () => {
  // RFC 9000 A.1. Its eight-byte example is beyond 2^53 and its last one is not the shortest form: both are refused below.
  it.each([
    ['9d7f3e7d', 494_878_333],
    ['7bbd', 15_293],
    ['25', 37],
  ])('%s is %d, the RFC 9000 A.1 example, both ways', (hex, value) => {
    expect(new ByteReader(fromHex(hex)).varint()).toBe(value);
    expect(encoded(value)).toBe(hex);
  });

  it('of eight bytes beyond 2^53, the first RFC 9000 A.1 example, is out of range', () => {
    expect(refusal('c2197c5eff14e88c')).toBe('out-of-range');
    expect(refusal('c020000000000000')).toBe('out-of-range');
  });

  it('of two bytes that one would do for, the last RFC 9000 A.1 example, is not in its shortest form', () => {
    expect(refusal('4025')).toBe('not-shortest-form');
  });

  it.each([
    [0, 1],
    [63, 1],
    [64, 2],
    [16_383, 2],
    [16_384, 4],
    [2 ** 30 - 1, 4],
    [2 ** 30, 8],
    [2 ** 32 + 5, 8],
    [2 ** 53 - 1, 8],
  ])('%d takes %d bytes and reads back', (value, length) => {
    const hex = encoded(value);
    expect(hex.length / 2).toBe(length);
    expect(varintLength(value)).toBe(length);
    const reader = new ByteReader(fromHex(hex));
    expect(reader.varint()).toBe(value);
    expect(reader.finish()).toBeUndefined();
  });

  it.each([['403f'], ['80003fff'], ['800000ff'], ['c00000003fffffff']])('%s is longer than it need be', (hex) => {
    expect(refusal(hex)).toBe('not-shortest-form');
  });

  it.each([[''], ['40'], ['800040'], ['c0000000400000']])('that breaks off as %j is truncated', (hex) => {
    expect(refusal(hex)).toBe('truncated');
  });

  it('that is out of range and also not shortest reports what came first, once', () => {
    const reader = new ByteReader(fromHex('4001c020000000000000'));
    reader.varint();
    reader.varint();
    expect(reader.finish()).toBe('not-shortest-form');
  });
});

describe('a reader that has failed', () => {
  it('reads zeros and nothing from then on, and keeps its first reason', () => {
    const reader = new ByteReader(fromHex('0102'));
    expect(reader.u32()).toBe(0);
    expect([reader.u8(), reader.u16(), reader.u64(), reader.varint()]).toEqual([0, 0, 0, 0]);
    expect(reader.view(1)).toHaveLength(0);
    expect(reader.copy(0)).toHaveLength(0);
    reader.fail('too-long');
    expect(reader.finish()).toBe('truncated');
  });

  it('refuses a 64-bit number from 2^53 on and takes the one before', () => {
    const last = new ByteReader(fromHex('001fffffffffffff'));
    expect(last.u64()).toBe(2 ** 53 - 1);
    expect(last.finish()).toBeUndefined();
    const beyond = new ByteReader(fromHex('0020000000000000'));
    beyond.u64();
    expect(beyond.finish()).toBe('out-of-range');
  });
});

describe('a writer', () => {
  it('never writes past its end or a value that does not fit', () => {
    expect(() => new ByteWriter(new Uint8Array(8), 0, 3).u32(1)).toThrow('u32 fits');
    expect(() => new ByteWriter(new Uint8Array(8)).u8(256)).toThrow('u8 fits');
    expect(() => new ByteWriter(new Uint8Array(8)).u64(2 ** 53)).toThrow('u64 fits');
    expect(() => new ByteWriter(new Uint8Array(8)).varint(-1)).toThrow('a count is below 2^53');
    expect(() => new ByteWriter(new Uint8Array(8)).bytes(new Uint8Array(9))).toThrow('bytes fit');
  });
});
