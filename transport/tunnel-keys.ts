import { assert, assertNever } from '../base/assert.ts';
import { equal } from '../base/bytes.ts';
import type { Instant } from '../base/time.ts';
import { after } from '../base/time.ts';
import { Timers } from '../base/timers.ts';
import { type DecodeError, isDecodeError } from '../wire/decode-error.ts';
import { decodeInnerHandshake } from '../wire/packet.ts';
import { PROBE_INTERVAL_MAX } from './constants.ts';
import type { KnownRecord } from './handshake.ts';
import type { Initiator, SessionIds } from './initiator.ts';
import type { Outbox } from './outbox.ts';
import { Rekeying, type RekeyState } from './rekeying.ts';
import type { Session } from './session.ts';
import { SessionSet } from './session-set.ts';
import type { SessionState, TunnelNode } from './tunnel-node.ts';
import type { TunnelPaths } from './tunnel-paths.ts';

/**
 * How the keys of a tunnel follow one another, and what the handshakes said of the peer: its incarnation and its record.
 *
 * A session joins from a handshake outside the tunnel, or is made by one in HANDSHAKE frames (`Rekeying`). One that we asked for is
 * probed with PINGs until the peer is heard in it; only then does traffic move to it. What goes out goes through the outbox, so
 * nothing here is sent before the tunnel is polled.
 */
export class TunnelKeys {
  readonly sessions: SessionSet;
  readonly #parts: TunnelKeysParts;
  readonly #rekeying: Rekeying;
  #remoteIncarnation: Uint8Array | undefined;
  #known: KnownRecord | undefined;
  readonly #timers: Timers<TimerName> = new Timers(TIMER_NAMES);

  constructor(parts: TunnelKeysParts, now: Instant) {
    const { node, initiator, ids, localIncarnation, remoteIncarnation } = parts;
    this.#parts = parts;
    this.#remoteIncarnation = remoteIncarnation;
    this.sessions = new SessionSet((session) => {
      ids.release(session.localId);
      session.wipe();
    });
    this.#rekeying = new Rekeying({ context: node, initiator, ids, incarnation: localIncarnation }, now);
  }

  /** The peer's record, once a handshake has brought it. */
  get known(): KnownRecord | undefined {
    return this.#known;
  }

  get remoteIncarnation(): Uint8Array | undefined {
    return this.#remoteIncarnation;
  }

  get isRekeying(): boolean {
    return this.#rekeying.isRunning;
  }

  /** Whether a handshake that showed this incarnation of the peer is of the peer that is known. */
  isWith(remoteIncarnation: Uint8Array): boolean {
    return this.#remoteIncarnation === undefined || equal(this.#remoteIncarnation, remoteIncarnation);
  }

  /** A handshake has just been answered; its first packets may be on their way. */
  isBeingConfirmed(now: Instant): boolean {
    return this.sessions.all.some(
      (session) => session.initiatedLocally && !session.isConfirmed && now - session.createdAt < PROBE_INTERVAL_MAX,
    );
  }

  inspect(): readonly SessionState[] {
    return this.sessions.all.map((session) => ({
      localId: session.localId,
      remoteId: session.remoteId,
      generation: session.generation,
      initiatedLocally: session.initiatedLocally,
      isConfirmed: session.isConfirmed,
      isReplaced: session.replacedAt !== undefined,
      isSending: session === this.sessions.sending,
    }));
  }

  nextTimeout(): Instant {
    return this.#timers.next();
  }

  handleTimeout(now: Instant): void {
    for (let due = this.#timers.takeDue(now); due !== undefined; due = this.#timers.takeDue(now)) {
      switch (due) {
        case 'rekey':
          this.#repeatRekey(now);
          break;
        case 'confirm':
          this.#repeatConfirm(now);
          break;
        default:
          assertNever(due);
      }
    }
  }

  /** A session from a handshake outside. */
  join(session: Session, incarnation: Uint8Array, known: KnownRecord, now: Instant): void {
    this.#remoteIncarnation = incarnation;
    this.#parts.initiator.note(session.generation);
    this.sessions.add(session, now);
    this.#learn(known);
  }

