import { describe, expect, it } from 'vitest';
import { SeededRng } from '../../../../sim/rng.ts';
import { BbrController } from '../../../../transport/congestion/bbr/bbr.ts';
import { Bounds, inflightAtLoss } from '../../../../transport/congestion/bbr/bounds.ts';
import { CycleMaximum, MinimumRtt, RoundMaximum } from '../../../../transport/congestion/bbr/filters.ts';
import { FullPipe } from '../../../../transport/congestion/bbr/full-pipe.ts';
import { isExcessLoss } from '../../../../transport/congestion/bbr/model.ts';
import { ack, at, loss, MTU, RTT, rate, SteadyPath } from './samples.ts';

const SECOND = 1_000_000;
/** 100 ms of it are 100 datagrams. */
const BANDWIDTH = 1_200_000;
const BDP = 120_000;

function bbr(seed = 1): BbrController {
  return new BbrController(MTU, new SeededRng(seed), at(0));
}

function steady(seed = 1): { controller: BbrController; path: SteadyPath } {
  const controller = bbr(seed);
  return { controller, path: new SteadyPath(controller, BANDWIDTH) };
}

/** Runs rounds until the controller is in that state. */
function until(path: SteadyPath, controller: BbrController, state: string, rounds = 60): void {
  for (let i = 0; i < rounds && controller.state !== state; i++) path.round();
  expect(controller.state).toBe(state);
}

describe('the filters of BBR', () => {
  it('keep the best bandwidth of this cycle and the one before', () => {
    const filter = new CycleMaximum();
    filter.update(10);
    filter.advance();
    filter.update(7);
    expect(filter.value).toBe(10);
    filter.advance();
    filter.update(5);
    expect(filter.value).toBe(7);
  });

  it('do not forget the bandwidth over cycles that measured none', () => {
    const filter = new CycleMaximum();
    filter.update(10);
    for (let i = 0; i < 5; i++) filter.advance();
    expect(filter.value).toBe(10);
  });

  it('keep the most of ten rounds, or of the last one only', () => {
    const filter = new RoundMaximum();
    filter.update(1, 50);
    filter.update(5, 20);
    expect([filter.value(false), filter.value(true)]).toEqual([50, 20]);
    filter.update(10, 0);
    expect([filter.value(false), filter.value(true)]).toEqual([50, 0]);
    filter.update(11, 0);
    expect(filter.value(false)).toBe(20);
    filter.update(1_000, 3);
    expect(filter.value(false)).toBe(3);
  });

  it('take a higher RTT only once the lowest is ten seconds old', () => {
    const filter = new MinimumRtt(at(0));
    filter.update(100_000, at(0));
    filter.update(150_000, at(10 * SECOND));
    expect([filter.value, filter.isExpired]).toEqual([100_000, false]);
    filter.update(150_000, at(10 * SECOND + 1));
    expect([filter.value, filter.isExpired]).toEqual([150_000, true]);
  });

  it('count an RTT within a sixty-fourth of the lowest as proof of it', () => {
    const filter = new MinimumRtt(at(0));
    filter.update(64_000, at(0));
    filter.update(65_000, at(9 * SECOND));
    filter.update(80_000, at(18 * SECOND));
    expect([filter.value, filter.isExpired]).toEqual([64_000, false]);
    filter.update(65_001, at(19 * SECOND + 1));
    expect(filter.isExpired).toBe(true);
  });
});

describe('a full pipe', () => {
  it('is one that three rounds do not fill a quarter more', () => {
    const pipe = new FullPipe();
    for (const sample of [100, 200, 249, 249]) pipe.onRound(sample);
    expect([pipe.isNow, pipe.isReached]).toEqual([false, false]);
    pipe.onRound(249);
    expect([pipe.isNow, pipe.isReached]).toEqual([true, true]);
  });

  it('is looked for anew while the rate still grows, and in each probe', () => {
    const pipe = new FullPipe();
    for (const sample of [100, 110, 110, 125, 125, 125]) pipe.onRound(sample);
    expect(pipe.isNow).toBe(false);
    pipe.onRound(125);
    expect(pipe.isNow).toBe(true);
    pipe.reset(125);
    expect([pipe.isNow, pipe.isReached]).toEqual([false, true]);
  });
});

