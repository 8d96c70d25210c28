import { isIPv4, isIPv6 } from 'node:net';
import { join, resolve } from 'node:path';
import { MILLISECOND, SECOND } from '../base/time.ts';
import { socketPaths } from '../ipc/socket-path.ts';
import { PEER_TIMEOUT_MS } from '../ipc/value-bounds.ts';
import { BASE_MTU } from '../transport/constants.ts';
import { isName } from '../wire/names.ts';
import { DATAGRAM_BYTES_MAX } from './udp-route.ts';

/** The words that configuration values are written in. Each parser gives the value, or `undefined` where the text is none. */

export interface ValueContext {
  readonly home: string;
  /** `$XDG_RUNTIME_DIR`, where the system keeps one. */
  readonly runtimeDirectory: string | undefined;
  /** What a relative path starts from: where the command was given, or where the file stands. */
  readonly base: string;
}

/** Wrapped, because `undefined` is a value for some keys. */
export type Parsed<T> = { readonly value: T } | undefined;

export interface ListenAddress {
  /** An IP address; every address of both families where it is left out. */
  readonly host: string | undefined;
  /** 0 for any free one. */
  readonly port: number;
}

const UNITS: Readonly<Record<string, number>> = {
  ms: MILLISECOND,
  s: SECOND,
  m: 60 * SECOND,
  h: 3_600 * SECOND,
};

/** `~` is the home directory here too: a shell expands it in few of the places it can be written in. */
export function parsePath(text: string, { home, base }: ValueContext): Parsed<string> {
  if (text === '' || text.includes('\0')) return undefined;
  if (text === '~') return { value: home };
  return { value: text.startsWith('~/') ? join(home, text.slice(2)) : resolve(base, text) };
}

/** `$WARREN_SOCKET` may name one of the two sockets, as programs are told it (ipc/PROTOCOL.md); a daemon owns the directory. */
export function parseSocketDirectory(text: string, context: ValueContext): Parsed<string> {
  const path = parsePath(text, context);
  return path === undefined ? undefined : { value: socketPaths({ WARREN_SOCKET: path.value }).directory };
}

export function parseListenAddress(text: string): Parsed<ListenAddress> {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, v6, v4, digits] = match;
  const port = Number(digits);
  if (port > 0xffff || !(v6 === undefined ? isIPv4(v4!) : isIPv6(v6))) return undefined;
  // The unspecified address of IPv6 is how "everywhere" is written; it works without IPv6 too.
  return { value: { host: v6 === '::' ? undefined : (v6 ?? v4), port } };
}

export function formatListenAddress({ host, port }: ListenAddress): string {
  return host !== undefined && isIPv4(host) ? `${host}:${port}` : `[${host ?? '::'}]:${port}`;
}

/** Nothing at all is no name, which is something to be said too. */
export function parseName(text: string): Parsed<string> {
  return text === '' || isName(text) ? { value: text } : undefined;
}

/** In microseconds. Without a unit a number means nothing. */
export function parseDuration(text: string): Parsed<number> {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)$/.exec(text);
  return match === null ? undefined : { value: Math.round(Number(match[1]) * UNITS[match[2]!]!) };
}

export function parsePeerTimeout(text: string): Parsed<number> {
  const duration = parseDuration(text);
  if (duration === undefined) return undefined;
  const { least, most } = PEER_TIMEOUT_MS;
  return duration.value >= least * MILLISECOND && duration.value <= most * MILLISECOND ? duration : undefined;
}

export function parseMtu(text: string): Parsed<number> {
  const bytes = /^[1-9]\d{3,4}$/.test(text) ? Number(text) : 0;
  return bytes >= BASE_MTU && bytes <= DATAGRAM_BYTES_MAX ? { value: bytes } : undefined;
}

export function parseChoice<T>(choices: Readonly<Record<string, T>>): (text: string) => Parsed<T> {
  return (text) => (Object.hasOwn(choices, text) ? { value: choices[text]! } : undefined);
}
