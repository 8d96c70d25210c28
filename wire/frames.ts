import { assert, assertNever } from '../base/assert.ts';
import { INNER_HANDSHAKE_BYTES_MAX, INNER_HANDSHAKE_BYTES_MIN } from './handshake-message.ts';
import { type IpEndpoint, ipEndpointLength, writeIpEndpoint } from './ip-endpoint.ts';
import { encodeUtf8, utf8Length } from './utf8.ts';
import { type ByteWriter, COUNT_LIMIT, varintLength } from './writer.ts';

/**
 * The frames of PROTOCOL §5 as closed values, and how they are written; `frame-reader.ts` reads them. The byte fields of a frame
 * that was read are views into the packet's plaintext and must not outlive it; endpoints and text are copies. What is accepted
 * there, `encodeFrame` writes back byte for byte.
 */

export const ACK_FURTHER_RANGES_MAX = 255;
export const CLOSE_REASON_BYTES_MAX = 256;
export const CANDIDATES_MAX = 16;
export const PATH_TOKEN_BYTES = 8;

export const FRAME_PADDING = 0x00;
export const FRAME_PING = 0x01;
export const FRAME_ACK = 0x02;
export const FRAME_STREAM_OPEN = 0x04;
export const FRAME_STREAM_RESET = 0x05;
export const FRAME_STREAM_STOP = 0x06;
export const FRAME_STREAM_DATA = 0x08;
export const FRAME_STREAM_DATA_FIN = 0x09;
export const FRAME_MAX_DATA = 0x10;
export const FRAME_MAX_STREAM_DATA = 0x11;
export const FRAME_MAX_STREAMS = 0x12;
export const FRAME_DATAGRAM = 0x18;
export const FRAME_PATH_CHALLENGE = 0x1a;
export const FRAME_PATH_RESPONSE = 0x1b;
export const FRAME_CLOSE = 0x1c;
export const FRAME_HANDSHAKE = 0x20;
export const FRAME_CANDIDATES = 0x21;
export const FRAME_OBSERVED_ADDRESS = 0x22;
export const FRAME_OPTIONAL_FIRST = 0xc0;

export type Priority = 0 | 1 | 2;
export const PRIORITY_HIGH: Priority = 0;
export const PRIORITY_NORMAL: Priority = 1;
export const PRIORITY_BULK: Priority = 2;

/** Packet numbers from `smallest` to `largest`, both included. */
export interface AckRange {
  readonly smallest: number;
  readonly largest: number;
}

export interface PaddingFrame {
  readonly kind: 'padding';
  readonly length: number;
}
export interface PingFrame {
  readonly kind: 'ping';
}
export interface AckFrame {
  readonly kind: 'ack';
  readonly delayUs: number;
  /** Descending, at least one, with at least one unacknowledged number between two of them. */
  readonly ranges: readonly AckRange[];
}
export interface StreamOpenFrame {
  readonly kind: 'stream-open';
  readonly stream: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly priority: Priority;
}
export interface StreamResetFrame {
  readonly kind: 'stream-reset';
  readonly stream: number;
  readonly code: number;
  readonly finalSize: number;
}
export interface StreamStopFrame {
  readonly kind: 'stream-stop';
  readonly stream: number;
  readonly code: number;
}
export interface StreamDataFrame {
  readonly kind: 'stream-data';
  readonly stream: number;
  readonly offset: number;
  readonly fin: boolean;
  readonly data: Uint8Array;
}
export interface MaxDataFrame {
  readonly kind: 'max-data';
  readonly limit: number;
}
export interface MaxStreamDataFrame {
  readonly kind: 'max-stream-data';
  readonly stream: number;
  readonly limit: number;
}
export interface MaxStreamsFrame {
  readonly kind: 'max-streams';
  readonly limit: number;
}
export interface DatagramFrame {
  readonly kind: 'datagram';
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly data: Uint8Array;
}
export interface PathChallengeFrame {
  readonly kind: 'path-challenge';
  readonly token: Uint8Array;
}
export interface PathResponseFrame {
  readonly kind: 'path-response';
  readonly token: Uint8Array;
}
export interface CloseFrame {
  readonly kind: 'close';
  readonly code: number;
  readonly reason: string;
}
export interface HandshakeFrame {
  readonly kind: 'handshake';
  /** For `decodeInnerHandshake`. */
  readonly message: Uint8Array;
}
export interface CandidatesFrame {
  readonly kind: 'candidates';
  readonly sequence: number;
  readonly endpoints: readonly IpEndpoint[];
}
export interface ObservedAddressFrame {
  readonly kind: 'observed-address';
  readonly sequence: number;
  readonly endpoint: IpEndpoint;
}
export interface OptionalFrame {
  readonly kind: 'optional';
  /** `FRAME_OPTIONAL_FIRST` … 0xff. */
  readonly type: number;
  readonly data: Uint8Array;
}

