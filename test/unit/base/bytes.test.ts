import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ascii,
  compare,
  concat,
  EMPTY,
  equal,
  equalConstantTime,
  fromHex,
  isZero,
  toHex,
} from '../../../base/bytes.ts';

const bytes = (): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: 40 });

describe('bytes', () => {
  it('are joined in order, without touching the parts', () => {
    const first = Uint8Array.of(1, 2);
    const joined = concat(first, EMPTY, Uint8Array.of(3));
    expect([...joined]).toEqual([1, 2, 3]);
    joined[0] = 9;
    expect(first[0]).toBe(1);
    expect(concat()).toHaveLength(0);
  });

  it('are equal when length and every byte agree, in either way of comparing', () => {
    const cases: [number[], number[], boolean][] = [
      [[], [], true],
      [[1, 2, 3], [1, 2, 3], true],
      [[1, 2, 3], [1, 2, 4], false],
      [[0, 2, 3], [1, 2, 3], false],
      [[1, 2], [1, 2, 0], false],
      [[], [0], false],
    ];
    for (const [a, b, expected] of cases) {
      expect(equal(Uint8Array.from(a), Uint8Array.from(b)), `${a} and ${b}`).toBe(expected);
      expect(equalConstantTime(Uint8Array.from(a), Uint8Array.from(b)), `${a} and ${b}`).toBe(expected);
    }
  });

  it('that differ in one bit are not equal, wherever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(511), (original, bit) => {
        const changed = original.slice();
        const index = (bit >> 3) % original.length;
        changed[index]! ^= 1 << (bit & 7);
        expect(equal(original, changed)).toBe(false);
        expect(equalConstantTime(original, changed)).toBe(false);
      }),
    );
  });

  it('are ordered byte by byte, a prefix first', () => {
    const ordered = [[], [0], [0, 0], [0, 255], [1], [127], [128], [255], [255, 0]].map((one) => Uint8Array.from(one));
    for (const [i, a] of ordered.entries()) {
      for (const [j, b] of ordered.entries()) {
        expect(Math.sign(compare(a, b)), `${a} and ${b}`).toBe(Math.sign(i - j));
      }
    }
  });

  it('are ordered as their hexadecimal text is', () => {
    fc.assert(
      fc.property(bytes(), bytes(), (a, b) => {
        const [left, right] = [toHex(a), toHex(b)];
        expect(Math.sign(compare(a, b))).toBe(left < right ? -1 : left > right ? 1 : 0);
      }),
    );
  });

  it('survive being written in hexadecimal and read again, in either case', () => {
    fc.assert(
      fc.property(bytes(), (original) => {
        expect(fromHex(toHex(original))).toEqual(original);
        expect(fromHex(toHex(original).toUpperCase())).toEqual(original);
        expect(toHex(original)).toBe(Buffer.from(original).toString('hex'));
      }),
    );
  });

  it('are not made from anything that is not pairs of hexadecimal digits', () => {
    for (const text of ['0', '0g', ' 00', '0x00', '00\n', 'é0', '-1'])
      expect(() => fromHex(text), text).toThrow(RangeError);
  });

  it('of a label are its ASCII codes, and nothing else makes a label', () => {
    expect([...ascii('warren')]).toEqual([119, 97, 114, 114, 101, 110]);
    expect([...ascii('\u007f')]).toEqual([0x7f]);
    for (const text of ['\u0080', 'é', '€', '🐇']) expect(() => ascii(text), text).toThrow(RangeError);
  });

  it('are zero in a range when every byte of the range is', () => {
    const some = Uint8Array.of(0, 0, 7, 0);
    expect(isZero(some)).toBe(false);
    expect(isZero(some, 0, 2)).toBe(true);
    expect(isZero(some, 3)).toBe(true);
    expect(isZero(some, 2, 3)).toBe(false);
    expect(isZero(EMPTY)).toBe(true);
  });
});
