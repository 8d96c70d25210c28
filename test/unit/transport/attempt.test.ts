import { describe, expect, it } from 'vitest';
import { instant, MILLISECOND, NEVER, SECOND } from '../../../base/time.ts';
import { createIdentity } from '../../../crypto/identity.ts';
import { opensslBackend as crypto } from '../../../crypto/openssl.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { Attempt, HeldCookie } from '../../../transport/attempt.ts';
import { COOKIE_LIFETIME, HANDSHAKE_ATTEMPT_LIFETIME } from '../../../transport/constants.ts';
import { cookieKey, mac } from '../../../transport/gate.ts';
import { InitiatorHandshake } from '../../../transport/handshake.ts';
import { MAX_ACK_DELAY } from '../../../transport/rtt.ts';
import type { CookiePacket } from '../../../wire/packet.ts';
import {
  COOKIE_MAC_OFFSET,
  INITIATION_BYTES,
  INITIATION_MAC2_OFFSET,
  MAC_BYTES,
  writeCookieHeader,
} from '../../../wire/packet.ts';
import { DELAY, Lab, ROUND_TRIP, watch } from './lab.ts';

const RNG = new SeededRng(1);
const OURS = createIdentity(crypto, RNG, 0);
const THEIRS = createIdentity(crypto, RNG, 0);
const START = instant(0);

function handshake(): InitiatorHandshake {
  return new InitiatorHandshake(
    { crypto, rng: RNG, identity: OURS, record: new Uint8Array(200) },
    {
      peer: { identityKey: THEIRS.signing.publicKey, staticKey: THEIRS.exchange.publicKey },
      form: 'packet',
      localId: 7,
      incarnation: new Uint8Array(16),
      generation: 1,
    },
  );
}

function attempt(): Attempt {
  return new Attempt(handshake(), START);
}

/** The times in milliseconds at which it goes out, until it is over. */
function sendTimes(jitter: number): number[] {
  const subject = attempt();
  const times: number[] = [];
  for (let now = subject.nextSend; !subject.isOver(now); now = subject.nextSend) {
    times.push(now / MILLISECOND);
    subject.noteSent(jitter, now);
  }
  return times;
}

describe('an attempt', () => {
  it('goes out at once, after a quarter and a half of a second, and then once a second', () => {
    expect(sendTimes(0)).toEqual([0, 250, 750, 1_750, 2_750, 3_750, 4_750, 5_750, 6_750, 7_750, 8_750, 9_750]);
  });

  it('goes out up to an eighth earlier, never later', () => {
    const plain = sendTimes(0);
    const early = sendTimes(1);
    for (const [index, time] of plain.entries()) expect(early[index]).toBe(time * (7 / 8));
  });

  it('is over after 10 s', () => {
    const subject = attempt();
    expect(subject.isOver(instant(HANDSHAKE_ATTEMPT_LIFETIME - 1))).toBe(false);
    expect(subject.isOver(instant(HANDSHAKE_ATTEMPT_LIFETIME))).toBe(true);
  });

  it('goes out no more when it is stopped', () => {
    const subject = attempt();
    subject.noteSent(0, START);
    subject.stopSending();
    expect(subject.nextSend).toBe(NEVER);
  });

  it('has a round-trip time if it went out once, and none otherwise', () => {
    const subject = attempt();
    expect(subject.roundTrip(instant(5))).toBeUndefined();
    subject.noteSent(0, instant(10));
    expect(subject.roundTrip(instant(110))).toBe(100);
    subject.noteSent(0, instant(200));
    expect(subject.roundTrip(instant(210))).toBeUndefined();
  });

  it('is the same bytes every time, without a MAC2 of its own', () => {
    const subject = attempt();
    expect(subject.localId).toBe(7);
    expect(subject.handshake.message).toHaveLength(INITIATION_BYTES);
    expect(subject.handshake.message.subarray(INITIATION_MAC2_OFFSET)).toEqual(new Uint8Array(MAC_BYTES));
  });
});

