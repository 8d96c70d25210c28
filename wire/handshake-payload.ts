import { assert } from '../base/assert.ts';
import { isZero } from '../base/bytes.ts';
import { type DecodeError, decodeError } from './decode-error.ts';
import { ByteReader } from './reader.ts';
import { RECORD_BYTES_MAX } from './records.ts';
import { ByteWriter } from './writer.ts';

/**
 * What stands inside Noise's AEAD in the two handshake messages (PROTOCOL §2). The fields outlive the message they came in, so
 * they are copies. The record stays bytes: its own decoder judges it. Padding is not a field, so that a payload has one encoding
 * for each total length, and the length is bound by the message header.
 */

export const INCARNATION_BYTES = 16;
/** A hostile peer's number must leave room above it: ours is always one more than the highest seen. */
export const GENERATION_MAX: number = 2 ** 31 - 1;

export interface InitiationPayload {
  readonly kind: 'initiation-payload';
  readonly incarnation: Uint8Array;
  readonly generation: number;
  readonly record: Uint8Array;
}

export interface ResponsePayload {
  readonly kind: 'response-payload';
  /** The response header's sender session again: Noise's prologue cannot cover the second message's header. */
  readonly senderSession: number;
  readonly incarnation: Uint8Array;
  readonly generation: number;
  readonly record: Uint8Array;
}

interface CommonPayload {
  readonly incarnation: Uint8Array;
  readonly generation: number;
  readonly record: Uint8Array;
}

export function decodeInitiationPayload(bytes: Uint8Array): InitiationPayload | DecodeError {
  const reader = new ByteReader(bytes);
  const common = readCommon(reader);
  return reader.failure === undefined ? { kind: 'initiation-payload', ...common } : decodeError(reader.failure);
}

export function decodeResponsePayload(bytes: Uint8Array): ResponsePayload | DecodeError {
  const reader = new ByteReader(bytes);
  const senderSession = reader.u32();
  const common = readCommon(reader);
  return reader.failure === undefined
    ? { kind: 'response-payload', senderSession, ...common }
    : decodeError(reader.failure);
}

/** Padded with zeros to `totalLength`; without one, as long as its fields. */
export function encodeInitiationPayload(
  payload: Omit<InitiationPayload, 'kind'>,
  totalLength: number = commonLength(payload),
): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(totalLength));
  writeCommon(writer, payload);
  return writer.buffer;
}

/** Padded with zeros to `totalLength`; without one, as long as its fields. */
export function encodeResponsePayload(
  payload: Omit<ResponsePayload, 'kind'>,
  totalLength: number = 4 + commonLength(payload),
): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(totalLength));
  writer.u32(payload.senderSession);
  writeCommon(writer, payload);
  return writer.buffer;
}

function readCommon(reader: ByteReader): CommonPayload {
  const incarnation = reader.copy(INCARNATION_BYTES);
  const generation = reader.u32();
  if (generation === 0 || generation > GENERATION_MAX) reader.fail('out-of-range');
  const length = reader.u16();
  if (length > RECORD_BYTES_MAX) reader.fail('too-long');
  const record = reader.copy(length);
  if (!isZero(reader.bytes, reader.offset, reader.end)) reader.fail('reserved-bits');
  return { incarnation, generation, record };
}

function writeCommon(writer: ByteWriter, payload: CommonPayload): void {
  assert(payload.incarnation.length === INCARNATION_BYTES, 'an incarnation is 16 bytes');
  assert(payload.generation >= 1, 'generations count from 1');
  assert(payload.record.length <= RECORD_BYTES_MAX, 'a record is at most 600 bytes');
  writer.bytes(payload.incarnation);
  writer.u32(payload.generation);
  writer.u16(payload.record.length);
  writer.bytes(payload.record);
}

function commonLength(payload: CommonPayload): number {
  return INCARNATION_BYTES + 4 + 2 + payload.record.length;
}
