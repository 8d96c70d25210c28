import { assert } from '../base/assert.ts';
import { type ToldError, WarrenError } from '../base/errors.ts';
import {
  CONTROL_BYTES_MAX,
  type ControlMap,
  type ControlValue,
  controlLength,
  decodeControl,
  encodeControl,
} from '../wire/cbor.ts';
import type { DecodeReason } from '../wire/decode-error.ts';
import type { Priority } from '../wire/frames.ts';
import type { NodeStatus, PeerEntry, PeerName, PeerReport, PeerStatus, PingReply, TunnelStatus } from './host.ts';
import {
  bytes,
  COUNT,
  counts,
  FLAG,
  fields,
  firstOf,
  Invalid,
  list,
  matching,
  oneOf,
  optional,
  prose,
  type Shape,
  type Shapes,
  text,
  whole,
  word,
} from './shape.ts';
import {
  CODE_MAX,
  ENDPOINT_BYTES_MAX,
  PEER_BYTES_MAX,
  PEER_ENDPOINTS_MAX,
  PRIORITIES,
  RECORD_TEXT_BYTES_MAX,
  TIMEOUT_MS,
} from './value-bounds.ts';

/**
 * The control connection's messages: bytes ⇄ closed typed values, both ends. Every command and every event is described once, by
 * the shape of its fields; what it does stands elsewhere. Nothing here throws over what it reads.
 */

export const CONTROL_VERSION = 1;

/** With room for the keys around it, and the sender's name. */
export const DATAGRAM_BYTES_MAX = 16_000;
export const STREAM_ID_MAX: number = Number.MAX_SAFE_INTEGER;
const TOKEN_BYTES_MAX = 64;
const NAME_BYTES_MAX = 128;
const WORD_BYTES_MAX = 128;
const PROSE_BYTES_MAX = 1_000;
const DROP_REASONS_MAX = 96;
const SYSTEM_ERRORS_MAX = 64;

/** What a client asks, by the word for it. */
export interface Requests {
  readonly hello: { readonly version: number };
  readonly status: object;
  readonly peers: object;
  readonly resolve: { readonly peer: string };
  readonly why: { readonly peer: string };
  readonly ping: { readonly peer: string; readonly timeoutMs: number };
  readonly cancel: { readonly request: number };
  readonly listen: { readonly port: number; readonly backlog?: number | undefined };
  readonly unlisten: { readonly port: number };
  readonly refuse: { readonly token: string };
  readonly bind: { readonly port: number };
  readonly unbind: { readonly port: number };
  readonly send: { readonly from: number; readonly peer: string; readonly port: number; readonly data: Uint8Array };
  readonly finish: { readonly stream: number };
  readonly reset: { readonly stream: number; readonly code: number };
  readonly record: object;
  readonly 'add-peer': PeerEntry;
  readonly 'remove-peer': { readonly peer: string };
  readonly shutdown: object;
}

export type Command = keyof Requests;

/** A command with its fields: `{ do: 'listen', port: 80 }`. */
export type Request<K extends Command = Command> = { readonly [C in K]: { readonly do: C } & Requests[C] }[K];

/** What it is answered with. */
export interface Replies {
  readonly hello: Hello;
  readonly status: NodeStatus;
  readonly peers: { readonly peers: readonly PeerStatus[] };
  readonly resolve: PeerName;
  readonly why: PeerReport;
  readonly ping: PingReply;
  readonly cancel: object;
  readonly listen: { readonly port: number };
  readonly unlisten: object;
  readonly refuse: object;
  readonly bind: { readonly port: number };
  readonly unbind: object;
  readonly send: object;
  readonly finish: object;
  readonly reset: object;
  readonly record: { readonly record: string };
  readonly 'add-peer': PeerName;
  readonly 'remove-peer': PeerName;
  readonly shutdown: object;
}

export interface Hello extends PeerName {
  readonly version: number;
  /** What this client's stream connections say in `client=`. */
  readonly client: string;
  /** The version of the daemon's program. */
  readonly daemon: string;
}