  /** The peer has been heard in it. Gives the session that traffic has moved to from another confirmed one, if it has. */
  confirm(session: Session, now: Instant): Session | undefined {
    const before = this.sessions.sending;
    const wasConfirmed = before?.isConfirmed === true;
    this.sessions.confirm(session, now);
    this.#rekeying.noteConfirmed(session);
    const { sending } = this.sessions;
    return wasConfirmed && sending !== before ? sending : undefined;
  }

  /** A fresh session of ours is probed until the peer has been heard in it; only then does traffic move to it. */
  askToConfirm(session: Session, now: Instant): void {
    const { paths, outbox } = this.#parts;
    const path = paths.active;
    if (path === undefined || session.replacedAt !== undefined) return;
    if (session === this.sessions.sending) {
      // All that is sent asks in it already, and probes repeat the question.
      outbox.pushControl({ kind: 'ping' });
      return;
    }
    outbox.direct({ path, session, frame: { kind: 'ping' }, pad: false });
    this.#timers.set('confirm', after(now, paths.retryInterval(0)));
  }

  /** After packets went or came in a session. */
  considerRekey(session: Session, now: Instant): void {
    const { sending, all } = this.sessions;
    // A fresh session that waits to be confirmed stands before the one that is sent in.
    if (this.#rekeying.isRunning || session !== sending || session !== all[0]) return;
    if (!this.#rekeying.isDue(session, now)) return;
    this.#rekeying.start(now);
    this.#repeatRekey(now);
  }

  /** What a HANDSHAKE frame carried. A message that cannot be read is the peer's fault; one that leads nowhere is dropped. */
  handleInner(bytes: Uint8Array, now: Instant): DecodeError | undefined {
    const message = decodeInnerHandshake(bytes);
    if (isDecodeError(message)) return message;
    assert(this.#remoteIncarnation !== undefined, 'an open tunnel knows its peer');
    const state: RekeyState = {
      remoteIncarnation: this.#remoteIncarnation,
      known: this.#known,
      highestGeneration: this.sessions.highestGeneration,
    };
    const outcome =
      message.kind === 'inner-initiation'
        ? this.#rekeying.answer(message, bytes, state, now)
        : this.#rekeying.complete(message, state, now);
    if (outcome.kind === 'refused') {
      this.#parts.node.drop(outcome.reason);
      return undefined;
    }
    if (outcome.session !== undefined) this.sessions.add(outcome.session, now);
    if (outcome.known !== undefined) this.#learn(outcome.known);
    if (outcome.kind === 'answer') this.#parts.outbox.pushControl({ kind: 'handshake', message: outcome.message });
    else this.askToConfirm(outcome.session, now);
    return undefined;
  }

  /** No more is asked for; the sessions there are stay open. */
  stop(): void {
    for (const name of TIMER_NAMES) this.#timers.stop(name);
    this.#rekeying.abandon();
  }

  #repeatRekey(now: Instant): void {
    const { paths, outbox } = this.#parts;
    // Inside a tunnel the round trip is known, so a lost frame need not wait for the ladder of strangers.
    const interval = paths.retryInterval(this.#rekeying.sends);
    const message = this.#rekeying.next(now);
    if (message === undefined) return;
    outbox.pushControl({ kind: 'handshake', message });
    this.#timers.set('rekey', after(now, interval));
  }

  #repeatConfirm(now: Instant): void {
    const session = this.sessions.all.find((candidate) => candidate.initiatedLocally && !candidate.isConfirmed);
    if (session !== undefined) this.askToConfirm(session, now);
  }

  #learn(known: KnownRecord): void {
    if (this.#known !== undefined && equal(this.#known.bytes, known.bytes)) return;
    if (this.#known !== undefined && known.record.sequence <= this.#known.record.sequence) return;
    this.#known = known;
    this.#parts.learned(known);
  }
}

export interface TunnelKeysParts {
  readonly node: TunnelNode;
  readonly initiator: Initiator;
  readonly ids: SessionIds;
  readonly localIncarnation: Uint8Array;
  readonly remoteIncarnation: Uint8Array | undefined;
  readonly paths: TunnelPaths;
  readonly outbox: Outbox;
  /** Is told of each newer record of the peer. */
  readonly learned: (known: KnownRecord) => void;
}

const TIMER_NAMES = ['rekey', 'confirm'] as const;
type TimerName = (typeof TIMER_NAMES)[number];
