import { describe, expect, it } from 'vitest';
import { HyStart } from '../../../../transport/congestion/hystart.ts';

/** One round trip of `count` ACKs with that RTT, in ms. */
function round(hystart: HyStart, index: number, rtt: number, count = 8): void {
  for (let i = 0; i < count; i++) hystart.onAck(100 * index + i, 100 * (index + 1), rtt * 1_000);
}

describe('HyStart++ (RFC 9406 §4.2)', () => {
  it.each([
    // RTT of the round before, the least that counts as a queue: RTT/8 within 4 and 16 ms
    [10, 14],
    [32, 36],
    [64, 72],
    [100, 112.5],
    [128, 144],
    [500, 516],
  ])('after a round at %d ms takes %d ms for a queue, and a tenth less for none', (before, after) => {
    const calm = new HyStart();
    round(calm, 0, before);
    round(calm, 1, after - 0.1);
    expect(calm.isConservative).toBe(false);
    const queued = new HyStart();
    round(queued, 0, before);
    round(queued, 1, after);
    expect(queued.isConservative).toBe(true);
  });

  it('wants eight samples of the round before it judges', () => {
    const hystart = new HyStart();
    round(hystart, 0, 100);
    for (let i = 0; i < 7; i++) hystart.onAck(100 + i, 200, 150_000);
    expect(hystart.isConservative).toBe(false);
    hystart.onAck(107, 200, 150_000);
    expect(hystart.isConservative).toBe(true);
  });

  it('judges by the lowest RTT of the round, so that one slow ACK is no queue', () => {
    const hystart = new HyStart();
    round(hystart, 0, 100);
    hystart.onAck(100, 200, 101_000);
    for (let i = 1; i < 20; i++) hystart.onAck(100 + i, 200, 200_000);
    expect(hystart.isConservative).toBe(false);
  });

  it('grows a quarter as fast in Conservative Slow Start, for five rounds, and is done then', () => {
    const hystart = new HyStart();
    round(hystart, 0, 100);
    expect(hystart.growth(4_800)).toBe(4_800);
    round(hystart, 1, 120);
    expect(hystart.growth(4_800)).toBe(1_200);
    for (let i = 2; i < 6; i++) round(hystart, i, 120);
    expect([hystart.isConservative, hystart.isDone]).toEqual([true, false]);
    round(hystart, 6, 120);
    expect(hystart.isDone).toBe(true);
  });

  it('goes back to full speed where the RTT falls below what it was when the queue showed', () => {
    const hystart = new HyStart();
    round(hystart, 0, 100);
    round(hystart, 1, 120);
    round(hystart, 2, 119.9);
    expect([hystart.isConservative, hystart.growth(1_000)]).toEqual([false, 1_000]);
  });

  it('does without ACKs that give no RTT', () => {
    const hystart = new HyStart();
    for (let i = 0; i < 50; i++) hystart.onAck(i, i + 1, undefined);
    expect([hystart.isConservative, hystart.isDone]).toEqual([false, false]);
  });
});
