import { describe, expect, it } from 'vitest';
import type { ControllerName } from '../../../../transport/congestion/controller.ts';
import {
  Bottleneck,
  type FlowOptions,
  jain,
  type LinkOptions,
  mbit,
  ms,
} from '../../../unit/transport/congestion/bottleneck.ts';

const NAMES = ['AIMD', 'CUBIC', 'BBR'] as const;
const MTU = 1_200;
const SECOND = 1_000_000;
const MEGABYTE = 1_000_000;

/** Payload over the link's rate, in the last three quarters of one transfer. */
function share(controller: ControllerName, link: LinkOptions, size: number): number {
  const bottleneck = new Bottleneck(link, [{ controller, size }]);
  bottleneck.run(120 * SECOND);
  return bottleneck.result().rate / link.rate;
}

/** A queue of that many round trips at full rate. */
function link(megabits: number, milliseconds: number, queue: number, more: Partial<LinkOptions> = {}): LinkOptions {
  const rate = mbit(megabits);
  return { rate, rtt: ms(milliseconds), queue: (rate * milliseconds * queue) / 1_000, ackLoss: 0, ...more };
}

describe('one flow alone takes the link', () => {
  const clean = link(100, 30, 1);
  const radio = link(100, 100, 1, { loss: 0.001 });
  const poor = link(100, 100, 1, { loss: 0.01 });
  const fat = link(1_000, 100, 0.25);
  const home = { ...link(10, 30, 1), queue: 25 * MTU };
  it.each([
    ['AIMD', '100 Mbit/s, 30 ms', clean, 64, 0.93],
    ['CUBIC', '100 Mbit/s, 30 ms', clean, 64, 0.95],
    ['BBR', '100 Mbit/s, 30 ms', clean, 64, 0.95],
    ['BBR', '100 Mbit/s, 100 ms, 0.1 % loss', radio, 64, 0.92],
    ['BBR', '100 Mbit/s, 100 ms, 1 % loss', poor, 64, 0.88],
    ['CUBIC', '1 Gbit/s, 100 ms, a quarter of it as queue', fat, 512, 0.9],
    ['BBR', '1 Gbit/s, 100 ms, a quarter of it as queue', fat, 512, 0.9],
    ['AIMD', '10 Mbit/s, 30 ms, 25 packets', home, 10, 0.93],
    ['CUBIC', '10 Mbit/s, 30 ms, 25 packets', home, 10, 0.93],
    ['BBR', '10 Mbit/s, 30 ms, 25 packets', home, 10, 0.93],
  ] as const)('%s, %s', (controller, _, options, megabytes, least) => {
    expect(share(controller, options, megabytes * MEGABYTE)).toBeGreaterThanOrEqual(least);
  });

  it('and BBR keeps the queue short where it is deep', () => {
    const options = link(20, 20, 100);
    const srtt = (controller: ControllerName): number => {
      const bottleneck = new Bottleneck(options, [{ controller }]);
      bottleneck.run(20 * SECOND);
      return bottleneck.flows[0]!.sender.rtt.smoothed;
    };
    expect(srtt('BBR')).toBeLessThan(ms(40));
    expect(srtt('CUBIC')).toBeGreaterThan(ms(100));
  });

  it.each(NAMES)('%s follows a link that falls to a quarter and comes back', (controller) => {
    const bottleneck = new Bottleneck(link(40, 30, 1), [{ controller }]);
    expect(bottleneck.shares(3 * SECOND, 6 * SECOND)[0]).toBeGreaterThan(0.9);
    bottleneck.change({ rate: mbit(10), queue: mbit(10) * 0.03 });
    expect(bottleneck.shares(16 * SECOND, 22 * SECOND)[0]).toBeGreaterThan(0.9);
    bottleneck.change({ rate: mbit(40), queue: mbit(40) * 0.03 });
    expect(bottleneck.shares(30 * SECOND, 36 * SECOND)[0]).toBeGreaterThan(0.85);
  });

  it.each(NAMES)('%s is back in two seconds after five without a link', (controller) => {
    const bottleneck = new Bottleneck(link(10, 30, 1), [{ controller }]);
    bottleneck.run(5 * SECOND);
    bottleneck.change({ loss: 1, ackLoss: 1 });
    bottleneck.run(10 * SECOND);
    const before = bottleneck.result().delivered;
    bottleneck.change({ loss: 0, ackLoss: 0 });
    bottleneck.run(12 * SECOND);
    expect(bottleneck.result().delivered).toBeGreaterThan(before);
    expect(bottleneck.shares(14 * SECOND, 18 * SECOND)[0]).toBeGreaterThan(0.85);
  });
});

