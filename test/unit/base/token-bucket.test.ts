import { describe, expect, it } from 'vitest';
import { instant, MILLISECOND, SECOND } from '../../../base/time.ts';
import { TokenBucket } from '../../../base/token-bucket.ts';
import { SeededRng } from '../../../sim/rng.ts';

function takeAll(bucket: TokenBucket, at: number): number {
  let taken = 0;
  while (bucket.take(instant(at))) taken += 1;
  return taken;
}

describe('a token bucket', () => {
  it('starts full and gives its burst at once', () => {
    expect(takeAll(new TokenBucket(10, 5, instant(0)), 0)).toBe(5);
  });

  it('refills at its rate', () => {
    const bucket = new TokenBucket(10, 5, instant(0));
    takeAll(bucket, 0);
    expect(bucket.take(instant(99 * MILLISECOND))).toBe(false);
    expect(bucket.take(instant(100 * MILLISECOND))).toBe(true);
    expect(bucket.take(instant(100 * MILLISECOND))).toBe(false);
    expect(takeAll(bucket, 400 * MILLISECOND)).toBe(3);
  });

  it('holds no more than its burst however long nobody asks', () => {
    const bucket = new TokenBucket(10, 5, instant(0));
    takeAll(bucket, 0);
    expect(takeAll(bucket, 365 * 86_400 * SECOND)).toBe(5);
  });

  it('loses nothing to rounding when it is asked every microsecond', () => {
    const bucket = new TokenBucket(20, 1, instant(0));
    bucket.take(instant(0));
    let at = 1;
    while (!bucket.take(instant(at))) at += 1;
    expect(Math.abs(at - 50 * MILLISECOND)).toBeLessThanOrEqual(1);
  });

  it('says when less than a share of the burst is left, without taking anything', () => {
    const bucket = new TokenBucket(10, 4, instant(0));
    expect(bucket.isBelow(0.5, instant(0))).toBe(false);
    bucket.take(instant(0));
    bucket.take(instant(0));
    expect(bucket.isBelow(0.5, instant(0))).toBe(false);
    bucket.take(instant(0));
    expect(bucket.isBelow(0.5, instant(0))).toBe(true);
    expect(bucket.isBelow(0.5, instant(100 * MILLISECOND))).toBe(false);
    expect(takeAll(bucket, 100 * MILLISECOND)).toBe(2);
  });

  it('lends one that is not there, and says how long it is until there is another', () => {
    const bucket = new TokenBucket(250, 2, instant(0));
    expect(bucket.overdraw(instant(0))).toBe(0);
    expect(bucket.overdraw(instant(0))).toBe(4 * MILLISECOND);
    expect(bucket.overdraw(instant(3 * MILLISECOND))).toBe(5 * MILLISECOND);
    // Nobody gains by coming too soon.
    expect(bucket.overdraw(instant(8 * MILLISECOND))).toBe(4 * MILLISECOND);
    expect(bucket.take(instant(12 * MILLISECOND - 1))).toBe(false);
  });

  it('without a rate or a burst gives nothing, ever', () => {
    const bucket = new TokenBucket(0, 0, instant(0));
    expect(bucket.take(instant(0))).toBe(false);
    expect(bucket.take(instant(1_000 * SECOND))).toBe(false);
  });

  it('never gives more than its burst and its rate in any span', () => {
    for (let seed = 0; seed < 20; seed++) {
      const rng = new SeededRng(seed);
      const rate = 1 + rng.below(50);
      const burst = 1 + rng.below(20);
      const bucket = new TokenBucket(rate, burst, instant(0));
      const taken: number[] = [];
      for (let at = 0; at < 5 * SECOND; at += rng.below(40 * MILLISECOND)) if (bucket.take(instant(at))) taken.push(at);
      for (const [first, from] of taken.entries()) {
        for (let last = first; last < taken.length; last++) {
          const most = burst + ((taken[last]! - from) * rate) / SECOND + 1e-6;
          if (last - first + 1 > most) expect.fail(`seed ${seed}: ${last - first + 1} from ${from} to ${taken[last]}`);
        }
      }
    }
  });
});
