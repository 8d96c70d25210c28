import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Instant, instant, SECOND } from '../../../base/time.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { COOKIE_LIFETIME, DEFAULT_CONFIG, PROVISIONAL_COOKIE_FROM, SOURCES_MAX } from '../../../transport/constants.ts';
import { Gate, isCookieFor, mac } from '../../../transport/gate.ts';
import type { Route } from '../../../transport/route.ts';

const STATIC_KEY = Uint8Array.from({ length: 32 }, (_, i) => 7 * i + 1);
const MESSAGE = Uint8Array.from({ length: 1_184 }, (_, i) => i);
const NO_MAC2 = new Uint8Array(16);
const START = instant(0);

function gate(staticKey: Uint8Array = STATIC_KEY, config = DEFAULT_CONFIG): Gate {
  return new Gate({ crypto: opensslBackend, rng: new SeededRng(1), staticKey, config }, START);
}

function route(source: string, port = 1): Route {
  return { key: `${source}:${port}`, source };
}

const HERE = route('192.0.2.1');

/** PROTOCOL.md §2 and §3, without our code. */
function referenceMac(label: string, ...parts: Uint8Array[]): Uint8Array {
  const key = createHash('sha256').update(label).update(STATIC_KEY).digest();
  const hmac = createHmac('sha256', key);
  for (const part of parts) hmac.update(part);
  return new Uint8Array(hmac.digest().subarray(0, 16));
}

function mac2(cookie: Uint8Array): Uint8Array {
  return mac(opensslBackend, cookie, MESSAGE);
}

function strangersAdmitted(subject: Gate, now: Instant, cookie: 'absent' | 'valid'): number {
  let admitted = 0;
  // Each from a source of its own, so that only the common bucket counts.
  while (subject.admit(route(`${cookie} ${now} ${admitted}`), cookie, 0, now) === 'pass') admitted += 1;
  return admitted;
}

describe('MAC1', () => {
  it('is keyed by its label and the receiver’s static key', () => {
    expect(gate().isForUs(MESSAGE, referenceMac('warren mac1 v1', MESSAGE))).toBe(true);
  });

  it('under another label, key or message is not for us', () => {
    expect(gate().isForUs(MESSAGE, referenceMac('warren cookie v1', MESSAGE))).toBe(false);
    expect(gate().isForUs(MESSAGE, referenceMac('warren mac1 v2', MESSAGE))).toBe(false);
    expect(gate(new Uint8Array(32)).isForUs(MESSAGE, referenceMac('warren mac1 v1', MESSAGE))).toBe(false);
    expect(gate().isForUs(MESSAGE.subarray(1), referenceMac('warren mac1 v1', MESSAGE))).toBe(false);
    expect(gate().isForUs(MESSAGE, NO_MAC2)).toBe(false);
  });

  it('is wrong wherever one bit of it is', () => {
    const right = referenceMac('warren mac1 v1', MESSAGE);
    for (let bit = 0; bit < 128; bit++) {
      const wrong = right.slice();
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      expect(gate().isForUs(MESSAGE, wrong), `bit ${bit}`).toBe(false);
    }
  });
});