describe('with a credit of 32 KiB and 100 ms', () => {
  // A datagram size of which the credit is a whole number; smoltcp's rates without congestion control, in kB/s.
  const GRID = [
    [0, 323, 1],
    [0.001, 315, 0.7],
    [0.01, 220, 0.7],
    [0.02, 167, 0.7],
    [0.05, 77, 0.7],
    [0.1, 37.8, 1],
    [0.2, 6.1, 2],
    [0.3, 1.16, 5 / 1.16],
  ] as const;

  function kilobytes(controller: ControllerName, loss: number): number {
    const bottleneck = new Bottleneck({ ...link(1_000, 100, 0.1), loss, ackLoss: loss, mtu: 1_214 }, [
      { controller, size: 10 * 2 ** 20, credit: 32_768 },
    ]);
    bottleneck.run(3_600 * SECOND);
    return (10 * 2 ** 10 * 1.024) / (bottleneck.result().finishedAt! / SECOND);
  }

  it.each(GRID)(
    'and loss of %d both ways, BBR keeps up with a sender that knows no congestion (%d kB/s)',
    (loss, rate) => {
      expect(kilobytes('BBR', loss)).toBeGreaterThanOrEqual(loss >= 0.3 ? 5 : rate);
    },
  );

  it.each(GRID)('and loss of %d both ways, AIMD brings of %d kB/s at least %d', (loss, rate, factor) => {
    expect(kilobytes('AIMD', loss)).toBeGreaterThanOrEqual(factor * rate);
  });
});

describe('flows on one link', () => {
  const shared = link(20, 50, 1);

  function shares(flows: readonly FlowOptions[], seed = 1): number[] {
    return new Bottleneck({ ...shared, seed }, flows).shares(20 * SECOND, 70 * SECOND);
  }

  for (const controller of NAMES) {
    // A queue that drops whoever comes last is a matter of luck: with two flows the mean of three runs counts.
    it.each([
      [2, [1, 2, 3]],
      [4, [1]],
      [8, [1]],
      [16, [1]],
    ])(`share it fairly: ${controller}, %i of them`, (count, seeds) => {
      let sum = 0;
      for (const seed of seeds) {
        const gap = ms(50) + seed * 7_919;
        const got = shares(
          Array.from({ length: count }, (_, i) => ({ controller, startAt: i * gap })),
          seed,
        );
        sum += jain(got);
        expect(got.reduce((total, x) => total + x, 0)).toBeGreaterThan(0.93);
      }
      expect(sum / seeds.length).toBeGreaterThanOrEqual(0.95);
    });
  }

  it.each([1, 2, 3])('leave each other a quarter, BBR and CUBIC (seed %i)', (seed) => {
    const [bbr, cubic] = shares([{ controller: 'BBR' }, { controller: 'CUBIC', startAt: ms(50) }], seed);
    expect(bbr).toBeGreaterThanOrEqual(0.25);
    expect(cubic).toBeGreaterThanOrEqual(0.25);
  });

  it('leave each other a quarter, CUBIC and AIMD', () => {
    const got = shares([{ controller: 'CUBIC' }, { controller: 'AIMD', startAt: ms(50) }]);
    expect(Math.min(...got)).toBeGreaterThanOrEqual(0.25);
  });

  it('let a late one in, whatever the others have', () => {
    for (const controller of NAMES) {
      const bottleneck = new Bottleneck(shared, [{ controller }, { controller, startAt: 15 * SECOND }]);
      expect(bottleneck.shares(30 * SECOND, 60 * SECOND)[1]).toBeGreaterThanOrEqual(0.25);
    }
  });
});

describe('the bottleneck', () => {
  it('gives the same from the same seed, and another from another', () => {
    const run = (seed: number): number[] => {
      const bottleneck = new Bottleneck(link(10, 30, 1, { loss: 0.01, seed }), [{ controller: 'BBR' }]);
      bottleneck.run(5 * SECOND);
      const { delivered, sent, lost } = bottleneck.result();
      return [delivered, sent, lost];
    };
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(2));
  });

  it.each(NAMES)('sees no more of %s than the window in flight, but for probes (RFC 9002 §7)', (controller) => {
    const bottleneck = new Bottleneck(link(10, 30, 0.5, { loss: 0.02 }), [{ controller }]);
    const { sender } = bottleneck.flows[0]!;
    let last = sender.bytesInFlight;
    for (let now = 0; now < 10 * SECOND; now += 1_000) {
      bottleneck.run(now);
      // What is above a window that shrank only goes down.
      expect(sender.bytesInFlight).toBeLessThanOrEqual(Math.max(last, sender.controller.window) + 2 * MTU);
      last = sender.bytesInFlight;
    }
  });
});
