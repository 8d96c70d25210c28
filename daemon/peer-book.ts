import { toHex } from '../base/bytes.ts';
import { WarrenError } from '../base/errors.ts';
import { compareRecords } from '../crypto/records.ts';
import type { PeerName } from '../ipc/host.ts';
import { formatAddress, isAddressError, parseAddress } from '../wire/address.ts';
import { describeTextFault, NAME, textFault } from '../wire/names.ts';
import { quoteText } from './escape.ts';
import { parsePeerEndpoint } from './peer-endpoint.ts';
import type { CheckedRecord } from './record-text.ts';
import { localLimit } from './stream-errors.ts';

export const PEERS_MAX = 4_096;
export const PEER_ENDPOINTS_MAX = 8;

export interface Peer extends CheckedRecord {
  /** Hex of the identity key. */
  readonly key: string;
  /** Where it may be asked for, as it was given; checked. */
  readonly endpoints: readonly string[];
  /** What this node calls it; empty where it has no name for it. */
  readonly petname: string;
  /** How others are shown it. One object as long as nothing about it changes. */
  readonly name: PeerName;
}

/** Where the book lasts. */
export interface PeerBookStore {
  save(peers: readonly Peer[]): void;
}

/**
 * The peers this node knows, by key; only they get a session. At most `PEERS_MAX`, each with `PEER_ENDPOINTS_MAX` endpoints.
 *
 * A key is who somebody is, an address what that key derives to, which others can grind out; a petname is ours alone, the name in
 * a record its owner's choice. So a petname wins, and whatever else several peers answer to is an error, never a guess.
 *
 * Whatever changes is saved first: what cannot be saved has not happened.
 */
export class PeerBook {
  readonly #network: number;
  readonly #store: PeerBookStore;
  readonly #peers: Map<string, Peer> = new Map();
  readonly #byPetname: Map<string, Peer> = new Map();
  readonly #byRecordName: Map<string, Set<string>> = new Map();
  readonly #byAddress: Map<string, Set<string>> = new Map();

  constructor(network: number, store: PeerBookStore, peers: readonly Peer[] = []) {
    this.#network = network;
    this.#store = store;
    if (peers.length > PEERS_MAX) throw localLimit('peers', PEERS_MAX);
    for (const peer of peers) {
      this.#check(peer);
      this.#enter(peer);
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

  get all(): readonly Peer[] {
    return [...this.#peers.values()];
  }

  /** By petname, address, key, or the name in its record. Thrown: nobody, or more than one. */
  find(text: string): Peer {
    const petnamed = this.#byPetname.get(text);
    if (petnamed !== undefined) return petnamed;
    const address = parseAddress(text);
    const keys = isAddressError(address) ? this.#byRecordName.get(text) : this.#byAddress.get(formatAddress(address));
    if (keys !== undefined && keys.size > 1)
      throw ambiguous(
        text,
        [...keys].map((key) => this.#peers.get(key)!),
      );
    const [key] = keys ?? [text.toLowerCase()];
    const peer = this.#peers.get(key!);
    if (peer === undefined) throw unknown(text);
    return peer;
  }

  /** Adds a peer, or to what is known of one: endpoints and a petname that are given replace those there were. */
  add(entry: CheckedRecord & { readonly endpoints: readonly string[]; readonly petname?: string | undefined }): Peer {
    const key = toHex(entry.record.identityKey);
    const known = this.#peers.get(key);
    if (known === undefined && this.#peers.size >= PEERS_MAX) throw localLimit('peers', PEERS_MAX);
    const { record, bytes } = known === undefined ? entry : newer(known, entry);
    const endpoints = entry.endpoints.length === 0 && known !== undefined ? known.endpoints : entry.endpoints;
    const peer = makePeer({ record, bytes, endpoints, petname: entry.petname ?? known?.petname ?? '' });
    this.#check(peer);
    this.#replace(known, peer);
    return peer;
  }

  /** What a handshake brought. `undefined` where it is nothing new. */
  learn(entry: CheckedRecord): Peer | undefined {
    const known = this.#peers.get(toHex(entry.record.identityKey));
    if (known === undefined || compareRecords(known.record, entry.record) !== 'newer') return undefined;
    const peer = makePeer({ ...entry, endpoints: known.endpoints, petname: known.petname });
    this.#replace(known, peer);
    return peer;
  }

  remove(key: string): void {
    const known = this.#peers.get(key);
    if (known !== undefined) this.#replace(known, undefined);
  }

  #check(peer: Peer): void {
    const { record, petname, endpoints } = peer;
    if (record.address.network !== this.#network) {
      throw new WarrenError(
        'ERR_WARREN_NETWORK',
        `that node belongs to network ${record.address.network}, this one to network ${this.#network}`,
        'nodes of different networks cannot meet',
      );
    }
    const fault = petname === '' ? undefined : textFault(NAME, petname);
    if (fault !== undefined) {
      throw new WarrenError(
        'ERR_WARREN_NAME',
        `${quoteText(petname)} cannot be a name`,
        describeTextFault({ ...NAME, what: 'petname' }, fault),
      );
    }
    const owner = this.#byPetname.get(petname);
    if (owner !== undefined && owner.key !== peer.key) {
      throw new WarrenError(
        'ERR_WARREN_NAME_TAKEN',
        `${petname} is already what this node calls ${owner.name.address}`,
        'choose another petname, or remove that peer first',
      );
    }
    if (endpoints.length > PEER_ENDPOINTS_MAX) throw localLimit('endpoints of one peer', PEER_ENDPOINTS_MAX);
    for (const endpoint of endpoints) parsePeerEndpoint(endpoint);
  }

  #replace(known: Peer | undefined, peer: Peer | undefined): void {
    const others = this.all.filter((one) => one !== known);
    this.#store.save(peer === undefined ? others : [...others, peer]);
    if (known !== undefined) this.#leave(known);
    if (peer !== undefined) this.#enter(peer);
  }

  #enter(peer: Peer): void {
    this.#peers.set(peer.key, peer);
    if (peer.petname !== '') this.#byPetname.set(peer.petname, peer);
    if (peer.record.name !== '') addTo(this.#byRecordName, peer.record.name, peer.key);
    addTo(this.#byAddress, peer.name.address, peer.key);
  }

  #leave(peer: Peer): void {
    this.#peers.delete(peer.key);
    if (peer.petname !== '') this.#byPetname.delete(peer.petname);
    takeFrom(this.#byRecordName, peer.record.name, peer.key);
    takeFrom(this.#byAddress, peer.name.address, peer.key);
  }
}

export function makePeer(fields: Pick<Peer, 'record' | 'bytes' | 'endpoints' | 'petname'>): Peer {
  const { record, bytes, endpoints, petname } = fields;
  const key = toHex(record.identityKey);
  const name: PeerName = { address: formatAddress(record.address), name: petname === '' ? record.name : petname, key };
  return { key, record, bytes, endpoints: [...endpoints], petname, name };
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

function unknown(text: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_UNKNOWN_PEER',
    `this node knows no peer ${quoteText(text)}`,
    'warren peer list shows the peers it knows, warren peer add adds one',
  );
}

/** The first few are enough to see what it is about. */
function ambiguous(text: string, peers: readonly Peer[]): WarrenError {
  const shown = peers.slice(0, 4).map((peer) => `${peer.name.address} (key ${peer.key.slice(0, 16)}…)`);
  return new WarrenError(
    'ERR_WARREN_AMBIGUOUS_PEER',
    `${peers.length} peers are called ${quoteText(text)}: ${shown.join(', ')}`,
    'use the key, or give one of them a petname with warren peer add … --as NAME',
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
