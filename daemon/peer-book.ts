import { equal, toHex } from '../base/bytes.ts';
import { WarrenError } from '../base/errors.ts';
import { compareRecords } from '../crypto/records.ts';
import type { PeerName } from '../ipc/host.ts';
import { PEER_ENDPOINTS_MAX } from '../ipc/value-bounds.ts';
import { formatAddress, isAddressError, parseAddress, sameAddress } from '../wire/address.ts';
import { isDecodeError } from '../wire/decode-error.ts';
import { describeTextFault, NAME, textFault } from '../wire/names.ts';
import { decodeIdentityRecord, type IdentityRecord } from '../wire/records.ts';
import { quoteText } from './escape.ts';
import { parsePeerEndpoint } from './peer-endpoint.ts';
import type { CheckedRecord } from './record-text.ts';
import { display, localLimit } from './stream-errors.ts';

export const PEERS_MAX = 4_096;

export interface Peer extends CheckedRecord {
  /** Hex of the identity key. */
  readonly key: string;
  /** Where it may be asked for, as it was given; checked. */
  readonly endpoints: readonly string[];
  /** What it is found and shown by. Only the owner changes the name in it. */
  readonly name: PeerName;
  /** Whether the owner chose that name; otherwise it is the one in the record that they added. */
  readonly hasPetname: boolean;
}

/** What a book takes in: a peer as its owner adds it. */
export interface NewPeer extends CheckedRecord {
  readonly endpoints: readonly string[];
  readonly petname?: string | undefined;
}

/** What a peer is made of, and what lasts of it; the rest follows. */
export interface PeerFields extends CheckedRecord, Pick<Peer, 'endpoints' | 'hasPetname'> {
  readonly name: string;
}

/** Whose book it is. */
export interface BookOwner {
  readonly network: number;
  /** Hex of the identity key. */
  readonly key: string;
  /** What that node calls itself; empty where it has no name. */
  readonly name: string;
}

/** Where the book lasts. */
export interface PeerBookStore {
  save(peers: readonly Peer[]): void;
  /** Of a peer that was saved: one of its endpoints would not be taken today. The peer is there without it. */
  endpointLeftOut?(peer: Peer, error: WarrenError): void;
}

/**
 * The peers this node knows, by key; only they get a session. At most `PEERS_MAX`, each with `PEER_ENDPOINTS_MAX` endpoints.
 *
 * A key is who somebody is, an address what that key derives to, which others can grind out, a name what the owner let in. So a
 * name is the book's and not the record's: it is fixed when the owner adds the peer, leads to that one only, and stays whatever
 * the peer calls itself later. Two names that are the same are refused at the door; an address that several have is an error,
 * never a guess.
 *
 * Whatever changes is saved first: what cannot be saved has not happened.
 */
export class PeerBook {
  readonly #owner: BookOwner;
  readonly #store: PeerBookStore;
  readonly #peers: Map<string, Peer> = new Map();
  readonly #byName: Map<string, Peer> = new Map();
  readonly #byAddress: Map<string, Set<string>> = new Map();

  /** `peers` have names that differ, as `decodePeerBook` gives them. */
  constructor(owner: BookOwner, store: PeerBookStore, peers: readonly Peer[] = []) {
    this.#owner = owner;
    this.#store = store;
    if (peers.length > PEERS_MAX) throw localLimit('peers', PEERS_MAX);
    for (const peer of peers) {
      // Version 1 let a node into its own book; and somebody may have put another identity beside the file.
      if (peer.key === owner.key) continue;
      const usable = this.#withUsableEndpoints(peer);
      this.#check(usable);
      if (peer.name.name !== '' && peer.name.name === owner.name) throw ownNameTaken(peer);
      this.#enter(usable);
    }
  }

  get size(): number {
    return this.#peers.size;
  }

  has(key: string): boolean {
    return this.#peers.has(key);
  }

  get(key: string): Peer | undefined {
    return this.#peers.get(key);
  }

  /** What these bytes say, where they are a record in the book: it was verified when it came in. */
  recall(bytes: Uint8Array): IdentityRecord | undefined {
    const record = decodeIdentityRecord(bytes);
    if (isDecodeError(record)) return undefined;
    const peer = this.#peers.get(toHex(record.identityKey));
    return peer !== undefined && equal(peer.bytes, bytes) ? peer.record : undefined;
  }

