import { describe, it } from 'vitest';
import {
  ack,
  anyAck,
  close,
  type FrameSpec,
  fin,
  maxStreamData,
  ping,
  reset,
  stop,
  streamData,
  streamOpen,
} from './frames.ts';
import { at, Script, until } from './script.ts';

/** RFC 9000 §3: the two halves of a stream, each to its end in every way and order. */
describe('half-close', () => {
  type Side = readonly [name: string, act: (t: Script, time: number) => void, event?: string];
  const ours: readonly Side[] = [
    [
      'we finish',
      (t, time) => {
        t.app(time, (app) => {
          app.write(1, 10);
          app.finish(1);
        });
        t.expectSend(time, [streamData({ stream: 1, offset: 0, length: 10, fin: true })]);
      },
      'acknowledged',
    ],
    [
      'we finish without a byte',
      (t, time) => {
        t.app(time, (app) => app.finish(1));
        t.expectSend(time, [fin(1, 0)]);
      },
      'acknowledged',
    ],
    [
      'we reset',
      (t, time) => {
        t.app(time, (app) => {
          app.write(1, 10);
          app.reset(1, 3);
        });
        t.take(time);
      },
    ],
    [
      'the peer stops us',
      (t, time) => {
        t.recv(time, [stop({ stream: 1, code: 8 })]);
        t.expectSend(time, [anyAck(), reset({ stream: 1, code: 8, finalSize: 0 })]);
      },
      'stopped',
    ],
  ];
  const theirs: readonly Side[] = [
    [
      'the peer finishes',
      (t, time) => {
        t.recv(time, [streamData({ stream: 1, offset: 0, length: 10, fin: true })]);
        t.expect(
          'read',
          t.app(time, (app) => app.read(1)),
          10,
        );
      },
      'finished',
    ],
    [
      'the peer finishes without a byte',
      (t, time) => {
        t.recv(time, [fin(1, 0)]);
      },
      'finished',
    ],
    [
      'the peer resets',
      (t, time) => {
        t.recv(time, [reset({ stream: 1, code: 4, finalSize: 100 })]);
      },
      'reset',
    ],
    [
      'we stop the peer, which resets',
      (t, time) => {
        t.app(time, (app) => app.stop(1, 6));
        t.expectSend(time, [stop({ stream: 1, code: 6 })]);
        t.recv(time + 1, [reset({ stream: 1, code: 6, finalSize: 0 })]);
      },
    ],
  ];

  for (const [ourName, ourAct, ourEvent] of ours) {
    for (const [theirName, theirAct, theirEvent] of theirs) {
      it(`${ourName}, then ${theirName}: both are told and the stream is forgotten`, () => {
        const t = Script.accepted();
        ourAct(t, at(0));
        t.ackAll(at(50));
        if (ourEvent !== undefined) t.expectEvent(ourEvent, { stream: 1 });
        t.expectNoEvent('closed');
        theirAct(t, at(100));
        if (theirEvent !== undefined) t.expectEvent(theirEvent, { stream: 1 });
        t.expectEvent('closed', { stream: 1 });
        t.expect('stream', t.stream(1), undefined);
        t.ackAll(at(200));
        t.expectSilence(until(5_000));
      });

      it(`${theirName}, then ${ourName}: both are told and the stream is forgotten`, () => {
        const t = Script.accepted();
        theirAct(t, at(0));
        t.take(at(40));
        if (theirEvent !== undefined) t.expectEvent(theirEvent, { stream: 1 });
        t.expectNoEvent('closed');
        ourAct(t, at(100));
        t.ackAll(at(150));
        if (ourEvent !== undefined) t.expectEvent(ourEvent, { stream: 1 });
        t.expectEvent('closed', { stream: 1 });
        t.expect('stream', t.stream(1), undefined);
        t.expectSilence(until(5_000));
      });
    }
  }

  it('a half that we finished leaves the other open for long', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.finish(1));
    t.expectSend(at(0), [fin(1, 0)]);
    t.ackAll(at(100));
    for (let i = 0; i < 5; i++) {
      t.recv(at(1_000 + 1_000 * i), [streamData({ stream: 1, offset: 10 * i, length: 10 })]);
      t.take(at(1_500 + 1_000 * i));
      t.expect(
        'read',
        t.app(at(1_500 + 1_000 * i), (app) => app.read(1)),
        10,
      );
    }
    t.expectNoEvent('closed');
  });

  it('a half that the peer finished leaves ours open for long', () => {
    const t = Script.accepted();
    t.recv(at(0), [fin(1, 0)]);
    t.expectEvent('finished', { stream: 1 });
    t.take(at(30));
    for (let i = 0; i < 5; i++) {
      t.app(at(1_000 + 1_000 * i), (app) => app.write(1, 10));
      t.expectSend(at(1_000 + 1_000 * i), [streamData({ stream: 1, offset: 10 * i, length: 10 })]);
      t.ackAll(at(1_100 + 1_000 * i));
    }
    t.expectNoEvent('closed');
  });

  it('both finish at once: the FINs cross and both halves end', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.finish(1));
    t.expectSend(at(0), [fin(1, 0)]);
    t.recv(at(10), [fin(1, 0)]);
    t.expectEvent('finished', { stream: 1 });
    t.take(at(40));
    t.ackAll(at(100));
    t.expectEvent('acknowledged', { stream: 1 });
    t.expectEvent('closed', { stream: 1 });
  });

  it('both reset at once: the resets cross and both halves end', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.reset(1, 1));
    t.expectSend(at(0), [reset({ stream: 1, code: 1, finalSize: 0 })]);
    t.recv(at(10), [reset({ stream: 1, code: 2, finalSize: 0 })]);
    t.expectEvent('reset', { stream: 1, code: 2 });
    t.take(at(40));
    t.ackAll(at(100));
    t.expectEvent('closed', { stream: 1 });
  });

  it('both stop at once: each is answered with a reset', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.stop(1, 1));
    t.expectSend(at(0), [stop({ stream: 1, code: 1 })]);
    t.recv(at(10), [stop({ stream: 1, code: 2 })]);
    t.expectSend(at(10), [anyAck(), reset({ stream: 1, code: 2, finalSize: 0 })]);
    t.recv(at(20), [reset({ stream: 1, code: 1, finalSize: 0 })]);
    t.take(at(20));
    t.ackAll(at(100));
    t.expectEvent('closed', { stream: 1 });
  });
});

