import { MILLISECOND } from '../base/time.ts';
import { parseDuration } from '../daemon/config-values.ts';
import { quoteText } from '../daemon/escape.ts';
import { isSpanWithin, type SpanBounds, TIMEOUT_MS } from '../ipc/value-bounds.ts';
import { UsageError } from './usage-error.ts';

/** The words that ports, sizes and times are written in on the command line. */

const PORT_MAX = 0xffff;

export function parsePort(text: string, least = 1): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port >= least && port <= PORT_MAX) return port;
  throw new UsageError(`${quoteText(text)} is no port`, `a port is a number from ${least} to ${PORT_MAX}`);
}

export interface Target {
  readonly peer: string;
  readonly port: number;
}

/** `alice:80`, or the two apart. An address has a colon itself: the port stands after the last. */
export function parseTarget(text: string, port: string | undefined): Target {
  if (port !== undefined) return { peer: text, port: parsePort(port) };
  const match = /^(.+):(\d{1,5})$/s.exec(text);
  if (match !== null) return { peer: match[1]!, port: parsePort(match[2]!) };
  throw new UsageError(`${quoteText(text)} names no port`, 'say PEER:PORT, as alice:80 or 0:0000.7F3A.19C2:80');
}

export function parseCount(option: string, text: string, most: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= most) return count;
  throw new UsageError(`--${option}: ${quoteText(text)} is no number from 1 to ${most}`, 'give a whole number');
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

/** In bytes. As with disks and networks, a megabyte is a million; a mebibyte is 2²⁰. */
export function parseSize(option: string, text: string, most: number): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)\s?([KMG]?i?B?)$/i.exec(text);
  const unit = match === null ? undefined : UNITS[match[2]!.toUpperCase().replace(/^([KMG]I?)$/, '$1B')];
  const bytes = unit === undefined ? 0 : Math.round(Number(match![1]) * unit);
  if (bytes >= 1 && bytes <= most) return bytes;
  throw new UsageError(`--${option}: ${quoteText(text)} is no size that can be`, 'as 500KB, 64MB, 1GiB');
}

/** In milliseconds. */
export function parseTime(option: string, text: string, bounds: SpanBounds = TIMEOUT_MS): number {
  const parsed = parseDuration(text);
  const time = parsed === undefined ? -1 : Math.round(parsed.value / MILLISECOND);
  if (isSpanWithin(time, bounds)) return time;
  const range = `from ${formatTime(bounds.least)} to ${formatTime(bounds.most)}`;
  throw new UsageError(
    `--${option}: ${quoteText(text)} is no time that can be`,
    `a time ${range}, as 500ms, 5s, 2m or 1h`,
  );
}

/** As it may be typed, in the largest unit that goes into it. */
function formatTime(milliseconds: number): string {
  const [unit, size] = TIME_UNITS.find(([, one]) => milliseconds >= one && milliseconds % one === 0) ?? ['ms', 1];
  return `${milliseconds / size}${unit}`;
}

const TIME_UNITS: readonly (readonly [unit: string, milliseconds: number])[] = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
];
