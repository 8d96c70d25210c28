import { assert } from '../base/assert.ts';
import type { WallMs } from '../base/time.ts';
import type { Address } from './address.ts';
import { NETWORK_MAX, NODE_MAX, PORT_MAX } from './address.ts';
import type { DecodeError, DecodeReason } from './decode-error.ts';
import { decodeError } from './decode-error.ts';
import type { IpEndpoint } from './ip-endpoint.ts';
import { ipEndpoint, ipEndpointLength, readIpEndpoint, writeIpEndpoint } from './ip-endpoint.ts';
import type { TextRule } from './names.ts';
import { CAPABILITY, HOST, NAME, TAG, textFault } from './names.ts';
import { ByteReader } from './reader.ts';
import { ByteWriter } from './writer.ts';

/**
 * The two records of PROTOCOL.md §8 as bytes and as closed values. Nothing here knows whether a signature is right: that is
 * `crypto/records.ts`. A decoded record owns its bytes, so it outlives the datagram it came in.
 */

export const RECORD_BYTES_MAX = 600;
export const TAGS_MAX = 8;
export const CAPABILITIES_MAX = 8;
export const HOMES_MAX = 2;
export const ENDPOINTS_MAX = 16;
export const SIGNATURE_BYTES = 64;

const KEY_BYTES = 32;
const IDENTITY_KIND = 1;
const ENDPOINT_KIND = 2;
const VERSION = 1;
const FLAG_PUBLIC = 1;
const FAMILY_RELAYED = 0;

/** A rendezvous where a node is at home. */
export interface Home {
  readonly identityKey: Uint8Array;
  readonly staticKey: Uint8Array;
  readonly host: string;
  readonly port: number;
}

/** What an identity record says, all but its signature. */
export interface IdentityRecordFields {
  readonly sequence: number;
  readonly address: Address;
  readonly counter: number;
  readonly identityKey: Uint8Array;
  readonly staticKey: Uint8Array;
  /** Empty where the node has none. */
  readonly name: string;
  /** Strictly ascending. */
  readonly tags: readonly string[];
  /** Strictly ascending. */
  readonly capabilities: readonly string[];
  /** In the owner's order of preference. */
  readonly homes: readonly Home[];
}

export interface IdentityRecord extends IdentityRecordFields {
  readonly kind: 'identity-record';
  readonly signature: Uint8Array;
}

/** Where a node can be reached: at an address of its own, or over a route through a relay. */
export type NodeEndpoint =
  | { readonly kind: 'direct'; readonly endpoint: IpEndpoint }
  | { readonly kind: 'relayed'; readonly relay: Uint8Array; readonly route: number };

/** What an endpoint record says, all but its signature. */
export interface EndpointRecordFields {
  readonly sequence: number;
  readonly identityKey: Uint8Array;
  readonly expires: WallMs;
  /** Whether a registry may show it to everybody. */
  readonly public: boolean;
  /** In the owner's order of preference. */
  readonly endpoints: readonly NodeEndpoint[];
}

export interface EndpointRecord extends EndpointRecordFields {
  readonly kind: 'endpoint-record';
  readonly signature: Uint8Array;
}

/** Reads what `encodeIdentityRecord` writes, and nothing else. */
export function decodeIdentityRecord(bytes: Uint8Array): IdentityRecord | DecodeError {
  const reader = openRecord(bytes, IDENTITY_KIND);
  const sequence = reader.u64();
  const address: Address = { network: reader.u16(), node: reader.u32() };
  const counter = reader.u8();
  const identityKey = reader.copy(KEY_BYTES);
  const staticKey = reader.copy(KEY_BYTES);
  const name = readText(reader, NAME, 0);
  const tags = readAscendingTexts(reader, TAG, TAGS_MAX);
  const capabilities = readAscendingTexts(reader, CAPABILITY, CAPABILITIES_MAX);
  const homes = readMany(reader, HOMES_MAX, readHome);
  const signature = reader.copy(SIGNATURE_BYTES);
  const failure = reader.finish();
  if (failure !== undefined) return decodeError(failure);
  return {
    kind: 'identity-record',
    sequence,
    address,
    counter,
    identityKey,
    staticKey,
    name,
    tags,
    capabilities,
    homes,
    signature,
  };
}

/** Why no identity record can say this, or `undefined` where one can. */
export function identityRecordFault(fields: IdentityRecordFields): DecodeReason | undefined {
  const { sequence, address, counter, identityKey, staticKey } = fields;
  if (!isCount(sequence) || !isUpTo(address.network, NETWORK_MAX) || !isUpTo(address.node, NODE_MAX)) {
    return 'out-of-range';
  }
  if (!isUpTo(counter, 0xff)) return 'out-of-range';
  if (identityKey.length !== KEY_BYTES || staticKey.length !== KEY_BYTES) return 'length-mismatch';
  const texts =
    (fields.name === '' ? undefined : textReason(NAME, fields.name)) ??
    ascendingTextsFault(TAG, TAGS_MAX, fields.tags) ??
    ascendingTextsFault(CAPABILITY, CAPABILITIES_MAX, fields.capabilities);
  if (texts !== undefined) return texts;
  if (fields.homes.length > HOMES_MAX) return 'too-many';
  for (const home of fields.homes) {
    if (home.identityKey.length !== KEY_BYTES || home.staticKey.length !== KEY_BYTES) return 'length-mismatch';
    if (!isUpTo(home.port, PORT_MAX)) return 'out-of-range';
    const host = textReason(HOST, home.host);
    if (host !== undefined) return host;
  }
  return identityBodyLength(fields) + SIGNATURE_BYTES > RECORD_BYTES_MAX ? 'too-long' : undefined;
}

