import { describe, it } from 'vitest';
import { datagram, ping, streamData } from './frames.ts';
import { at, MTU, Script, until } from './script.ts';

const INITIAL = 10 * MTU;

/** RFC 9002 §7 with AIMD: what the window does, and what it allows. */
describe('the congestion window', () => {
  it('begins with ten packets, and lets no eleventh out', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 100_000));
    t.expect('packets', t.take(at(300)).length, 10);
    t.expect('window', t.window, INITIAL);
  });

  it('grows in slow start by what is acknowledged', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.ack(at(100), [[2, 11]]);
    const sizes = t.allSent.slice(-10).reduce((sum, { size }) => sum + size, 0);
    t.expect('window', t.window, INITIAL + sizes);
  });

  it('grows by each ACK, however they are divided', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    for (let i = 0; i < 10; i++) t.ack(at(100), [2 + i]);
    const sizes = t.allSent.slice(-10).reduce((sum, { size }) => sum + size, 0);
    t.expect('window', t.window, INITIAL + sizes);
  });

  it('does not grow while the program leaves it unused', () => {
    const t = Script.accepted();
    for (let i = 0; i < 20; i++) {
      t.fill(at(200 * i), 2);
      t.ackAll(at(200 * i + 100));
    }
    t.expect('window', t.window, INITIAL);
  });

  it('loses a fifth for a loss while no queue shows in the round trip', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.ack(at(100), [[3, 11]]);
    const grown =
      INITIAL +
      t.allSent
        .slice(-10)
        .filter(({ number }) => number >= 3 && number <= 11)
        .reduce((sum, { size }) => sum + size, 0);
    t.take(at(100));
    t.expect('window', t.window, Math.floor(grown * 0.8));
  });

  it('shrinks for a loss, and slow start ends', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.ack(at(100), [[3, 11]]);
    t.expect('smaller', t.window < INITIAL + 9 * MTU, true);
    t.expect('slow start', t.isSlowStart, false);
    t.take(at(100));
  });

  it('is halved for a loss while a queue shows in the round trip', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    for (const number of [2, 3, 4]) t.ack(at(300), [number]);
    const before = t.window;
    t.ack(at(300), [[6, 11]]);
    t.expect('window', t.window, Math.floor((before + 5 * MTU + t.packet(11).size) / 2));
    t.take(at(300));
  });

  it('shrinks once for all losses of one round trip', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.ack(at(100), [5]);
    const after = t.window;
    t.take(at(100));
    t.ack(at(101), [[9, 11]]);
    t.take(at(101));
    t.expect('window', t.window, after);
  });

  it('does not grow for what was sent before it shrank', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.ack(at(100), [5]);
    t.take(at(100));
    const after = t.window;
    t.ack(at(105), [[6, 11]]);
    t.take(at(105));
    t.expect('window', t.window, after);
  });

  it('shrinks again for a loss among what was sent after it shrank', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.ack(at(100), [[3, 11]]);
    t.take(at(100));
    const first = t.window;
    t.fill(at(150), 5);
    const last = t.lastNumber;
    t.ack(at(250), [last]);
    t.take(at(250));
    t.expect('smaller', t.window < first, true);
  });

  it('is as it was before once all losses have proved spurious', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.ack(at(100), [[3, 11]]);
    t.take(at(100));
    const shrunk = t.window;
    t.ack(at(101), [2]);
    t.take(at(101));
    t.expect('restored', t.window > shrunk && t.window >= INITIAL, true);
  });

  it('stays small while one of two losses is real', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.ack(at(100), [[4, 11]]);
    t.take(at(100));
    const shrunk = t.window;
    t.ack(at(101), [2]);
    t.take(at(101));
    t.expect('window', t.window, shrunk);
  });

  it('is two packets after persistent congestion', () => {
    const t = Script.accepted();
    t.fill(at(0), 1);
    t.ack(at(100), [2]);
    // Three timeouts are 825 ms: all that goes out from 200 to 2,000 ms is lost.
    for (let time = 200; time <= 2_000; time += 200) {
      t.take(time);
      t.app(time, (app) => app.write(1, 100));
    }
    const last = t.lastNumber;
    t.take(at(2_050));
    t.app(at(2_050), (app) => app.write(1, 100));
    t.take(at(2_050));
    t.ack(at(2_150), [t.lastNumber]);
    t.expect('some were lost', last > 10, true);
    t.expect('window', t.window, 2 * MTU);
  });

  it('one packet that arrives within the stretch keeps congestion from being persistent', () => {
    const t = Script.accepted();
    t.fill(at(0), 1);
    t.ack(at(100), [2]);
    let middle = 0;
    for (let time = 200; time <= 1_400; time += 100) {
      t.take(time);
      t.app(time, (app) => app.write(1, 100));
      if (time === 800) middle = t.take(time).at(-1)!.number;
    }
    t.take(at(1_450));
    t.app(at(1_450), (app) => app.write(1, 100));
    t.take(at(1_450));
    t.ack(at(1_550), [middle, t.lastNumber]);
    t.take(at(1_550));
    t.expect('window', t.window > 2 * MTU, true);
  });

  it('is not touched by the loss of packets that ask for no ACK', () => {
    const t = Script.accepted();
    for (let i = 0; i < 5; i++) {
      t.recv(at(i), [ping()]);
      t.take(at(i));
    }
    t.fill(at(10), 3);
    t.ackAll(at(110));
    const before = t.window;
    t.fill(at(120), 4);
    t.ack(at(220), [[t.lastNumber - 3, t.lastNumber]]);
    t.expect('window', t.window >= before, true);
  });

  it('holds datagrams back as it does streams', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => {
      for (let i = 0; i < 30; i++) app.datagram(1_100);
    });
    t.expect('packets', t.take(at(300)).length <= 10, true);
    t.ackAll(at(300));
    t.expect('more', t.take(at(320)).length > 0, true);
  });

  it('counts datagrams and stream bytes alike', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => {
      for (let i = 0; i < 5; i++) app.datagram(1_100);
      app.write(1, 50_000);
    });
    const bytes = t.take(at(300)).reduce((sum, { size }) => sum + size, 0);
    t.expect('in flight', bytes <= INITIAL && bytes > INITIAL - MTU, true);
  });

  it('lets ACKs pass when it is full', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.recv(at(10), [ping()]);
    t.expect('ACKs', t.take(at(10)).length, 1);
  });

  it('spreads what an ACK frees over the round trip', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 200_000));
    t.ackAll(at(100));
    const atOnce = t.take(at(100)).length;
    const later = t.take(at(199)).length;
    t.expect('not all at once', atOnce <= 10 && later >= 5, true);
  });

  for (const congestion of ['AIMD', 'CUBIC', 'BBR'] as const) {
    it(`with ${congestion} never holds more than it says in flight but for probes`, () => {
      const t = Script.accepted({ config: { congestion } });
      t.app(at(0), (app) => app.write(1, 262_144));
      let acked = 1;
      for (let time = 0; time < 1_000; time += 100) {
        t.take(time);
        const inFlight = t.allSent.filter(({ number }) => number > acked).reduce((sum, { size }) => sum + size, 0);
        t.expect(`in flight at ${time} ms`, inFlight <= t.window, true);
        acked = t.lastNumber;
        t.ackAll(time);
      }
    });

    it(`with ${congestion} all of a lossy transfer arrives`, () => {
      const t = Script.accepted({ config: { congestion } });
      t.app(at(0), (app) => {
        app.write(1, 100_000);
        app.finish(1);
      });
      let time = 0;
      for (let round = 0; round < 200 && t.stream(1)?.sending !== 'data-recvd'; round++) {
        for (const { number } of t.take(time)) if (number % 5 === 2) t.drop(number);
        t.ackAll(time);
        time += 100;
      }
      t.expectEvent('acknowledged', { stream: 1 });
    });
  }
});

