import { assert } from '../base/assert.ts';
import { type AnyErrorCode, WarrenError } from '../base/errors.ts';
import type { Priority } from '../wire/frames.ts';
import type { PeerName } from './host.ts';
import { STREAM_ID_MAX } from './messages.ts';
import { isSpanWithin, PEER_TIMEOUT_MS, PRIORITIES, type SpanBounds, TIMEOUT_MS } from './value-bounds.ts';

/** The line that begins a stream connection, and the line that answers it: text ⇄ closed values. */

/** With its LF. */
export const LINE_BYTES_MAX = 512;
/** An answer with the longest error, every character of it escaped, is shorter. */
export const ANSWER_BYTES_MAX: number = 16 * 1024;

export type StreamLine = DialLine | AcceptLine;

/** The control connection that a stream belongs to, and what both sides call the stream there. */
export interface StreamOwnership {
  readonly client: string;
  readonly id: number;
}

export interface DialLine {
  readonly kind: 'dial';
  readonly peer: string;
  readonly port: number;
  readonly owner?: StreamOwnership | undefined;
  readonly priority?: Priority | undefined;
  /** In milliseconds. */
  readonly timeout?: number | undefined;
  readonly congestion?: string | undefined;
  /** In milliseconds. */
  readonly peerTimeout?: number | undefined;
}

export interface AcceptLine {
  readonly kind: 'accept';
  readonly token: string;
  readonly owner: StreamOwnership;
}

/** What is wrong with a line, in a sentence that does not repeat it. */
export interface LineError {
  readonly kind: 'line-error';
  readonly message: string;
}

function lineError(message: string): LineError {
  return { kind: 'line-error', message };
}

/** For both ends: a program asks for what cannot be said in a line, or says what is none. */
export function lineMisuse({ message }: LineError): WarrenError {
  return new WarrenError('ERR_WARREN_ARGUMENT', message, 'A line looks like: dial alice:80');
}

const PRINTABLE = /^[\x20-\x7e]*$/;
/** A name or an address: the node says whether it is one. */
const TARGET = /^([^ ]+):([0-9]{1,5})$/;
const NUMBER = /^[1-9][0-9]{0,15}$/;
const DIAL_OPTIONS: ReadonlySet<string> = new Set([
  'client',
  'id',
  'priority',
  'timeout',
  'congestion',
  'peer-timeout',
]);
const ACCEPT_OPTIONS: ReadonlySet<string> = new Set(['client', 'id']);

/** Reads a line without its LF. */
export function decodeStreamLine(line: string): StreamLine | LineError {
  if (line.length >= LINE_BYTES_MAX) return lineError(`a line has at most ${LINE_BYTES_MAX} bytes, its LF included`);
  if (!PRINTABLE.test(line)) return lineError('a line is printable ASCII and ends in LF');
  const [verb, target, ...words] = line.split(' ');
  if (verb === 'dial') return decodeDial(target ?? '', words);
  if (verb === 'accept') return decodeAccept(target ?? '', words);
  return lineError('a line begins with dial or accept');
}

function decodeDial(target: string, words: readonly string[]): DialLine | LineError {
  const match = TARGET.exec(target);
  const port = numberIn(match?.[2], 0xffff);
  if (match === null || port === undefined) return lineError('dial takes PEER:PORT, with a port from 1 to 65535');
  const options = decodeOptions(words, DIAL_OPTIONS);
  if (!(options instanceof Map)) return options;
  const owner = ownerOf(options);
  if (owner !== undefined && 'kind' in owner) return owner;

  const timeout = spanIn(options, 'timeout', TIMEOUT_MS);
  if (typeof timeout === 'object') return timeout;
  const peerTimeout = spanIn(options, 'peer-timeout', PEER_TIMEOUT_MS);
  if (typeof peerTimeout === 'object') return peerTimeout;
  const word = options.get('priority');
  const priority = word !== undefined && Object.hasOwn(PRIORITIES, word) ? PRIORITIES[word] : undefined;
  if (word !== undefined && priority === undefined) return lineError('priority is high, normal or low');
  const congestion = options.get('congestion');
  return { kind: 'dial', peer: match[1]!, port, owner, priority, timeout, congestion, peerTimeout };
}

function decodeAccept(token: string, words: readonly string[]): AcceptLine | LineError {
  if (token === '') return lineError('accept takes the token of an incoming stream');
  const options = decodeOptions(words, ACCEPT_OPTIONS);
  if (!(options instanceof Map)) return options;
  const owner = ownerOf(options);
  if (owner === undefined)
    return lineError('accept needs client=TEXT and id=N: only the client it came to takes a stream');
  return 'kind' in owner ? owner : { kind: 'accept', token, owner };
}

/** What an option means has to be known, because it would change what happens: an unknown one is refused. */
function decodeOptions(words: readonly string[], known: ReadonlySet<string>): Map<string, string> | LineError {
  const options = new Map<string, string>();
  for (const word of words) {
    const equals = word.indexOf('=');
    const name = word.slice(0, Math.max(equals, 0));
    if (equals < 1 || equals === word.length - 1) return lineError('an option is name=value, after one space');
    if (!known.has(name)) return lineError(`the options are ${[...known].join(', ')}`);
    if (options.has(name)) return lineError('an option stands there once');
    options.set(name, word.slice(equals + 1));
  }
  return options;
}

