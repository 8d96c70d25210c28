import { describe, it } from 'vitest';
import { anyAck, close, type FrameSpec, fin, maxStreamData, reset, stop, streamData, streamOpen } from './frames.ts';
import { type App, at, Script, until } from './script.ts';

/**
 * Two ends that act before either has heard of the other's act. Whatever crosses, and whatever of it is lost on the way, both
 * halves come to an end, each is told once, and then there is silence.
 */
interface Ours {
  readonly name: string;
  readonly act: (app: App) => void;
  readonly endsSending: boolean;
  readonly endsReceiving?: true;
}

interface Theirs {
  readonly name: string;
  readonly frames: readonly FrameSpec[];
  readonly endsSending: boolean;
  /** How many bytes there would be to read. */
  readonly bytes: number;
}

const OURS: readonly Ours[] = [
  {
    name: 'we finish behind bytes',
    act: (app) => {
      app.write(1, 10);
      app.finish(1);
    },
    endsSending: true,
  },
  { name: 'we finish', act: (app) => app.finish(1), endsSending: true },
  {
    name: 'we reset behind bytes that went out',
    act: (app) => {
      app.write(1, 10);
      app.reset(1, 3);
    },
    endsSending: true,
  },
  { name: 'we stop the peer', act: (app) => app.stop(1, 6), endsSending: false, endsReceiving: true },
  {
    name: 'we stop the peer and finish',
    act: (app) => {
      app.stop(1, 6);
      app.finish(1);
    },
    endsSending: true,
    endsReceiving: true,
  },
  {
    name: 'we give up both halves',
    act: (app) => {
      app.reset(1, 5);
      app.stop(1, 5);
    },
    endsSending: true,
    endsReceiving: true,
  },
];

const THEIRS: readonly Theirs[] = [
  {
    name: 'the peer finishes behind bytes',
    frames: [streamData({ stream: 1, length: 10, fin: true })],
    endsSending: true,
    bytes: 10,
  },
  { name: 'the peer finishes', frames: [fin(1, 0)], endsSending: true, bytes: 0 },
  { name: 'the peer resets', frames: [reset({ stream: 1, code: 4, finalSize: 0 })], endsSending: true, bytes: 0 },
  {
    name: 'the peer resets behind bytes that are on their way',
    frames: [reset({ stream: 1, code: 4, finalSize: 1_000 })],
    endsSending: true,
    bytes: 0,
  },
  { name: 'the peer stops us', frames: [stop({ stream: 1, code: 8 })], endsSending: false, bytes: 0 },
  {
    name: 'the peer gives up both halves',
    frames: [reset({ stream: 1, code: 9, finalSize: 0 }), stop({ stream: 1, code: 9 })],
    endsSending: true,
    bytes: 0,
  },
];

describe('acts that cross', () => {
  for (const ours of OURS) {
    for (const theirs of THEIRS) {
      for (const isLost of [false, true]) {
        const loss = isLost ? ', and ours is lost at first' : '';
        it(`${ours.name} while ${theirs.name}${loss}: the stream ends and is told once`, () => {
          const t = Script.accepted();
          t.app(at(0), ours.act);
          const sent = t.take(at(0)).map(({ number }) => number);
          if (isLost) t.drop(...sent);
          t.recv(at(10), theirs.frames);
          t.take(at(20));
          // A copy of theirs, as if their packet had seemed lost to them.
          t.recv(at(20), theirs.frames);
          t.take(at(30));
          const read = t.app(at(30), (app) => app.read(1));
          t.expect('bytes read', read, ours.endsReceiving ? 0 : theirs.bytes);
          let time = t.carry(at(100), 100);
          // Whoever has a half left ends it now.
          if (!ours.endsSending) t.app(time, (app) => app.finish(1));
          time = t.carry(time, 100);
          if (!theirs.endsSending) t.recv(time, [ours.endsReceiving ? reset({ stream: 1, finalSize: 0 }) : fin(1, 0)]);
          time = t.carry(time, 100);
          t.expectEvent('closed', { stream: 1 });
          t.expectNoEvent();
          t.expect('streams', t.streams.streams.length, 0);
          t.expect('state', t.state, 'open');
          t.recv(time, theirs.frames);
          t.take(time + 30);
          t.expectSilence(until(time + 5_000));
        });
      }
    }
  }
});

