import type { Rng } from '../base/rng.ts';
import { randomBelow } from '../base/rng.ts';
import type { Instant } from '../base/time.ts';
import { after, NEVER } from '../base/time.ts';
import { KEEPALIVE_MIN, KEEPALIVE_SPREAD, PROBES_BEFORE_HANDSHAKE, REST_AFTER, REST_STEP } from './constants.ts';

/**
 * Whether the peer is there and whether anybody has use for it: when it was last heard, how long we wait for it, and when a packet
 * is due so that the NATs between us do not forget. A silent peer is a dead one only while it owes an answer; one that owes none
 * may be silent for ever.
 */
export class Liveness {
  readonly #peerTimeout: number;
  readonly #rng: Rng;
  /** Since when the peer of a tunnel that was never open has been asked for. */
  #askedAt: Instant | undefined;
  #heardAt: Instant;
  /** When anything was last sent or opened. */
  #activeAt: Instant;
  #usedAt: Instant;
  /** Nobody has used the tunnel since it gave back what only traffic needs. */
  #isResting = false;
  #probesUnheard = 0;
  #keepaliveInterval: number = KEEPALIVE_MIN;

  constructor(peerTimeout: number, rng: Rng, now: Instant) {
    this.#peerTimeout = peerTimeout;
    this.#rng = rng;
    this.#heardAt = now;
    this.#activeAt = now;
    this.#usedAt = now;
  }

  /** When an application last used the tunnel, here or there. */
  get usedAt(): Instant {
    return this.#usedAt;
  }

  /** When the peer last sent anything that only it can have sent. */
  get heardAt(): Instant {
    return this.#heardAt;
  }

  /** So many probes in vain that the peer may have lost its state, or its address. */
  get isInDoubt(): boolean {
    return this.#probesUnheard >= PROBES_BEFORE_HANDSHAKE;
  }

  /** Where no session has been made until then, there will be none. */
  get connectDeadline(): Instant {
    return this.#askedAt === undefined ? NEVER : after(this.#askedAt, this.#peerTimeout);
  }

  /** `dueSince`: since when the peer owes an answer. Unheard until then it is given up. */
  answerDeadline(dueSince: Instant | undefined): Instant {
    if (dueSince === undefined) return NEVER;
    return after(Math.max(dueSince, this.#heardAt) as Instant, this.#peerTimeout);
  }

  get keepaliveDue(): Instant {
    return after(this.#activeAt, this.#keepaliveInterval);
  }

  /** It rests until somebody uses the tunnel: keepalives do not wake it. */
  get isResting(): boolean {
    return this.#isResting;
  }

  get restDue(): Instant {
    if (this.#isResting) return NEVER;
    return (Math.ceil((Math.max(this.#activeAt, this.#usedAt) + REST_AFTER) / REST_STEP) * REST_STEP) as Instant;
  }

  noteAsked(now: Instant): void {
    this.#askedAt ??= now;
  }

  /** A response that only the peer can have written. */
  noteAnswered(now: Instant): void {
    this.#heardAt = now;
  }

  /** A packet opened. */
  noteOpened(now: Instant): void {
    this.#heardAt = now;
    this.#activeAt = now;
    this.#probesUnheard = 0;
  }

  noteUse(now: Instant): void {
    this.#usedAt = now;
    this.#isResting = false;
  }

  noteSent(now: Instant): void {
    this.#activeAt = now;
  }

  noteRest(): void {
    this.#isResting = true;
  }

  noteProbe(): void {
    this.#probesUnheard += 1;
  }

  /** Drawn anew for each, so that the keepalives of many tunnels do not fall together. */
  drawKeepalive(): void {
    this.#keepaliveInterval = KEEPALIVE_MIN + randomBelow(this.#rng, KEEPALIVE_SPREAD);
  }
}
