import { describe, expect, it } from 'vitest';
import { ack, close, datagram, fin, maxData, maxStreamData, maxStreams, padding, ping, streamData } from './frames.ts';
import { at, MTU, Script, until } from './script.ts';

/** RFC 9000 §13.1, §21.4: a peer that acknowledges what it likes. */
describe('an ACK of a packet that was never sent', () => {
  for (const [name, ranges] of [
    ['the next number', [[2, 2]]],
    ['a number far ahead', [[1_000_000, 1_000_000]]],
    ['the highest number there is', [[2 ** 53 - 1, 2 ** 53 - 1]]],
    ['a range that reaches one too far', [[0, 2]]],
    ['everything there could be', [[0, 2 ** 53 - 1]]],
    [
      'a second range that is right',
      [
        [0, 1],
        [5, 5],
      ],
    ],
  ] as const) {
    it(`closes the tunnel with PROTOCOL_VIOLATION: ${name}`, () => {
      const t = Script.accepted();
      t.recv(at(0), [ack(ranges)]);
      t.expectSend(at(0), [close(2)]);
      t.expectClosed('PROTOCOL_VIOLATION');
    });
  }

  it('acknowledges nothing of what it also names', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.finish(1));
    t.expectSend(at(0), [fin(1, 0)]);
    t.recv(at(10), [ack([[2, 3]])]);
    t.expectNoEvent('acknowledged');
    t.expectSend(at(10), [close(2)]);
  });

  it('ends the packet it stands in', () => {
    const t = Script.accepted();
    t.recv(at(0), [ack([[9, 9]]), streamData({ stream: 1, length: 10 })]);
    t.expectNoEvent('readable');
    t.expectSend(at(0), [close(2)]);
  });
});

describe('an ACK of a number that was passed over', () => {
  /** Packet after packet, each acknowledged, until a number is left out; gives that number. */
  function untilSkipped(t: Script): number {
    for (let time = 0, last = 1; ; time++) {
      t.app(time, (app) => app.datagram(10));
      const { number } = t.expectSend(time, [datagram()]);
      t.ack(time, [number]);
      if (number > last + 1) return last + 1;
      last = number;
    }
  }

  it('comes from no honest peer: the first is passed over after some hundred packets, and all goes on', () => {
    const t = Script.accepted();
    const skipped = untilSkipped(t);
    t.expect('number', skipped > 512 && skipped <= 1_024, true);
    t.ackAll(at(2_000));
    t.expect('state', t.state, 'open');
  });

  it('closes the tunnel with PROTOCOL_VIOLATION, however long ago that was', () => {
    const t = Script.accepted();
    const skipped = untilSkipped(t);
    t.take(at(15_000));
    t.recv(at(15_000), [ack([[skipped, skipped]])]);
    t.expectSend(at(15_000), [close(2)]);
    t.expectClosed('PROTOCOL_VIOLATION');
  });
});

describe('an ACK of what was sent and cannot have arrived', () => {
  it('at the very instant of sending breaks nothing', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 100_000));
    for (let i = 0; i < 50; i++) t.ackAll(at(i / 10));
    t.take(at(5));
    t.expect('state', t.state, 'open');
    t.expect('sent within the limits', (t.stream(1)?.sent ?? 0) <= 100_000, true);
  });

  it('makes the sender faster, but never beyond the limits of flow control', () => {
    const sentBy = (lies: boolean): number => {
      const t = Script.accepted();
      t.app(at(0), (app) => app.write(1, 262_144));
      for (let time = 100; time <= 500; time += 100) {
        if (lies) {
          t.ackAll(time - 50);
          t.ackAll(time - 25);
        }
        t.ackAll(time);
      }
      return Math.max(...t.allSent.map(({ number }) => number));
    };
    // Optimism makes the round trip short and so the pace fast; flow control and the window still hold.
    expect(sentBy(false)).toBeLessThan(240);
    expect(sentBy(true)).toBeLessThan(240);
  });

  it('drops the bytes, which is the loss of who lied', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => {
      app.write(1, 100);
      app.finish(1);
    });
    t.take(at(0));
    t.ackAll(at(0));
    t.expectEvent('acknowledged', { stream: 1 });
    t.expectSilence(until(5_000));
  });

  it('of a packet that was declared lost stops its repetition', () => {
    const t = Script.accepted();
    t.fill(at(0), 4);
    t.ack(at(100), [[3, 5]]);
    t.expectSend(at(100), [streamData({ stream: 1, offset: 0 })]);
    t.ack(at(100), [[2, 6]]);
    t.expectSilence(until(5_000));
  });
});

