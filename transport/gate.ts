import { LruMap } from '../base/bounded.ts';
import { ascii, concat, equalConstantTime, isZero } from '../base/bytes.ts';
import type { Rng } from '../base/rng.ts';
import { randomBytes } from '../base/rng.ts';
import { after, type Instant } from '../base/time.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import { MAC_BYTES } from '../wire/packet.ts';
import { encodeUtf8 } from '../wire/utf8.ts';
import type { TunnelConfig } from './constants.ts';
import {
  COOKIE_LIFETIME,
  PROVISIONAL_COOKIE_FROM,
  SOURCE_HANDSHAKES_BURST,
  SOURCE_HANDSHAKES_PER_SECOND,
  SOURCES_MAX,
} from './constants.ts';
import type { Route } from './route.ts';

const MAC1_LABEL = ascii('warren mac1 v1');
const COOKIE_LABEL = ascii('warren cookie v1');

/** PROTOCOL.md §2: whoever can compute this knows the receiver's key. */
export function mac1Key(crypto: CryptoBackend, staticKey: Uint8Array): Uint8Array {
  return crypto.sha256(MAC1_LABEL, staticKey);
}

/** PROTOCOL.md §3: keys the MAC of cookie packets. */
export function cookieKey(crypto: CryptoBackend, staticKey: Uint8Array): Uint8Array {
  return crypto.sha256(COOKIE_LABEL, staticKey);
}

export function mac(crypto: CryptoBackend, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return crypto.hmacSha256(key, ...parts).subarray(0, MAC_BYTES);
}

/** What a MAC2 says: none was given, it is ours for that source, or it is wrong. */
export type CookieVerdict = 'absent' | 'valid' | 'invalid';

/**
 * What stands between a stranger's initiation and our Diffie-Hellman. It remembers nothing of a source that has not shown a
 * cookie: those are recomputed from a secret that changes every two minutes.
 */
export class Gate {
  readonly #crypto: CryptoBackend;
  readonly #rng: Rng;
  readonly #mac1Key: Uint8Array;
  readonly #cookieKey: Uint8Array;
  readonly #strangers: TokenBucket;
  readonly #sources: LruMap<string, TokenBucket> = new LruMap(SOURCES_MAX);
  #secret: Uint8Array;
  #previousSecret: Uint8Array;
  #secretSince: Instant;

  constructor(options: GateOptions, now: Instant) {
    this.#crypto = options.crypto;
    this.#rng = options.rng;
    this.#mac1Key = mac1Key(options.crypto, options.staticKey);
    this.#cookieKey = cookieKey(options.crypto, options.staticKey);
    this.#strangers = new TokenBucket(options.config.handshakesPerSecond, options.config.handshakesBurst, now);
    this.#secret = randomBytes(options.rng, 32);
    this.#previousSecret = this.#secret;
    this.#secretSince = now;
  }

  isForUs(beforeMac1: Uint8Array, mac1: Uint8Array): boolean {
    return equalConstantTime(mac(this.#crypto, this.#mac1Key, beforeMac1), mac1);
  }

  judgeCookie(route: Route, beforeMac2: Uint8Array, mac2: Uint8Array, now: Instant): CookieVerdict {
    if (isZero(mac2)) return 'absent';
    this.#rotate(now);
    for (const secret of [this.#secret, this.#previousSecret]) {
      const expected = mac(this.#crypto, this.#cookie(secret, route), beforeMac2);
      if (equalConstantTime(expected, mac2)) return 'valid';
    }
    return 'invalid';
  }

  /** Whether this initiation may cost us Diffie-Hellman. */
  admit(route: Route, cookie: CookieVerdict, provisional: number, now: Instant): 'pass' | 'cookie' | 'drop' {
    if (cookie === 'valid') {
      let bucket = this.#sources.get(route.source);
      if (bucket === undefined) {
        bucket = new TokenBucket(SOURCE_HANDSHAKES_PER_SECOND, SOURCE_HANDSHAKES_BURST, now);
        this.#sources.set(route.source, bucket);
      }
      return bucket.take(now) && this.#strangers.take(now) ? 'pass' : 'drop';
    }
    // The second half of the burst is kept for those who show a cookie, so that a flood of forged sources cannot spend it.
    if (provisional >= PROVISIONAL_COOKIE_FROM || this.#strangers.isBelow(0.5, now)) return 'cookie';
    return this.#strangers.take(now) ? 'pass' : 'cookie';
  }

  /** The cookie for a source, and the MAC that binds it to the initiation it answers. */
  cookieFor(route: Route, now: Instant): Uint8Array {
    this.#rotate(now);
    return this.#cookie(this.#secret, route);
  }

  cookieMac(beforeMac: Uint8Array, mac1: Uint8Array): Uint8Array {
    return mac(this.#crypto, this.#cookieKey, beforeMac, mac1);
  }

  #cookie(secret: Uint8Array, route: Route): Uint8Array {
    return mac(this.#crypto, secret, encodeUtf8(route.key));
  }

  /** By the clock and not by use, so that no cookie lives longer than two lives of a secret. */
  #rotate(now: Instant): void {
    const lives = Math.floor((now - this.#secretSince) / COOKIE_LIFETIME);
    if (lives === 0) return;
    const fresh = randomBytes(this.#rng, 32);
    this.#previousSecret = lives === 1 ? this.#secret : fresh;
    this.#secret = fresh;
    this.#secretSince = after(this.#secretSince, lives * COOKIE_LIFETIME);
  }
}

export interface GateOptions {
  readonly crypto: CryptoBackend;
  readonly rng: Rng;
  readonly staticKey: Uint8Array;
  readonly config: TunnelConfig;
}

/** Binds a cookie packet's MAC on the initiator's side. */
export function isCookieFor(
  crypto: CryptoBackend,
  responderStaticKey: Uint8Array,
  beforeMac: Uint8Array,
  mac1: Uint8Array,
  given: Uint8Array,
): boolean {
  return equalConstantTime(mac(crypto, cookieKey(crypto, responderStaticKey), concat(beforeMac, mac1)), given);
}
