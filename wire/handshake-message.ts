import { assert } from '../base/assert.ts';
import { type DecodeError, type DecodeReason, decodeError } from './decode-error.ts';
import { readU16, readU32, writeU16, writeU32 } from './integers.ts';
import {
  HEADER_BYTES,
  INITIATION_BYTES,
  MAC_BYTES,
  PROLOGUE_BYTES,
  PROTOCOL_VERSION,
  RESPONSE_BYTES,
  SESSION_BYTES,
  TAG_BYTES,
  TYPE_INITIATION,
  TYPE_RESPONSE,
  writePacketHeader,
} from './packet-header.ts';

/**
 * The initiation and the response (PROTOCOL §2), in their two forms: a packet of its own with MACs and padding, or the body of a
 * HANDSHAKE frame without either. Every byte field is a view into the bytes that were decoded.
 */

export const INITIATION_HEADER_BYTES: number = PROLOGUE_BYTES;
export const RESPONSE_HEADER_BYTES: number = PROLOGUE_BYTES + SESSION_BYTES;

const PUBLIC_KEY_BYTES = 32;
/** What Noise adds around the payload: e, the sealed s and a tag; e and a tag. */
export const INITIATION_NOISE_OVERHEAD: number = PUBLIC_KEY_BYTES + (PUBLIC_KEY_BYTES + TAG_BYTES) + TAG_BYTES;
export const RESPONSE_NOISE_OVERHEAD: number = PUBLIC_KEY_BYTES + TAG_BYTES;

export const INITIATION_MAC1_OFFSET: number = INITIATION_BYTES - 2 * MAC_BYTES;
export const INITIATION_MAC2_OFFSET: number = INITIATION_BYTES - MAC_BYTES;
export const RESPONSE_MAC1_OFFSET: number = RESPONSE_BYTES - MAC_BYTES;

/** The length a payload is padded to in the form that is a packet of its own. */
export const INITIATION_PAYLOAD_BYTES: number =
  INITIATION_MAC1_OFFSET - INITIATION_HEADER_BYTES - INITIATION_NOISE_OVERHEAD;
export const RESPONSE_PAYLOAD_BYTES: number = RESPONSE_MAC1_OFFSET - RESPONSE_HEADER_BYTES - RESPONSE_NOISE_OVERHEAD;

/** What a HANDSHAKE frame may carry (PROTOCOL §5); the least is an initiation with an empty record. */
export const INNER_HANDSHAKE_BYTES_MIN: number = INITIATION_HEADER_BYTES + INITIATION_NOISE_OVERHEAD + (16 + 4 + 2);
export const INNER_HANDSHAKE_BYTES_MAX = 750;

export interface InitiationPacket {
  readonly kind: 'initiation';
  readonly version: number;
  readonly network: number;
  readonly senderSession: number;
  readonly prologue: Uint8Array;
  readonly noiseMessage: Uint8Array;
  readonly mac1: Uint8Array;
  readonly mac2: Uint8Array;
  readonly beforeMac1: Uint8Array;
  readonly beforeMac2: Uint8Array;
}

export interface ResponsePacket {
  readonly kind: 'response';
  readonly version: number;
  readonly network: number;
  readonly senderSession: number;
  readonly receiverSession: number;
  readonly noiseMessage: Uint8Array;
  readonly mac1: Uint8Array;
  readonly beforeMac1: Uint8Array;
}

export interface InnerInitiation {
  readonly kind: 'inner-initiation';
  readonly version: number;
  readonly network: number;
  readonly senderSession: number;
  readonly prologue: Uint8Array;
  readonly noiseMessage: Uint8Array;
}

export interface InnerResponse {
  readonly kind: 'inner-response';
  readonly version: number;
  readonly network: number;
  readonly senderSession: number;
  readonly receiverSession: number;
  readonly noiseMessage: Uint8Array;
}

/** For bytes whose type, flags and length field have been checked. */
export function decodeInitiation(bytes: Uint8Array): InitiationPacket | DecodeError {
  if (bytes.length !== INITIATION_BYTES) return decodeError('length-mismatch');
  if (readU16(bytes, HEADER_BYTES) !== PROTOCOL_VERSION) return decodeError('unknown-version');
  return {
    kind: 'initiation',
    version: PROTOCOL_VERSION,
    network: readU16(bytes, HEADER_BYTES + 2),
    senderSession: readU32(bytes, HEADER_BYTES + 4),
    prologue: bytes.subarray(0, PROLOGUE_BYTES),
    noiseMessage: bytes.subarray(INITIATION_HEADER_BYTES, INITIATION_MAC1_OFFSET),
    mac1: bytes.subarray(INITIATION_MAC1_OFFSET, INITIATION_MAC2_OFFSET),
    mac2: bytes.subarray(INITIATION_MAC2_OFFSET),
    beforeMac1: bytes.subarray(0, INITIATION_MAC1_OFFSET),
    beforeMac2: bytes.subarray(0, INITIATION_MAC2_OFFSET),
  };
}

