import { describe, it } from 'vitest';
import {
  anyAck,
  fin,
  maxData,
  maxStreamData,
  maxStreams,
  ping,
  reset,
  stop,
  streamData,
  streamOpen,
} from './frames.ts';
import { at, Script, until } from './script.ts';

const WINDOW = 262_144;
const TUNNEL = 1_048_576;

/** RFC 9000 §4 at its edges, as a sender: what the peer may do with its limits, and when. */
describe('credit that comes at odd times', () => {
  it('for a stream that we reset changes nothing', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => {
      app.write(1, 100);
      app.reset(1, 3);
    });
    t.take(at(0));
    t.recv(at(10), [maxStreamData(1, 2 ** 40)]);
    t.take(at(40));
    t.expectSilence(until(300));
  });

  it('for a stream that we finished lets nothing more out than was written', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => {
      app.write(1, 10);
      app.finish(1);
    });
    t.expectSend(at(0), [streamData({ stream: 1, offset: 0, length: 10, fin: true })]);
    t.recv(at(10), [maxStreamData(1, 2 ** 40), maxData(2 ** 40)]);
    t.expect(
      'frames',
      t
        .take(at(40))
        .flatMap(({ frames }) => frames.map(({ kind }) => kind))
        .join(),
      'ack',
    );
    t.expectSilence(until(300));
  });

  it('before anything was written counts for what is written later', () => {
    const t = Script.accepted();
    t.recv(at(0), [maxStreamData(1, WINDOW + 1_000)]);
    t.take(at(30));
    t.app(at(30), (app) => app.write(1, WINDOW));
    t.carry(at(30), 50);
    t.app(at(3_000), (app) => app.write(1, 2_000));
    t.carry(at(3_000), 50);
    t.expect('sent', t.stream(1)?.sent, WINDOW + 1_000);
  });

  it('for the tunnel alone frees nothing on a stream that is at its own limit', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, WINDOW));
    const time = t.carry(at(0), 50);
    t.app(time, (app) => app.write(1, 1_000));
    t.recv(time + 10, [maxData(2 ** 40)]);
    t.take(time + 40);
    t.expectSilence(until(time + 2_000));
    t.expect('sent', t.stream(1)?.sent, WINDOW);
  });

  it('for the stream alone frees nothing while the tunnel is at its limit, and both free what both allow', () => {
    const t = Script.open();
    const ids = t.app(at(0), (app) => {
      const opened = Array.from({ length: 5 }, () => app.open() as number);
      for (const id of opened.slice(0, 4)) app.write(id, WINDOW);
      return opened;
    });
    let time = t.carry(at(0), 50, 400);
    t.expect('sent', t.streams.sent, TUNNEL);
    const [first, , , , last] = ids as [number, number, number, number, number];
    t.app(time, (app) => {
      app.write(first, 1_000);
      app.write(last, 1_000);
    });
    t.recv(time + 10, [maxStreamData(first, WINDOW + 500)]);
    t.take(time + 40);
    t.expectSilence(until(time + 1_000));
    time += 1_000;
    // Seven bytes for all: they go to whoever's turn it is, and not one more.
    t.recv(time, [maxData(TUNNEL + 7)]);
    t.carry(time, 50);
    t.expect('sent', t.streams.sent, TUNNEL + 7);
    t.recv(time + 500, [maxData(2 ** 40)]);
    t.carry(time + 500, 50);
    t.expect('the first', t.stream(first)?.sent, WINDOW + 500);
    t.expect('the last', t.stream(last)?.sent, 1_000);
  });

  it('in every packet, one byte more each time, makes a packet for each and never a probe for credit', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, WINDOW));
    let time = t.carry(at(0), 50);
    t.app(time, (app) => app.write(1, 100));
    for (let i = 1; i <= 20; i++) {
      t.recv(time, [maxStreamData(1, WINDOW + i)]);
      const sent = t.take(time).flatMap(({ frames }) => frames.filter(({ kind }) => kind === 'stream-data'));
      t.expect('frames', sent.length, 1);
      t.ackAll(time);
      time += 10;
    }
    t.expect('sent', t.stream(1)?.sent, WINDOW + 20);
    t.take(time + 30);
    t.expectSilence(until(time + 5_000));
  });

  for (const limit of [0, 1, WINDOW - 1, WINDOW]) {
    it(`of ${limit} for a stream is no more than the first limit, and takes nothing back`, () => {
      const t = Script.accepted();
      t.recv(at(0), [maxStreamData(1, limit)]);
      t.take(at(30));
      t.app(at(30), (app) => app.write(1, WINDOW));
      t.carry(at(30), 50);
      t.expect('sent', t.stream(1)?.sent, WINDOW);
    });
  }

  it('for streams that comes before it is needed is not told', () => {
    const t = Script.open();
    t.recv(at(0), [maxStreams(200)]);
    t.take(at(30));
    t.expectNoEvent('streams-available');
    t.app(at(30), (app) => {
      for (let i = 0; i < 200; i++) t.expect('number', app.open(), 2 * i);
      t.expect('one too many', app.open(), 'stream-limit');
    });
    t.take(at(30));
    // The same once more is no news; one more is.
    t.recv(at(31), [maxStreams(200)]);
    t.take(at(60));
    t.expectNoEvent('streams-available');
    t.recv(at(61), [maxStreams(201)]);
    t.expectEvent('streams-available');
  });
});

