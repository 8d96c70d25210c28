import { describe, it } from 'vitest';
import { datagram, fin, ping, streamData } from './frames.ts';
import { at, MTU, Script, until } from './script.ts';

/** RFC 9002 §6.1 and A.10: which packets are declared lost, when, and what is sent in their place. */
describe('loss recovery', () => {
  it('a packet is lost at once when one three later is acknowledged', () => {
    const t = Script.accepted();
    t.fill(at(0), 4);
    t.ack(at(100), [[3, 5]]);
    t.expectSend(at(100), [streamData({ stream: 1, offset: 0, length: 1_163 })]);
  });

  it('a packet is not lost when only one two later is acknowledged', () => {
    const t = Script.accepted();
    t.fill(at(0), 3);
    t.ack(at(100), [[3, 4]]);
    t.expectSilence(until(112.5));
  });

  it('of several missing ones only those three behind go again at once', () => {
    const t = Script.accepted();
    t.fill(at(0), 6);
    t.ack(at(100), [7]);
    t.expectSend(
      at(100),
      [streamData({ stream: 1, offset: 0 })],
      [streamData({ stream: 1 })],
      [streamData({ stream: 1 })],
    );
    t.expectSilence(until(112.5));
  });

  it('a packet less than three behind is lost after 9/8 of the round trip', () => {
    const t = Script.accepted();
    t.fill(at(0), 2);
    t.ack(at(100), [3]);
    t.expectSilence(until(112.5));
    t.expectSend(at(112.5), [streamData({ stream: 1, offset: 0, length: 1_163 })]);
  });

  it('the time threshold takes the latest round trip where that is the longer', () => {
    const t = Script.accepted();
    t.fill(at(0), 2);
    t.ack(at(200), [3]);
    t.expectSilence(until(225));
    t.expectSend(at(225), [streamData({ stream: 1, offset: 0 })]);
  });

  it('the time threshold takes the smoothed round trip where that is the longer', () => {
    const t = Script.accepted();
    t.fill(at(0), 2);
    t.ack(at(60), [3]);
    // Smoothed: (7 × 100 + 60) / 8 = 95 ms, of which 9/8 are 106.875.
    t.expectSilence(until(106.875));
    t.expectSend(at(106.875), [streamData({ stream: 1, offset: 0 })]);
  });

  it('a packet sent later than the largest acknowledged is not lost, however long it takes within a probe timeout', () => {
    const t = Script.accepted();
    t.fill(at(0), 3);
    t.ack(at(100), [[2, 3]]);
    t.expectSilence(until(375));
  });

  it('the time threshold counts from when the packet was sent, not from the ACK', () => {
    const t = Script.accepted();
    t.fill(at(0), 1);
    t.fill(at(80), 1);
    t.ack(at(180), [3]);
    t.expectSend(at(180), [streamData({ stream: 1, offset: 0 })]);
  });

  it('what was lost goes again under a new number', () => {
    const t = Script.accepted();
    t.fill(at(0), 4);
    t.ack(at(100), [[3, 5]]);
    const again = t.expectSend(at(100), [streamData({ stream: 1, offset: 0 })]);
    t.expect('the number', again.number, 6);
  });

  it('two neighbours that were lost in short packets go again in one', () => {
    const t = Script.accepted();
    for (const length of [10, 20]) {
      t.app(at(0), (app) => app.write(1, length));
      t.expectSend(at(0), [streamData({ stream: 1, length })]);
    }
    t.fill(at(0), 3);
    t.ack(at(100), [[4, 6]]);
    t.expectSend(at(100), [streamData({ stream: 1, offset: 0, length: 30 })]);
  });

  it('bytes that arrived between two lost packets are not sent again', () => {
    const t = Script.accepted();
    t.fill(at(0), 6);
    t.ack(at(100), [3, [5, 7]]);
    t.expectSend(
      at(100),
      [streamData({ stream: 1, offset: 0, length: 1_163 })],
      [streamData({ stream: 1, offset: 2_325, length: 1_162 })],
    );
    t.ack(at(200), [[8, 9]]);
    t.expectSilence(until(5_000));
  });

  it('a resent packet that is lost too goes again a third time', () => {
    const t = Script.accepted();
    t.fill(at(0), 4);
    t.ack(at(100), [[3, 5]]);
    t.expectSend(at(100), [streamData({ stream: 1, offset: 0, length: 1_163 })]);
    t.fill(at(100), 3);
    t.ack(at(200), [[7, 9]]);
    const third = t.expectSend(at(200), [streamData({ stream: 1, offset: 0, length: 1_163 })]);
    t.expect('the number', third.number, 10);
  });

  it('lost bytes go before new ones', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.app(at(50), (app) => app.write(1, 3_000));
    t.ack(at(100), [[3, 6]]);
    t.expectSend(
      at(100),
      [streamData({ stream: 1, offset: 0, length: 1_163 })],
      [streamData({ stream: 1, offset: 11_600 })],
    );
  });

  it('a late ACK of the first copy settles what was sent again', () => {
    const t = Script.accepted();
    t.fill(at(0), 4);
    t.app(at(0), (app) => app.finish(1));
    t.take(at(0));
    t.ack(at(100), [[3, 6]]);
    t.expectSend(at(100), [streamData({ stream: 1, offset: 0 })]);
    t.ack(at(110), [2]);
    t.expectEvent('acknowledged', { stream: 1 });
  });

  it('after a late ACK showed reordering by three, a gap of three is not a loss any more', () => {
    const t = Script.accepted();
    t.fill(at(0), 4);
    t.ack(at(100), [[3, 5]]);
    t.expectSend(at(100), [streamData({ stream: 1, offset: 0 })]);
    t.ack(at(101), [2]);
    t.ack(at(200), [6]);
    t.fill(at(300), 4);
    t.ack(at(400), [[8, 10]]);
    t.expectSilence(until(401));
  });

  it('a datagram that was lost is not sent again', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.datagram(100));
    t.expectSend(at(0), [datagram({ length: 100 })]);
    t.fill(at(0), 3);
    t.ack(at(100), [[3, 5]]);
    t.expectSilence(until(2_000));
  });

  it('a datagram beside a stream in one lost packet is left out of what is sent again', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.app(at(10), (app) => app.datagram(50));
    t.app(at(10), (app) => app.write(1, 70));
    t.expectSilence(until(100));
    t.ack(at(100), [[2, 11]]);
    t.expectSend(at(100), [datagram({ length: 50 }), streamData({ stream: 1, offset: 11_600, length: 70 })]);
    t.fill(at(100), 3);
    t.ack(at(200), [[13, 15]]);
    t.expectSend(at(200), [streamData({ stream: 1, offset: 11_600, length: 70 })]);
  });

  it('an ACK that was lost is not sent again', () => {
    const t = Script.accepted();
    t.fill(at(0), 4);
    t.ack(at(100), [[2, 5]]);
    t.expectSilence(until(5_000));
  });

  it('lost bytes that end a finished stream carry its FIN again', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => {
      app.write(1, 100);
      app.finish(1);
    });
    t.expectSend(at(0), [streamData({ stream: 1, offset: 0, length: 100, fin: true })]);
    t.expectSilence(until(325));
    t.expectSend(at(325), [ping()], [streamData({ stream: 1, offset: 0, length: 100, fin: true })]);
  });

  it('a FIN by itself that was lost goes again by itself', () => {
    const t = Script.accepted();
    t.fill(at(0), 1);
    t.app(at(0), (app) => app.finish(1));
    t.expectSend(at(0), [fin(1, 1_160)]);
    t.ack(at(100), [2]);
    t.expectSilence(until(375));
    t.expectSend(at(375), [ping()], [fin(1, 1_160)]);
  });

  it('the same ACK twice changes nothing', () => {
    const t = Script.accepted();
    t.fill(at(0), 4);
    t.ack(at(100), [[2, 3]]);
    const before = t.window;
    t.ack(at(100), [[2, 3]]);
    t.expect('window', t.window, before);
    t.expectSilence(until(300));
  });

  it('an ACK frame that was overtaken by a newer one still counts for what it names', () => {
    const t = Script.accepted();
    t.fill(at(0), 2);
    t.app(at(0), (app) => app.finish(1));
    t.take(at(0));
    t.ack(at(100), [4]);
    t.expectSilence(until(101));
    t.ack(at(101), [[2, 3]]);
    t.expectEvent('acknowledged', { stream: 1 });
    t.expectSilence(until(2_000));
  });

  it('while a loss waits for its time no probe goes out', () => {
    const t = Script.accepted({ rtt: 10 });
    t.fill(at(0), 2);
    // 9/8 of 50 ms are later than the probe timeout of 55 ms would have been.
    t.ack(at(50), [3]);
    t.expectSilence(until(56.25));
    t.expectSend(at(56.25), [streamData({ stream: 1, offset: 0 })]);
  });

  it('all that was in a lost packet of many short streams goes again', () => {
    const t = Script.open();
    t.app(at(0), (app) => {
      for (let i = 0; i < 3; i++) app.write(app.open() as number, 10);
    });
    t.expect('packets', t.take(at(0)).length, 1);
    t.app(at(0), (app) => app.write(0, 3_400));
    t.expect('packets', t.take(at(0)).length, 3);
    t.ack(at(100), [[2, 4]]);
    const again = t.take(at(100));
    const streams = again.flatMap(({ frames }) => frames).filter((frame) => frame.kind === 'stream-data');
    t.expect('streams sent again', streams.map(({ stream, offset }) => `${stream}@${offset}`).sort(), [
      '0@0',
      '2@0',
      '4@0',
    ]);
    t.expect('no larger than the base', Math.max(...again.map(({ size }) => size)) <= MTU, true);
  });
});