  get all(): readonly Peer[] {
    return [...this.#peers.values()];
  }

  /** By name, address or key, of which no text can be two. Thrown: nobody, or more than one. */
  find(text: string): Peer {
    const address = parseAddress(text);
    if (!isAddressError(address)) return this.#findByAddress(formatAddress(address));
    const peer = this.#byName.get(text) ?? this.#peers.get(text.toLowerCase());
    if (peer === undefined) throw unknownPeer(text);
    return peer;
  }

  #findByAddress(address: string): Peer {
    const [first, ...others] = [...(this.#byAddress.get(address) ?? [])].map((key) => this.#peers.get(key)!);
    if (first === undefined) throw unknownPeer(address);
    if (others.length > 0) throw ambiguous(address, [first, ...others]);
    return first;
  }

  /**
   * Adds a peer, or to what is known of one: endpoints that are given replace those there were, and so does a name, which is the
   * petname or else what the record says. Only a petname stays where no other is given.
   */
  add(entry: NewPeer): Peer {
    const key = toHex(entry.record.identityKey);
    if (key === this.#owner.key) throw ownRecord();
    const known = this.#peers.get(key);
    if (known === undefined && this.#peers.size >= PEERS_MAX) throw localLimit('peers', PEERS_MAX);
    const { record, bytes } = known === undefined ? entry : newer(known, entry);
    const endpoints = entry.endpoints.length === 0 && known !== undefined ? known.endpoints : entry.endpoints;
    const petname = entry.petname ?? (known?.hasPetname ? known.name.name : undefined);
    if (petname !== undefined) checkPetname(petname);
    const name = petname ?? entry.record.name;
    const peer = makePeer({ record, bytes, endpoints, name, hasPetname: petname !== undefined });
    this.#check(peer);
    this.#requireOwnName(peer);
    this.#replace(known, peer);
    return peer;
  }

  /**
   * What a handshake brought; the name stays, and so does the address, which would lead elsewhere: a key never changes the one that
   * it has published. `undefined` where there is nothing new to take.
   */
  learn(entry: CheckedRecord): Peer | undefined {
    const known = this.#peers.get(toHex(entry.record.identityKey));
    if (known === undefined || compareRecords(known.record, entry.record) !== 'newer') return undefined;
    if (!sameAddress(known.record.address, entry.record.address)) return undefined;
    const { endpoints, name, hasPetname } = known;
    const peer = makePeer({ ...entry, endpoints, name: name.name, hasPetname });
    this.#replace(known, peer);
    return peer;
  }

  remove(key: string): void {
    const known = this.#peers.get(key);
    if (known !== undefined) this.#replace(known, undefined);
  }

  /** An endpoint is where to ask and not who somebody is: one that was taken earlier and is not today costs nobody the peer. */
  #withUsableEndpoints(peer: Peer): Peer {
    const endpoints = peer.endpoints.filter((endpoint) => {
      const error = whyRefused(endpoint);
      if (error === undefined) return true;
      this.#store.endpointLeftOut?.(peer, leftOut(peer, error));
      return false;
    });
    return { ...peer, endpoints };
  }

  #check({ record, endpoints }: Peer): void {
    if (record.address.network !== this.#owner.network) {
      throw new WarrenError(
        'ERR_WARREN_NETWORK',
        `that node belongs to network ${record.address.network}, this one to network ${this.#owner.network}`,
        'nodes of different networks cannot meet',
      );
    }
    if (endpoints.length > PEER_ENDPOINTS_MAX) throw localLimit('endpoints of one peer', PEER_ENDPOINTS_MAX);
    for (const endpoint of endpoints) parsePeerEndpoint(endpoint);
  }

  /** Nobody takes a name that leads elsewhere, to this node itself least of all. */
  #requireOwnName(peer: Peer): void {
    const { name } = peer.name;
    if (name === '') return;
    if (name === this.#owner.name) throw nameTaken(peer, 'this node calls itself');
    const holder = this.#byName.get(name);
    if (holder !== undefined && holder.key !== peer.key) {
      throw nameTaken(peer, `this node calls ${holder.name.address}`);
    }
  }

  #replace(known: Peer | undefined, peer: Peer | undefined): void {
    const others = this.all.filter((one) => one !== known);
    this.#store.save(peer === undefined ? others : [...others, peer]);
    if (known !== undefined) this.#leave(known);
    if (peer !== undefined) this.#enter(peer);
  }

  #enter(peer: Peer): void {
    this.#peers.set(peer.key, peer);
    if (peer.name.name !== '') this.#byName.set(peer.name.name, peer);
    addTo(this.#byAddress, peer.name.address, peer.key);
  }

  #leave(peer: Peer): void {
    this.#peers.delete(peer.key);
    this.#byName.delete(peer.name.name);
    takeFrom(this.#byAddress, peer.name.address, peer.key);
  }
}

export function makePeer(fields: PeerFields): Peer {
  const { record, bytes, endpoints, hasPetname } = fields;
  const key = toHex(record.identityKey);
  const name: PeerName = { address: formatAddress(record.address), name: fields.name, key };
  return { key, record, bytes, endpoints: [...endpoints], name, hasPetname };
}

function whyRefused(endpoint: string): WarrenError | undefined {
  try {
    parsePeerEndpoint(endpoint);
    return undefined;
  } catch (error) {
    if (error instanceof WarrenError) return error;
    throw error;
  }
}

function leftOut({ name }: Peer, { message }: WarrenError): WarrenError {
  return new WarrenError(
    'ERR_WARREN_ENDPOINT',
    `${display(name)} was saved with an endpoint that is left out: ${message}`,
    'warren peer add … --endpoint HOST:PORT gives it the right one',
  );
}

function checkPetname(petname: string): void {
  const fault = textFault(NAME, petname);
  if (fault === undefined) return;
  throw new WarrenError(
    'ERR_WARREN_ARGUMENT',
    `${quoteText(petname)} cannot be a name`,
    describeTextFault({ ...NAME, what: 'petname' }, fault),
  );
}

/** An older record changes nothing; two with one number show a key in two hands, or a broken owner. */
function newer(known: Peer, entry: CheckedRecord): CheckedRecord {
  switch (compareRecords(known.record, entry.record)) {
    case 'newer':
      return entry;
    case 'conflict':
      throw new WarrenError(
        'ERR_WARREN_RECORD_CONFLICT',
        `another record of ${known.name.address} with the same number is known`,
        'ask its owner which one is right; remove the peer to take the other',
      );
    default:
      return known;
  }
}

/** `holder` is whose the name is, as the end of a sentence. */
function nameTaken({ name: { name }, hasPetname }: Peer, holder: string): WarrenError {
  const claim = hasPetname ? `${name} is already` : `that node calls itself ${name}, which is already`;
  return new WarrenError(
    'ERR_WARREN_NAME_TAKEN',
    `${claim} what ${holder}`,
    `give it ${hasPetname ? 'another' : 'a'} name of your own: warren peer add … --as NAME`,
  );
}

/** The owner has given the node a name since, on the way that a daemon is started. */
function ownNameTaken({ name: { name, address } }: Peer): WarrenError {
  return new WarrenError(
    'ERR_WARREN_NAME_TAKEN',
    `this node cannot be called ${name}, which is what it calls ${address}`,
    'start it with another --name; warren peer add … --as NAME can then give that peer another one',
  );
}

function ownRecord(): WarrenError {
  return new WarrenError(
    'ERR_WARREN_OWN_RECORD',
    "this is this node's own record",
    'give it to the other side, and add the record of the other side here',
  );
}

export function unknownPeer(text: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_UNKNOWN_PEER',
    `this node knows no peer ${quoteText(text)}`,
    'warren peer list shows the peers it knows, warren peer add adds one',
  );
}

/** The first few are enough to see what it is about. */
function ambiguous(address: string, peers: readonly Peer[]): WarrenError {
  const shown = peers.slice(0, 4).map(({ name: { name }, key }) => `${name || 'one'} (key ${key.slice(0, 16)}…)`);
  return new WarrenError(
    'ERR_WARREN_AMBIGUOUS_PEER',
    `${peers.length} peers have the address ${address}: ${shown.join(', ')}`,
    'use the name or the key of the one you mean: warren peer list shows them',
  );
}

function addTo(index: Map<string, Set<string>>, name: string, key: string): void {
  const keys = index.get(name);
  if (keys === undefined) index.set(name, new Set([key]));
  else keys.add(key);
}

function takeFrom(index: Map<string, Set<string>>, name: string, key: string): void {
  const keys = index.get(name);
  keys?.delete(key);
  if (keys?.size === 0) index.delete(name);
}
