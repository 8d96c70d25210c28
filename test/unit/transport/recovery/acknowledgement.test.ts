import { describe, expect, it } from 'vitest';
import { PROBE_INTERVAL_MAX } from '../../../../transport/constants.ts';
import { CONTENT_ACK, CONTENT_MAX_DATA } from '../../../../transport/packet-contents.ts';
import { at, Lab } from './lab.ts';

describe('an ACK frame', () => {
  it('takes what it names out of flight and hands over its contents, the oldest first', () => {
    const lab = new Lab();
    lab.burst(0, 10);
    expect([lab.path.bytesInFlight, lab.path.packetsInFlight]).toEqual([12_000, 10]);
    expect(lab.ack(100, '1-2 4 6-7')).toBe('ok');
    expect(lab.arrived).toEqual([1, 2, 4, 6, 7]);
    expect(lab.path.packetsInFlight).toBe(3);
    expect(lab.path.bytesInFlight).toBe(3_600);
  });

  it('that was seen before changes nothing', () => {
    const lab = new Lab();
    lab.burst(0, 4);
    lab.ack(100, '0-3');
    const { smoothed } = lab.path.rtt;
    lab.take();
    for (const ms of [101, 150, 900]) expect(lab.ack(ms, '0-3')).toBe('ok');
    expect(lab.take()).toEqual({ arrived: [], missing: [] });
    expect(lab.controller.acks).toHaveLength(1);
    expect(lab.path.rtt.smoothed).toBe(smoothed);
  });

  it.each<[string, string[]]>([
    ['overlapping ranges in one frame', ['0-5 3-8']],
    ['ranges that touch', ['0-4 5-8']],
    ['growing frames', ['0-1', '0-3', '0-8']],
    ['frames that overlap in the middle', ['2-5', '4-8', '0-3']],
    ['frames that come in the wrong order', ['0-8', '0-5', '0-2']],
    ['the same number again and again', ['8', '8', '8-8', '0-8']],
  ])('counts each packet once: %s', (_, frames) => {
    const lab = new Lab();
    lab.burst(0, 9);
    for (const [index, frame] of frames.entries()) lab.ack(100 + index / 10, frame);
    expect([...lab.arrived].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect([lab.path.bytesInFlight, lab.path.packetsInFlight, lab.recovery.remembered]).toEqual([0, 0, 0]);
  });

  it('older than one already read still acknowledges what it alone names, and gives no RTT', () => {
    const lab = new Lab();
    lab.burst(0, 6);
    lab.ack(100, '3-5');
    const { latest } = lab.path.rtt;
    lab.ack(104, '2');
    expect(lab.arrived).toEqual([3, 4, 5, 2]);
    expect(lab.path.rtt.latest).toBe(latest);
  });

  it('of a number never sent is a fault, and changes nothing (RFC 9000 §13.1)', () => {
    const lab = new Lab();
    lab.burst(0, 3);
    expect(lab.ack(100, '0-3')).toBe('never-sent');
    expect(lab.ack(100, '5 0-1')).toBe('never-sent');
    expect(lab.take()).toEqual({ arrived: [], missing: [] });
    expect([lab.path.packetsInFlight, lab.path.rtt.isSampled]).toEqual([3, false]);
    expect(new Lab().ack(0, '0')).toBe('never-sent');
  });

  it('of a number that was skipped on purpose is a fault, and changes nothing (RFC 9000 §21.4)', () => {
    const lab = new Lab();
    lab.burst(0, 3);
    lab.recovery.onSkipped(3, at(0));
    lab.burst(0, 3);
    expect(lab.ack(100, '0-6')).toBe('skipped');
    expect(lab.ack(100, '3')).toBe('skipped');
    expect(lab.ack(100, '5-6 2-3')).toBe('skipped');
    expect([lab.arrived, lab.path.packetsInFlight]).toEqual([[], 6]);
    expect(lab.ack(100, '4-6 0-2')).toBe('ok');
    expect(lab.recovery.remembered).toBe(0);
    // However long ago.
    expect(lab.ack(200, '0-6')).toBe('skipped');
  });

  it('is checked against the 16 numbers skipped last', () => {
    const lab = new Lab();
    for (let i = 0; i < 20; i++) {
      lab.send(i);
      lab.recovery.onSkipped(2 * i + 1, at(i));
    }
    lab.send(50);
    const honest = Array.from({ length: 21 }, (_, i) => `${2 * i}`).join(' ');
    expect(lab.ack(60, honest)).toBe('ok');
    expect(lab.ack(61, '38-40')).toBe('skipped');
    expect(lab.ack(61, '8-10')).toBe('skipped');
    expect(lab.ack(61, '6-8')).toBe('ok');
  });

  it('gives an RTT sample for its largest number, less the delay (RFC 9002 §5.3, A.7)', () => {
    const lab = new Lab();
    lab.send([0, 10, 20]);
    lab.ack(120, '0-1');
    // Sent at 10, acknowledged at 120.
    expect([lab.path.rtt.latest, lab.path.rtt.smoothed, lab.path.rtt.variation]).toEqual([110_000, 110_000, 55_000]);
    lab.ack(160, '0-2', 20);
    // 140 ms, 20 of them the peer's: 120; variation (3 · 55 + 10) / 4, average (7 · 110 + 120) / 8.
    expect([lab.path.rtt.latest, lab.path.rtt.smoothed, lab.path.rtt.variation]).toEqual([140_000, 111_250, 43_750]);
    expect(lab.controller.acks.map((sample) => sample.rtt)).toEqual([110_000, 140_000]);
  });

  it('gives no RTT sample where nothing new asked for it (RFC 9002 §5.1)', () => {
    const lab = new Lab();
    lab.send(0, { asksForAck: false });
    lab.ack(500, '0');
    expect(lab.path.rtt.isSampled).toBe(false);
    lab.send(600);
    lab.send(650, { asksForAck: false });
    lab.ack(700, '0-2');
    // The largest is the one that did not ask: it has a sending time as good as any.
    expect(lab.path.rtt.latest).toBe(50_000);
  });

  it('tells the controller once, about all of it, before the losses it shows', () => {
    const lab = new Lab();
    lab.recovery.onAppLimited(lab.path, at(0));
    lab.burst(0, 8, { bytes: 1_000 });
    lab.send(1, { asksForAck: false });
    lab.ack(100, '6-8 4');
    expect(lab.controller.order).toEqual(['ack', 'loss']);
    expect(lab.controller.limited).toEqual([0]);
    expect(lab.controller.acks[0]).toMatchObject({
      bytes: 3_000,
      packets: 3,
      largestNumber: 7,
      largestSentAt: 0,
      nextNumber: 9,
      bytesInFlight: 5_000,
      rtt: 99_000,
      smoothedRtt: 99_000,
      minimumRtt: 99_000,
      isAppLimited: true,
    });
    expect(lab.controller.acks[0]!.rate).toMatchObject({ delivered: 3_000, sentInFlight: 8_000, lost: 0 });
    // Sequence 8 was acknowledged: 0 to 3 and 5 are three behind.
    expect(lab.controller.losses[0]).toMatchObject({
      bytes: 5_000,
      packets: 5,
      largestNumber: 5,
      nextNumber: 9,
      bytesInFlight: 0,
      sentInFlight: 6_000,
      lostSinceSent: 5_000,
      isAppLimited: true,
      isPersistent: false,
    });
  });

  it('hands over every entry of a packet, of whatever kind, and nothing for packets without any', () => {
    const seen: [number, number, number][] = [];
    const lab = new Lab();
    lab.acked = (contents, index) => seen.push([contents.kind(index), contents.offset(index), contents.count]);
    const { recovery } = lab;
    recovery.contents.add(CONTENT_ACK, 0, 77, 0);
    recovery.contents.add(CONTENT_MAX_DATA, 0, 5_000, 0);
    recovery.onSent(lab.path, 0, 60, true, at(0));
    expect(recovery.contents.count).toBe(0);
    recovery.onSent(lab.path, 1, 60, true, at(0));
    lab.ack(10, '0-1');
    expect(seen).toEqual([
      [CONTENT_ACK, 77, 2],
      [CONTENT_MAX_DATA, 5_000, 2],
    ]);
  });
});

describe('a sent packet', () => {
  it('is told to the controller with its batch, and at the latest before the next acknowledgement', () => {
    const lab = new Lab();
    for (let number = 0; number < 5; number++) lab.recovery.onSent(lab.path, number, 1_000, true, at(0));
    expect(lab.controller.sent).toEqual([]);
    lab.recovery.onBatchSent(lab.path, at(0));
    lab.recovery.onBatchSent(lab.path, at(0));
    lab.recovery.onSent(lab.path, 5, 1_000, true, at(0));
    lab.ack(10, '0-5');
    expect(lab.controller.sent).toEqual([
      { bytes: 5_000, bytesInFlight: 5_000 },
      { bytes: 1_000, bytesInFlight: 6_000 },
    ]);
  });

  it('that asks for no ACK is not in flight and arms no timer', () => {
    const lab = new Lab();
    lab.burst(0, 5, { asksForAck: false });
    expect([lab.path.bytesInFlight, lab.recovery.packetsInFlight, lab.controller.sent.length]).toEqual([0, 0, 0]);
    expect(lab.timeoutMs).toBe(Number.POSITIVE_INFINITY);
    expect(lab.recovery.dueSince).toBeUndefined();
  });

  it('has a number of its own, in order', () => {
    const lab = new Lab();
    lab.send(0);
    expect(() => lab.recovery.onSent(lab.path, 0, 100, true, at(0))).toThrow('in order');
    expect(() => lab.recovery.onSent(lab.path, 2, 100, true, at(0))).toThrow('in order');
    expect(() => lab.recovery.onSkipped(2, at(0))).toThrow('in order');
  });

  it('leaves room in the window, which probes alone may exceed', () => {
    const lab = new Lab();
    lab.controller.window = 5_000;
    lab.burst(0, 4);
    expect(lab.recovery.room(lab.path)).toBe(200);
    lab.burst(0, 1);
    expect(lab.recovery.room(lab.path)).toBe(0);
  });

  it('makes an answer due until everything that asked is acknowledged', () => {
    const lab = new Lab();
    lab.send(5, { asksForAck: false });
    lab.send([10, 20]);
    expect(lab.recovery.dueSince).toBe(at(10));
    lab.ack(30, '1');
    expect(lab.recovery.dueSince).toBe(at(30));
    lab.ack(35, '0-1');
    expect(lab.recovery.dueSince).toBe(at(30));
    lab.ack(40, '0-2');
    expect(lab.recovery.dueSince).toBeUndefined();
  });
});

describe('the memory of recovery', () => {
  it('does not grow with packets that ask for nothing while the peer says nothing', () => {
    const lab = new Lab();
    for (let ms = 0; ms < 5_000; ms++) lab.send(ms, { asksForAck: false });
    expect(lab.recovery.remembered).toBeLessThanOrEqual(16);
    expect(lab.recovery.remembered + lab.missing.length).toBe(5_000);
  });

  it('is given back when a quiet tunnel is trimmed, and not before everything was answered', () => {
    const lab = new Lab();
    lab.burst(0, 5);
    lab.send(0, { asksForAck: false });
    lab.recovery.trim(at(1));
    expect(lab.recovery.remembered).toBe(6);
    lab.ack(100, '4');
    lab.fire();
    expect([lab.recovery.remembered, lab.recovery.packetsInFlight]).toEqual([6, 0]);
    lab.recovery.trim(at(200));
    expect(lab.recovery.remembered).toBe(0);
    expect([...lab.missing].sort()).toEqual([0, 1, 2, 3, 5]);
    lab.send(300);
    expect(lab.ack(310, '0-6')).toBe('ok');
    expect(lab.arrived).toEqual([4, 6]);
  });

  it('stops ordinary sending when it is full, still takes probes, and at last gives up the oldest packet', () => {
    const lab = new Lab();
    lab.controller.window = 2 ** 40;
    let sent = 0;
    for (; lab.recovery.room(lab.path) > 0; sent++) lab.recovery.onSent(lab.path, sent, 1_200, true, at(1));
    expect(sent).toBe(131_072 - 1_024);
    for (let i = 0; i < 1_100; i++) lab.send(2);
    expect(lab.recovery.remembered).toBe(131_072);
    expect(lab.path.packetsInFlight).toBe(131_072);
    expect(lab.controller.losses).toEqual([]);
    expect(lab.ack(100, `0-${lab.recovery.nextPacketNumber - 1}`)).toBe('ok');
    expect([lab.path.bytesInFlight, lab.path.packetsInFlight, lab.recovery.remembered]).toEqual([0, 0, 0]);
    expect(lab.recovery.room(lab.path)).toBe(2 ** 40);
  });

  it.each<[string, number, number]>([
    ['packets', 0, 131_072 - 1_024],
    ['what they carried', 1_024, 512],
  ])('full of %s that are all lost makes room for the next at once, for no answer will', (_, entries, packets) => {
    const lab = new Lab({ roundTripMs: 100 });
    const { recovery, path } = lab;
    lab.controller.window = 2 ** 40;
    // ACKs alone at the old end stand in nobody's way.
    lab.send(0, { asksForAck: false });
    for (let sent = 1; recovery.room(path) > 0; sent++) {
      for (let i = 0; i < entries; i++) recovery.contents.add(CONTENT_MAX_DATA, 0, i, 0);
      recovery.onSent(path, sent, 1_200, true, at(1));
    }
    recovery.onBatchSent(path, at(1));
    expect(recovery.remembered).toBe(packets);
    const { ms } = lab.fire();
    lab.send(ms);
    const probe = recovery.nextPacketNumber - 1;
    lab.ack(ms + 100, `${probe}`);
    expect([path.packetsInFlight, recovery.nextTimeout()]).toEqual([0, Number.POSITIVE_INFINITY]);
    expect(recovery.room(path)).toBe(2 ** 40);
    // And the next flight fills it no more than the first did: behind those lost, it stops where its own oldest is in flight.
    const before = recovery.nextPacketNumber;
    while (recovery.room(path) > 0) {
      for (let i = 0; i < entries; i++) recovery.contents.add(CONTENT_MAX_DATA, 0, i, 0);
      recovery.onSent(path, recovery.nextPacketNumber, 1_200, true, at(ms + 101));
    }
    expect(recovery.nextPacketNumber - before).toBeGreaterThanOrEqual(packets - 2);
    expect([recovery.remembered <= packets, path.packetsInFlight]).toEqual([true, recovery.nextPacketNumber - before]);
    expect(recovery.nextTimeout()).toBeLessThan(at(ms + 1_200));
  });

  it('still waits for late answers where it is not full', () => {
    const lab = new Lab({ roundTripMs: 100 });
    lab.burst(0, 100);
    lab.ack(100, '99');
    expect(lab.missing).toHaveLength(97);
    lab.burst(101, 100);
    lab.ack(102, '0-96');
    expect(lab.arrived).toHaveLength(98);
  });

  it('waits no longer than a second for the first answer', () => {
    const lab = new Lab();
    lab.send(0);
    expect(lab.recovery.nextTimeout()).toBe(PROBE_INTERVAL_MAX);
  });
});
