import { assert, assertNever } from '../base/assert.ts';
import { BoundedQueue } from '../base/bounded.ts';
import { equal, toHex } from '../base/bytes.ts';
import { randomBelow } from '../base/rng.ts';
import type { Instant } from '../base/time.ts';
import { after, earliest, NEVER } from '../base/time.ts';
import { Timers } from '../base/timers.ts';
import { AEAD_TAG_BYTES } from '../crypto/backend.ts';
import { CLOSE_CODES, type CloseCode } from '../wire/close-codes.ts';
import { type DecodeError, isDecodeError } from '../wire/decode-error.ts';
import type { AckFrame, CloseFrame, DatagramFrame, Frame } from '../wire/frames.ts';
import { CLOSE_REASON_BYTES_MAX, decodeFrames, encodeFrame, frameLength, isAckEliciting } from '../wire/frames.ts';
import type { CookiePacket, DataPacket } from '../wire/packet.ts';
import { DATA_HEADER_BYTES, DATA_OVERHEAD_BYTES, decodeInnerHandshake } from '../wire/packet.ts';
import { cutUtf8 } from '../wire/utf8.ts';
import { ByteWriter } from '../wire/writer.ts';
import type { Attempt } from './attempt.ts';
import type { CongestionController } from './congestion/controller.ts';
import { createController } from './congestion/create.ts';
import type { TunnelConfig } from './constants.ts';
import {
  BASE_MTU,
  CLOSING_PTO,
  CONTROL_FRAMES_QUEUED_MAX,
  DATAGRAMS_QUEUED_MAX,
  DIRECTED_QUEUED_MAX,
  KEEPALIVE_MIN,
  KEEPALIVE_SPREAD,
  PATHS_MAX,
  PROBE_INTERVAL_MAX,
  PROBES_BEFORE_HANDSHAKE,
  SEGMENTS_MAX,
} from './constants.ts';
import type { DropReason } from './drops.ts';
import type { DownReason, ReceivedDatagram, TunnelEvent } from './events.ts';
import type { Established, HandshakeContext, KnownRecord, PeerKeys } from './handshake.ts';
import { Initiator, type SessionIds } from './initiator.ts';
import { Lane } from './lane.ts';
import { MtuSearch } from './mtu-search.ts';
import { Outreach } from './outreach.ts';
import { CONTENT_ACK } from './packet-contents.ts';
import type { Path } from './path.ts';
import { PathTable } from './path.ts';
import { AckPolicy } from './recovery/ack-policy.ts';
import { Recovery } from './recovery/recovery.ts';
import { Rekeying, type RekeyState } from './rekeying.ts';
import type { ReplayWindow } from './replay-window.ts';
import type { Route } from './route.ts';
import { INITIAL_RTT } from './rtt.ts';
import type { Session } from './session.ts';
import { SessionSet } from './session-set.ts';
import type { NodeBudget } from './streams/flow-control.ts';
import { type StreamFrame, Streams } from './streams/streams.ts';
import type { Transmit } from './transmit.ts';

/**
 * One tunnel: everything two nodes share while their pair of incarnations lasts (PROTOCOL.md §6).
 *
 * Life: `connecting` while only an initiation is out; `open` from the first session on; `closing` after our own CLOSE, to
 * answer what is still under way; `closed` when the endpoint may forget it. A peer that shows another incarnation is not this
 * tunnel's affair: the endpoint makes a new one.
 *
 * Invariants: a packet number is used once, whatever the session. Nothing is changed by a packet that did not open. What is
 * queued is bounded. Nothing goes by a path that has not proved itself, beyond three times what came from it.
 *
 * It never: opens a socket, reads a clock, or decides whom to trust.
 */
export class Tunnel {
  readonly peer: PeerKeys;
  /** Hex of the peer's identity key: what the outside calls this tunnel by. */
  readonly key: string;
  readonly localIncarnation: Uint8Array;
  readonly #node: TunnelNode;
  readonly #config: TunnelConfig;
  /** What differs from the node's configuration here. */
  readonly choices: TunnelChoices;
  #remoteIncarnation: Uint8Array | undefined;
  #state: 'connecting' | 'open' | 'closing' | 'closed' = 'connecting';
  #known: KnownRecord | undefined;

  readonly #sessions: SessionSet;
  readonly #initiator: Initiator;
  readonly #outreach: Outreach;
  readonly #rekeying: Rekeying;

  /** Where `connect` said the peer may be; paths are where it was heard. */
  #routes: readonly Route[] = [];
  readonly #paths: PathTable = new PathTable();
  /** By which path the highest packet came that was not only about paths (RFC 9000 §9.3). */
  #highestFrom: Path | undefined;
  #highestNumber = -1;

  #nextPacketNumber = 0;
  readonly #replay: ReplayWindow;
  readonly #acks: AckPolicy = new AckPolicy();
  readonly #recovery: Recovery;
  readonly #streams: Streams;
  /** Since when a tunnel that was never open has been asked for. */
  #connectingSince: Instant | undefined;
  /** When pacing lets the next batch out. */
  #paceAt: Instant = NEVER;
  #heardAt: Instant;
  #activeAt: Instant;
  #usedAt: Instant;
  /** Probes sent since anything was heard. */
  #probesUnheard = 0;

  readonly #directed: BoundedQueue<DirectedPacket> = new BoundedQueue(DIRECTED_QUEUED_MAX);
  readonly #control: BoundedQueue<Frame> = new BoundedQueue(CONTROL_FRAMES_QUEUED_MAX);
  readonly #datagrams: BoundedQueue<DatagramFrame> = new BoundedQueue(DATAGRAMS_QUEUED_MAX);
  #datagramsDropped = 0;
  #closeFrame: CloseFrame | undefined;
  #closeIsDue = false;
  #heardWhileClosing = 0;
  #keepaliveInterval: number;
  readonly #timers: Timers<TimerName> = new Timers(TIMER_NAMES);

