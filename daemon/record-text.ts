import { WarrenError } from '../base/errors.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import { isRecordError, verifyIdentityRecord } from '../crypto/records.ts';
import { RECORD_TEXT_BYTES_MAX } from '../ipc/value-bounds.ts';
import type { IdentityRecord } from '../wire/records.ts';
import { RECORD_BYTES_MAX } from '../wire/records.ts';

/**
 * An identity record as one line that survives mail, chat and a shell: a prefix that says what it is, then base64url (RFC 4648 §5).
 *
 * A record has one text. White space around it is taken away, because files and pipes bring it along; whatever else differs is
 * refused: padding, a line break inside, bits behind the last byte that are not zero (RFC 4648 §3.5). So two lines that differ are
 * two records, whoever compares them and however.
 */
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
  const line = text.length > RECORD_TEXT_BYTES_MAX ? '' : text.trim();
  if (!line.startsWith(PREFIX) || line.length > TEXT_LENGTH_MAX) {
    throw new WarrenError(
      'ERR_WARREN_RECORD',
      'this is not an identity record',
      `a record is one line that begins with ${PREFIX}; warren record prints a node's own`,
    );
  }
  const bytes = Uint8Array.from(Buffer.from(line.slice(PREFIX.length), 'base64url'));
  // Node's decoder passes over what it does not know, and over bits that belong to no byte.
  if (recordText(bytes) !== line) {
    throw new WarrenError(
      'ERR_WARREN_RECORD',
      'this identity record is not written as records are: it was cut, broken into lines, padded or changed',
      'copy the whole line, as that node printed it',
    );
  }
  return checkRecord(backend, bytes);
}

export function checkRecord(backend: CryptoBackend, bytes: Uint8Array): CheckedRecord {
  const record = verifyIdentityRecord(backend, bytes);
  if (!isRecordError(record)) return { record, bytes };
  throw new WarrenError(
    'ERR_WARREN_RECORD',
    `this identity record cannot be believed (${record.reason})`,
    'copy the whole line, as that node printed it',
  );
}
