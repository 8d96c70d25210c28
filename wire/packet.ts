import { assert, assertNever } from '../base/assert.ts';
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
  /** The first 16 bytes: the associated data. */
  readonly header: Uint8Array;
  /** Ciphertext and tag. */
  readonly sealed: Uint8Array;
}

const COOKIE_VALUE_OFFSET = HEADER_BYTES + SESSION_BYTES;
export const COOKIE_MAC_OFFSET: number = COOKIE_VALUE_OFFSET + COOKIE_VALUE_BYTES;
const PACKET_NUMBER_OFFSET = HEADER_BYTES + SESSION_BYTES;

/** Exactly one packet: its length field must name all of `bytes` (`packetLengthAt` splits a read that holds several). */
export function decodePacket(bytes: Uint8Array): Packet | DecodeError {
  if (bytes.length < HEADER_BYTES) return decodeError('truncated');
  const type = bytes[0]!;
  if (type < TYPE_INITIATION || type > TYPE_DATA) return decodeError('unknown-type');
  if (bytes[1] !== 0) return decodeError('reserved-bits');
  if (readU16(bytes, 2) !== bytes.length) return decodeError('length-mismatch');
  if (type === TYPE_DATA) return decodeData(bytes);
  if (type === TYPE_INITIATION) return decodeInitiation(bytes);
  return type === TYPE_RESPONSE ? decodeResponse(bytes) : decodeCookie(bytes);
}

function decodeData(bytes: Uint8Array): DataPacket | DecodeError {
  if (bytes.length < DATA_BYTES_MIN) return decodeError('truncated');
  if (bytes.length > PACKET_BYTES_MAX) return decodeError('too-long');
  const packetNumber = readU64(bytes, PACKET_NUMBER_OFFSET);
  if (packetNumber >= COUNT_LIMIT) return decodeError('out-of-range');
  return {
    kind: 'data',
    receiverSession: readU32(bytes, HEADER_BYTES),
    packetNumber,
    header: bytes.subarray(0, DATA_HEADER_BYTES),
    sealed: bytes.subarray(DATA_HEADER_BYTES),
  };
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
      const out = new Uint8Array(DATA_HEADER_BYTES + packet.sealed.length);
      writeDataHeader(out, 0, out.length, packet.receiverSession, packet.packetNumber);
      out.set(packet.sealed, DATA_HEADER_BYTES);
      return out;
    }
    default:
      return assertNever(packet);
  }
}