describe('a cookie', () => {
  it('is not asked about where MAC2 is zero', () => {
    expect(gate().judgeCookie(HERE, MESSAGE, NO_MAC2, START)).toBe('absent');
  });

  it('is valid for the source it was given to, and for no other', () => {
    const subject = gate();
    const cookie = subject.cookieFor(HERE, START);
    expect(cookie).toHaveLength(16);
    expect(subject.judgeCookie(HERE, MESSAGE, mac2(cookie), START)).toBe('valid');
    for (const other of [route('192.0.2.2'), route('192.0.2.1', 2)]) {
      expect(subject.judgeCookie(other, MESSAGE, mac2(cookie), START), other.key).toBe('invalid');
    }
  });

  it('signs one message only', () => {
    const subject = gate();
    const cookie = subject.cookieFor(HERE, START);
    expect(subject.judgeCookie(HERE, MESSAGE.subarray(1), mac2(cookie), START)).toBe('invalid');
    expect(subject.judgeCookie(HERE, MESSAGE, mac2(cookie).reverse(), START)).toBe('invalid');
  });

  it('of another node, or of this node before a restart, is worth nothing', () => {
    const before = gate();
    const restarted = new Gate(
      { crypto: opensslBackend, rng: new SeededRng(2), staticKey: STATIC_KEY, config: DEFAULT_CONFIG },
      START,
    );
    expect(restarted.judgeCookie(HERE, MESSAGE, mac2(before.cookieFor(HERE, START)), START)).toBe('invalid');
  });

  it('is good for as long as an initiator keeps it, over a change of the secret', () => {
    const subject = gate();
    for (const given of [0, 1, 60 * SECOND, COOKIE_LIFETIME - 1, COOKIE_LIFETIME, 200 * SECOND]) {
      const cookie = subject.cookieFor(HERE, instant(given));
      const used = instant(given + COOKIE_LIFETIME - 1);
      expect(subject.judgeCookie(HERE, MESSAGE, mac2(cookie), used), `given at ${given}`).toBe('valid');
    }
  });

  it('is another after the secret has changed', () => {
    const subject = gate();
    const first = subject.cookieFor(HERE, START);
    expect(subject.cookieFor(HERE, instant(COOKIE_LIFETIME - 1))).toEqual(first);
    expect(subject.cookieFor(HERE, instant(COOKIE_LIFETIME))).not.toEqual(first);
  });

  it('is stale when the secret has changed twice', () => {
    const subject = gate();
    const signed = mac2(subject.cookieFor(HERE, START));
    expect(subject.judgeCookie(HERE, MESSAGE, signed, instant(COOKIE_LIFETIME))).toBe('valid');
    expect(subject.judgeCookie(HERE, MESSAGE, signed, instant(2 * COOKIE_LIFETIME - 1))).toBe('valid');
    expect(subject.judgeCookie(HERE, MESSAGE, signed, instant(2 * COOKIE_LIFETIME))).toBe('invalid');
  });

  it('is stale after a silence in which nobody asked', () => {
    const subject = gate();
    const signed = mac2(subject.cookieFor(HERE, START));
    expect(subject.judgeCookie(HERE, MESSAGE, signed, instant(2 * COOKIE_LIFETIME))).toBe('invalid');
  });

  it('lives no longer than two lives of a secret, whenever somebody asks in between', () => {
    for (const asked of [COOKIE_LIFETIME, 180 * SECOND, 2 * COOKIE_LIFETIME - 1]) {
      const subject = gate();
      const signed = mac2(subject.cookieFor(HERE, START));
      subject.cookieFor(route('192.0.2.9'), instant(asked));
      const verdict = subject.judgeCookie(HERE, MESSAGE, signed, instant(2 * COOKIE_LIFETIME));
      expect(verdict, `asked at ${asked / SECOND} s`).toBe('invalid');
    }
  });

  it('comes with a MAC that ties it to the initiation it answers', () => {
    const subject = gate();
    const before = Uint8Array.from({ length: 24 }, (_, i) => i);
    const mac1 = Uint8Array.from({ length: 16 }, (_, i) => 200 + i);
    const given = subject.cookieMac(before, mac1);
    expect(given).toEqual(referenceMac('warren cookie v1', before, mac1));
    expect(isCookieFor(opensslBackend, STATIC_KEY, before, mac1, given)).toBe(true);
    expect(isCookieFor(opensslBackend, STATIC_KEY, before, mac1.slice().reverse(), given)).toBe(false);
    expect(isCookieFor(opensslBackend, STATIC_KEY, before.slice().reverse(), mac1, given)).toBe(false);
    expect(isCookieFor(opensslBackend, new Uint8Array(32), before, mac1, given)).toBe(false);
  });
});

