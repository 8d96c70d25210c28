import { equal, toHex } from '../base/bytes.ts';
import { randomBelow } from '../base/rng.ts';
import type { Instant } from '../base/time.ts';
import { after, earliest, NEVER } from '../base/time.ts';
import { AEAD_TAG_BYTES } from '../crypto/backend.ts';
import type { CloseCode } from '../wire/close-codes.ts';
import type { FrameReader } from '../wire/frame-reader.ts';
import type { DatagramFrame } from '../wire/frames.ts';
import { frameLength } from '../wire/frames.ts';
import type { CookiePacket, DataPacket } from '../wire/packet.ts';
import { DATA_HEADER_BYTES, DATA_OVERHEAD_BYTES } from '../wire/packet.ts';
import type { Attempt } from './attempt.ts';
import { Closing, closeFrame } from './closing.ts';
import type { CongestionController } from './congestion/controller.ts';
import { BASE_MTU, CLOSING_PTO } from './constants.ts';
import type { DropReason } from './drops.ts';
import type { DownReason } from './events.ts';
import type { Established, KnownRecord, PeerKeys } from './handshake.ts';
import { type Ending, fault } from './packet-reader.ts';
import type { Path } from './path.ts';
import type { Route } from './route.ts';
import type { Session } from './session.ts';
import type { Queued } from './streams/scheduler.ts';
import type { Streams } from './streams/streams.ts';
import type { Transmit } from './transmit.ts';
import type {
  Arrival,
  ProvedRoute,
  SendResult,
  TunnelChoices,
  TunnelNode,
  TunnelOptions,
  TunnelPlace,
  TunnelState,
} from './tunnel-node.ts';
import { makeParts, type TunnelParts } from './tunnel-parts.ts';

export type { TunnelState } from './tunnel-node.ts';

/** The rings that tunnels stand in: with something to send, with something to tell programs. */
export const READY_BIT = 1;
export const SPEAKING_BIT = 2;

/**
 * One tunnel: everything two nodes share while their pair of incarnations lasts (PROTOCOL.md §6).
 *
 * Life: `connecting` while only an initiation is out; `open` from the first session on; `closing` after our own CLOSE, to
 * answer what is still under way; `closed` when the endpoint may forget it. A peer that shows another incarnation is not this
 * tunnel's affair: the endpoint makes a new one.
 *
 * Here is what moves it from state to state: its owner, handshakes from outside, packets, time. What there is besides is in its
 * parts, which know nothing of the tunnel: how keys follow one another (`TunnelKeys`), the ways to the peer (`TunnelPaths`),
 * whether it is there (`Liveness`), what its frames do (`PacketReader`). What is to be said waits in the `Outbox` and in the
 * streams until `PacketWriter` makes packets of it, which `Recovery` remembers until they are acknowledged or lost.
 *
 * Invariants: a packet number is used once, whatever the session. Nothing is changed by a packet that did not open. What is
 * queued is bounded. Nothing goes by a path that has not proved itself, beyond three times what came from it.
 *
 * It never: opens a socket, reads a clock, or decides whom to trust.
 */
export class Tunnel implements Queued {
  readonly peer: PeerKeys;
  /** Hex of the peer's identity key: what the outside calls this tunnel by. */
  readonly key: string;
  readonly localIncarnation: Uint8Array;
  /** The peer's incarnations that ours made a pair with before this one. */
  readonly formerIncarnations: readonly Uint8Array[];
  /** What differs from the node's configuration here. */
  readonly choices: TunnelChoices;
  readonly place: TunnelPlace;
  /** For what programs do with streams; afterwards the tunnel may have something to send. */
  readonly streams: Streams;
  /** Of the rings that it stands in. */
  counted = 0;
  placed = 0;
  readonly #node: TunnelNode;
  readonly #parts: TunnelParts;
  #state: 'connecting' | 'open' | 'closing' | 'closed' = 'connecting';
  /** From our own CLOSE on. */
  #closing: Closing | undefined;

