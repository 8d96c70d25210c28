import { describe, expect, it } from 'vitest';
import { fromHex } from '../../../base/bytes.ts';
import { cutUtf8, decodeUtf8, encodeUtf8, utf8Length } from '../../../wire/utf8.ts';

describe('UTF-8', () => {
  it.each([
    '',
    'plain',
    'Zürich',
    '‰ €',
    '日本語',
    '🙂👩‍👩‍👧',
    '\u0000\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}',
  ])('%j is written as the platform writes it and reads back', (text) => {
    const bytes = encodeUtf8(text);
    expect([...bytes]).toEqual([...new TextEncoder().encode(text)]);
    expect(decodeUtf8(bytes)).toBe(text);
  });

  it('is cut between characters, at the longest that fits', () => {
    const cut = [0, 2, 3, 6, 9, 10, 99].map((most) => cutUtf8('aü€🙂b', most));
    expect(cut).toEqual(['', 'a', 'aü', 'aü€', 'aü€', 'aü€🙂', 'aü€🙂b']);
  });

  it('says how long a text is before it is written', () => {
    for (const text of ['', 'plain', 'Zürich', '日本語', '🙂\ud800', '\udc00a', '\ud800']) {
      expect(utf8Length(text)).toBe(new TextEncoder().encode(text).length);
    }
  });

  it('keeps a byte order mark', () => {
    expect(decodeUtf8(fromHex('efbbbf41'))).toBe('\ufeffA');
  });

  it('stands U+FFFD in for a lone surrogate, as the platform does', () => {
    expect([...encodeUtf8('a\ud800b\udc00')]).toEqual([...new TextEncoder().encode('a\ud800b\udc00')]);
  });

  it.each([
    ['a continuation without a start', '80'],
    ['a start without its continuation', 'c3'],
    ['a start followed by ASCII', 'c341'],
    ['an overlong solidus', 'c0af'],
    ['an overlong NUL of two bytes', 'c080'],
    ['an overlong form of three bytes', 'e09fbf'],
    ['an overlong form of four bytes', 'f08fbfbf'],
    ['a high surrogate', 'eda080'],
    ['a low surrogate', 'edbfbf'],
    ['a code point past U+10FFFF', 'f4908080'],
    ['a start that no code point has', 'f5808080'],
    ['0xff', 'ff'],
    ['three bytes of four', 'f09f99'],
  ])('refuses %s', (_what, hex) => {
    expect(decodeUtf8(fromHex(hex))).toBeUndefined();
  });

  it('agrees with the platform on every pair of bytes and on every start of three and four', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const platform = (bytes: Uint8Array): string | undefined => {
      try {
        return strict.decode(bytes);
      } catch {
        return undefined;
      }
    };
    const disagreements: string[] = [];
    const check = (...bytes: number[]): void => {
      const input = Uint8Array.from(bytes);
      if (decodeUtf8(input) !== platform(input)) disagreements.push(bytes.join(' '));
    };
    for (let a = 0; a < 256; a++) for (let b = 0; b < 256; b++) check(a, b);
    for (let a = 0xe0; a < 256; a++) {
      for (let b = 0; b < 256; b += 1) {
        check(a, b, 0x80);
        check(a, b, 0xbf, 0x80);
        check(a, b, 0xc0);
      }
    }
    expect(disagreements).toEqual([]);
  });
});