export interface Events {
  readonly incoming: {
    readonly port: number;
    readonly token: string;
    readonly peer: PeerName;
    readonly remotePort: number;
    readonly priority: Priority;
  };
  readonly gone: { readonly token: string };
  readonly datagram: {
    readonly port: number;
    readonly peer: PeerName;
    readonly from: number;
    readonly data: Uint8Array;
  };
  readonly end: StreamEnding;
  /** The daemon has begun to stop; `error` follows when it is done. */
  readonly stopping: object;
  readonly error: { readonly error: WarrenError };
}

export interface StreamEnding {
  readonly stream: number;
  readonly how: 'fin' | 'acknowledged' | 'reset' | 'stopped' | 'closed';
  /** Of `reset` and `stopped`. */
  readonly code?: number | undefined;
  /** Of `closed`, where the stream did not end in order. */
  readonly error?: WarrenError | undefined;
}

export type EventName = keyof Events;
export type ServerEvent<K extends EventName = EventName> = {
  readonly [E in K]: { readonly event: E } & Events[E];
}[K];

const PORT = whole(0, 0xffff);
const DIALLED_PORT = whole(1, 0xffff);
const PEER = text(1, PEER_BYTES_MAX);
const TOKEN = text(1, TOKEN_BYTES_MAX);
const ID = whole(1, STREAM_ID_MAX);
const CODE = whole(0, CODE_MAX);
const NAME = prose(NAME_BYTES_MAX);
const WORD = prose(WORD_BYTES_MAX);
const PROSE = prose(PROSE_BYTES_MAX);
const DATA = bytes(DATAGRAM_BYTES_MAX);
const PRIORITY = oneOf(PRIORITIES);
const ENDPOINTS = firstOf(prose(ENDPOINT_BYTES_MAX), PEER_ENDPOINTS_MAX);

const PEER_NAME: Shapes<PeerName> = { address: WORD, name: NAME, key: WORD };

const TUNNEL: Shapes<TunnelStatus> = {
  ...PEER_NAME,
  state: WORD,
  route: WORD,
  roundTrip: COUNT,
  congestion: WORD,
  window: COUNT,
  mtu: COUNT,
  packetsSent: COUNT,
  packetsLost: COUNT,
  packetsLate: COUNT,
  streams: COUNT,
};

const ERROR_FIELDS = fields<ToldError>({
  code: matching('an error code', /^ERR_WARREN_[A-Z0-9_]{1,48}$/),
  message: PROSE,
  hint: PROSE,
});

/** A `WarrenError` keeps its code, message and hint on the way; its stack is nobody's business. */
export const ERROR: Shape<WarrenError> = {
  what: 'an error',
  read(value) {
    const error = ERROR_FIELDS.read(value);
    return error instanceof Invalid ? error : WarrenError.told(error);
  },
  write: (error) => ERROR_FIELDS.write(error),
};

/** With the word that says what it is: nothing is put together once more for that, and it is written in its place. */
function request<K extends Command>(command: K, shapes: Shapes<Requests[K]>): Shape<Request<K>> {
  return fields({ do: word(command), ...shapes } as unknown as Shapes<Request<K>>);
}

/** Likewise. */
function event<K extends EventName>(name: K, shapes: Shapes<Events[K]>): Shape<ServerEvent<K>> {
  return fields({ event: word(name), ...shapes } as unknown as Shapes<ServerEvent<K>>);
}

const REQUESTS: { readonly [K in Command]: Shape<Request<K>> } = {
  hello: request('hello', { version: whole(1, 0xffff) }),
  status: request('status', {}),
  peers: request('peers', {}),
  resolve: request('resolve', { peer: PEER }),
  why: request('why', { peer: PEER }),
  ping: request('ping', { peer: PEER, timeoutMs: whole(TIMEOUT_MS.least, TIMEOUT_MS.most) }),
  cancel: request('cancel', { request: ID }),
  listen: request('listen', { port: PORT, backlog: optional(whole(1, 0xffff)) }),
  unlisten: request('unlisten', { port: DIALLED_PORT }),
  refuse: request('refuse', { token: TOKEN }),
  bind: request('bind', { port: PORT }),
  unbind: request('unbind', { port: DIALLED_PORT }),
  send: request('send', { from: DIALLED_PORT, peer: PEER, port: DIALLED_PORT, data: DATA }),
  finish: request('finish', { stream: ID }),
  reset: request('reset', { stream: ID, code: CODE }),
  record: request('record', {}),
  'add-peer': request('add-peer', {
    record: text(1, RECORD_TEXT_BYTES_MAX),
    endpoints: list(text(1, ENDPOINT_BYTES_MAX), PEER_ENDPOINTS_MAX),
    petname: optional(text(1, NAME_BYTES_MAX)),
  }),
  'remove-peer': request('remove-peer', { peer: PEER }),
  shutdown: request('shutdown', {}),
};

