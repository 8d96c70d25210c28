import { describe, it } from 'vitest';
import { fromHex } from '../../base/bytes.ts';
import { ack, anyAck, close, ping, reset, streamData, streamOpen } from './frames.ts';
import { at, Script, until } from './script.ts';

/** PROTOCOL.md §6, RFC 9000 §10.2: how a tunnel ends. */
describe('closing', () => {
  it('our CLOSE goes out at once, with code and reason', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.close('SHUTDOWN', 'bye'));
    t.expectSend(at(0), [close(9, 'bye')]);
    t.expectClosed('SHUTDOWN');
  });

  it('what was still to be sent goes with it', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.write(1, 50_000));
    t.take(at(0));
    t.app(at(1), (app) => app.close());
    t.expectSend(at(1), [close(0)]);
    t.expectSilence(until(10_000));
  });

  it('after it there is silence by itself, no probes and no repetition', () => {
    const t = Script.accepted();
    t.fill(at(0), 3);
    t.app(at(1), (app) => app.close());
    t.expectSend(at(1), [close(0)]);
    t.expectSilence(until(10_000));
  });

  it('it is repeated for the 1st, 2nd, 4th and 8th packet of the peer', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.close());
    t.expectSend(at(0), [close(0)]);
    for (let i = 1; i <= 10; i++) {
      t.recv(at(i), [ping()]);
      if ([1, 2, 4, 8].includes(i)) t.expectSend(at(i), [close(0)]);
    }
    t.expectSilence(until(20));
  });

  it('the CLOSE of the peer ends the exchange without a word', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.close());
    t.expectSend(at(0), [close(0)]);
    t.recv(at(10), [close(0)]);
    t.expect('state', t.state, undefined);
    t.recv(at(11), [ping()]);
    t.expectSilence(until(10_000));
  });

  it('after three probe timeouts nothing is left of the tunnel', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.close());
    t.expectSend(at(0), [close(0)]);
    t.expectSilence(until(975));
    t.expect('state before', t.state, 'closing');
    t.expectSilence(until(976));
    t.expect('state after', t.state, undefined);
    t.recv(at(1_000), [ping()]);
    t.expectSilence(until(10_000));
  });

  it('a CLOSE of the peer is told with its code and words, and answered with nothing', () => {
    const t = Script.accepted();
    t.fill(at(0), 3);
    t.recv(at(10), [close(9, 'so long')]);
    const event = t.expectEvent('tunnel-down');
    t.expect('reason', event.reason, { kind: 'closed-by-peer', code: 9, text: 'so long' });
    t.expect('state', t.state, undefined);
    t.expectSilence(until(10_000));
  });

  it('both close at once: each is told once', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.close('SHUTDOWN'));
    t.expectSend(at(0), [close(9)]);
    t.expectClosed('SHUTDOWN');
    t.recv(at(5), [close(9)]);
    t.expectNoEvent('tunnel-down');
    t.expectSilence(until(10_000));
  });

  it('frames behind a CLOSE in one packet are not looked at', () => {
    const t = Script.accepted();
    t.recv(at(0), [close(0), streamData({ stream: 1, length: 10 })]);
    t.expectNoEvent('readable');
    t.expectSilence(until(1_000));
  });

  it('frames before a CLOSE in one packet count', () => {
    const t = Script.accepted();
    t.recv(at(0), [reset({ stream: 1, code: 3, finalSize: 0 }), ping()]);
    t.expectEvent('reset', { stream: 1 });
    t.expectSend(at(0), [anyAck()]);
  });

  it('a write after the end says so', () => {
    const t = Script.accepted();
    t.recv(at(0), [close(0)]);
    t.app(at(1), (app) => {
      t.expect('write', app.write(1, 10), 'ended');
      t.expect('open', app.open(), 'closed');
      t.expect('datagram', app.datagram(10), 'closed');
    });
  });

  for (const [name, bytes] of [
    ['an unknown frame type', '3f'],
    ['the frame type kept for ACK with ECN', '03000000'],
    ['a frame cut short', '0801'],
    ['a number that is not in its shortest form', '104001'],
    ['an offset beyond 2^53', '0801c02000000000000000'],
    ['a STREAM_OPEN of no priority there is', '04010001000203'],
    ['an ACK whose range begins below zero', '0202000005'],
  ] as const) {
    it(`${name} closes the tunnel with FRAME_ENCODING`, () => {
      const t = Script.accepted();
      t.recvBytes(at(0), fromHex(bytes));
      t.expectSend(at(0), [close(3)]);
      t.expectClosed('FRAME_ENCODING');
    });
  }

  it('frames before a broken one in its packet do nothing', () => {
    const t = Script.open();
    t.app(at(0), (app) => app.listen());
    t.recvBytes(at(0), fromHex('040100010050013f'));
    t.expectSend(at(0), [close(3)]);
    t.expectNoEvent('opened');
  });

  it('a violation in the middle of a packet ends it there', () => {
    const t = Script.accepted();
    t.recv(at(0), [streamOpen({ stream: 0 }), streamData({ stream: 1, length: 5 })]);
    t.expectSend(at(0), [close(6)]);
    t.expectNoEvent('readable');
  });

  it('a violation after our own CLOSE is no news', () => {
    const t = Script.accepted();
    t.app(at(0), (app) => app.close());
    t.expectSend(at(0), [close(0)]);
    t.recv(at(1), [ack([[0, 999]])]);
    t.expectSend(at(1), [close(0)]);
    t.expectSilence(until(900));
  });
});
