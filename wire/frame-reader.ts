import { truncate } from '../base/arrays.ts';
import { EMPTY } from '../base/bytes.ts';
import { type DecodeError, type DecodeReason, decodeError } from './decode-error.ts';
import {
  ACK_FURTHER_RANGES_MAX,
  type AckFrame,
  type AckRange,
  CANDIDATES_MAX,
  type CandidatesFrame,
  CLOSE_REASON_BYTES_MAX,
  type CloseFrame,
  type DatagramFrame,
  FRAME_ACK,
  FRAME_CANDIDATES,
  FRAME_CLOSE,
  FRAME_DATAGRAM,
  FRAME_HANDSHAKE,
  FRAME_MAX_DATA,
  FRAME_MAX_STREAM_DATA,
  FRAME_MAX_STREAMS,
  FRAME_OBSERVED_ADDRESS,
  FRAME_OPTIONAL_FIRST,
  FRAME_PADDING,
  FRAME_PATH_CHALLENGE,
  FRAME_PATH_RESPONSE,
  FRAME_PING,
  FRAME_STREAM_DATA,
  FRAME_STREAM_DATA_FIN,
  FRAME_STREAM_OPEN,
  FRAME_STREAM_RESET,
  FRAME_STREAM_STOP,
  type Frame,
  type HandshakeFrame,
  type MaxDataFrame,
  type MaxStreamDataFrame,
  type MaxStreamsFrame,
  PATH_TOKEN_BYTES,
  type PaddingFrame,
  PING,
  PRIORITY_BULK,
  type Priority,
  type StreamDataFrame,
  type StreamOpenFrame,
} from './frames.ts';
import { INNER_HANDSHAKE_BYTES_MAX, INNER_HANDSHAKE_BYTES_MIN } from './handshake-message.ts';
import { type IpEndpoint, readIpEndpoint } from './ip-endpoint.ts';
import { ByteReader } from './reader.ts';
import { decodeUtf8 } from './utf8.ts';
import { COUNT_LIMIT } from './writer.ts';

/**
 * The frames of one packet, one after another, where they stand. `load` walks all of them, so that a packet with a frame that
 * cannot be read gives none; `next` then walks them again.
 *
 * Frames that come by the million are given in objects of the reader's own, which the next frame of the kind is written into:
 * reading costs no allocation but the view of a frame's data, made when it is asked for. Whoever keeps a frame copies it.
 */
export class FrameReader {
  readonly #reader: ByteReader = new ByteReader(EMPTY);
  readonly #ack: WritableAck = { kind: 'ack', delayUs: 0, ranges: [] };
  readonly #streamData: StreamDataInPlace = new StreamDataInPlace();
  readonly #datagram: DatagramInPlace = new DatagramInPlace();
  readonly #maxData: Writable<MaxDataFrame> = { kind: 'max-data', limit: 0 };
  readonly #maxStreamData: Writable<MaxStreamDataFrame> = { kind: 'max-stream-data', stream: 0, limit: 0 };
  readonly #maxStreams: Writable<MaxStreamsFrame> = { kind: 'max-streams', limit: 0 };

  /** Why the bytes from `start` to `end` are no packet's frames; `undefined` where they are. A packet without any is an error. */
  load(bytes: Uint8Array, start: number, end: number): DecodeReason | undefined {
    const reader = this.#reader;
    reader.reset(bytes, start, end);
    do this.#read();
    while (reader.remaining > 0);
    const { failure } = reader;
    reader.reset(bytes, failure === undefined ? start : end, end);
    return failure;
  }

  /** The next frame, to be used before the one after it; `undefined` after the last. */
  next(): Frame | undefined {
    return this.#reader.remaining > 0 ? this.#read() : undefined;
  }

