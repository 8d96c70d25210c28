import { describe, it } from 'vitest';
import { CLOSE_CODES, type CloseCode } from '../../wire/close-codes.ts';
import {
  ack,
  anyAck,
  close,
  datagram,
  type FrameSpec,
  fin,
  maxStreamData,
  padding,
  ping,
  reset,
  stop,
  streamData,
  streamOpen,
} from './frames.ts';
import { at, Script, until } from './script.ts';

/** Frames take effect in the order in which they stand in their packet, and a packet as a whole in the order in which it comes. */
describe('several frames about one stream in a packet', () => {
  for (const [name, frames, events] of [
    [
      'opened, written and reset',
      [streamOpen({ stream: 3 }), streamData({ stream: 3, length: 10 }), reset({ stream: 3, code: 2, finalSize: 10 })],
      ['opened', 'reset'],
    ],
    ['opened and reset', [streamOpen({ stream: 3 }), reset({ stream: 3, code: 2, finalSize: 0 })], ['opened', 'reset']],
    ['opened and stopped', [streamOpen({ stream: 3 }), stop({ stream: 3, code: 2 })], ['opened', 'stopped']],
    [
      'opened, reset and stopped',
      [streamOpen({ stream: 3 }), reset({ stream: 3, code: 2, finalSize: 0 }), stop({ stream: 3, code: 2 })],
      ['opened', 'reset', 'stopped'],
    ],
    [
      'opened twice, finished twice',
      [streamOpen({ stream: 3 }), fin(3, 0), streamOpen({ stream: 3 }), fin(3, 0)],
      ['opened', 'finished'],
    ],
    [
      'opened, its FIN before its bytes',
      [streamOpen({ stream: 3 }), fin(3, 10), streamData({ stream: 3, length: 10 })],
      ['opened', 'readable', 'finished'],
    ],
    [
      'opened and given credit',
      [streamOpen({ stream: 3 }), maxStreamData(3, 300_000), streamData({ stream: 3, length: 10 })],
      ['opened', 'readable'],
    ],
  ] as const satisfies readonly (readonly [string, readonly FrameSpec[], readonly string[]])[]) {
    it(`${name}: all of it is told, the opening first`, () => {
      const t = Script.accepted();
      t.recv(at(0), frames);
      t.take(at(0));
      const [opened, ...others] = events;
      t.expectEvent(opened, { stream: 3 });
      t.expectNoEvent();
      t.app(at(1), (app) => app.accept(3));
      t.take(at(1));
      for (const event of others) {
        if (event === 'finished') t.app(at(1), (app) => app.read(3));
        t.expectEvent(event, { stream: 3 });
      }
      t.expect('state', t.state, 'open');
    });
  }

  for (const [name, frames, code] of [
    ['bytes before the OPEN', [streamData({ stream: 3, length: 1 }), streamOpen({ stream: 3 })], 'STREAM_STATE'],
    ['credit before the OPEN', [maxStreamData(3, 1), streamOpen({ stream: 3 })], 'STREAM_STATE'],
    ['a STOP before the OPEN', [stop({ stream: 3 }), streamOpen({ stream: 3 })], 'STREAM_STATE'],
    ['bytes after the FIN', [fin(1, 5), streamData({ stream: 1, offset: 5, length: 1 })], 'FINAL_SIZE'],
    [
      'bytes after the reset',
      [reset({ stream: 1, finalSize: 5 }), streamData({ stream: 1, offset: 5, length: 1 })],
      'FINAL_SIZE',
    ],
    [
      'a reset shorter than the bytes',
      [streamData({ stream: 1, length: 10 }), reset({ stream: 1, finalSize: 9 })],
      'FINAL_SIZE',
    ],
    ['a FIN and a longer reset', [fin(1, 10), reset({ stream: 1, finalSize: 11 })], 'FINAL_SIZE'],
    ['two resets of two sizes', [reset({ stream: 1, finalSize: 1 }), reset({ stream: 1, finalSize: 2 })], 'FINAL_SIZE'],
    [
      'an OPEN with two ports',
      [streamOpen({ stream: 3, port: 80 }), streamOpen({ stream: 3, port: 81 })],
      'STREAM_STATE',
    ],
    ['a violation and then a CLOSE', [streamData({ stream: 9, length: 1 }), close(0)], 'STREAM_STATE'],
  ] as const satisfies readonly (readonly [string, readonly FrameSpec[], CloseCode])[]) {
    it(`${name}: ${code}`, () => {
      const t = Script.accepted();
      t.recv(at(0), frames);
      t.expectSend(at(0), [close(CLOSE_CODES[code])]);
      t.expectClosed(code);
    });
  }

  it('a reset with the size of the FIN, before all bytes, gives the half up once', () => {
    const t = Script.accepted();
    t.recv(at(0), [fin(1, 10), reset({ stream: 1, code: 7, finalSize: 10 }), streamData({ stream: 1, length: 10 })]);
    t.take(at(0));
    t.expectEvent('reset', { stream: 1, code: 7 });
    t.expectNoEvent('readable');
    t.expect('credit that is used', t.streams.received - t.streams.taken, 0);
  });

  it('two resets with two codes: the first is told', () => {
    const t = Script.accepted();
    t.recv(at(0), [reset({ stream: 1, code: 7, finalSize: 0 }), reset({ stream: 1, code: 8, finalSize: 0 })]);
    t.take(at(0));
    t.expectEvent('reset', { stream: 1, code: 7 });
    t.expectNoEvent('reset');
  });

  it('two STOPs with two codes: one reset answers, with the first', () => {
    const t = Script.accepted();
    t.recv(at(0), [stop({ stream: 1, code: 7 }), stop({ stream: 1, code: 8 })]);
    t.expectSend(at(0), [anyAck(), reset({ stream: 1, code: 7, finalSize: 0 })]);
    t.expectEvent('stopped', { stream: 1, code: 7 });
    t.expectNoEvent('stopped');
  });

  it('an ACK of our FIN and the STOP that asks for less: what is acknowledged is not reset', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.finish(1));
    t.expectSend(at(0), [fin(1, 0)]);
    t.recv(at(100), [ack([[0, 2]]), stop({ stream: 1, code: 7 })]);
    t.expectSend(at(100), [anyAck()]);
    t.expectNoEvent('stopped');
    t.expectEvent('acknowledged', { stream: 1 });
  });

  it('the STOP and then the ACK of our FIN: the reset is on its way', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.finish(1));
    t.expectSend(at(0), [fin(1, 0)]);
    t.recv(at(100), [stop({ stream: 1, code: 7 }), ack([[0, 2]])]);
    t.expectSend(at(100), [anyAck(), reset({ stream: 1, code: 7, finalSize: 0 })]);
    t.expectNoEvent('acknowledged');
    t.expectEvent('stopped', { stream: 1 });
  });
});