describe('the gate', () => {
  it('lets strangers in until half of the burst is left, and then asks for cookies', () => {
    const subject = gate();
    const { handshakesBurst } = DEFAULT_CONFIG;
    const admitted = strangersAdmitted(subject, START, 'absent');
    expect(Math.abs(admitted - handshakesBurst / 2)).toBeLessThanOrEqual(1);
    expect(subject.admit(HERE, 'absent', 0, START)).toBe('cookie');
  });

  it('keeps the other half for those who show a cookie', () => {
    const subject = gate();
    const first = strangersAdmitted(subject, START, 'absent');
    const rest = strangersAdmitted(subject, START, 'valid');
    expect(first + rest).toBe(DEFAULT_CONFIG.handshakesBurst);
    expect(subject.admit(HERE, 'valid', 0, START)).toBe('drop');
    expect(subject.admit(HERE, 'absent', 0, START)).toBe('cookie');
  });

  it('lets in no more a second than it is configured for, a flood without cookies or not', () => {
    const subject = gate(STATIC_KEY, { ...DEFAULT_CONFIG, handshakesPerSecond: 50, handshakesBurst: 10 });
    let withCookie = 0;
    let without = 0;
    for (let ms = 0; ms < 10_000; ms++) {
      const now = instant(ms * 1_000);
      for (let i = 0; i < 5; i++)
        if (subject.admit(route(`flood ${ms} ${i}`), 'absent', 0, now) === 'pass') without += 1;
      if (ms % 25 === 0 && subject.admit(route(`honest ${ms}`), 'valid', 0, now) === 'pass') withCookie += 1;
    }
    expect(withCookie + without).toBeLessThanOrEqual(10 * 50 + 10);
    // Forty a second show one, which is less than half of what is refilled while the flood is held at half.
    expect(withCookie).toBe(400);
  });

  it('asks everybody for a cookie once 64 sessions are provisional', () => {
    expect(gate().admit(HERE, 'absent', PROVISIONAL_COOKIE_FROM - 1, START)).toBe('pass');
    expect(gate().admit(HERE, 'absent', PROVISIONAL_COOKIE_FROM, START)).toBe('cookie');
    expect(gate().admit(HERE, 'valid', PROVISIONAL_COOKIE_FROM, START)).toBe('pass');
  });

  it('lets one source in five times at once and twenty times a second, whatever its port', () => {
    const subject = gate();
    let admitted = 0;
    for (let port = 0; port < 100; port++) {
      if (subject.admit(route('192.0.2.1', port), 'valid', 0, START) === 'pass') admitted += 1;
    }
    expect(admitted).toBe(5);
    expect(subject.admit(route('192.0.2.2'), 'valid', 0, START)).toBe('pass');
    for (let ms = 1; ms <= 1_000; ms++) {
      if (subject.admit(HERE, 'valid', 0, instant(ms * 1_000)) === 'pass') admitted += 1;
    }
    expect(admitted).toBe(25);
  });

  it('remembers 4,096 sources and forgets the longest unused', () => {
    const config = { ...DEFAULT_CONFIG, handshakesPerSecond: 1e9, handshakesBurst: 1e9 };
    const fresh = (others: number): string => {
      const subject = gate(STATIC_KEY, config);
      for (let i = 0; i < 5; i++) subject.admit(HERE, 'valid', 0, START);
      for (let i = 0; i < others; i++) subject.admit(route(`other ${i}`), 'valid', 0, START);
      return subject.admit(HERE, 'valid', 0, START);
    };
    expect(fresh(SOURCES_MAX - 1)).toBe('drop');
    expect(fresh(SOURCES_MAX)).toBe('pass');
  });

  it('remembers nothing of a source that shows no cookie', () => {
    const config = { ...DEFAULT_CONFIG, handshakesPerSecond: 1e9, handshakesBurst: 1e9 };
    const subject = gate(STATIC_KEY, config);
    for (let i = 0; i < 5; i++) subject.admit(HERE, 'valid', 0, START);
    for (let i = 0; i < 2 * SOURCES_MAX; i++) subject.admit(route(`forged ${i}`), 'absent', 0, START);
    expect(subject.admit(HERE, 'valid', 0, START)).toBe('drop');
  });
});
