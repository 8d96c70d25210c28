import { describe, it } from 'vitest';
import {
  ack,
  anyAck,
  close,
  type FrameSpec,
  fin,
  maxData,
  maxStreamData,
  maxStreams,
  ping,
  reset,
  streamData,
  streamOpen,
} from './frames.ts';
import { at, Script, until } from './script.ts';

const STREAM = 262_144;
const TUNNEL = 1_048_576;
const QUARTER = STREAM / 4;

/** `length` bytes at `offset`, in as many packets as they need. */
function give(t: Script, time: number, stream: number, offset: number, length: number): void {
  for (let done = 0; done < length; done += 64_000) {
    t.recv(time, [streamData({ stream, offset: offset + done, length: Math.min(64_000, length - done) })]);
    t.take(time);
  }
}

/** Streams 1, 3, 5 and 7, filled to their limits: all that the tunnel allows at first. */
function fillTunnel(t: Script): void {
  for (const stream of [1, 3, 5, 7]) {
    if (stream > 1) t.recv(at(0), [streamOpen({ stream })]);
    t.take(at(0));
    give(t, at(0), stream, 0, STREAM);
  }
}

/** The limits that were sent, of that kind, in order. */
/** The limits that were told, but for the one with which stream 1 was taken. */
function limits(t: Script, kind: 'max-data' | 'max-stream-data'): number[] {
  const frames = t.allSent.filter(({ number }) => number > 1).flatMap((packet) => packet.frames);
  return frames.flatMap((frame) => (frame.kind === kind ? [frame.limit] : []));
}

/** An endpoint that has sent as much on stream 1 as it may. */
function exhausted(options: { readonly extra?: number } = {}): { t: Script; time: number } {
  const t = Script.accepted();
  t.app(at(0), (app) => app.write(1, STREAM));
  let time = t.carry(at(0), 100);
  t.app(time, (app) => app.write(1, options.extra ?? 10_000));
  time += 1;
  t.expectSilence(until(time));
  return { t, time };
}

