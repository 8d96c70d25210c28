import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRng } from '../../../../sim/rng.ts';
import { minimumWindow } from '../../../../transport/congestion/controller.ts';
import { createController } from '../../../../transport/congestion/create.ts';
import { ack, at, loss, rate } from './samples.ts';

const NAMES = ['AIMD', 'CUBIC', 'BBR'] as const;
const bytes = fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 2 ** 40 }));
const time = fc.oneof(fc.integer({ min: 0, max: 1_000_000 }), fc.integer({ min: 0, max: 2 ** 45 }));
const step = fc.record({
  kind: fc.constantFrom('sent', 'ack', 'ack', 'ack', 'loss', 'spurious', 'limited', 'mtu'),
  elapsed: time,
  bytes,
  other: bytes,
  rtt: fc.option(time, { nil: undefined }),
  packets: fc.integer({ min: 0, max: 1_000 }),
  number: fc.integer({ min: 0, max: 10_000 }),
  flag: fc.boolean(),
});

describe('every controller', () => {
  it.each(NAMES)('%s: says who it is and begins with an initial window', (name) => {
    const controller = createController(name, { mtu: 1_200, rng: new SeededRng(1), now: at(0) });
    expect([controller.name, controller.window, controller.isStartup]).toEqual([name, 12_000, true]);
  });

  it.each(NAMES)('%s: bears any sequence of calls, its window finite and never below the minimum', (name) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        let mtu = 1_200;
        let now = 0;
        const controller = createController(name, { mtu, rng: new SeededRng(7), now: at(0) });
        for (const { kind, elapsed, bytes, other, rtt, packets, number, flag } of steps) {
          now += elapsed;
          if (kind === 'sent') controller.onSent(bytes, other, at(now));
          if (kind === 'ack') {
            controller.onAck(
              ack({
                bytes,
                packets,
                largestNumber: number,
                nextNumber: number + packets,
                bytesInFlight: other,
                rtt,
                smoothedRtt: rtt ?? elapsed,
                minimumRtt: Math.min(rtt ?? elapsed, elapsed),
                isAppLimited: flag,
                rate: flag
                  ? undefined
                  : rate({ deliveryRate: other, delivered: bytes, priorDelivered: number, totalDelivered: other }),
              }),
              at(now),
            );
          }
          if (kind === 'loss') {
            controller.onLoss(
              loss({
                bytes,
                packets,
                largestNumber: number,
                nextNumber: number + 1,
                sentInFlight: other,
                lostSinceSent: bytes + packets,
                isPersistent: flag,
              }),
              at(now),
            );
          }
          if (kind === 'spurious') controller.onSpuriousLoss(packets, at(Math.max(0, now - elapsed)), at(now));
          if (kind === 'limited') controller.onAppLimited(other, at(now));
          if (kind === 'mtu') {
            mtu = 1_200 + packets * 60;
            controller.onMtuChange(mtu);
          }
          expect(Number.isSafeInteger(controller.window)).toBe(true);
          expect(controller.window).toBeGreaterThanOrEqual(minimumWindow(mtu));
          const pacing = controller.pacingRate;
          expect(pacing === undefined || (Number.isFinite(pacing) && pacing > 0)).toBe(true);
        }
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it('draws only where it is BBR, and the same from the same generator', () => {
    const draws = (name: (typeof NAMES)[number]): number => {
      let count = 0;
      const rng = { fill: (into: Uint8Array): void => void into.fill(++count) };
      const controller = createController(name, { mtu: 1_200, rng, now: at(0) });
      for (let n = 0; n < 500; n++) {
        controller.onAck(
          ack({
            largestNumber: n,
            nextNumber: n + 1,
            rate: rate({ priorDelivered: n * 1_200, totalDelivered: n * 1_200 + 1_200, sentInFlight: 1_200 }),
          }),
          at(n * 100_000),
        );
      }
      return count;
    };
    expect([draws('AIMD'), draws('CUBIC')]).toEqual([0, 0]);
    expect(draws('BBR')).toBeGreaterThan(5);
  });
});
