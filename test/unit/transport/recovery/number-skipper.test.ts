import { describe, expect, it } from 'vitest';
import { SeededRng } from '../../../../sim/rng.ts';
import { ACK_RANGES_SENT_MAX } from '../../../../transport/constants.ts';
import { CONTENT_ACK } from '../../../../transport/packet-contents.ts';
import { ACKS_UNANSWERED_MAX, AckPolicy } from '../../../../transport/recovery/ack-policy.ts';
import { NumberSkipper, SKIP_GAP_MIN } from '../../../../transport/recovery/number-skipper.ts';
import { SKIPPED_REMEMBERED_MAX } from '../../../../transport/recovery/recovery.ts';
import { AckDraft } from '../../../../transport/scratch.ts';
import { frameLength } from '../../../../wire/frames.ts';
import { at, Lab } from './lab.ts';

/** The numbers passed over while `packets` are sent with so many in flight. */
function skippedOf(seed: number, packets: number, packetsInFlight: number): number[] {
  const skipper = new NumberSkipper(new SeededRng(seed));
  const skipped: number[] = [];
  let number = 0;
  for (let sent = 0; sent < packets; sent++) {
    number += 1;
    if (skipper.skips(number, packetsInFlight)) skipped.push(number++);
  }
  return skipped;
}

function gapsOf(numbers: readonly number[]): number[] {
  return numbers.slice(1).map((number, index) => number - numbers[index]! - 1);
}