describe('what is received on a stream', () => {
  it('a FIN is told only when all bytes before it have been read', () => {
    const t = Script.accepted();
    t.recv(at(0), [fin(1, 20)]);
    t.expectNoEvent('finished');
    t.recv(at(1), [streamData({ stream: 1, offset: 0, length: 20 })]);
    t.expectEvent('readable', { stream: 1 });
    t.expectNoEvent('finished');
    t.take(at(1));
    t.app(at(2), (app) => app.read(1));
    t.expectEvent('finished', { stream: 1 });
  });

  it('a FIN that comes twice is told once', () => {
    const t = Script.accepted();
    t.recv(at(0), [fin(1, 0)]);
    t.expectEvent('finished');
    t.recv(at(1), [fin(1, 0)]);
    t.expectNoEvent('finished');
    t.take(at(30));
    t.expect('state', t.state, 'open');
  });

  it('bytes that come in reverse order are read in order', () => {
    const t = Script.accepted();
    for (let i = 9; i >= 0; i--) {
      t.recv(at(9 - i), [streamData({ stream: 1, offset: i * 10, length: 10, fin: i === 9 })]);
      t.take(at(9 - i));
    }
    t.expect(
      'read',
      t.app(at(20), (app) => app.read(1)),
      100,
    );
    t.expectEvent('finished', { stream: 1 });
  });

  it('where bytes at one offset differ the first received stay', () => {
    const t = Script.accepted();
    t.recv(at(0), [streamData({ stream: 1, offset: 2, text: 'CD' })]);
    t.recv(at(1), [streamData({ stream: 1, offset: 0, text: 'abcdef' })]);
    t.take(at(1));
    let text = '';
    t.app(at(2), (app) => {
      for (let part = app.readText(1); part !== undefined; part = app.readText(1)) text += part;
    });
    t.expect('bytes', text, 'abCDef');
  });

  it('an empty STREAM_DATA without FIN changes nothing and is acknowledged', () => {
    const t = Script.accepted();
    t.recv(at(0), [streamData({ stream: 1, offset: 0, length: 0 })]);
    t.expect('ACKs', t.take(at(30)).length, 1);
    t.expectNoEvent('readable');
  });

  it('a reset drops what was not read', () => {
    const t = Script.accepted();
    t.recv(at(0), [streamData({ stream: 1, offset: 0, length: 50 })]);
    t.recv(at(1), [reset({ stream: 1, code: 7, finalSize: 50 })]);
    t.take(at(1));
    t.expectEvent('reset', { stream: 1, code: 7 });
    t.expect(
      'read',
      t.app(at(2), (app) => app.read(1)),
      0,
    );
  });

  it('a reset after all bytes and the FIN have come takes nothing back', () => {
    const t = Script.accepted();
    t.recv(at(0), [streamData({ stream: 1, offset: 0, length: 50, fin: true })]);
    t.recv(at(1), [reset({ stream: 1, code: 7, finalSize: 50 })]);
    t.take(at(1));
    t.expect(
      'read',
      t.app(at(2), (app) => app.read(1)),
      50,
    );
    t.expectNoEvent('reset');
    t.expectEvent('finished', { stream: 1 });
  });

  it('a reset that overtakes the FIN but not all bytes gives the half up', () => {
    const t = Script.accepted();
    t.recv(at(0), [fin(1, 50)]);
    t.recv(at(1), [reset({ stream: 1, code: 7, finalSize: 50 })]);
    t.take(at(1));
    t.expectEvent('reset', { stream: 1, code: 7 });
    t.recv(at(2), [streamData({ stream: 1, offset: 0, length: 50 })]);
    t.take(at(30));
    t.expectNoEvent('readable');
    t.expect('state', t.state, 'open');
  });

  it('a reset that comes twice is told once', () => {
    const t = Script.accepted();
    t.recv(at(0), [reset({ stream: 1, code: 7, finalSize: 5 })]);
    t.expectEvent('reset');
    t.take(at(0));
    t.recv(at(1), [reset({ stream: 1, code: 7, finalSize: 5 })]);
    t.take(at(1));
    t.expectNoEvent('reset');
    t.expect('state', t.state, 'open');
  });

  it('bytes after our STOP are taken off the wire and never told', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.stop(1, 3));
    t.expectSend(at(0), [stop({ stream: 1, code: 3 })]);
    t.recv(at(1), [streamData({ stream: 1, offset: 0, length: 500 })]);
    t.expect('ACKs', t.take(at(30)).length, 1);
    t.expectNoEvent('readable');
    t.expect('taken', t.streams.taken, 500);
  });

  it('a STOP of a stream whose FIN has come is not sent: there is nothing to spare', () => {
    const t = Script.accepted();
    t.recv(at(0), [fin(1, 10)]);
    t.take(at(25));
    t.app(at(30), (app) => app.stop(1, 3));
    t.expectSilence(until(5_000));
  });

  it('a lost STOP is said again while the peer still sends', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.stop(1, 3));
    t.expectSend(at(0), [stop({ stream: 1, code: 3 })]);
    t.expectSend(at(325), [ping()], [stop({ stream: 1, code: 3 })]);
  });

  it('a lost STOP is not said again once the reset has come', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.stop(1, 3));
    t.expectSend(at(0), [stop({ stream: 1, code: 3 })]);
    t.recv(at(100), [reset({ stream: 1, code: 3, finalSize: 0 })]);
    t.expectSend(at(100), [anyAck()]);
    t.expectSend(at(325), [ping()]);
    t.expectSilence(until(900));
  });

  const finals: readonly (readonly [string, FrameSpec, FrameSpec])[] = [
    ['a FIN below bytes that have come', streamData({ stream: 1, offset: 0, length: 20 }), fin(1, 10)],
    [
      'a reset whose final size is below bytes that have come',
      streamData({ stream: 1, length: 20 }),
      reset({ stream: 1, finalSize: 19 }),
    ],
    ['a second FIN elsewhere', fin(1, 20), fin(1, 21)],
    ['a second FIN before the first', fin(1, 20), fin(1, 19)],
    ['bytes beyond the FIN', fin(1, 20), streamData({ stream: 1, offset: 20, length: 1 })],
    ['a reset with another final size than the FIN', fin(1, 20), reset({ stream: 1, finalSize: 30 })],
    ['a FIN at another size than the reset', reset({ stream: 1, finalSize: 20 }), fin(1, 21)],
    [
      'bytes beyond the final size of the reset',
      reset({ stream: 1, finalSize: 20 }),
      streamData({ stream: 1, offset: 15, length: 6 }),
    ],
    ['a second reset with another final size', reset({ stream: 1, finalSize: 20 }), reset({ stream: 1, finalSize: 0 })],
  ];
  for (const [name, first, second] of finals) {
    it(`${name}: FINAL_SIZE`, () => {
      const t = Script.accepted();
      t.recv(at(0), [first]);
      t.take(at(0));
      t.recv(at(1), [second]);
      t.expectSend(at(1), [close(7)]);
      t.expectClosed('FINAL_SIZE');
    });
  }
});

