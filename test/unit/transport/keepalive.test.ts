import { describe, expect, it } from 'vitest';
import { type Instant, MILLISECOND, SECOND } from '../../../base/time.ts';
import { SlidingReplayWindow } from '../../../transport/replay-window.ts';
import { bytesOf, DELAY, downs, Lab, ROUND_TRIP, type SentPacket, watch } from './lab.ts';

const MINUTE = 60 * SECOND;

/** Questions and answers apart: an ACK comes one trip after the PING it answers. */
function pings(sent: readonly SentPacket[]): readonly SentPacket[] {
  return sent.filter((packet, index) => index === 0 || packet.time - sent[index - 1]!.time > ROUND_TRIP);
}

describe('an idle tunnel', () => {
  it('says something after 20 to 25 s of silence, never later', () => {
    for (let seed = 0; seed < 5; seed++) {
      const lab = Lab.open({ seed });
      lab.run(SECOND);
      const sent = watch(lab);
      lab.run(30 * MINUTE);
      const times = pings(sent).map((packet) => packet.time);
      for (const [index, time] of times.slice(1).entries()) {
        // From the answer to the last question, which its receiver sent one trip later.
        const silence = time - times[index]!;
        expect(silence, lab.label).toBeGreaterThanOrEqual(20 * SECOND);
        expect(silence, lab.label).toBeLessThanOrEqual(25 * SECOND + ROUND_TRIP);
      }
      expect(times.length, lab.label).toBeGreaterThan(60);
    }
  });

  it('costs at most 200 bytes a minute, both directions together', () => {
    for (let seed = 0; seed < 5; seed++) {
      const lab = Lab.open({ seed });
      lab.run(SECOND);
      const sent = watch(lab);
      lab.run(60 * MINUTE);
      expect(bytesOf(sent) / 60, lab.label).toBeLessThanOrEqual(200);
    }
  });

  // Not so: every ACK names up to 32 old ranges again, whose gaps nothing will ever fill.
  it('costs no more after a time in which packets were lost', () => {
    const lab = Lab.open({ link: { delay: DELAY, loss: 0.2 } });
    lab.converse({ span: 20 * SECOND });
    lab.world.network.setDefaultLink({ delay: DELAY });
    // Past the rekey that the traffic earned.
    lab.run(5 * MINUTE);
    const sent = watch(lab);
    lab.run(60 * MINUTE);
    expect(bytesOf(sent) / 60).toBeLessThanOrEqual(200);
  });

  it('after ten minutes is usable at once, in the session it had', () => {
    const lab = Lab.open();
    const [before] = lab.state(lab.a).sessions;
    lab.run(10 * MINUTE);
    expect(lab.recovery(DELAY + MILLISECOND)).toBe(DELAY);
    expect(lab.state(lab.a).sessions).toEqual([before]);
    expect([...downs(lab.a), ...downs(lab.b)]).toEqual([]);
  });

  it('wakes each of its nodes at most once for each keepalive', () => {
    const lab = Lab.open();
    lab.run(SECOND);
    const sent = watch(lab);
    const before = ['a', 'b'].map((name) => lab.world.network.timeouts(name));
    lab.run(60 * MINUTE);
    const keepalives = pings(sent).length;
    for (const [index, name] of ['a', 'b'].entries()) {
      const wakes = lab.world.network.timeouts(name) - before[index]!;
      expect(wakes, `${name}, ${keepalives} keepalives`).toBeLessThanOrEqual(keepalives + 1);
    }
  });

  it('gives back what only traffic needs once it has been silent for two to three seconds, and then with each keepalive', () => {
    const trims: Instant[] = [];
    class Watched extends SlidingReplayWindow {
      override trim(): void {
        super.trim();
        trims.push(lab.now);
      }
    }
    const lab = Lab.open({ parts: { createReplayWindow: () => new Watched() } });
    lab.run(3 * SECOND);
    trims.length = 0;
    lab.converse({ span: 10 * SECOND, interval: 1_500 * MILLISECOND });
    expect(trims).toEqual([]);
    const end = lab.now;
    lab.run(3 * SECOND);
    // Both at once: on a whole second.
    expect(trims.length).toBeGreaterThanOrEqual(2);
    expect(new Set(trims).size).toBe(1);
    expect(trims[0]! % SECOND).toBe(0);
    expect(trims[0]! - end).toBeGreaterThan(0);
    trims.length = 0;
    const sent = watch(lab);
    lab.run(2 * MINUTE);
    expect(trims.length).toBeGreaterThanOrEqual(2 * pings(sent).length);
  });

  it('survives the loss of keepalives', () => {
    for (let seed = 0; seed < 5; seed++) {
      const lab = Lab.open({ seed });
      lab.world.network.setDefaultLink({ delay: DELAY, loss: 0.4 });
      lab.run(10 * MINUTE);
      expect([...downs(lab.a), ...downs(lab.b)], lab.label).toEqual([]);
    }
  });
});

describe('a tunnel in use', () => {
  it('sends no keepalives: every packet that goes either way puts them off', () => {
    const lab = Lab.open();
    lab.run(SECOND);
    const sent = watch(lab);
    lab.talk(lab.a, lab.b, { span: 100 * SECOND, interval: 10 * SECOND });
    // A datagram and its ACK, ten times.
    expect(sent).toHaveLength(20);
  });
});
