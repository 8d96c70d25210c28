import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeSentence, escapeText, quoteText } from '../../daemon/escape.ts';
import { nearest } from '../../daemon/nearest.ts';

describe('text from elsewhere', () => {
  it.each([
    ['a plain name', 'a plain name'],
    ['Grüße, 世界 🐇', 'Grüße, 世界 🐇'],
    ['\x1b]0;owned\x07', '\\u{1b}]0;owned\\u{7}'],
    ['\x1b[2J\x1b[31mred', '\\u{1b}[2J\\u{1b}[31mred'],
    ['\u009b2J', '\\u{9b}2J'],
    ['a\nb\rc\td\0e\x7f', 'a\\nb\\rc\\td\\u{0}e\\u{7f}'],
    ['\n{"level":"error"}', '\\n{"level":"error"}'],
    ['abc\u202etxt.exe', 'abc\\u{202e}txt.exe'],
    ['\u2066a\u2069\u200e\u200f\u061c', '\\u{2066}a\\u{2069}\\u{200e}\\u{200f}\\u{61c}'],
    ['a\u2028b\u2029c', 'a\\u{2028}b\\u{2029}c'],
    ['ze\u200bro\ufeff', 'ze\\u{200b}ro\\u{feff}'],
    ['\u{e0041}\u{e0042}', '\\u{e0041}\\u{e0042}'],
    ['a\ufe0f\u{e0100}', 'a\\u{fe0f}\\u{e0100}'],
    ['\ud800x\udc00', '\\u{d800}x\\u{dc00}'],
    ['\ue000', '\\u{e000}'],
    ['\\n is not a line break', '\\\\n is not a line break'],
  ])('%j is shown as %j', (text, shown) => expect(escapeText(text)).toBe(shown));

  it('in a sentence of ours is escaped where it was quoted, and nothing else twice', () => {
    const sentence = `no command ${quoteText('a\n\\b')}`;
    expect(escapeSentence(sentence)).toBe('no command "a\\n\\\\b"');
    expect(escapeSentence(escapeSentence(sentence))).toBe(escapeSentence(sentence));
    // What nobody quoted is harmless all the same.
    expect(escapeSentence('\x1b[2J\n')).toBe('\\u{1b}[2J\\n');
  });

  it('is cut at 128 characters, and never inside an escape or a pair', () => {
    expect(escapeText('a'.repeat(128))).toBe('a'.repeat(128));
    expect(escapeText('a'.repeat(129))).toBe(`${'a'.repeat(127)}…`);
    expect(escapeText(`${'a'.repeat(126)}\x1b`)).toBe(`${'a'.repeat(126)}…`);
    expect(escapeText(`${'a'.repeat(125)}🐇🐇`)).toBe(`${'a'.repeat(125)}🐇…`);
    expect(escapeText(`${'a'.repeat(126)}🐇`)).toBe(`${'a'.repeat(126)}🐇`);
  });

  it('costs no more than what is shown of it', () => {
    const huge = '\x1b'.repeat(50_000_000);
    const start = performance.now();
    expect(escapeText(huge).length).toBeLessThanOrEqual(128);
    expect(performance.now() - start).toBeLessThan(100);
  });

  it('is one printable line whatever it was, and different where it was different', () => {
    const anything = fc.string({ unit: 'binary', maxLength: 60 });
    fc.assert(
      fc.property(anything, anything, (a, b) => {
        const shown = escapeText(a, 1_000);
        expect(shown).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
        expect(escapeText(a).length).toBeLessThanOrEqual(128);
        if (a !== b) expect(shown).not.toBe(escapeText(b, 1_000));
      }),
      { seed: 1, numRuns: 2_000 },
    );
  });
});

describe('the nearest word', () => {
  const words = ['state', 'socket', 'listen', 'name', 'passphrase-file', 'log-level', 'log-format', 'mtu'];

  it.each([
    ['sate', 'state'],
    ['sokcet', 'socket'],
    ['LISTEN', 'listen'],
    ['log_level', 'log-level'],
    ['loglevle', 'log-level'],
    ['passfrase-file', 'passphrase-file'],
    ['nmae', 'name'],
    ['mut', 'mtu'],
  ])('to %s is %s', (text, word) => expect(nearest(text, words)).toBe(word));

  it.each(['colour', 'x', '', 'mode', 'stun', 'z'.repeat(10_000)])('to %.10s is none of ours', (text) => {
    expect(nearest(text, words)).toBe(undefined);
  });
});