  constructor(options: TunnelOptions, now: Instant) {
    this.#node = options.node;
    this.choices = options.choices ?? {};
    this.#config = { ...options.node.config, ...this.choices };
    this.peer = options.peer;
    this.key = toHex(options.peer.identityKey);
    this.localIncarnation = options.localIncarnation;
    this.#remoteIncarnation = options.remoteIncarnation;
    this.#sessions = new SessionSet((session) => {
      this.#node.releaseId(session.localId);
      session.wipe();
    });
    this.#replay = options.node.createReplayWindow();
    const ids: SessionIds = { claim: () => this.#node.claimId(this), release: (id) => this.#node.releaseId(id) };
    const { node, peer, localIncarnation: incarnation } = options;
    this.#initiator = new Initiator(node, peer, incarnation, ids);
    this.#outreach = new Outreach(this.#initiator);
    this.#rekeying = new Rekeying({ context: node, initiator: this.#initiator, ids, incarnation }, now);
    this.#streams = new Streams(
      {
        opensEven: this.#initiator.isLower,
        config: this.#config.streams,
        budget: node.budget,
        admit: (port) => node.admitStream(this, port),
      },
      now,
    );
    this.#recovery = new Recovery({
      acked: (contents, index) => {
        if (contents.kind(index) === CONTENT_ACK) this.#acks.onAckAcked(contents.offset(index));
        else this.#streams.onAcked(contents, index);
      },
      lost: (contents, index) => this.#streams.onLost(contents, index),
    });
    this.#heardAt = now;
    this.#activeAt = now;
    this.#usedAt = now;
    this.#keepaliveInterval = KEEPALIVE_MIN;
  }

  // Questions.

  get state(): 'connecting' | 'open' | 'closing' | 'closed' {
    return this.#state;
  }

  /** Another handshake from outside must show a cookie. */
  get isLive(): boolean {
    return this.#sessions.sending !== undefined && this.#state !== 'closed';
  }

  get known(): KnownRecord | undefined {
    return this.#known;
  }

  get activeRoute(): Route | undefined {
    return this.#paths.active?.route;
  }

  /** When an application last used it. */
  get usedAt(): Instant {
    return this.#usedAt;
  }

  /** Datagrams that gave way to newer ones before they were sent. */
  get datagramsDropped(): number {
    return this.#datagramsDropped;
  }

  /** Where the peer may be asked for: where we were told it is, and where it has shown that it receives. */
  get allRoutes(): readonly Route[] {
    const routes = new Map<string, Route>();
    for (const route of this.#routes) routes.set(route.key, route);
    for (const path of this.#paths.all) if (path.isValidated) routes.set(path.route.key, path.route);
    return [...routes.values()].slice(0, PATHS_MAX);
  }

  /** Whether a handshake that showed this incarnation of the peer continues this tunnel. */
  isWith(remoteIncarnation: Uint8Array): boolean {
    return this.#remoteIncarnation === undefined || equal(this.#remoteIncarnation, remoteIncarnation);
  }

  accepts(packetNumber: number): boolean {
    return this.#replay.check(packetNumber);
  }

  nextTimeout(): Instant {
    if (this.#state === 'closed') return NEVER;
    let next = earliest(this.#timers.next(), this.#sessions.nextExpiry(this.#probeTimeout, this.#heardAt));
    next = earliest(next, earliest(this.#outreach.nextTimeout(), this.#keepaliveDue));
    next = earliest(next, this.#peerDeadline);
    const path = this.#paths.active;
    if (this.#state === 'open' && path !== undefined) {
      next = earliest(next, earliest(this.#recovery.nextTimeout(), this.#paceAt));
      // What an unproved path may not be sent yet waits for more to come from it, not for a time.
      if (path.allowance >= path.mtu) next = earliest(next, this.#acks.deadline);
      next = earliest(next, this.#paths.nextChallengeDue());
    }
    return next;
  }

  // What the owner asks for.

  connect(routes: readonly Route[], now: Instant): void {
    this.#routes = routes.slice(0, PATHS_MAX);
    if (this.#state !== 'connecting') return;
    this.#connectingSince ??= now;
    if (this.#outreach.attempt === undefined) this.#outreach.start(now);
  }

  sendDatagram(sourcePort: number, destinationPort: number, data: Uint8Array, now: Instant): SendResult {
    if (!this.isUsable) return 'closed';
    const frame: DatagramFrame = { kind: 'datagram', sourcePort, destinationPort, data };
    if (frameLength(frame) > BASE_MTU - DATA_OVERHEAD_BYTES) return 'too-large';
    this.#usedAt = now;
    if (this.#datagrams.push(frame) !== undefined) this.#datagramsDropped += 1;
    return 'queued';
  }

  /** For what programs do with streams; afterwards the tunnel may have something to send. */
  get streams(): Streams {
    return this.#streams;
  }

  /** What programs did with streams counts as use. */
  noteUse(now: Instant): void {
    this.#usedAt = now;
  }

  get isUsable(): boolean {
    return this.#state === 'connecting' || this.#state === 'open';
  }

  /** For status: the controller of the path in use. */
  get congestion(): CongestionController | undefined {
    return this.#paths.active?.lane?.recovery.controller;
  }

  /** Our own CLOSE. The reason goes to the peer; it says nothing that the peer may not know. */
  close(code: CloseCode, reason: string, now: Instant): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    if (this.#state === 'connecting' || this.#sessions.sending === undefined) {
      this.end({ kind: 'closed', code });
      return;
    }
    this.#state = 'closing';
    this.#closeFrame = { kind: 'close', code: CLOSE_CODES[code], reason: cutUtf8(reason, CLOSE_REASON_BYTES_MAX) };
    this.#closeIsDue = true;
    this.#stopEverything();
    this.#timers.set('close', after(now, CLOSING_PTO * this.#backoff(0)));
    this.#node.emit({ kind: 'tunnel-down', peer: this.key, reason: { kind: 'closed', code } });
  }

  /** One CLOSE for a peer that is to be forgotten at once; `undefined` where it cannot be told. */
  farewell(code: CloseCode, reason: string, now: Instant): { route: Route; bytes: Uint8Array } | undefined {
    if (this.#state !== 'open') return undefined;
    this.#closeFrame = { kind: 'close', code: CLOSE_CODES[code], reason };
    this.#closeIsDue = true;
    const buffer = new Uint8Array(BASE_MTU);
    const transmit = this.#writeClose(buffer, now);
    return transmit && { route: transmit.route, bytes: buffer.subarray(0, transmit.length) };
  }

  /** Forgets everything without a word to the peer. */
  end(reason: DownReason | undefined): void {
    if (this.#state === 'closed') return;
    const wasClosing = this.#state === 'closing';
    this.#state = 'closed';
    this.#stopEverything();
    this.#sessions.clear();
    this.#streams.end();
    if (reason !== undefined && !wasClosing) this.#node.emit({ kind: 'tunnel-down', peer: this.key, reason });
  }

  rememberRoutes(routes: readonly Route[]): void {
    this.#routes = routes.slice(0, PATHS_MAX);
  }

  /** Everything but counters, for tests that must see that nothing changed. */
  inspect(): TunnelState {
    return {
      peer: this.key,
      state: this.#state,
      nextPacketNumber: this.#nextPacketNumber,
      highestReceived: this.#acks.highest,
      active: this.#paths.active?.route.key,
      paths: this.#paths.all.map((path) => ({
        route: path.route.key,
        isValidated: path.isValidated,
        isChallenged: path.isChallenged,
        bytesReceived: path.bytesReceived,
        bytesSent: path.bytesSent,
      })),
      sessions: this.#sessions.all.map((session) => ({
        localId: session.localId,
        remoteId: session.remoteId,
        generation: session.generation,
        initiatedLocally: session.initiatedLocally,
        isConfirmed: session.isConfirmed,
        isReplaced: session.replacedAt !== undefined,
        isSending: session === this.#sessions.sending,
      })),
      isAttempting: this.#outreach.attempt !== undefined,
      isRekeying: this.#rekeying.isRunning,
      queued: this.#control.length + this.#datagrams.length + this.#directed.length,
      windowSize: this.#replay.size,
    };
  }

  // What comes from the network.

  handlePacket(packet: DataPacket, route: Route, now: Instant): DropReason | undefined {
    const session = this.#sessions.all.find((candidate) => candidate.localId === packet.receiverSession);
    if (session === undefined) return 'unexpected';
    if (!this.#replay.check(packet.packetNumber)) return 'replayed';
    const length = packet.header.length + packet.sealed.length;
    const plaintext = session.open(packet, now);
    if (plaintext === undefined) return 'not-authentic';
    this.handleOpened({ session, packetNumber: packet.packetNumber, plaintext, length }, route, now);
    return undefined;
  }

  /** A packet that opened: from here on the peer is who speaks, and still may say anything. */
  handleOpened(packet: OpenedPacket, route: Route, now: Instant): void {
    const { session, packetNumber, plaintext, length } = packet;
    this.#replay.commit(packetNumber, now);
    this.#heardAt = now;
    this.#activeAt = now;
    this.#probesUnheard = 0;
    if (!session.isConfirmed) this.#confirm(session, now);
    const path = this.#pathFor(route, now);
    path?.noteReceived(length, now);
    const frames = decodeFrames(plaintext);
    if (this.#state === 'closing') {
      this.#hearWhileClosing(frames);
      return;
    }
    if (isDecodeError(frames)) {
      this.close('FRAME_ENCODING', frames.reason, now);
      return;
    }
    let asksForAck = false;
    let urgent = false;
    let onlyAboutPaths = true;
    let isTaken = true;
    for (const frame of frames) {
      asksForAck ||= isAckEliciting(frame);
      urgent ||= URGENT_FRAMES.has(frame.kind);
      onlyAboutPaths &&= PATH_FRAMES.has(frame.kind);
      if (!this.#handleFrame(frame, path, session, now)) isTaken = false;
      if (this.#state !== 'open') return;
    }
    // What could not be kept comes again: it has not been received.
    if (isTaken) this.#acks.received(packetNumber, asksForAck, urgent, now);
    this.#node.noteStreams(this);
    if (packetNumber > this.#highestNumber) {
      this.#highestNumber = packetNumber;
      if (!onlyAboutPaths) this.#highestFrom = path;
    }
    this.#followPeer(path, now);
    this.#considerRekey(session, now);
  }

  /**
   * A response to an initiation from outside, completed and found to continue this tunnel. Where it came from is proved only if
   * the initiation went nowhere else: a peer that got it at one address might answer in the name of another.
   */
  handleEstablished(attempt: Attempt, established: Established, arrival: Arrival, now: Instant): void {
    const { route, length } = arrival;
    const isProved = attempt.proves(route.key);
    const isAsked = this.allRoutes.some((known) => known.key === route.key);
    const rtt = attempt.roundTrip(now);
    this.#outreach.complete(attempt);
    const path = this.#pathFor(route, now);
    if (path !== undefined) {
      path.noteReceived(length, now);
      if (isProved) path.validate(now);
      else if (!path.wasValidatedLately(now)) path.startChallenge(this.#node.rng, now);
      if (rtt !== undefined) this.#sampleHandshake(path, rtt, now);
      if (isAsked || this.#paths.active === undefined) this.#activate(path);
    }
    const session = this.#initiator.sessionFrom(attempt, established, now);
    this.#join(session, established.incarnation, established.known, route, now);
    this.#heardAt = now;
    this.#askToConfirm(session, now);
  }

  /** Takes in a session that was provisional until now. Its peer uses keys that went to `route`, so it receives there. */
  adopt(session: Session, incarnation: Uint8Array, known: KnownRecord, proof: ProvedRoute, now: Instant): void {
    const { route, roundTrip } = proof;
    const path = this.#pathFor(route, now);
    path?.validate(now);
    if (roundTrip !== undefined && path !== undefined) this.#sampleHandshake(path, roundTrip, now);
    if (this.#paths.active === undefined && path !== undefined) this.#activate(path);
    this.#join(session, incarnation, known, route, now);
  }

  /** The attempt that a response or a cookie with this session id belongs to. */
  attemptFor(localId: number, now: Instant): Attempt | undefined {
    const { attempt } = this.#outreach;
    return attempt?.localId === localId && !attempt.isOver(now) ? attempt : undefined;
  }

  handleCookie(packet: CookiePacket, route: Route, now: Instant): DropReason | undefined {
    return this.#outreach.handleCookie(packet, route, this.allRoutes, now);
  }

  handleTimeout(now: Instant): void {
    this.#sessions.expire(this.#probeTimeout, this.#heardAt, now);
    this.#outreach.handleTimeout(this.allRoutes, this.#jitter(), now);
    if (this.#keepaliveDue <= now) this.#keepalive(now);
    if (this.#peerDeadline <= now) {
      this.end({ kind: 'peer-timeout' });
      return;
    }
    if (this.#paceAt <= now) this.#paceAt = NEVER;
    if (this.#recovery.nextTimeout() <= now) this.#recover(now);
    for (let due = this.#timers.takeDue(now); due !== undefined; due = this.#timers.takeDue(now)) {
      switch (due) {
        case 'rekey':
          this.#repeatRekey(now);
          break;
        case 'confirm':
          this.#repeatConfirm(now);
          break;
        case 'close':
          this.end(undefined);
          break;
        default:
          assertNever(due);
      }
      if (this.#state === 'closed') return;
    }
  }

  /** Writes what is to be sent next to the start of `buffer` (64 KiB): one batch for one route, or nothing. */
  pollTransmit(buffer: Uint8Array, now: Instant): Transmit | undefined {
    if (this.#state === 'closed') return undefined;
    if (this.#state === 'closing') return this.#writeClose(buffer, now);
    const initiation = this.#outreach.write(buffer, now);
    if (initiation !== undefined) return initiation;
    if (this.#state !== 'open') return undefined;
    this.#challengePaths(now);
    for (let next = this.#directed.shift(); next !== undefined; next = this.#directed.shift()) {
      const transmit = this.#writeDirected(buffer, next, now);
      if (transmit !== undefined) return transmit;
    }
    return this.#writeBatch(buffer, now);
  }

  /** RFC 9000 §10.2.1: what the peer still says is answered with CLOSE, ever more rarely; its own CLOSE ends the exchange. */
  #hearWhileClosing(frames: readonly Frame[] | DecodeError): void {
    if (!isDecodeError(frames) && frames.some((frame) => frame.kind === 'close')) {
      this.end(undefined);
      return;
    }
    this.#heardWhileClosing += 1;
    if ((this.#heardWhileClosing & (this.#heardWhileClosing - 1)) === 0) this.#closeIsDue = true;
  }

  // Frames.

  /** False where the frame could not be taken, so that its packet must not be acknowledged. */
  #handleFrame(frame: Frame, path: Path | undefined, session: Session, now: Instant): boolean {
    switch (frame.kind) {
      case 'padding':
      case 'ping':
      case 'optional':
        return true;
      case 'ack':
        this.#handleAck(frame, now);
        return true;
      case 'datagram':
        session.carriedTraffic = true;
        this.#usedAt = now;
        this.#node.deliver({
          peer: this.key,
          sourcePort: frame.sourcePort,
          destinationPort: frame.destinationPort,
          data: frame.data.slice(),
        });
        return true;
      case 'path-challenge':
        // RFC 9000 §8.2.2: answered by the path it came by.
        if (path !== undefined) {
          const answer: Frame = { kind: 'path-response', token: frame.token.slice() };
          this.#direct({ path, session: undefined, frame: answer, pad: false });
        }
        return true;
      case 'path-response':
        if (path?.isAnsweredBy(frame.token)) path.validate(now);
        return true;
      case 'handshake':
        this.#handleInner(frame.message, now);
        return true;
      case 'close':
        this.end({ kind: 'closed-by-peer', code: frame.code, text: frame.reason });
        return true;
      case 'stream-data':
      case 'stream-open':
      case 'stream-reset':
      case 'stream-stop':
      case 'max-data':
      case 'max-stream-data':
      case 'max-streams':
        return this.#handleStreamFrame(frame, session, now);
      case 'candidates':
      case 'observed-address':
        // Advice: legal to ignore.
        return true;
      default:
        return assertNever(frame);
    }
  }

  #handleStreamFrame(frame: StreamFrame, session: Session, now: Instant): boolean {
    session.carriedTraffic = true;
    this.#usedAt = now;
    const smoothedRtt = this.#paths.active?.rtt.smoothed ?? INITIAL_RTT;
    const outcome = this.#streams.handleFrame(frame, smoothedRtt, now);
    if (outcome === 'not-taken') return false;
    if (outcome !== undefined) this.close(outcome, '', now);
    return true;
  }

  #handleAck(ack: AckFrame, now: Instant): void {
    const outcome = this.#recovery.onAckFrame(ack.ranges, ack.delayUs, now);
    if (outcome !== 'ok') {
      // RFC 9000 §13.1: an acknowledgement of what was never sent.
      this.close('PROTOCOL_VIOLATION', 'ACK of a packet never sent', now);
      return;
    }
    this.#followLanes(now);
    this.#node.noteStreams(this);
  }

  // Sessions.

  #join(session: Session, incarnation: Uint8Array, known: KnownRecord, route: Route, now: Instant): void {
    this.#remoteIncarnation = incarnation;
    this.#initiator.note(session.generation);
    this.#sessions.add(session, now);
    this.#learn(known);
    if (this.#state !== 'connecting') return;
    this.#state = 'open';
    this.#usedAt = now;
    this.#drawKeepalive();
    this.#node.emit({ kind: 'tunnel-up', peer: this.key, record: known.record, route });
  }

  #confirm(session: Session, now: Instant): void {
    const before = this.#sessions.sending;
    const wasConfirmed = before?.isConfirmed === true;
    this.#sessions.confirm(session, now);
    // A late answer is still taken; there is no need to ask again.
    this.#outreach.stop();
    const { sending } = this.#sessions;
    if (this.#state !== 'open' || !wasConfirmed || sending === undefined || sending === before) return;
    this.#node.emit({ kind: 'rekeyed', peer: this.key, generation: sending.generation });
  }

  #considerRekey(session: Session, now: Instant): void {
    // A fresh session that waits to be confirmed stands before the one that is sent in.
    if (this.#rekeying.isRunning || session !== this.#sessions.sending || this.#sessions.all[0] !== session) return;
    if (!this.#rekeying.isDue(session, now)) return;
    this.#rekeying.start(now);
    this.#repeatRekey(now);
  }

  #repeatRekey(now: Instant): void {
    // Inside a tunnel the round trip is known, so a lost frame need not wait for the ladder of strangers.
    const interval = this.#backoff(this.#rekeying.sends);
    const message = this.#rekeying.next(now);
    if (message === undefined) return;
    this.#control.push({ kind: 'handshake', message });
    this.#timers.set('rekey', after(now, interval));
  }

  #handleInner(bytes: Uint8Array, now: Instant): void {
    const message = decodeInnerHandshake(bytes);
    if (isDecodeError(message)) {
      this.close('FRAME_ENCODING', message.reason, now);
      return;
    }
    assert(this.#remoteIncarnation !== undefined, 'an open tunnel knows its peer');
    const state: RekeyState = {
      remoteIncarnation: this.#remoteIncarnation,
      known: this.#known,
      highestGeneration: this.#sessions.highestGeneration,
    };
    const outcome =
      message.kind === 'inner-initiation'
        ? this.#rekeying.answer(message, bytes, state, now)
        : this.#rekeying.complete(message, state, now);
    if (outcome.kind === 'refused') {
      this.#node.drop(outcome.reason);
      return;
    }
    if (outcome.session !== undefined) this.#sessions.add(outcome.session, now);
    if (outcome.known !== undefined) this.#learn(outcome.known);
    if (outcome.kind === 'answer') this.#control.push({ kind: 'handshake', message: outcome.message });
    else this.#askToConfirm(outcome.session, now);
  }

  /** A fresh session of ours is probed until the peer has been heard in it; only then does traffic move to it. */
  #askToConfirm(session: Session, now: Instant): void {
    const path = this.#paths.active;
    if (path === undefined || session.replacedAt !== undefined) return;
    if (session === this.#sessions.sending) {
      // All that is sent asks in it already, and probes repeat the question.
      this.#control.push({ kind: 'ping' });
      return;
    }
    this.#direct({ path, session, frame: { kind: 'ping' }, pad: false });
    this.#timers.set('confirm', after(now, this.#backoff(0)));
  }

  #repeatConfirm(now: Instant): void {
    const session = this.#sessions.all.find((candidate) => candidate.initiatedLocally && !candidate.isConfirmed);
    if (session !== undefined) this.#askToConfirm(session, now);
  }

  #learn(known: KnownRecord): void {
    if (this.#known !== undefined && equal(this.#known.bytes, known.bytes)) return;
    if (this.#known !== undefined && known.record.sequence <= this.#known.record.sequence) return;
    this.#known = known;
    this.#node.emit({ kind: 'record', peer: this.key, record: known.record, bytes: known.bytes });
  }

  // Paths.

  #pathFor(route: Route, now: Instant): Path | undefined {
    const path = this.#paths.getOrAdd(route);
    this.#closeLanes(now);
    if (path !== undefined && path.lane === undefined) path.lane = this.#openLane(path, now);
    return path;
  }

  #openLane(path: Path, now: Instant): Lane {
    const { congestion, mtuMax } = this.#config;
    const controller = createController(congestion, { mtu: BASE_MTU, rng: this.#node.rng, now });
    const mtuSearch = new MtuSearch(path.route.mtuMax ?? mtuMax);
    return new Lane(this.#recovery.addPath({ rtt: path.rtt, controller, mtuSearch }, now), now);
  }

  #closeLanes(now: Instant): void {
    for (let path = this.#paths.takeRemoved(); path !== undefined; path = this.#paths.takeRemoved()) {
      if (path.lane !== undefined) this.#recovery.removePath(path.lane.recovery, now);
      path.lane = undefined;
    }
  }

  #followLanes(now: Instant): void {
    const lane = this.#paths.active?.lane;
    if (lane === undefined) return;
    lane.follow(now);
    this.#paceAt = NEVER;
    this.#acks.onRoundTrip(lane.recovery.rtt.smoothed);
  }

  #sampleHandshake(path: Path, roundTrip: number, now: Instant): void {
    path.rtt.sample(roundTrip, 0);
    path.lane?.follow(now);
  }

  #followPeer(path: Path | undefined, now: Instant): void {
    if (path === undefined || path === this.#paths.active) return;
    if (!path.wasValidatedLately(now)) path.startChallenge(this.#node.rng, now);
    // RFC 9000 §9.3: only the newest packet moves us, and only to where the peer has shown that it receives.
    else if (this.#highestFrom === path) this.#activate(path);
  }

  #activate(path: Path): void {
    if (path === this.#paths.active) return;
    const isFirst = this.#paths.active === undefined;
    this.#paths.activate(path);
    if (path.lane !== undefined) this.#recovery.setActive(path.lane.recovery);
    if (!isFirst) this.#node.emit({ kind: 'path-changed', peer: this.key, route: path.route });
  }

  #challengePaths(now: Instant): void {
    if (this.#paths.nextChallengeDue() > now) return;
    for (const path of this.#paths.all) {
      if (path.challengeDue > now) continue;
      const token = path.takeChallenge(now);
      if (token !== undefined)
        this.#direct({ path, session: undefined, frame: { kind: 'path-challenge', token }, pad: true });
      else if (!path.isValidated) this.#paths.remove(path);
    }
    this.#closeLanes(now);
  }

  // Liveness.

  get #probeTimeout(): number {
    return this.#paths.active?.rtt.probeTimeout ?? PROBE_INTERVAL_MAX;
  }

  #backoff(count: number): number {
    return Math.min(this.#probeTimeout * 2 ** Math.min(count, 10), PROBE_INTERVAL_MAX);
  }

  #recover(now: Instant): void {
    const outcome = this.#recovery.handleTimeout(now);
    this.#followLanes(now);
    if (outcome === 'probe') this.#probe(now);
  }

  #probe(now: Instant): void {
    const path = this.#paths.active;
    if (path === undefined) return;
    this.#probesUnheard += 1;
    // Something small, that passes where large packets vanish; what is to be sent again may follow it.
    this.#direct({ path, session: undefined, frame: { kind: 'ping' }, pad: false });
    if (this.#probesUnheard < PROBES_BEFORE_HANDSHAKE) return;
    // The peer may have lost its state, or its address: ask from outside, and look whether another path is alive.
    if (!this.#outreach.isSending && !this.#isBeingConfirmed(now)) this.#outreach.start(now);
    for (const other of this.#paths.all) if (other !== path) other.startChallenge(this.#node.rng, now);
  }

  /** A handshake has just been answered; its first packets may be on their way. */
  #isBeingConfirmed(now: Instant): boolean {
    return this.#sessions.all.some(
      (session) => session.initiatedLocally && !session.isConfirmed && now - session.createdAt < PROBE_INTERVAL_MAX,
    );
  }

  /** Without an authenticated answer until then, while one is due, the tunnel ends. */
  get #peerDeadline(): Instant {
    const { peerTimeout } = this.#config;
    if (this.#state === 'connecting') {
      return this.#connectingSince === undefined ? NEVER : after(this.#connectingSince, peerTimeout);
    }
    const { dueSince } = this.#recovery;
    if (this.#state !== 'open' || dueSince === undefined) return NEVER;
    return after(Math.max(dueSince, this.#heardAt) as Instant, peerTimeout);
  }

  get #keepaliveDue(): Instant {
    return this.#state === 'open' ? after(this.#activeAt, this.#keepaliveInterval) : NEVER;
  }

  #drawKeepalive(): void {
    this.#keepaliveInterval = KEEPALIVE_MIN + randomBelow(this.#node.rng, KEEPALIVE_SPREAD);
  }

  #keepalive(now: Instant): void {
    this.#recovery.trim(now);
    this.#control.push({ kind: 'ping' });
    this.#activeAt = now;
    this.#drawKeepalive();
  }

  // Sending.

  #direct(packet: DirectedPacket): void {
    this.#directed.push(packet);
  }

  #writeDirected(buffer: Uint8Array, packet: DirectedPacket, now: Instant): Transmit | undefined {
    const { path, frame, pad } = packet;
    const session = packet.session ?? this.#sessions.sending;
    if (session === undefined || !this.#sessions.all.includes(session)) return undefined;
    const limit = Math.min(path.mtu, path.allowance);
    const needed = DATA_OVERHEAD_BYTES + frameLength(frame);
    if (limit < needed) return undefined;
    const writer = this.#body(buffer, 0, pad ? limit : needed);
    encodeFrame(writer, frame);
    // RFC 9000 §8.2.1: a challenge fills the packet, so that its answer also shows what the path carries.
    if (pad) writer.zeros(writer.remaining);
    const length = this.#seal(buffer, 0, writer, session, now);
    if (length === 0) return undefined;
    // What asks in a session that is not sent in yet is repeated by its own timer, not by probes.
    this.#noteSent(path, isAckEliciting(frame) && session === this.#sessions.sending, length, now);
    return { route: path.route, length, segmentSize: length };
  }

  #writeBatch(buffer: Uint8Array, now: Instant): Transmit | undefined {
    const session = this.#sessions.sending;
    const path = this.#paths.active;
    const lane = path?.lane;
    if (session === undefined || path === undefined || lane === undefined) return undefined;
    const probe = this.#writeMtuProbe(buffer, session, path, lane, now);
    if (probe !== undefined) return probe;
    const room = this.#recovery.room(lane.recovery);
    let budget = Math.min(room, lane.pacer.available(now));
    let length = 0;
    let segmentSize = path.mtu;
    for (let segments = 0; segments < SEGMENTS_MAX; segments++) {
      const limit = Math.min(segmentSize, path.allowance);
      if (buffer.length - length < limit) break;
      const mayAsk = budget >= limit || lane.recovery.probesDue > 0;
      const written = this.#writePacket({ buffer, start: length, limit, mayAsk }, session, path, now);
      if (written === 0) break;
      if (segments === 0) segmentSize = written;
      length += written;
      budget -= written;
      if (written < segmentSize) break;
    }
    this.#noteLimit(lane, room - length, now);
    if (length === 0) return undefined;
    this.#recovery.onBatchSent(lane.recovery, now);
    this.#considerRekey(session, now);
    return { route: path.route, length, segmentSize };
  }

  get #hasData(): boolean {
    return this.#control.length > 0 || this.#datagrams.length > 0 || this.#streams.wantsToSend;
  }

  /** Why sending stopped: for want of data, of window, or of time. */
  #noteLimit(lane: Lane, room: number, now: Instant): void {
    this.#paceAt = NEVER;
    if (room < lane.mtu) return;
    if (!this.#hasData) this.#recovery.onAppLimited(lane.recovery, now);
    else if (lane.pacer.available(now) < lane.mtu) this.#paceAt = lane.pacer.nextSendAt(lane.pacer.quantum, now);
  }

  /** RFC 8899 §4.1: a packet of the size in question, of nothing that anybody would miss. */
  #writeMtuProbe(buffer: Uint8Array, session: Session, path: Path, lane: Lane, now: Instant): Transmit | undefined {
    if (!path.isValidated || !session.isConfirmed || lane.recovery.ptoCount > 0) return undefined;
    const size = lane.recovery.mtuSearch.nextProbe(now);
    if (size === undefined || size > buffer.length || this.#recovery.room(lane.recovery) < size) return undefined;
    const writer = this.#body(buffer, 0, size);
    encodeFrame(writer, { kind: 'ping' });
    writer.zeros(writer.remaining);
    const packetNumber = this.#nextPacketNumber;
    const length = this.#seal(buffer, 0, writer, session, now);
    if (length === 0) return undefined;
    path.bytesSent += length;
    this.#activeAt = now;
    this.#recovery.onMtuProbeSent(lane.recovery, packetNumber, length, now);
    lane.pacer.onSent(length, now);
    return { route: path.route, length, segmentSize: length };
  }

  /** One packet of at most `limit` bytes from what waits; 0 where nothing does, or nothing fits. */
  #writePacket(place: PacketPlace, session: Session, path: Path, now: Instant): number {
    const { buffer, start, limit, mayAsk } = place;
    const writer = this.#body(buffer, start, limit);
    const from = writer.offset;
    const { contents } = this.#recovery;
    const hasMore = mayAsk && this.#hasData;
    const isWorthwhile = this.#acks.isOwed || (this.#control.length > 0 && this.#acks.rangeCount > 1);
    let hasAck = false;
    if (this.#acks.deadline <= now || (hasMore && isWorthwhile)) {
      const ack = this.#acks.frame(now);
      hasAck = frameLength(ack) <= writer.remaining;
      if (hasAck) {
        encodeFrame(writer, ack);
        contents.add(CONTENT_ACK, 0, this.#acks.highest, 0);
      }
    }
    const afterAck = writer.offset;
    if (mayAsk) {
      if (hasAck && this.#acks.wantsAnswer && writer.remaining > 0) encodeFrame(writer, { kind: 'ping' });
      writeWaiting(writer, this.#control);
      const afterControl = writer.offset;
      writeWaiting(writer, this.#datagrams);
      this.#streams.writeFrames(writer, contents);
      if (writer.offset > afterControl) session.carriedTraffic = true;
    }
    if (writer.offset === from) return 0;
    const asksForAck = writer.offset > afterAck;
    if (hasAck) this.#acks.sent(asksForAck, now);
    const length = this.#seal(buffer, start, writer, session, now);
    if (length > 0) this.#noteSent(path, asksForAck, length, now);
    return length;
  }

  #writeClose(buffer: Uint8Array, now: Instant): Transmit | undefined {
    const session = this.#sessions.sending;
    const path = this.#paths.active;
    if (!this.#closeIsDue || this.#closeFrame === undefined || session === undefined || path === undefined) {
      return undefined;
    }
    this.#closeIsDue = false;
    const needed = DATA_OVERHEAD_BYTES + frameLength(this.#closeFrame);
    if (path.allowance < needed) return undefined;
    const writer = this.#body(buffer, 0, needed);
    encodeFrame(writer, this.#closeFrame);
    const length = this.#seal(buffer, 0, writer, session, now);
    if (length === 0) return undefined;
    this.#noteSent(path, false, length, now);
    return { route: path.route, length, segmentSize: length };
  }

  #body(buffer: Uint8Array, start: number, limit: number): ByteWriter {
    return new ByteWriter(buffer, start + DATA_HEADER_BYTES, start + limit - AEAD_TAG_BYTES);
  }

  /** Seals what the writer wrote; 0 where this session's key may not seal any more, which ends the tunnel. */
  #seal(buffer: Uint8Array, start: number, writer: ByteWriter, session: Session, now: Instant): number {
    const { sealedPacketsMax } = this.#config;
    if (this.#state === 'open' && session.sealedPackets >= sealedPacketsMax - 1) {
      // The last one is for CLOSE.
      this.close('KEY_LIMIT', '', now);
      return 0;
    }
    if (session.sealedPackets >= sealedPacketsMax) {
      this.end({ kind: 'closed', code: 'KEY_LIMIT' });
      return 0;
    }
    const bodyLength = writer.offset - (start + DATA_HEADER_BYTES);
    return session.seal(buffer, start, bodyLength, this.#nextPacketNumber++);
  }

  #noteSent(path: Path, asksForAck: boolean, length: number, now: Instant): void {
    assert(length <= path.allowance, 'a path that has not proved itself is sent at most three times what came from it');
    path.bytesSent += length;
    this.#activeAt = now;
    const lane = path.lane;
    assert(lane !== undefined, 'a path that is sent by has a lane');
    this.#recovery.onSent(lane.recovery, this.#nextPacketNumber - 1, length, asksForAck, now);
    if (asksForAck) lane.pacer.onSent(length, now);
  }

  #stopEverything(): void {
    for (const name of TIMER_NAMES) this.#timers.stop(name);
    this.#outreach.abandon();
    this.#rekeying.abandon();
    this.#directed.clear();
    this.#control.clear();
    this.#datagrams.clear();
  }

  #jitter(): number {
    return randomBelow(this.#node.rng, 1_000) / 1_000;
  }
}

/** What all tunnels of a node share. */
export interface TunnelNode extends HandshakeContext {
  readonly config: TunnelConfig;
  readonly budget: NodeBudget;
  /** Why a stream of the peer to that port is refused; `undefined` lets it wait for a program. */
  admitStream(tunnel: Tunnel, port: number): number | undefined;
  /** Something may have happened to its streams. */
  noteStreams(tunnel: Tunnel): void;
  createReplayWindow(): ReplayWindow;
  /** A session id that no other session here has; packets that carry it are this tunnel's. */
  claimId(tunnel: Tunnel): number;
  releaseId(id: number): void;
  emit(event: TunnelEvent): void;
  deliver(datagram: ReceivedDatagram): void;
  drop(reason: DropReason): void;
}

export interface TunnelOptions {
  readonly node: TunnelNode;
  readonly peer: PeerKeys;
  readonly localIncarnation: Uint8Array;
  readonly remoteIncarnation: Uint8Array | undefined;
  readonly choices?: TunnelChoices | undefined;
}

/** What whoever dials may choose for one peer. */
export type TunnelChoices = Partial<Pick<TunnelConfig, 'congestion' | 'peerTimeout'>>;

export interface OpenedPacket {
  readonly session: Session;
  readonly packetNumber: number;
  readonly plaintext: Uint8Array;
  /** Of the whole packet. */
  readonly length: number;
}

export interface TunnelState {
  readonly peer: string;
  readonly state: string;
  readonly nextPacketNumber: number;
  readonly highestReceived: number;
  readonly active: string | undefined;
  readonly paths: readonly {
    readonly route: string;
    readonly isValidated: boolean;
    readonly isChallenged: boolean;
    readonly bytesReceived: number;
    readonly bytesSent: number;
  }[];
  readonly sessions: readonly {
    readonly localId: number;
    readonly remoteId: number;
    readonly generation: number;
    readonly initiatedLocally: boolean;
    readonly isConfirmed: boolean;
    readonly isReplaced: boolean;
    readonly isSending: boolean;
  }[];
  readonly isAttempting: boolean;
  readonly isRekeying: boolean;
  readonly queued: number;
  readonly windowSize: number;
}

/** By which way a packet came, and how long it was. */
export interface Arrival {
  readonly route: Route;
  readonly length: number;
}

/** Where an answer went that has been used, and how long that took, where it was sent only once. */
export interface ProvedRoute {
  readonly route: Route;
  readonly roundTrip: number | undefined;
}

export type SendResult = 'queued' | 'too-large' | 'closed';

/** Where a packet is written, and whether it may carry what asks for an ACK. */
interface PacketPlace {
  readonly buffer: Uint8Array;
  readonly start: number;
  readonly limit: number;
  readonly mayAsk: boolean;
}

interface DirectedPacket {
  readonly path: Path;
  /** `undefined`: the one that traffic goes in. */
  readonly session: Session | undefined;
  readonly frame: Frame;
  readonly pad: boolean;
}

const TIMER_NAMES = ['rekey', 'confirm', 'close'] as const;
type TimerName = (typeof TIMER_NAMES)[number];

/** Frames whose sender waits on the acknowledgement. */
const URGENT_FRAMES: ReadonlySet<Frame['kind']> = new Set([
  'ping',
  'handshake',
  'path-challenge',
  'path-response',
  'stream-open',
  'stream-reset',
  'stream-stop',
]);

/** RFC 9000 §9.1: what only asks about a path does not move the peer to it. */
const PATH_FRAMES: ReadonlySet<Frame['kind']> = new Set(['padding', 'path-challenge', 'path-response']);

function writeWaiting(writer: ByteWriter, queue: BoundedQueue<Frame>): void {
  for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
    if (frameLength(next) > writer.remaining) return;
    encodeFrame(writer, next);
    queue.shift();
  }
}