export type Frame =
  | PaddingFrame
  | PingFrame
  | AckFrame
  | StreamOpenFrame
  | StreamResetFrame
  | StreamStopFrame
  | StreamDataFrame
  | MaxDataFrame
  | MaxStreamDataFrame
  | MaxStreamsFrame
  | DatagramFrame
  | PathChallengeFrame
  | PathResponseFrame
  | CloseFrame
  | HandshakeFrame
  | CandidatesFrame
  | ObservedAddressFrame
  | OptionalFrame;

export const PING: PingFrame = { kind: 'ping' };

/** A frame that asks for an ACK (the table's last column); RFC 9002 §2 calls it ack-eliciting. */
export function isAckEliciting(frame: Frame): boolean {
  return frame.kind !== 'ack' && frame.kind !== 'padding' && frame.kind !== 'close';
}

/** Frames come from our own machines: one that breaks a bound of §5 is a broken invariant. */
export function encodeFrame(writer: ByteWriter, frame: Frame): void {
  switch (frame.kind) {
    case 'padding':
      assert(frame.length > 0, 'padding has a length');
      writer.zeros(frame.length);
      break;
    case 'ping':
      writer.u8(FRAME_PING);
      break;
    case 'ack':
      writeAck(writer, frame);
      break;
    case 'stream-open':
      writer.u8(FRAME_STREAM_OPEN);
      writer.varint(frame.stream);
      writer.u16(frame.sourcePort);
      writer.u16(frame.destinationPort);
      writer.u8(frame.priority);
      break;
    case 'stream-reset':
      writer.u8(FRAME_STREAM_RESET);
      writer.varint(frame.stream);
      writer.varint(frame.code);
      writer.varint(frame.finalSize);
      break;
    case 'stream-stop':
      writer.u8(FRAME_STREAM_STOP);
      writer.varint(frame.stream);
      writer.varint(frame.code);
      break;
    case 'stream-data':
      assert(frame.offset + frame.data.length < COUNT_LIMIT, 'a stream ends below 2^53');
      writer.u8(frame.fin ? FRAME_STREAM_DATA_FIN : FRAME_STREAM_DATA);
      writer.varint(frame.stream);
      writer.varint(frame.offset);
      writePrefixed(writer, frame.data);
      break;
    case 'max-data':
      writer.u8(FRAME_MAX_DATA);
      writer.varint(frame.limit);
      break;
    case 'max-stream-data':
      writer.u8(FRAME_MAX_STREAM_DATA);
      writer.varint(frame.stream);
      writer.varint(frame.limit);
      break;
    case 'max-streams':
      writer.u8(FRAME_MAX_STREAMS);
      writer.varint(frame.limit);
      break;
    case 'datagram':
      writer.u8(FRAME_DATAGRAM);
      writer.u16(frame.sourcePort);
      writer.u16(frame.destinationPort);
      writePrefixed(writer, frame.data);
      break;
    case 'path-challenge':
    case 'path-response':
      assert(frame.token.length === PATH_TOKEN_BYTES, 'a path token is 8 bytes');
      writer.u8(frame.kind === 'path-challenge' ? FRAME_PATH_CHALLENGE : FRAME_PATH_RESPONSE);
      writer.bytes(frame.token);
      break;
    case 'close': {
      const reason = encodeUtf8(frame.reason);
      assert(reason.length <= CLOSE_REASON_BYTES_MAX, 'a reason is at most 256 bytes');
      writer.u8(FRAME_CLOSE);
      writer.varint(frame.code);
      writePrefixed(writer, reason);
      break;
    }
    case 'handshake': {
      const { length } = frame.message;
      assert(length >= INNER_HANDSHAKE_BYTES_MIN && length <= INNER_HANDSHAKE_BYTES_MAX, 'a handshake message fits');
      writer.u8(FRAME_HANDSHAKE);
      writePrefixed(writer, frame.message);
      break;
    }
    case 'candidates':
      assert(frame.endpoints.length <= CANDIDATES_MAX, 'a frame carries at most 16 candidates');
      writer.u8(FRAME_CANDIDATES);
      writer.varint(frame.sequence);
      writer.u8(frame.endpoints.length);
      for (const endpoint of frame.endpoints) writeIpEndpoint(writer, endpoint);
      break;
    case 'observed-address':
      writer.u8(FRAME_OBSERVED_ADDRESS);
      writer.varint(frame.sequence);
      writeIpEndpoint(writer, frame.endpoint);
      break;
    case 'optional':
      assert(frame.type >= FRAME_OPTIONAL_FIRST, 'an optional frame has a type of their range');
      writer.u8(frame.type);
      writePrefixed(writer, frame.data);
      break;
    default:
      assertNever(frame);
  }
}

