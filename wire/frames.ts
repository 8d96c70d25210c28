import { assert, assertNever } from '../base/assert.ts';
import { type DecodeError, decodeError } from './decode-error.ts';
import { INNER_HANDSHAKE_BYTES_MAX, INNER_HANDSHAKE_BYTES_MIN } from './handshake-message.ts';
import { type IpEndpoint, ipEndpointLength, readIpEndpoint, writeIpEndpoint } from './ip-endpoint.ts';
import { ByteReader } from './reader.ts';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';
import { type ByteWriter, COUNT_LIMIT, varintLength } from './writer.ts';

/**
 * The frames of PROTOCOL §5. A decoded frame's byte fields are views into the packet's plaintext and must not outlive it;
 * endpoints and text are copies. What a decoder here accepts, `encodeFrame` writes back byte for byte.
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

/** All frames of a packet. A packet without any is an error. */
export function decodeFrames(bytes: Uint8Array): Frame[] | DecodeError {
  const reader = new ByteReader(bytes);
  const frames: Frame[] = [];
  do {
    const frame = decodeFrame(reader);
    if (frame.kind === 'decode-error') return frame;
    frames.push(frame);
  } while (reader.remaining > 0);
  return frames;
}

/** The frame at the reader's cursor. */
export function decodeFrame(reader: ByteReader): Frame | DecodeError {
  const frame = readFrame(reader);
  return reader.failure === undefined ? frame : decodeError(reader.failure);
}

function readFrame(reader: ByteReader): Frame {
  const type = reader.u8();
  switch (type) {
    case FRAME_PADDING:
      return readPadding(reader);
    case FRAME_PING:
      return PING;
    case FRAME_ACK:
      return readAck(reader);
    case FRAME_STREAM_OPEN:
      return readStreamOpen(reader);
    case FRAME_STREAM_RESET:
      return {
        kind: 'stream-reset',
        stream: reader.varint(),
        code: reader.varint(),
        finalSize: reader.varint(),
      };
    case FRAME_STREAM_STOP:
      return { kind: 'stream-stop', stream: reader.varint(), code: reader.varint() };
    case FRAME_STREAM_DATA:
    case FRAME_STREAM_DATA_FIN:
      return readStreamData(reader, type === FRAME_STREAM_DATA_FIN);
    case FRAME_MAX_DATA:
      return { kind: 'max-data', limit: reader.varint() };
    case FRAME_MAX_STREAM_DATA:
      return { kind: 'max-stream-data', stream: reader.varint(), limit: reader.varint() };
    case FRAME_MAX_STREAMS:
      return { kind: 'max-streams', limit: reader.varint() };
    case FRAME_DATAGRAM:
      return {
        kind: 'datagram',
        sourcePort: reader.u16(),
        destinationPort: reader.u16(),
        data: reader.view(reader.varint()),
      };
    case FRAME_PATH_CHALLENGE:
      return { kind: 'path-challenge', token: reader.view(PATH_TOKEN_BYTES) };
    case FRAME_PATH_RESPONSE:
      return { kind: 'path-response', token: reader.view(PATH_TOKEN_BYTES) };
    case FRAME_CLOSE:
      return readClose(reader);
    case FRAME_HANDSHAKE:
      return readHandshake(reader);
    case FRAME_CANDIDATES:
      return readCandidates(reader);
    case FRAME_OBSERVED_ADDRESS:
      return { kind: 'observed-address', sequence: reader.varint(), endpoint: readIpEndpoint(reader) };
    default:
      if (type < FRAME_OPTIONAL_FIRST) reader.fail('unknown-type');
      return { kind: 'optional', type, data: reader.view(reader.varint()) };
  }
}

/** The whole run of zero bytes is one frame: a padded packet costs one object, and the run has one reading. */
function readPadding(reader: ByteReader): PaddingFrame {
  const { bytes, end } = reader;
  const start = reader.offset - 1;
  let next = reader.offset;
  while (next < end && bytes[next] === 0) next++;
  reader.offset = next;
  return { kind: 'padding', length: next - start };
}

/** RFC 9000 §19.3.1, without the ECN counts. */
function readAck(reader: ByteReader): AckFrame {
  let largest = reader.varint();
  const delayUs = reader.varint();
  const furtherRanges = reader.varint();
  if (furtherRanges > ACK_FURTHER_RANGES_MAX) reader.fail('too-many');
  const ranges: AckRange[] = [];
  for (let i = 0; reader.failure === undefined; i++) {
    const smallest = largest - reader.varint();
    if (smallest < 0) reader.fail('out-of-range');
    ranges.push({ smallest, largest });
    if (i === furtherRanges) break;
    // RFC 9000 §19.3.1: the gap is one less than the packets between. Below 0, so is the smallest of the next range.
    largest = smallest - reader.varint() - 2;
  }
  return { kind: 'ack', delayUs, ranges };
}

function readStreamOpen(reader: ByteReader): StreamOpenFrame {
  const stream = reader.varint();
  const sourcePort = reader.u16();
  const destinationPort = reader.u16();
  const priority = reader.u8();
  if (priority > PRIORITY_BULK) reader.fail('out-of-range');
  return { kind: 'stream-open', stream, sourcePort, destinationPort, priority: priority as Priority };
}

function readStreamData(reader: ByteReader, fin: boolean): StreamDataFrame {
  const stream = reader.varint();
  const offset = reader.varint();
  const length = reader.varint();
  if (offset + length >= COUNT_LIMIT) reader.fail('out-of-range');
  return { kind: 'stream-data', stream, offset, fin, data: reader.view(length) };
}

function readClose(reader: ByteReader): CloseFrame {
  const code = reader.varint();
  const length = reader.varint();
  if (length > CLOSE_REASON_BYTES_MAX) reader.fail('too-long');
  const reason = decodeUtf8(reader.view(length));
  if (reason === undefined) reader.fail('bad-text');
  return { kind: 'close', code, reason: reason ?? '' };
}

function readHandshake(reader: ByteReader): HandshakeFrame {
  const length = reader.varint();
  if (length < INNER_HANDSHAKE_BYTES_MIN) reader.fail('out-of-range');
  if (length > INNER_HANDSHAKE_BYTES_MAX) reader.fail('too-long');
  return { kind: 'handshake', message: reader.view(length) };
}

function readCandidates(reader: ByteReader): CandidatesFrame {
  const sequence = reader.varint();
  const count = reader.u8();
  if (count > CANDIDATES_MAX) reader.fail('too-many');
  const endpoints: IpEndpoint[] = [];
  for (let i = 0; i < count && reader.failure === undefined; i++) endpoints.push(readIpEndpoint(reader));
  return { kind: 'candidates', sequence, endpoints };
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
      return 1 + varintLength(frame.code) + prefixedLength(encodeUtf8(frame.reason).length);
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