describe('what is sent on a stream', () => {
  it('our reset is said again until it is acknowledged, as it was', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 40));
    t.expectSend(at(0), [streamData({ stream: 1, length: 40 })]);
    t.app(at(1), (app) => app.reset(1, 9));
    t.expectSend(at(1), [reset({ stream: 1, code: 9, finalSize: 40 })]);
    t.expectSend(at(325), [ping()], [reset({ stream: 1, code: 9, finalSize: 40 })]);
    t.take(at(974));
    t.expectSend(at(975), [ping()], [reset({ stream: 1, code: 9, finalSize: 40 })]);
  });

  it('bytes that were lost are not sent again after our reset', () => {
    const t = Script.accepted();
    t.fill(at(0), 4);
    t.app(at(1), (app) => app.reset(1, 9));
    t.expectSend(at(1), [reset({ stream: 1, code: 9, finalSize: 4_640 })]);
    t.ack(at(100), [[4, 6]]);
    t.expectSilence(until(5_000));
  });

  it('bytes that were written and not sent are left out of the final size of a reset', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 100_000));
    const sent = t.take(at(0));
    t.app(at(1), (app) => app.reset(1, 9));
    t.ackAll(at(100));
    const frames = t.take(at(100)).flatMap((packet) => packet.frames);
    const finalSize = frames.find((frame) => frame.kind === 'stream-reset')?.finalSize;
    t.expect('final size', finalSize === undefined || finalSize < 13_000, true);
    t.expect('some were sent', sent.length > 5, true);
  });

  it('a reset after the FIN went out has the size that the FIN said', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => {
      app.write(1, 30);
      app.finish(1);
    });
    t.expectSend(at(0), [streamData({ stream: 1, length: 30, fin: true })]);
    t.app(at(1), (app) => app.reset(1, 2));
    t.expectSend(at(1), [reset({ stream: 1, code: 2, finalSize: 30 })]);
  });

  it('a reset after all was acknowledged is not sent', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.finish(1));
    t.take(at(0));
    t.ackAll(at(100));
    t.app(at(101), (app) => app.reset(1, 2));
    t.expectSilence(until(5_000));
  });

  it('a STOP that crosses the FIN is answered with a reset', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => {
      app.write(1, 30);
      app.finish(1);
    });
    t.expectSend(at(0), [streamData({ stream: 1, length: 30, fin: true })]);
    t.recv(at(10), [stop({ stream: 1, code: 5 })]);
    t.expectSend(at(10), [anyAck(), reset({ stream: 1, code: 5, finalSize: 30 })]);
    t.expectEvent('stopped', { stream: 1, code: 5 });
  });

  it('a STOP after all was acknowledged is answered with nothing', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.finish(1));
    t.take(at(0));
    t.ackAll(at(100));
    t.recv(at(110), [stop({ stream: 1, code: 5 })]);
    t.expectSend(at(110), [anyAck()]);
    t.expectNoEvent('stopped');
  });

  it('a second STOP with another code changes nothing', () => {
    const t = Script.accepted();
    t.recv(at(0), [stop({ stream: 1, code: 5 })]);
    t.expectSend(at(0), [anyAck(), reset({ stream: 1, code: 5 })]);
    t.recv(at(1), [stop({ stream: 1, code: 6 })]);
    t.expectSend(at(1), [anyAck()]);
  });

  it('after a STOP nothing can be written', () => {
    const t = Script.accepted();
    t.recv(at(0), [stop({ stream: 1, code: 5 })]);
    t.take(at(0));
    t.expect(
      'write',
      t.app(at(1), (app) => app.write(1, 10)),
      'ended',
    );
  });

  it('after finish nothing can be written', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.finish(1));
    t.take(at(0));
    t.expect(
      'write',
      t.app(at(1), (app) => app.write(1, 10)),
      'ended',
    );
  });

  it('the FIN rides with the last bytes where it is known in time', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => {
      app.write(1, 2_000);
      app.finish(1);
    });
    const sent = t.take(at(0)).flatMap(({ frames }) => frames);
    t.expect(
      'FINs',
      sent.map((frame) => frame.kind === 'stream-data' && frame.fin),
      sent.map((_, index) => index === sent.length - 1),
    );
  });

  it('bytes acknowledged before the FIN do not end the half', () => {
    const t = Script.accepted();
    t.fill(at(0), 1);
    t.app(at(0), (app) => app.finish(1));
    const last = t.expectSend(at(0), [fin(1, 1_160)]);
    t.ack(at(100), [2]);
    t.expectNoEvent('acknowledged');
    t.ack(at(101), [last.number]);
    t.expectEvent('acknowledged', { stream: 1 });
  });

  it('a FIN acknowledged before the bytes does not end the half', () => {
    const t = Script.accepted();
    t.fill(at(0), 1);
    t.app(at(0), (app) => app.finish(1));
    const last = t.expectSend(at(0), [fin(1, 1_160)]);
    t.ack(at(100), [last.number]);
    t.expectNoEvent('acknowledged');
    t.ack(at(101), [2]);
    t.expectEvent('acknowledged', { stream: 1 });
  });

  it('a writer that filled its buffer is told when there is room again', () => {
    const t = Script.accepted({ streams: { sendBufferMax: 10_000 } });
    t.expect(
      'taken',
      t.app(at(0), (app) => app.write(1, 20_000)),
      10_000,
    );
    t.take(at(0));
    t.ackAll(at(100));
    t.expectEvent('writable', { stream: 1 });
  });
});

