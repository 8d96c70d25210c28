import { describe, it } from 'vitest';
import { ack, anyAck, padding, ping, streamData, streamOpen } from './frames.ts';
import { at, MTU, Script, type SentPacket, until } from './script.ts';

const ETHERNET = 1_472;

function open(mtuMax = ETHERNET): Script {
  return Script.open({ config: { mtuMax } });
}

/** More than a packet holds. */
const LARGE = 2_000;

/** The first packet of what is larger, and the probe that it brings along. */
function expectProbe(t: Script): SentPacket {
  t.expectSend(at(0), [streamOpen({ stream: 0 }), streamData({ stream: 0, offset: 0 })]);
  return t.expectSend(at(0), [ping(), padding()]);
}

function writeLarge(t: Script, length: number = LARGE): void {
  t.app(at(0), (app) => app.write(app.open() as number, length));
}

/** A path that has been found to carry Ethernet's 1,472 bytes, with stream 1 taken and the first bytes of it acknowledged. */
function searched(): Script {
  const t = open();
  t.app(at(0), (app) => app.listen());
  t.recv(at(0), [streamOpen({ stream: 1 })]);
  t.take(at(0));
  t.app(at(0), (app) => {
    app.accept(1);
    app.write(1, LARGE);
  });
  t.take(at(0));
  t.ackAll(at(100));
  t.take(at(100));
  return t;
}

/** RFC 8899: the search for the largest packet that the path carries. */
describe('the search for the path MTU', () => {
  it('begins with a probe of the largest packet, of PING and PADDING, after the first packet that does not hold all', () => {
    const t = open();
    writeLarge(t);
    const probe = expectProbe(t);
    t.expect('size', probe.size, ETHERNET);
    t.expectSend(at(0), [streamOpen({ stream: 0 }), streamData({ stream: 0, offset: 1_156, length: LARGE - 1_156 })]);
  });

  it('does not begin where packets of the base hold all that there is to send', () => {
    const t = open();
    t.expectSilence(until(1_000));
    const stream = t.app(at(1_000), (app) => app.open() as number);
    for (let time = 1_100; time < 10_000; time += 200) {
      t.take(time);
      t.app(time, (app) => app.write(stream, 1_000));
      t.take(time);
      t.ackAll(time + 99);
    }
    t.expect('none larger', Math.max(...t.allSent.map(({ size }) => size)) <= MTU, true);
  });

  it('asks for nothing where the base is all that can be sent', () => {
    const t = open(MTU);
    writeLarge(t);
    t.take(at(0));
    t.expect('largest', Math.max(...t.allSent.map(({ size }) => size)), MTU);
  });

  it('takes an acknowledged probe for the size of packets', () => {
    const t = searched();
    t.app(at(101), (app) => app.write(1, 10_000));
    t.expect('largest', Math.max(...t.take(at(101)).map(({ size }) => size)), ETHERNET);
  });

  it('sends no packet beyond the base before', () => {
    const t = open();
    writeLarge(t, 8_000);
    expectProbe(t);
    t.expect('largest', Math.max(...t.take(at(0)).map(({ size }) => size)), MTU);
  });

  it('lost probes are no sign of congestion', () => {
    const t = open();
    writeLarge(t, 10_000);
    t.drop(expectProbe(t).number);
    t.take(at(0));
    const before = t.window;
    t.ackAll(at(100));
    t.take(at(100));
    t.expect('window', t.window >= before, true);
    t.expect('slow start goes on', t.isSlowStart, true);
  });

  it('after three lost probes of one size goes on to a smaller one', () => {
    const t = open();
    const sizes: number[] = [];
    const stream = t.app(at(0), (app) => app.open() as number);
    for (let time = 0; time < 2_000; time += 100) {
      t.take(time);
      t.app(time, (app) => app.write(stream, 4_000));
      t.take(time + 1);
      for (const { size, number } of t.allSent) {
        if (size <= MTU || sizes[number] !== undefined) continue;
        sizes[number] = size;
        t.drop(number);
      }
      t.ackAll(time + 99);
    }
    const inOrder = sizes.filter((size) => size !== undefined);
    t.expect('the first three', inOrder.slice(0, 3), [ETHERNET, ETHERNET, ETHERNET]);
    t.expect('then smaller', inOrder.length > 3 && inOrder.slice(3).every((size) => size < ETHERNET), true);
  });

  it('one probe is under way at a time', () => {
    const t = open();
    writeLarge(t, 5_000);
    expectProbe(t);
    t.expect('larger ones', t.take(at(300)).filter(({ size }) => size > MTU).length, 0);
  });

  it('a probe that is not answered is not sent again by a probe timeout', () => {
    const t = open();
    writeLarge(t);
    expectProbe(t);
    t.take(at(0));
    const first = [streamOpen({ stream: 0 }), streamData({ stream: 0 })];
    t.expectSend(at(325), [ping()], first, first);
    t.expectSilence(until(975));
  });

  it('ACKs alone are not filled up', () => {
    const t = searched();
    t.recv(at(101), [ping()]);
    const sent = t.expectSend(at(101), [anyAck()]);
    t.expect('small', sent.size < 100, true);
  });
});

