import { describe, expect, it } from 'vitest';
import { initialWindow, minimumWindow } from '../../../../transport/congestion/controller.ts';
import { LossBasedController } from '../../../../transport/congestion/loss-based.ts';
import { NewRenoLaw } from '../../../../transport/congestion/new-reno.ts';
import { ack, at, Filled, loss, MTU, RTT } from './samples.ts';

/** A queue makes up half of the RTT, as behind an overflowing one. */
const CONGESTED = { smoothedRtt: 2 * RTT, rtt: 2 * RTT } as const;

function aimd(): LossBasedController {
  return new Filled('AIMD', new NewRenoLaw(), MTU);
}

/** In congestion avoidance at half the initial window, packet 10 next. */
function avoiding(): LossBasedController {
  const controller = aimd();
  controller.onAck(ack({ ...CONGESTED, bytes: 0, packets: 0 }), at(RTT));
  controller.onLoss(loss({ largestNumber: 1, nextNumber: 10 }), at(RTT));
  return controller;
}

describe('the window at the start (RFC 9002 §7.2)', () => {
  it.each([
    [1_200, 12_000, 2_400],
    [1_452, 14_520, 2_904],
    [1_472, 14_720, 2_944],
    [4_000, 14_720, 8_000],
    [8_900, 17_800, 17_800],
    [65_000, 130_000, 130_000],
  ])('for datagrams of %i bytes is %i, and never below %i', (mtu, initial, minimum) => {
    expect([initialWindow(mtu), minimumWindow(mtu)]).toEqual([initial, minimum]);
    const controller = new LossBasedController('AIMD', new NewRenoLaw(), mtu);
    expect(controller.window).toBe(initial);
    for (let n = 0; n < 20; n++) controller.onLoss(loss({ largestNumber: n, nextNumber: n + 1 }), at(n));
    expect(controller.window).toBe(minimum);
  });
});

