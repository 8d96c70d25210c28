import { BoundedQueue } from '../base/bounded.ts';
import type { Instant } from '../base/time.ts';
import { NEVER } from '../base/time.ts';
import type { CookiePacket } from '../wire/packet.ts';
import { MAC_BYTES } from '../wire/packet.ts';
import { type Attempt, HeldCookie } from './attempt.ts';
import { PATHS_MAX } from './constants.ts';
import type { DropReason } from './drops.ts';
import type { Initiator } from './initiator.ts';
import type { Route } from './route.ts';
import type { Transmit } from './transmit.ts';

const COOKIE_REPEATS_MAX = 4;

/**
 * Asking for a peer from outside a tunnel: to open one, or because the peer may have lost its state. One attempt at a time, sent
 * to every route where the peer may be, with the cookie that the responder gave for that route. The owner rings `handleTimeout`
 * at `nextTimeout`.
 */
export class Outreach {
  readonly #initiator: Initiator;
  readonly #toSend: BoundedQueue<Route> = new BoundedQueue(2 * PATHS_MAX);
  /** By route; none before the first that a responder under load gave. */
  #cookies: Map<string, HeldCookie> | undefined;
  #attempt: Attempt | undefined;
  #cookieRepeats = 0;

  constructor(initiator: Initiator) {
    this.#initiator = initiator;
  }

  /** One that still takes an answer, whether or not it is still sent. */
  get attempt(): Attempt | undefined {
    return this.#attempt;
  }

  /** The one that a response or a cookie with this session id belongs to. */
  attemptFor(localId: number, now: Instant): Attempt | undefined {
    return this.#attempt?.localId === localId && !this.#attempt.isOver(now) ? this.#attempt : undefined;
  }

  get isSending(): boolean {
    return this.#attempt !== undefined && this.#attempt.nextSend !== NEVER;
  }

  /** When it is to be sent again; once it is not any more, when it is forgotten. */
  nextTimeout(): Instant {
    if (this.#attempt === undefined) return NEVER;
    return this.isSending ? this.#attempt.nextSend : this.#attempt.endsAt;
  }

  /** With a fresh ephemeral key. */
  start(now: Instant): void {
    this.abandon();
    this.#attempt = this.#initiator.initiate('packet', now);
    this.#cookieRepeats = 0;
  }

  handleTimeout(routes: readonly Route[], jitter: number, now: Instant): void {
    if (this.#attempt === undefined || this.nextTimeout() > now) return;
    if (!this.isSending) {
      this.abandon();
      return;
    }
    if (this.#attempt.isOver(now)) this.start(now);
    for (const route of routes) this.#toSend.push(route);
    this.#attempt.noteSent(jitter, now);
  }

  /** Sends no more; a late answer is still taken. */
  stop(): void {
    this.#attempt?.stopSending();
    this.#toSend.clear();
  }

  /** `routes` are the ones we send to: whoever forges a cookie packet must not choose where the next initiation goes. */
  handleCookie(packet: CookiePacket, route: Route, routes: readonly Route[], now: Instant): DropReason | undefined {
    if (this.#attempt === undefined || !routes.some((known) => known.key === route.key)) return 'unexpected';
    const { crypto, peer } = this.#initiator;
    const cookie = HeldCookie.from(crypto, peer.staticKey, packet, this.#attempt.handshake.message, now);
    if (cookie === undefined) return 'not-authentic';
    this.#cookies ??= new Map();
    if (!this.#cookies.has(route.key) && this.#cookies.size >= PATHS_MAX) this.#cookies.clear();
    this.#cookies.set(route.key, cookie);
    // At once, but not for ever: a responder that keeps asking gets the ordinary retries.
    if (this.#cookieRepeats++ < COOKIE_REPEATS_MAX) {
      this.#toSend.push(route);
      this.#attempt.noteCookie(now);
    }
    return undefined;
  }

  write(buffer: Uint8Array, now: Instant): Transmit | undefined {
    const route = this.#toSend.shift();
    if (route === undefined || this.#attempt === undefined) return undefined;
    const { message } = this.#attempt.handshake;
    this.#cookies?.get(route.key)?.sign(this.#initiator.crypto, message, now);
    buffer.set(message);
    this.#attempt.noteSentTo(route.key);
    // What one source's cookie signed is of no use to the next.
    message.fill(0, message.length - MAC_BYTES);
    return { route, length: message.length, segmentSize: message.length };
  }

  /** It has been answered; its session id is the session's from now on. */
  complete(attempt: Attempt): void {
    if (attempt === this.#attempt) this.#attempt = undefined;
    this.#toSend.clear();
  }

  abandon(): void {
    if (this.#attempt !== undefined) this.#initiator.abandon(this.#attempt);
    this.#attempt = undefined;
    this.#toSend.clear();
  }
}
