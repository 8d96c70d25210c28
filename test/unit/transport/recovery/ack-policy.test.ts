import { describe, expect, it } from 'vitest';
import { MILLISECOND, NEVER } from '../../../../base/time.ts';
import { ACK_RANGES_SENT_MAX } from '../../../../transport/constants.ts';
import {
  ACK_EAGER_PACKETS,
  ACK_PACKETS_MAX,
  ACKS_UNANSWERED_MAX,
  AckPolicy,
} from '../../../../transport/recovery/ack-policy.ts';
import { AckDraft } from '../../../../transport/scratch.ts';
import { at } from './lab.ts';

/** Plain data: asks for an ACK, and can wait for it. */
function data(acks: AckPolicy, number: number, ms: number): void {
  acks.received(number, true, false, at(ms));
}

/** In order from `from` to `to`, each acknowledged at once. */
function warmUp(acks: AckPolicy, from: number, to: number, ms: number): void {
  for (let number = from; number <= to; number++) {
    data(acks, number, ms);
    acks.sent(false, at(ms));
  }
}

/** How many ACKs go out for `packets` packets, `gapMs` apart, when the owner looks after each `batch`. */
function acksFor(roundTripMs: number, packets: number, gapMs: number, batch: number): number {
  const acks = new AckPolicy(new AckDraft());
  acks.onRoundTrip(roundTripMs * MILLISECOND);
  warmUp(acks, 0, ACK_EAGER_PACKETS - 1, 0);
  let sent = 0;
  for (let i = 0; i < packets; i++) {
    const ms = i * gapMs;
    if (i % batch === 0 && acks.deadline <= at(ms)) {
      acks.sent(false, at(ms));
      sent += 1;
    }
    data(acks, ACK_EAGER_PACKETS + i, ms);
    if (i % batch === batch - 1 && acks.deadline <= at(ms)) {
      acks.sent(false, at(ms));
      sent += 1;
    }
  }
  return sent;
}