describe('AIMD', () => {
  it('grows by what is acknowledged in slow start, so that it doubles in a round trip (§7.3.1)', () => {
    const controller = aimd();
    for (let n = 0; n < 10; n++) controller.onAck(ack({ largestNumber: n }), at(RTT));
    expect(controller.window).toBe(24_000);
    expect(controller.isStartup).toBe(true);
    expect(controller.pacingRate).toBeUndefined();
  });

  it('halves the window for a loss and leaves slow start (§7.3.2)', () => {
    const controller = avoiding();
    expect([controller.window, controller.ssthresh, controller.isStartup]).toEqual([6_000, 6_000, false]);
  });

  it('takes a fifth only where no queue stands behind the loss (TCP Veno)', () => {
    const controller = aimd();
    controller.onAck(ack({ bytes: 0 }), at(RTT));
    controller.onLoss(loss(), at(RTT));
    expect(controller.window).toBe(9_600);
  });

  it.each([
    // window in datagrams, smoothed RTT over the lowest, what is left
    [10, 1.2, 0.8],
    [10, 1.3, 0.8],
    [10, 1.34, 0.5],
    [12, 1.3, 0.8],
    [14, 1.3, 0.5],
    [100, 1.02, 0.8],
    [100, 1.04, 0.5],
    [2_000, 1.002, 0.5],
  ])('with %i datagrams and an RTT of %d times the lowest keeps %d', (datagrams, ratio, kept) => {
    const law = new NewRenoLaw();
    expect(law.reduce(datagrams * MTU, MTU, 1 - 1 / ratio)).toBe(datagrams * MTU * kept);
  });

  it('counts the losses of one round trip once (§7.3.2)', () => {
    const controller = avoiding();
    controller.onLoss(loss({ largestNumber: 9, nextNumber: 20 }), at(RTT));
    expect(controller.window).toBe(6_000);
    controller.onLoss(loss({ largestNumber: 10, nextNumber: 20 }), at(2 * RTT));
    expect(controller.window).toBe(3_000);
  });

  it('does not grow for packets sent before the reduction (§7.3.2)', () => {
    const controller = avoiding();
    for (let n = 2; n < 10; n++) controller.onAck(ack({ largestNumber: n }), at(2 * RTT));
    expect(controller.window).toBe(6_000);
  });

  it('grows by one datagram for a window acknowledged, counted in bytes (§7.3.3)', () => {
    const controller = avoiding();
    for (let n = 10; n < 14; n++) controller.onAck(ack({ largestNumber: n, nextNumber: 20 }), at(2 * RTT));
    expect(controller.window).toBe(6_000);
    controller.onAck(ack({ largestNumber: 14, nextNumber: 20 }), at(2 * RTT));
    expect(controller.window).toBe(7_200);
    // One ACK for two windows and a half counts as two, and the rest is kept.
    controller.onAck(ack({ bytes: 18_000, packets: 15, largestNumber: 29, nextNumber: 40 }), at(3 * RTT));
    expect(controller.window).toBe(9_600);
  });

  it('goes back to the minimum on persistent congestion, and to slow start up to half of what it was (§7.6.2)', () => {
    const controller = aimd();
    controller.onAck(ack({ ...CONGESTED, bytes: 12_000 }), at(RTT));
    controller.onLoss(loss({ largestNumber: 9, isPersistent: true }), at(9 * RTT));
    expect([controller.window, controller.ssthresh]).toEqual([2_400, 12_000]);
    expect(controller.isStartup).toBe(true);
    controller.onAck(ack({ bytes: 2_400, largestNumber: 11, nextNumber: 13 }), at(10 * RTT));
    expect(controller.window).toBe(4_800);
  });

  it('keeps what slow start leaves over at the threshold for avoidance', () => {
    const controller = aimd();
    controller.onAck(ack({ ...CONGESTED, bytes: 12_000 }), at(RTT));
    controller.onLoss(loss({ largestNumber: 9, isPersistent: true }), at(9 * RTT));
    controller.onAck(ack({ bytes: 9_600 + 12_000, largestNumber: 11, nextNumber: 13 }), at(10 * RTT));
    expect(controller.window).toBe(13_200);
    expect(controller.isStartup).toBe(false);
  });

  it.each([
    ['for want of data', true],
    ['for want of time: a sender that its processor holds up is limited by nothing it could be asked about', false],
  ])('does not grow while the window is left unused (§7.8), %s', (_, isAppLimited) => {
    const controller = new LossBasedController('AIMD', new NewRenoLaw(), MTU);
    if (isAppLimited) controller.onAppLimited(MTU, at(0));
    for (let n = 0; n < 100; n++) {
      controller.onSent(MTU, MTU, at(0));
      controller.onAck(ack({ largestNumber: n, nextNumber: n + 1, isAppLimited }), at(RTT));
    }
    expect(controller.window).toBe(12_000);
  });

  it.each([true, false])(
    'grows for the round trip after the window was full, and no more (marked: %s)',
    (isAppLimited) => {
      const controller = new LossBasedController('AIMD', new NewRenoLaw(), MTU);
      controller.onSent(12_000, 12_000, at(0));
      controller.onAck(ack({ bytes: 12_000, largestNumber: 9, nextNumber: 10, isAppLimited }), at(RTT));
      expect(controller.window).toBe(24_000);
      controller.onAck(ack({ bytes: 12_000, largestNumber: 19, nextNumber: 20, isAppLimited }), at(2 * RTT));
      expect(controller.window).toBe(24_000);
    },
  );

  it('undoes a reduction whose losses all arrived after all', () => {
    const controller = aimd();
    controller.onAck(ack(CONGESTED), at(RTT));
    controller.onLoss(loss({ packets: 2, largestNumber: 5, nextNumber: 12 }), at(RTT));
    controller.onLoss(loss({ packets: 1, largestNumber: 7, nextNumber: 12 }), at(RTT + 1));
    expect(controller.window).toBe(6_600);
    controller.onSpuriousLoss(2, at(RTT), at(RTT + 2));
    expect(controller.window).toBe(6_600);
    controller.onSpuriousLoss(1, at(RTT + 1), at(RTT + 3));
    expect([controller.window, controller.ssthresh]).toEqual([13_200, Number.POSITIVE_INFINITY]);
  });

  it('lets a reduction stand that has one real loss behind it, and takes no old arrival for a new one', () => {
    const controller = aimd();
    controller.onAck(ack(CONGESTED), at(RTT));
    controller.onLoss(loss({ packets: 1, largestNumber: 5, nextNumber: 12 }), at(RTT));
    controller.onLoss(loss({ packets: 1, largestNumber: 15, nextNumber: 20 }), at(3 * RTT));
    const window = controller.window;
    controller.onSpuriousLoss(1, at(RTT), at(4 * RTT));
    expect(controller.window).toBe(window);
  });

  it('holds the minimum of a larger datagram size', () => {
    const controller = aimd();
    for (let n = 0; n < 9; n++) controller.onLoss(loss({ largestNumber: n, nextNumber: n + 1 }), at(n));
    controller.onMtuChange(8_900);
    expect(controller.window).toBe(17_800);
  });
});