describe('flow control of what is received', () => {
  it('bytes up to exactly the limit of a stream are taken', () => {
    const t = Script.accepted();
    give(t, at(0), 1, 0, STREAM);
    t.expect(
      'read',
      t.app(at(1), (app) => app.read(1)),
      STREAM,
    );
  });

  const beyond: readonly (readonly [string, FrameSpec])[] = [
    ['one byte beyond the limit of a stream', streamData({ stream: 1, offset: STREAM, length: 1 })],
    ['the last of two bytes beyond it', streamData({ stream: 1, offset: STREAM - 1, length: 2 })],
    ['a FIN by itself beyond it', fin(1, STREAM + 1)],
    ['a final size of a reset beyond it', reset({ stream: 1, finalSize: STREAM + 1 })],
    ['a byte at the highest offset there is', streamData({ stream: 1, offset: 2 ** 53 - 2, length: 1 })],
  ];
  for (const [name, frame] of beyond) {
    it(`${name} closes the tunnel with FLOW_CONTROL`, () => {
      const t = Script.accepted();
      t.recv(at(0), [frame]);
      t.expectSend(at(0), [close(4)]);
      t.expectClosed('FLOW_CONTROL');
    });
  }

  const within: readonly (readonly [string, FrameSpec])[] = [
    ['the last byte of the limit, out of order,', streamData({ stream: 1, offset: STREAM - 1, length: 1 })],
    ['a FIN by itself at exactly the limit', fin(1, STREAM)],
    ['a reset whose final size is exactly the limit', reset({ stream: 1, finalSize: STREAM })],
    ['no bytes at exactly the limit', streamData({ stream: 1, offset: STREAM, length: 0 })],
  ];
  for (const [name, frame] of within) {
    it(`${name} is allowed`, () => {
      const t = Script.accepted();
      t.recv(at(0), [frame]);
      t.take(at(100));
      t.expect('state', t.state, 'open');
    });
  }

  it('four streams at their limits are exactly what the tunnel allows', () => {
    const t = Script.accepted();
    fillTunnel(t);
    t.expect('state', t.state, 'open');
    t.expect('received', t.streams.received, TUNNEL);
  });

  it('bytes behind holes use up the tunnel, and one byte beyond closes it with FLOW_CONTROL', () => {
    const t = Script.accepted();
    for (const stream of [1, 3, 5, 7, 9]) {
      t.recv(at(0), [streamOpen({ stream }), streamData({ stream, offset: stream < 9 ? STREAM - 1 : 0, length: 1 })]);
      if (stream < 9) t.take(at(0));
    }
    t.expectSend(at(0), [close(4)]);
    t.expectClosed('FLOW_CONTROL');
  });

  it('final sizes use up the tunnel as bytes do, and come back with the reset', () => {
    const t = Script.accepted();
    for (const stream of [1, 3, 5, 7, 9, 11]) {
      t.recv(at(0), [streamOpen({ stream }), reset({ stream, code: 1, finalSize: STREAM })]);
      t.take(at(0));
    }
    t.expect('state', t.state, 'open');
    t.expect('taken', t.streams.taken, 6 * STREAM);
  });

  it('overlapping copies count once', () => {
    const t = Script.accepted();
    for (const offset of [0, 10, 5, 0, 19]) {
      t.recv(at(0), [streamData({ stream: 1, offset, length: 20 })]);
      t.take(at(0));
    }
    t.expect('received', t.streams.received, 39);
    t.expect(
      'read',
      t.app(at(1), (app) => app.read(1)),
      39,
    );
  });

  it('reading a quarter of the window gives the sender as much again', () => {
    const t = Script.accepted();
    give(t, at(0), 1, 0, STREAM);
    t.take(at(10));
    const read = t.app(at(10), (app) => app.read(1, QUARTER));
    t.expectSend(at(10), [maxStreamData(1, STREAM + read)]);
  });

  it('reading less than a quarter says nothing', () => {
    const t = Script.accepted();
    give(t, at(0), 1, 0, 32_768);
    t.take(at(30));
    t.app(at(30), (app) => app.read(1));
    t.expectSilence(until(5_000));
  });

  it('a lost MAX_STREAM_DATA is said again', () => {
    const t = Script.accepted();
    give(t, at(0), 1, 0, STREAM);
    t.take(at(30));
    const read = t.app(at(30), (app) => app.read(1, QUARTER));
    t.expectSend(at(30), [maxStreamData(1, STREAM + read)]);
    t.fill(at(30), 3);
    t.drop(t.lastNumber - 3);
    t.ackAll(at(130));
    t.expectSend(at(130), [maxStreamData(1, STREAM + read)]);
  });

  it('a lost MAX_STREAM_DATA is said again with the value of the present', () => {
    const t = Script.accepted();
    give(t, at(0), 1, 0, STREAM);
    t.take(at(30));
    let read = t.app(at(30), (app) => app.read(1, QUARTER));
    const first = t.expectSend(at(30), [maxStreamData(1, STREAM + read)]);
    read += t.app(at(40), (app) => app.read(1, QUARTER));
    const second = t.expectSend(at(40), [maxStreamData(1, STREAM + read)]);
    t.fill(at(40), 3);
    t.drop(first.number, second.number);
    t.ackAll(at(140));
    t.expectSend(at(140), [maxStreamData(1, STREAM + read)]);
  });

  it('a lost MAX_STREAM_DATA that a newer one has overtaken is not said again', () => {
    const t = Script.accepted();
    give(t, at(0), 1, 0, STREAM);
    t.take(at(30));
    t.app(at(30), (app) => app.read(1, QUARTER));
    const first = t.expectSend(at(30), [maxStreamData(1)]);
    t.app(at(40), (app) => app.read(1, QUARTER));
    t.expectSend(at(40), [maxStreamData(1)]);
    t.fill(at(40), 3);
    t.drop(first.number);
    t.ackAll(at(140));
    t.expectSilence(until(5_000));
  });

  it('a lost MAX_DATA is said again with the value of the present, and an older one not at all', () => {
    const t = Script.accepted();
    const carrying = (): number[] =>
      t.allSent.filter(({ frames }) => frames.some(({ kind }) => kind === 'max-data')).map(({ number }) => number);
    t.recv(at(0), [streamOpen({ stream: 3 })]);
    t.take(at(0));
    give(t, at(0), 1, 0, STREAM);
    give(t, at(0), 3, 0, STREAM);
    const lost = carrying();
    const given = limits(t, 'max-data');
    t.expect('given twice', given, [TUNNEL + STREAM, TUNNEL + 2 * STREAM]);
    t.fill(at(1), 3);
    t.drop(...lost);
    t.ackAll(at(101));
    t.expectSend(at(101), [maxData(TUNNEL + 2 * STREAM)]);
  });

  it('once the final size is known no more credit is given for the stream', () => {
    const t = Script.accepted();
    give(t, at(0), 1, 0, STREAM - 1);
    t.recv(at(0), [streamData({ stream: 1, offset: STREAM - 1, length: 1, fin: true })]);
    t.take(at(30));
    t.app(at(30), (app) => app.read(1));
    t.take(at(1_000));
    t.expect('MAX_STREAM_DATA', limits(t, 'max-stream-data'), []);
  });

  it('a stream whose reader stopped gets no more credit, and the tunnel has its bytes back', () => {
    const t = Script.accepted();
    give(t, at(0), 1, 0, STREAM);
    t.app(at(30), (app) => app.stop(1, 5));
    t.take(at(1_000));
    t.expect('MAX_STREAM_DATA', limits(t, 'max-stream-data'), []);
    t.expect('taken', t.streams.taken, STREAM);
  });

  it('limits never shrink, in whatever order streams are read', () => {
    const t = Script.accepted({ streams: { streamWindowMax: STREAM } });
    let offset = 0;
    for (let i = 0; i < 20; i++) {
      give(t, at(i * 50), 1, offset, QUARTER);
      offset += QUARTER;
      t.app(at(i * 50 + 10), (app) => app.read(1));
      t.take(at(i * 50 + 49));
    }
    for (const kind of ['max-data', 'max-stream-data'] as const) {
      const given = limits(t, kind);
      t.expect(
        `${kind} rises`,
        given,
        [...given].sort((a, b) => a - b),
      );
    }
    t.expect('the stream went beyond its first window', offset > STREAM, true);
  });

  it('a window that may not grow stays 256 KiB ahead of the reader', () => {
    const t = Script.accepted({ streams: { streamWindowMax: STREAM } });
    give(t, at(0), 1, 0, STREAM);
    t.app(at(30), (app) => app.read(1));
    t.take(at(40));
    const limit = t.stream(1)!.receiveLimit;
    // It is told by the quarter.
    t.expect('limit', limit > 2 * STREAM - QUARTER && limit <= 2 * STREAM, true);
    give(t, at(50), 1, STREAM, limit - STREAM);
    t.recv(at(51), [streamData({ stream: 1, offset: limit, length: 1 })]);
    t.take(at(51));
    t.expectClosed('FLOW_CONTROL');
  });

  it('bytes for a stream that has ended are ignored, wherever they lie', () => {
    const t = Script.accepted();
    t.recv(at(0), [reset({ stream: 1, code: 1, finalSize: 0 })]);
    t.take(at(0));
    t.app(at(0), (app) => app.reset(1, 2));
    t.take(at(0));
    t.ackAll(at(50));
    t.expectEvent('closed', { stream: 1 });
    t.recv(at(60), [streamData({ stream: 1, offset: STREAM + 100, length: 5 })]);
    t.take(at(90));
    t.expect('state', t.state, 'open');
  });
});

