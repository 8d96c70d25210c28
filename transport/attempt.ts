import type { Instant } from '../base/time.ts';
import { after } from '../base/time.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import type { CookiePacket } from '../wire/packet.ts';
import { INITIATION_MAC2_OFFSET, MAC_BYTES } from '../wire/packet.ts';
import { COOKIE_LIFETIME, HANDSHAKE_ATTEMPT_LIFETIME, HANDSHAKE_RETRY } from './constants.ts';
import { isCookieFor, mac } from './gate.ts';
import type { InitiatorHandshake } from './handshake.ts';

/**
 * One initiation on its way: sent as it is until it is answered, so that a responder recognises the repetition and answers it
 * from memory. An attempt outlives its need by staying able to take a late answer; it just stops sending.
 */
export class Attempt {
  readonly handshake: InitiatorHandshake;
  readonly startedAt: Instant;
  #sends = 0;
  #nextSend: Instant;
  #firstSentAt: Instant | undefined;
  readonly #sentTo: Set<string> = new Set();

  constructor(handshake: InitiatorHandshake, now: Instant) {
    this.handshake = handshake;
    this.startedAt = now;
    this.#nextSend = now;
  }

  get localId(): number {
    return this.handshake.localId;
  }

  get sends(): number {
    return this.#sends;
  }

  get nextSend(): Instant {
    return this.#nextSend;
  }

  /** From then on it is too old to be sent or answered; its successor has a fresh ephemeral key. */
  get endsAt(): Instant {
    return after(this.startedAt, HANDSHAKE_ATTEMPT_LIFETIME);
  }

  isOver(now: Instant): boolean {
    return now >= this.endsAt;
  }

  noteSent(jitter: number, now: Instant): void {
    this.#firstSentAt ??= now;
    const interval = HANDSHAKE_RETRY[Math.min(this.#sends, HANDSHAKE_RETRY.length - 1)]!;
    this.#sends += 1;
    // Up to an eighth earlier, so that a crowd does not stay in step.
    this.#nextSend = after(now, Math.floor(interval * (1 - jitter / 8)));
  }

  noteSentTo(route: string): void {
    this.#sentTo.add(route);
  }

  /** The same bytes went to every route, so an answer proves the one it comes from only where there was no other. */
  proves(route: string): boolean {
    return this.#sentTo.size === 1 && this.#sentTo.has(route);
  }

  /** Asked to show a cookie, it goes out again now; what went before had no answer of its own. */
  noteCookie(now: Instant): void {
    this.#firstSentAt = now;
  }

  stopSending(): void {
    this.#nextSend = Number.POSITIVE_INFINITY as Instant;
  }

  /** Karn's rule: only an initiation that went out once has a round-trip time. */
  roundTrip(now: Instant): number | undefined {
    return this.#sends === 1 && this.#firstSentAt !== undefined ? now - this.#firstSentAt : undefined;
  }
}

/** A cookie a responder asked us to show, and for how long it will do. */
export class HeldCookie {
  readonly #cookie: Uint8Array;
  readonly #until: Instant;

  private constructor(cookie: Uint8Array, until: Instant) {
    this.#cookie = cookie;
    this.#until = until;
  }

  /** `undefined` where the packet does not answer this initiation. */
  static from(
    crypto: CryptoBackend,
    responderStaticKey: Uint8Array,
    packet: CookiePacket,
    initiation: Uint8Array,
    now: Instant,
  ): HeldCookie | undefined {
    const mac1 = initiation.subarray(INITIATION_MAC2_OFFSET - MAC_BYTES, INITIATION_MAC2_OFFSET);
    if (!isCookieFor(crypto, responderStaticKey, packet.beforeMac, mac1, packet.mac)) return undefined;
    return new HeldCookie(packet.cookie.slice(), after(now, COOKIE_LIFETIME));
  }

  /** Writes MAC2, or zeros where the cookie is too old. */
  sign(crypto: CryptoBackend, initiation: Uint8Array, now: Instant): void {
    const mac2 = initiation.subarray(INITIATION_MAC2_OFFSET);
    if (now >= this.#until) mac2.fill(0);
    else mac2.set(mac(crypto, this.#cookie, initiation.subarray(0, INITIATION_MAC2_OFFSET)));
  }
}
