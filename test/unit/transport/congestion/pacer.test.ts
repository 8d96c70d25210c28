import { describe, expect, it } from 'vitest';
import { PacingBudget } from '../../../../transport/pacer.ts';
import { at, MTU } from './samples.ts';

function paced(pacingRate: number | undefined, window = 120_000, isStartup = false, rtt = 100_000): PacingBudget {
  const pacer = new PacingBudget(MTU, at(0));
  pacer.follow({ window, pacingRate, isStartup }, rtt, at(0));
  return pacer;
}

describe('the pacer', () => {
  it.each([
    ['what the controller says', 5_000_000, 120_000, false, 100_000, 5_000_000],
    ['1.25 windows in a round trip (RFC 9002 §7.7)', undefined, 120_000, false, 100_000, 1_500_000],
    ['two windows in slow start', undefined, 120_000, true, 100_000, 2_400_000],
    ['a whole number of bytes', undefined, 10_000, false, 333_000, 37_537],
    ['no more than it can count', 1e15, 0, false, 1, 10_000_000_000],
    ['at least something', 0, 0, false, 1, 1],
  ])('goes at %s', (_, rate, window, isStartup, rtt, expected) => {
    expect(paced(rate, window, isStartup, rtt).rate).toBe(expected);
  });

  it('lets an initial window go at once, and then what the rate earns', () => {
    const pacer = paced(1_200_000);
    expect(pacer.available(at(0))).toBe(12_000);
    pacer.onSent(12_000, at(0));
    expect(pacer.available(at(0))).toBe(0);
    expect(pacer.nextSendAt(1_200, at(0))).toBe(1_000);
    expect(pacer.available(at(1_000))).toBe(1_200);
    expect(pacer.nextSendAt(2_400, at(1_000))).toBe(2_000);
  });

  it('is exact: a rate that divides nothing loses nothing in a million steps', () => {
    const pacer = paced(999_983);
    pacer.onSent(12_000, at(0));
    let sent = 0;
    for (let now = 1; now <= 1_000_000; now++) {
      if (pacer.available(at(now)) < MTU) continue;
      pacer.onSent(MTU, at(now));
      sent += MTU;
    }
    expect(sent).toBe(Math.floor(999_983 / MTU) * MTU);
  });

  it('names the microsecond from which on the bytes may go, and not one earlier', () => {
    const pacer = paced(7_777_777);
    pacer.onSent(12_000, at(0));
    for (const bytes of [1, 1_200, 6_000, 11_999]) {
      const next = pacer.nextSendAt(bytes, at(0));
      expect(Number.isInteger(next)).toBe(true);
      expect(next).toBe(Math.ceil((bytes * 1_000_000) / 7_777_777));
    }
    expect(pacer.available(at(154))).toBe(1_197);
    expect(pacer.available(at(155))).toBe(1_205);
  });

  it('catches up on 5 ms that a timer came late, and on no more', () => {
    const pacer = paced(12_000_000);
    for (let now = 0; now <= 100_000; now += 1_000) pacer.onSent(pacer.available(at(now)), at(now));
    expect(pacer.available(at(105_000))).toBe(60_000);
    pacer.onSent(60_000, at(105_000));
    expect(pacer.available(at(109_000))).toBe(48_000);
  });

  it('never lets more than an initial window go after a pause', () => {
    for (const rate of [10_000, 12_000_000, 1_000_000_000]) {
      const pacer = paced(rate);
      for (let now = 0; now <= 20_000; now += 1_000) pacer.onSent(pacer.available(at(now)), at(now));
      expect(pacer.available(at(10_000_000))).toBeLessThanOrEqual(12_000);
      expect(pacer.nextSendAt(60_000, at(10_000_000))).toBe(10_000_000);
    }
  });

  it.each([
    // bytes a second, datagram, batch: a millisecond's worth of whole datagrams, 2 to 64 of them, one UDP datagram at most
    [100_000, 1_200, 2_400],
    [5_000_000, 1_200, 4_800],
    [12_500_000, 1_200, 12_000],
    [1_000_000_000, 1_200, 64_800],
    [1_000_000_000, 1_000, 64_000],
    [1_000_000_000, 8_900, 62_300],
    [1_000_000_000, 65_000, 65_000],
    [1_000, 65_000, 65_000],
  ])('at %i B/s with datagrams of %i waits for batches of %i', (rate, mtu, quantum) => {
    const pacer = paced(rate);
    pacer.onMtuChange(mtu);
    expect(pacer.quantum).toBe(quantum);
  });

  it('makes probes wait for nothing, and the packets after them pay', () => {
    const pacer = paced(1_200_000);
    pacer.onSent(14_400, at(0));
    expect(pacer.available(at(0))).toBe(0);
    expect(pacer.nextSendAt(1_200, at(0))).toBe(3_000);
    for (let i = 0; i < 100; i++) pacer.onSent(2_400, at(0));
    // A debt is bounded as the credit is.
    expect(pacer.nextSendAt(1_200, at(0))).toBe(11_000);
  });

  it('counts time before a change of rate at the old rate', () => {
    const pacer = paced(1_200_000);
    pacer.onSent(12_000, at(0));
    pacer.follow({ window: 0, pacingRate: 12_000_000, isStartup: false }, 100_000, at(2_000));
    expect(pacer.available(at(2_000))).toBe(2_400);
    expect(pacer.available(at(2_100))).toBe(3_600);
  });

  it('bears a clock that stands still or goes back', () => {
    const pacer = paced(1_200_000);
    pacer.onSent(12_000, at(5_000));
    const before = pacer.available(at(6_000));
    expect(pacer.available(at(4_000))).toBe(before);
    expect(pacer.available(at(6_000))).toBe(before);
  });
});
