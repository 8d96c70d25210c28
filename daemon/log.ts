import { LruMap } from '../base/bounded.ts';
import { WarrenError } from '../base/errors.ts';
import type { Instant, WallMs } from '../base/time.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import { ESCAPED_LENGTH_MAX, escapeSentence, escapeText } from './escape.ts';

/**
 * What the daemon tells its operator: events of a kind, with fields. Lines for people or for programs (JSON, one object a line);
 * either way a text from elsewhere is escaped and cut, so that no peer can forge a line or drive a terminal.
 *
 * A log must not become the way to stop what it reports on. Each kind has a rate of its own, and what the output does not take at
 * once is dropped; both are counted, and the next line tells.
 */
export class Log {
  readonly #level: number;
  readonly #format: 'human' | 'json';
  readonly #output: LogOutput;
  readonly #clock: LogClock;
  readonly #rates: LruMap<string, Rate> = new LruMap(KINDS_MAX);
  #dropped = 0;

  constructor(options: LogOptions) {
    this.#level = LEVELS.indexOf(options.level);
    this.#format = options.format === 'auto' ? (options.output.isTerminal ? 'human' : 'json') : options.format;
    this.#output = options.output;
    this.#clock = options.clock;
  }

  error(kind: string, fields: LogFields = {}): void {
    this.event('error', kind, fields);
  }

  warn(kind: string, fields: LogFields = {}): void {
    this.event('warn', kind, fields);
  }

  info(kind: string, fields: LogFields = {}): void {
    this.event('info', kind, fields);
  }

  debug(kind: string, fields: LogFields = {}): void {
    this.event('debug', kind, fields);
  }

  /** `kind` is a word of ours, never somebody else's. */
  event(level: LogLevel, kind: string, fields: LogFields): void {
    if (LEVELS.indexOf(level) > this.#level) return;
    const rate = this.#rateOf(kind);
    if (!rate.bucket.take(this.#clock.now())) {
      rate.suppressed += 1;
      return;
    }
    const { suppressed } = rate;
    rate.suppressed = 0;
    this.#write({
      time: new Date(this.#clock.wall()).toISOString(),
      level,
      kind,
      fields: shown(fields),
      suppressed,
    });
  }

  /** Lets what was taken go out, for as long as an exit may wait for that. */
  flush(): Promise<void> {
    return this.#output.flush(FLUSH_MS_MAX);
  }

  #rateOf(kind: string): Rate {
    const known = this.#rates.get(kind);
    if (known !== undefined) return known;
    const rate = { bucket: new TokenBucket(PER_SECOND, BURST, this.#clock.now()), suppressed: 0 };
    this.#rates.set(kind, rate);
    return rate;
  }

  #write(entry: Omit<LogEntry, 'dropped'>): void {
    const whole = { ...entry, dropped: this.#dropped };
    const line = this.#format === 'json' ? jsonLine(whole) : humanLine(whole);
    this.#dropped = this.#output.write(line) ? 0 : this.#dropped + 1;
  }
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type LogFormat = 'human' | 'json' | 'auto';

/** A secret has no type here. An error is shown as its code and message; a list, such as a stack, line by line. */
export type LogValue = string | number | boolean | undefined | Error | readonly string[];
export type LogFields = Readonly<Record<string, LogValue>>;

export interface LogOptions {
  /** The least important that is logged. */
  readonly level: LogLevel;
  /** `auto`: for people on a terminal, for programs elsewhere. */
  readonly format: LogFormat;
  readonly output: LogOutput;
  readonly clock: LogClock;
}

export interface LogClock {
  now(): Instant;
  wall(): WallMs;
}

/** Where lines go. Nothing here may wait, nor throw. */
export interface LogOutput {
  readonly isTerminal: boolean;
  /** `false` where the line was not taken. */
  write(line: string): boolean;
  flush(msMax: number): Promise<void>;
}

interface Rate {
  readonly bucket: TokenBucket;
  suppressed: number;
}

type Shown = string | number | boolean | readonly string[];

interface LogEntry {
  readonly time: string;
  readonly level: LogLevel;
  readonly kind: string;
  readonly fields: Readonly<Record<string, Shown>>;
  /** Events of this kind that its rate left out since the last line of it. */
  readonly suppressed: number;
  /** Lines of any kind that the output did not take since the last it did. */
  readonly dropped: number;
}

const LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];
const KINDS_MAX = 256;
const PER_SECOND = 10;
const BURST = 50;
const FLUSH_MS_MAX = 500;
const LIST_MAX = 32;

function shown(fields: LogFields): Record<string, Shown> {
  const result: Record<string, Shown> = {};
  for (const [name, value] of Object.entries(fields)) {
    const text = show(value);
    if (text !== undefined) result[name] = text;
  }
  return result;
}

function show(value: LogValue): Shown | undefined {
  if (typeof value === 'string') return escapeText(value);
  if (value instanceof Error) return describeError(value);
  if (typeof value !== 'object') return value;
  return value.slice(0, LIST_MAX).map((line) => escapeText(line));
}

/** What our own errors quote is escaped already; another's may hold anything. */
function describeError(error: Error): string {
  if (error instanceof WarrenError) return escapeSentence(`${error.code}: ${error.message}`, ESCAPED_LENGTH_MAX);
  return escapeText(`${error.name}: ${error.message}`);
}

function jsonLine({ time, level, kind, fields, suppressed, dropped }: LogEntry): string {
  const counts = { ...(suppressed > 0 ? { suppressed } : {}), ...(dropped > 0 ? { dropped } : {}) };
  return `${JSON.stringify({ time, level, kind, ...counts, fields })}\n`;
}

function humanLine({ time, level, kind, fields, suppressed, dropped }: LogEntry): string {
  const parts = [time.slice(11, 23), level.padEnd(5), kind];
  const lists: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'object') lists.push(...value.map((line) => `\n    ${line}`));
    else parts.push(`${name}=${word(value)}`);
  }
  if (suppressed > 0) parts.push(`(${suppressed} more of these were left out)`);
  if (dropped > 0) parts.push(`(${dropped} lines before this one were lost)`);
  return `${parts.join(' ')}${lists.join('')}\n`;
}

/** In quotes where it would be read as more than one field. */
function word(value: string | number | boolean): string {
  // Its backslashes are escaped, and say what the quotes would have to say.
  return typeof value === 'string' && !/^[^\s"=]+$/.test(value) ? `"${value.replaceAll('"', '\\"')}"` : String(value);
}
