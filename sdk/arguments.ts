import { parseListenAddress } from '../daemon/config-values.ts';
import { quoteText } from '../daemon/escape.ts';
import { nearest } from '../daemon/nearest.ts';
import { DATAGRAM_BYTES_MAX } from '../daemon/udp-route.ts';
import {
  CODE_MAX,
  ENDPOINT_BYTES_MAX,
  PEER_BYTES_MAX,
  PEER_ENDPOINTS_MAX,
  PEER_TIMEOUT_MS,
  PRIORITIES,
  RECORD_TEXT_BYTES_MAX,
  type SpanBounds,
  TIMEOUT_MS,
} from '../ipc/value-bounds.ts';
import { BASE_MTU } from '../transport/constants.ts';
import { BACKLOG_NODE_MAX } from '../transport/listeners.ts';
import { PORT_MAX } from '../wire/address.ts';
import { isName, NAME } from '../wire/names.ts';
import type { ConnectOptions } from './connect.ts';
import type { CreateNodeOptions } from './create-node.ts';
import { misuse } from './errors.ts';
import type { ConnectionTaker, DialOptions, ListenOptions, NewPeer, PingOptions } from './types.ts';

/**
 * What programs may ask for, checked here and nowhere else: before it is known which way a node is reached, so that both ways
 * answer alike. Whatever can be told from an argument alone is `ERR_WARREN_ARGUMENT`; whether a node knows a peer of that name, or
 * has that port free, is for the node to say.
 */

/** What an argument has to be: as a sentence says it, and whether a value is. */
export interface Rule<T> {
  readonly what: string;
  readonly fits: (value: unknown) => value is T;
}

/** One for every option there is. */
export type Rules<T> = { readonly [K in keyof T]-?: Rule<T[K]> };

/** Thrown: the argument of that name in that call is not what it has to be. The hint says what it has to be. */
export function check<T>(call: string, name: string, value: unknown, rule: Rule<T>): asserts value is T {
  if (rule.fits(value)) return;
  throw misuse(`${call}: ${name} is ${describe(value)}`, `${name} has to be ${rule.what}`);
}

/** Thrown likewise; and an option that there is not is refused, with the one it resembles: it would else be ignored in silence. */
export function checkOptions<T extends object>(call: string, options: unknown, rules: Rules<T>): asserts options is T {
  checkMembers(call, 'options', '', options, rules);
}

/** Thrown likewise. `name` is what that call knows the peer by. */
export function checkNewPeer(call: string, name: string, peer: unknown): asserts peer is NewPeer {
  checkMembers(call, name, `${name}.`, peer, NEW_PEER);
}

function checkMembers<T>(call: string, name: string, prefix: string, value: unknown, rules: Rules<T>): void {
  check(call, name, value, OBJECT);
  const known = Object.keys(rules) as (keyof T & string)[];
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(rules, key)) continue;
    const meant = nearest(key, known);
    const hint = meant === undefined ? `what there is: ${known.join(', ')}` : `did you mean ${prefix}${meant}?`;
    throw misuse(`${call}: there is no ${quoteText(prefix + key)}`, hint);
  }
  for (const key of known) {
    check(call, prefix + key, (value as Readonly<Record<string, unknown>>)[key], rules[key] as Rule<unknown>);
  }
}

/** What came instead. Never a text itself: it may be a secret, or a thousand pages. */
function describe(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'left out';
    case 'number':
    case 'boolean':
      return String(value);
    case 'string':
      return value === '' ? 'an empty text' : `a text of length ${value.length}`;
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? `a list of ${value.length}` : 'an object';
    default:
      return `a ${typeof value}`;
  }
}

function rule<T>(what: string, fits: (value: unknown) => boolean): Rule<T> {
  return { what, fits: fits as Rule<T>['fits'] };
}

function whole(least: number, most: number, more = ''): Rule<number> {
  const isWithin = (value: unknown): boolean =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
  return rule(`a whole number from ${least} to ${most}${more}`, isWithin);
}

function milliseconds({ least, most }: SpanBounds): Rule<number> {
  return whole(least, most, ', in milliseconds');
}

function text(what: string, fits: (value: string) => boolean): Rule<string> {
  return rule(what, (value) => typeof value === 'string' && fits(value));
}

function oneOf<const T extends string>(words: readonly T[]): Rule<T> {
  return rule(`one of ${words.join(', ')}`, (value) => (words as readonly unknown[]).includes(value));
}

function optional<T>({ what, fits }: Rule<T>): Rule<T | undefined> {
  return rule(`${what}, or left out`, (value) => value === undefined || fits(value));
}

const OBJECT: Rule<object> = rule('an object', isObject);
const FLAG: Rule<boolean> = rule('true or false', (value) => typeof value === 'boolean');

/** A signal of another library's making passes for one, as it does in Node. */
const SIGNAL: Rule<AbortSignal> = rule(
  'an AbortSignal, as the signal of an AbortController is',
  (value) => hasMethod(value, 'addEventListener') && 'aborted' in value,
);