/** A list that may be longer than a message: it goes on in the next one. */
interface Paged<T> {
  readonly pagesOf: Shape<T>;
}

type ReplyShapes<T> = {
  readonly [K in keyof T]-?: Shape<T[K]> | (T[K] extends readonly (infer I)[] ? Paged<I> : never);
};

const REPLIES: { readonly [K in Command]: ReplyShapes<Replies[K]> } = {
  hello: { ...PEER_NAME, version: whole(1, 0xffff), client: TOKEN, daemon: WORD },
  status: {
    ...PEER_NAME,
    version: WORD,
    pid: COUNT,
    uptime: COUNT,
    udp: fields({ host: WORD, port: PORT, cutsBatches: FLAG, joinsPackets: FLAG, searchesMtu: FLAG }),
    crypto: WORD,
    listening: { pagesOf: PORT },
    tunnels: { pagesOf: fields(TUNNEL) },
    streams: COUNT,
    peers: COUNT,
    traffic: fields({ bytesIn: COUNT, bytesOut: COUNT, packetsIn: COUNT, packetsOut: COUNT }),
    drops: counts(DROP_REASONS_MAX),
    socketErrors: counts(SYSTEM_ERRORS_MAX),
  },
  peers: {
    peers: { pagesOf: fields<PeerStatus>({ ...PEER_NAME, callsItself: NAME, endpoints: ENDPOINTS, connected: FLAG }) },
  },
  resolve: PEER_NAME,
  why: {
    ...PEER_NAME,
    callsItself: NAME,
    endpoints: ENDPOINTS,
    tunnel: optional(fields(TUNNEL)),
    routes: { pagesOf: fields({ route: WORD, state: WORD }) },
    lastError: PROSE,
    advice: PROSE,
  },
  ping: { roundTrip: COUNT, route: WORD },
  cancel: {},
  listen: { port: DIALLED_PORT },
  unlisten: {},
  refuse: {},
  bind: { port: DIALLED_PORT },
  unbind: {},
  send: {},
  finish: {},
  reset: {},
  record: { record: text(1, RECORD_TEXT_BYTES_MAX) },
  'add-peer': PEER_NAME,
  'remove-peer': PEER_NAME,
  shutdown: {},
};

const EVENTS: { readonly [K in EventName]: Shape<ServerEvent<K>> } = {
  incoming: event('incoming', {
    port: DIALLED_PORT,
    token: TOKEN,
    peer: fields(PEER_NAME),
    remotePort: PORT,
    priority: PRIORITY,
  }),
  gone: event('gone', { token: TOKEN }),
  datagram: event('datagram', { port: DIALLED_PORT, peer: fields(PEER_NAME), from: PORT, data: DATA }),
  end: event('end', {
    stream: ID,
    how: oneOf({ fin: 'fin', acknowledged: 'acknowledged', reset: 'reset', stopped: 'stopped', closed: 'closed' }),
    code: optional(CODE),
    error: optional(ERROR),
  }),
  stopping: event('stopping', {}),
  error: event('error', { error: ERROR }),
};

function own<T extends object>(table: T, key: ControlValue | undefined): (keyof T & string) | undefined {
  return typeof key === 'string' && Object.hasOwn(table, key) ? (key as keyof T & string) : undefined;
}

/** What no program that goes by ipc/PROTOCOL.md sends: the connection is over. */
export interface Unreadable {
  readonly kind: 'unreadable';
  readonly reason: DecodeReason | 'not-a-map' | 'bad-id' | 'bad-message';
}

