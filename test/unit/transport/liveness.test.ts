import { describe, expect, it } from 'vitest';
import { after, instant, MILLISECOND, SECOND } from '../../../base/time.ts';
import { SeededRng } from '../../../sim/rng.ts';
import type { SimPeer } from '../../../sim/world.ts';
import { REST_AFTER } from '../../../transport/constants.ts';
import { Liveness } from '../../../transport/liveness.ts';
import { count, DELAY, downs, expectForgotten, Lab, ROUND_TRIP, watch } from './lab.ts';

const HOUR = 3_600 * SECOND;

/** The longest time between two of these. */
function longestPause(times: readonly number[]): number {
  let longest = 0;
  for (const [index, time] of times.entries()) longest = Math.max(longest, time - (times[index - 1] ?? time));
  return longest;
}

describe('a peer that does not answer', () => {
  it('ends a tunnel that is connecting after peerTimeout, with the reason', () => {
    const lab = new Lab();
    lab.cut();
    lab.world.connect(lab.a, lab.b);
    lab.run(30 * SECOND - 1);
    expect(downs(lab.a)).toEqual([]);
    lab.run(1);
    expect(downs(lab.a)).toEqual([{ kind: 'peer-timeout' }]);
    expectForgotten(lab.a);
  });

  it('is asked at least once a second while the tunnel is connecting', () => {
    for (let seed = 0; seed < 5; seed++) {
      const lab = new Lab({ seed });
      lab.cut();
      const sent = watch(lab);
      lab.world.connect(lab.a, lab.b);
      lab.run(29 * SECOND);
      expect(sent.every((packet) => packet.type === 0x10)).toBe(true);
      expect(longestPause(sent.map((packet) => packet.time)), lab.label).toBeLessThanOrEqual(SECOND);
      expect(sent.length, lab.label).toBeLessThan(45);
    }
  });

  it('ends an open tunnel peerTimeout after the first packet that waits for an answer', () => {
    const lab = Lab.open();
    lab.run(5 * SECOND);
    lab.cut();
    lab.world.send(lab.a, lab.b);
    lab.run(30 * SECOND - 1);
    expect(downs(lab.a)).toEqual([]);
    expect(lab.world.send(lab.a, lab.b)).toBe(true);
    lab.run(1);
    expect(downs(lab.a)).toEqual([{ kind: 'peer-timeout' }]);
    expect(lab.world.send(lab.a, lab.b)).toBe(false);
    expectForgotten(lab.a);
  });

  it('is given the time that the owner set', () => {
    for (const peerTimeout of [2 * SECOND, 90 * SECOND]) {
      const lab = Lab.open({ config: { peerTimeout } });
      lab.cut();
      lab.world.send(lab.a, lab.b);
      lab.run(peerTimeout - 1);
      expect(downs(lab.a)).toEqual([]);
      lab.run(1);
      expect(downs(lab.a)).toEqual([{ kind: 'peer-timeout' }]);
    }
  });

  it('is found out in an idle tunnel by the next keepalive', () => {
    const lab = Lab.open();
    lab.cut();
    lab.run(20 * SECOND);
    expect([...downs(lab.a), ...downs(lab.b)]).toEqual([]);
    lab.run(35 * SECOND + ROUND_TRIP);
    expect([...downs(lab.a), ...downs(lab.b)]).toEqual([{ kind: 'peer-timeout' }, { kind: 'peer-timeout' }]);
    expectForgotten(lab.a);
    expectForgotten(lab.b);
  });

  it('in one direction only ends the tunnel at both sides', () => {
    const lab = Lab.open();
    lab.cut([lab.a, lab.b]);
    lab.converse({ span: 30 * SECOND });
    expect(downs(lab.b)).toEqual([{ kind: 'peer-timeout' }]);
    expect(downs(lab.a)).toEqual([]);
    lab.run(30 * SECOND);
    expect(downs(lab.a)).toEqual([{ kind: 'peer-timeout' }]);
  });

  it('is asked at least once a second, inside the tunnel and from outside, until it is given up', () => {
    for (let seed = 0; seed < 5; seed++) {
      const lab = Lab.open({ seed });
      lab.run(SECOND);
      lab.cut();
      lab.world.send(lab.a, lab.b);
      const sent = watch(lab);
      lab.run(29 * SECOND);
      const times = (type: number): number[] => sent.filter((one) => one.type === type).map((one) => one.time);
      expect(longestPause(times(0x13)), lab.label).toBeLessThanOrEqual(SECOND);
      expect(longestPause(times(0x10)), lab.label).toBeLessThanOrEqual(SECOND);
      expect(lab.now - times(0x10).at(-1)!, lab.label).toBeLessThanOrEqual(SECOND);
      expect(sent.length, lab.label).toBeLessThan(100);
    }
  });

  it('may be connected to again at once', () => {
    const lab = Lab.open({ config: { peerTimeout: 3 * SECOND } });
    lab.cut();
    lab.world.send(lab.a, lab.b);
    lab.run(3 * SECOND);
    lab.heal();
    lab.world.connect(lab.a, lab.b);
    lab.converge();
    lab.expectUsable();
  });
});

