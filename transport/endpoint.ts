import { BoundedQueue } from '../base/bounded.ts';
import { compare, equal, toHex } from '../base/bytes.ts';
import { Deadlines } from '../base/deadlines.ts';
import type { Rng } from '../base/rng.ts';
import { randomBytes, randomU32 } from '../base/rng.ts';
import type { Instant } from '../base/time.ts';
import { after, NEVER } from '../base/time.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import type { Identity } from '../crypto/identity.ts';
import type { CloseCode } from '../wire/close-codes.ts';
import { isDecodeError } from '../wire/decode-error.ts';
import type { Priority } from '../wire/frames.ts';
import { INCARNATION_BYTES } from '../wire/handshake-payload.ts';
import type { CookiePacket, DataPacket, InitiationPacket, ResponsePacket } from '../wire/packet.ts';
import {
  COOKIE_BYTES,
  COOKIE_MAC_OFFSET,
  decodePacket,
  packetLengthAt,
  RESPONSE_BYTES,
  writeCookieHeader,
} from '../wire/packet.ts';
import type { IdentityRecord } from '../wire/records.ts';
import type { TunnelConfig } from './constants.ts';
import {
  DATAGRAM_BYTES_RECEIVED_MAX,
  DATAGRAMS_RECEIVED_MAX,
  DEFAULT_CONFIG,
  EVENTS_QUEUED_MAX,
  EVICTABLE_AFTER,
  PROVISIONAL_MAX,
  PROVISIONAL_PER_PEER_MAX,
  REPLIES_QUEUED_MAX,
  UNCONFIRMED_LIFETIME,
} from './constants.ts';
import type { DropReason } from './drops.ts';
import { DropCounts } from './drops.ts';
import type { ReceivedDatagram, TunnelEvent } from './events.ts';
import type { CookieVerdict } from './gate.ts';
import { Gate } from './gate.ts';
import type { PeerKeys } from './handshake.ts';
import { ResponderHandshake } from './handshake.ts';
import { BACKLOG_DEFAULT, Listeners } from './listeners.ts';
import type { Provisional } from './provisional.ts';
import { ProvisionalTable } from './provisional.ts';
import type { ReplayWindow } from './replay-window.ts';
import { SlidingReplayWindow } from './replay-window.ts';
import type { Route } from './route.ts';
import { Session } from './session.ts';
import { REFUSALS } from './streams/constants.ts';
import type { StreamEvent } from './streams/events.ts';
import { NodeBudget } from './streams/flow-control.ts';
import type { Transmit } from './transmit.ts';
import type { SendResult, TunnelChoices, TunnelNode, TunnelOptions, TunnelState } from './tunnel.ts';
import { Tunnel } from './tunnel.ts';

/**
 * A node's whole tunnel layer, without sockets or clocks: it takes datagrams and the time, and gives datagrams, events and the
 * next time it wants to be called. After each input: `pollTransmit` until it gives nothing, then `pollEvent` and
 * `pollDatagram`, then `nextTimeout`.
 *
 * It sorts packets by the session id they carry, stands between strangers and our Diffie-Hellman (PROTOCOL.md §3), keeps the
 * provisional sessions, and decides whether a handshake continues a tunnel or shows that the peer restarted. What happens
 * inside a tunnel is the tunnel's.
 */
export class Endpoint {
  readonly drops: DropCounts = new DropCounts();
  readonly #options: EndpointOptions;
  readonly #config: TunnelConfig;
  readonly #node: TunnelNode;
  readonly #gate: Gate;
  #record: Uint8Array;

  /** By the hex of the peer's identity key. */
  readonly #tunnels: Map<string, Tunnel> = new Map();
  /**
   * The same tunnels by the hex of the static key: all that a first message shows at first. A record may name any static key,
   * also somebody else's, so several may share one.
   */
  readonly #byStaticKey: Map<string, Set<Tunnel>> = new Map();
  /** Whose session id it is: a tunnel's, in one of its sessions or attempts, or a provisional session's. */
  readonly #owners: Map<number, Tunnel | Provisional> = new Map();
  readonly #provisional: ProvisionalTable = new ProvisionalTable();