describe('the numbers that are passed over (RFC 9000 §21.4)', () => {
  it('lie 512 to 1,024 packets apart while little is in flight, wherever in between', () => {
    const skipped = skippedOf(1, 1_000_000, 100);
    const gaps = gapsOf(skipped);
    expect(skipped[0]).toBeGreaterThan(SKIP_GAP_MIN);
    expect(Math.min(...gaps)).toBe(SKIP_GAP_MIN);
    expect(Math.max(...gaps)).toBe(2 * SKIP_GAP_MIN - 1);
    expect(new Set(gaps).size).toBeGreaterThan(SKIP_GAP_MIN / 2);
  });

  it('are others each time', () => {
    expect(skippedOf(1, 10_000, 100)).not.toEqual(skippedOf(2, 10_000, 100));
  });

  it.each([4_000, 20_000, 100_000])(
    'are two to four in a flight of %i packets, and those remembered span it',
    (flight) => {
      const skipped = skippedOf(3, 20 * flight, flight).slice(1);
      const gaps = gapsOf(skipped);
      expect(flight / Math.max(...gaps)).toBeGreaterThanOrEqual(2);
      expect(flight / Math.min(...gaps)).toBeLessThanOrEqual(Math.max(4, flight / SKIP_GAP_MIN));
      for (let i = SKIPPED_REMEMBERED_MAX; i < skipped.length; i++) {
        expect(skipped[i]! - skipped[i - SKIPPED_REMEMBERED_MAX]!).toBeGreaterThan(flight);
      }
    },
  );

  it('wait for an occasion, and are counted from there', () => {
    const skipper = new NumberSkipper(new SeededRng(1));
    // Ten thousand packets of ACKs alone went out: nobody asked.
    expect([skipper.skips(10_000, 1), skipper.skips(10_001, 1), skipper.skips(10_000 + SKIP_GAP_MIN, 1)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('catch a peer that acknowledges what is still on its way, within two gaps', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const lab = new Lab({ roundTripMs: 100 });
      const skipper = new NumberSkipper(new SeededRng(seed));
      let outcome = 'ok';
      for (let ms = 0; outcome === 'ok'; ms++) {
        expect(lab.recovery.nextPacketNumber, `seed ${seed}`).toBeLessThanOrEqual(2 * SKIP_GAP_MIN + 10);
        for (let i = 0; i < 10; i++) sendSkipping(lab, skipper, ms);
        outcome = lab.ack(ms, `0-${lab.recovery.nextPacketNumber - 1}`);
      }
      expect(outcome, `seed ${seed}`).toBe('skipped');
    }
  });
});

/** One packet, and the number after it passed over where that is its turn: as the writer of packets does it. */
function sendSkipping(lab: Lab, skipper: NumberSkipper | undefined, ms: number): void {
  lab.send(ms);
  const number = lab.recovery.nextPacketNumber;
  if (skipper?.skips(number, lab.path.packetsInFlight) === true) lab.recovery.onSkipped(number, at(ms));
}

interface Cost {
  readonly delivered: number;
  readonly acks: number;
  readonly ackBytes: number;
  readonly pings: number;
  readonly rangesMax: number;
}

/**
 * A bulk one way over a path of 100 ms that loses nothing, `flight` packets each round trip, for four seconds. The reader sends
 * nothing but ACKs, and a PING in one when gaps have been repeated for long; what they cost it.
 */
function bulk(flight: number, skipper: NumberSkipper | undefined): Cost {
  const sender = new Lab({ roundTripMs: 100 });
  const reader = new Lab({ roundTripMs: 100 });
  const [ofSender, ofReader] = [new AckPolicy(new AckDraft()), new AckPolicy(new AckDraft())];
  reader.acked = (contents, index) => ofReader.onAckAcked(contents.offset(index));
  sender.controller.window = flight * 1_200;
  const tick = 0.5;
  /** What arrives at a tick, by its index. */
  const toReader: (() => void)[][] = [];
  const toSender: (() => void)[][] = [];
  const put = (queue: (() => void)[][], index: number, arrive: () => void): void => {
    queue[index] ??= [];
    queue[index].push(arrive);
  };
  const cost = { delivered: 0, acks: 0, ackBytes: 0, pings: 0, rangesMax: 0 };
  const perTick = Math.ceil((flight / 100) * tick);
  for (let step = 0; step < 4_000 / tick; step++) {
    const ms = step * tick;
    const there = step + 50 / tick;
    for (const arrive of toReader[step] ?? []) arrive();
    for (const arrive of toSender[step] ?? []) arrive();
    toReader[step] = [];
    toSender[step] = [];
    if (ofReader.deadline <= at(ms)) {
      const frame = ofReader.frame(at(ms));
      const asks = ofReader.wantsAnswer;
      const ranges = frame.ranges.map((range) => ({ ...range }));
      cost.acks += 1;
      cost.ackBytes += frameLength(frame);
      cost.pings += asks ? 1 : 0;
      cost.rangesMax = Math.max(cost.rangesMax, ranges.length);
      const number = reader.recovery.nextPacketNumber;
      reader.recovery.contents.add(CONTENT_ACK, 0, ofReader.highest, 0);
      reader.recovery.onSent(reader.path, number, 60, asks, at(ms));
      ofReader.sent(asks, at(ms));
      put(toSender, there, () => {
        expect(sender.recovery.onAckFrame(ranges, 0, at(ms + 50))).toBe('ok');
        ofSender.received(number, asks, asks, at(ms + 50));
      });
    }
    if (ofSender.deadline <= at(ms)) {
      const ranges = ofSender.frame(at(ms)).ranges.map((range) => ({ ...range }));
      ofSender.sent(true, at(ms));
      put(toReader, there, () => reader.recovery.onAckFrame(ranges, 0, at(ms + 50)));
    }
    for (let i = 0; i < perTick && sender.recovery.room(sender.path) >= 1_200; i++) {
      const number = sender.recovery.nextPacketNumber;
      sendSkipping(sender, skipper, ms);
      put(toReader, there, () => {
        ofReader.received(number, true, false, at(ms + 50));
        cost.delivered += 1;
      });
    }
  }
  return cost;
}

describe('what passing over numbers costs an honest peer', () => {
  it.each([
    [50, 2],
    [1_000, 4],
    [10_000, 10],
  ])('with %i packets in flight: at most %i ranges, and next to nothing in ACKs and PINGs', (flight, ranges) => {
    const without = bulk(flight, undefined);
    expect([without.pings, without.rangesMax]).toEqual([0, 1]);
    const cost = bulk(flight, new NumberSkipper(new SeededRng(7)));
    // It was passed over all the time, and nothing of it was left to pile up: 32 ranges would fit, 256 be kept.
    expect(cost.rangesMax).toBeGreaterThan(1);
    expect(cost.rangesMax).toBeLessThanOrEqual(ranges);
    expect(ranges).toBeLessThan(ACK_RANGES_SENT_MAX);
    // A gap has one ACK go out at once that would have waited.
    expect(cost.acks - without.acks).toBeLessThanOrEqual(without.acks / 100);
    expect((cost.ackBytes - without.ackBytes) / (1_200 * cost.delivered)).toBeLessThan(0.0005);
    // One ACK in 16 or 17 asks for an answer while gaps are repeated.
    expect(cost.pings).toBeGreaterThan(0);
    expect(cost.pings).toBeLessThanOrEqual(cost.acks / ACKS_UNANSWERED_MAX);
    expect(cost.delivered).toBeGreaterThanOrEqual(0.999 * without.delivered);
  });
});
