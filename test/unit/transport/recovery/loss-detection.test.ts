import { describe, expect, it } from 'vitest';
import { instant, MILLISECOND } from '../../../../base/time.ts';
import { SeededRng } from '../../../../sim/rng.ts';
import { AckPolicy } from '../../../../transport/recovery/ack-policy.ts';
import { LostRun } from '../../../../transport/recovery/lost-run.ts';
import { PACKET_THRESHOLD_MAX, Reordering } from '../../../../transport/recovery/reordering.ts';
import { AckDraft } from '../../../../transport/scratch.ts';
import { at, Lab } from './lab.ts';

describe('a packet is lost (RFC 9002 §6.1)', () => {
  it.each<[string, string, number[]]>([
    ['not when it is two behind', '2', []],
    ['when it is three behind', '3', [0]],
    ['with all that are three behind or more', '8', [0, 1, 2, 3, 4, 5]],
    ['wherever the gap is', '0-3 8', [4, 5]],
    ['also between ranges', '0 2 8', [1, 3, 4, 5]],
  ])('by packets: %s', (_, frame, expected) => {
    const lab = new Lab();
    lab.burst(0, 9);
    lab.ack(100, frame);
    expect(lab.missing).toEqual(expected);
  });

  it('by time: 9/8 of a round trip after it was sent, once a later one has been acknowledged', () => {
    const lab = new Lab();
    lab.send([0, 2, 4]);
    lab.ack(104, '2');
    expect(lab.missing).toEqual([]);
    // RTT 100: the first is due at 112.5, the second at 114.5.
    expect(lab.timeoutMs).toBe(112.5);
    expect(lab.recovery.handleTimeout(at(112.4))).toBe('nothing');
    expect(lab.fire()).toEqual({ ms: 112.5, outcome: 'lost' });
    expect([lab.missing, lab.timeoutMs]).toEqual([[0], 114.5]);
    expect(lab.fire().outcome).toBe('lost');
    expect(lab.missing).toEqual([0, 1]);
    expect(lab.timeoutMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('by time, measured with the larger of the latest and the smoothed RTT', () => {
    const lab = new Lab({ roundTripMs: 40 });
    lab.send([0, 1, 2]);
    lab.ack(82, '2');
    // Latest 80, smoothed 45: 0 is due 90 ms after it was sent.
    expect(lab.path.rtt.smoothed).toBe(45 * MILLISECOND);
    expect(lab.timeoutMs).toBe(90);
  });

  it('by time: never sooner than a millisecond', () => {
    const lab = new Lab({ roundTripMs: 0.05 });
    lab.send([0, 0.01]);
    lab.ack(0.06, '1');
    expect(lab.timeoutMs).toBe(1);
  });

  it('never because of later ones alone: something later must have arrived', () => {
    const lab = new Lab();
    lab.burst(0, 50);
    lab.ack(100, '0');
    expect([lab.missing, lab.path.lossTime]).toEqual([[], Number.POSITIVE_INFINITY]);
  });

  it('once only, and its bytes leave flight', () => {
    const lab = new Lab();
    lab.burst(0, 9);
    lab.ack(100, '8');
    lab.ack(101, '7-8');
    lab.fire();
    expect(lab.missing).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect([lab.path.bytesInFlight, lab.path.packetsInFlight]).toEqual([0, 0]);
    expect(lab.controller.losses.map((loss) => loss.packets)).toEqual([6, 1]);
  });

  it('without a word to the controller when it asked for no ACK', () => {
    const lab = new Lab();
    lab.send(0, { asksForAck: false });
    lab.burst(0, 3);
    lab.ack(100, '1-3');
    expect([lab.missing, lab.controller.losses, lab.recovery.remembered]).toEqual([[0], [], 0]);
  });
});

describe('a packet acknowledged after it was declared lost', () => {
  it('has its contents reported as arrived too, once', () => {
    const lab = new Lab();
    lab.burst(0, 5);
    lab.ack(100, '4');
    expect(lab.take()).toEqual({ arrived: [4], missing: [0, 1] });
    lab.ack(101, '0-4');
    lab.ack(102, '0-4');
    expect(lab.take()).toEqual({ arrived: [0, 1, 2, 3], missing: [] });
  });

  it('is told to the controller with when it was declared lost', () => {
    const lab = new Lab();
    lab.burst(0, 5);
    lab.ack(100, '3');
    lab.ack(101, '3-4');
    expect(lab.controller.losses.map((loss) => loss.packets)).toEqual([1, 1]);
    lab.ack(105, '0-4');
    expect(lab.controller.spurious).toEqual([
      { packets: 1, declaredAt: at(100) },
      { packets: 1, declaredAt: at(101) },
    ]);
    // Its bytes had left flight; they do not leave again, nor grow the window.
    expect(lab.path.bytesInFlight).toBe(0);
    expect(lab.controller.acks.map((sample) => sample.packets)).toEqual([1, 1, 1]);
  });

  it('raises the packet threshold to what would have been enough', () => {
    const lab = new Lab();
    lab.burst(0, 12);
    lab.ack(100, '10');
    expect(lab.missing).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    lab.ack(100.1, '2-10');
    // 2 was eight behind 10.
    expect(lab.path.reordering.packets).toBe(9);
    lab.burst(200, 10);
    lab.ack(300, '20');
    expect(lab.take().missing.filter((number) => number >= 12)).toEqual([]);
    lab.ack(300.1, '21');
    expect(lab.take().missing).toEqual([12]);
  });

  it('raises the time threshold to what would have been enough, up to four round trips', () => {
    const lab = new Lab();
    lab.send([0, 10]);
    lab.ack(110, '1');
    lab.fire();
    lab.ack(130, '0-1');
    // 130 ms at an RTT of 100: more than 10/8, less than 11/8.
    expect(lab.path.reordering.eighths).toBe(11);
    lab.send([200, 210]);
    lab.ack(310, '3');
    expect(lab.timeoutMs).toBe(200 + 137.5);
    lab.fire();
    lab.ack(900, '0-3');
    expect(lab.path.reordering.eighths).toBe(32);
  });

  it('is forgotten three probe timeouts after it was declared lost', () => {
    const lab = new Lab({ roundTripMs: 100 });
    // Probe timeout: 100 + 1 + 25 ms.
    lab.burst(0, 5);
    lab.ack(100, '4');
    lab.fire();
    lab.send(380);
    lab.ack(477, '5');
    expect(lab.recovery.remembered).toBe(6);
    lab.send(400);
    lab.ack(500, '5-6');
    // 2 and 3 were declared by time, at 112.5.
    expect(lab.recovery.remembered).toBe(0);
    lab.take();
    lab.ack(501, '0-6');
    expect(lab.take()).toEqual({ arrived: [], missing: [] });
    expect(lab.controller.spurious).toEqual([]);
  });

  it('may be the one that gives the RTT sample', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.burst(0, 4);
    lab.ack(100, '3');
    lab.fire();
    lab.send(150);
    lab.recovery.abandon(lab.path, at(300));
    lab.ack(950, '4');
    expect(lab.path.rtt.latest).toBe(800 * MILLISECOND);
  });
});

describe('when a black hole is found (RFC 8899 §4.3)', () => {
  /**
   * At 1,472 bytes: a flight of six lost (2 to 7, repeated small as 8 and 9), then a second one out of which something small (15)
   * has been acknowledged. Beside large packets it holds a small one (14), and large ones follow it (16 to 18).
   */
  const found = () => {
    const lab = new Lab({ roundTripMs: 100, maximumMtu: 1_472 });
    lab.recovery.onMtuProbeSent(lab.path, 0, 1_472, at(0));
    lab.send(0);
    lab.ack(100, '0-1');
    lab.burst(100, 6, { bytes: 1_472 });
    lab.fire();
    lab.burst(226, 2);
    lab.ack(326, '8-9');
    expect(lab.take().missing).toEqual([2, 3, 4, 5, 6, 7]);
    expect(lab.controller.losses.map((loss) => loss.packets)).toEqual([6]);
    lab.burst(330, 3, { bytes: 1_472 });
    lab.send(405, { bytes: 1_472 });
    lab.send(410);
    lab.send(410, { bytes: 60 });
    lab.burst(412, 3, { bytes: 1_472 });
    expect(lab.path.mtuSearch.mtu).toBe(1_472);
    lab.ack(510, '15');
    return lab;
  };

  it('all that is out and larger is lost with it, whatever the thresholds say', () => {
    const lab = found();
    expect(lab.controller.mtus).toEqual([1_472, 1_200]);
    // 13 was two behind and would have waited until 517.5 ms; 16 to 18 had nothing acknowledged after them.
    expect(lab.take().missing).toEqual([10, 11, 12, 13, 16, 17, 18]);
    // The small one before waits for its time as always, and for nothing else.
    expect([lab.path.packetsInFlight, lab.path.bytesInFlight, lab.timeoutMs]).toEqual([1, 1_200, 522.5]);
    expect(lab.fire()).toEqual({ ms: 522.5, outcome: 'lost' });
    expect(lab.take().missing).toEqual([14]);
  });

  it('the congestion controller hears nothing of it, nor of a late arrival', () => {
    const lab = found();
    expect(lab.controller.losses).toHaveLength(1);
    lab.ack(515, '10-18');
    expect(lab.take().arrived.sort((a, b) => a - b)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18]);
    expect([lab.controller.spurious, lab.path.reordering.packets, lab.path.bytesInFlight]).toEqual([[], 3, 0]);
  });

  it('what is out on another path stays', () => {
    const lab = new Lab({ roundTripMs: 100, maximumMtu: 1_472 });
    const other = lab.addPath(0, 100, 1_472);
    lab.recovery.onMtuProbeSent(lab.path, 0, 1_472, at(0));
    lab.ack(100, '0');
    let flights = 0;
    for (; flights < 20 && lab.path.mtu === 1_472; flights++) {
      const ms = 200 + 200 * flights;
      lab.burst(ms, 4, { bytes: 1_472 });
      lab.send(ms, { bytes: 60 });
      lab.send(ms, { path: other, bytes: 1_472 });
      lab.ack(ms + 100, `${lab.recovery.nextPacketNumber - 2}`);
    }
    expect([lab.path.mtu, lab.path.packetsInFlight, other.packetsInFlight]).toEqual([1_200, 0, flights]);
  });
});

describe('the reordering thresholds', () => {
  it('begin at 3 packets and 9/8 of a round trip', () => {
    const reordering = new Reordering();
    expect([reordering.packets, reordering.eighths, reordering.delay(80_000)]).toEqual([3, 9, 90_000]);
  });

  it('rise, are bounded, and never sink by a smaller sight', () => {
    const reordering = new Reordering();
    reordering.onSpuriousLoss(20, 130, 100);
    reordering.onSpuriousLoss(5, 90, 100);
    expect([reordering.packets, reordering.eighths]).toEqual([21, 11]);
    reordering.onSpuriousLoss(1_000_000, 1_000_000, 1);
    expect([reordering.packets, reordering.eighths]).toEqual([PACKET_THRESHOLD_MAX, 32]);
  });

  it('sink by half of the excess for 16 rounds of real losses, back to where they began', () => {
    const reordering = new Reordering();
    reordering.onSpuriousLoss(22, 190, 100);
    const seen: [number, number][] = [];
    for (let round = 0; round < 6 * 16; round++) {
      reordering.onRoundWithLoss();
      if (round % 16 === 15) seen.push([reordering.packets, reordering.eighths]);
    }
    expect(seen).toEqual([
      [13, 12],
      [8, 10],
      [5, 9],
      [4, 9],
      [3, 9],
      [3, 9],
    ]);
  });

  it('count rounds anew after each spurious loss', () => {
    const reordering = new Reordering();
    reordering.onSpuriousLoss(22, 100, 100);
    for (let round = 0; round < 40; round++) {
      if (round % 15 === 14) reordering.onSpuriousLoss(1, 1, 100);
      reordering.onRoundWithLoss();
    }
    expect(reordering.packets).toBe(23);
  });

  it.each([
    ['up to three round trips, sixty packets deep', 10, 60, 1],
    ['up to three round trips, a thousand packets deep', 10, 60, 20],
    ['up to one round trip', 50, 100, 2],
    ['a tenth of a round trip', 50, 10, 20],
  ])('learn a path that jitters %s: at most 2 %% of 10,000 packets are declared lost', (_, oneWay, jitter, perMs) => {
    const rng = new SeededRng(11);
    const lab = new Lab();
    const acks = new AckPolicy(new AckDraft());
    const arrivals = Array.from({ length: 10_000 }, (_, number) => ({
      number,
      ms: number / perMs + oneWay + jitter * rng.float(),
    })).sort((a, b) => a.ms - b.ms);
    let sent = 0;
    const runTo = (ms: number) => {
      while (lab.recovery.nextTimeout() <= at(ms)) lab.fire();
    };
    for (const { ms, number } of arrivals) {
      for (; sent < 10_000 && sent / perMs <= ms + oneWay; sent++) {
        runTo(sent / perMs);
        lab.send(sent / perMs);
      }
      runTo(ms + oneWay);
      acks.received(number, true, true, at(ms));
      lab.recovery.onAckFrame(acks.frame(at(ms)).ranges, 0, at(ms + oneWay));
      acks.sent(false, at(ms));
    }
    const declared = lab.controller.losses.reduce((sum, loss) => sum + loss.packets, 0);
    expect(lab.arrived).toHaveLength(10_000);
    expect(declared / 10_000).toBeLessThanOrEqual(0.02);
    // Every one of them was told to have been spurious.
    const taken = lab.controller.spurious.reduce((sum, { packets }) => sum + packets, 0);
    expect(taken).toBe(declared);
  });
});

describe('persistent congestion (RFC 9002 §7.6)', () => {
  it('is established as in the example of §7.6.3', () => {
    // A probe timeout of less than 2 s, so three of them are less than the 7 s from #2 to #8.
    const lab = new Lab({ firstPacketNumber: 1, roundTripMs: 200 });
    lab.send([0, 1_000]);
    lab.ack(1_200, '1');
    lab.send([2_000, 3_000, 4_000, 5_000, 6_000, 8_000, 12_000]);
    expect(lab.controller.losses).toEqual([]);
    lab.ack(12_200, '9');
    expect(lab.controller.losses).toHaveLength(1);
    expect(lab.controller.losses[0]).toMatchObject({ packets: 7, largestNumber: 8, isPersistent: true });
  });

  it('begins the minimum round trip again, so that a longer way is not taken for one queue after another (§5.2)', () => {
    const lab = new Lab({ roundTripMs: 200 });
    lab.send([0, 1_000]);
    lab.ack(1_200, '0');
    lab.send([2_000, 5_000, 8_000, 12_000]);
    expect(lab.path.rtt.minimum).toBe(200 * MILLISECOND);
    lab.ack(12_700, '5');
    expect(lab.controller.losses.at(-1)).toMatchObject({ isPersistent: true });
    expect(lab.path.rtt.minimum).toBe(700 * MILLISECOND);
  });

  it('leaves the minimum round trip where a loss is only a loss', () => {
    const lab = new Lab({ roundTripMs: 200 });
    lab.burst(0, 4);
    lab.ack(700, '3');
    expect(lab.controller.losses.at(-1)).toMatchObject({ packets: 1, isPersistent: false });
    expect(lab.path.rtt.minimum).toBe(200 * MILLISECOND);
  });

  const lostStretch = (from: number, to: number) => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.send([1, from, to]);
    lab.ack(from + 50, '0');
    lab.burst(to + 1, 4);
    lab.ack(to + 101, '0 3-6');
    return lab.controller.losses.some((loss) => loss.isPersistent);
  };

  it('takes more than three probe timeouts: here 378 ms, and a little variation', () => {
    expect(lostStretch(60, 400)).toBe(false);
    expect(lostStretch(60, 900)).toBe(true);
  });

  it('is not established where one packet in between arrived', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.send([1, 100, 400, 700, 1_000, 1_001, 1_002, 1_003]);
    // 2, sent at 400, is the only one that arrived before those at the end.
    lab.ack(1_103, '2 5-7');
    expect(lab.missing).toEqual([0, 1, 3, 4]);
    expect(lab.controller.losses.map((loss) => loss.isPersistent)).toEqual([false]);
  });

  it('is established over losses declared one after another', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.send([1, 300, 600, 601, 602]);
    lab.ack(702, '3');
    expect(lab.controller.losses.at(-1)).toMatchObject({ packets: 2, isPersistent: false });
    lab.ack(703, '3-4');
    lab.fire();
    expect(lab.controller.losses.at(-1)).toMatchObject({ packets: 1, isPersistent: true });
  });

  it('is not established by packets sent before the first RTT sample', () => {
    const lab = new Lab();
    lab.send([0, 2_000, 4_000, 6_000, 6_001, 6_002, 6_003]);
    lab.ack(6_103, '6');
    expect(lab.controller.losses.map((loss) => [loss.packets, loss.isPersistent])).toEqual([[4, false]]);
  });

  it('is not measured from or to packets that asked for no ACK, nor broken by them', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.send([1, 900], { asksForAck: false });
    lab.burst(901, 4);
    lab.ack(1_001, '3-5');
    expect(lab.controller.losses.some((loss) => loss.isPersistent)).toBe(false);
    const other = new Lab({ roundTripMs: 100 });
    other.send(1);
    other.send(500, { asksForAck: false });
    other.send(900);
    other.burst(901, 4);
    other.ack(1_001, '4-6');
    expect(other.controller.losses.map((loss) => loss.isPersistent)).toEqual([true]);
  });

  it('is not established by a stretch in which a packet thought lost has arrived since', () => {
    const run = new LostRun();
    run.onLost(0, instant(0), true);
    run.onLost(1, instant(500), true);
    run.onLateAck(1);
    run.onLost(2, instant(900), true);
    expect(run.takeLongest()).toBe(500);
    run.onLost(3, instant(1_000), true);
    expect(run.takeLongest()).toBe(100);
  });
});
