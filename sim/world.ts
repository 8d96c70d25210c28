import { assert } from '../base/assert.ts';
import { compare, toHex } from '../base/bytes.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import { createIdentity, type Identity } from '../crypto/identity.ts';
import { isRecordError, signIdentityRecord } from '../crypto/records.ts';
import type { TunnelConfig } from '../transport/constants.ts';
import type { EndpointOptions, PeerStreamEvent } from '../transport/endpoint.ts';
import type { TunnelEvent } from '../transport/events.ts';
import type { Tunnel, TunnelState } from '../transport/tunnel.ts';
import { ByteReader } from '../wire/reader.ts';
import { encodeIdentityRecord } from '../wire/records.ts';
import { ByteWriter } from '../wire/writer.ts';
import { type SimAddress, simAddress } from './address.ts';
import { auditBackend } from './audited-backend.ts';
import { SimFailure } from './failure.ts';
import type { LinkConfig } from './link-config.ts';
import { Network } from './network.ts';
import { type NodeWatch, SimNode } from './node.ts';
import type { SeededRng } from './rng.ts';
import { SharedHost } from './shared-host.ts';
import { Trace } from './trace.ts';

/**
 * Nodes in a simulated network, and what they say to each other: every datagram an application sends is numbered, and what
 * arrives is held against what was sent. The checks that follow from that (reliability: I2, I4) and the audit of nonces (I3)
 * are always on; a scenario adds its own.
 */
