import { WarrenError } from '../base/errors.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import { isRecordError, verifyIdentityRecord } from '../crypto/records.ts';
import type { IdentityRecord } from '../wire/records.ts';
import { RECORD_BYTES_MAX } from '../wire/records.ts';

/** An identity record as one line that survives mail, chat and a shell: a prefix that says what it is, then base64url. */
const PREFIX = 'wrr1.';
const TEXT_LENGTH_MAX = PREFIX.length + Math.ceil((RECORD_BYTES_MAX * 4) / 3);

export interface CheckedRecord {
  readonly record: IdentityRecord;
  readonly bytes: Uint8Array;
}

export function recordText(bytes: Uint8Array): string {
  return PREFIX + Buffer.from(bytes).toString('base64url');
}

/** Thrown: what is no record, or not signed by its own key. */
export function parseRecordText(backend: CryptoBackend, text: string): CheckedRecord {
  const trimmed = text.trim();
  const encoded = trimmed.slice(PREFIX.length);
  if (!trimmed.startsWith(PREFIX) || trimmed.length > TEXT_LENGTH_MAX || !/^[A-Za-z0-9_-]+$/.test(encoded)) {
    throw new WarrenError(
      'ERR_WARREN_RECORD',
      'this is not an identity record',
      `a record is one line that begins with ${PREFIX}; warren record prints a node's own`,
    );
  }
  return checkRecord(backend, Uint8Array.from(Buffer.from(encoded, 'base64url')));
}

export function checkRecord(backend: CryptoBackend, bytes: Uint8Array): CheckedRecord {
  const record = verifyIdentityRecord(backend, bytes);
  if (!isRecordError(record)) return { record, bytes };
  throw new WarrenError(
    'ERR_WARREN_RECORD',
    `this identity record cannot be believed (${record.reason})`,
    'copy the whole line that warren record prints on that node',
  );
}