describe('datagrams beside streams', () => {
  it('share a packet with bytes, and go before them', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.app(at(1), (app) => app.write(1, 50));
    t.app(at(1), (app) => app.datagram(30));
    t.expectSilence(until(100));
    t.ack(at(100), [[2, 11]]);
    t.expectSend(at(100), [datagram({ length: 30 }), streamData({ stream: 1, length: 50 })]);
  });

  it('a received one is told beside the bytes of its packet', () => {
    const t = Script.accepted();
    t.recv(at(0), [datagram({ length: 30, port: 9 }), streamData({ stream: 1, length: 5 })]);
    t.expectEvent('datagram', { port: 9, length: 30 });
    t.take(at(25));
    t.expect(
      'read',
      t.app(at(30), (app) => app.read(1)),
      5,
    );
  });

  it('of more than 64 that wait the oldest give way', () => {
    const t = Script.accepted();
    t.fill(at(0), 10);
    t.app(at(1), (app) => {
      for (let i = 0; i < 70; i++) app.datagram(10 + i);
    });
    t.ack(at(100), [[2, 11]]);
    const frames = t.take(at(200)).flatMap((packet) => packet.frames);
    const lengths = frames.flatMap((frame) => (frame.kind === 'datagram' ? [frame.data.length] : []));
    t.expect(
      'lengths',
      lengths,
      Array.from({ length: 64 }, (_, i) => 16 + i),
    );
  });
});
