import { assert } from '../base/assert.ts';
import { toHex } from '../base/bytes.ts';
import { WarrenError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import type { Identity } from '../crypto/identity.ts';
import { type IdentityProfile, isRecordError, signIdentityRecord } from '../crypto/records.ts';
import { systemNow } from '../ipc/clock.ts';
import type {
  AdminHost,
  Binding,
  DatagramBinding,
  DialTarget,
  Host,
  HostDatagram,
  IncomingStream,
  ListenOptions,
  NodeStatus,
  PeerEntry,
  PeerName,
  PeerReport,
  PeerStatus,
  PingOptions,
  PingReply,
  StreamEnd,
  StreamListener,
} from '../ipc/host.ts';
import { SharedQuota, type Standing } from '../ipc/shared-quota.ts';
import { serveEcho } from '../services/echo.ts';
import { DEFAULT_CONFIG, type TunnelConfig } from '../transport/constants.ts';
import type { DatagramPorts } from '../transport/endpoint.ts';
import type { ReceivedDatagram, TunnelEvent } from '../transport/events.ts';
import { formatAddress, isAddressError, parseAddress, sameAddress } from '../wire/address.ts';
import { encodeIdentityRecord, type IdentityRecord } from '../wire/records.ts';
import { AppHost } from './app-host.ts';
import { Datagrams, type DatagramWays } from './datagrams.ts';
import { EndpointDriver, type EndpointDriverOptions } from './endpoint-driver.ts';
import { type Lookup, lookupBySystem } from './lookup.ts';
import { loadNative, type Native, PLAIN } from './native.ts';
import { peerReport, peerStatus, routeText, tunnelStatus } from './node-status.ts';
import { NodeStreams } from './node-streams.ts';
import { Notices } from './notices.ts';
import { type Peer, PeerBook, unknownPeer } from './peer-book.ts';
import { decodePeerBook, encodePeerBook } from './peer-book-file.ts';
import type { LinkContext } from './peer-link.ts';
import { ping } from './ping.ts';
import { PortTable } from './ports.ts';
import { parseRecordText, recordText } from './record-text.ts';
import { shutdown } from './stream-errors.ts';
import { SystemRng } from './system-rng.ts';
import { DIALS_WAITING_KEPT, DIALS_WAITING_MAX } from './tunnel-streams.ts';
import { DATAGRAM_BYTES_MAX } from './udp-route.ts';

/** How long what was written may take to arrive when a node is closed. */
export const CLOSE_GRACE_MS = 5_000;
/** Tunnels that neither programs on `app.sock` nor peers that call can begin: the owner's dials reach so many peers more. */
export const TUNNELS_KEPT = 16;

/** The one network there is. */
export const NETWORK = 0;

/**
 * A node on real sockets: what the daemon runs and what an embedding program has in its own process. It knows no directory, no
 * configuration file and no signal: whoever opens it hands in ready values.
 *
 *     const node = await Node.open({ identity, profile: { name: 'alice' }, udp: { port: 4440 }, peers: store });
 *     node.listen({ port: 80 }, (stream) => stream.accept(listener));
 *     await node.close();
 *
 * Here is what a node is made of and who is who; how streams are dialled, told and ended stands in `node-streams.ts`, reaching a
 * peer in `peer-link.ts`, the peers in `peer-book.ts`.
 *
 * Only the peers in its book get a session, and every port is open to them. This node's own address, name and key mean itself,
 * whatever names others give themselves.
 */
export class Node implements AdminHost {
  readonly self: PeerName;
  readonly apps: Host = new AppHost(this);
  readonly #options: NodeOptions;
  readonly #config: TunnelConfig;
  readonly #rng: Rng;
  readonly #native: Native;
  readonly #crypto: CryptoBackend;
  readonly #record: Uint8Array;
  readonly #openedAt: number = performance.now();
  readonly #book: PeerBook;
  readonly #notices: Notices = new Notices();
  readonly #datagrams: Datagrams;
  #driver!: EndpointDriver;
  #streams!: NodeStreams;
  #isClosing = false;
  #closing: Promise<void> | undefined;
  /** While closing: asked after every turn whether it may go on. */
  #onTurn: (() => void) | undefined;

  private constructor(options: NodeOptions, native: Native) {
    this.#options = options;
    const { identity } = options;
    this.#config = { ...DEFAULT_CONFIG, mtuMax: DATAGRAM_BYTES_MAX, tunnelsKept: TUNNELS_KEPT, ...options.config };
    this.#native = native;
    this.#crypto = options.crypto ?? native.crypto;
    this.#rng = options.rng ?? new SystemRng();
    const record = signOwnRecord(options);
    this.#record = encodeIdentityRecord(record);
    const key = toHex(identity.signing.publicKey);
    this.self = { address: formatAddress(identity.address), name: record.name, key };
    this.#book = openBook(options, this.self, this.#crypto);
    const ways: DatagramWays = {
      self: this.self,
      find: (peer) => this.resolve(peer),
      send: (peer, ports, data, standing) => this.#sendDatagram(peer, ports, data, standing),
    };
    this.#datagrams = new Datagrams(ways, this.#notices);
  }

  /**
   * Reads the peer book (rejects with ERR_WARREN_PEER_BOOK) and binds the socket (rejects with a `BindError`:
   * ERR_WARREN_UDP_PORT_IN_USE or ERR_WARREN_BIND).
   */
  static async open(options: NodeOptions): Promise<Node> {
    const node = new Node(options, options.offload === false ? PLAIN : await loadNative());
    await node.#start();
    return node;
  }

  /** Of the UDP socket, as bound: `0.0.0.0` where there is no IPv6. */
  get localHost(): string {
    return this.#driver.localHost;
  }

  /** Likewise. */
  get localPort(): number {
    return this.#driver.localPort;
  }

  // Programs: `Host`.

  dial(target: DialTarget, listener: StreamListener, standing: Standing = 'owner'): StreamEnd {
    this.#requireOpen();
    return this.#streams.dial(this.#find(target.peer), target, listener, standing);
  }

  listen(options: ListenOptions, incoming: (stream: IncomingStream) => void, standing: Standing = 'owner'): Binding {
    this.#requireOpen();
    return this.#streams.listen(options, incoming, standing);
  }

  bind(port: number, receive: (datagram: HostDatagram) => void, standing: Standing = 'owner'): DatagramBinding {
    this.#requireOpen();
    return this.#datagrams.bind(port, receive, standing);
  }

  resolve(peer: string): PeerName {
    return this.#find(peer)?.name ?? this.self;
  }

  async ping(peer: string, options: PingOptions, standing: Standing = 'owner'): Promise<PingReply> {
    const found = this.#find(peer);
    const ways = {
      dial: (target: DialTarget, listener: StreamListener) => this.dial(target, listener, standing),
      now: systemNow,
      rng: this.#rng,
    };
    const roundTrip = await ping(ways, found?.name ?? this.self, options);
    const route = found && this.#driver.use((endpoint) => endpoint.tunnel(found.key)?.activeRoute);
    return { roundTrip, route: found === undefined ? 'self' : routeText(route) };
  }

  status(): NodeStatus {
    const { counts, errors, localHost, localPort, offload } = this.#driver;
    const { tunnels, drops } = this.#driver.use((endpoint) => ({
      tunnels: endpoint.tunnels,
      drops: endpoint.drops.entries(),
    }));
    return {
      ...this.self,
      version: this.#options.version ?? '',
      pid: process.pid,
      uptime: Math.round(performance.now() - this.#openedAt),
      udp: { host: localHost, port: localPort, ...offload },
      crypto: this.#crypto.name,
      listening: this.#streams.listening,
      tunnels: tunnels.map((tunnel) => {
        const streams = this.#streams.link(tunnel.key)?.streams.count ?? 0;
        return tunnelStatus(tunnel, this.#nameOf(tunnel.key, tunnel.known?.record), streams);
      }),
      streams: this.#streams.count,
      peers: this.#book.size,
      traffic: {
        bytesIn: counts.bytesReceived,
        bytesOut: counts.bytesSent,
        packetsIn: counts.datagramsReceived,
        packetsOut: counts.datagramsSent,
      },
      drops: { ...Object.fromEntries(drops), 'unbound-port': this.#datagrams.unbound },
      socketErrors: Object.fromEntries(errors),
    };
  }

  peers(): readonly PeerStatus[] {
    return this.#book.all.map((peer) => peerStatus(peer, this.#streams.link(peer.key)?.isUp === true));
  }

  why(peer: string): PeerReport {
    const found = this.#find(peer);
    if (found === undefined) {
      const callsItself = this.self.name;
      return { ...this.self, callsItself, endpoints: [], tunnel: undefined, routes: [], lastError: '', advice: '' };
    }
    const tunnel = this.#driver.use((endpoint) => endpoint.tunnel(found.key));
    return peerReport(found, this.#streams.link(found.key), tunnel);
  }

  // The owner: `AdminHost`.

  record(): string {
    return recordText(this.#record);
  }

  addPeer(entry: PeerEntry): PeerName {
    this.#requireOpen();
    const checked = parseRecordText(this.#crypto, entry.record);
    const peer = this.#book.add({ ...checked, endpoints: entry.endpoints, petname: entry.petname });
    this.#streams.link(peer.key)?.update(peer);
    this.#log('info', 'peer-added', { peer: peer.name.address, name: peer.name.name });
    return peer.name;
  }

  removePeer(peer: string): PeerName {
    this.#requireOpen();
    const found = this.#find(peer);
    if (found === undefined) throw unknownPeer(peer);
    this.#book.remove(found.key);
    this.#driver.use((endpoint, now) => endpoint.close(found.key, 'NOT_TRUSTED', '', now));
    this.#streams.drop(found.key);
    this.#log('info', 'peer-removed', { peer: found.name.address, name: found.name.name });
    return found.name;
  }

  listPeers(): readonly PeerStatus[] {
    return this.peers();
  }

  /** Calls `onShutdown`, or `close` where none was given. */
  shutdown(): void {
    if (this.#options.onShutdown !== undefined) this.#options.onShutdown();
    else void this.close();
  }

  /**
   * Takes no new work, lets what was written arrive (`CLOSE_GRACE_MS` at most), tells every peer, and leaves nothing behind. What
   * is still open then ends with ERR_WARREN_SHUTDOWN. Resolves when everybody has been told.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  // Names.

  /** `undefined` for this node itself. Thrown: nobody, or more than one. */
  #find(text: string): Peer | undefined {
    return this.#isSelf(text) ? undefined : this.#book.find(text);
  }

  #isSelf(text: string): boolean {
    if (text.toLowerCase() === this.self.key || (text !== '' && text === this.self.name)) return true;
    const address = parseAddress(text);
    return !isAddressError(address) && sameAddress(address, this.#options.identity.address);
  }

  /** A peer that has just left the book may still have a tunnel, but no name: what its record says is its own choice. */
  #nameOf(key: string, record: IdentityRecord | undefined): PeerName {
    const known = this.#book.get(key);
    if (known !== undefined) return known.name;
    return { address: record === undefined ? '' : formatAddress(record.address), name: '', key };
  }

  // What happens.

  async #start(): Promise<void> {
    const { identity, udp, rng } = this.#options;
    this.#driver = await EndpointDriver.open({
      crypto: this.#crypto,
      identity,
      record: this.#record,
      admit: (record) => this.#book.has(toHex(record.identityKey)),
      recall: (record) => this.#book.recall(record),
      // A session may have been on its way while its peer was removed.
      admitStream: (record) => this.#book.has(toHex(record.identityKey)),
      config: this.#config,
      ffi: this.#native.ffi,
      ...(rng === undefined ? {} : { rng }),
      ...udp,
      listener: {
        event: (event) => this.#handleTunnel(event),
        stream: (event) => this.#streams.handle(event),
        datagram: (datagram) => this.#handleDatagram(datagram),
        told: () => this.#endTurn(),
      },
    });
    this.#streams = new NodeStreams(this.self, this.#makeContext());
    if (this.#options.echo !== false) serveEcho(this);
  }

  #makeContext(): LinkContext {
    const node = this;
    const { tunnelsMax, tunnelsKept } = this.#config;
    return {
      driver: this.#driver,
      notices: this.#notices,
      ports: new PortTable(),
      dialsWaiting: new SharedQuota(DIALS_WAITING_MAX, DIALS_WAITING_KEPT),
      lookup: this.#options.lookup ?? lookupBySystem,
      tunnelsFor: (standing) => (standing === 'owner' ? tunnelsMax : tunnelsMax - tunnelsKept),
      get isClosing(): boolean {
        return node.#isClosing;
      },
    };
  }

  #handleTunnel(event: TunnelEvent): void {
    const peer = this.#book.get(event.peer);
    const link = peer === undefined ? this.#streams.link(event.peer) : this.#streams.linkTo(peer);
    switch (event.kind) {
      case 'tunnel-up':
        if (peer === undefined) {
          // Its session was on its way when it was removed.
          this.#driver.use((endpoint, now) => endpoint.close(event.peer, 'NOT_TRUSTED', '', now));
          return;
        }
        this.#log('info', 'tunnel-up', { ...named(peer.name), route: routeText(event.route) });
        link?.tunnelUp();
        return;
      case 'tunnel-down': {
        const error = link?.tunnelDown(event.reason, event.unread);
        if (link !== undefined) this.#log('info', 'tunnel-down', { ...named(link.name), error });
        return;
      }
      case 'path-changed':
        if (link !== undefined)
          this.#log('info', 'path-changed', { ...named(link.name), route: routeText(event.route) });
        return;
      case 'rekeyed':
        if (link !== undefined) this.#log('debug', 'rekeyed', { ...named(link.name), generation: event.generation });
        return;
      case 'record':
        this.#learn(event.record, event.bytes);
    }
  }

  /** A newer record takes the place of the one in the book, where it can be saved there. The name stays. */
  #learn(record: IdentityRecord, bytes: Uint8Array): void {
    try {
      const peer = this.#book.learn({ record, bytes });
      if (peer === undefined) return;
      this.#streams.link(peer.key)?.renew(peer);
      const { name: callsItself, sequence } = record;
      this.#log('info', 'record-learned', { ...named(peer.name), callsItself, sequence });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#log('warn', 'record-not-saved', { peer: formatAddress(record.address), error });
    }
  }

  #handleDatagram({ peer, sourcePort, destinationPort, data }: ReceivedDatagram): void {
    const known = this.#book.get(peer);
    if (known !== undefined) this.#datagrams.deliver(destinationPort, { peer: known.name, port: sourcePort, data });
  }

  #sendDatagram(to: PeerName, ports: DatagramPorts, data: Uint8Array, standing: Standing): void {
    this.#requireOpen();
    const peer = this.#book.get(to.key);
    assert(peer !== undefined, 'who was just found is in the book');
    this.#streams.linkTo(peer).sendDatagram(ports, data, standing);
  }

  #endTurn(): void {
    this.#notices.tellSome();
    this.#onTurn?.();
  }

  // The end.

  async #close(): Promise<void> {
    this.#isClosing = true;
    this.#log('info', 'closing', { streams: this.#streams.count });
    this.#streams.refuseNew();
    await this.#delivered();
    await this.#driver.close();
    this.#streams.endRest();
    while (!this.#notices.isEmpty) await new Promise<void>((resolve) => setImmediate(resolve));
    this.#log('info', 'closed', {});
  }

  #delivered(): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#onTurn = undefined;
        resolve();
      };
      const timer = setTimeout(end, CLOSE_GRACE_MS);
      this.#onTurn = () => {
        if (this.#streams.isDelivered) end();
      };
      this.#onTurn();
    });
  }

  #requireOpen(): void {
    if (this.#isClosing) throw shutdown();
  }

  #log(level: NodeEvent['level'], event: string, fields: NodeEvent['fields']): void {
    this.#options.log?.({ level, event, fields });
  }
}