  constructor(options: TunnelOptions, now: Instant) {
    this.peer = options.peer;
    this.key = toHex(options.peer.identityKey);
    this.localIncarnation = options.localIncarnation;
    this.formerIncarnations = options.formerIncarnations ?? [];
    this.choices = options.choices ?? {};
    this.place = options.place ?? 'common';
    this.#node = options.node;
    this.#parts = makeParts(this, options, now);
    this.streams = this.#parts.streams;
  }

  // Questions.

  get state(): 'connecting' | 'open' | 'closing' | 'closed' {
    return this.#state;
  }

  get isUsable(): boolean {
    return this.#state === 'connecting' || this.#state === 'open';
  }

  /** Another handshake from outside must show a cookie. */
  get isLive(): boolean {
    return this.#parts.keys.sessions.sending !== undefined && this.#state !== 'closed';
  }

  get known(): KnownRecord | undefined {
    return this.#parts.keys.known;
  }

  get activeRoute(): Route | undefined {
    return this.#parts.paths.active?.route;
  }

  /** Where the peer may be asked for. */
  get allRoutes(): readonly Route[] {
    return this.#parts.paths.routes;
  }

  get usedAt(): Instant {
    return this.#parts.liveness.usedAt;
  }

  get datagramsDropped(): number {
    return this.#parts.outbox.datagramsDropped;
  }

  /** For status: the path in use. */
  get path(): Path | undefined {
    return this.#parts.paths.active;
  }

  /** For status: the controller of the path in use. */
  get congestion(): CongestionController | undefined {
    return this.#parts.paths.active?.lane?.recovery.controller;
  }

  /** Whether a handshake that showed this incarnation of the peer continues this tunnel. */
  isWith(remoteIncarnation: Uint8Array): boolean {
    return this.#parts.keys.isWith(remoteIncarnation);
  }

  /** Whether that incarnation and ours were a tunnel before this one: a pair is a tunnel once (PROTOCOL.md §6). */
  wasWith(remoteIncarnation: Uint8Array): boolean {
    return this.formerIncarnations.some((former) => equal(former, remoteIncarnation));
  }

  get remoteIncarnation(): Uint8Array | undefined {
    return this.#parts.keys.remoteIncarnation;
  }

  accepts(packetNumber: number): boolean {
    return this.#parts.replay.check(packetNumber);
  }

  /** Everything but counters, for tests that must see that nothing changed. */
  inspect(): TunnelState {
    const { paths, keys, writer, acks, outreach, outbox, replay } = this.#parts;
    return {
      peer: this.key,
      state: this.#state,
      nextPacketNumber: writer.nextPacketNumber,
      highestReceived: acks.highest,
      active: paths.active?.route.key,
      paths: paths.inspect(),
      sessions: keys.inspect(),
      isAttempting: outreach.attempt !== undefined,
      isRekeying: keys.isRekeying,
      queued: outbox.length,
      windowSize: replay.size,
    };
  }

  // What the owner asks for.

  connect(routes: readonly Route[], now: Instant): void {
    const { outreach, liveness } = this.#parts;
    this.rememberRoutes(routes);
    if (this.#state !== 'connecting') return;
    liveness.noteAsked(now);
    if (outreach.attempt === undefined) outreach.start(now);
  }

  rememberRoutes(routes: readonly Route[]): void {
    this.#parts.paths.tell(routes);
  }

  sendDatagram(sourcePort: number, destinationPort: number, data: Uint8Array, now: Instant): SendResult {
    if (!this.isUsable) return 'closed';
    const frame: DatagramFrame = { kind: 'datagram', sourcePort, destinationPort, data };
    if (frameLength(frame) > BASE_MTU - DATA_OVERHEAD_BYTES) return 'too-large';
    this.noteUse(now);
    this.#parts.outbox.pushDatagram(frame);
    return 'queued';
  }

  /** What programs did with streams counts as use. */
  noteUse(now: Instant): void {
    this.#parts.liveness.noteUse(now);
  }

  /** Our own CLOSE. */
  close(code: CloseCode, reason: string, now: Instant): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    const { keys, paths } = this.#parts;
    if (this.#state === 'connecting' || keys.sessions.sending === undefined) {
      this.end({ kind: 'closed', code });
      return;
    }
    this.#state = 'closing';
    this.#closing = new Closing(code, reason, after(now, CLOSING_PTO * paths.retryInterval(0)));
    this.#askNoMore();
    const unread = this.streams.end();
    this.#node.emit({ kind: 'tunnel-down', peer: this.key, reason: { kind: 'closed', code }, unread });
  }