/** For bytes whose type, flags and length field have been checked. */
export function decodeResponse(bytes: Uint8Array): ResponsePacket | DecodeError {
  if (bytes.length !== RESPONSE_BYTES) return decodeError('length-mismatch');
  if (readU16(bytes, HEADER_BYTES) !== PROTOCOL_VERSION) return decodeError('unknown-version');
  return {
    kind: 'response',
    version: PROTOCOL_VERSION,
    network: readU16(bytes, HEADER_BYTES + 2),
    senderSession: readU32(bytes, HEADER_BYTES + 4),
    receiverSession: readU32(bytes, PROLOGUE_BYTES),
    noiseMessage: bytes.subarray(RESPONSE_HEADER_BYTES, RESPONSE_MAC1_OFFSET),
    mac1: bytes.subarray(RESPONSE_MAC1_OFFSET),
    beforeMac1: bytes.subarray(0, RESPONSE_MAC1_OFFSET),
  };
}

/** The body of a HANDSHAKE frame. Its own length field must name exactly these bytes. */
export function decodeInnerHandshake(bytes: Uint8Array): InnerInitiation | InnerResponse | DecodeError {
  const refusal = refuseInner(bytes);
  if (refusal !== undefined) return decodeError(refusal);
  const version = PROTOCOL_VERSION;
  const network = readU16(bytes, HEADER_BYTES + 2);
  const senderSession = readU32(bytes, HEADER_BYTES + 4);
  if (bytes[0] === TYPE_INITIATION) {
    const prologue = bytes.subarray(0, PROLOGUE_BYTES);
    const noiseMessage = bytes.subarray(INITIATION_HEADER_BYTES);
    return { kind: 'inner-initiation', version, network, senderSession, prologue, noiseMessage };
  }
  const receiverSession = readU32(bytes, PROLOGUE_BYTES);
  const noiseMessage = bytes.subarray(RESPONSE_HEADER_BYTES);
  return { kind: 'inner-response', version, network, senderSession, receiverSession, noiseMessage };
}

function refuseInner(bytes: Uint8Array): DecodeReason | undefined {
  if (bytes.length < INNER_HANDSHAKE_BYTES_MIN) return 'truncated';
  if (bytes.length > INNER_HANDSHAKE_BYTES_MAX) return 'too-long';
  if (bytes[0] !== TYPE_INITIATION && bytes[0] !== TYPE_RESPONSE) return 'unknown-type';
  if (bytes[1] !== 0) return 'reserved-bits';
  if (readU16(bytes, 2) !== bytes.length) return 'length-mismatch';
  return readU16(bytes, HEADER_BYTES) === PROTOCOL_VERSION ? undefined : 'unknown-version';
}

export interface InitiationHeader {
  /** Of the whole message: `INITIATION_BYTES`, or what it comes to inside a HANDSHAKE frame. */
  readonly length: number;
  readonly network: number;
  readonly senderSession: number;
}

export interface ResponseHeader extends InitiationHeader {
  readonly receiverSession: number;
}

/** The first 12 bytes, which are the Noise prologue as well. */
export function writeInitiationHeader(out: Uint8Array, header: InitiationHeader): void {
  writePrologue(out, TYPE_INITIATION, header);
}

/** The first 16 bytes. */
export function writeResponseHeader(out: Uint8Array, header: ResponseHeader): void {
  writePrologue(out, TYPE_RESPONSE, header);
  writeU32(out, PROLOGUE_BYTES, header.receiverSession);
}

function writePrologue(out: Uint8Array, type: number, header: InitiationHeader): void {
  assert(out.length >= header.length, 'a handshake message fits');
  writePacketHeader(out, 0, type, header.length);
  writeU16(out, HEADER_BYTES, PROTOCOL_VERSION);
  writeU16(out, HEADER_BYTES + 2, header.network);
  writeU32(out, HEADER_BYTES + 4, header.senderSession);
}

export function encodeInitiation(packet: InitiationPacket): Uint8Array {
  const out = new Uint8Array(INITIATION_BYTES);
  writeInitiationHeader(out, { ...packet, length: INITIATION_BYTES });
  put(out, INITIATION_HEADER_BYTES, INITIATION_MAC1_OFFSET, packet.noiseMessage);
  put(out, INITIATION_MAC1_OFFSET, INITIATION_MAC2_OFFSET, packet.mac1);
  put(out, INITIATION_MAC2_OFFSET, INITIATION_BYTES, packet.mac2);
  return out;
}

export function encodeResponse(packet: ResponsePacket): Uint8Array {
  const out = new Uint8Array(RESPONSE_BYTES);
  writeResponseHeader(out, { ...packet, length: RESPONSE_BYTES });
  put(out, RESPONSE_HEADER_BYTES, RESPONSE_MAC1_OFFSET, packet.noiseMessage);
  put(out, RESPONSE_MAC1_OFFSET, RESPONSE_BYTES, packet.mac1);
  return out;
}

export function encodeInnerHandshake(message: InnerInitiation | InnerResponse): Uint8Array {
  const headerBytes = message.kind === 'inner-initiation' ? INITIATION_HEADER_BYTES : RESPONSE_HEADER_BYTES;
  const length = headerBytes + message.noiseMessage.length;
  const out = new Uint8Array(length);
  if (message.kind === 'inner-initiation') writeInitiationHeader(out, { ...message, length });
  else writeResponseHeader(out, { ...message, length });
  put(out, headerBytes, length, message.noiseMessage);
  return out;
}

function put(out: Uint8Array, from: number, to: number, bytes: Uint8Array): void {
  assert(bytes.length === to - from, 'a field of a handshake message has its length');
  out.set(bytes, from);
}
