import type { Instant } from '../base/time.ts';
import { after, earliest, NEVER } from '../base/time.ts';
import { REPLACED_LIFETIME_MAX, REPLACED_LIFETIME_PTO, UNCONFIRMED_LIFETIME } from './constants.ts';
import type { Session } from './session.ts';

/** Rekeying drops replaced sessions within a few round trips; this bounds a peer that rekeys faster than that. */
const SESSIONS_MAX = 16;

/**
 * The sessions of one tunnel, and which of them it sends in (PROTOCOL.md §6). Both sides order them alike, so after any
 * crossing of handshakes they end in the same one, and the one they leave stays open for what is still under way.
 */
export class SessionSet {
  readonly #drop: (session: Session) => void;
  /** Those that come or leave are in or out of the next array, which is as long as it needs to be; this one may be walked meanwhile. */
  #sessions: readonly Session[] = [];
  #sending: Session | undefined;

  /** `drop` is told of each session that leaves, to wipe its keys and free its id. */
  constructor(drop: (session: Session) => void) {
    this.#drop = drop;
  }

  get all(): readonly Session[] {
    return this.#sessions;
  }

  /** The one with this id of ours. */
  get(localId: number): Session | undefined {
    for (const session of this.#sessions) if (session.localId === localId) return session;
    return undefined;
  }

  /** The first confirmed one; before any is, the first that we initiated. */
  get sending(): Session | undefined {
    return this.#sending;
  }

  get highestGeneration(): number {
    return this.#sessions.reduce((highest, session) => Math.max(highest, session.generation), 0);
  }

  add(session: Session, now: Instant): void {
    // A crossing handshake may complete after a better session was confirmed; then it is not needed any more.
    if (this.#sessions.some((other) => other.isConfirmed && other.isBefore(session))) session.replacedAt = now;
    this.#sessions = this.#sessions.concat(session).sort((a, b) => (a.isBefore(b) ? -1 : 1));
    if (this.#sessions.length > SESSIONS_MAX) this.#dropLast();
    this.#choose();
  }

  confirm(session: Session, now: Instant): void {
    session.isConfirmed = true;
    const first = this.#sessions.find((candidate) => candidate.isConfirmed)!;
    for (const other of this.#sessions) {
      if (first.isBefore(other)) other.replacedAt ??= now;
    }
    this.#choose();
  }

  /** `heardAt` is when any session last opened a packet. */
  expire(probeTimeout: number, heardAt: Instant, now: Instant): void {
    const { length } = this.#sessions;
    for (const session of this.#sessions) {
      if (this.#expiry(session, probeTimeout, heardAt) <= now) this.#remove(session);
    }
    if (this.#sessions.length < length) this.#choose();
  }

  nextExpiry(probeTimeout: number, heardAt: Instant): Instant {
    let next = NEVER;
    for (const session of this.#sessions) next = earliest(next, this.#expiry(session, probeTimeout, heardAt));
    return next;
  }

  clear(): void {
    for (const session of this.#sessions) this.#drop(session);
    this.#sessions = [];
    this.#sending = undefined;
  }

  #expiry(session: Session, probeTimeout: number, heardAt: Instant): Instant {
    if (session.replacedAt !== undefined) return this.#replacedExpiry(session, session.replacedAt, probeTimeout);
    if (session.isConfirmed) return NEVER;
    // The peer may be sending in one we initiated while nothing of that arrives: only packets in another show that it is not.
    if (session.initiatedLocally && heardAt <= session.createdAt) return NEVER;
    return after(session.createdAt, UNCONFIRMED_LIFETIME);
  }

  #replacedExpiry(session: Session, replacedAt: Instant, probeTimeout: number): Instant {
    const quietSince = Math.max(replacedAt, session.lastOpenedAt) as Instant;
    return earliest(after(quietSince, REPLACED_LIFETIME_PTO * probeTimeout), after(replacedAt, REPLACED_LIFETIME_MAX));
  }

  #choose(): void {
    this.#sending =
      this.#sessions.find((session) => session.isConfirmed) ??
      this.#sessions.find((session) => session.initiatedLocally);
  }

  /** The last in order that we do not send in. */
  #dropLast(): void {
    const last = this.#sessions.findLast((session) => session !== this.#sending);
    if (last !== undefined) this.#remove(last);
  }

  #remove(session: Session): void {
    this.#sessions = this.#sessions.filter((other) => other !== session);
    this.#drop(session);
  }
}