export type ClientMessage =
  /** Without an id it is a notice, and gets no reply. */
  | { readonly kind: 'request'; readonly id: number | undefined; readonly request: Request }
  /** A request that is well written, but for nothing we know. */
  | { readonly kind: 'misuse'; readonly id: number | undefined; readonly error: WarrenError }
  | Unreadable;

/** For both ends: a request that has not its command's shape. */
export function argumentError(command: string, invalid: Invalid): WarrenError {
  return new WarrenError(
    'ERR_WARREN_ARGUMENT',
    `${command}: ${invalid.message}`,
    'See ipc/PROTOCOL.md for what it takes.',
  );
}

export function decodeClientMessage(body: Uint8Array): ClientMessage {
  const map = decodeMap(body);
  if ('kind' in map) return map;
  const id = map.get('id') === undefined ? undefined : ID.read(map.get('id'));
  if (id instanceof Invalid) return { kind: 'unreadable', reason: 'bad-id' };
  const command = own(REQUESTS, map.get('do'));
  if (command === undefined) {
    const hint = 'A newer daemon may know it; ipc/PROTOCOL.md lists what this one does.';
    return { kind: 'misuse', id, error: new WarrenError('ERR_WARREN_UNKNOWN_COMMAND', 'no such command', hint) };
  }
  const read = REQUESTS[command].read(map);
  if (read instanceof Invalid) return { kind: 'misuse', id, error: argumentError(command, read) };
  return { kind: 'request', id, request: read };
}

/** The body of a message, or what is wrong with the request. */
export function encodeRequest(id: number | undefined, request: Request): Uint8Array | Invalid {
  const shape = REQUESTS[request.do] as Shape<Request>;
  const written = shape.write(request);
  if (written instanceof Invalid) return written;
  return encodeControl(id === undefined ? written! : new Map(written as ControlMap).set('id', id));
}

export type ServerMessage =
  | { readonly kind: 'event'; readonly event: ServerEvent }
  /** A newer daemon's: to be ignored. */
  | { readonly kind: 'unknown-event' }
  /** All or, with `more`, a part of what was asked for: `decodeReply` reads the parts together. */
  | { readonly kind: 'reply'; readonly re: number; readonly part: ControlMap; readonly more: boolean }
  | { readonly kind: 'refusal'; readonly re: number; readonly error: WarrenError }
  | Unreadable;

export function decodeServerMessage(body: Uint8Array): ServerMessage {
  const map = decodeMap(body);
  if ('kind' in map) return map;
  return map.get('event') === undefined ? readReply(map) : readEvent(map);
}

function readEvent(map: ControlMap): ServerMessage {
  const name = own(EVENTS, map.get('event'));
  if (name === undefined) return { kind: 'unknown-event' };
  const read = EVENTS[name].read(map);
  if (read instanceof Invalid) return { kind: 'unreadable', reason: 'bad-message' };
  return { kind: 'event', event: read };
}

function readReply(map: ControlMap): ServerMessage {
  const re = ID.read(map.get('re'));
  if (re instanceof Invalid) return { kind: 'unreadable', reason: 'bad-id' };
  if (map.get('ok') === true) return { kind: 'reply', re, part: map, more: map.get('more') === true };
  const error = ERROR.read(map.get('error'));
  if (map.get('ok') !== false || error instanceof Invalid) return { kind: 'unreadable', reason: 'bad-message' };
  return { kind: 'refusal', re, error };
}

/** The reply to a command from all its parts, in their order; `undefined` where they do not make one. */
export function decodeReply<K extends Command>(command: K, parts: readonly ControlMap[]): Replies[K] | undefined {
  const made: Record<string, unknown> = {};
  for (const [key, shape] of Object.entries<Shape<unknown> | Paged<unknown>>(REPLIES[command])) {
    const value = 'pagesOf' in shape ? readPages(key, shape, parts) : shape.read(parts[0]?.get(key));
    if (value instanceof Invalid) return undefined;
    made[key] = value;
  }
  return made as Replies[K];
}

