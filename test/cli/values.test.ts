import { describe, expect, it } from 'vitest';
import type { WarrenError } from '../../base/errors.ts';
import { formatBytes, formatMilliseconds, formatSpan, table } from '../../cli/format.ts';
import { jsonLine } from '../../cli/output.ts';
import { parseSize, parseTarget, parseTime } from '../../cli/values.ts';
import { PEER_TIMEOUT_MS, type SpanBounds, TIMEOUT_MS } from '../../ipc/value-bounds.ts';

describe('what is typed', () => {
  it.each([
    ['alice:80', 'alice', 80],
    ['0:0000.7F3A.19C2:80', '0:0000.7F3A.19C2', 80],
    ['a:b:65535', 'a:b', 65_535],
  ])('%s is a peer and a port', (text, peer, port) => {
    expect(parseTarget(text, undefined)).toEqual({ peer, port });
  });

  it('an address and a port may stand apart', () => {
    expect(parseTarget('0:0000.7F3A.19C2', '80')).toEqual({ peer: '0:0000.7F3A.19C2', port: 80 });
    expect(() => parseTarget('0:0000.7F3A.19C2', undefined)).toThrow('names no port');
  });

  it.each([
    ['1', 1],
    ['512', 512],
    ['500KB', 500_000],
    ['500k', 500_000],
    ['64MB', 64_000_000],
    ['64 MB', 64_000_000],
    ['1.5mb', 1_500_000],
    ['1GiB', 2 ** 30],
    ['2Mi', 2 ** 21],
  ])('%s is so many bytes: %i', (text, bytes) => {
    expect(parseSize('size', text, 1e12)).toBe(bytes);
  });

  it.each(['', '0', '-1', '1TB', '1XB', 'MB', '1e6', '2000GB', '1.5.5MB', '0.0000001KB'])('%j is no size', (text) => {
    expect(() => parseSize('size', text, 1e12)).toThrow('is no size that can be');
  });

  it.each([
    ['500ms', 500],
    ['5s', 5_000],
    ['1.5s', 1_500],
    ['2m', 120_000],
    ['1h', 3_600_000],
  ])('%s is so many milliseconds: %i', (text, milliseconds) => {
    expect(parseTime('timeout', text)).toBe(milliseconds);
  });

  it.each(['', '5', '0s', '5 s', '1d', '25h', '-1s'])('%j is no time', (text) => {
    expect(() => parseTime('timeout', text)).toThrow('is no time that can be');
  });

  it('what is no time is told the range', () => {
    const hint = (bounds?: SpanBounds): string => {
      try {
        parseTime('timeout', 'soon', bounds);
      } catch (error) {
        return (error as WarrenError).hint;
      }
      return 'nothing was thrown';
    };
    expect(hint()).toBe('a time from 1ms to 24h, as 500ms, 5s, 2m or 1h');
    expect(hint(PEER_TIMEOUT_MS)).toBe('a time from 1s to 1h, as 500ms, 5s, 2m or 1h');
    expect(parseTime('timeout', '24h')).toBe(TIMEOUT_MS.most);
  });
});

describe('what is printed', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [99_949, '99.9 kB'],
    [999_949, '1000 kB'],
    [999_950, '1.0 MB'],
    [64_000_000, '64.0 MB'],
    [250_000_000, '250 MB'],
    [1e12, '1000 GB'],
  ])('%i bytes as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it.each([
    [0, '0s'],
    [999, '0s'],
    [61_000, '1m 1s'],
    [3_600_000, '1h 0m'],
    [90_061_000, '1d 1h'],
  ])('%i milliseconds as %s', (milliseconds, text) => {
    expect(formatSpan(milliseconds)).toBe(text);
  });

  it('round trips with the digits that mean something', () => {
    expect([87, 1_234, 12_345, 123_456].map(formatMilliseconds)).toEqual([
      '0.087 ms',
      '1.234 ms',
      '12.35 ms',
      '123.5 ms',
    ]);
  });

  it('a table in columns, with what a peer wrote made harmless', () => {
    const text = table(
      ['A', 'LONGER'],
      [
        ['x\u001b[2J', ''],
        ['yy', 'z'],
      ],
    );
    expect(text.split('\n')).toEqual(['A           LONGER', 'x\\u{1b}[2J  -', 'yy          z']);
  });

  it('JSON that cannot drive a terminal, and means the same', () => {
    const value = { text: 'a\u009b2J\u202eb\u2028\u{e0041}\u{1f600}ü' };
    const line = jsonLine(value);
    expect(line).toMatch(/^[\x20-\x7eü\u{1f600}]+\n$/u);
    expect(JSON.parse(line)).toEqual(value);
  });
});
