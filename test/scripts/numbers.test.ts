import { describe, it } from 'vitest';
import { fromHex } from '../../base/bytes.ts';
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
  stop,
  streamData,
  streamOpen,
} from './frames.ts';
import { at, Script, until } from './script.ts';

const LAST = 2 ** 53 - 1;

/** Numbers at their ends: of packets, of offsets, of limits, of codes. */
describe('packet numbers received', () => {
  it('may leap to the highest there is, and the gap is acknowledged as one', () => {
    const t = Script.accepted();
    t.recv(at(0), [ping()], { number: LAST });
    t.expectSend(at(0), [
      ack([
        [1, 2],
        [LAST, LAST],
      ]),
    ]);
  });

  it('may come just below the highest, in any order', () => {
    const t = Script.accepted();
    for (const number of [LAST - 1, LAST, LAST - 2]) {
      t.recv(at(0), [ping()], { number });
      t.take(at(0));
    }
    t.recv(at(1), [ping()], { number: LAST - 5 });
    t.expectSend(at(1), [
      ack([
        [1, 2],
        [LAST - 5, LAST - 5],
        [LAST - 2, LAST],
      ]),
    ]);
  });

  it('that were there already are dropped without an answer', () => {
    const t = Script.accepted();
    t.recv(at(0), [ping()], { number: LAST });
    t.take(at(0));
    t.recv(at(1), [ping()], { number: LAST });
    t.expectSilence(until(100));
    t.expect('drops', t.endpoint.drops.count('replayed'), 1);
  });

  it('that lie 2,048 behind the highest are too old to tell', () => {
    const t = Script.accepted();
    t.recv(at(0), [ping()], { number: 5_000 });
    t.take(at(0));
    t.recv(at(1), [ping()], { number: 5_000 - 2_047 });
    t.expectSend(at(1), [anyAck()]);
    t.recv(at(2), [ping()], { number: 5_000 - 2_048 });
    t.expectSilence(until(100));
    t.expect('drops', t.endpoint.drops.count('replayed'), 1);
  });

  it('may be acknowledged by the endpoint for ever after a leap', () => {
    const t = Script.accepted();
    t.recv(at(0), [ping()], { number: LAST - 100 });
    t.take(at(0));
    for (let i = 1; i <= 50; i++) {
      t.recv(at(i), [streamData({ stream: 1, offset: i - 1, length: 1 })], { number: LAST - 100 + i });
      t.take(at(i));
    }
    t.expect(
      'read',
      t.app(at(60), (app) => app.read(1)),
      50,
    );
  });
});

describe('packet numbers sent', () => {
  it('are used once, whatever is repeated', () => {
    const t = Script.accepted();
    t.fill(at(0), 5);
    t.take(at(9_000));
    const numbers = t.allSent.map(({ number }) => number);
    t.expect(
      'in order, without gaps',
      numbers,
      numbers.map((_, index) => index),
    );
  });

  it('end with the key: one packet before its limit the tunnel closes with KEY_LIMIT', () => {
    const t = Script.accepted({ config: { sealedPacketsMax: 20 } });
    t.app(at(0), (app) => app.write(1, 100_000));
    for (let i = 0; i < 10 && t.state === 'open'; i++) t.ackAll(at(100 * i));
    t.take(at(1_000));
    t.expect('packets', t.allSent.length <= 20, true);
    t.expectClosed('KEY_LIMIT');
  });
});

describe('offsets and sizes', () => {
  for (const [name, frame, code] of [
    ['bytes that end at the highest offset there is', streamData({ stream: 1, offset: LAST - 1, length: 1 }), 4],
    ['a FIN at the highest offset there is', fin(1, LAST), 4],
    ['a reset with the highest final size there is', reset({ stream: 1, finalSize: LAST }), 4],
    ['an id at the upper end', streamData({ stream: LAST, length: 1 }), 5],
    ['an opening with an id at the upper end', streamOpen({ stream: LAST }), 5],
  ] as const satisfies readonly (readonly [string, FrameSpec, number])[]) {
    it(`${name} can be read, and breaks a limit: code ${code}`, () => {
      const t = Script.accepted();
      t.recv(at(0), [frame]);
      t.expectSend(at(0), [close(code)]);
    });
  }

  for (const [name, bytes] of [
    ['bytes that would end at 2^53', '0801c01fffffffffffff01aa'],
    ['an offset of 2^53', '0801c02000000000000000'],
    ['a final size of 2^53', '050100c020000000000000'],
    ['a limit of 2^53', '10c020000000000000'],
    ['a stream id of 2^62 − 1', '06ffffffffffffffff00'],
    ['an ACK of 2^53', '02c020000000000000000000'],
  ] as const) {
    it(`${name} cannot be read: FRAME_ENCODING`, () => {
      const t = Script.accepted();
      t.recvBytes(at(0), fromHex(bytes));
      t.expectSend(at(0), [close(3)]);
      t.expectClosed('FRAME_ENCODING');
    });
  }

  for (const code of [0, 255, 65_536, LAST]) {
    it(`a reset with code ${code} is told as it is`, () => {
      const t = Script.accepted();
      t.recv(at(0), [reset({ stream: 1, code, finalSize: 0 })]);
      t.expectEvent('reset', { stream: 1, code });
      t.take(at(0));
    });

    it(`a STOP with code ${code} is answered with the same`, () => {
      const t = Script.accepted();
      t.recv(at(0), [stop({ stream: 1, code })]);
      t.expectSend(at(0), [anyAck(), reset({ stream: 1, code, finalSize: 0 })]);
      t.expectEvent('stopped', { stream: 1, code });
    });
  }

  it('limits of 2^53 − 1 are taken', () => {
    const t = Script.accepted();
    t.recv(at(0), [maxData(LAST), maxStreamData(1, LAST), maxStreams(LAST)]);
    t.take(at(30));
    t.expect('tunnel', t.streams.sendLimit, LAST);
    t.expect('stream', t.stream(1)?.sendLimit, LAST);
    t.expect('streams are enough', t.streams.openLimit >= 2 ** 50, true);
    t.fill(at(30), 3);
  });
});