describe('a packet that is not acknowledged because of one frame', () => {
  /** 256 single bytes with gaps; the next one is one too many. */
  function torn(t: Script): void {
    t.recv(
      at(0),
      Array.from({ length: 256 }, (_, i) => streamData({ stream: 1, offset: 2 * i + 1, length: 1 })),
    );
    t.take(at(30));
  }

  it('has its other frames heard all the same, and they do no harm when they come again', () => {
    const t = Script.accepted();
    torn(t);
    const frames = [
      streamOpen({ stream: 3 }),
      streamData({ stream: 3, length: 5, fin: true }),
      streamData({ stream: 1, offset: 1_000, length: 1 }),
      datagram({ length: 3 }),
    ];
    t.recv(at(30), frames);
    t.expectEvent('opened', { stream: 3 });
    t.expectSilence(until(200));
    // Room is made, and all of it comes again under a new number.
    t.recv(at(200), [streamData({ stream: 1, offset: 0, length: 600 })]);
    t.take(at(240));
    t.recv(at(240), frames);
    t.expectSend(at(240), [anyAck()]);
    t.expectNoEvent('opened');
    t.app(at(241), (app) => app.accept(3));
    t.expectSend(at(241), [maxStreamData(3)]);
    t.expect(
      'bytes',
      t.app(at(241), (app) => app.read(3)),
      5,
    );
    t.expect('bytes of the other', t.stream(1)?.received, 1_001);
  });

  it('keeps its number for itself: it does not open a second time', () => {
    const t = Script.accepted();
    torn(t);
    t.recv(at(30), [streamData({ stream: 1, offset: 1_000, length: 1 })], { number: 9 });
    t.recv(at(40), [ping()], { number: 9 });
    t.expectSilence(until(200));
    t.expect('dropped', t.endpoint.drops.count('replayed'), 1);
  });

  it('leaves a FIN that it carried unknown', () => {
    const t = Script.accepted();
    torn(t);
    t.recv(at(30), [streamData({ stream: 1, offset: 1_000, length: 1, fin: true })]);
    t.expectSilence(until(100));
    t.expect('state', t.stream(1)?.receiving, 'recv');
    // So bytes beyond it are none beyond a final size.
    t.recv(at(100), [streamData({ stream: 1, offset: 0, length: 2_000 })]);
    t.take(at(130));
    t.expect('state', t.state, 'open');
  });

  it('is violated by a wrong frame behind the one that was not kept', () => {
    const t = Script.accepted();
    torn(t);
    t.recv(at(30), [streamData({ stream: 1, offset: 1_000, length: 1 }), reset({ stream: 1, finalSize: 3 })]);
    t.expectSend(at(30), [close(CLOSE_CODES.FINAL_SIZE)]);
  });
});

describe('frames of nothing', () => {
  it('a thousand empty STREAM_DATA in one packet are one packet', () => {
    const t = Script.accepted();
    t.recv(
      at(0),
      Array.from({ length: 1_000 }, () => streamData({ stream: 1 })),
    );
    t.expectNoEvent();
    t.expect('packets', t.take(at(100)).length, 1);
  });

  it('an empty STREAM_DATA beyond all that was received moves the offset, as bytes would', () => {
    const t = Script.accepted();
    t.recv(at(0), [streamData({ stream: 1, offset: 1_000 })]);
    t.take(at(30));
    t.recv(at(30), [fin(1, 999)]);
    t.expectSend(at(30), [close(CLOSE_CODES.FINAL_SIZE)]);
  });

  it('padding between frames is no frame of its own to be answered', () => {
    const t = Script.accepted();
    t.recv(at(0), [padding(10), ping(), padding(10)]);
    t.expectSend(at(0), [anyAck()]);
    t.expectSilence(until(1_000));
  });
});