/** What is signed. The fields must be free of faults. */
export function encodeIdentityRecordBody(fields: IdentityRecordFields): Uint8Array {
  const fault = identityRecordFault(fields);
  assert(fault === undefined, `an identity record can say this: ${fault}`);
  const writer = new ByteWriter(new Uint8Array(identityBodyLength(fields)));
  writer.u8(IDENTITY_KIND);
  writer.u8(VERSION);
  writer.u64(fields.sequence);
  writer.u16(fields.address.network);
  writer.u32(fields.address.node);
  writer.u8(fields.counter);
  writer.bytes(fields.identityKey);
  writer.bytes(fields.staticKey);
  writeText(writer, fields.name);
  writeMany(writer, fields.tags, writeText);
  writeMany(writer, fields.capabilities, writeText);
  writeMany(writer, fields.homes, writeHome);
  assert(writer.remaining === 0, 'the body is as long as its fields');
  return writer.buffer;
}

export function encodeIdentityRecord(record: IdentityRecord): Uint8Array {
  return withSignature(encodeIdentityRecordBody(record), record.signature);
}

/** Reads what `encodeEndpointRecord` writes, and nothing else. */
export function decodeEndpointRecord(bytes: Uint8Array): EndpointRecord | DecodeError {
  const reader = openRecord(bytes, ENDPOINT_KIND);
  const sequence = reader.u64();
  const identityKey = reader.copy(KEY_BYTES);
  const expires = reader.u64() as WallMs;
  const flags = reader.u8();
  if ((flags & ~FLAG_PUBLIC) !== 0) reader.fail('reserved-bits');
  const endpoints = readMany(reader, ENDPOINTS_MAX, readNodeEndpoint);
  const signature = reader.copy(SIGNATURE_BYTES);
  const failure = reader.finish();
  if (failure !== undefined) return decodeError(failure);
  return {
    kind: 'endpoint-record',
    sequence,
    identityKey,
    expires,
    public: (flags & FLAG_PUBLIC) !== 0,
    endpoints,
    signature,
  };
}

/** Why no endpoint record can say this, or `undefined` where one can. */
export function endpointRecordFault(fields: EndpointRecordFields): DecodeReason | undefined {
  if (!isCount(fields.sequence) || !isCount(fields.expires)) return 'out-of-range';
  if (fields.identityKey.length !== KEY_BYTES) return 'length-mismatch';
  if (fields.endpoints.length > ENDPOINTS_MAX) return 'too-many';
  for (const endpoint of fields.endpoints) {
    const fault = endpoint.kind === 'direct' ? directFault(endpoint.endpoint) : relayedFault(endpoint);
    if (fault !== undefined) return fault;
  }
  return endpointBodyLength(fields) + SIGNATURE_BYTES > RECORD_BYTES_MAX ? 'too-long' : undefined;
}

/** What is signed. The fields must be free of faults. */
export function encodeEndpointRecordBody(fields: EndpointRecordFields): Uint8Array {
  const fault = endpointRecordFault(fields);
  assert(fault === undefined, `an endpoint record can say this: ${fault}`);
  const writer = new ByteWriter(new Uint8Array(endpointBodyLength(fields)));
  writer.u8(ENDPOINT_KIND);
  writer.u8(VERSION);
  writer.u64(fields.sequence);
  writer.bytes(fields.identityKey);
  writer.u64(fields.expires);
  writer.u8(fields.public ? FLAG_PUBLIC : 0);
  writeMany(writer, fields.endpoints, writeNodeEndpoint);
  assert(writer.remaining === 0, 'the body is as long as its fields');
  return writer.buffer;
}

export function encodeEndpointRecord(record: EndpointRecord): Uint8Array {
  return withSignature(encodeEndpointRecordBody(record), record.signature);
}

function openRecord(bytes: Uint8Array, kind: number): ByteReader {
  const reader = new ByteReader(bytes);
  if (bytes.length > RECORD_BYTES_MAX) reader.fail('too-long');
  if (reader.u8() !== kind) reader.fail('unknown-type');
  if (reader.u8() !== VERSION) reader.fail('unknown-version');
  return reader;
}

function withSignature(body: Uint8Array, signature: Uint8Array): Uint8Array {
  assert(signature.length === SIGNATURE_BYTES, 'a signature has 64 bytes');
  const bytes = new Uint8Array(body.length + SIGNATURE_BYTES);
  bytes.set(body);
  bytes.set(signature, body.length);
  return bytes;
}