describe('credit that we give, at its edges', () => {
  it('a reset with a final size at exactly the limit is within it', () => {
    const t = Script.accepted();
    t.recv(at(0), [reset({ stream: 1, finalSize: WINDOW })]);
    t.take(at(0));
    t.expect('state', t.state, 'open');
    t.expectEvent('reset', { stream: 1 });
  });

  it('a FIN at exactly the limit, all before it missing, is within it', () => {
    const t = Script.accepted();
    t.recv(at(0), [fin(1, WINDOW)]);
    t.take(at(30));
    t.expect('state', t.state, 'open');
    t.expect('received', t.streams.received, WINDOW);
  });

  it('what a refused stream sends uses up credit and gives it back at once', () => {
    const t = Script.open();
    t.recv(at(0), [streamOpen({ stream: 1, port: 9 })]);
    t.take(at(0));
    for (let i = 0; i < 20; i++) {
      t.recv(at(10 + i), [streamData({ stream: 1, offset: 13_000 * i, length: 13_000 })]);
      t.take(at(10 + i));
    }
    t.expect('held', t.streams.received - t.streams.taken, 0);
    t.expect('memory', t.stream(1)?.memory, 0);
    t.expect('its own limit stands', t.stream(1)?.receiveLimit, WINDOW);
  });

  it('a refused stream that goes on beyond its limit breaks it like any other', () => {
    const t = Script.open();
    t.recv(at(0), [streamOpen({ stream: 1, port: 9 })]);
    t.take(at(0));
    t.recv(at(10), [streamData({ stream: 1, offset: WINDOW, length: 1 })]);
    t.expectClosed('FLOW_CONTROL');
  });

  it('streams that are opened and reset in a loop leave the tunnel’s credit as large as it was', () => {
    const t = Script.open();
    t.app(at(0), (app) => app.listen(80, 1_000));
    for (let i = 0; i < 100; i++) {
      const stream = 2 * i + 1;
      t.recv(at(10 * i), [
        streamOpen({ stream }),
        streamData({ stream, length: 1 }),
        reset({ stream, finalSize: 200_000 }),
        stop({ stream, code: 0 }),
      ]);
      t.take(at(10 * i));
      t.app(at(10 * i), (app) => app.accept(stream));
      t.ackAll(at(10 * i + 1));
      t.take(at(10 * i + 9));
    }
    // Twenty times the window went through as final sizes alone.
    t.expect('state', t.state, 'open');
    t.expect('received', t.streams.received, 100 * 200_000);
    t.expect('held', t.streams.received - t.streams.taken, 0);
    t.expect('ahead of it', t.streams.receiveLimit - t.streams.received >= 0.75 * TUNNEL, true);
  });

  it('a limit that is on its way in a lost packet is no limit that the peer is held to the less', () => {
    const t = Script.accepted();
    t.recv(at(0), [streamData({ stream: 1, length: 50_000 })]);
    t.take(at(0));
    t.recv(at(0), [streamData({ stream: 1, offset: 50_000, length: 50_000 })]);
    t.take(at(1));
    t.app(at(1), (app) => app.read(1));
    const raised = t.take(at(1));
    t.expect(
      'a limit went out',
      raised.some(({ frames }) => frames.some(({ kind }) => kind === 'max-stream-data')),
      true,
    );
    t.drop(...raised.map(({ number }) => number));
    // The peer was not told, and may not know; but we gave it, and hold to it.
    t.recv(at(2), [streamData({ stream: 1, offset: WINDOW, length: 50_000 })]);
    t.take(at(30));
    t.expect('state', t.state, 'open');
  });

  it('a PING in the place of data moves no limit', () => {
    const t = Script.accepted();
    for (let i = 0; i < 50; i++) {
      t.recv(at(i), [ping()]);
      t.expectSend(at(i), [anyAck()]);
    }
  });
});