function ownerOf(options: ReadonlyMap<string, string>): StreamOwnership | LineError | undefined {
  const client = options.get('client');
  if (client === undefined && !options.has('id')) return undefined;
  const id = numberIn(options.get('id'), STREAM_ID_MAX);
  if (client === undefined || id === undefined) {
    return lineError('client=TEXT and id=N stand together, N from 1 to 2^53 − 1');
  }
  return { client, id };
}

function spanIn(
  options: ReadonlyMap<string, string>,
  name: string,
  bounds: SpanBounds,
): number | LineError | undefined {
  const digits = options.get(name);
  if (digits === undefined) return undefined;
  const value = numberIn(digits, bounds.most);
  if (value !== undefined && isSpanWithin(value, bounds)) return value;
  return lineError(`${name} is a number of milliseconds from ${bounds.least} to ${bounds.most}`);
}

/** From 1 to `most`, without leading zeros. */
function numberIn(digits: string | undefined, most: number): number | undefined {
  if (digits === undefined || !NUMBER.test(digits)) return undefined;
  const value = Number(digits);
  return value <= most ? value : undefined;
}

/** With its LF; a `LineError` where what a program has asked for cannot be said in a line. */
export function encodeStreamLine(line: StreamLine): string | LineError {
  const words = line.kind === 'dial' ? [`dial ${line.peer}:${line.port}`] : [`accept ${line.token}`];
  if (line.owner !== undefined) words.push(`client=${line.owner.client}`, `id=${line.owner.id}`);
  if (line.kind === 'dial') {
    for (const [word, priority] of Object.entries(PRIORITIES)) {
      if (priority === line.priority) words.push(`priority=${word}`);
    }
    if (line.timeout !== undefined) words.push(`timeout=${line.timeout}`);
    if (line.congestion !== undefined) words.push(`congestion=${line.congestion}`);
    if (line.peerTimeout !== undefined) words.push(`peer-timeout=${line.peerTimeout}`);
  }
  // What a program calls a peer goes into a line of words: a space in it would be read as something else.
  if (words.slice(1).some((word) => word.includes(' ')) || words[0]!.lastIndexOf(' ') !== line.kind.length) {
    return lineError('no word of a line holds a space');
  }
  const text = words.join(' ');
  const read = decodeStreamLine(text);
  return read.kind === 'line-error' ? read : `${text}\n`;
}

export type StreamAnswer = StreamTaken | StreamRefused;

export interface StreamTaken {
  readonly ok: true;
  /** Only of a stream with an owner. */
  readonly id?: number | undefined;
  readonly peer: PeerName;
  readonly localPort: number;
  readonly remotePort: number;
}

export interface StreamRefused {
  readonly ok: false;
  readonly error: WarrenError;
}

/** With its LF. */
export function encodeStreamAnswer(answer: StreamAnswer): string {
  if (!answer.ok) {
    const { code, message, hint } = answer.error;
    const error = { code, message: message.slice(0, TEXT_MAX), hint: hint.slice(0, TEXT_MAX) };
    return `${JSON.stringify({ ok: false, error })}\n`;
  }
  const { id, localPort, remotePort } = answer;
  const { address, name, key } = answer.peer;
  const text = `${JSON.stringify({ ok: true, id, peer: { address, name, key }, localPort, remotePort })}\n`;
  assert(text.length < ANSWER_BYTES_MAX, 'a name, an address and a key are short');
  return text;
}

/** In characters; JSON writes six for one at the most, and UTF-8 no more bytes than that. */
const TEXT_MAX = 1_000;

/** Reads a line without its LF; `undefined` where it is no answer. */
export function decodeStreamAnswer(line: string): StreamAnswer | undefined {
  const answer = parseJson(line);
  if (answer === undefined) return undefined;
  if (answer.ok === false) {
    const { code, message, hint } = objectOf(answer.error);
    if (typeof code !== 'string' || !ERROR_CODE.test(code) || !isText(message) || !isText(hint)) return undefined;
    return { ok: false, error: WarrenError.told({ code: code as AnyErrorCode, message, hint }) };
  }
  const { ok, id, localPort, remotePort } = answer;
  const { address, name, key } = objectOf(answer.peer);
  if (ok !== true || !isText(address) || !isText(name) || !isText(key)) return undefined;
  if (!isPort(localPort) || !isPort(remotePort)) return undefined;
  if (id !== undefined && !Number.isSafeInteger(id)) return undefined;
  return { ok, id: id as number | undefined, peer: { address, name, key }, localPort, remotePort };
}

const ERROR_CODE = /^ERR_WARREN_[A-Z0-9_]{1,48}$/;

/** What may be in an answer; anything may be there instead. */
type Keys = 'ok' | 'id' | 'peer' | 'localPort' | 'remotePort' | 'error' | 'address' | 'name' | 'key';
type Json = { readonly [K in Keys | 'code' | 'message' | 'hint']?: unknown };

function parseJson(text: string): Json | undefined {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? value : {};
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff;
}
