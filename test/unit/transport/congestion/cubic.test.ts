import { describe, expect, it } from 'vitest';
import { CUBIC_ALPHA, CubicLaw } from '../../../../transport/congestion/cubic.ts';
import type { WindowLaw } from '../../../../transport/congestion/loss-based.ts';
import { NewRenoLaw } from '../../../../transport/congestion/new-reno.ts';
import { ack, at, Filled, loss, MTU, RTT } from './samples.ts';

const SECOND = 1_000_000;

/** A window of ACKs in each round trip from `from` until `to`, two datagrams an ACK. */
function grow(law: WindowLaw, window: number, from: number, to: number, rtt = RTT): number {
  let grown = window;
  for (let now = from; now < to; now += rtt) {
    const acks = Math.round(grown / (2 * MTU));
    for (let i = 0; i < acks; i++) grown = law.grow(grown, 2 * MTU, MTU, rtt, at(now + (i * rtt) / acks));
  }
  return grown;
}

/** The average window in datagrams where one packet in `every` is lost, at regular distances. */
function averageWindow(law: WindowLaw, every: number, rtt: number): number {
  let window = 10 * MTU;
  let now = 0;
  let sum = 0;
  let rounds = 0;
  let sinceLoss = 0;
  for (let losses = 0; losses < 40; now += rtt) {
    if (losses >= 20) {
      sum += window;
      rounds++;
    }
    sinceLoss += window / MTU;
    if (sinceLoss >= every) {
      sinceLoss -= every;
      losses++;
      window = law.reduce(window, MTU, 1);
      continue;
    }
    const acks = Math.ceil(window / (4 * MTU));
    for (let i = 0; i < acks; i++) window = law.grow(window, window / acks, MTU, rtt, at(now + (i * rtt) / acks));
  }
  return sum / rounds / MTU;
}

