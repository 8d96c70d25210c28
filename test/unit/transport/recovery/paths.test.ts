import { describe, expect, it } from 'vitest';
import { PATHS_MAX } from '../../../../transport/constants.ts';
import { SPARSE_REMEMBERED_MAX } from '../../../../transport/recovery/recovery.ts';
import { at, Lab } from './lab.ts';

describe('recovery over several paths', () => {
  it('compares packets of one path only', () => {
    const lab = new Lab({ roundTripMs: 100 });
    const other = lab.addPath(0, 100);
    // Even numbers by the first path, odd ones by the other.
    for (let i = 0; i < 6; i++) {
      lab.send(0);
      lab.send(0, { path: other });
    }
    lab.ack(100, '11');
    // By packet numbers every one below 9 would be lost. Of the other path, sequence 5 arrived: 0, 1 and 2 are three behind.
    expect(lab.missing).toEqual([1, 3, 5]);
    expect([lab.path.packetsInFlight, other.packetsInFlight]).toEqual([6, 2]);
    lab.ack(101, '11 4');
    expect(lab.take().missing).toEqual([1, 3, 5]);
    lab.ack(102, '11 6');
    expect(lab.take().missing).toEqual([0]);
  });

  it('counts bytes in flight and tells controllers each for its own', () => {
    const lab = new Lab();
    const other = lab.addPath(0);
    lab.burst(0, 3, { bytes: 1_000 });
    lab.burst(0, 2, { path: other, bytes: 500 });
    expect([lab.path.bytesInFlight, other.bytesInFlight, lab.recovery.packetsInFlight]).toEqual([3_000, 1_000, 5]);
    lab.ack(50, '0-4');
    expect(lab.controller.acks.map(({ bytes, packets }) => [bytes, packets])).toEqual([[3_000, 3]]);
    expect(other.controller.acks.map(({ bytes, packets }) => [bytes, packets])).toEqual([[1_000, 2]]);
  });

  it('takes an RTT sample for the path of the frame’s largest number alone', () => {
    const lab = new Lab();
    const other = lab.addPath(0);
    lab.send(0);
    lab.send(40, { path: other });
    lab.ack(70, '0-1');
    // The delay in the frame is that of number 1; how long number 0 waited nobody knows.
    expect([lab.path.rtt.isSampled, other.rtt.latest]).toEqual([false, 30_000]);
  });

  it('probes by the active path, each path with a timeout of its own', () => {
    const lab = new Lab({ roundTripMs: 100 });
    const slow = lab.addPath(0, 400);
    lab.recovery.setActive(slow);
    lab.send(0, { path: slow });
    expect(lab.timeoutMs).toBe(426);
    expect(lab.fire().outcome).toBe('probe');
    expect([slow.probesDue, lab.path.probesDue]).toEqual([2, 0]);
  });

  it('counts what is out on a path that is no longer used as lost after its probe timeout, without a congestion signal', () => {
    const lab = new Lab({ roundTripMs: 100 });
    const next = lab.addPath(0, 20);
    lab.burst(0, 4);
    lab.recovery.setActive(next);
    lab.send(10, { path: next });
    lab.ack(30, '4');
    expect(lab.fire()).toEqual({ ms: 126, outcome: 'lost' });
    expect(lab.take().missing).toEqual([0, 1, 2, 3]);
    expect([lab.controller.losses, lab.path.bytesInFlight]).toEqual([[], 0]);
    expect(lab.timeoutMs).toBe(Number.POSITIVE_INFINITY);
    // They may arrive all the same: that shows nothing about thresholds, for none was crossed.
    lab.ack(140, '0-4');
    expect(lab.take().arrived).toEqual([0, 1, 2, 3]);
    expect([lab.controller.spurious, lab.path.reordering.packets]).toEqual([[], 3]);
  });

  it('sends by the old path again as if nothing had been', () => {
    const lab = new Lab({ roundTripMs: 100 });
    const next = lab.addPath(0, 20);
    lab.burst(0, 2);
    lab.recovery.setActive(next);
    lab.fire();
    lab.recovery.setActive(lab.path);
    lab.burst(200, 2);
    expect(lab.timeoutMs).toBe(326);
    lab.ack(300, '2-3');
    expect(lab.take().arrived).toEqual([2, 3]);
  });

  it('hands over what a removed path carried as lost, tells its controller nothing, and forgets its packets', () => {
    const lab = new Lab({ roundTripMs: 100 });
    const next = lab.addPath(0, 100);
    lab.burst(0, 9);
    lab.ack(100, '8');
    const told = lab.controller.order.length;
    expect(lab.take().missing).toEqual([0, 1, 2, 3, 4, 5]);
    lab.recovery.setActive(next);
    lab.recovery.removePath(lab.path, at(101));
    expect(lab.take().missing).toEqual([6, 7]);
    expect([lab.recovery.remembered, lab.recovery.packetsInFlight]).toEqual([0, 0]);
    expect(lab.ack(110, '0-8')).toBe('ok');
    expect([lab.take().arrived, lab.controller.order.length]).toEqual([[], told]);
  });

  it('gives the place of a removed path to the next one, which inherits nothing', () => {
    const lab = new Lab();
    const second = lab.addPath(0);
    lab.burst(0, 2, { path: second });
    lab.recovery.removePath(second, at(10));
    const third = lab.addPath(20);
    expect(third.index).toBe(second.index);
    lab.burst(20, 4, { path: third });
    lab.ack(40, '0-5');
    expect(lab.take()).toEqual({ arrived: [2, 3, 4, 5], missing: [0, 1] });
    expect([third.bytesInFlight, third.controller.losses.length]).toEqual([0, 0]);
  });

  it('keeps eight at the most', () => {
    const lab = new Lab();
    for (let i = 1; i < PATHS_MAX; i++) lab.addPath(0);
    expect(() => lab.addPath(0)).toThrow('eight');
  });

  it('forgets everything when all paths go', () => {
    const lab = new Lab();
    const other = lab.addPath(0);
    lab.burst(0, 3);
    lab.burst(0, 3, { path: other });
    for (const path of [lab.path, other]) lab.recovery.removePath(path, at(1));
    expect([...lab.missing].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect([lab.recovery.remembered, lab.timeoutMs, lab.recovery.active]).toEqual([
      0,
      Number.POSITIVE_INFINITY,
      undefined,
    ]);
  });

  it('has nothing due any more once what was left on another path is given up', () => {
    const lab = new Lab({ roundTripMs: 100 });
    const other = lab.addPath(0, 100);
    lab.send(0, { path: other });
    lab.send(0);
    lab.ack(100, '1');
    expect(lab.recovery.dueSince).toBe(at(100));
    const timeout = lab.recovery.nextTimeout();
    expect(lab.recovery.handleTimeout(timeout)).toBe('lost');
    expect(lab.recovery.packetsInFlight).toBe(0);
    expect(lab.recovery.dueSince).toBeUndefined();
  });

  it('has nothing due any more once a packet that was too large is lost', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.recovery.onMtuProbeSent(lab.path, 0, 1_200, at(0));
    lab.recovery.onBatchSent(lab.path, at(0));
    lab.send(0);
    lab.ack(100, '1');
    expect(lab.recovery.dueSince).toBe(at(100));
    lab.recovery.handleTimeout(lab.recovery.nextTimeout());
    expect(lab.recovery.packetsInFlight).toBe(0);
    expect(lab.recovery.dueSince).toBeUndefined();
  });

  it('is neither slowed down nor made to remember a bulk by a packet that waits on another path', () => {
    const lab = new Lab({ roundTripMs: 10 });
    const quiet = lab.addPath(0, 10);
    lab.send(0, { path: quiet });
    for (let round = 0; round < 400; round++) {
      lab.burst(round / 10, 50);
      lab.ack(round / 10 + 0.05, `1-${50 * (round + 1)}`);
    }
    expect(lab.arrived).toHaveLength(20_000);
    expect(lab.recovery.remembered).toBeLessThan(2 * SPARSE_REMEMBERED_MAX);
    lab.ack(41, '0-20000');
    expect(lab.recovery.remembered).toBe(0);
  });
});
