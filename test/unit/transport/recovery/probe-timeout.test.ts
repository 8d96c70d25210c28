import { describe, expect, it } from 'vitest';
import { CONTENT_ACK } from '../../../../transport/packet-contents.ts';
import { at, Lab } from './lab.ts';

describe('the probe timeout (RFC 9002 §6.2)', () => {
  it('before any sample would be 333 + 4 · 166.5 + 25 ms, and comes after one second', () => {
    const lab = new Lab();
    lab.send(7);
    expect(lab.path.rtt.probeTimeout).toBe(333_000 + 4 * 166_500 + 25_000);
    expect(lab.timeoutMs).toBe(1_007);
  });

  it('is smoothed RTT + 4 · variation + 25 ms, from the first packet that waits', () => {
    const lab = new Lab();
    lab.send(0);
    lab.ack(100, '0');
    expect(lab.timeoutMs).toBe(Number.POSITIVE_INFINITY);
    lab.send([200, 250, 300]);
    // 100 + 4 · 50 + 25; what is sent meanwhile does not put it off.
    expect(lab.timeoutMs).toBe(525);
  });

  it('starts again with each acknowledgement', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.send([0, 30, 60]);
    expect(lab.timeoutMs).toBe(126);
    lab.ack(100, '0');
    expect(lab.timeoutMs).toBe(226);
    lab.ack(130, '0-1');
    expect(lab.timeoutMs).toBe(256);
    lab.ack(131, '0-1');
    expect(lab.timeoutMs).toBe(256);
  });

  it('doubles each time, to one second at the most, and the first answer sets it back', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.send(0);
    const seen: number[] = [];
    for (let i = 0; i < 7; i++) {
      const { ms, outcome } = lab.fire();
      expect(outcome).toBe('probe');
      seen.push(ms);
      lab.send(ms);
    }
    // 126, 252, 504, then every second.
    expect(seen).toEqual([126, 378, 882, 1_882, 2_882, 3_882, 4_882]);
    expect(lab.path.ptoCount).toBe(7);
    lab.ack(4_990, '7');
    expect(lab.path.ptoCount).toBe(0);
    expect(lab.missing).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('declares nothing lost, and lets two packets out beyond the window', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.controller.window = 1_200;
    lab.send(0);
    lab.fire();
    expect([lab.path.packetsInFlight, lab.controller.losses, lab.recovery.room(lab.path)]).toEqual([1, [], 0]);
    expect(lab.path.probesDue).toBe(2);
    lab.send(126, { asksForAck: false });
    expect(lab.path.probesDue).toBe(2);
    lab.recovery.onMtuProbeSent(lab.path, lab.recovery.nextPacketNumber, 1_200, at(126));
    expect(lab.path.probesDue).toBe(2);
    lab.send([126, 126]);
    expect(lab.path.probesDue).toBe(0);
  });

  it('makes packets no larger than the base until something is answered', () => {
    const lab = new Lab({ roundTripMs: 100, maximumMtu: 1_472 });
    lab.recovery.onMtuProbeSent(lab.path, 0, 1_472, at(0));
    lab.ack(100, '0');
    expect(lab.path.sendMtu).toBe(1_472);
    lab.burst(100, 5, { bytes: 1_472 });
    lab.fire();
    expect(lab.path.sendMtu).toBe(1_200);
    lab.burst(226, 2);
    lab.fire();
    expect(lab.path.sendMtu).toBe(1_200);
    lab.ack(500, '7');
    expect(lab.path.sendMtu).toBe(1_472);
  });

  it('forgets probes that were not sent once the answer comes', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.send(0);
    lab.fire();
    lab.ack(130, '0');
    expect(lab.path.probesDue).toBe(0);
  });

  it('has the contents of the two oldest packets said again, each once', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.burst(0, 5);
    lab.fire();
    expect(lab.take().missing).toEqual([0, 1]);
    lab.fire();
    expect(lab.take().missing).toEqual([2, 3]);
    lab.fire();
    expect(lab.take().missing).toEqual([4]);
    lab.fire();
    expect(lab.take().missing).toEqual([]);
    // They were in flight all the time.
    expect(lab.path.packetsInFlight).toBe(5);
    lab.ack(2_000, '0-4');
    expect(lab.take()).toEqual({ arrived: [0, 1, 2, 3, 4], missing: [] });
    expect([lab.controller.losses, lab.controller.spurious]).toEqual([[], []]);
  });

  it('passes over packets that hold nothing but an ACK beside what asks for one', () => {
    const lab = new Lab({ roundTripMs: 100 });
    for (let number = 0; number < 3; number++) {
      lab.recovery.contents.add(CONTENT_ACK, 0, 700 + number, 0);
      lab.recovery.onSent(lab.path, number, 60, true, at(0));
    }
    lab.burst(0, 3);
    lab.fire();
    expect(lab.take().missing.filter((offset) => offset < 700)).toEqual([3, 4]);
  });

  it('repairs a lost tail one round trip sooner than the acknowledgement of the probes would', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.burst(0, 10);
    lab.ack(100, '0-7');
    expect(lab.fire()).toEqual({ ms: 226, outcome: 'probe' });
    expect(lab.take().missing).toEqual([8, 9]);
    lab.send([226, 226]);
    lab.ack(326, '10-11');
    // Both are declared lost by then, by packets and by time; they have been said again already.
    expect(lab.take()).toMatchObject({ missing: [] });
    expect(lab.controller.losses.map((loss) => loss.packets)).toEqual([2]);
    expect([lab.path.packetsInFlight, lab.timeoutMs]).toEqual([0, Number.POSITIVE_INFINITY]);
  });

  it('comes after losses by time, which are due sooner', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.send([0, 1]);
    lab.ack(101, '1');
    expect(lab.timeoutMs).toBe(112.5);
    expect(lab.fire().outcome).toBe('lost');
  });

  it('does not wait for losses by time that are due later because packets overtook one another, nor they for it', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.path.reordering.onSpuriousLoss(10, 400, 100);
    lab.send([0, 1]);
    lab.ack(101, '1');
    // Four round trips after it was sent; the probe timeout counts from the acknowledgement.
    expect(lab.path.lossTime).toBe(at(400));
    expect(lab.fire()).toEqual({ ms: 227, outcome: 'probe' });
    expect([lab.take().missing, lab.path.packetsInFlight]).toEqual([[0], 1]);
    lab.burst(227, lab.path.probesDue);
    expect(lab.fire()).toEqual({ ms: 400, outcome: 'lost' });
    expect([lab.path.packetsInFlight, lab.controller.losses.map((loss) => loss.packets)]).toEqual([2, [1]]);
    expect(lab.fire()).toEqual({ ms: 227 + 252, outcome: 'probe' });
  });

  it('and losses by time both happen when the clock is looked at late', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.send([0, 1, 2]);
    lab.ack(101, '1');
    expect(lab.recovery.handleTimeout(at(5_000))).toBe('probe');
    // Number 0 by time, number 2 for the probe.
    expect(lab.take().missing).toEqual([0, 2]);
    expect(lab.controller.losses.map((loss) => loss.packets)).toEqual([1]);
    expect([lab.path.probesDue, lab.path.ptoCount]).toEqual([2, 1]);
  });

  it('is not due for packets that ask for no ACK', () => {
    const lab = new Lab();
    lab.burst(0, 3, { asksForAck: false });
    expect(lab.timeoutMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('handled early does nothing', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.send(0);
    expect(lab.recovery.handleTimeout(lab.recovery.nextTimeout())).toBe('probe');
    const early = new Lab();
    early.send(0);
    expect(early.recovery.handleTimeout(early.path.ptoStart)).toBe('nothing');
    expect(early.path.ptoCount).toBe(0);
  });

  it('finds data under way again within a second after an outage of any length', () => {
    for (const outage of [1_000, 5_000, 30_000, 120_000]) {
      const lab = new Lab({ roundTripMs: 50 });
      lab.burst(0, 10);
      let healed: number | undefined;
      while (healed === undefined) {
        const { ms } = lab.fire();
        lab.burst(ms, lab.path.probesDue);
        if (ms >= outage) healed = ms;
      }
      expect(healed - outage).toBeLessThanOrEqual(1_000);
      lab.ack(healed + 50, `${lab.recovery.nextPacketNumber - 2}-${lab.recovery.nextPacketNumber - 1}`);
      expect(lab.path.packetsInFlight).toBe(0);
      expect(new Set(lab.missing).size).toBe(lab.missing.length);
      expect(lab.missing).toHaveLength(lab.recovery.nextPacketNumber - 2);
    }
  });
});