describe('priorities', () => {
  it('high goes before normal, and normal before bulk', () => {
    const t = Script.open();
    t.app(at(0), (app) => {
      for (const priority of [2, 1, 0] as const) app.write(app.open({ priority }) as number, 3_000);
    });
    const order = t
      .take(at(0))
      .flatMap(({ frames }) => frames)
      .flatMap((frame) => (frame.kind === 'stream-data' ? [frame.stream] : []));
    t.expect('streams in order', [...new Set(order)], [4, 2, 0]);
    t.expect(
      'strictly',
      order,
      [...order].sort((a, b) => b - a),
    );
  });

  it('streams of one priority take turns, a packet each', () => {
    const t = Script.open();
    t.app(at(0), (app) => {
      for (let i = 0; i < 3; i++) app.write(app.open() as number, 20_000);
    });
    const order = t
      .take(at(0))
      .flatMap(({ frames }) => frames)
      .flatMap((frame) => (frame.kind === 'stream-data' ? [frame.stream] : []));
    t.expect(
      'turns',
      [0, 2, 4].map((id) => order.filter((stream) => stream === id).length >= 3),
      [true, true, true],
    );
    t.expect(
      'no stream twice running',
      order.every((stream, i) => i === 0 || stream !== order[i - 1]),
      true,
    );
  });

  it('a stream of high priority that comes later overtakes what waits', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 60_000));
    t.take(at(0));
    t.app(at(50), (app) => app.write(app.open({ priority: 0 }) as number, 100));
    t.ackAll(at(100));
    const [first] = t.take(at(100));
    t.expect(
      'first',
      first?.frames.some((frame) => frame.kind === 'stream-data' && frame.stream === 0),
      true,
    );
  });
});