export interface NodeOptions {
  readonly identity: Identity;
  /** What the node's record says beside its keys; all of it may be left out. `sequence` is the wall clock where it is not given. */
  readonly profile?: Partial<IdentityProfile> | undefined;
  /** `host` all addresses, `port` any free one, where left out. */
  readonly udp?: Pick<EndpointDriverOptions, 'host' | 'port' | 'createSocket'> | undefined;
  readonly config?: Partial<TunnelConfig> | undefined;
  /** Where the peer book lasts; in memory only where left out. */
  readonly peers?: PeerStore | undefined;
  /** Shown by `status`. */
  readonly version?: string | undefined;
  readonly log?: ((event: NodeEvent) => void) | undefined;
  readonly onShutdown?: (() => void) | undefined;
  /** Whether port 7 echoes, as `ping` from elsewhere needs; it does where left out. */
  readonly echo?: boolean | undefined;
  /** Whether the system's help is used where it has any (`native.ts`); it is where left out. */
  readonly offload?: boolean | undefined;
  /** The system's where left out. */
  readonly crypto?: CryptoBackend | undefined;
  readonly rng?: Rng | undefined;
  readonly lookup?: Lookup | undefined;
}

export interface PeerStore {
  /** What was saved last; `undefined` where nothing was. */
  load(): Uint8Array | undefined;
  /** Durable when it returns; throws a `WarrenError` where it cannot. */
  save(bytes: Uint8Array): void;
}

