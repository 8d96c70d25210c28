import { BoundedQueue } from '../base/bounded.ts';
import { equal, toHex } from '../base/bytes.ts';
import type { Rng } from '../base/rng.ts';
import type { Instant } from '../base/time.ts';
import { earliest } from '../base/time.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import type { Identity } from '../crypto/identity.ts';
import { isLowOrder } from '../crypto/x25519-point.ts';
import type { CloseCode } from '../wire/close-codes.ts';
import { isDecodeError } from '../wire/decode-error.ts';
import type { Priority } from '../wire/frames.ts';
import type { CookiePacket, DataPacket, ResponsePacket } from '../wire/packet.ts';
import {
  createDataPacket,
  decodePacket,
  packetLengthAt,
  RESPONSE_BYTES,
  type WritableDataPacket,
} from '../wire/packet.ts';
import type { IdentityRecord } from '../wire/records.ts';
import type { TunnelConfig } from './constants.ts';
import { DEFAULT_CONFIG, EVENTS_QUEUED_MAX } from './constants.ts';
import type { DropReason } from './drops.ts';
import { DropCounts } from './drops.ts';
import type { ReceivedDatagram, TunnelEvent } from './events.ts';
import { Gate } from './gate.ts';
import type { PeerKeys } from './handshake.ts';
import { BACKLOG_DEFAULT } from './listeners.ts';
import { type PeerStreamEvent, PeerStreams } from './peer-streams.ts';
import type { Provisional } from './provisional.ts';
import { ProvisionalTable } from './provisional.ts';
import { ReceivedDatagrams } from './received-datagrams.ts';
import { Reception } from './reception.ts';
import type { ReplayWindow } from './replay-window.ts';
import { SlidingReplayWindow } from './replay-window.ts';
import { Replies } from './replies.ts';
import type { Route } from './route.ts';
import { Scratch } from './scratch.ts';
import { SessionOwners } from './session-owners.ts';
import { NodeBudget } from './streams/flow-control.ts';
import type { Transmit } from './transmit.ts';
import { Tunnel } from './tunnel.ts';
import type { SendResult, TunnelChoices, TunnelNode, TunnelPlace, TunnelState } from './tunnel-node.ts';
import { TunnelTable } from './tunnel-table.ts';

export type { PeerStreamEvent } from './peer-streams.ts';

/**
 * A node's whole tunnel layer, without sockets or clocks: it takes datagrams and the time, and gives datagrams, events and the
 * next time it wants to be called. After each input: `pollTransmit` until it gives nothing, then `pollEvent` and
 * `pollDatagram`, then `nextTimeout`.
 *
 * It sorts packets by the session id they carry, and decides whether the answer to a handshake of ours continues a tunnel or shows
 * that the peer restarted. Strangers are received in `Reception`, tunnels come, go and take turns in `TunnelTable`, programs find
 * their streams in `PeerStreams`; what happens inside a tunnel is the tunnel's.
 */
export class Endpoint {
  readonly drops: DropCounts = new DropCounts();
  readonly #identity: Identity;
  readonly #budget: NodeBudget = new NodeBudget();
  readonly #gate: Gate;
  #record: Uint8Array;

  readonly #owners: SessionOwners<Tunnel | Provisional>;
  readonly #provisional: ProvisionalTable;
  readonly #tunnels: TunnelTable;
  readonly #reception: Reception;
  readonly #streams: PeerStreams;
  readonly #replies: Replies = new Replies();
  readonly #events: BoundedQueue<TunnelEvent> = new BoundedQueue(EVENTS_QUEUED_MAX);
  readonly #received: ReceivedDatagrams = new ReceivedDatagrams();
  #isRepliesTurn = false;
  /** The data packet in hand. */
  readonly #packet: WritableDataPacket = createDataPacket();