function readMany<T>(reader: ByteReader, countMax: number, read: (reader: ByteReader) => T): T[] {
  const count = reader.u8();
  if (count > countMax) reader.fail('too-many');
  const items: T[] = [];
  for (let i = 0; i < count && reader.failure === undefined; i++) items.push(read(reader));
  return items;
}

function writeMany<T>(writer: ByteWriter, items: readonly T[], write: (writer: ByteWriter, item: T) => void): void {
  writer.u8(items.length);
  for (const item of items) write(writer, item);
}

function readText(reader: ByteReader, rule: TextRule, lengthMin: number): string {
  const length = reader.u8();
  if (length > rule.lengthMax) reader.fail('too-long');
  if (length < lengthMin) reader.fail('bad-text');
  let text = '';
  for (const byte of reader.view(length)) text += String.fromCharCode(byte);
  if (!rule.pattern.test(text)) reader.fail('bad-text');
  return text;
}

function writeText(writer: ByteWriter, text: string): void {
  writer.u8(text.length);
  for (let i = 0; i < text.length; i++) writer.u8(text.charCodeAt(i));
}

function readAscendingTexts(reader: ByteReader, rule: TextRule, countMax: number): string[] {
  const texts = readMany(reader, countMax, (from) => readText(from, rule, 1));
  if (!isAscending(texts)) reader.fail('not-ascending');
  return texts;
}

/** The texts are ASCII, so the order of UTF-16 units is the order of bytes. */
function isAscending(texts: readonly string[]): boolean {
  return texts.every((text, i) => i === 0 || texts[i - 1]! < text);
}

function textReason(rule: TextRule, text: string): DecodeReason | undefined {
  const fault = textFault(rule, text);
  if (fault === undefined) return undefined;
  return fault === 'too-long' ? 'too-long' : 'bad-text';
}

function ascendingTextsFault(rule: TextRule, countMax: number, texts: readonly string[]): DecodeReason | undefined {
  if (texts.length > countMax) return 'too-many';
  for (const text of texts) {
    const fault = textReason(rule, text);
    if (fault !== undefined) return fault;
  }
  return isAscending(texts) ? undefined : 'not-ascending';
}

function readHome(reader: ByteReader): Home {
  return {
    identityKey: reader.copy(KEY_BYTES),
    staticKey: reader.copy(KEY_BYTES),
    host: readText(reader, HOST, 1),
    port: reader.u16(),
  };
}

function writeHome(writer: ByteWriter, home: Home): void {
  writer.bytes(home.identityKey);
  writer.bytes(home.staticKey);
  writeText(writer, home.host);
  writer.u16(home.port);
}

function readNodeEndpoint(reader: ByteReader): NodeEndpoint {
  if (reader.bytes[reader.offset] !== FAMILY_RELAYED || reader.remaining === 0) {
    return { kind: 'direct', endpoint: readIpEndpoint(reader) };
  }
  reader.u8();
  return { kind: 'relayed', relay: reader.copy(KEY_BYTES), route: reader.u32() };
}

function writeNodeEndpoint(writer: ByteWriter, endpoint: NodeEndpoint): void {
  if (endpoint.kind === 'direct') {
    writeIpEndpoint(writer, endpoint.endpoint);
    return;
  }
  writer.u8(FAMILY_RELAYED);
  writer.bytes(endpoint.relay);
  writer.u32(endpoint.route);
}

function directFault(endpoint: IpEndpoint): DecodeReason | undefined {
  const { family, address, port } = endpoint;
  if (address.length !== (family === 4 ? 4 : 16)) return 'length-mismatch';
  if (!isUpTo(port, PORT_MAX)) return 'out-of-range';
  // A v4-mapped address has one spelling, and it is the other one.
  return ipEndpoint(address, port).family === family ? undefined : 'not-shortest-form';
}

function relayedFault(endpoint: { readonly relay: Uint8Array; readonly route: number }): DecodeReason | undefined {
  if (endpoint.relay.length !== KEY_BYTES) return 'length-mismatch';
  return isUpTo(endpoint.route, 0xffff_ffff) ? undefined : 'out-of-range';
}

function identityBodyLength(fields: IdentityRecordFields): number {
  let length = 2 + 8 + 2 + 4 + 1 + 2 * KEY_BYTES + 1 + fields.name.length + 3;
  for (const text of fields.tags) length += 1 + text.length;
  for (const text of fields.capabilities) length += 1 + text.length;
  for (const home of fields.homes) length += 2 * KEY_BYTES + 1 + home.host.length + 2;
  return length;
}

function endpointBodyLength(fields: EndpointRecordFields): number {
  let length = 2 + 8 + KEY_BYTES + 8 + 1 + 1;
  for (const endpoint of fields.endpoints) {
    length += endpoint.kind === 'direct' ? ipEndpointLength(endpoint.endpoint) : 1 + KEY_BYTES + 4;
  }
  return length;
}

/** Whole, not negative and below 2^53: what `u64` carries. */
function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isUpTo(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