describe('the bounds of BBR', () => {
  it.each([
    // in flight with the burst, burst, lost with the burst, where 2 % were crossed
    [100_000, 1_200, 2_400, 99_592],
    [100_000, 10_000, 10_000, 91_837],
    [100_000, 10_000, 50_000, 90_000],
    [10_000, 20_000, 20_000, 0],
  ])(
    'find in %i bytes, of which %i were lost with %i in all, the volume %i that was too much',
    (inFlight, bytes, lost, expected) => {
      expect(Math.round(inflightAtLoss(bytes, lost, inFlight))).toBe(expected);
    },
  );

  it.each([
    [830, 16, false],
    [830, 18, false],
    [830, 19, true],
    [27, 2, false],
    [27, 3, true],
    [4, 2, false],
    [4, 3, true],
  ])('of %i datagrams in flight bear the loss of %i: excess %s', (inFlight, lost, isExcess) => {
    expect(isExcessLoss(lost * MTU, inFlight * MTU, MTU)).toBe(isExcess);
  });

  it('fall towards what was delivered, by 0.7 in a round at most, and are forgotten before a probe', () => {
    const bounds = new Bounds();
    bounds.adaptLower(1_000, 2_000, 900, 1_000);
    expect([bounds.bwLo, bounds.inflightLo]).toEqual([900, 1_400]);
    bounds.adaptLower(1_000, 2_000, 100, 100);
    expect([bounds.bwLo, bounds.inflightLo].map(Math.round)).toEqual([630, 980]);
    bounds.resetLower();
    expect([bounds.bwLo, bounds.inflightLo]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  });

  it('take the headroom off what overflowed, and no more than Beta off what is wanted', () => {
    const bounds = new Bounds();
    bounds.lowerHigh(100_000, 100_000);
    expect(bounds.inflightHi).toBe(85_000);
    bounds.lowerHigh(10_000, 100_000);
    expect(bounds.inflightHi).toBe(70_000);
    expect(bounds.withHeadroom(MTU)).toBe(59_500);
    bounds.admit(72_000);
    expect(bounds.inflightHi).toBe(72_000);
  });

  it('rise by 1, 2, 4 and 8 datagrams in the rounds of a probe', () => {
    const bounds = new Bounds();
    bounds.lowerHigh(120_000, 0);
    const start = bounds.inflightHi;
    const raised: number[] = [];
    bounds.startProbe();
    for (let round = 0; round < 4; round++) {
      bounds.raiseSlope(96_000, MTU);
      for (let i = 0; i < 80; i++) bounds.raiseHigh(MTU, MTU);
      raised.push((bounds.inflightHi - start) / MTU);
    }
    expect(raised).toEqual([1, 3, 7, 15]);
  });
});

describe('BBR', () => {
  it('starts with an initial window and no rate', () => {
    const controller = bbr();
    expect([controller.window, controller.pacingRate, controller.isStartup]).toEqual([12_000, undefined, true]);
  });

  it('paces the initial window at 2.77 of itself in a round trip, from the first RTT on (§5.6.2)', () => {
    const controller = bbr();
    controller.onAck(ack({ rate: rate({ deliveryRate: 1_000 }) }), at(RTT));
    expect(controller.pacingRate).toBeCloseTo(2.77 * 120_000);
  });

  it('doubles in each round of Startup, and leaves it three rounds after the rate stands still (§5.3.1)', () => {
    const { controller, path } = steady();
    const windows: number[] = [];
    for (let i = 0; i < 3; i++) {
      windows.push(controller.window);
      path.round();
    }
    expect(windows).toEqual([12_000, 24_000, 48_000]);
    expect(path.controller.isStartup).toBe(true);
    // 10, 20, 40, 80 and 100 datagrams, then three rounds of 100.
    path.round(2);
    expect(controller.isStartup).toBe(true);
    path.round(4);
    expect(controller.isStartup).toBe(false);
    expect(controller.bandwidth).toBeCloseTo(BANDWIDTH, 0);
  });

  it('drains, and cruises at 99 % of the bandwidth with twice the pipe as window (§5.3.2, §5.6)', () => {
    const { controller, path } = steady();
    until(path, controller, 'Cruise');
    expect(controller.pacingRate).toBeCloseTo(0.99 * BANDWIDTH, 0);
    expect(controller.window / BDP).toBeGreaterThan(2);
    expect(controller.window / BDP).toBeLessThan(2.3);
  });

  it('probes every two to three seconds: a round of Refill, then Up at 1.25 (§5.3.3)', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const { controller, path } = steady(seed);
      until(path, controller, 'Cruise');
      const start = path.now;
      until(path, controller, 'Refill');
      expect(path.now - start).toBeGreaterThanOrEqual(1.8 * SECOND);
      expect(path.now - start).toBeLessThanOrEqual(3.1 * SECOND);
      path.round();
      expect(controller.state).toBe('Up');
      expect(controller.pacingRate).toBeCloseTo(1.25 * 0.99 * BANDWIDTH, 0);
      until(path, controller, 'Cruise', 8);
    }
  });

  it('finds a bandwidth that has grown, and forgets one that has gone after two cycles', () => {
    const { controller, path } = steady();
    until(path, controller, 'Cruise');
    path.bandwidth = 3 * BANDWIDTH;
    path.round(80);
    expect(controller.bandwidth).toBeCloseTo(3 * BANDWIDTH, 0);
    path.bandwidth = BANDWIDTH / 2;
    path.round(90);
    expect(controller.bandwidth).toBeCloseTo(BANDWIDTH / 2, 0);
  });

  it('learns nothing from what the application held back', () => {
    const { controller, path } = steady();
    until(path, controller, 'Cruise');
    path.isAppLimited = true;
    path.bandwidth = BANDWIDTH / 10;
    path.round(200);
    expect(controller.bandwidth).toBeCloseTo(BANDWIDTH, 0);
  });

  it('takes little loss while cruising for what it is, and much for a smaller path (§5.5.10.3)', () => {
    for (const [datagrams, isHeeded] of [
      [3, false],
      [20, true],
    ] as const) {
      const { controller, path } = steady();
      until(path, controller, 'Cruise');
      path.round(2);
      path.bandwidth = 0.9 * BANDWIDTH;
      const largestSentAt = at(path.now - RTT);
      controller.onLoss(
        loss({ bytes: datagrams * MTU, packets: datagrams, sentInFlight: BDP, largestSentAt }),
        at(path.now),
      );
      path.round(3);
      expect(controller.bounds.bwLo < Number.POSITIVE_INFINITY).toBe(isHeeded);
    }
  });

  it('does not take what overflowed in Startup, and is reported later, for a smaller path', () => {
    const { controller, path } = steady();
    let largestSentAt = at(0);
    for (; controller.isStartup; path.round()) largestSentAt = at(path.now);
    until(path, controller, 'Cruise');
    path.bandwidth = 0.5 * BANDWIDTH;
    for (let i = 0; i < 20; i++) {
      controller.onLoss(loss({ bytes: 50 * MTU, packets: 50, sentInFlight: 3 * BDP, largestSentAt }), at(path.now));
    }
    path.round(3);
    expect([controller.bounds.bwLo, controller.bounds.inflightLo]).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ]);
  });

  it('ends a probe that loses more than 2 % of its flight, and remembers how much that was (§5.5.10.2)', () => {
    const { controller, path } = steady();
    until(path, controller, 'Up');
    path.round();
    controller.onLoss(
      loss({
        bytes: 6 * MTU,
        packets: 6,
        sentInFlight: 150_000,
        lostSinceSent: 6 * MTU,
        largestSentAt: at(path.now - RTT),
      }),
      at(path.now),
    );
    expect(controller.state).toBe('Down');
    expect(controller.bounds.inflightHi).toBeCloseTo(0.85 * inflightAtLoss(6 * MTU, 6 * MTU, 150_000), 5);
  });

  it('goes back to probing where that loss was spurious (§5.5.11)', () => {
    const { controller, path } = steady();
    until(path, controller, 'Up');
    path.round();
    const now = at(path.now);
    const largestSentAt = at(path.now - RTT);
    controller.onLoss(
      loss({ bytes: 6 * MTU, packets: 6, sentInFlight: 150_000, lostSinceSent: 6 * MTU, largestSentAt }),
      now,
    );
    controller.onSpuriousLoss(5, now, now);
    expect(controller.state).toBe('Down');
    controller.onSpuriousLoss(1, now, now);
    expect([controller.state, controller.bounds.inflightHi]).toEqual(['Refill', Number.POSITIVE_INFINITY]);
  });

  it('leaves Startup for heavy loss, in six events of one round (§5.3.1.3)', () => {
    for (const [events, isLeft] of [
      [5, false],
      [6, true],
    ] as const) {
      const { controller, path } = steady();
      path.bandwidth = 100 * BANDWIDTH;
      path.round(3);
      for (let i = 0; i < events; i++) controller.onLoss(loss({ bytes: 5 * MTU, packets: 5 }), at(path.now));
      path.round(2);
      expect(controller.isStartup).toBe(!isLeft);
    }
  });

  it('measures the RTT with half a pipe for 200 ms, where it has not been seen as low for ten seconds (§5.3.4)', () => {
    const { controller, path } = steady();
    until(path, controller, 'Cruise');
    path.rtt = 1.2 * RTT;
    until(path, controller, 'ProbeRtt', 120);
    expect(path.now).toBeGreaterThan(10 * SECOND);
    expect(controller.window).toBe(BDP / 2);
    const start = path.now;
    path.round(6);
    expect(controller.state).not.toBe('ProbeRtt');
    expect(path.now - start).toBeLessThan(SECOND);
    expect(controller.window).toBeGreaterThan(BDP);
  });

  it('never pauses for that where the RTT stays as low', () => {
    const { controller, path } = steady();
    for (let i = 0; i < 400; i++) {
      path.round();
      expect(controller.state).not.toBe('ProbeRtt');
    }
  });

  it('keeps four datagrams in a round trip going, however bad the path', () => {
    const { controller, path } = steady();
    until(path, controller, 'Cruise');
    path.bandwidth = 100;
    for (let i = 0; i < 300; i++) {
      controller.onLoss(loss({ bytes: 60 * MTU, packets: 60 }), at(path.now));
      path.round();
      expect(controller.window).toBeGreaterThanOrEqual(4 * MTU);
      expect(controller.pacingRate).toBeGreaterThanOrEqual((4 * MTU * SECOND) / RTT);
    }
  });

  it('comes back from persistent congestion as fast as data is acknowledged', () => {
    const { controller, path } = steady();
    until(path, controller, 'Cruise');
    controller.onLoss(loss({ bytes: BDP, packets: 100, isPersistent: true }), at(path.now));
    expect(controller.window).toBe(4 * MTU);
    path.round();
    expect(controller.window).toBe(8 * MTU);
    path.round(5);
    expect(controller.window).toBeGreaterThanOrEqual(BDP);
  });
});