  constructor(options: EndpointOptions, now: Instant) {
    const { crypto, rng, identity, admit, admitStream = () => true } = options;
    const config = { ...DEFAULT_CONFIG, ...options.config };
    const replies = this.#replies;
    this.#identity = identity;
    this.#budget.pieceDone = options.pieceDone;
    if (options.allocate !== undefined) this.#budget.chunks.allocate = options.allocate;
    if (options.free !== undefined) this.#budget.chunks.free = options.free;
    this.#record = options.record;
    this.#gate = new Gate({ crypto, rng, staticKey: identity.exchange.publicKey, config }, now);
    const gate = this.#gate;
    const owners = new SessionOwners<Tunnel | Provisional>(rng);
    const provisional = new ProvisionalTable((id) => owners.release(id));
    this.#owners = owners;
    this.#provisional = provisional;
    const node = this.#makeNode(options, config);
    const tunnels = new TunnelTable({ node, provisional, replies, removed: (tunnel) => this.#streams.forget(tunnel) });
    this.#tunnels = tunnels;
    this.#streams = new PeerStreams(tunnels, admitStream);
    this.#reception = new Reception({ node, gate, tunnels, owners, provisional, replies, admit });
  }

  #makeNode(options: EndpointOptions, config: TunnelConfig): TunnelNode {
    const endpoint = this;
    const { crypto, rng, identity, recall, parts } = options;
    return {
      ...{ crypto, rng, identity, recall, config },
      budget: this.#budget,
      scratch: new Scratch(),
      get record(): Uint8Array {
        return endpoint.#record;
      },
      createReplayWindow: parts?.createReplayWindow ?? (() => new SlidingReplayWindow()),
      noteStreams: (tunnel) => this.#streams.note(tunnel),
      admitStream: (tunnel, port) => this.#streams.admit(tunnel, port),
      claimId: (tunnel) => this.#owners.claim(tunnel),
      releaseId: (id) => this.#owners.release(id),
      emit: (event) => this.#events.push(event),
      deliver: (datagram) => this.#received.push(datagram),
      drop: (reason) => this.drops.add(reason),
    };
  }

  // What the owner asks for.

  /** A newer record of our own; peers learn it with the next handshake. */
  setRecord(record: Uint8Array): void {
    this.#record = record;
  }

  /** Starts or hastens a tunnel; datagrams and streams may be sent into it at once. `choices` and `place` are for a tunnel that this begins. */
  connect(
    peer: PeerKeys,
    routes: readonly Route[],
    now: Instant,
    choices: TunnelChoices = {},
    place: TunnelPlace = 'common',
  ): ConnectResult {
    const identity = this.#identity;
    if (equal(peer.identityKey, identity.signing.publicKey) || equal(peer.staticKey, identity.exchange.publicKey)) {
      return 'own-key';
    }
    // A low-order point gives zero with every scalar: no handshake can be written to it.
    if (isLowOrder(peer.staticKey)) return 'bad-key';
    const key = toHex(peer.identityKey);
    let tunnel = this.#tunnels.get(key);
    if (tunnel !== undefined && !equal(tunnel.peer.staticKey, peer.staticKey)) {
      // Whoever is talked to has proved its key; a key that was only tried may have been the wrong one.
      if (tunnel.state === 'open') return 'other-key';
      this.#tunnels.forget(tunnel);
      tunnel = undefined;
    }
    if (tunnel?.state === 'closing') {
      this.#tunnels.forget(tunnel);
      tunnel = undefined;
    }
    if (tunnel === undefined) {
      if (!this.#tunnels.makeRoom(place, now)) return 'tables-full';
      const localIncarnation = this.#tunnels.incarnationFor(key);
      tunnel = this.#tunnels.create({ peer, localIncarnation, remoteIncarnation: undefined, choices, place }, now);
    }
    tunnel.connect(routes, now);
    this.#tunnels.touch(tunnel);
    return 'started';
  }

  /** `data` is the endpoint's from now on. */
  sendDatagram(peer: string, ports: DatagramPorts, data: Uint8Array, now: Instant): SendResult {
    const tunnel = this.#tunnels.get(peer);
    if (tunnel === undefined) return 'closed';
    const result = tunnel.sendDatagram(ports.source, ports.destination, data, now);
    this.#tunnels.touch(tunnel);
    return result;
  }

  close(peer: string, code: CloseCode, reason: string, now: Instant): void {
    const tunnel = this.#tunnels.get(peer);
    if (tunnel === undefined) return;
    tunnel.close(code, reason, now);
    this.#tunnels.touch(tunnel);
  }

  tunnel(peer: string): Tunnel | undefined {
    return this.#tunnels.get(peer);
  }

  get tunnels(): readonly Tunnel[] {
    return this.#tunnels.all;
  }

  /** Sessions that somebody has asked for and nobody has used yet. */
  get provisionalCount(): number {
    return this.#provisional.size;
  }

  get datagramsDropped(): number {
    return this.#received.dropped;
  }

  /** Everything but counters, for tests that must see that nothing changed. */
  inspect(): EndpointState {
    return {
      tunnels: this.tunnels.map((tunnel) => tunnel.inspect()),
      provisional: this.#provisional.all.map((one) => one.session.localId),
      sessionIds: this.#owners.size,
      replies: this.#replies.length,
      events: this.#events.length,
      received: this.#received.length,
      budget: this.#budget.used,
    };
  }

  // Streams.

  /** Programs listen on a port of this node, whoever connects; false where one does already. */
  listen(port: number, backlog: number = BACKLOG_DEFAULT): boolean {
    return this.#streams.listen(port, backlog);
  }

  unlisten(port: number): void {
    this.#streams.unlisten(port);
  }

  /** The id of a new stream to a port of the peer; what is written at once rides with its opening. */
  openStream(peer: string, ports: DatagramPorts, priority: Priority, now: Instant): number | 'stream-limit' | 'closed' {
    return this.#streams.open(peer, ports, priority, now);
  }

  acceptStream(peer: string, stream: number, port: number, now: Instant): void {
    this.#streams.accept(peer, stream, port, now);
  }

  /** Whoever gets `opened` takes the stream with `acceptStream`, or turns it away with this. */
  refuseStream(peer: string, stream: number, port: number, now: Instant): void {
    this.#streams.refuse(peer, stream, port, now);
  }

  /**
   * How many bytes were taken; `writable` follows where that is not all. `isLeftAlone`: what was taken stays as it is until it has
   * arrived, so large pieces are not copied.
   */
  writeStream(peer: string, stream: number, data: Uint8Array, now: Instant, isLeftAlone?: boolean): number | 'ended' {
    return this.#streams.write(peer, stream, data, now, isLeftAlone);
  }

  readStream(peer: string, stream: number, now: Instant, givesBack?: boolean): Uint8Array | undefined {
    return this.#streams.read(peer, stream, now, givesBack);
  }

  /** What `readStream` gave to somebody who gives back, once nobody uses it any more: others may have its memory. */
  giveBack(bytes: Uint8Array): void {
    this.#budget.chunks.giveBack(bytes);
  }

  finishStream(peer: string, stream: number, now: Instant): void {
    this.#streams.finish(peer, stream, now);
  }

  resetStream(peer: string, stream: number, code: number, now: Instant): void {
    this.#streams.reset(peer, stream, code, now);
  }

  stopStream(peer: string, stream: number, code: number, now: Instant): void {
    this.#streams.stop(peer, stream, code, now);
  }

  pollStreamEvent(): PeerStreamEvent | undefined {
    return this.#streams.pollEvent();
  }

  // What the edge drives.

  /**
   * One read, possibly of several packets; gives how many. The bytes are opened in place: they are the endpoint's, and worthless
   * afterwards.
   */
  handleDatagram(route: Route, bytes: Uint8Array, now: Instant): number {
    let packets = 0;
    for (let offset = 0; offset < bytes.length; ) {
      const length = packetLengthAt(bytes, offset);
      packets += 1;
      if (length === 0) {
        this.drops.add('unsplittable');
        return packets;
      }
      const end = offset + length;
      const refusal = this.#handlePacket(route, bytes, offset, end, now);
      if (refusal !== undefined) this.drops.add(refusal);
      offset = end;
    }
    return packets;
  }

  handleTimeout(now: Instant): void {
    this.#provisional.handleTimeout(now);
    this.#tunnels.handleTimeout(now);
  }

  nextTimeout(): Instant {
    return earliest(this.#provisional.nextTimeout(), this.#tunnels.nextTimeout());
  }

  /** Writes the next batch to the start of `buffer` (64 KiB); `undefined` when there is nothing to send. */
  pollTransmit(buffer: Uint8Array, now: Instant): Transmit | undefined {
    // By turns: strangers who are answered do not hold up tunnels, nor these them.
    this.#isRepliesTurn = !this.#isRepliesTurn;
    if (this.#isRepliesTurn) return this.#replies.write(buffer) ?? this.#tunnels.pollTransmit(buffer, now);
    return this.#tunnels.pollTransmit(buffer, now) ?? this.#replies.write(buffer);
  }

  pollEvent(): TunnelEvent | undefined {
    return this.#events.shift();
  }

  pollDatagram(): ReceivedDatagram | undefined {
    return this.#received.shift();
  }

  // Packets.

  #handlePacket(route: Route, bytes: Uint8Array, start: number, end: number, now: Instant): DropReason | undefined {
    const packet = decodePacket(bytes, start, end, this.#packet);
    if (isDecodeError(packet)) return packet.reason;
    switch (packet.kind) {
      case 'data':
        return this.#handleData(packet, route, now);
      case 'initiation':
        return this.#reception.handleInitiation(packet, route, now);
      case 'response':
        return this.#handleResponse(packet, route, now);
      case 'cookie':
        return this.#handleCookie(packet, route, now);
    }
  }

  #handleData(packet: DataPacket, route: Route, now: Instant): DropReason | undefined {
    const owner = this.#owners.get(packet.receiverSession);
    if (owner === undefined) return 'unknown-session';
    if (!(owner instanceof Tunnel)) return this.#reception.confirm(owner, packet, route, now);
    const refusal = owner.handlePacket(packet, route, now);
    this.#tunnels.touch(owner);
    return refusal;
  }

  #handleResponse(packet: ResponsePacket, route: Route, now: Instant): DropReason | undefined {
    if (!this.#gate.isForUs(packet.beforeMac1, packet.mac1)) return 'bad-mac1';
    const owner = this.#owners.get(packet.receiverSession);
    if (!(owner instanceof Tunnel)) return 'unknown-session';
    const attempt = owner.attemptFor(packet.receiverSession, now);
    if (attempt === undefined) return 'unexpected';
    const established = attempt.handshake.complete(packet, owner.known);
    if (established.kind === 'refused') return established.reason;
    const { localIncarnation } = owner;
    if (owner.wasWith(established.incarnation)) {
      established.sealing.wipe();
      established.opening.wipe();
      this.#tunnels.beginAnew(owner, now);
      return undefined;
    }
    const tunnel = owner.isWith(established.incarnation)
      ? owner
      : this.#tunnels.replace(owner, owner.peer, { localIncarnation, remoteIncarnation: established.incarnation }, now);
    this.#owners.set(attempt.localId, tunnel);
    this.#provisional.dropOlder(tunnel.key, established.incarnation, attempt.startedAt);
    tunnel.handleEstablished(attempt, established, { route, length: RESPONSE_BYTES }, now);
    this.#tunnels.touch(tunnel);
    return undefined;
  }

  #handleCookie(packet: CookiePacket, route: Route, now: Instant): DropReason | undefined {
    const owner = this.#owners.get(packet.receiverSession);
    if (!(owner instanceof Tunnel)) return 'unknown-session';
    const attempt = owner.attemptFor(packet.receiverSession, now);
    if (attempt === undefined) return 'unexpected';
    const refusal = owner.handleCookie(packet, route, now);
    this.#tunnels.touch(owner);
    return refusal;
  }
}

export interface EndpointOptions {
  readonly crypto: CryptoBackend;
  readonly rng: Rng;
  readonly identity: Identity;
  /** Our signed identity record. */
  readonly record: Uint8Array;
  /** Whether to have this peer at all, its record verified and its key proved. */
  readonly admit: (record: IdentityRecord) => boolean;
  /** What a record says that somebody here has verified before, byte for byte: it need not be verified again. */
  readonly recall?: ((record: Uint8Array) => IdentityRecord | undefined) | undefined;
  /** Whether this peer may open a stream to that port of ours; all may where it is left out. */
  readonly admitStream?: (record: IdentityRecord, port: number) => boolean;
  readonly config?: Partial<TunnelConfig>;
  /** Is told of written bytes that were kept as they were, once they are acknowledged: whose they are may use them again. */
  readonly pieceDone?: (piece: Uint8Array) => void;
  /** Memory for what streams receive, where `new Uint8Array` is not the best there is: what stands in it is never read. */
  readonly allocate?: (bytes: number) => Uint8Array;
  /** Memory that nobody needs any more may be freed at once, where somebody can. */
  readonly free?: (bytes: Uint8Array) => void;
  /** For the simulator, which must be able to break a part and see that it is found. No daemon sets it. */
  readonly parts?: { readonly createReplayWindow?: () => ReplayWindow };
}

/** `other-key`: a tunnel with this identity is open under another static key. */
export type ConnectResult = 'started' | 'own-key' | 'bad-key' | 'other-key' | 'tables-full';

export interface DatagramPorts {
  readonly source: number;
  readonly destination: number;
}

export interface EndpointState {
  readonly tunnels: readonly TunnelState[];
  readonly provisional: readonly number[];
  readonly sessionIds: number;
  readonly replies: number;
  readonly events: number;
  readonly received: number;
  /** What the buffers of all tunnels hold of the node's budget. */
  readonly budget: number;
}
