import { assert } from '../base/assert.ts';
import { compare } from '../base/bytes.ts';
import { type DecodeError, decodeError } from './decode-error.ts';
import { ByteReader } from './reader.ts';
import { decodeUtf8, encodeUtf8, utf8Length } from './utf8.ts';
import { ByteWriter } from './writer.ts';

/**
 * Control messages (PROTOCOL §10): CBOR in the deterministic encoding of RFC 8949 §4.2.1, of a closed set of values. Every value has
 * one encoding, there are no tags, and size and depth are bounded; so both directions are short, and neither is left to a library
 * that knows all of CBOR.
 */
export type ControlValue =
  | null
  | boolean
  /** A whole number within ±(2^53 − 1). There are no fractions: spans are in microseconds, shares in parts per million. */
  | number
  | string
  | Uint8Array
  | readonly ControlValue[]
  | ControlMap;

/** A `Map`, never an object, so that no key (`__proto__`, `constructor`) means anything. */
export type ControlMap = ReadonlyMap<string, ControlValue>;

export interface Control {
  readonly kind: 'control';
  readonly value: ControlValue;
}

export const CONTROL_BYTES_MAX: number = 16 * 1024;
/** Arrays and maps inside one another. */
export const CONTROL_DEPTH_MAX = 8;

const MAJOR_UNSIGNED = 0;
const MAJOR_NEGATIVE = 1;
const MAJOR_BYTES = 2;
const MAJOR_TEXT = 3;
const MAJOR_ARRAY = 4;
const MAJOR_MAP = 5;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;
const BYTE_ORDER_MARK = '\ufeff';

/** What it gives keeps nothing of `bytes`. */
export function decodeControl(bytes: Uint8Array): Control | DecodeError {
  if (bytes.length > CONTROL_BYTES_MAX) return decodeError('too-long');
  const reader = new ByteReader(bytes);
  const value = readItem(reader, 0);
  const failure = reader.finish();
  return failure === undefined ? { kind: 'control', value } : decodeError(failure);
}

/** Of no meaning once the reader has failed. */
function readItem(reader: ByteReader, depth: number): ControlValue {
  const first = reader.u8();
  const major = first >> 5;
  if (major > MAJOR_MAP) return readSimple(reader, first);
  const argument = readArgument(reader, first & 0x1f);
  switch (major) {
    case MAJOR_UNSIGNED:
      return argument;
    case MAJOR_NEGATIVE:
      // It stands for −1 − argument, which must be a safe integer too.
      if (argument === Number.MAX_SAFE_INTEGER) reader.fail('out-of-range');
      return -1 - argument;
    case MAJOR_BYTES:
      // Whatever it was read from: a `Buffer` would slice into more of them.
      return new Uint8Array(reader.view(argument));
    case MAJOR_TEXT:
      return readText(reader, argument);
    default:
      if (depth === CONTROL_DEPTH_MAX) reader.fail('too-deep');
      return major === MAJOR_ARRAY ? readArray(reader, argument, depth + 1) : readMap(reader, argument, depth + 1);
  }
}

function readSimple(reader: ByteReader, item: number): ControlValue {
  if (item === TRUE || item === FALSE) return item === TRUE;
  // Tags, floats, `undefined` and all other simple values.
  if (item !== NULL) reader.fail('forbidden-item');
  return null;
}

/** RFC 8949 §4.2.1: the shortest form, and a length that is known. */
function readArgument(reader: ByteReader, info: number): number {
  if (info < 24) return info;
  let value = 0;
  let least = 0;
  if (info === 24) {
    value = reader.u8();
    least = 24;
  } else if (info === 25) {
    value = reader.u16();
    least = 0x100;
  } else if (info === 26) {
    value = reader.u32();
    least = 0x1_0000;
  } else if (info === 27) {
    value = reader.u64();
    least = 0x1_0000_0000;
  } else {
    reader.fail('forbidden-item');
  }
  if (value < least) reader.fail('not-shortest-form');
  return value;
}

function readText(reader: ByteReader, length: number): string {
  const text = decodeUtf8(reader.view(length));
  // RFC 3629 §6 forbids U+FEFF as a signature where all text is UTF-8; a common decoder silently drops it.
  if (text !== undefined && !text.startsWith(BYTE_ORDER_MARK)) return text;
  reader.fail('bad-text');
  return '';
}

function readArray(reader: ByteReader, count: number, depth: number): ControlValue {
  const items: ControlValue[] = [];
  // Every item takes a byte at least, so this ends with the bytes, whatever the count says.
  for (let i = 0; i < count && reader.failure === undefined; i++) items.push(readItem(reader, depth));
  return items;
}