  /** One CLOSE for a peer that is to be forgotten at once; `undefined` where it cannot be told. */
  farewell(code: CloseCode, reason: string, now: Instant): { route: Route; bytes: Uint8Array } | undefined {
    const { writer, paths } = this.#parts;
    if (this.#state !== 'open' || paths.active === undefined) return undefined;
    const buffer = new Uint8Array(BASE_MTU);
    const transmit = writer.writeClose(buffer, closeFrame(code, reason), paths.active, now);
    return transmit && { route: transmit.route, bytes: buffer.subarray(0, transmit.length) };
  }

  /** Forgets everything without a word to the peer. */
  end(reason: DownReason | undefined): void {
    if (this.#state === 'closed') return;
    const wasClosing = this.#state === 'closing';
    this.#state = 'closed';
    this.#askNoMore();
    this.#parts.keys.sessions.clear();
    const unread = this.streams.end();
    if (reason !== undefined && !wasClosing) this.#node.emit({ kind: 'tunnel-down', peer: this.key, reason, unread });
  }

  #askNoMore(): void {
    const { keys, outreach, outbox } = this.#parts;
    keys.stop();
    outreach.abandon();
    outbox.clear();
  }

  // Handshakes from outside.

  attemptFor(localId: number, now: Instant): Attempt | undefined {
    return this.#parts.outreach.attemptFor(localId, now);
  }

  handleCookie(packet: CookiePacket, route: Route, now: Instant): DropReason | undefined {
    return this.#parts.outreach.handleCookie(packet, route, this.allRoutes, now);
  }

  /**
   * A response to an initiation from outside, completed and found to continue this tunnel. Where it came from is proved only if
   * the initiation went nowhere else: a peer that got it at one address might answer in the name of another.
   */
  handleEstablished(attempt: Attempt, established: Established, arrival: Arrival, now: Instant): void {
    const { paths, keys, liveness, outreach, initiator } = this.#parts;
    const { route, length } = arrival;
    const isProved = attempt.proves(route.key);
    const isAsked = this.allRoutes.some((known) => known.key === route.key);
    const rtt = attempt.roundTrip(now);
    outreach.complete(attempt);
    const path = paths.open(route, now);
    if (path !== undefined) {
      path.noteReceived(length, now);
      if (isProved) path.validate(now);
      else if (!path.wasValidatedLately(now)) paths.challenge(path, now);
      if (rtt !== undefined) paths.sampleHandshake(path, rtt, now);
      if (isAsked || paths.active === undefined) paths.activate(path);
    }
    const session = initiator.sessionFrom(attempt, established, now);
    this.#join(session, established.incarnation, established.known, route, now);
    liveness.noteAnswered(now);
    keys.askToConfirm(session, now);
  }

  /** Takes in a session that was provisional until now. Its peer uses keys that went to `route`, so it receives there. */
  adopt(session: Session, incarnation: Uint8Array, known: KnownRecord, proof: ProvedRoute, now: Instant): void {
    const { paths } = this.#parts;
    const { route, roundTrip } = proof;
    const path = paths.open(route, now);
    if (path !== undefined) {
      path.validate(now);
      if (roundTrip !== undefined) paths.sampleHandshake(path, roundTrip, now);
      if (paths.active === undefined) paths.activate(path);
    }
    this.#join(session, incarnation, known, route, now);
  }

  #join(session: Session, incarnation: Uint8Array, known: KnownRecord, route: Route, now: Instant): void {
    const { keys, liveness } = this.#parts;
    keys.join(session, incarnation, known, now);
    if (this.#state !== 'connecting') return;
    this.#state = 'open';
    liveness.noteUse(now);
    liveness.drawKeepalive();
    this.#node.emit({ kind: 'tunnel-up', peer: this.key, record: known.record, route });
  }

  // Packets.

  handlePacket(packet: DataPacket, route: Route, now: Instant): DropReason | undefined {
    const { keys, replay } = this.#parts;
    const session = keys.sessions.get(packet.receiverSession);
    if (session === undefined) return 'unexpected';
    if (!replay.check(packet.packetNumber)) return 'replayed';
    if (!session.open(packet, now)) return 'not-authentic';
    this.handleOpened(session, packet, route, now);
    return undefined;
  }

  /** A packet that opened in that session: from here on the peer is who speaks, and still may say anything. */
  handleOpened(session: Session, packet: DataPacket, route: Route, now: Instant): void {
    const { replay, liveness, paths, reader } = this.#parts;
    const { packetNumber, bytes, start, end } = packet;
    replay.commit(packetNumber, now);
    liveness.noteOpened(now);
    if (!session.isConfirmed) this.#confirm(session, now);
    const path = paths.open(route, now);
    path?.noteReceived(end - start, now);
    const { frames } = this.#node.scratch;
    const error = frames.load(bytes, start + DATA_HEADER_BYTES, end - AEAD_TAG_BYTES);
    if (this.#closing !== undefined) this.#hearWhileClosing(this.#closing, frames);
    else if (error !== undefined) this.#follow(fault('FRAME_ENCODING', error), now);
    else this.#follow(reader.read(frames, packetNumber, session, path, now), now);
  }

  #confirm(session: Session, now: Instant): void {
    const { keys, outreach } = this.#parts;
    const moved = keys.confirm(session, now);
    // A late answer is still taken; there is no need to ask again.
    outreach.stop();
    if (this.#state !== 'open' || moved === undefined) return;
    this.#node.emit({ kind: 'rekeyed', peer: this.key, generation: moved.generation });
  }

  #follow(ending: Ending | undefined, now: Instant): void {
    if (ending?.kind === 'close') this.end({ kind: 'closed-by-peer', code: ending.code, text: ending.reason });
    else if (ending?.kind === 'fault') this.close(ending.code, ending.reason, now);
  }

  /** The peer's own CLOSE ends the exchange. */
  #hearWhileClosing(closing: Closing, frames: FrameReader): void {
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      if (frame.kind === 'close') {
        this.end(undefined);
        return;
      }
    }
    closing.noteHeard();
  }

  // Time.

  nextTimeout(): Instant {
    if (this.#state === 'closed') return NEVER;
    const { keys, paths, liveness, outreach, recovery, writer, acks } = this.#parts;
    let next = earliest(keys.nextTimeout(), this.#closing?.endsAt ?? NEVER);
    next = earliest(next, keys.sessions.nextExpiry(paths.probeTimeout, liveness.heardAt));
    next = earliest(next, earliest(outreach.nextTimeout(), this.#peerDeadline()));
    if (this.#state !== 'open') return next;
    next = earliest(next, earliest(liveness.keepaliveDue, liveness.restDue));
    const path = paths.active;
    if (path === undefined) return next;
    next = earliest(next, earliest(recovery.nextTimeout(), writer.paceAt));
    // What an unproved path may not be sent yet waits for more to come from it, not for a time.
    if (path.allowance >= path.mtu) next = earliest(next, acks.deadline);
    return earliest(next, paths.nextChallengeDue());
  }

  handleTimeout(now: Instant): void {
    const { keys, paths, liveness, outreach, recovery, writer } = this.#parts;
    keys.sessions.expire(paths.probeTimeout, liveness.heardAt, now);
    if (this.#closing !== undefined) {
      if (this.#closing.endsAt <= now) this.end(undefined);
      return;
    }
    outreach.handleTimeout(this.allRoutes, randomBelow(this.#node.rng, 1_000) / 1_000, now);
    if (this.#state === 'open' && liveness.restDue <= now) this.#rest(now);
    if (this.#state === 'open' && liveness.keepaliveDue <= now) this.#keepalive(now);
    if (this.#peerDeadline() <= now) {
      this.end({ kind: 'peer-timeout' });
      return;
    }
    writer.handleTimeout(now);
    if (recovery.nextTimeout() <= now) this.#recover(now);
    keys.handleTimeout(now);
  }

  /** Without an authenticated answer until then, while one is due, the tunnel ends. */
  #peerDeadline(): Instant {
    const { liveness, recovery } = this.#parts;
    if (this.#state === 'connecting') return liveness.connectDeadline;
    return this.#state === 'open' ? liveness.answerDeadline(recovery.dueSince) : NEVER;
  }

  /** Most tunnels are silent most of the time: what only traffic needs is made anew when there is some, and for a keepalive. */
  #rest(now: Instant): void {
    const { recovery, replay, streams, liveness } = this.#parts;
    recovery.trim(now);
    replay.trim();
    streams.trim();
    liveness.noteRest();
  }

  #keepalive(now: Instant): void {
    const { outbox, liveness } = this.#parts;
    outbox.pushControl({ kind: 'ping' });
    liveness.noteSent(now);
    liveness.drawKeepalive();
  }

  #recover(now: Instant): void {
    const { recovery, writer, paths } = this.#parts;
    const outcome = recovery.handleTimeout(now);
    writer.follow(paths.active, now);
    if (outcome === 'probe') this.#probe(now);
  }

  #probe(now: Instant): void {
    const { paths, liveness, outbox, outreach, keys } = this.#parts;
    const path = paths.active;
    if (path === undefined) return;
    liveness.noteProbe();
    // Something small, that passes where large packets vanish; what is to be sent again may follow it.
    outbox.direct({ path, session: undefined, frame: { kind: 'ping' }, pad: false });
    if (!liveness.isInDoubt) return;
    // The peer may have lost its state, or its address: ask from outside, and look whether another path is alive.
    if (!outreach.isSending && !keys.isBeingConfirmed(now)) outreach.start(now);
    paths.challengeOthers(now);
  }

  // Sending.

  /** Writes what is to be sent next to the start of `buffer` (64 KiB): one batch for one route, or nothing. */
  pollTransmit(buffer: Uint8Array, now: Instant): Transmit | undefined {
    if (this.#state === 'closed') return undefined;
    if (this.#closing !== undefined) return this.#writeClose(buffer, this.#closing, now);
    const { outreach, paths, outbox, liveness, writer } = this.#parts;
    const initiation = outreach.write(buffer, now);
    if (initiation !== undefined || this.#state !== 'open') return initiation;
    for (const { path, token } of paths.takeChallenges(now)) {
      outbox.direct({ path, session: undefined, frame: { kind: 'path-challenge', token }, pad: true });
    }
    const transmit = this.#write(buffer, now);
    if (transmit !== undefined) liveness.noteSent(now);
    else if (liveness.isResting) this.#rest(now);
    if (!writer.isKeySpent) return transmit;
    this.close('KEY_LIMIT', '', now);
    return transmit ?? this.pollTransmit(buffer, now);
  }

  #write(buffer: Uint8Array, now: Instant): Transmit | undefined {
    const { writer, paths, keys } = this.#parts;
    const directed = writer.writeDirected(buffer, now);
    const path = paths.active;
    if (directed !== undefined || path === undefined) return directed;
    const probe = writer.writeMtuProbe(buffer, path, now);
    if (probe !== undefined) return probe;
    const batch = writer.writeBatch(buffer, path, now);
    const { sending } = keys.sessions;
    if (batch !== undefined && sending !== undefined) keys.considerRekey(sending, now);
    return batch;
  }

  #writeClose(buffer: Uint8Array, closing: Closing, now: Instant): Transmit | undefined {
    const { writer, paths } = this.#parts;
    if (paths.active === undefined || !closing.takeDue()) return undefined;
    return writer.writeClose(buffer, closing.frame, paths.active, now);
  }
}