const TIMEOUT: Rule<number> = milliseconds(TIMEOUT_MS);
/** Far above what a stream's window can use. */
const BUFFER_BYTES_MAX: number = 2 ** 30;
/** As long as the first line of a passphrase file. */
const PASSPHRASE_BYTES_MAX = 1_024;

export const PORT: Rule<number> = whole(1, PORT_MAX);
export const LOCAL_PORT: Rule<number> = whole(0, PORT_MAX, ', where 0 is any free one');

/** Whether it is the name, address or key of anybody is for the node to say. */
export const PEER: Rule<string> = text(
  `a name, an address or a key: 1 to ${PEER_BYTES_MAX} printable ASCII characters without spaces`,
  (value) => value.length <= PEER_BYTES_MAX && /^[\x21-\x7e]+$/.test(value),
);

export const DATA: Rule<Uint8Array> = rule(
  'a Uint8Array, as Buffer.from makes one of a text',
  (value) => value instanceof Uint8Array,
);

const PETNAME: Rule<string> = text(`1 to ${NAME.lengthMax} ${NAME.characters}`, isName);

/** What hands connections on to listeners, as servers do. */
export const CONNECTION_TAKER: Rule<ConnectionTaker> = rule(
  'a server, which takes connections by its event "connection"',
  (value) => hasMethod(value, 'emit'),
);

/** PROTOCOL.md §11: codes from here on are the programs' own. */
export const OWN_CODE: Rule<number> = whole(256, CODE_MAX);
export const CALLBACK: Rule<() => void> = rule('a function', (value) => typeof value === 'function');
/** As a socket's: of any length, and for ever where it is 0. */
export const IDLE_MILLISECONDS: Rule<number> = rule(
  'a number of milliseconds, 0 for none',
  (value) => Number.isFinite(value) && (value as number) >= 0,
);

const STREAM_OPTIONS = {
  highWaterMark: optional(whole(0, BUFFER_BYTES_MAX, ', in bytes')),
  allowHalfOpen: optional(FLAG),
};

export const LISTEN_OPTIONS: Rules<ListenOptions> = {
  ...STREAM_OPTIONS,
  backlog: optional(whole(1, BACKLOG_NODE_MAX)),
};

export const DIAL_OPTIONS: Rules<DialOptions> = {
  ...STREAM_OPTIONS,
  signal: optional(SIGNAL),
  timeout: optional(TIMEOUT),
  priority: optional(oneOf(Object.keys(PRIORITIES) as NonNullable<DialOptions['priority']>[])),
  congestion: optional(oneOf(['aimd', 'cubic', 'bbr'])),
  peerTimeout: optional(milliseconds(PEER_TIMEOUT_MS)),
};

export const PING_OPTIONS: Rules<PingOptions> = { timeout: optional(TIMEOUT), signal: optional(SIGNAL) };

const isEndpoint = (value: unknown): boolean =>
  typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= ENDPOINT_BYTES_MAX;

const NEW_PEER: Rules<NewPeer> = {
  record: text(
    `an identity record as one line of text, of at most ${RECORD_TEXT_BYTES_MAX} bytes`,
    (value) => value !== '' && Buffer.byteLength(value) <= RECORD_TEXT_BYTES_MAX,
  ),
  endpoints: optional(
    rule<readonly string[]>(
      `a list of at most ${PEER_ENDPOINTS_MAX} texts, each HOST:PORT`,
      (value) => Array.isArray(value) && value.length <= PEER_ENDPOINTS_MAX && value.every(isEndpoint),
    ),
  ),
  petname: optional(PETNAME),
};

const PATH: Rule<string> = text('a path', (value) => value !== '' && !value.includes('\0'));

export const CONNECT_OPTIONS: Rules<ConnectOptions> = {
  socket: optional(PATH),
  admin: optional(FLAG),
  signal: optional(SIGNAL),
};

export const CREATE_NODE_OPTIONS: Rules<CreateNodeOptions> = {
  mtu: optional(whole(BASE_MTU, DATAGRAM_BYTES_MAX)),
  offload: optional(FLAG),
  // Nothing at all is no name, which is something to be said too.
  name: optional(text(`at most ${NAME.lengthMax} ${NAME.characters}`, (value) => value === '' || isName(value))),
  listen: optional(
    text(
      'an IP address and a port, as [::]:4440 for every address or 192.0.2.1:0 for any free port',
      (value) => parseListenAddress(value) !== undefined,
    ),
  ),
  state: optional(PATH),
  passphraseFile: optional(PATH),
  passphrase: optional(
    text(
      `1 to ${PASSPHRASE_BYTES_MAX} bytes`,
      (value) => value !== '' && Buffer.byteLength(value) <= PASSPHRASE_BYTES_MAX,
    ),
  ),
  peers: optional(rule<readonly NewPeer[]>('a list of peers as addPeer takes them', Array.isArray)),
};

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function hasMethod(value: unknown, name: string): value is object {
  return isObject(value) && typeof (value as Readonly<Record<string, unknown>>)[name] === 'function';
}