/** RFC 8949 §4.2.1: keys ascend bytewise in their encoded form, which for text is the shorter first. */
function readMap(reader: ByteReader, count: number, depth: number): ControlValue {
  const map = new Map<string, ControlValue>();
  let previous: string | undefined;
  for (let i = 0; i < count && reader.failure === undefined; i++) {
    if (reader.remaining > 0 && reader.bytes[reader.offset]! >> 5 !== MAJOR_TEXT) reader.fail('forbidden-item');
    const key = readItem(reader, depth) as string;
    if (reader.failure !== undefined) break;
    const order = previous === undefined ? -1 : compareKeys(previous, key);
    if (order === 0) reader.fail('duplicate-key');
    if (order > 0) reader.fail('not-ascending');
    previous = key;
    map.set(key, readItem(reader, depth));
  }
  return map;
}

/** For values that our own code has built: one that breaks a bound is a broken invariant. */
export function encodeControl(value: ControlValue): Uint8Array {
  return SCRATCH.slice(0, controlLength(value));
}

/** How many bytes it takes by itself, of which the scratch buffer then holds as many. */
export function controlLength(value: ControlValue): number {
  const writer = new ByteWriter(SCRATCH);
  writeItem(writer, value, 0);
  return writer.offset;
}

/** For all messages, because one is short and to make room for the longest, which is cleared each time, costs more than to write it. */
const SCRATCH = new Uint8Array(CONTROL_BYTES_MAX);

function writeItem(writer: ByteWriter, value: ControlValue, depth: number): void {
  if (value === null) writer.u8(NULL);
  else if (typeof value === 'boolean') writer.u8(value ? TRUE : FALSE);
  else if (typeof value === 'number') writeInteger(writer, value);
  else if (typeof value === 'string') writeText(writer, value);
  else if (value instanceof Uint8Array) {
    writeHead(writer, MAJOR_BYTES, value.length);
    writer.bytes(value);
  } else {
    assert(depth < CONTROL_DEPTH_MAX, 'a control message is at most 8 deep');
    if (value instanceof Map) writeMap(writer, value, depth + 1);
    else writeArray(writer, value as readonly ControlValue[], depth + 1);
  }
}

function writeInteger(writer: ByteWriter, value: number): void {
  assert(Number.isSafeInteger(value), 'a number in a control message is a whole one');
  if (value < 0) writeHead(writer, MAJOR_NEGATIVE, -1 - value);
  else writeHead(writer, MAJOR_UNSIGNED, value);
}

function writeArray(writer: ByteWriter, items: readonly ControlValue[], depth: number): void {
  writeHead(writer, MAJOR_ARRAY, items.length);
  for (const item of items) writeItem(writer, item, depth);
}

function writeMap(writer: ByteWriter, map: ControlMap, depth: number): void {
  writeHead(writer, MAJOR_MAP, map.size);
  let previous: string | undefined;
  for (const [key, value] of inOrder(map)) {
    const text = unsigned(key);
    assert(previous === undefined || compareKeys(previous, text) < 0, 'the keys of a map are unique');
    writeText(writer, text);
    writeItem(writer, value, depth);
    previous = text;
  }
}

/** What has keys that are known was built in order. */
function inOrder(map: ControlMap): Iterable<readonly [key: string, value: ControlValue]> {
  let previous: string | undefined;
  for (const key of map.keys()) {
    const text = unsigned(key);
    if (previous !== undefined && compareKeys(previous, text) > 0) {
      return Array.from(map, ([name, value]) => [unsigned(name), value] as const).sort(([a], [b]) => compareKeys(a, b));
    }
    previous = text;
  }
  return map;
}

/** As their encodings compare: the shorter first, then by bytes. */
function compareKeys(a: string, b: string): number {
  const length = utf8Length(a);
  const shorter = length - utf8Length(b);
  if (shorter !== 0) return shorter;
  // Only where there is nothing but ASCII do UTF-16 units stand for bytes.
  if (length !== a.length || length !== b.length) return compare(encodeUtf8(a), encodeUtf8(b));
  return a < b ? -1 : Number(a > b);
}

function writeText(writer: ByteWriter, value: string): void {
  const text = unsigned(value);
  writeHead(writer, MAJOR_TEXT, utf8Length(text));
  writer.utf8(text);
}

/** A leading byte order mark is a signature and not text (RFC 3629 §6): it is left off. */
function unsigned(text: string): string {
  return text.startsWith(BYTE_ORDER_MARK) ? text.replace(/^\ufeff+/, '') : text;
}

function writeHead(writer: ByteWriter, major: number, argument: number): void {
  const top = major << 5;
  if (argument < 24) {
    writer.u8(top | argument);
  } else if (argument < 0x100) {
    writer.u8(top | 24);
    writer.u8(argument);
  } else if (argument < 0x1_0000) {
    writer.u8(top | 25);
    writer.u16(argument);
  } else if (argument < 0x1_0000_0000) {
    writer.u8(top | 26);
    writer.u32(argument);
  } else {
    writer.u8(top | 27);
    writer.u64(argument);
  }
}
