import * as nodeFs from 'node:fs';
import { WarrenError } from '../base/errors.ts';
import { escapeText, quoteText } from './escape.ts';

/**
 * The configuration file: one JSON object (RFC 8259) of texts, numbers and truth values. Read by hand, because `JSON.parse` does
 * not say where a fault stands, in some versions of Node at all and in none by line and column, and keeps the second of two
 * values without a word.
 */
export interface ConfigFileEntry {
  readonly key: string;
  readonly value: string | number | boolean | null;
  readonly keyAt: Position;
  readonly valueAt: Position;
}

/** Both count from 1, columns in characters as an editor shows them. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Far above any configuration; a larger file is something else. */
const BYTES_MAX: number = 64 * 1024;

const { O_NONBLOCK, O_RDONLY } = nodeFs.constants;

/** `undefined` where there is no such file. */
export function readConfigFile(path: string): readonly ConfigFileEntry[] | undefined {
  const text = readText(path);
  return text === undefined ? undefined : new Parser(path, text).entries();
}

function readText(path: string): string | undefined {
  let bytes: Uint8Array;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for somebody to write.
    const fd = nodeFs.openSync(path, O_RDONLY | O_NONBLOCK);
    try {
      const status = nodeFs.fstatSync(fd);
      if (!status.isFile()) throw unreadable(path, 'it is not a regular file');
      if (status.size > BYTES_MAX) throw unreadable(path, `it is larger than ${BYTES_MAX} bytes`);
      bytes = nodeFs.readFileSync(fd);
    } finally {
      nodeFs.closeSync(fd);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw error instanceof WarrenError ? error : unreadable(path, String(code));
  }
  try {
    // Takes a byte order mark away too, which RFC 8259 §8.1 lets a reader ignore.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable(path, 'it is not UTF-8 text');
  }
}

const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 §7 forbids exactly these.
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER_OR_WORD = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

class Parser {
  readonly #path: string;
  readonly #text: string;
  #at = 0;

  constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
  }

  entries(): readonly ConfigFileEntry[] {
    const entries = new Map<string, ConfigFileEntry>();
    this.#skipSpace();
    this.#expect('{', 'an object in braces');
    this.#skipSpace();
    for (let isFirst = true; this.#text[this.#at] !== '}'; isFirst = false) {
      if (!isFirst) {
        this.#expect(',', 'a comma or the closing brace');
        this.#skipSpace();
      }
      const entry = this.#entry();
      const before = entries.get(entry.key);
      if (before !== undefined) {
        throw this.#fault(entry.keyAt, `${quoteText(entry.key)} stands in line ${before.keyAt.line} already`);
      }
      entries.set(entry.key, entry);
      this.#skipSpace();
    }
    this.#at += 1;
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#unexpected('nothing after the closing brace');
    return [...entries.values()];
  }

  #entry(): ConfigFileEntry {
    const keyAt = this.#position();
    const key = this.#take(STRING);
    if (key === undefined) throw this.#unexpected('a key in double quotes');
    this.#skipSpace();
    this.#expect(':', 'a colon');
    this.#skipSpace();
    const valueAt = this.#position();
    const value = this.#take(STRING) ?? this.#take(NUMBER_OR_WORD);
    if (value === undefined) throw this.#unexpected('a text in double quotes or a number');
    return { key: JSON.parse(key), value: JSON.parse(value), keyAt, valueAt };
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const token = pattern.exec(this.#text)?.[0];
    this.#at += token?.length ?? 0;
    return token;
  }

  #skipSpace(): void {
    this.#take(SPACE);
  }

  #expect(character: string, what: string): void {
    if (this.#text[this.#at] !== character) throw this.#unexpected(what);
    this.#at += 1;
  }

  #position(): Position {
    const before = this.#text.slice(0, this.#at).split('\n');
    return { line: before.length, column: [...before.at(-1)!].length + 1 };
  }

  #unexpected(expected: string): WarrenError {
    const rest = this.#text.slice(this.#at);
    const found = rest === '' ? 'the end of the file' : quoteText([...rest.slice(0, 2)][0]!);
    return this.#fault(this.#position(), `expected ${expected}, found ${found}`);
  }

  #fault(position: Position, what: string): WarrenError {
    return new WarrenError(
      'ERR_WARREN_CONFIG_SYNTAX',
      `${placeIn(this.#path, position)}: ${what}`,
      'the file holds one JSON object, as {"name": "alice"}',
    );
  }
}

/** As compilers write it, and editors understand it. */
export function placeIn(path: string, { line, column }: Position): string {
  return `${escapeText(path)}:${line}:${column}`;
}

function unreadable(path: string, why: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_CONFIG_FILE',
    `the configuration ${quoteText(path)} cannot be read: ${why}`,
    'correct it, or move it away to start with the defaults',
  );
}
