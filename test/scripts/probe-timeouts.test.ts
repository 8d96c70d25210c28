import { describe, it } from 'vitest';
import { ack, anyAck, datagram, fin, ping, streamData } from './frames.ts';
import { at, Script, until } from './script.ts';

/** RFC 9002 §6.2: what happens while nothing comes back. */
describe('probe timeouts', () => {
  for (const [rtt, timeout] of [
    [10, 55],
    [50, 175],
    [100, 325],
    [200, 625],
    [300, 925],
  ] as const) {
    it(`after a first round trip of ${rtt} ms a probe goes out ${timeout} ms after an unanswered packet`, () => {
      const t = Script.accepted({ rtt });
      t.app(at(0), (app) => app.write(1, 100));
      t.expectSend(at(0), [streamData({ stream: 1, offset: 0, length: 100 })]);
      t.expectSilence(until(timeout));
      t.expectSend(at(timeout), [ping()], [streamData({ stream: 1, offset: 0, length: 100 })]);
    });
  }

  it('a probe timeout is never longer than a second, however long the round trip', () => {
    const t = Script.accepted({ rtt: 800 });
    t.app(at(0), (app) => app.write(1, 100));
    t.take(at(0));
    t.expectSilence(until(1_000));
    t.expectSend(at(1_000), [ping()], [streamData({ stream: 1, offset: 0 })]);
  });

  it('before any sample the first probe goes out after a second', () => {
    const t = Script.open({ rtt: 'unknown' });
    t.app(at(0), (app) => app.datagram(100));
    t.take(at(0));
    t.expectSilence(until(1_000));
    t.expectSend(at(1_000), [ping()]);
  });

  it('each timeout without an answer doubles the next, up to a second', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.datagram(10));
    t.expectSend(at(0), [datagram()]);
    for (const time of [325, 975, 1_975, 2_975, 3_975]) {
      t.expectSilence(until(time));
      t.expectSend(at(time), [ping()]);
    }
  });

  it('an acknowledgement takes the doubling back', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.datagram(10));
    t.expectSend(at(0), [datagram()]);
    t.expectSend(at(325), [ping()]);
    t.expectSend(at(975), [ping()]);
    // Of the second probe: a sample of 100 ms, so the timeout is 100 + 4 × 37.5 + 25.
    t.ack(at(1_075), [4]);
    t.app(at(1_100), (app) => app.datagram(10));
    t.expectSend(at(1_100), [datagram()]);
    t.expectSilence(until(1_375));
    t.expectSend(at(1_375), [ping()]);
  });

  it('a steady round trip brings the timeout down to it and the 25 ms that an ACK may take', () => {
    const t = Script.accepted();
    let time = 0;
    for (let i = 0; i < 40; i++) {
      t.app(time, (app) => app.write(1, 10));
      const [packet] = t.take(time);
      t.ack(time + 100, [packet!.number]);
      time += 200;
    }
    t.app(time, (app) => app.write(1, 10));
    t.take(time);
    t.expectSilence(until(time + 126));
    t.expectSend(at(time + 126), [ping()], [streamData({ stream: 1, offset: 400, length: 10 })]);
  });

  it('a loss that is to be declared late, because packets overtook one another, does not put the timeout off', () => {
    const t = Script.accepted();
    let time = 0;
    for (let i = 0; i < 40; i++) {
      t.app(time, (app) => app.write(1, 10));
      const [packet] = t.take(time);
      t.ack(time + 100, [packet!.number]);
      time += 200;
    }
    // Declared lost, and there almost four round trips after it was sent: so long is waited from now on.
    const [late, , , newest] = t.fill(time, 4);
    t.ack(time + 100, [[late! + 1, newest!]]);
    t.ack(time + 200, [t.expectSend(time + 100, [streamData({ stream: 1 })]).number]);
    t.ack(time + 390, [late!]);
    time += 1_000;
    const [first, second] = t.fill(time, 2);
    t.ack(time + 100, [second!]);
    t.expectSilence(until(time + 226));
    t.expectSend(time + 226, [ping()], [streamData({ stream: 1, offset: 400 + 4 * 1_160 })]);
    t.ack(time + 326, [first!]);
    t.expectSilence(until(time + 400));
  });

  it('packets sent meanwhile do not put the timeout off', () => {
    const t = Script.accepted();
    for (const time of [0, 100, 200, 300]) {
      t.app(time, (app) => app.write(1, 10));
      t.expectSend(time, [streamData({ stream: 1, length: 10 })]);
    }
    t.expectSilence(until(325));
    t.expectSend(at(325), [ping()], [streamData({ stream: 1, offset: 0, length: 20 })]);
  });

  it('an ACK of other packets puts the timeout off for those that wait', () => {
    const t = Script.accepted();
    t.fill(at(0), 2);
    t.ack(at(100), [2]);
    t.expectSilence(until(375));
    t.expectSend(at(375), [ping()], [streamData({ stream: 1, offset: 1_163, length: 1_157 })]);
  });

  it('an ACK of what was acknowledged already puts nothing off', () => {
    const t = Script.accepted();
    t.fill(at(0), 2);
    t.ack(at(100), [2]);
    t.ack(at(300), [2]);
    t.expectSilence(until(375));
    t.expectSend(at(375), [ping()], [streamData({ stream: 1 })]);
  });

  it('packets that ask for no ACK start no timeout', () => {
    const t = Script.accepted();
    t.recv(at(0), [ping()]);
    t.expectSend(at(0), [ack([[1, 3]])]);
    t.expectSilence(until(19_000));
  });

  it('once all is acknowledged there is silence', () => {
    const t = Script.accepted();
    t.fill(at(0), 3);
    t.ack(at(100), [[2, 4]]);
    t.expectSilence(until(19_000));
  });

  it('a probe timeout alone does not touch the window', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    const before = t.window;
    t.take(at(3_000));
    t.expect('window', t.window, before);
  });

  it('probes go out although the window is full', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.expectSilence(until(325));
    t.expectSend(at(325), [ping()], [streamData({ stream: 1, offset: 0, length: 1_163 })]);
    t.expectSilence(until(975));
  });

  it('a probe stands for itself where there is nothing to say again', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.datagram(500));
    t.take(at(0));
    t.expectSend(at(325), [ping()]);
    t.expectSilence(until(975));
  });

  it('a lost tail comes back one round trip after the probe', () => {
    const t = Script.accepted();
    t.fill(at(0), 3);
    t.app(at(0), (app) => app.finish(1));
    t.take(at(0));
    t.drop(4, 5);
    t.ackAll(at(100));
    t.expectSilence(until(375));
    t.expectSend(at(375), [ping()], [streamData({ stream: 1, offset: 2_325, length: 1_155, fin: true })]);
    t.ackAll(at(475));
    t.expectEvent('acknowledged', { stream: 1 });
    t.expectSilence(until(5_000));
  });

  it('what a probe repeated and both copies of which arrive is settled once', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => {
      app.write(1, 100);
      app.finish(1);
    });
    t.take(at(0));
    t.expectSend(at(325), [ping()], [streamData({ stream: 1, offset: 0, length: 100, fin: true })]);
    t.ack(at(330), [2]);
    t.expectEvent('acknowledged', { stream: 1 });
    t.ack(at(430), [[3, 4]]);
    t.expectNoEvent('acknowledged');
    t.expectSilence(until(5_000));
  });

  it('a lost last FIN is asked after like any other bytes', () => {
    const t = Script.accepted();
    t.fill(at(0), 1);
    t.app(at(10), (app) => app.finish(1));
    t.expectSend(at(10), [fin(1, 1_160)]);
    t.ack(at(100), [2]);
    t.expectSend(at(375), [ping()], [fin(1, 1_160)]);
    t.ackAll(at(475));
    t.expectEvent('acknowledged', { stream: 1 });
  });

  it('a probe says lost bytes again although packets of ACKs alone went out before them', () => {
    const t = Script.accepted();
    for (const time of [0, 1]) {
      t.recv(time, [ping()]);
      t.expectSend(time, [anyAck()]);
    }
    t.app(at(2), (app) => app.write(1, 100));
    t.expectSend(at(2), [streamData({ stream: 1, length: 100 })]);
    t.expectSend(at(327), [ping()], [streamData({ stream: 1, offset: 0, length: 100 })]);
  });

  it('a new write during a probe period goes out at once', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.datagram(10));
    t.take(at(0));
    t.expectSend(at(325), [ping()]);
    t.app(at(400), (app) => app.write(1, 10));
    t.expectSend(at(400), [streamData({ stream: 1, offset: 0, length: 10 })]);
  });

  it('without any answer for 30 s the tunnel ends', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 10));
    t.take(at(29_999));
    t.expectNoEvent('tunnel-down');
    t.take(at(30_000));
    const event = t.expectEvent('tunnel-down');
    t.expect('reason', event.reason, { kind: 'peer-timeout' });
  });

  it('a peer that speaks without acknowledging puts the end off from when it last spoke', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 10));
    t.take(at(20_000));
    t.recv(at(20_000), [ping()]);
    t.take(at(49_999));
    t.expectNoEvent('tunnel-down');
    t.take(at(50_000));
    t.expectEvent('tunnel-down');
  });

  it('an answer after many probes lets everything go on', () => {
    const t = Script.accepted();
    t.fill(at(0), 5);
    t.take(at(9_500));
    t.ackAll(at(9_500));
    t.take(at(9_500));
    t.fill(at(9_600), 2);
    t.ackAll(at(9_700));
    t.expectSilence(until(20_000));
  });
});
