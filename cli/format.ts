import { escapeText } from '../daemon/escape.ts';

/** Numbers and tables for people. */

/** A million bytes are a megabyte. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  const step = bytes < 999_950 ? 0 : bytes < 999_950_000 ? 1 : 2;
  const value = bytes / 1_000 ** (step + 1);
  return `${value.toFixed(value < 100 ? 1 : 0)} ${['kB', 'MB', 'GB'][step]}`;
}

/** In milliseconds. */
export function formatSpan(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1_000);
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first === -1) return '0s';
  return parts
    .slice(first, first + 2)
    .map(([value, unit]) => `${value}${unit}`)
    .join(' ');
}

export function formatMilliseconds(microseconds: number): string {
  const value = microseconds / 1_000;
  return `${value.toFixed(value < 10 ? 3 : value < 100 ? 2 : 1)} ms`;
}

export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(Math.round(bytesPerSecond))}/s`;
}

/** Columns as wide as what stands in them, a hyphen where there is nothing. Cells are escaped: they are often a peer's words. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (cell === '' ? '-' : escapeText(cell))));
  const widths = header.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd();
  return [header, ...cells].map(line).join('\n');
}

/** `name   value` lines. */
export function pairs(entries: readonly (readonly [string, string])[], indent = ''): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${indent}${name.padEnd(width)}  ${value}`).join('\n');
}

/** What a peer calls itself, where it is not called so here; whoever prints it escapes it. */
export function otherClaim({ name, callsItself }: Claimed): string {
  return callsItself === name ? '' : callsItself;
}

/** A peer's name in a table. */
export function nameCell(peer: Claimed): string {
  const claim = otherClaim(peer);
  return claim === '' ? peer.name : `${peer.name || '-'} (calls itself ${claim})`;
}

interface Claimed {
  readonly name: string;
  readonly callsItself: string;
}

/** What people call a node. */
export function displayName({ name, address }: { readonly name: string; readonly address: string }): string {
  return name === '' ? address : name;
}
