import { assert } from '../base/assert.ts';
import { readU16, writeU16 } from './integers.ts';

/** What every warren packet starts with (PROTOCOL §1): type u8, flags u8, length u16 of the whole packet. */

export const PROTOCOL_VERSION = 1;

export const TYPE_INITIATION = 0x10;
export const TYPE_RESPONSE = 0x11;
export const TYPE_COOKIE = 0x12;
export const TYPE_DATA = 0x13;

export const HEADER_BYTES = 4;
export const SESSION_BYTES = 4;
export const MAC_BYTES = 16;
export const TAG_BYTES = 16;

/** What fits a UDP datagram over IPv4: 65,535 less 20 bytes of IP header and 8 of UDP header. */
export const PACKET_BYTES_MAX: number = 65_535 - 20 - 8;

/** Header, version u16, network u16, sender session u32: the Noise prologue, and how an initiation and a response start. */
export const PROLOGUE_BYTES: number = HEADER_BYTES + 2 + 2 + SESSION_BYTES;

/** Both handshake messages have the size that every path must carry, so a path that is too small fails at once (PROTOCOL §2). */
export const INITIATION_BYTES = 1200;
export const RESPONSE_BYTES = 1200;

export const COOKIE_VALUE_BYTES = 16;
export const COOKIE_BYTES: number = HEADER_BYTES + SESSION_BYTES + COOKIE_VALUE_BYTES + MAC_BYTES;

/** Header, receiver session, packet number u64. */
export const DATA_HEADER_BYTES: number = HEADER_BYTES + SESSION_BYTES + 8;
/** A data packet carries at least one byte of frames. */
export const DATA_BYTES_MIN: number = DATA_HEADER_BYTES + 1 + TAG_BYTES;
/** What a data packet adds to the frames in it. */
export const DATA_OVERHEAD_BYTES: number = DATA_HEADER_BYTES + TAG_BYTES;

/** The least length a packet of this type can have; 0 for a type that version 1 does not know. */
function leastLength(type: number): number {
  switch (type) {
    case TYPE_DATA:
      return DATA_BYTES_MIN;
    case TYPE_INITIATION:
      return INITIATION_BYTES;
    case TYPE_RESPONSE:
      return RESPONSE_BYTES;
    case TYPE_COOKIE:
      return COOKIE_BYTES;
    default:
      return 0;
  }
}

/**
 * The length of the packet that starts at `offset` of a read in which the kernel may have joined several, or 0 where it does not
 * add up: an unknown type, too short for its type, or reaching past `end`. The rest of that read is then dropped.
 */
export function packetLengthAt(bytes: Uint8Array, offset: number, end: number = bytes.length): number {
  if (end - offset < HEADER_BYTES) return 0;
  const least = leastLength(bytes[offset]!);
  const length = readU16(bytes, offset + 2);
  return least > 0 && length >= least && length <= end - offset ? length : 0;
}

export function writePacketHeader(out: Uint8Array, offset: number, type: number, length: number): void {
  assert(length >= HEADER_BYTES && length <= PACKET_BYTES_MAX, 'a packet length is within its bounds');
  assert(out.length - offset >= HEADER_BYTES, 'a packet header fits');
  out[offset] = type;
  out[offset + 1] = 0;
  writeU16(out, offset + 2, length);
}