describe('a path that has come to carry less', () => {
  /** From 200 ms on packets above the base vanish; for so long. */
  function shrink(t: Script, span: number): void {
    t.take(at(200));
    t.app(at(200), (app) => app.write(1, 100_000));
    for (let time = 200; time < 200 + span; time += 100) {
      for (const { number, size } of t.take(time)) if (size > MTU) t.drop(number);
      t.ackAll(time + 50);
      for (const { number, size } of t.take(time + 50)) if (size > MTU) t.drop(number);
    }
  }

  it('is found out, and packets go back to 1,200 bytes', () => {
    const t = searched();
    shrink(t, 4_000);
    const last = t.allSent.filter(({ at: time }) => time > 3_300);
    const small = t.allSent.filter(({ at: time, size }) => time > 200 && size === MTU);
    t.expect('large ones at the end', last.filter(({ size }) => size > MTU).length, 0);
    t.expect('full small ones', small.length > 0, true);
  });

  it('lets through what the first probe timeout repeats, and all that is new, until something is answered', () => {
    const t = searched();
    t.app(at(200), (app) => app.write(1, 4_000));
    const large = t.take(at(200));
    t.expect('sizes', [large.length, large[0]!.size], [3, ETHERNET]);
    t.drop(...large.map(({ number }) => number));
    // Two samples of 100 ms: 100 + 4 × 37.5 + 25.
    t.expectSilence(until(475));
    const first = streamData({ stream: 1, offset: LARGE });
    // The two oldest, of 1,435 and 1,434 bytes, in three packets.
    t.expectSend(at(475), [ping()], [first], [streamData({ stream: 1 })], [streamData({ stream: 1 })]);
    t.app(at(480), (app) => app.write(1, 3_000));
    t.take(at(480));
    const small = t.allSent.filter(({ at: time }) => time >= 475);
    t.expect('no larger than the base', Math.max(...small.map(({ size }) => size)), MTU);
    t.ackAll(at(575));
    t.take(at(575));
    t.app(at(600), (app) => app.write(1, 10_000));
    t.expect('largest, once answered', Math.max(...t.take(at(600)).map(({ size }) => size)), ETHERNET);
  });

  it('is found out by the second flight, whose bytes go again at once and small, at no cost to the window', () => {
    const t = searched();
    t.app(at(200), (app) => app.write(1, 60_000));
    t.drop(...t.take(at(200)).map(({ number }) => number));
    t.expectSend(at(475), [ping()], [streamData({ stream: 1, offset: LARGE })]);
    t.ackAll(at(575));
    const second = t.take(at(575));
    t.expect('a second flight', second.length > 2 && second.every(({ size }) => size === ETHERNET), true);
    t.drop(...second.map(({ number }) => number));
    const { window } = t;
    // Three samples of 100 ms: 100 + 4 × 28.125 + 25.
    t.expectSilence(until(812.5));
    t.expectSend(at(812.5), [ping()], [streamData({ stream: 1 })]);
    t.ackAll(at(912.5));
    const again = t.take(at(912.5));
    t.expect('sizes', new Set(again.map(({ size }) => size)), new Set([MTU]));
    t.expect('window', t.window >= window, true);
    t.expect('window is full', again.reduce((sum, { size }) => sum + size, 0) > window - MTU, true);
  });

  it('loses nothing: all bytes arrive in small packets', () => {
    const t = searched();
    t.app(at(150), (app) => app.write(1, 1_000));
    shrink(t, 8_000);
    t.expect('buffered', t.stream(1)?.buffered, 0);
  });

  it('is left alone for a minute, then searched again', () => {
    const t = searched();
    shrink(t, 8_000);
    const count = t.allSent.filter(({ size }) => size > MTU).length;
    let time = 8_300;
    for (; time < 50_000; time += 1_000) t.ackAll(time);
    t.expect('no probe yet', t.allSent.filter(({ size }) => size > MTU).length, count);
    for (; time < 75_000; time += 500) {
      t.take(time);
      t.app(time, (app) => app.write(1, LARGE));
      t.ackAll(time + 100);
    }
    t.expect('probes', t.allSent.filter(({ size }) => size > MTU).length > count, true);
  });

  it('is not found out from losses that small packets share', () => {
    const t = searched();
    t.app(at(200), (app) => app.write(1, 20_000));
    const sent = t.take(at(200));
    t.ack(at(300), [sent.at(-1)!.number]);
    t.take(at(300));
    t.ackAll(at(400));
    t.take(at(400));
    t.app(at(450), (app) => app.write(1, 10_000));
    t.expect('largest', Math.max(...t.take(at(500)).map(({ size }) => size)), ETHERNET);
  });

  it('an ACK of packets large and small keeps the size', () => {
    const t = searched();
    for (let i = 0; i < 5; i++) {
      t.app(at(200 + 200 * i), (app) => app.write(1, 5_000));
      const sent = t.take(at(200 + 200 * i));
      t.recv(at(300 + 200 * i), [ack([[sent[0]!.number, sent.at(-1)!.number]])]);
    }
    t.app(at(2_000), (app) => app.write(1, 5_000));
    t.expect('largest', Math.max(...t.take(at(2_000)).map(({ size }) => size)), ETHERNET);
  });
});