describe('CUBIC (RFC 9438)', () => {
  it('keeps 0.7 of the window on a loss, and grows the Reno estimate by 0.53 (§4.3, §4.6)', () => {
    expect(new CubicLaw().reduce(100 * MTU, MTU, 1)).toBe(70 * MTU);
    expect(CUBIC_ALPHA).toBeCloseTo(0.5294, 4);
  });

  it('is back at the old window K seconds after the loss, flat there, and beyond it later (§4.2)', () => {
    const law = new CubicLaw();
    const reduced = law.reduce(1_000 * MTU, MTU, 1);
    // K = cbrt(1000 × 0.3 / 0.4) = 9.086 s; at K ± 2 s the curve is 0.4 × 8 = 3.2 datagrams off.
    const before = grow(law, reduced, 0, 7.086 * SECOND);
    expect(before / MTU).toBeGreaterThan(996);
    expect(before / MTU).toBeLessThan(997.6);
    const flat = grow(law, before, 7.1 * SECOND, 9.086 * SECOND);
    expect(flat / MTU).toBeGreaterThan(999.5);
    expect(flat / MTU).toBeLessThan(1_000.5);
    const beyond = grow(law, flat, 9.1 * SECOND, 14.086 * SECOND);
    // 0.4 × 5³ = 50
    expect(beyond / MTU).toBeGreaterThan(1_046);
    expect(beyond / MTU).toBeLessThan(1_053);
  });

  it('remembers less than the window where it did not reach the last one (§4.7, fast convergence)', () => {
    const law = new CubicLaw();
    law.reduce(1_000 * MTU, MTU, 1);
    const reduced = law.reduce(800 * MTU, MTU, 1);
    expect(reduced / MTU).toBeCloseTo(560);
    // W_max = 800 × 0.85 = 680, K = cbrt(120 / 0.4) = 6.69 s.
    const flat = grow(law, reduced, 0, 6.69 * SECOND);
    expect(flat / MTU).toBeGreaterThan(679);
    expect(flat / MTU).toBeLessThan(682);
  });

  it('grows at least as Reno would with a short RTT (§4.3)', () => {
    const law = new CubicLaw();
    const reduced = law.reduce(20 * MTU, MTU, 1);
    // In 40 round trips of 5 ms: 11.3 of them at 0.53 to regain 6 datagrams, the rest at 1; the curve alone stays at 14.
    const grown = grow(law, reduced, 0, 0.2 * SECOND, 5_000);
    expect(grown / MTU).toBeGreaterThan(40);
    expect(grown / MTU).toBeLessThan(52);
  });

  it.each([
    // RFC 8312 §5.1 and RFC 9438 §5.1, RTT 0.1 s: 1.054 × (RTT / p)^0.75 datagrams
    [10_000, 187],
    [100_000, 1_054],
  ])('with one loss in %i packets has the average window of the analysis, %i', (every, expected) => {
    const average = averageWindow(new CubicLaw(), every, RTT);
    // A little below: the analysis has no round trip of recovery.
    expect(average / expected).toBeGreaterThan(0.9);
    expect(average / expected).toBeLessThan(1.05);
  });

  it.each([
    [1_000, 38],
    [10_000, 120],
  ])('as AIMD does, with one in %i: %i, sqrt(3 / 2p)', (every, expected) => {
    const average = averageWindow(new NewRenoLaw(), every, RTT);
    expect(average / expected).toBeGreaterThan(0.93);
    expect(average / expected).toBeLessThan(1.07);
  });

  it('stands still while the window is unused (§5.8)', () => {
    const used = new CubicLaw();
    const paused = new CubicLaw();
    let a = grow(used, used.reduce(1_000 * MTU, MTU, 1), 0, SECOND);
    let b = grow(paused, paused.reduce(1_000 * MTU, MTU, 1), 0, SECOND);
    expect(a).toBe(b);
    for (let now = SECOND; now < 31 * SECOND; now += RTT) paused.onUnused(at(now));
    a = grow(used, a, SECOND, 2 * SECOND);
    b = grow(paused, b, 31 * SECOND, 32 * SECOND);
    // But for the time between the last ACK and the pause, a tenth of a second at most, at 78 datagrams a second.
    expect(Math.abs(a - b)).toBeLessThan(8 * MTU);
  });

  it('starts at the flat of the curve where avoidance begins without a loss (§4.10)', () => {
    const law = new CubicLaw();
    const grown = grow(law, 1_000 * MTU, 0, 2 * SECOND);
    // 0.4 × 2³ = 3.2 from the curve; the Reno estimate gives 20 in as many round trips.
    expect(grown / MTU).toBeGreaterThan(1_015);
    expect(grown / MTU).toBeLessThan(1_022);
  });

  it('forgets a spurious reduction altogether', () => {
    const controller = new Filled('CUBIC', new CubicLaw(), MTU);
    controller.onAck(ack({ bytes: 100 * MTU }), at(RTT));
    controller.onLoss(loss({ largestNumber: 5, nextNumber: 12 }), at(RTT));
    expect(controller.window).toBe(Math.floor(110 * MTU * 0.7));
    controller.onSpuriousLoss(1, at(RTT), at(RTT + 1));
    expect([controller.window, controller.isStartup]).toEqual([110 * MTU, true]);
  });

  it('watches slow start for a queue again once a reduction in it has been undone', () => {
    const roundsToEnd = (isDisturbed: boolean): number => {
      const controller = new Filled('CUBIC', new CubicLaw(), MTU);
      let number = 0;
      const round = (rtt: number): void => {
        const nextNumber = number + 10;
        for (; number < nextNumber; number++) {
          controller.onAck(ack({ largestNumber: number, nextNumber, rtt, smoothedRtt: rtt }), at(number));
        }
      };
      round(RTT);
      if (isDisturbed) {
        controller.onLoss(loss({ largestNumber: number, nextNumber: number + 10 }), at(number));
        controller.onSpuriousLoss(1, at(number), at(number));
      }
      // A queue builds up from here on.
      let rounds = 0;
      for (; controller.isStartup && rounds < 50; rounds++) round(RTT * 1.3 ** (rounds + 1));
      return rounds;
    };
    // One round trip shows it, five follow in Conservative Slow Start.
    expect([roundsToEnd(false), roundsToEnd(true)]).toEqual([6, 6]);
  });

  it('never grows by more than half in a round trip (§4.2)', () => {
    const law = new CubicLaw();
    const reduced = law.reduce(10 * MTU, MTU, 1);
    law.grow(reduced, MTU, MTU, RTT, at(0));
    expect(law.grow(reduced, reduced, MTU, RTT, at(1_000 * SECOND))).toBeLessThanOrEqual(1.5 * reduced);
  });
});