export class World {
  readonly network: Network;
  readonly trace: Trace;
  readonly #options: WorldOptions;
  readonly #crypto: ReturnType<typeof auditBackend>;
  readonly #peers: Map<string, SimPeer> = new Map();
  readonly #letters: Map<string, Letters> = new Map();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#crypto = auditBackend(options.crypto);
    this.network = new Network({ seed: options.seed, ...(options.link === undefined ? {} : { link: options.link }) });
    this.trace = new Trace(options.trace === undefined ? {} : { live: options.trace });
    this.network.observe(this.trace);
  }

  get peers(): readonly SimPeer[] {
    return [...this.#peers.values()];
  }

  /** `config` is what differs at this node from the world's. */
  addPeer(name: string, config: Partial<TunnelConfig> = {}): SimPeer {
    const peer = this.#makePeer(name, name, config);
    this.network.addHost({ name, addresses: [peer.address] });
    this.start(peer);
    return peer;
  }

  /** Peers on one host, which share its links as the machines behind one router do. They never restart or move. */
  addPeersBehind(
    host: string,
    count: number,
    config: (index: number) => Partial<TunnelConfig> = () => ({}),
  ): SimPeer[] {
    const peers = Array.from({ length: count }, (_, i) => this.#makePeer(`${host}${i}`, host, config(i)));
    const nodes = peers.map((peer) => ({ address: peer.address, node: this.#makeNode(peer) }));
    this.network.addHost({ name: host, addresses: peers.map((peer) => peer.address), machine: new SharedHost(nodes) });
    return peers;
  }

  #makePeer(name: string, host: string, config: Partial<TunnelConfig>): SimPeer {
    const rng = this.network.rng(`peer ${name}`);
    const identity = createIdentity(this.#crypto, rng, 0);
    const address = simAddress(`10.0.0.${this.#peers.size + 1}`, 4440);
    const peer = new SimPeer({ name, host, identity, rng, config: { ...this.#options.config, ...config } }, address);
    this.#peers.set(name, peer);
    return peer;
  }

  /** A daemon starts, for the first time or again: nothing but the keys is left of what it knew. */
  start(peer: SimPeer): void {
    this.network.attach(peer.host, this.#makeNode(peer));
  }

  #makeNode(peer: SimPeer): SimNode {
    const record = signIdentityRecord(peer.identity, {
      sequence: peer.starts++,
      name: peer.name,
      tags: [],
      capabilities: [],
      homes: [],
    });
    assert(!isRecordError(record), 'a simulated record is valid');
    const node = new SimNode(
      {
        crypto: this.#crypto,
        rng: peer.rng.fork(`run ${peer.starts}`),
        identity: peer.identity,
        record: encodeIdentityRecord(record),
        config: peer.config,
        ...(this.#options.parts === undefined ? {} : { parts: this.#options.parts }),
        listener: {
          event: (event) => this.#noteEvent(peer, event),
          datagram: (datagram) => this.#checkDatagram(peer, datagram.peer, datagram.data),
          stream: (event) => peer.onStream?.(event),
        },
        watch: this.#options.watch,
      },
      this.network.now,
    );
    peer.node = node;
    return node;
  }

  crash(peer: SimPeer): void {
    this.network.crash(peer.host);
  }

  /** From another address on, as after a NAT has forgotten the old one. Nobody is told. */
  rebind(peer: SimPeer, port: number): void {
    peer.address = simAddress(peer.address.ip, port);
    this.network.rebind(peer.host, [peer.address]);
  }

  connect(from: SimPeer, to: SimPeer): void {
    const { endpoint } = from.node;
    endpoint.connect(to.keys, [from.node.routeTo(to.address)], this.network.now);
    from.node.drain();
    this.network.touch(from.host);
  }

  /** One numbered datagram; false where the tunnel does not take it. */
  send(from: SimPeer, to: SimPeer, length = 64): boolean {
    const letters = this.#lettersOf(from.key, to.key);
    const data = writeLetter(letters.sent, Math.max(length, LETTER_HEADER_BYTES));
    const ports = { source: 50_000, destination: 7 };
    if (from.node.endpoint.sendDatagram(to.key, ports, data, this.network.now) !== 'queued') return false;
    letters.sent += 1;
    this.network.touch(from.host);
    return true;
  }

  /** How many numbered datagrams went from one to the other, and how many arrived. */
  letters(from: SimPeer, to: SimPeer): { readonly sent: number; readonly received: number } {
    const { sent, received } = this.#lettersOf(from.key, to.key);
    return { sent, received: received.size };
  }

  /** Both ends send in the same session, confirmed on both sides, and every other is on its way out. */
  hasConverged(a: SimPeer, b: SimPeer): boolean {
    const mine = currentSession(a.tunnelTo(b));
    const theirs = currentSession(b.tunnelTo(a));
    if (mine === undefined || theirs === undefined) return false;
    return mine.localId === theirs.remoteId && mine.remoteId === theirs.localId;
  }

  fail(reason: string, peer?: SimPeer): SimFailure {
    return this.network.failure(reason, peer?.name);
  }

  #noteEvent(peer: SimPeer, event: TunnelEvent): void {
    peer.events.push(event);
    const detail = event.kind === 'tunnel-down' ? ` ${event.reason.kind}` : '';
    this.network.note(peer.name, `${event.kind}${detail} ${event.peer.slice(0, 8)}`);
  }

  #checkDatagram(receiver: SimPeer, senderKey: string, data: Uint8Array): void {
    const letters = this.#lettersOf(senderKey, receiver.key);
    const number = readLetter(data);
    if (number === undefined || number >= letters.sent) {
      throw new SimFailure('I2: a datagram arrived that its peer never sent');
    }
    if (letters.received.has(number)) throw new SimFailure(`I4: datagram ${number} was delivered twice`);
    letters.received.add(number);
    this.network.note(receiver.name, `datagram ${number} from ${senderKey.slice(0, 8)}`);
  }

  #lettersOf(from: string, to: string): Letters {
    const key = `${from}>${to}`;
    let letters = this.#letters.get(key);
    if (letters === undefined) {
      letters = { sent: 0, received: new Set() };
      this.#letters.set(key, letters);
    }
    return letters;
  }
}

export interface WorldOptions {
  readonly seed: number;
  readonly crypto: CryptoBackend;
  readonly link?: Partial<LinkConfig>;
  readonly config?: Partial<TunnelConfig>;
  /** To plant a fault and see it found; nothing outside the simulator reaches this. */
  readonly parts?: NonNullable<EndpointOptions['parts']>;
  /** What is checked of every node beside what this world checks. */
  readonly watch?: NodeWatch;
  /** Prints every event as it happens. */
  readonly trace?: (line: string) => void;
}

/** Somebody with a key and an address; the node it runs is another after every start. */
export class SimPeer {
  readonly name: string;
  /** Where it runs: what links and crashes go by. */
  readonly host: string;
  readonly identity: Identity;
  readonly rng: SeededRng;
  /** The same after each start. */
  readonly config: Partial<TunnelConfig>;
  readonly key: string;
  readonly events: TunnelEvent[] = [];
  /** What its programs do when something happens to a stream. */
  onStream: ((event: PeerStreamEvent) => void) | undefined;
  address: SimAddress;
  starts = 0;
  #node: SimNode | undefined;

  constructor(options: Pick<SimPeer, 'name' | 'host' | 'identity' | 'rng' | 'config'>, address: SimAddress) {
    this.name = options.name;
    this.host = options.host;
    this.identity = options.identity;
    this.rng = options.rng;
    this.config = options.config;
    this.key = toHex(options.identity.signing.publicKey);
    this.address = address;
  }

  get node(): SimNode {
    assert(this.#node !== undefined, 'a peer is started when it is added');
    return this.#node;
  }

  set node(node: SimNode) {
    this.#node = node;
  }

  get keys(): { identityKey: Uint8Array; staticKey: Uint8Array } {
    return { identityKey: this.identity.signing.publicKey, staticKey: this.identity.exchange.publicKey };
  }

  isLowerThan(other: SimPeer): boolean {
    return compare(this.identity.signing.publicKey, other.identity.signing.publicKey) < 0;
  }

  tunnelTo(other: SimPeer): Tunnel | undefined {
    return this.node.endpoint.tunnel(other.key);
  }
}

/** The confirmed session it sends in, where no other is left that could take over. */
function currentSession(tunnel: Tunnel | undefined): TunnelState['sessions'][number] | undefined {
  const lasting = tunnel?.inspect().sessions.filter((session) => !session.isReplaced) ?? [];
  const [session] = lasting;
  return lasting.length === 1 && session?.isSending && session.isConfirmed ? session : undefined;
}

interface Letters {
  sent: number;
  readonly received: Set<number>;
}

/** A number, then bytes that follow from it, so that a mixed-up one shows. */
const LETTER_HEADER_BYTES = 4;

function writeLetter(number: number, length: number): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(length));
  writer.u32(number);
  for (let i = LETTER_HEADER_BYTES; i < length; i++) writer.u8((number * 31 + i * 7) & 0xff);
  return writer.buffer;
}

function readLetter(data: Uint8Array): number | undefined {
  const reader = new ByteReader(data);
  const number = reader.u32();
  for (let i = LETTER_HEADER_BYTES; i < data.length; i++)
    if (reader.u8() !== ((number * 31 + i * 7) & 0xff)) return undefined;
  return reader.finish() === undefined ? number : undefined;
}