describe('an attempt that a cookie was asked for', () => {
  /** The first probe timeout of a tunnel, from the time between the first packets that are sent into silence. */
  function firstProbeTimeout(cookieIsAsked: boolean): number {
    const lab = new Lab({ config: { handshakesBurst: 1, handshakesPerSecond: 1 } });
    const other = lab.world.addPeer('other');
    if (cookieIsAsked) {
      lab.world.connect(other, lab.b);
      // The one token is back when the cookie is shown, not yet when it is asked for.
      lab.run(SECOND - DELAY);
    }
    const sent = watch(lab);
    lab.world.connect(lab.a, lab.b);
    expect(lab.until(() => lab.a.tunnelTo(lab.b)?.state === 'open', SECOND)).toBe(true);
    expect(sent.some((packet) => packet.type === 0x12)).toBe(cookieIsAsked);
    lab.cut();
    lab.run(SECOND);
    const [first, second] = sent.filter((packet) => packet.from === 'a' && packet.type === 0x13);
    return second!.time - first!.time;
  }

  it('does not count that round as part of the round-trip time', () => {
    expect(firstProbeTimeout(false)).toBe(3 * ROUND_TRIP + MAX_ACK_DELAY);
    expect(firstProbeTimeout(true)).toBeLessThanOrEqual(3 * ROUND_TRIP + MAX_ACK_DELAY);
  });
});

const COOKIE = Uint8Array.from({ length: 16 }, (_, i) => 0xc0 + i);

/** What the responder would answer to this initiation. */
function cookiePacket(initiation: Uint8Array, staticKey: Uint8Array = THEIRS.exchange.publicKey): CookiePacket {
  const bytes = new Uint8Array(40);
  writeCookieHeader(bytes, 7, COOKIE);
  const beforeMac = bytes.subarray(0, COOKIE_MAC_OFFSET);
  const mac1 = initiation.subarray(INITIATION_MAC2_OFFSET - MAC_BYTES, INITIATION_MAC2_OFFSET);
  return {
    kind: 'cookie',
    receiverSession: 7,
    cookie: bytes.subarray(8, 24),
    beforeMac,
    mac: mac(crypto, cookieKey(crypto, staticKey), beforeMac, mac1),
  };
}

function held(packet: CookiePacket, initiation: Uint8Array): HeldCookie | undefined {
  return HeldCookie.from(crypto, THEIRS.exchange.publicKey, packet, initiation, START);
}

describe('a cookie that is held', () => {
  it('signs an initiation for 120 s, and then no more', () => {
    const { message } = handshake();
    const cookie = held(cookiePacket(message), message)!;
    const expected = mac(crypto, COOKIE, message.subarray(0, INITIATION_MAC2_OFFSET));
    cookie.sign(crypto, message, instant(COOKIE_LIFETIME - 1));
    expect(message.subarray(INITIATION_MAC2_OFFSET)).toEqual(expected);
    cookie.sign(crypto, message, instant(COOKIE_LIFETIME));
    expect(message.subarray(INITIATION_MAC2_OFFSET)).toEqual(new Uint8Array(MAC_BYTES));
  });

  it('signs another initiation to the same node as well', () => {
    const { message } = handshake();
    const next = handshake().message;
    held(cookiePacket(message), message)!.sign(crypto, next, instant(60 * SECOND));
    expect(next.subarray(INITIATION_MAC2_OFFSET)).toEqual(
      mac(crypto, COOKIE, next.subarray(0, INITIATION_MAC2_OFFSET)),
    );
  });

  it('keeps its own copy of the bytes it was read from', () => {
    const { message } = handshake();
    const packet = cookiePacket(message);
    const cookie = held(packet, message)!;
    packet.cookie.fill(0);
    cookie.sign(crypto, message, START);
    expect(message.subarray(INITIATION_MAC2_OFFSET)).toEqual(
      mac(crypto, COOKIE, message.subarray(0, INITIATION_MAC2_OFFSET)),
    );
  });

  it('is taken from nobody but the responder, and for the initiation it answers', () => {
    const { message } = handshake();
    expect(held(cookiePacket(message), handshake().message)).toBeUndefined();
    expect(held(cookiePacket(message, OURS.exchange.publicKey), message)).toBeUndefined();
    const forged = cookiePacket(message);
    forged.cookie[0]! ^= 1;
    expect(held(forged, message)).toBeUndefined();
  });
});
