import { WarrenError } from '../base/errors.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import { isName } from '../wire/names.ts';
import { makePeer, type Peer, type PeerFields } from './peer-book.ts';
import { type CheckedRecord, parseRecordText, recordText } from './record-text.ts';

/**
 * The peer book as bytes that last: JSON, so that its owner can read it. Records keep their signatures, and are checked again
 * when they are read: a file that was changed by hand or by a broken disk is refused whole, never used in part.
 */
const VERSION = 2;
/** Without names of its own: a peer answered to its petname, and to the name in its newest record. */
const VERSION_WITHOUT_NAMES = 1;

export function encodePeerBook(peers: readonly Peer[]): Uint8Array {
  const content = {
    version: VERSION,
    peers: peers.map(({ name: { name }, hasPetname, endpoints, bytes }) => {
      return { name, hasPetname, endpoints, record: recordText(bytes) };
    }),
  };
  return new TextEncoder().encode(`${JSON.stringify(content, undefined, 2)}\n`);
}

/**
 * Thrown: what `encodePeerBook` did not write, now or earlier. Whether this node may have such peers is the book's to check.
 * `ownName` is what the node calls itself.
 */
export function decodePeerBook(backend: CryptoBackend, bytes: Uint8Array, ownName: string): readonly Peer[] {
  const content = parseJson(bytes);
  const { version, peers: entries } = isObject(content) ? content : {};
  const isEarlier = version === VERSION_WITHOUT_NAMES;
  if ((version !== VERSION && !isEarlier) || !Array.isArray(entries)) {
    throw damaged('it is not a peer book of this version');
  }
  const known = entries.map((entry: unknown, index) => decodeEntry(backend, entry, index));
  const named = isEarlier ? nameEarlier(known.map(readPetname), ownName) : known.map(readName);
  const peers = named.map(makePeer);
  if (hasTwice(peers.map(({ key }) => key))) throw damaged('one peer stands in it twice');
  if (hasTwice(peers.flatMap(({ name: { name } }) => name || []))) throw damaged('two peers in it have one name');
  return peers;
}

/** What both versions say of a peer, and the rest as it stands there. */
interface Entry extends CheckedRecord {
  readonly endpoints: readonly string[];
  readonly fields: Readonly<Record<string, unknown>>;
}

function decodeEntry(backend: CryptoBackend, fields: unknown, index: number): Entry {
  const place = `entry ${index + 1}`;
  if (!isObject(fields)) throw damaged(`${place} is not one`);
  const { endpoints, record } = fields;
  if (typeof record !== 'string' || !isTexts(endpoints)) throw damaged(`${place} is not one`);
  try {
    return { ...parseRecordText(backend, record), endpoints, fields };
  } catch (error) {
    if (error instanceof WarrenError) throw damaged(`${place}: ${error.message}`);
    throw error;
  }
}

function readName(entry: Entry, index: number): PeerFields {
  const { name, hasPetname } = entry.fields;
  const isNameless = name === '' && hasPetname === false;
  if (typeof name !== 'string' || typeof hasPetname !== 'boolean' || !(isName(name) || isNameless)) {
    throw damaged(`entry ${index + 1} is not one`);
  }
  return { ...entry, name, hasPetname };
}

type Petnamed = Entry & { readonly petname: string };

function readPetname(entry: Entry, index: number): Petnamed {
  const { petname } = entry.fields;
  if (typeof petname !== 'string' || !(petname === '' || isName(petname))) {
    throw damaged(`entry ${index + 1} is not one`);
  }
  return { ...entry, petname };
}

/**
 * A peer keeps the name that led to it, and to it alone. Where several called themselves the same, or one as another's petname or
 * as the node itself, that name led elsewhere or to an error: it has none until its owner gives it one.
 */
function nameEarlier(entries: readonly Petnamed[], ownName: string): readonly PeerFields[] {
  const taken = new Set([ownName, ...entries.map(({ petname }) => petname)]);
  const seen = new Set(taken);
  for (const { petname, record } of entries) {
    if (petname !== '') continue;
    if (seen.has(record.name)) taken.add(record.name);
    seen.add(record.name);
  }
  return entries.map((entry) => {
    const { petname, record } = entry;
    if (petname !== '' && petname !== ownName) return { ...entry, name: petname, hasPetname: true };
    const isFree = petname === '' && !taken.has(record.name);
    return { ...entry, name: isFree ? record.name : '', hasPetname: false };
  });
}

function hasTwice(texts: readonly string[]): boolean {
  return new Set(texts).size < texts.length;
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