describe('frames about streams that are not there', () => {
  const about: readonly (readonly [string, (stream: number) => FrameSpec])[] = [
    ['STREAM_DATA', (stream) => streamData({ stream, offset: 0, length: 1 })],
    ['STREAM_RESET', (stream) => reset({ stream, code: 1, finalSize: 0 })],
    ['STREAM_STOP', (stream) => stop({ stream, code: 1 })],
    ['MAX_STREAM_DATA', (stream) => maxStreamData(stream, 1_000_000)],
  ];
  for (const [name, frame] of about) {
    it(`${name} of a stream that the peer never opened: STREAM_STATE`, () => {
      const t = Script.accepted();
      t.recv(at(0), [frame(3)]);
      t.expectSend(at(0), [close(6)]);
      t.expectClosed('STREAM_STATE');
    });

    it(`${name} of a stream that we never opened: STREAM_STATE`, () => {
      const t = Script.accepted();
      t.recv(at(0), [frame(0)]);
      t.expectSend(at(0), [close(6)]);
      t.expectClosed('STREAM_STATE');
    });

    it(`${name} of a stream beyond the limit: STREAM_LIMIT`, () => {
      const t = Script.accepted();
      t.recv(at(0), [frame(257)]);
      t.expectSend(at(0), [close(5)]);
      t.expectClosed('STREAM_LIMIT');
    });

    it(`${name} of a stream that has ended is acknowledged and ignored`, () => {
      const t = Script.accepted();
      t.recv(at(0), [fin(1, 0)]);
      t.app(at(0), (app) => app.finish(1));
      t.take(at(30));
      t.ackAll(at(100));
      t.expectEvent('closed', { stream: 1 });
      t.recv(at(110), [frame(1), ping()]);
      t.expectSend(at(110), [anyAck()]);
      t.expectNoEvent();
      t.expect('state', t.state, 'open');
    });
  }

  it('a copy of the STREAM_OPEN of a stream that has ended opens nothing', () => {
    const t = Script.accepted();
    t.recv(at(0), [fin(1, 0)]);
    t.app(at(0), (app) => app.finish(1));
    t.take(at(30));
    t.ackAll(at(100));
    t.expectEvent('closed', { stream: 1 });
    t.recv(at(110), [streamOpen({ stream: 1 })]);
    t.expectSend(at(110), [anyAck()]);
    t.expectNoEvent('opened');
    t.expect('streams', t.streams.streams.length, 0);
  });

  it('a late copy of all of a stream that has ended is acknowledged once more', () => {
    const t = Script.accepted();
    t.recv(at(0), [streamOpen({ stream: 1 }), streamData({ stream: 1, length: 5, fin: true })]);
    t.expectSend(at(0), [ack([[1, 3]])]);
    t.app(at(1), (app) => {
      app.read(1);
      app.finish(1);
    });
    t.take(at(1));
    t.ackAll(at(100));
    t.expectEvent('closed');
    t.recv(at(200), [streamOpen({ stream: 1 }), streamData({ stream: 1, length: 5, fin: true })]);
    t.expectSend(at(200), [anyAck()]);
  });
});
