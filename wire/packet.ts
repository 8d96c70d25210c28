import { assert, assertNever } from '../base/assert.ts';
import { EMPTY } from '../base/bytes.ts';
import { type DecodeError, decodeError } from './decode-error.ts';
import {
  decodeInitiation,
  decodeResponse,
  encodeInitiation,
  encodeResponse,
  type InitiationPacket,
  type ResponsePacket,
} from './handshake-message.ts';
import { readU16, readU32, readU64, writeU32, writeU64 } from './integers.ts';
import {
  COOKIE_BYTES,
  COOKIE_VALUE_BYTES,
  DATA_BYTES_MIN,
  DATA_HEADER_BYTES,
  HEADER_BYTES,
  MAC_BYTES,
  PACKET_BYTES_MAX,
  SESSION_BYTES,
  TYPE_COOKIE,
  TYPE_DATA,
  TYPE_INITIATION,
  TYPE_RESPONSE,
  writePacketHeader,
} from './packet-header.ts';
import { COUNT_LIMIT } from './writer.ts';

export * from './handshake-message.ts';
export * from './packet-header.ts';

/** The packets of PROTOCOL §1–4 as closed values. Every byte field is a view: it must not outlive the datagram it came in. */
export type Packet = InitiationPacket | ResponsePacket | CookiePacket | DataPacket;

export interface CookiePacket {
  readonly kind: 'cookie';
  readonly receiverSession: number;
  readonly cookie: Uint8Array;
  readonly mac: Uint8Array;
  readonly beforeMac: Uint8Array;
}

export interface DataPacket {
  readonly kind: 'data';
  readonly receiverSession: number;
  readonly packetNumber: number;
  /** What it stands in, from `start` up to `end`: 16 bytes of header, which are the associated data, then ciphertext and tag. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export type WritableDataPacket = { -readonly [Key in keyof DataPacket]: DataPacket[Key] };

const COOKIE_VALUE_OFFSET = HEADER_BYTES + SESSION_BYTES;
export const COOKIE_MAC_OFFSET: number = COOKIE_VALUE_OFFSET + COOKIE_VALUE_BYTES;
const PACKET_NUMBER_OFFSET = HEADER_BYTES + SESSION_BYTES;

/**
 * Exactly one packet: its length field must name all the bytes from `start` to `end` (`packetLengthAt` finds the ends in a read
 * that holds several). A data packet is written into `data`: one object does for all that come, one after another.
 */
export function decodePacket(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
  data: WritableDataPacket = createDataPacket(),
): Packet | DecodeError {
  if (end - start < HEADER_BYTES) return decodeError('truncated');
  const type = bytes[start]!;
  if (type < TYPE_INITIATION || type > TYPE_DATA) return decodeError('unknown-type');
  if (bytes[start + 1] !== 0) return decodeError('reserved-bits');
  if (readU16(bytes, start + 2) !== end - start) return decodeError('length-mismatch');
  if (type === TYPE_DATA) return decodeData(bytes, start, end, data);
  const packet = bytes.subarray(start, end);
  if (type === TYPE_INITIATION) return decodeInitiation(packet);
  return type === TYPE_RESPONSE ? decodeResponse(packet) : decodeCookie(packet);
}

/** For `decodePacket` to write into. */
export function createDataPacket(): WritableDataPacket {
  return { kind: 'data', receiverSession: 0, packetNumber: 0, bytes: EMPTY, start: 0, end: 0 };
}

function decodeData(
  bytes: Uint8Array,
  start: number,
  end: number,
  packet: WritableDataPacket,
): DataPacket | DecodeError {
  if (end - start < DATA_BYTES_MIN) return decodeError('truncated');
  if (end - start > PACKET_BYTES_MAX) return decodeError('too-long');
  const packetNumber = readU64(bytes, start + PACKET_NUMBER_OFFSET);
  if (packetNumber >= COUNT_LIMIT) return decodeError('out-of-range');
  packet.receiverSession = readU32(bytes, start + HEADER_BYTES);
  packet.packetNumber = packetNumber;
  packet.bytes = bytes;
  packet.start = start;
  packet.end = end;
  return packet;
}

function decodeCookie(bytes: Uint8Array): CookiePacket | DecodeError {
  if (bytes.length !== COOKIE_BYTES) return decodeError('length-mismatch');
  return {
    kind: 'cookie',
    receiverSession: readU32(bytes, HEADER_BYTES),
    cookie: bytes.subarray(COOKIE_VALUE_OFFSET, COOKIE_MAC_OFFSET),
    mac: bytes.subarray(COOKIE_MAC_OFFSET),
    beforeMac: bytes.subarray(0, COOKIE_MAC_OFFSET),
  };
}

/** All but the MAC, which goes to `COOKIE_MAC_OFFSET`. */
export function writeCookieHeader(out: Uint8Array, receiverSession: number, cookie: Uint8Array): void {
  assert(out.length >= COOKIE_BYTES && cookie.length === COOKIE_VALUE_BYTES, 'a cookie packet fits');
  writePacketHeader(out, 0, TYPE_COOKIE, COOKIE_BYTES);
  writeU32(out, HEADER_BYTES, receiverSession);
  out.set(cookie, COOKIE_VALUE_OFFSET);
}

/** The 16 bytes before the sealed frames, once per packet. `length` is that of the whole packet, the tag included. */
export function writeDataHeader(
  out: Uint8Array,
  offset: number,
  length: number,
  receiverSession: number,
  packetNumber: number,
): void {
  assert(length >= DATA_BYTES_MIN && out.length - offset >= DATA_HEADER_BYTES, 'a data header fits');
  assert(packetNumber >= 0 && packetNumber < COUNT_LIMIT, 'a packet number is below 2^53');
  writePacketHeader(out, offset, TYPE_DATA, length);
  writeU32(out, offset + HEADER_BYTES, receiverSession);
  writeU64(out, offset + PACKET_NUMBER_OFFSET, packetNumber);
}

/** What `decodePacket` read, as the bytes it came from. */
export function encodePacket(packet: Packet): Uint8Array {
  switch (packet.kind) {
    case 'initiation':
      return encodeInitiation(packet);
    case 'response':
      return encodeResponse(packet);
    case 'cookie': {
      assert(packet.mac.length === MAC_BYTES, 'a MAC is 16 bytes');
      const out = new Uint8Array(COOKIE_BYTES);
      writeCookieHeader(out, packet.receiverSession, packet.cookie);
      out.set(packet.mac, COOKIE_MAC_OFFSET);
      return out;
    }
    case 'data': {
      const { bytes, start, end } = packet;
      const out = bytes.slice(start, end);
      writeDataHeader(out, 0, out.length, packet.receiverSession, packet.packetNumber);
      return out;
    }
    default:
      return assertNever(packet);
  }
}