/** For a log: what happened, in fields. Texts may hold what a peer said, in the alphabet that records allow; errors what they quote. */
export interface NodeEvent {
  readonly level: 'debug' | 'info' | 'warn';
  readonly event: string;
  readonly fields: Readonly<Record<string, string | number | Error | undefined>>;
}

function signOwnRecord({ identity, profile }: NodeOptions): IdentityRecord {
  const record = signIdentityRecord(identity, {
    sequence: profile?.sequence ?? Date.now(),
    name: profile?.name ?? '',
    tags: profile?.tags ?? [],
    capabilities: profile?.capabilities ?? [],
    homes: profile?.homes ?? [],
  });
  if (!isRecordError(record)) return record;
  throw new WarrenError(
    'ERR_WARREN_ARGUMENT',
    `this node's own record cannot say that (${record.reason})`,
    'a name has at most 63 lower-case letters, digits and hyphens; a record at most 600 bytes',
  );
}

function openBook({ identity, peers, log }: NodeOptions, { key, name }: PeerName, crypto: CryptoBackend): PeerBook {
  const bytes = peers?.load();
  const known = bytes === undefined ? [] : decodePeerBook(crypto, bytes, name);
  const save = (all: readonly Peer[]): void => peers?.save(encodePeerBook(all));
  const endpointLeftOut = (peer: Peer, error: WarrenError): void =>
    log?.({ level: 'warn', event: 'endpoint-left-out', fields: { ...named(peer.name), error } });
  return new PeerBook({ network: identity.address.network, key, name }, { save, endpointLeftOut }, known);
}

function named(name: PeerName): { readonly peer: string; readonly name: string } {
  return { peer: name.address, name: name.name };
}