describe('windows that are not used', () => {
  it('shrink while keepalives are all that comes, and the old limits stay', () => {
    const t = Script.accepted();
    t.ackAll(at(0));
    for (let time = 0, offset = 0; time < 60; time += 10) {
      t.take(at(time));
      const limit = t.stream(1)!.receiveLimit;
      give(t, at(time), 1, offset, Math.min(limit - offset, 512_000));
      offset = Math.min(limit, offset + 512_000);
      t.app(at(time), (app) => app.read(1));
      t.take(at(time));
    }
    t.expect('the windows grew', t.stream(1)!.window > STREAM && t.streams.window > TUNNEL, true);
    const before = { stream: t.stream(1)!.receiveLimit, tunnel: t.streams.receiveLimit };
    for (let time = 20_000; time <= 600_000; time += 20_000) {
      t.take(at(time));
      t.recv(at(time), [ping()]);
      t.ackAll(at(time));
      t.take(at(time + 100));
    }
    t.expect('windows', [t.stream(1)!.window, t.streams.window], [STREAM, TUNNEL]);
    t.expect('limits', { stream: t.stream(1)!.receiveLimit, tunnel: t.streams.receiveLimit }, before);
    t.expect('state', t.state, 'open');
  });
});

describe('flow control of what is sent', () => {
  it('sending stops at exactly the limit of the stream', () => {
    const { t } = exhausted();
    t.expect('sent', t.stream(1)?.sent, STREAM);
  });

  it('a limit raised by ten lets ten bytes out', () => {
    const { t, time } = exhausted();
    t.recv(time, [maxStreamData(1, STREAM + 10)]);
    t.expectSend(time, [anyAck(), streamData({ stream: 1, offset: STREAM, length: 10 })]);
    t.expect('sent', t.stream(1)?.sent, STREAM + 10);
  });

  it('a writer held back for long goes on at once when credit comes', () => {
    const { t, time } = exhausted();
    t.take(time + 15_000);
    t.recv(time + 15_000, [maxStreamData(1, 2 * STREAM)]);
    const sent = t.take(time + 15_000);
    t.expect(
      'bytes go out',
      sent.some(({ frames }) => frames.some(({ kind }) => kind === 'stream-data')),
      true,
    );
  });

  it('while credit is missing nothing asks for it and nothing times out', () => {
    const { t, time } = exhausted();
    t.expectSilence(until(time + 15_000));
    t.expect('state', t.state, 'open');
  });

  for (const [name, limit] of [
    ['a lower limit', 1_000],
    ['the same limit', STREAM],
    ['a limit of zero', 0],
  ] as const) {
    it(`${name} of a stream is late and ignored`, () => {
      const { t, time } = exhausted();
      t.recv(time, [maxStreamData(1, limit)]);
      t.take(time + 29);
      t.expect('limit', t.stream(1)?.sendLimit, STREAM);
      t.recv(time + 30, [maxStreamData(1, STREAM + 1)]);
      t.expectSend(time + 30, [anyAck(), streamData({ stream: 1, offset: STREAM, length: 1 })]);
    });
  }

  it('a lower limit that comes after a higher one takes nothing back', () => {
    const { t, time } = exhausted();
    t.recv(time, [maxStreamData(1, STREAM + 100), maxStreamData(1, 5)]);
    t.expectSend(time, [anyAck(), streamData({ stream: 1, offset: STREAM, length: 100 })]);
  });

  it('a FIN at exactly the limit needs no credit', () => {
    const { t, time } = exhausted({ extra: 0 });
    t.app(time, (app) => app.finish(1));
    t.expectSend(time, [fin(1, STREAM)]);
  });

  it('a FIN behind bytes that wait for credit waits with them', () => {
    const { t, time } = exhausted({ extra: 10 });
    t.app(time, (app) => app.finish(1));
    t.expectSilence(until(time + 10));
    t.recv(time + 10, [maxStreamData(1, STREAM + 10)]);
    t.expectSend(time + 10, [anyAck(), streamData({ stream: 1, offset: STREAM, length: 10, fin: true })]);
  });

  it('a reset needs no credit, and its final size is what went out', () => {
    const { t, time } = exhausted();
    t.app(time, (app) => app.reset(1, 9));
    t.expectSend(time, [reset({ stream: 1, code: 9, finalSize: STREAM })]);
  });

  it('lost bytes need no credit', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, STREAM));
    let time = 0;
    while ((t.stream(1)?.sent ?? 0) < STREAM) {
      const sent = t.take(time);
      if ((t.stream(1)?.sent ?? 0) === STREAM) t.drop(sent.at(-1)!.number);
      t.ackAll(time);
      time += 100;
    }
    const last = t.lastNumber;
    t.drop(last);
    t.ackAll(time);
    const again = t.take(time + 1_000).flatMap(({ frames }) => frames);
    t.expect(
      'the end goes again',
      again.some((frame) => frame.kind === 'stream-data' && frame.offset + frame.data.length === STREAM),
      true,
    );
  });

  it('all streams together stop at exactly the limit of the tunnel', () => {
    const t = Script.open();
    t.app(at(0), (app) => {
      for (let i = 0; i < 5; i++) app.write(app.open() as number, STREAM);
    });
    const time = t.carry(at(0), 100);
    t.expect('sent', t.streams.sent, TUNNEL);
    t.recv(time, [maxData(TUNNEL + 100)]);
    t.take(time);
    t.expect('sent', t.streams.sent, TUNNEL + 100);
  });

  it('a lower MAX_DATA is late and ignored', () => {
    const t = Script.accepted();
    t.recv(at(0), [maxData(10)]);
    t.take(at(25));
    t.expect('limit', t.streams.sendLimit, TUNNEL);
    t.fill(at(30), 3);
  });

  it('a FIN by itself goes out although the tunnel has no credit', () => {
    const t = Script.open();
    t.app(at(0), (app) => {
      for (let i = 0; i < 5; i++) app.write(app.open() as number, i < 4 ? STREAM : 0);
    });
    const time = t.carry(at(0), 100);
    t.app(time, (app) => app.finish(8));
    t.expectSend(time, [fin(8, 0)]);
  });

  it('a stream opens although the tunnel has no credit', () => {
    const t = Script.open();
    t.app(at(0), (app) => {
      for (let i = 0; i < 4; i++) app.write(app.open() as number, STREAM);
    });
    const time = t.carry(at(0), 100);
    t.app(time, (app) => {
      app.open();
      app.write(8, 100);
    });
    t.expectSend(time, [streamOpen({ stream: 8 })]);
    t.recv(time + 1, [maxData(TUNNEL + 40)]);
    t.expectSend(time + 1, [anyAck(), streamOpen({ stream: 8 }), streamData({ stream: 8, offset: 0, length: 40 })]);
  });

  it('the limit of streams holds an opener back until MAX_STREAMS, and says when there is room', () => {
    const t = Script.open();
    const opened = t.app(at(0), (app) => Array.from({ length: 129 }, () => app.open()));
    t.expect('the 128th', opened[127], 254);
    t.expect('the 129th', opened[128], 'stream-limit');
    let time = t.carry(at(0), 100);
    t.recv(time, [maxStreams(128)]);
    t.take(time);
    t.expectNoEvent('streams-available');
    time += 1;
    t.recv(time, [maxStreams(129)]);
    t.take(time);
    t.expectEvent('streams-available');
    t.expect(
      'opened',
      t.app(time, (app) => app.open()),
      256,
    );
  });

  it('a lower MAX_STREAMS is late and ignored', () => {
    const t = Script.open();
    t.recv(at(0), [maxStreams(200)]);
    t.recv(at(0), [maxStreams(3)]);
    t.take(at(0));
    t.expect('limit', t.streams.openLimit, 200);
  });

  it('a lost MAX_STREAMS is said again with the value of the present', () => {
    const t = Script.open({ streams: { peerStreamsMax: 1_024 } });
    t.app(at(0), (app) => app.listen());
    t.recv(at(0), [streamOpen({ stream: 1 })]);
    t.expectSend(at(0), [ack([[0, 1]]), maxStreams(1_024)]);
    t.expectSend(at(325), [ping()], [maxStreams(1_024)]);
  });
});