  #read(): Frame {
    const reader = this.#reader;
    const type = reader.u8();
    switch (type) {
      case FRAME_PADDING:
        return readPadding(reader);
      case FRAME_PING:
        return PING;
      case FRAME_ACK:
        return readAck(reader, this.#ack);
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
        return this.#streamData.read(reader, type === FRAME_STREAM_DATA_FIN);
      case FRAME_MAX_DATA:
        this.#maxData.limit = reader.varint();
        return this.#maxData;
      case FRAME_MAX_STREAM_DATA:
        this.#maxStreamData.stream = reader.varint();
        this.#maxStreamData.limit = reader.varint();
        return this.#maxStreamData;
      case FRAME_MAX_STREAMS:
        this.#maxStreams.limit = reader.varint();
        return this.#maxStreams;
      case FRAME_DATAGRAM:
        return this.#datagram.read(reader);
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
}

/** All frames of a packet, to keep; their byte fields are views. */
export function decodeFrames(bytes: Uint8Array): Frame[] | DecodeError {
  const reader = new FrameReader();
  const reason = reader.load(bytes, 0, bytes.length);
  if (reason !== undefined) return decodeError(reason);
  const frames: Frame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(kept(frame));
  return frames;
}

/** A frame that the reader does not write over. */
function kept(frame: Frame): Frame {
  switch (frame.kind) {
    case 'ack':
      return { ...frame, ranges: frame.ranges.map((range) => ({ ...range })) };
    case 'stream-data': {
      const { kind, stream, offset, fin, data } = frame;
      return { kind, stream, offset, fin, data };
    }
    case 'datagram': {
      const { kind, sourcePort, destinationPort, data } = frame;
      return { kind, sourcePort, destinationPort, data };
    }
    default:
      return { ...frame };
  }
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };
type WritableAck = Writable<Omit<AckFrame, 'ranges'>> & { readonly ranges: Writable<AckRange>[] };

/** Where a frame's data stands. Each time it is asked for, a view is made: those who read it ask once, the others never. */
class DataInPlace {
  #bytes: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;

  get data(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  protected place(reader: ByteReader, length: number): void {
    this.#bytes = reader.bytes;
    this.#start = reader.offset;
    reader.skip(length);
    this.#end = reader.offset;
  }
}

class StreamDataInPlace extends DataInPlace implements StreamDataFrame {
  readonly kind = 'stream-data';
  stream = 0;
  offset = 0;
  fin = false;

  read(reader: ByteReader, fin: boolean): this {
    this.stream = reader.varint();
    this.offset = reader.varint();
    this.fin = fin;
    const length = reader.varint();
    if (this.offset + length >= COUNT_LIMIT) reader.fail('out-of-range');
    this.place(reader, length);
    return this;
  }
}

class DatagramInPlace extends DataInPlace implements DatagramFrame {
  readonly kind = 'datagram';
  sourcePort = 0;
  destinationPort = 0;

  read(reader: ByteReader): this {
    this.sourcePort = reader.u16();
    this.destinationPort = reader.u16();
    this.place(reader, reader.varint());
    return this;
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
function readAck(reader: ByteReader, ack: WritableAck): AckFrame {
  const { ranges } = ack;
  let largest = reader.varint();
  ack.delayUs = reader.varint();
  const furtherRanges = reader.varint();
  if (furtherRanges > ACK_FURTHER_RANGES_MAX) reader.fail('too-many');
  let count = 0;
  while (reader.failure === undefined) {
    const smallest = largest - reader.varint();
    if (smallest < 0) reader.fail('out-of-range');
    const range = ranges[count];
    if (range === undefined) {
      ranges.push({ smallest, largest });
    } else {
      range.smallest = smallest;
      range.largest = largest;
    }
    if (count++ === furtherRanges) break;
    // RFC 9000 §19.3.1: the gap is one less than the packets between. Below 0, so is the smallest of the next range.
    largest = smallest - reader.varint() - 2;
  }
  truncate(ranges, count);
  return ack;
}

function readStreamOpen(reader: ByteReader): StreamOpenFrame {
  const stream = reader.varint();
  const sourcePort = reader.u16();
  const destinationPort = reader.u16();
  const priority = reader.u8();
  if (priority > PRIORITY_BULK) reader.fail('out-of-range');
  return { kind: 'stream-open', stream, sourcePort, destinationPort, priority: priority as Priority };
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