  readonly #deadlines: Deadlines<Tunnel | Provisional> = new Deadlines();
  /** Tunnels that may have something to send. */
  readonly #ready: Set<Tunnel> = new Set();
  readonly #replies: BoundedQueue<Reply> = new BoundedQueue(REPLIES_QUEUED_MAX);
  readonly #events: BoundedQueue<TunnelEvent> = new BoundedQueue(EVENTS_QUEUED_MAX);
  readonly #listeners: Listeners = new Listeners();
  /** Tunnels whose streams may have something to say. */
  readonly #speaking: Set<Tunnel> = new Set();
  readonly #received: BoundedQueue<ReceivedDatagram> = new BoundedQueue(DATAGRAMS_RECEIVED_MAX);
  #receivedBytes = 0;
  #receivedDropped = 0;

  constructor(options: EndpointOptions, now: Instant) {
    this.#options = options;
    this.#config = { ...DEFAULT_CONFIG, ...options.config };
    this.#record = options.record;
    const { crypto, rng, identity } = options;
    this.#gate = new Gate({ crypto, rng, staticKey: identity.exchange.publicKey, config: this.#config }, now);
    this.#node = this.#makeNode();
  }

  // What the owner asks for.

  /** A newer record of our own; peers learn it with the next handshake. */
  setRecord(record: Uint8Array): void {
    this.#record = record;
  }

  /** Starts or hastens a tunnel; datagrams and streams may be sent into it at once. `choices` are for a tunnel that this begins. */
  connect(peer: PeerKeys, routes: readonly Route[], now: Instant, choices: TunnelChoices = {}): ConnectResult {
    const { identity } = this.#options;
    if (equal(peer.identityKey, identity.signing.publicKey) || equal(peer.staticKey, identity.exchange.publicKey)) {
      return 'own-key';
    }
    // A low-order point gives zero with every scalar: no handshake can be written to it.
    if (identity.exchange.diffieHellman(peer.staticKey) === undefined) return 'bad-key';
    let tunnel = this.#tunnels.get(toHex(peer.identityKey));
    if (tunnel !== undefined && !equal(tunnel.peer.staticKey, peer.staticKey)) {
      // Whoever is talked to has proved its key; a key that was only tried may have been the wrong one.
      if (tunnel.state === 'open') return 'other-key';
      this.#forget(tunnel);
      tunnel = undefined;
    }
    if (tunnel?.state === 'closing') {
      this.#forget(tunnel);
      tunnel = undefined;
    }
    if (tunnel === undefined) {
      if (!this.#makeRoom(now)) return 'tables-full';
      const localIncarnation = this.#incarnationFor(toHex(peer.identityKey));
      tunnel = this.#createTunnel({ peer, localIncarnation, remoteIncarnation: undefined, choices }, now);
    }
    tunnel.connect(routes, now);
    this.#touch(tunnel);
    return 'started';
  }

  /** `data` is the endpoint's from now on. */
  sendDatagram(peer: string, ports: DatagramPorts, data: Uint8Array, now: Instant): SendResult {
    const tunnel = this.#tunnels.get(peer);
    if (tunnel === undefined) return 'closed';
    const result = tunnel.sendDatagram(ports.source, ports.destination, data, now);
    this.#touch(tunnel);
    return result;
  }

  /** Programs listen on a port of this node, whoever connects; false where one does already. */
  listen(port: number, backlog: number = BACKLOG_DEFAULT): boolean {
    return this.#listeners.add(port, backlog);
  }

  unlisten(port: number): void {
    this.#listeners.remove(port);
  }

  /** The id of a new stream to a port of the peer; what is written at once rides with its opening. */
  openStream(peer: string, ports: DatagramPorts, priority: Priority, now: Instant): number | 'stream-limit' | 'closed' {
    const tunnel = this.#usable(peer);
    return tunnel === undefined ? 'closed' : this.#using(tunnel, now, () => tunnel.streams.open(ports, priority, now));
  }

  acceptStream(peer: string, stream: number, port: number, now: Instant): void {
    this.#listeners.taken(peer, port);
    const tunnel = this.#usable(peer);
    if (tunnel !== undefined) this.#using(tunnel, now, () => tunnel.streams.accept(stream));
  }

  /** How many bytes were taken; `writable` follows where that is not all. Large pieces are kept, not copied. */
  writeStream(peer: string, stream: number, data: Uint8Array, now: Instant): number | 'ended' {
    const tunnel = this.#usable(peer);
    return tunnel === undefined ? 'ended' : this.#using(tunnel, now, () => tunnel.streams.write(stream, data));
  }

  readStream(peer: string, stream: number, now: Instant): Uint8Array | undefined {
    const tunnel = this.#usable(peer);
    return tunnel && this.#using(tunnel, now, () => tunnel.streams.read(stream));
  }

  finishStream(peer: string, stream: number, now: Instant): void {
    const tunnel = this.#usable(peer);
    if (tunnel !== undefined) this.#using(tunnel, now, () => tunnel.streams.finish(stream));
  }

  resetStream(peer: string, stream: number, code: number, now: Instant): void {
    const tunnel = this.#usable(peer);
    if (tunnel !== undefined) this.#using(tunnel, now, () => tunnel.streams.reset(stream, code));
  }

  stopStream(peer: string, stream: number, code: number, now: Instant): void {
    const tunnel = this.#usable(peer);
    if (tunnel !== undefined) this.#using(tunnel, now, () => tunnel.streams.stop(stream, code));
  }

  /** Whoever gets `opened` takes the stream with `acceptStream`, or turns it away with this. */
  refuseStream(peer: string, stream: number, port: number, now: Instant): void {
    this.#listeners.taken(peer, port);
    const tunnel = this.#usable(peer);
    if (tunnel !== undefined) this.#using(tunnel, now, () => tunnel.streams.refuse(stream, REFUSALS.NO_LISTENER));
  }

  /** What happened to streams: told once, coalesced per stream, bounded by the streams there are. */
  pollStreamEvent(): PeerStreamEvent | undefined {
    for (const tunnel of this.#speaking) {
      const event = tunnel.streams.pollEvent();
      if (event !== undefined) return { peer: tunnel.key, ...event };
      this.#speaking.delete(tunnel);
    }
    return undefined;
  }

  #admitStream(tunnel: Tunnel, port: number): number | undefined {
    const record = tunnel.known?.record;
    const isTrusted = record !== undefined && (this.#options.admitStream?.(record, port) ?? true);
    const refusal = isTrusted ? this.#listeners.admit(tunnel.key, port) : 'NOT_TRUSTED';
    return refusal === undefined ? undefined : REFUSALS[refusal];
  }

  #usable(peer: string): Tunnel | undefined {
    const tunnel = this.#tunnels.get(peer);
    return tunnel?.isUsable ? tunnel : undefined;
  }