function writeAck(writer: ByteWriter, frame: AckFrame): void {
  const { ranges } = frame;
  assert(ranges.length > 0 && ranges.length <= 1 + ACK_FURTHER_RANGES_MAX, 'an ACK has 1 to 256 ranges');
  const first = ranges[0]!;
  assert(first.smallest <= first.largest, 'a range is not empty');
  assert(ranges.at(-1)!.smallest >= 0, 'packet numbers count from 0');
  writer.u8(FRAME_ACK);
  writer.varint(first.largest);
  writer.varint(frame.delayUs);
  writer.varint(ranges.length - 1);
  writer.varint(first.largest - first.smallest);
  for (let i = 1; i < ranges.length; i++) {
    const { smallest, largest } = ranges[i]!;
    const gap = ranges[i - 1]!.smallest - largest - 2;
    assert(gap >= 0 && smallest <= largest, 'ranges descend and do not touch');
    writer.varint(gap);
    writer.varint(largest - smallest);
  }
}

function writePrefixed(writer: ByteWriter, bytes: Uint8Array): void {
  writer.varint(bytes.length);
  writer.bytes(bytes);
}

/** The bytes `encodeFrame` writes. */
export function frameLength(frame: Frame): number {
  switch (frame.kind) {
    case 'padding':
      return frame.length;
    case 'ping':
      return 1;
    case 'ack':
      return ackLength(frame);
    case 'stream-open':
      return 1 + varintLength(frame.stream) + 2 + 2 + 1;
    case 'stream-reset':
      return 1 + varintLength(frame.stream) + varintLength(frame.code) + varintLength(frame.finalSize);
    case 'stream-stop':
      return 1 + varintLength(frame.stream) + varintLength(frame.code);
    case 'stream-data':
      return 1 + varintLength(frame.stream) + varintLength(frame.offset) + prefixedLength(frame.data.length);
    case 'max-data':
    case 'max-streams':
      return 1 + varintLength(frame.limit);
    case 'max-stream-data':
      return 1 + varintLength(frame.stream) + varintLength(frame.limit);
    case 'datagram':
      return 1 + 2 + 2 + prefixedLength(frame.data.length);
    case 'path-challenge':
    case 'path-response':
      return 1 + PATH_TOKEN_BYTES;
    case 'close':
      return 1 + varintLength(frame.code) + prefixedLength(utf8Length(frame.reason));
    case 'handshake':
      return 1 + prefixedLength(frame.message.length);
    case 'candidates': {
      let length = 1 + varintLength(frame.sequence) + 1;
      for (const endpoint of frame.endpoints) length += ipEndpointLength(endpoint);
      return length;
    }
    case 'observed-address':
      return 1 + varintLength(frame.sequence) + ipEndpointLength(frame.endpoint);
    case 'optional':
      return 1 + prefixedLength(frame.data.length);
    default:
      return assertNever(frame);
  }
}

function ackLength(frame: AckFrame): number {
  const first = frame.ranges[0]!;
  let length =
    1 +
    varintLength(first.largest) +
    varintLength(frame.delayUs) +
    varintLength(frame.ranges.length - 1) +
    varintLength(first.largest - first.smallest);
  for (let i = 1; i < frame.ranges.length; i++) {
    const { smallest, largest } = frame.ranges[i]!;
    length += varintLength(frame.ranges[i - 1]!.smallest - largest - 2) + varintLength(largest - smallest);
  }
  return length;
}

function prefixedLength(length: number): number {
  return varintLength(length) + length;
}
