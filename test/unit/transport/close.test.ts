import { describe, expect, it } from 'vitest';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import type { SimPeer } from '../../../sim/world.ts';
import { CLOSE_CODES } from '../../../wire/close-codes.ts';
import { count, DELAY, downs, expectForgotten, Lab, ROUND_TRIP, watch } from './lab.ts';

/** After two equal samples: the round trip, four times three eighths of it, and the delay of an ACK. */
const PTO = ROUND_TRIP + (4 * 3 * ROUND_TRIP) / 8 + 25 * MILLISECOND;

/** One of the two answers the other's rekey and has not been heard in it yet. */
function answeredRekey(lab: Lab): SimPeer {
  const answering = (peer: SimPeer): boolean =>
    lab.state(peer).sessions.some((session) => !session.isConfirmed && !session.initiatedLocally);
  for (let i = 0; i < 60; i++) lab.world.send(lab.a, lab.b);
  expect(
    lab.until(() => answering(lab.a) || answering(lab.b), SECOND),
    lab.label,
  ).toBe(true);
  return answering(lab.a) ? lab.a : lab.b;
}

describe('closing a tunnel', () => {
  it('tells the peer its code and its text, and both owners once', () => {
    const lab = Lab.open();
    lab.close(lab.a, 'NOT_TRUSTED', 'not today');
    lab.run(30 * SECOND);
    expect(downs(lab.a)).toEqual([{ kind: 'closed', code: 'NOT_TRUSTED' }]);
    expect(downs(lab.b)).toEqual([{ kind: 'closed-by-peer', code: CLOSE_CODES.NOT_TRUSTED, text: 'not today' }]);
  });

  it('takes effect at the peer after one trip', () => {
    const lab = Lab.open();
    lab.close(lab.a);
    lab.run(DELAY);
    expect(lab.b.tunnelTo(lab.a)).toBeUndefined();
  });

  it('leaves nothing behind at either side: no state, no session id, no timer', () => {
    const lab = Lab.open();
    lab.converse({ span: SECOND });
    lab.close(lab.b);
    lab.run(DELAY);
    expectForgotten(lab.a);
    lab.run(3 * PTO);
    expectForgotten(lab.b);
    expect(lab.world.network.runUntilIdle(lab.now), lab.label).toBe(true);
  });

  it('takes no more datagrams, and drops those that waited', () => {
    const lab = Lab.open();
    for (let i = 0; i < 10; i++)
      lab.a.node.endpoint.sendDatagram(lab.b.key, { source: 1, destination: 2 }, new Uint8Array(9), lab.now);
    lab.close(lab.a);
    expect(lab.world.send(lab.a, lab.b)).toBe(false);
    lab.run(SECOND);
    expect(lab.world.send(lab.a, lab.b)).toBe(false);
    expect(lab.world.send(lab.b, lab.a)).toBe(false);
    expect(downs(lab.b)).toHaveLength(1);
  });

  it('twice is closing once', () => {
    const lab = Lab.open();
    lab.close(lab.a, 'SHUTDOWN', 'first');
    lab.close(lab.a, 'INTERNAL', 'second');
    lab.run(SECOND);
    lab.close(lab.a, 'INTERNAL', 'third');
    lab.run(SECOND);
    expect(downs(lab.a)).toEqual([{ kind: 'closed', code: 'SHUTDOWN' }]);
    expect(downs(lab.b)).toEqual([{ kind: 'closed-by-peer', code: CLOSE_CODES.SHUTDOWN, text: 'first' }]);
  });

  it('at both sides at once ends with one event each', () => {
    const lab = Lab.open();
    lab.close(lab.a);
    lab.close(lab.b, 'INTERNAL');
    lab.run(SECOND);
    expect(downs(lab.a)).toEqual([{ kind: 'closed', code: 'SHUTDOWN' }]);
    expect(downs(lab.b)).toEqual([{ kind: 'closed', code: 'INTERNAL' }]);
    expectForgotten(lab.a);
    expectForgotten(lab.b);
  });

  it('at both sides at once does not make them answer each other’s CLOSE with CLOSE', () => {
    const lab = Lab.open({ link: { delay: 50 } });
    lab.run(SECOND);
    const sent = watch(lab);
    lab.close(lab.a);
    lab.close(lab.b);
    lab.run(SECOND);
    expect(sent.length).toBeLessThanOrEqual(6);
  });

  it('answers again where the CLOSE was lost', () => {
    const lab = Lab.open();
    lab.cut([lab.a, lab.b]);
    lab.close(lab.a, 'SHUTDOWN', 'bye');
    lab.world.send(lab.b, lab.a);
    lab.run(2 * DELAY);
    expect(downs(lab.b)).toEqual([]);
    lab.heal();
    lab.world.send(lab.b, lab.a);
    lab.run(2 * DELAY);
    expect(downs(lab.b)).toEqual([{ kind: 'closed-by-peer', code: CLOSE_CODES.SHUTDOWN, text: 'bye' }]);
  });

  it('answers with nothing but CLOSE, a packet for a packet', () => {
    const lab = Lab.open();
    lab.cut([lab.a, lab.b]);
    lab.close(lab.a);
    const sent = watch(lab);
    for (let i = 0; i < 5; i++) {
      lab.world.send(lab.b, lab.a, 500);
      lab.run(15 * MILLISECOND);
    }
    lab.run(SECOND);
    // Later b asks from outside, not having heard of the end; that a handshake answers.
    const answers = sent.filter((packet) => packet.from === 'a' && packet.type === 0x13);
    const questions = sent.filter((packet) => packet.from === 'b' && packet.type === 0x13);
    expect(answers.length).toBeGreaterThan(0);
    expect(answers.length).toBeLessThanOrEqual(questions.length);
    for (const answer of answers) expect(answer.length).toBeLessThan(60);
  });

  it('keeps answering for 3 probe timeouts, then is silent', () => {
    const lab = Lab.open();
    lab.cut([lab.a, lab.b]);
    lab.close(lab.a);
    lab.run(3 * PTO - MILLISECOND);
    expect(lab.a.tunnelTo(lab.b)?.state).toBe('closing');
    lab.run(2 * MILLISECOND);
    expectForgotten(lab.a);
    const sent = watch(lab);
    lab.world.send(lab.b, lab.a);
    lab.run(2 * DELAY);
    expect(sent.filter((packet) => packet.from === 'a')).toEqual([]);
    expect(lab.a.node.endpoint.drops.count('unknown-session')).toBeGreaterThan(0);
  });

  it('while it is connecting ends it in silence', () => {
    const lab = new Lab();
    lab.world.connect(lab.a, lab.b);
    lab.cut();
    lab.run(SECOND);
    const sent = watch(lab);
    lab.close(lab.a);
    expect(downs(lab.a)).toEqual([{ kind: 'closed', code: 'SHUTDOWN' }]);
    lab.run(SECOND);
    expectForgotten(lab.a);
    lab.heal();
    lab.run(10 * SECOND);
    expect(sent).toEqual([]);
    expect(lab.b.events).toEqual([]);
  });

  it('before the peer has ever spoken in it reaches the peer all the same', () => {
    const lab = new Lab();
    lab.world.connect(lab.a, lab.b);
    lab.run(ROUND_TRIP);
    expect(lab.a.tunnelTo(lab.b)?.state).toBe('open');
    lab.close(lab.a);
    lab.run(SECOND);
    expect(count(lab.b, 'tunnel-up')).toBe(1);
    expect(downs(lab.b)).toEqual([{ kind: 'closed-by-peer', code: CLOSE_CODES.SHUTDOWN, text: 'bye' }]);
    expectForgotten(lab.a);
    expectForgotten(lab.b);
  });

  it('does not stand in the way of a new tunnel, not even while it is still answering', () => {
    for (const pause of [0, DELAY, PTO, SECOND]) {
      const lab = Lab.open();
      lab.close(lab.a);
      lab.run(pause);
      lab.world.connect(lab.a, lab.b);
      lab.converge();
      lab.expectUsable();
      expect(downs(lab.a), `after ${pause}`).toEqual([{ kind: 'closed', code: 'SHUTDOWN' }]);
      expect(count(lab.a, 'tunnel-up'), `after ${pause}`).toBe(2);
    }
  });

  it('is not reported a second time when the peer restarts and asks anew while it is still answering', () => {
    const lab = Lab.open();
    lab.cut([lab.a, lab.b]);
    lab.close(lab.a);
    lab.world.crash(lab.b);
    lab.world.start(lab.b);
    lab.heal();
    lab.world.connect(lab.b, lab.a);
    expect(lab.a.tunnelTo(lab.b)?.state).toBe('closing');
    lab.until(() => lab.a.tunnelTo(lab.b)?.state === 'open', 3 * PTO);
    lab.converge();
    expect(downs(lab.a)).toEqual([{ kind: 'closed', code: 'SHUTDOWN' }]);
    expect(count(lab.a, 'tunnel-up')).toBe(2);
  });

  it('is the last that its owner hears of it, a rekey under way or not', () => {
    const lab = Lab.open({ config: { rekeyAfterPackets: 50 } });
    lab.close(answeredRekey(lab));
    lab.run(SECOND);
    for (const peer of [lab.a, lab.b]) expect(peer.events.at(-1)?.kind, peer.name).toBe('tunnel-down');
  });

  it('with a text too long for the frame does not stop the program', () => {
    for (const text of ['x'.repeat(256), 'x'.repeat(257), 'é'.repeat(200), 'x'.repeat(5_000), '\ud800']) {
      const lab = Lab.open();
      expect(() => lab.close(lab.a, 'SHUTDOWN', text), `${text.length} characters`).not.toThrow();
      lab.run(SECOND);
      expect(downs(lab.b)[0]?.kind).toBe('closed-by-peer');
    }
  });
});
