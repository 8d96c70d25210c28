import { assert } from '../base/assert.ts';
import { ascii, concat, equal } from '../base/bytes.ts';
import type { WallMs } from '../base/time.ts';
import { sameAddress } from '../wire/address.ts';
import type { DecodeReason } from '../wire/decode-error.ts';
import { isDecodeError } from '../wire/decode-error.ts';
import { ascendingTexts } from '../wire/names.ts';
import type { EndpointRecord, EndpointRecordFields, IdentityRecord, IdentityRecordFields } from '../wire/records.ts';
import {
  decodeEndpointRecord,
  decodeIdentityRecord,
  encodeEndpointRecord,
  encodeEndpointRecordBody,
  encodeIdentityRecord,
  encodeIdentityRecordBody,
  endpointRecordFault,
  identityRecordFault,
  SIGNATURE_BYTES,
} from '../wire/records.ts';
import type { CryptoBackend } from './backend.ts';
import type { Identity } from './identity.ts';
import { deriveAddress } from './identity.ts';

/** Signing and believing records (PROTOCOL.md §8). */

/** The zero byte ends the label, so that no label is the beginning of another. */
const IDENTITY_CONTEXT: Uint8Array = ascii('warren identity record v1\0');
const ENDPOINT_CONTEXT: Uint8Array = ascii('warren endpoint record v1\0');

export type RecordReason =
  | DecodeReason
  /** No key may have the node it names. */
  | 'address-reserved'
  /** Its identity key and counter give another node. */
  | 'address-not-derived'
  | 'bad-signature';

export interface RecordError {
  readonly kind: 'record-error';
  readonly reason: RecordReason;
}

export function isRecordError(value: { readonly kind: string }): value is RecordError {
  return value.kind === 'record-error';
}

/** What an owner says about itself; the rest of its identity record follows from the identity. */
export interface IdentityProfile extends Pick<IdentityRecordFields, 'sequence' | 'name' | 'homes'> {
  /** In any order. */
  readonly tags: readonly string[];
  /** In any order. */
  readonly capabilities: readonly string[];
}

/** Refuses, with the reason, what no record can say: more than 600 bytes in all, for one. */
export function signIdentityRecord(identity: Identity, profile: IdentityProfile): IdentityRecord | RecordError {
  const fields: IdentityRecordFields = {
    sequence: profile.sequence,
    address: identity.address,
    counter: identity.counter,
    identityKey: identity.signing.publicKey,
    staticKey: identity.exchange.publicKey,
    name: profile.name,
    tags: ascendingTexts(profile.tags),
    capabilities: ascendingTexts(profile.capabilities),
    homes: profile.homes,
  };
  const fault = identityRecordFault(fields);
  if (fault !== undefined) return recordError(fault);
  const body = encodeIdentityRecordBody(fields);
  return { kind: 'identity-record', ...fields, signature: identity.signing.sign(concat(IDENTITY_CONTEXT, body)) };
}

/**
 * A record that its own identity key signed and whose address that key derives to. Whether that key, and that network, are the
 * ones wanted is the caller's to ask.
 */
export function verifyIdentityRecord(backend: CryptoBackend, bytes: Uint8Array): IdentityRecord | RecordError {
  const record = decodeIdentityRecord(bytes);
  if (isDecodeError(record)) return recordError(record.reason);
  const derived = deriveAddress(backend, record.identityKey, record.counter, record.address.network);
  if (derived === undefined) return recordError('address-reserved');
  if (!sameAddress(derived, record.address)) return recordError('address-not-derived');
  if (!isSigned(backend, IDENTITY_CONTEXT, bytes, record)) return recordError('bad-signature');
  return record;
}

export function signEndpointRecord(
  identity: Identity,
  content: Omit<EndpointRecordFields, 'identityKey'>,
): EndpointRecord | RecordError {
  const fields: EndpointRecordFields = {
    sequence: content.sequence,
    identityKey: identity.signing.publicKey,
    expires: content.expires,
    public: content.public,
    endpoints: content.endpoints,
  };
  const fault = endpointRecordFault(fields);
  if (fault !== undefined) return recordError(fault);
  const body = encodeEndpointRecordBody(fields);
  return { kind: 'endpoint-record', ...fields, signature: identity.signing.sign(concat(ENDPOINT_CONTEXT, body)) };
}

/** A record that its own identity key signed. It may be expired; see `isExpired`. */
export function verifyEndpointRecord(backend: CryptoBackend, bytes: Uint8Array): EndpointRecord | RecordError {
  const record = decodeEndpointRecord(bytes);
  if (isDecodeError(record)) return recordError(record.reason);
  if (!isSigned(backend, ENDPOINT_CONTEXT, bytes, record)) return recordError('bad-signature');
  return record;
}

/** The endpoints are no longer fresh. The key's binding to its address does not expire. */
export function isExpired(record: EndpointRecord, wallNow: WallMs): boolean {
  return wallNow >= record.expires;
}

/**
 * The sequence number of an owner's next record: above its last one, and the wall clock where that is further on. `last` is
 * `undefined` before the first, or what a registry gave back where that is higher; the answer is `undefined` once 2^53 − 1 is
 * used, after which this key signs no more.
 */
export function nextSequence(last: number | undefined, wallNow: WallMs): number | undefined {
  const clock = Math.min(Math.max(0, Math.floor(wallNow)), Number.MAX_SAFE_INTEGER);
  if (last === undefined) return clock;
  assert(Number.isSafeInteger(last) && last >= 0, 'a sequence number is below 2^53');
  return last === Number.MAX_SAFE_INTEGER ? undefined : Math.max(last + 1, clock);
}

/** How an incoming record stands to the one known; both verified. In a conflict neither replaces the other. */
export type RecordOrder = 'newer' | 'same' | 'older' | 'conflict' | 'other-identity';

export function compareRecords<R extends IdentityRecord | EndpointRecord>(known: R, incoming: R): RecordOrder {
  assert(known.kind === incoming.kind, 'only records of one kind have an order');
  if (!equal(known.identityKey, incoming.identityKey)) return 'other-identity';
  if (incoming.sequence !== known.sequence) return incoming.sequence > known.sequence ? 'newer' : 'older';
  return equal(encodeRecord(known), encodeRecord(incoming)) ? 'same' : 'conflict';
}

function encodeRecord(record: IdentityRecord | EndpointRecord): Uint8Array {
  return record.kind === 'identity-record' ? encodeIdentityRecord(record) : encodeEndpointRecord(record);
}

function isSigned(
  backend: CryptoBackend,
  context: Uint8Array,
  bytes: Uint8Array,
  record: IdentityRecord | EndpointRecord,
): boolean {
  const body = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  return backend.ed25519Verify(record.identityKey, concat(context, body), record.signature);
}

function recordError(reason: RecordReason): RecordError {
  return { kind: 'record-error', reason };
}
