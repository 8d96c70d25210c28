import { assert } from '../base/assert.ts';
import { equal } from '../base/bytes.ts';
import { type DecodeError, decodeError } from './decode-error.ts';
import { readU16 } from './integers.ts';
import { ByteReader } from './reader.ts';
import { ByteWriter } from './writer.ts';

/** An IP address and a UDP port (PROTOCOL §5). An IPv4 address is family 4 in every place, never the v4-mapped form of 6. */
export interface IpEndpoint {
  readonly family: 4 | 6;
  /** 4 or 16 bytes, a copy. */
  readonly address: Uint8Array;
  readonly port: number;
}

const V4_BYTES = 4;
const V6_BYTES = 16;
/** ::ffff:0:0/96 (RFC 4291 §2.5.5.2). */
const V4_MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
const NOWHERE: IpEndpoint = { family: 4, address: new Uint8Array(V4_BYTES), port: 0 };

/** From 4 or 16 address bytes as a socket gives them; the v4-mapped form becomes family 4. */
export function ipEndpoint(address: Uint8Array, port: number): IpEndpoint {
  assert(address.length === V4_BYTES || address.length === V6_BYTES, 'an IP address has 4 or 16 bytes');
  if (address.length === V4_BYTES) return { family: 4, address: address.slice(), port };
  if (isV4Mapped(address)) return { family: 4, address: address.slice(V4_MAPPED_PREFIX.length), port };
  return { family: 6, address: address.slice(), port };
}

export function sameIpEndpoint(a: IpEndpoint, b: IpEndpoint): boolean {
  return a.port === b.port && equal(a.address, b.address);
}

/** On failure the reader carries the reason and the result means nothing. */
export function readIpEndpoint(reader: ByteReader): IpEndpoint {
  const family = reader.u8();
  if (family !== 4 && family !== 6) {
    reader.fail('unknown-type');
    return NOWHERE;
  }
  const address = reader.copy(family === 4 ? V4_BYTES : V6_BYTES);
  const port = reader.u16();
  if (reader.failure !== undefined) return NOWHERE;
  if (family === 6 && isV4Mapped(address)) {
    reader.fail('not-shortest-form');
    return NOWHERE;
  }
  return { family, address, port };
}

export function writeIpEndpoint(writer: ByteWriter, endpoint: IpEndpoint): void {
  assert(endpoint.address.length === (endpoint.family === 4 ? V4_BYTES : V6_BYTES), 'an address fits its family');
  assert(endpoint.family === 4 || !isV4Mapped(endpoint.address), 'a v4-mapped address is written as IPv4');
  writer.u8(endpoint.family);
  writer.bytes(endpoint.address);
  writer.u16(endpoint.port);
}

export function ipEndpointLength(endpoint: IpEndpoint): number {
  return 1 + endpoint.address.length + 2;
}

export function decodeIpEndpoint(bytes: Uint8Array): { kind: 'ip-endpoint'; endpoint: IpEndpoint } | DecodeError {
  const reader = new ByteReader(bytes);
  const endpoint = readIpEndpoint(reader);
  const refusal = reader.finish();
  return refusal === undefined ? { kind: 'ip-endpoint', endpoint } : decodeError(refusal);
}

export function encodeIpEndpoint(endpoint: IpEndpoint): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(ipEndpointLength(endpoint)));
  writeIpEndpoint(writer, endpoint);
  return writer.buffer;
}

/** `192.0.2.1:4440`, `[2001:db8::1]:4440`; IPv6 as RFC 5952 writes it. */
export function formatIpEndpoint(endpoint: IpEndpoint): string {
  if (endpoint.family === 4) return `${endpoint.address.join('.')}:${endpoint.port}`;
  return `[${formatV6(endpoint.address)}]:${endpoint.port}`;
}

function formatV6(address: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => readU16(address, 2 * i));
  const gap = longestZeroRun(groups);
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return gap.length < 2 ? text(0, 8) : `${text(0, gap.start)}::${text(gap.start + gap.length, 8)}`;
}

/** RFC 5952 §4.2: "::" shortens the longest run of zero groups, the first of several, and never a single one. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  groups.forEach((group, i) => {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: i - length + 1, length };
  });
  return best;
}

function isV4Mapped(address: Uint8Array): boolean {
  return equal(address.subarray(0, V4_MAPPED_PREFIX.length), V4_MAPPED_PREFIX);
}
