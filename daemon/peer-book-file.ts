import { toHex } from '../base/bytes.ts';
import { WarrenError } from '../base/errors.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import { makePeer, type Peer } from './peer-book.ts';
import { parseRecordText, recordText } from './record-text.ts';

/**
 * The peer book as bytes that last: JSON, so that its owner can read it. Records keep their signatures, and are checked again
 * when they are read: a file that was changed by hand or by a broken disk is refused whole, never used in part.
 */
const VERSION = 1;

export function encodePeerBook(peers: readonly Peer[]): Uint8Array {
  const content = {
    version: VERSION,
    peers: peers.map(({ bytes, endpoints, petname }) => ({ petname, endpoints, record: recordText(bytes) })),
  };
  return new TextEncoder().encode(`${JSON.stringify(content, undefined, 2)}\n`);
}

/** Thrown: what `encodePeerBook` did not write. Whether this node may have such peers is the book's to check. */
export function decodePeerBook(backend: CryptoBackend, bytes: Uint8Array): readonly Peer[] {
  const content = parseJson(bytes);
  const { version, peers: entries } = isObject(content) ? content : {};
  if (version !== VERSION || !Array.isArray(entries)) throw damaged('it is not a peer book of this version');
  const peers = entries.map((entry: unknown, index) => decodePeer(backend, entry, index));
  const keys = new Set(peers.map(({ record }) => toHex(record.identityKey)));
  if (keys.size < peers.length) throw damaged('one peer stands in it twice');
  return peers;
}

function decodePeer(backend: CryptoBackend, entry: unknown, index: number): Peer {
  if (!isObject(entry)) throw damaged(`entry ${index + 1} is not one`);
  const { petname, endpoints, record } = entry;
  if (typeof petname !== 'string' || typeof record !== 'string' || !isTexts(endpoints)) {
    throw damaged(`entry ${index + 1} is not one`);
  }
  try {
    return makePeer({ ...parseRecordText(backend, record), endpoints, petname });
  } catch (error) {
    if (error instanceof WarrenError) throw damaged(`entry ${index + 1}: ${error.message}`);
    throw error;
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw damaged('it is not JSON');
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function damaged(why: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_PEER_BOOK',
    `the peer book cannot be used: ${why}`,
    'restore it from a backup, or move it away and add the peers again',
  );
}
