import { describe, expect, it } from 'vitest';
import { MILLISECOND } from '../../../base/time.ts';
import { INITIAL_RTT, MAX_ACK_DELAY, RttEstimator, TIMER_GRANULARITY } from '../../../transport/rtt.ts';

function sampled(...samples: readonly (readonly [rtt: number, ackDelay?: number])[]): RttEstimator {
  const rtt = new RttEstimator();
  for (const [sample, ackDelay = 0] of samples) rtt.sample(sample, ackDelay);
  return rtt;
}

describe('the round-trip estimate of RFC 9002', () => {
  it('starts from 333 ms, and half of it as variation (§6.2.2)', () => {
    const rtt = new RttEstimator();
    expect([rtt.smoothed, rtt.variation, rtt.isSampled]).toEqual([333_000, 166_500, false]);
    expect(rtt.probeTimeout).toBe(333_000 + 4 * 166_500 + 25_000);
    expect([INITIAL_RTT, MAX_ACK_DELAY, TIMER_GRANULARITY]).toEqual([333_000, 25_000, 1_000]);
  });

  it('takes the first sample as it is, whatever delay the peer names (§5.3)', () => {
    const rtt = sampled([100_000, 20_000]);
    expect([rtt.latest, rtt.minimum, rtt.smoothed, rtt.variation]).toEqual([100_000, 100_000, 100_000, 50_000]);
    expect(rtt.isSampled).toBe(true);
    expect(rtt.probeTimeout).toBe(100_000 + 200_000 + 25_000);
  });

  it('moves by an eighth, and its variation by a quarter against the old average (§5.3)', () => {
    const rtt = sampled([100_000], [180_000]);
    // variation: (3 × 50,000 + |100,000 − 180,000|) / 4; average: (7 × 100,000 + 180,000) / 8
    expect([rtt.variation, rtt.smoothed]).toEqual([57_500, 110_000]);
    rtt.sample(90_000, 0);
    // (3 × 57,500 + 20,000) / 4 and (7 × 110,000 + 90,000) / 8
    expect([rtt.variation, rtt.smoothed]).toEqual([48_125, 107_500]);
    expect(rtt.probeTimeout).toBe(107_500 + 4 * 48_125 + 25_000);
  });

  it('subtracts the delay the peer names (§5.3)', () => {
    const rtt = sampled([100_000], [120_000, 20_000]);
    expect([rtt.latest, rtt.smoothed, rtt.variation]).toEqual([120_000, 100_000, 37_500]);
  });

  it('believes a delay up to the agreed maximum only (§5.3)', () => {
    const rtt = sampled([100_000], [200_000, 90_000]);
    // 200,000 − 25,000
    expect(rtt.smoothed).toBe(Math.floor((7 * 100_000 + 175_000) / 8));
  });

  it('ignores a delay that would bring the sample below the minimum (§5.3)', () => {
    const rtt = sampled([100_000], [110_000, 20_000]);
    expect(rtt.smoothed).toBe(Math.floor((7 * 100_000 + 110_000) / 8));
    const exactly = sampled([100_000], [110_000, 10_000]);
    expect(exactly.smoothed).toBe(100_000);
  });

  it('keeps the smallest sample as minimum, without any delay taken off (§5.2)', () => {
    const rtt = sampled([100_000], [60_000, 25_000], [80_000]);
    expect(rtt.minimum).toBe(60_000);
  });

  it('begins the minimum again with the newest sample when it is told to, and leaves the average alone (§5.2)', () => {
    const rtt = sampled([60_000], [100_000], [80_000]);
    const { smoothed, variation } = rtt;
    rtt.restartMinimum();
    expect([rtt.minimum, rtt.smoothed, rtt.variation]).toEqual([80_000, smoothed, variation]);
    rtt.sample(90_000, 0);
    expect(rtt.minimum).toBe(80_000);
    rtt.sample(70_000, 0);
    expect(rtt.minimum).toBe(70_000);
  });

  it('never has a probe timeout shorter than the granularity and the delay of an ACK (§6.2.1)', () => {
    const rtt = sampled(...Array.from({ length: 60 }, () => [5_000] as const));
    expect(rtt.variation).toBe(0);
    expect(rtt.probeTimeout).toBe(5_000 + MILLISECOND + 25_000);
  });

  it('stays in whole microseconds', () => {
    const rtt = sampled([33_333], [47_777, 1], [101, 7], [99_999, 24_999]);
    for (const value of [rtt.smoothed, rtt.variation, rtt.probeTimeout]) expect(Number.isInteger(value)).toBe(true);
  });
});