type Talking = 'both' | 'a' | 'b' | 'nobody';

function talkThrough(lab: Lab, who: Talking, span: number): void {
  if (who === 'both') lab.converse({ span });
  else if (who === 'a') lab.talk(lab.a, lab.b, { span });
  else if (who === 'b') lab.talk(lab.b, lab.a, { span });
  else lab.run(span);
}

describe('an outage', () => {
  it.each<[number, number]>([
    [1, 30],
    [5, 30],
    [25, 30],
    [30, 300],
    [120, 300],
  ])('of %i s under a peerTimeout of %i s: data flows both ways within 2 s of its end', (span, peerTimeout) => {
    for (const who of ['both', 'a', 'b', 'nobody'] as const) {
      for (const loss of who === 'both' ? [0, 0.2] : [0]) {
        for (let seed = 0; seed < 2; seed++) {
          const lab = Lab.open({ seed, config: { peerTimeout: peerTimeout * SECOND } });
          lab.run(SECOND);
          lab.cut();
          talkThrough(lab, who, span * SECOND);
          lab.world.network.setDefaultLink({ delay: DELAY, loss });
          lab.heal();
          const label = `${lab.label}, ${who} talking, loss ${loss}`;
          expect(lab.recovery(2 * SECOND), label).toBeLessThanOrEqual(2 * SECOND);
          expect([...downs(lab.a), ...downs(lab.b)], label).toEqual([]);
        }
      }
    }
  });

  it('in which the peer restarted: data flows within 2 s of its end', () => {
    for (const span of [1, 5, 25]) {
      const lab = Lab.open();
      lab.run(SECOND);
      lab.cut();
      lab.talk(lab.a, lab.b, { span: span * SECOND });
      lab.world.crash(lab.b);
      lab.world.start(lab.b);
      lab.heal();
      expect(lab.recovery(2 * SECOND), `${span} s`).toBeDefined();
    }
  });

  it('leaves one session, the same at both sides', () => {
    for (let seed = 0; seed < 5; seed++) {
      const lab = Lab.open({ seed });
      lab.cut();
      lab.converse({ span: 8 * SECOND });
      lab.heal();
      lab.converge();
      lab.run(12 * SECOND);
      expect(lab.state(lab.a).sessions, lab.label).toHaveLength(1);
      expect(lab.state(lab.b).sessions, lab.label).toHaveLength(1);
      expect(lab.world.hasConverged(lab.a, lab.b), lab.label).toBe(true);
    }
  });

  it('that lets only handshakes through does not leave a tunnel that nobody can use', () => {
    const lab = new Lab();
    lab.world.network.setAdversary(({ fromHost, bytes }) => (fromHost === 'a' && bytes[0] === 0x13 ? 'drop' : 'pass'));
    lab.world.connect(lab.a, lab.b);
    lab.run(7 * SECOND);
    lab.world.network.setAdversary(undefined);
    expect(lab.recovery(2 * SECOND)).toBeDefined();
  });
});