describe('an ACK', () => {
  it('is not due before anything came', () => {
    const acks = new AckPolicy(new AckDraft());
    expect([acks.deadline, acks.isOwed, acks.highest, acks.wantsAnswer]).toEqual([NEVER, false, -1, false]);
  });

  it('of one packet in order waits 25 ms for a second one, and is then due at once', () => {
    const acks = new AckPolicy(new AckDraft());
    data(acks, 0, 100);
    expect([acks.isOwed, acks.deadline]).toEqual([true, at(125)]);
    data(acks, 1, 103);
    expect(acks.deadline).toBe(at(103));
  });

  it.each<[string, number[], number]>([
    ['after a gap', [0, 2], 101],
    ['that fills a gap', [0, 2, 1], 102],
    ['below all that came', [5, 3], 101],
  ])('is due at once for a packet %s', (_, numbers, ms) => {
    const acks = new AckPolicy(new AckDraft());
    for (const [index, number] of numbers.entries()) {
      acks.sent(false, at(100));
      data(acks, number, 100 + index);
    }
    expect(acks.deadline).toBe(at(ms));
  });

  it('is due at once when the first packet of all is not the first that was sent', () => {
    const acks = new AckPolicy(new AckDraft());
    data(acks, 1, 100);
    expect(acks.deadline).toBe(at(100));
  });

  it('is due at once for a packet whose sender waits on the answer', () => {
    const acks = new AckPolicy(new AckDraft());
    acks.received(0, true, true, at(100));
    expect(acks.deadline).toBe(at(100));
  });

  it('is never due for packets that do not ask, gaps or not, and they put nothing off', () => {
    const acks = new AckPolicy(new AckDraft());
    for (const number of [0, 1, 5, 3, 9]) acks.received(number, false, false, at(number));
    expect([acks.deadline, acks.isOwed, acks.highest]).toEqual([NEVER, false, 9]);
    data(acks, 10, 100);
    acks.received(11, false, false, at(110));
    expect(acks.deadline).toBe(at(125));
  });

  it('that went out is owed again only when something else comes', () => {
    const acks = new AckPolicy(new AckDraft());
    data(acks, 0, 100);
    data(acks, 1, 101);
    acks.sent(false, at(101));
    expect([acks.deadline, acks.isOwed]).toEqual([NEVER, false]);
    data(acks, 2, 200);
    expect(acks.deadline).toBe(at(225));
  });

  it('goes for every second of the first hundred packets, and again after a pause', () => {
    const acks = new AckPolicy(new AckDraft());
    acks.onRoundTrip(80 * MILLISECOND);
    const waits: number[] = [];
    for (let number = 0; number < 104; number += 2) {
      data(acks, number, number / 100);
      data(acks, number + 1, number / 100);
      waits.push((acks.deadline - at(number / 100)) / MILLISECOND);
      acks.sent(false, at(number / 100));
    }
    expect(waits.slice(0, 49).every((wait) => wait === 0)).toBe(true);
    expect(waits.at(-1)).toBeGreaterThan(0.9);
    data(acks, 104, 1_000);
    data(acks, 105, 1_000);
    expect(acks.deadline).toBe(at(1_000));
  });

  it('goes four times a round trip or once a millisecond at high rates, or for every 64 packets', () => {
    // 100 packets a millisecond for a second, read one by one: one in 64.
    expect(acksFor(100, 100_000, 0.01, 1)).toBe(Math.floor(100_000 / ACK_PACKETS_MAX));
    // 20 a millisecond: one a millisecond at 80 ms, and one in 500 µs at 2 ms.
    expect(acksFor(80, 20_000, 0.05, 1)).toBeGreaterThanOrEqual(940);
    expect(acksFor(80, 20_000, 0.05, 1)).toBeLessThanOrEqual(1_001);
    expect(acksFor(2, 20_000, 0.05, 1)).toBeGreaterThanOrEqual(1_800);
    expect(acksFor(2, 20_000, 0.05, 1)).toBeLessThanOrEqual(2_001);
    // Rarer than that: two packets by two.
    expect(acksFor(80, 1_000, 1, 1)).toBe(500);
  });

  it('goes once for a batch, however often one is read', () => {
    expect(acksFor(0.05, 48_000, 0.001, 48)).toBeLessThanOrEqual(1_000);
  });

  it('does not hold back a sender whose window is small: 24 packets at once are acknowledged within 1 ms, then two by two', () => {
    const acks = new AckPolicy(new AckDraft());
    acks.onRoundTrip(100 * MILLISECOND);
    warmUp(acks, 0, 199, 0);
    // Each ACK lets the sender send as much again, a round trip later.
    let arrivals = Array.from({ length: 24 }, () => 10);
    let number = 200;
    for (let round = 0; round < 40; round++) {
      const next: number[] = [];
      let waiting = 0;
      for (const ms of [...arrivals, Number.POSITIVE_INFINITY]) {
        if (acks.deadline < at(ms === Number.POSITIVE_INFINITY ? 1e12 : ms)) {
          const due = acks.deadline / MILLISECOND;
          for (; waiting > 0; waiting--) next.push(due + 100);
          acks.sent(false, acks.deadline);
        }
        if (ms === Number.POSITIVE_INFINITY) break;
        data(acks, number++, ms);
        waiting++;
      }
      expect(next).toHaveLength(24);
      arrivals = next;
    }
    // 40 round trips took hardly longer than 4 s: what was put off once is spread, and put off no more.
    expect(arrivals[0]).toBeLessThanOrEqual(4_012);
    expect(arrivals.at(-1)).toBeLessThanOrEqual(4_024);
  });

  it.each([
    [1, 5],
    [60, 5],
    [120, 10],
    [1_000, 25],
  ])('of one packet alone, at a round trip of %i ms, waits %i ms for a second', (roundTrip, wait) => {
    const acks = new AckPolicy(new AckDraft());
    acks.onRoundTrip(roundTrip * MILLISECOND);
    data(acks, 0, 100);
    expect(acks.deadline).toBe(at(100 + wait));
  });

  it('never waits longer than 25 ms, whatever the round trip', () => {
    const acks = new AckPolicy(new AckDraft());
    acks.onRoundTrip(2_000 * MILLISECOND);
    warmUp(acks, 0, 199, 0);
    data(acks, 200, 10);
    data(acks, 201, 11);
    expect(acks.deadline).toBeLessThanOrEqual(at(35));
  });

  it('names all that came, and how long ago the highest did', () => {
    const acks = new AckPolicy(new AckDraft());
    data(acks, 0, 100);
    data(acks, 4, 110);
    data(acks, 3, 112);
    expect(acks.frame(at(120))).toEqual({
      kind: 'ack',
      delayUs: 10 * MILLISECOND,
      ranges: [
        { smallest: 3, largest: 4 },
        { smallest: 0, largest: 0 },
      ],
    });
  });

  it('names 32 ranges at most, and among them what came since the last one', () => {
    const acks = new AckPolicy(new AckDraft());
    for (let number = 0; number < 200; number += 2) data(acks, number, number);
    acks.sent(false, at(200));
    expect(acks.frame(at(200)).ranges).toHaveLength(ACK_RANGES_SENT_MAX);
    expect(acks.frame(at(200)).ranges.at(-1)).toEqual({ smallest: 136, largest: 136 });
    data(acks, 51, 201);
    expect(acks.frame(at(201)).ranges.at(-1)).toEqual({ smallest: 50, largest: 52 });
    acks.sent(false, at(201));
    expect(acks.frame(at(202)).ranges.at(-1)).toEqual({ smallest: 136, largest: 136 });
  });

  it('repeats nothing that an acknowledged one said (RFC 9000 §13.2.4)', () => {
    const acks = new AckPolicy(new AckDraft());
    for (const number of [0, 1, 4, 5, 8]) data(acks, number, number);
    acks.sent(true, at(10));
    data(acks, 9, 11);
    data(acks, 10, 11);
    acks.onAckAcked(8);
    expect(acks.frame(at(12)).ranges).toEqual([{ smallest: 9, largest: 10 }]);
    // What was missing then and comes late is said all the same.
    data(acks, 6, 13);
    expect(acks.frame(at(13)).ranges).toEqual([
      { smallest: 9, largest: 10 },
      { smallest: 6, largest: 6 },
    ]);
    expect(acks.highest).toBe(10);
  });

  it('wants an answer when many went out unacknowledged that repeat gaps, and not otherwise', () => {
    const acks = new AckPolicy(new AckDraft());
    warmUp(acks, 0, 100, 0);
    expect(acks.wantsAnswer).toBe(false);
    const gappy = new AckPolicy(new AckDraft());
    for (let i = 0; i < ACKS_UNANSWERED_MAX; i++) {
      expect(gappy.wantsAnswer).toBe(false);
      data(gappy, 2 * i, i);
      gappy.sent(false, at(i));
    }
    expect(gappy.wantsAnswer).toBe(true);
    gappy.sent(true, at(20));
    expect(gappy.wantsAnswer).toBe(false);
  });
});