describe('odd ACKs', () => {
  it('of the same numbers a thousand times change nothing', () => {
    const t = Script.accepted();
    t.fill(at(0), 3);
    t.ack(at(100), [[2, 4]]);
    const { window } = t;
    for (let i = 0; i < 1_000; i++) t.ack(at(101), [[0, 4]]);
    t.expect('window', t.window, window);
    t.expectSilence(until(5_000));
  });

  it('of everything again in every packet count each packet once', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    for (let i = 2; i <= 11; i++) t.ack(at(100), [[0, i]]);
    const sizes = t.allSent.slice(-10).reduce((sum, { size }) => sum + size, 0);
    t.expect('window', t.window, 10 * MTU + sizes);
  });

  it('with a delay beyond all measure leave the round trip as it is', () => {
    const t = Script.accepted();
    t.fill(at(0), 1);
    t.recv(at(100), [ack([[2, 2]], { delay: 1e9 })]);
    t.app(at(100), (app) => app.datagram(10));
    t.take(at(100));
    // No less than the shortest round trip: the sample is 100 ms, so 100 + 4 × 37.5 + 25.
    t.expectSilence(until(375));
    t.expectSend(at(375), [ping()]);
  });

  it('with a delay that is believed make the round trip shorter by no more than 25 ms', () => {
    const t = Script.accepted();
    t.fill(at(0), 1);
    t.recv(at(200), [ack([[2, 2]], { delay: 90 })]);
    t.app(at(200), (app) => app.datagram(10));
    t.take(at(200));
    // 200 − 25: smoothed (7 × 100 + 175) / 8, variation (3 × 50 + 75) / 4.
    t.expectSilence(until(200 + 109.375 + 4 * 56.25 + 25));
    t.expectSend(at(559.375), [ping()]);
  });

  it('that name only packets which asked for none give no sample of the round trip', () => {
    const t = Script.accepted();
    t.recv(at(0), [ping()]);
    t.expectSend(at(0), [ack([[1, 3]])]);
    t.ack(at(9_000), [2]);
    t.app(at(9_000), (app) => app.datagram(10));
    t.take(at(9_000));
    t.expectSilence(until(9_325));
    t.expectSend(at(9_325), [ping()]);
  });

  it('whose largest is not new give no sample of the round trip', () => {
    const t = Script.accepted();
    t.fill(at(0), 2);
    t.ack(at(100), [3]);
    t.ack(at(110), [[2, 3]]);
    t.app(at(1_000), (app) => app.datagram(10));
    t.take(at(1_000));
    t.expectSilence(until(1_275));
    t.expectSend(at(1_275), [ping()]);
  });

  it('with as many ranges as there may be are read', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 262_144));
    let time = 0;
    while (t.lastNumber < 220) {
      t.ackAll(time);
      time += 100;
    }
    const ranges = Array.from({ length: 100 }, (_, i): [number, number] => [2 * i, 2 * i]);
    t.recv(time, [ack(ranges)]);
    t.take(time);
    t.expect('state', t.state, 'open');
  });

  it('alone, however many, are answered with nothing', () => {
    const t = Script.accepted();
    for (let i = 0; i < 200; i++) t.recv(at(i), [ack([[0, 1]]), padding(i + 1)]);
    t.expectSilence(until(5_000));
  });
});

describe('window games', () => {
  it('limits as high as there are let out no more than the congestion window', () => {
    const t = Script.accepted();
    t.recv(at(0), [maxData(2 ** 53 - 1), maxStreamData(1, 2 ** 53 - 1), maxStreams(2 ** 53 - 1), ping()]);
    t.take(at(0));
    t.app(at(1), (app) => app.write(1, 262_144));
    t.expect('packets', t.take(at(300)).length, 10);
  });

  it('limits that go up and down keep the highest', () => {
    const t = Script.accepted();
    for (const limit of [300_000, 10, 400_000, 0, 350_000]) {
      t.recv(at(0), [maxStreamData(1, limit), maxData(limit), maxStreams(limit)]);
      t.take(at(0));
    }
    t.expect('stream', t.stream(1)?.sendLimit, 400_000);
    t.expect('tunnel', t.streams.sendLimit, 1_048_576);
    t.expect('streams', t.streams.openLimit, 400_000);
  });

  it('a limit raised byte by byte is followed byte by byte and held by the window', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 262_144));
    let time = t.carry(at(0), 100);
    t.app(time, (app) => app.write(1, 1_000));
    for (let i = 1; i <= 30; i++) {
      time += 1;
      t.take(time);
      t.recv(time, [maxStreamData(1, 262_144 + i)]);
      t.take(time);
    }
    t.expect('sent', t.stream(1)?.sent, 262_144 + 30);
  });

  it('a huge limit makes the buffer of the writer no larger than it may be', () => {
    const t = Script.accepted({ streams: { sendBufferMax: 1_000_000 } });
    t.recv(at(0), [maxStreamData(1, 2 ** 53 - 1), maxData(2 ** 53 - 1)]);
    t.take(at(30));
    t.expect(
      'taken',
      t.app(at(30), (app) => app.write(1, 2_000_000)),
      1_000_000,
    );
    t.take(at(30));
  });
});