describe('a CLOSE that crosses', () => {
  for (const [name, frames] of [
    ['a stream that the peer opens', [streamOpen({ stream: 3 }), streamData({ stream: 3, length: 10 })]],
    ['bytes of the peer', [streamData({ stream: 1, length: 10 })]],
    ['a FIN of the peer', [fin(1, 0)]],
    ['a reset by the peer', [reset({ stream: 1, finalSize: 0 })]],
    ['a STOP by the peer', [stop({ stream: 1 })]],
    ['a violation of the peer', [streamData({ stream: 99, length: 10 })]],
  ] as const satisfies readonly (readonly [string, readonly FrameSpec[]])[]) {
    it(`of ours is all that ${name} is answered with, and nothing is told of it`, () => {
      const t = Script.accepted();
      t.app(at(0), (app) => app.close('SHUTDOWN', 'bye'));
      t.expectSend(at(0), [close(9, 'bye')]);
      t.expectEvent('tunnel-down');
      t.recv(at(10), frames);
      t.expectSend(at(10), [close(9, 'bye')]);
      t.expectNoEvent();
    });
  }

  for (const [name, act] of [
    ['a stream that we open', (app) => void app.open()],
    ['bytes of ours', (app) => void app.write(1, 5_000)],
    ['a FIN of ours', (app) => app.finish(1)],
    ['a reset by us', (app) => app.reset(1, 3)],
    ['a STOP by us', (app) => app.stop(1, 3)],
  ] as const satisfies readonly (readonly [string, (app: App) => void])[]) {
    it(`of the peer ends ${name}: the tunnel’s end is told, and nothing is sent any more`, () => {
      const t = Script.accepted();
      t.app(at(0), act);
      t.take(at(0));
      t.recv(at(10), [close(9, 'bye')]);
      t.expectEvent('tunnel-down');
      t.expectNoEvent();
      t.expectSilence(until(40_000));
      t.expect('state', t.state, undefined);
      t.expect(
        'a new stream',
        t.app(at(40_000), (app) => app.open()),
        'closed',
      );
    });
  }

  it('leaves the tunnel after it a clean start: numbers, limits and streams begin anew', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 5_000));
    t.take(at(0));
    t.recv(at(10), [close(9)]);
    t.take(at(10));
    t.comeAgain();
    t.expect('streams', t.streams.streams.length, 0);
    t.expect('limit', t.streams.sendLimit, 1_048_576);
    t.recv(at(0), [streamOpen({ stream: 1 }), streamData({ stream: 1, length: 10, fin: true })]);
    t.expectSend(at(0), [anyAck()]);
    t.expectEvent('opened', { stream: 1 });
  });
});

describe('openings that cross', () => {
  it('of the whole allowance on both sides leave each with its own streams', () => {
    const t = Script.open({ streams: { peerStreamsMax: 128 } });
    t.app(at(0), (app) => {
      app.listen(80, 200);
      for (let i = 0; i < 128; i++) t.expect('our number', app.open(), 2 * i);
      t.expect('one too many', app.open(), 'stream-limit');
    });
    t.take(at(0));
    t.recv(
      at(10),
      Array.from({ length: 128 }, (_, i) => streamOpen({ stream: 2 * i + 1 })),
    );
    t.take(at(10));
    t.expect('streams', t.streams.streams.length, 256);
    t.carry(at(100), 100);
    t.expect('known', t.streams.streams.filter(({ opening }) => opening === 'known').length, 256);
  });

  it('and our reset: a stream that was given up before the peer heard of it ends in one round trip', () => {
    const t = Script.open();
    t.app(at(0), (app) => {
      const stream = app.open() as number;
      app.reset(stream, 1);
      app.stop(stream, 1);
    });
    t.expectSend(at(0), [
      streamOpen({ stream: 0 }),
      reset({ stream: 0, code: 1, finalSize: 0 }),
      stop({ stream: 0, code: 1 }),
    ]);
    t.recv(at(100), [reset({ stream: 0, code: 1, finalSize: 0 })]);
    t.ackAll(at(100));
    t.expectEvent('closed', { stream: 0 });
    t.expect('streams', t.streams.streams.length, 0);
  });

  it('with data that overtakes them: the OPEN in the overtaking packet is the one that counts', () => {
    const t = Script.open();
    t.app(at(0), (app) => app.listen());
    t.recv(at(0), [streamOpen({ stream: 1 }), streamData({ stream: 1, offset: 10, length: 10, fin: true })], {
      number: 2,
    });
    t.take(at(0));
    t.recv(at(5), [streamOpen({ stream: 1 }), streamData({ stream: 1, offset: 0, length: 10 })], { number: 1 });
    t.take(at(5));
    t.expectEvent('opened', { stream: 1 });
    t.expectNoEvent('opened');
    t.app(at(6), (app) => app.accept(1));
    t.expectSend(at(6), [maxStreamData(1)]);
    t.expect(
      'read',
      t.app(at(6), (app) => app.read(1)),
      20,
    );
    t.expectEvent('finished', { stream: 1 });
  });
});