describe('a peer that restarted', () => {
  function restart(lab: Lab, peer: SimPeer): void {
    lab.world.crash(peer);
    lab.world.start(peer);
  }

  it('is reported as that, and found by traffic within 3 s', () => {
    const lab = Lab.open();
    lab.run(SECOND);
    restart(lab, lab.a);
    lab.world.send(lab.b, lab.a);
    expect(lab.until(() => lab.world.hasConverged(lab.a, lab.b), 3 * SECOND)).toBe(true);
    expect(downs(lab.b)).toEqual([{ kind: 'peer-restarted' }]);
    lab.expectUsable();
    expect(count(lab.b, 'tunnel-up')).toBe(2);
  });

  it('and connects itself is reported as that', () => {
    const lab = Lab.open();
    lab.run(SECOND);
    restart(lab, lab.b);
    lab.world.connect(lab.b, lab.a);
    lab.converge();
    lab.expectUsable();
    expect(downs(lab.a)).toEqual([{ kind: 'peer-restarted' }]);
  });

  it('is not mistaken for a rekey, nor a rekey reported in a tunnel that has only now come up', () => {
    const lab = Lab.open();
    lab.run(SECOND);
    restart(lab, lab.a);
    lab.talk(lab.b, lab.a, { span: 5 * SECOND });
    expect(count(lab.a, 'rekeyed') + count(lab.b, 'rekeyed')).toBe(0);
  });
});

describe('a side that was suspended for 8 hours', () => {
  it('when it was idle: the other side had given up, and a new tunnel carries data within 3 s', () => {
    const lab = Lab.open();
    lab.run(SECOND);
    lab.world.network.pause('a');
    lab.run(8 * HOUR);
    expect(downs(lab.b)).toEqual([{ kind: 'peer-timeout' }]);
    lab.world.network.resume('a');
    expect(lab.recovery(3 * SECOND)).toBeDefined();
    expect(downs(lab.a)).toEqual([{ kind: 'peer-restarted' }]);
  });

  it('while it waited for an answer: its owner hears at once that the peer timed out', () => {
    const lab = Lab.open();
    lab.run(SECOND);
    lab.world.send(lab.a, lab.b);
    lab.world.network.pause('a');
    lab.run(8 * HOUR);
    const resumed = lab.now;
    lab.world.network.resume('a');
    expect(lab.until(() => downs(lab.a).length > 0, 3 * SECOND)).toBe(true);
    expect(lab.now - resumed).toBeLessThanOrEqual(MILLISECOND);
    expect(downs(lab.a)).toEqual([{ kind: 'peer-timeout' }]);
    lab.world.connect(lab.a, lab.b);
    expect(lab.recovery(3 * SECOND)).toBeDefined();
  });

  it('while the other side kept trying: the same tunnel carries data within 3 s', () => {
    const lab = Lab.open({ config: { peerTimeout: 12 * HOUR } });
    lab.run(SECOND);
    lab.world.network.pause('a');
    lab.run(8 * HOUR);
    lab.world.network.resume('a');
    expect(lab.recovery(3 * SECOND)).toBeDefined();
    expect([...downs(lab.a), ...downs(lab.b)]).toEqual([]);
  });
});

describe('a tunnel that rests', () => {
  it('does not rest again as soon as it is used again, however long it had been silent', () => {
    const start = instant(10 * SECOND);
    const liveness = new Liveness(30 * SECOND, new SeededRng(1), start);
    liveness.noteRest();
    const now = after(start, 60 * SECOND);
    liveness.noteUse(now);
    expect(liveness.isResting).toBe(false);
    expect(liveness.restDue - now).toBeGreaterThanOrEqual(REST_AFTER);
  });
});