  #using<T>(tunnel: Tunnel, now: Instant, work: () => T): T {
    const result = work();
    tunnel.noteUse(now);
    this.#speaking.add(tunnel);
    this.#touch(tunnel);
    return result;
  }

  close(peer: string, code: CloseCode, reason: string, now: Instant): void {
    const tunnel = this.#tunnels.get(peer);
    if (tunnel === undefined) return;
    tunnel.close(code, reason, now);
    this.#touch(tunnel);
  }

  tunnel(peer: string): Tunnel | undefined {
    return this.#tunnels.get(peer);
  }

  get tunnels(): readonly Tunnel[] {
    return [...this.#tunnels.values()];
  }

  /** Sessions that somebody has asked for and nobody has used yet. */
  get provisionalCount(): number {
    return this.#provisional.size;
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
      budget: this.#node.budget.used,
    };
  }

  get datagramsDropped(): number {
    return this.#receivedDropped;
  }

  // What the edge drives.

  /** One read, possibly of several packets. The bytes are opened in place: they are the endpoint's, and worthless afterwards. */
  handleDatagram(route: Route, bytes: Uint8Array, now: Instant): void {
    for (let offset = 0; offset < bytes.length; ) {
      const length = packetLengthAt(bytes, offset);
      if (length === 0) {
        this.drops.add('unsplittable');
        return;
      }
      const whole = offset === 0 && length === bytes.length;
      const refusal = this.#handlePacket(route, whole ? bytes : bytes.subarray(offset, offset + length), now);
      if (refusal !== undefined) this.drops.add(refusal);
      offset += length;
    }
  }

  handleTimeout(now: Instant): void {
    // Each once: one that is due again at once waits to be polled, not for this loop.
    const due: (Tunnel | Provisional)[] = [];
    for (let next = this.#deadlines.takeDue(now); next !== undefined; next = this.#deadlines.takeDue(now))
      due.push(next);
    for (const one of due) {
      if (one instanceof Tunnel) {
        one.handleTimeout(now);
        this.#touch(one);
      } else {
        this.#dropProvisional(one);
      }
    }
  }

  nextTimeout(): Instant {
    return this.#deadlines.next();
  }

  /** Writes the next batch to the start of `buffer` (64 KiB); `undefined` when there is nothing to send. */
  pollTransmit(buffer: Uint8Array, now: Instant): Transmit | undefined {
    const reply = this.#replies.shift();
    if (reply !== undefined) {
      buffer.set(reply.bytes);
      return { route: reply.route, length: reply.bytes.length, segmentSize: reply.bytes.length };
    }
    for (const tunnel of this.#ready) {
      const transmit = tunnel.pollTransmit(buffer, now);
      if (transmit === undefined) {
        this.#ready.delete(tunnel);
        this.#settle(tunnel);
        continue;
      }
      // The others have their turn before this one has another.
      this.#ready.delete(tunnel);
      this.#ready.add(tunnel);
      return transmit;
    }
    return undefined;
  }

  pollEvent(): TunnelEvent | undefined {
    return this.#events.shift();
  }

  pollDatagram(): ReceivedDatagram | undefined {
    const datagram = this.#received.shift();
    this.#receivedBytes -= datagram?.data.length ?? 0;
    return datagram;
  }

  #deliver(datagram: ReceivedDatagram): void {
    this.#receivedBytes += datagram.data.length;
    const dropped = this.#received.push(datagram);
    if (dropped !== undefined) this.#noteDropped(dropped);
    while (this.#receivedBytes > DATAGRAM_BYTES_RECEIVED_MAX) this.#noteDropped(this.#received.shift()!);
  }

  #noteDropped(datagram: ReceivedDatagram): void {
    this.#receivedBytes -= datagram.data.length;
    this.#receivedDropped += 1;
  }

  // Packets.

  #handlePacket(route: Route, bytes: Uint8Array, now: Instant): DropReason | undefined {
    const packet = decodePacket(bytes);
    if (isDecodeError(packet)) return packet.reason;
    switch (packet.kind) {
      case 'data':
        return this.#handleData(packet, route, now);
      case 'initiation':
        return this.#handleInitiation(packet, route, now);
      case 'response':
        return this.#handleResponse(packet, route, now);
      case 'cookie':
        return this.#handleCookie(packet, route, now);
    }
  }

  #handleData(packet: DataPacket, route: Route, now: Instant): DropReason | undefined {
    const owner = this.#owners.get(packet.receiverSession);
    if (owner === undefined) return 'unknown-session';
    if (!(owner instanceof Tunnel)) return this.#confirmProvisional(owner, packet, route, now);
    const refusal = owner.handlePacket(packet, route, now);
    this.#touch(owner);
    return refusal;
  }

  /** PROTOCOL.md §3, in its order. */
  #handleInitiation(packet: InitiationPacket, route: Route, now: Instant): DropReason | undefined {
    const { identity } = this.#options;
    if (packet.network !== identity.address.network) return 'wrong-network';
    if (!this.#gate.isForUs(packet.beforeMac1, packet.mac1)) return 'bad-mac1';
    const cookie = this.#gate.judgeCookie(route, packet.beforeMac2, packet.mac2, now);
    if (cookie === 'invalid') {
      this.#replyCookie(packet, route, now);
      return 'bad-cookie';
    }
    const repeated = this.#provisional.findRepeated(packet.mac1, route);
    if (repeated !== undefined) {
      repeated.isRepeated = true;
      this.#replies.push({ route, bytes: repeated.response });
      return undefined;
    }
    const verdict = this.#gate.admit(route, cookie, this.#provisional.size, now);
    if (verdict === 'drop') return 'rate-limited';
    if (verdict === 'cookie') return this.#demandCookie(packet, route, now);

    const handshake = ResponderHandshake.identify(this.#node, packet);
    if (handshake.kind === 'refused') return handshake.reason;
    const refusal = this.#answer(handshake, packet, cookie, route, now);
    handshake.wipe();
    return refusal;
  }

  /** PROTOCOL.md §3 from the sixth step on: the initiator has said who it is. */
  #answer(
    handshake: ResponderHandshake,
    packet: InitiationPacket,
    cookie: CookieVerdict,
    route: Route,
    now: Instant,
  ): DropReason | undefined {
    const { identity } = this.#options;
    const staticKey = toHex(handshake.staticKey);
    if (equal(handshake.staticKey, identity.exchange.publicKey)) return 'own-key';
    const tunnels = [...(this.#byStaticKey.get(staticKey) ?? [])];
    const slots = this.#provisional.withStaticKey(staticKey);
    const isCrowded = slots.length >= PROVISIONAL_PER_PEER_MAX;
    const isLive = tunnels.some((tunnel) => tunnel.isLive);
    if ((isLive || isCrowded) && cookie !== 'valid') return this.#demandCookie(packet, route, now);

    const request = handshake.readRequest(tunnels.find((tunnel) => tunnel.known !== undefined)?.known);
    if (request.kind === 'refused') return request.reason;
    const { record } = request.known;
    const identityKey = toHex(record.identityKey);
    const refusal = this.#refuseStaticKey(record, cookie, packet, route, now);
    if (refusal !== undefined) return refusal;
    if (equal(record.identityKey, identity.signing.publicKey)) return 'own-key';
    if (!this.#options.admit(record)) return 'not-admitted';
    if (this.#provisional.size >= PROVISIONAL_MAX && !isCrowded) return 'tables-full';
    const incarnation = this.#incarnationFor(identityKey);
    const localId = this.#drawId();
    const answer = handshake.respond({ form: 'packet', localId, incarnation });
    if (answer === undefined) return 'not-authentic';
    // The oldest slot of this peer gives way to one that came with a cookie.
    if (isCrowded) this.#dropProvisional(slots[0]!);
    const session = new Session(
      {
        localId,
        remoteId: packet.senderSession,
        generation: request.generation,
        initiatedLocally: false,
        initiatedByLower: compare(record.identityKey, identity.signing.publicKey) < 0,
        sealing: answer.sealing,
        opening: answer.opening,
      },
      now,
    );
    const provisional: Provisional = {
      session,
      identityKey,
      staticKey,
      mac1: packet.mac1.slice(),
      response: answer.message,
      peer: { identityKey: record.identityKey, staticKey: record.staticKey },
      known: request.known,
      localIncarnation: incarnation,
      remoteIncarnation: request.incarnation,
      route,
      isRepeated: false,
    };
    this.#provisional.add(provisional);
    this.#owners.set(localId, provisional);
    this.#deadlines.set(provisional, after(now, UNCONFIRMED_LIFETIME));
    this.#replies.push({ route, bytes: answer.message });
    return undefined;
  }

  /** An identity that comes with another static key than the one it has here needs a newer record that says so, and a cookie. */
  #refuseStaticKey(
    record: IdentityRecord,
    cookie: CookieVerdict,
    packet: InitiationPacket,
    route: Route,
    now: Instant,
  ): DropReason | undefined {
    const known = this.#tunnels.get(toHex(record.identityKey));
    if (known === undefined || equal(known.peer.staticKey, record.staticKey)) return undefined;
    if (known.known !== undefined && record.sequence <= known.known.record.sequence) return 'wrong-peer';
    return known.isLive && cookie !== 'valid' ? this.#demandCookie(packet, route, now) : undefined;
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
    const tunnel = owner.isWith(established.incarnation)
      ? owner
      : this.#replace(owner, owner.peer, { localIncarnation, remoteIncarnation: established.incarnation }, now);
    this.#owners.set(attempt.localId, tunnel);
    this.#dropOlder(tunnel.key, established.incarnation, attempt.startedAt);
    tunnel.handleEstablished(attempt, established, { route, length: RESPONSE_BYTES }, now);
    this.#touch(tunnel);
    return undefined;
  }

  #handleCookie(packet: CookiePacket, route: Route, now: Instant): DropReason | undefined {
    const owner = this.#owners.get(packet.receiverSession);
    if (!(owner instanceof Tunnel)) return 'unknown-session';
    const attempt = owner.attemptFor(packet.receiverSession, now);
    if (attempt === undefined) return 'unexpected';
    const refusal = owner.handleCookie(packet, route, now);
    this.#touch(owner);
    return refusal;
  }

  #demandCookie(packet: InitiationPacket, route: Route, now: Instant): DropReason {
    this.#replyCookie(packet, route, now);
    return 'cookie-demanded';
  }

  #replyCookie(packet: InitiationPacket, route: Route, now: Instant): void {
    const bytes = new Uint8Array(COOKIE_BYTES);
    writeCookieHeader(bytes, packet.senderSession, this.#gate.cookieFor(route, now));
    bytes.set(this.#gate.cookieMac(bytes.subarray(0, COOKIE_MAC_OFFSET), packet.mac1), COOKIE_MAC_OFFSET);
    this.#replies.push({ route, bytes });
  }

  // Provisional sessions.

  #dropProvisional(provisional: Provisional): void {
    this.#release(provisional);
    this.#owners.delete(provisional.session.localId);
    provisional.session.wipe();
  }

  /** A first packet that was held back must not bring back an incarnation that has been replaced since. */
  #dropOlder(identityKey: string, incarnation: Uint8Array, before: Instant): void {
    for (const other of this.#provisional.withIdentityKey(identityKey)) {
      if (other.session.createdAt <= before && !equal(other.remoteIncarnation, incarnation))
        this.#dropProvisional(other);
    }
  }

  #release(provisional: Provisional): void {
    this.#provisional.remove(provisional);
    this.#deadlines.set(provisional, NEVER);
  }

  /** The first packet under the initiator's new key: only now does the handshake change anything. */
  #confirmProvisional(
    provisional: Provisional,
    packet: DataPacket,
    route: Route,
    now: Instant,
  ): DropReason | undefined {
    const { session, peer, remoteIncarnation, localIncarnation, known } = provisional;
    const existing = this.#tunnels.get(toHex(peer.identityKey));
    const isOurs = existing !== undefined && equal(existing.localIncarnation, localIncarnation);
    // Asked for before we closed; the peer will ask again, and then for a new tunnel.
    if (isOurs && existing.state === 'closing') return 'unexpected';
    const continues = isOurs && existing.isWith(remoteIncarnation) && equal(existing.peer.staticKey, peer.staticKey);
    if (continues && !existing.accepts(packet.packetNumber)) return 'replayed';
    const length = packet.header.length + packet.sealed.length;
    const plaintext = session.open(packet, now);
    if (plaintext === undefined) return 'not-authentic';
    if (existing === undefined && !this.#makeRoom(now)) return 'tables-full';
    const tunnel = continues ? existing : this.#replace(existing, peer, { localIncarnation, remoteIncarnation }, now);
    this.#release(provisional);
    this.#dropOlder(provisional.identityKey, remoteIncarnation, session.createdAt);
    this.#owners.set(session.localId, tunnel);
    const roundTrip = provisional.isRepeated ? undefined : now - session.createdAt;
    tunnel.adopt(session, remoteIncarnation, known, { route: provisional.route, roundTrip }, now);
    tunnel.handleOpened({ session, packetNumber: packet.packetNumber, plaintext, length }, route, now);
    this.#touch(tunnel);
    return undefined;
  }

  // Tunnels.

  /** A new tunnel for a new pair of incarnations, in the place of one whose peer lost its state. */
  #replace(existing: Tunnel | undefined, peer: PeerKeys, pair: Incarnations, now: Instant): Tunnel {
    const routes = existing?.allRoutes ?? [];
    if (existing !== undefined) {
      existing.end({ kind: 'peer-restarted' });
      this.#unlist(existing);
    }
    const tunnel = this.#createTunnel({ peer, ...pair, choices: existing?.choices }, now);
    tunnel.rememberRoutes(routes);
    return tunnel;
  }

  #createTunnel(options: Omit<TunnelOptions, 'node'>, now: Instant): Tunnel {
    const { peer } = options;
    const tunnel = new Tunnel({ node: this.#node, ...options }, now);
    this.#tunnels.set(tunnel.key, tunnel);
    const staticKey = toHex(peer.staticKey);
    const sharing = this.#byStaticKey.get(staticKey);
    if (sharing === undefined) this.#byStaticKey.set(staticKey, new Set([tunnel]));
    else sharing.add(tunnel);
    return tunnel;
  }

  /** One number for one peer while anything here knows of it, so that crossing handshakes make one pair of incarnations. */
  #incarnationFor(identityKey: string): Uint8Array {
    const tunnel = this.#tunnels.get(identityKey);
    if (tunnel !== undefined && tunnel.state !== 'closing') return tunnel.localIncarnation;
    const [provisional] = this.#provisional.withIdentityKey(identityKey);
    return provisional?.localIncarnation ?? randomBytes(this.#options.rng, INCARNATION_BYTES);
  }

  #makeRoom(now: Instant): boolean {
    if (this.#tunnels.size < this.#config.tunnelsMax) return true;
    let idlest: Tunnel | undefined;
    for (const tunnel of this.#tunnels.values()) {
      if (idlest === undefined || tunnel.usedAt < idlest.usedAt) idlest = tunnel;
    }
    if (idlest === undefined || now - idlest.usedAt < EVICTABLE_AFTER) return false;
    // Told, it does not come back at once to push out the next one.
    const farewell = idlest.farewell('NO_ERROR', 'idle', now);
    if (farewell !== undefined) this.#replies.push(farewell);
    idlest.end({ kind: 'evicted' });
    this.#forget(idlest);
    return true;
  }

  #touch(tunnel: Tunnel): void {
    this.#ready.add(tunnel);
    this.#settle(tunnel);
  }

  #settle(tunnel: Tunnel): void {
    if (tunnel.state === 'closed') this.#forget(tunnel);
    else if (this.#tunnels.get(tunnel.key) === tunnel) this.#deadlines.set(tunnel, tunnel.nextTimeout());
  }

  /** With a peer's state go its provisional sessions: they were made for the incarnation that is gone. */
  #forget(tunnel: Tunnel): void {
    tunnel.end(undefined);
    this.#unlist(tunnel);
    for (const provisional of this.#provisional.withIdentityKey(tunnel.key)) {
      if (equal(provisional.localIncarnation, tunnel.localIncarnation)) this.#dropProvisional(provisional);
    }
  }

  #unlist(tunnel: Tunnel): void {
    this.#ready.delete(tunnel);
    this.#speaking.delete(tunnel);
    this.#listeners.forget(tunnel.key);
    this.#deadlines.set(tunnel, NEVER);
    if (this.#tunnels.get(tunnel.key) === tunnel) this.#tunnels.delete(tunnel.key);
    const staticKey = toHex(tunnel.peer.staticKey);
    const sharing = this.#byStaticKey.get(staticKey);
    sharing?.delete(tunnel);
    if (sharing?.size === 0) this.#byStaticKey.delete(staticKey);
  }

  /** Zero is no session, so that a header of zeros is never one. */
  #drawId(): number {
    for (;;) {
      const id = randomU32(this.#options.rng);
      if (id !== 0 && !this.#owners.has(id)) return id;
    }
  }

  #makeNode(): TunnelNode {
    const endpoint = this;
    const { crypto, rng, identity } = this.#options;
    return {
      crypto,
      rng,
      identity,
      config: this.#config,
      budget: new NodeBudget(),
      noteStreams: (tunnel) => this.#speaking.add(tunnel),
      admitStream: (tunnel, port) => this.#admitStream(tunnel, port),
      get record(): Uint8Array {
        return endpoint.#record;
      },
      createReplayWindow: this.#options.parts?.createReplayWindow ?? (() => new SlidingReplayWindow()),
      claimId(tunnel: Tunnel): number {
        const id = endpoint.#drawId();
        endpoint.#owners.set(id, tunnel);
        return id;
      },
      releaseId: (id) => this.#owners.delete(id),
      emit: (event) => this.#events.push(event),
      deliver: (datagram) => this.#deliver(datagram),
      drop: (reason) => this.drops.add(reason),
    };
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
  /** Whether this peer may open a stream to that port of ours; all may where it is left out. */
  readonly admitStream?: (record: IdentityRecord, port: number) => boolean;
  readonly config?: Partial<TunnelConfig>;
  /** For the simulator, which must be able to break a part and see that it is found. No daemon sets it. */
  readonly parts?: { readonly createReplayWindow?: () => ReplayWindow };
}

/** `other-key`: a tunnel with this identity is open under another static key. */
export type ConnectResult = 'started' | 'own-key' | 'bad-key' | 'other-key' | 'tables-full';

export type PeerStreamEvent = StreamEvent & { readonly peer: string };

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

interface Reply {
  readonly route: Route;
  readonly bytes: Uint8Array;
}

interface Incarnations {
  readonly localIncarnation: Uint8Array;
  readonly remoteIncarnation: Uint8Array;
}