function readPages(key: string, shape: Paged<unknown>, parts: readonly ControlMap[]): unknown[] | Invalid {
  const items: unknown[] = [];
  for (const part of parts) {
    // What a page holds is bounded by the message around it.
    const page = list(shape.pagesOf, CONTROL_BYTES_MAX).read(part.get(key) ?? []);
    if (page instanceof Invalid) return page;
    for (const item of page) items.push(item);
  }
  return items;
}

export function encodeEvent(event: ServerEvent): Uint8Array {
  const shape = EVENTS[event.event] as Shape<ServerEvent>;
  return encodeControl(written(shape.write(event)));
}

export function encodeRefusal(id: number, error: WarrenError): Uint8Array {
  return encodeControl(
    new Map<string, ControlValue>([
      ['ok', false],
      ['re', id],
      ['error', written(ERROR.write(error))],
    ]),
  );
}

/** The bodies of one message, or of several where its lists are too long for one. */
export function encodeReply<K extends Command>(id: number, command: K, reply: Replies[K]): ReplyPages {
  return new ReplyPages(id, REPLIES[command], reply as Readonly<Record<string, unknown>>);
}

/** One page after another, each made when it is asked for: a long list costs no more in one turn than a message. */
export class ReplyPages implements Iterable<Uint8Array> {
  readonly #id: number;
  readonly #fields: [string, ControlValue][] = [];
  /** Lists that have not been told whole, and how much of the first of them has. */
  readonly #lists: { readonly key: string; readonly item: Shape<unknown>; readonly items: readonly unknown[] }[] = [];
  #told = 0;
  #isFirst = true;

  constructor(
    id: number,
    shapes: Readonly<Record<string, Shape<unknown> | Paged<unknown>>>,
    reply: Readonly<Record<string, unknown>>,
  ) {
    this.#id = id;
    for (const [key, shape] of Object.entries(shapes)) {
      if ('pagesOf' in shape) {
        this.#lists.push({ key, item: shape.pagesOf, items: reply[key] as readonly unknown[] });
        continue;
      }
      const value = shape.write(reply[key]);
      if (value !== undefined) this.#fields.push([key, written(value)]);
    }
  }

  /** Whether the last page has been made. */
  get isDone(): boolean {
    return !this.#isFirst && this.#lists.length === 0;
  }

  *[Symbol.iterator](): Iterator<Uint8Array> {
    while (!this.isDone) yield this.next();
  }

  next(): Uint8Array {
    const page = new Map<string, ControlValue>([
      ['ok', true],
      ['re', this.#id],
    ]);
    let length = HEAD_BYTES_MAX;
    if (this.#isFirst) {
      for (const [key, value] of this.#fields) {
        page.set(key, value);
        length += ENTRY_BYTES_MAX + controlLength(value);
      }
    }
    this.#isFirst = false;
    for (let list = this.#lists[0]; list !== undefined; list = this.#lists[0]) {
      const items: ControlValue[] = [];
      page.set(list.key, items);
      length += ENTRY_BYTES_MAX;
      for (; this.#told < list.items.length; this.#told++) {
        const item = written(list.item.write(list.items[this.#told]));
        length += controlLength(item);
        if (length > CONTROL_BYTES_MAX) return encodeControl(page.set('more', true));
        items.push(item);
      }
      this.#lists.shift();
      this.#told = 0;
    }
    return encodeControl(page);
  }
}

/** A map's head, `re`, `ok` and `more` with their values. */
const HEAD_BYTES_MAX = 64;
/** A key, and the head of the list that it may name. */
const ENTRY_BYTES_MAX = 32;

/** For what our own code made. */
function written(value: ControlValue | undefined | Invalid): ControlValue {
  assert(value !== undefined && !(value instanceof Invalid), 'what a node tells has the shape it is said to have');
  return value;
}

function decodeMap(body: Uint8Array): ControlMap | Unreadable {
  const control = decodeControl(body);
  if (control.kind === 'decode-error') return { kind: 'unreadable', reason: control.reason };
  const { value } = control;
  return value instanceof Map ? (value as ControlMap) : { kind: 'unreadable', reason: 'not-a-map' };
}
