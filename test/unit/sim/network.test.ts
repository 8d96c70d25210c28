import { describe, expect, it } from 'vitest';
import { type Instant, instant, MILLISECOND, NEVER, SECOND } from '../../../base/time.ts';
import { type SimAddress, simAddress } from '../../../sim/address.ts';
import { SimFailure } from '../../../sim/failure.ts';
import type { LinkConfig } from '../../../sim/link-config.ts';
import { Network } from '../../../sim/network.ts';
import { ADVERSARY, NOBODY, type WireEvent } from '../../../sim/wire-event.ts';
import { Chatter, Recorder } from './machines.ts';

const A = simAddress('10.0.0.1', 1000);
const B = simAddress('10.0.0.2', 1000);
const ELSEWHERE = simAddress('10.0.0.9', 1000);

interface Pair {
  readonly network: Network;
  readonly a: Recorder;
  readonly b: Recorder;
  readonly events: string[];
}

function pair(link: Partial<LinkConfig> = {}): Pair {
  const network = new Network({ seed: 1, link });
  const events: string[] = [];
  network.observe({
    datagram: ({ time, fate, cause, fromHost, toHost, origin }: WireEvent) =>
      events.push(`${time} ${fromHost}>${toHost} ${origin} ${cause ?? fate}`),
  });
  const [a, b] = [new Recorder(), new Recorder()];
  network.addHost({ name: 'a', addresses: [A], machine: a });
  network.addHost({ name: 'b', addresses: [B], machine: b });
  return { network, a, b, events };
}

function at(ms: number): Instant {
  return instant(ms * MILLISECOND);
}

function failureOf(action: () => void): SimFailure {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(SimFailure);
    return error as SimFailure;
  }
  throw new Error('did not fail');
}

describe('a network', () => {
  it('carries a datagram from the first address of its host to the host at the other one', () => {
    const { network, a, b, events } = pair({ delay: 5_000 });
    a.send(B, 1, 2, 3);
    network.touch('a');
    network.runUntil(at(10));
    expect(b.received).toEqual([{ from: A.key, local: B.key, bytes: Uint8Array.of(1, 2, 3), at: 5_000 }]);
    expect(events).toEqual(['0 a>b original sent', '5000 a>b original delivered']);
    expect(network.now).toBe(10_000);
  });

  it('lets a machine name another of its addresses, and takes the first where that one is gone', () => {
    const { network, a, b } = pair();
    network.rebind('a', [ELSEWHERE, A]);
    a.outbox.push({ to: B, bytes: Uint8Array.of(1), from: A });
    a.outbox.push({ to: B, bytes: Uint8Array.of(2), from: simAddress('1.1.1.1', 1) });
    network.touch('a');
    network.runUntilIdle(at(10));
    expect(b.received.map(({ from }) => from)).toEqual([A.key, ELSEWHERE.key]);
  });

  it('drops what is for nobody', () => {
    const { network, a, events } = pair();
    a.send(ELSEWHERE, 1);
    network.touch('a');
    expect(events).toEqual([`0 a>${NOBODY} original sent`, `0 a>${NOBODY} original unroutable`]);
    expect(network.drops.unroutable).toBe(1);
  });

  it('carries what a host sends to itself', () => {
    const { network, a } = pair();
    a.send(A, 1);
    network.touch('a');
    network.runUntilIdle(at(10));
    expect(a.received.length).toBe(1);
  });

  it('has a configuration for each direction, over a default that reaches the rest', () => {
    const { network } = pair({ delay: 1_000 });
    network.setLink('a', 'b', { loss: 0.5 });
    network.setDefaultLink({ delay: 9_000 });
    expect(network.linkConfig('a', 'b')).toMatchObject({ delay: 9_000, loss: 0.5 });
    expect(network.linkConfig('b', 'a')).toMatchObject({ delay: 9_000, loss: 0 });
    network.setLink('a', 'b', { mtu: 1_200 });
    expect(network.linkConfig('a', 'b')).toMatchObject({ delay: 9_000, loss: 0, mtu: 1_200 });
    network.resetLinks();
    expect(network.linkConfig('a', 'b')).toMatchObject({ delay: 9_000, mtu: 65_507 });
  });

  it('runs scripted actions at their time, in order, and sends what they caused', () => {
    const { network, a, b } = pair({ delay: 0 });
    const order: string[] = [];
    network.at(at(2), () => order.push('second'));
    network.at(at(1), () => a.send(B, 7), 'a');
    network.at(at(2), () => order.push(`third at ${network.now}`));
    network.at(at(3), () => b.send(A, 8));
    network.runUntil(at(5));
    expect(order).toEqual(['second', 'third at 2000']);
    expect([b.received[0]!.at, a.received[0]!.at]).toEqual([1_000, 3_000]);
  });

  it('stops where a condition holds', () => {
    const { network, a, b } = pair({ delay: 2_000 });
    a.send(B, 1);
    a.send(B, 2);
    network.touch('a');
    expect(network.runUntilTrue(() => b.received.length === 1, at(10))).toBe(true);
    expect(network.now).toBe(2_000);
    expect(network.runUntilTrue(() => b.received.length === 3, at(10))).toBe(false);
  });

  it('is idle when nothing is on its way and no timer is set, though one was given up', () => {
    const { network, a } = pair();
    a.timers.push(at(500), at(1_000));
    network.touch('a');
    expect(network.runUntilIdle(at(600))).toBe(false);
    expect(network.now).toBe(600_000);
    a.timers.length = 0;
    network.touch('a');
    expect(network.runUntilIdle(at(5_000))).toBe(true);
    expect(network.now).toBe(600_000);
  });
});

describe('determinism', () => {
  const chaos: Partial<LinkConfig> = {
    delay: 2_000,
    jitter: 5_000,
    loss: 0.1,
    burst: 2,
    duplicate: 0.1,
    corrupt: 0.05,
    replay: 0.1,
    replayWithin: 500_000,
    bandwidth: 1_000_000,
    queue: 5,
  };

  function chat(seed: number, link: Partial<LinkConfig> = chaos): { digest: string; events: number } {
    const network = new Network({ seed, link });
    network.addHost({ name: 'a', addresses: [A], machine: new Chatter(B, 1_000), timerLateness: 300 });
    network.addHost({ name: 'b', addresses: [B], machine: new Chatter(A, 1_300) });
    network.at(at(500), () => network.setLink('a', 'b', { down: true }));
    network.at(at(700), () => network.setLink('a', 'b', {}));
    network.runUntil(at(2_000));
    return { digest: network.digest(), events: network.eventsDone };
  }

  it('gives the same digest for the same seed', () => {
    expect(chat(42)).toEqual(chat(42));
    expect(chat(42).digest).toMatch(/^[0-9a-f]{16}$/);
  });

  it('gives another digest for another seed, another link and another note', () => {
    const digests = new Set([chat(42).digest, chat(43).digest, chat(42, { ...chaos, delay: 2_001 }).digest]);
    expect(digests.size).toBe(3);
    const networks = [pair().network, pair().network, pair().network];
    networks[1]!.note('a', 'read 5 bytes');
    networks[2]!.note('b', 'read 5 bytes');
    expect(new Set(networks.map((network) => network.digest())).size).toBe(3);
  });

  it('keeps the digest of a seed for good', () => {
    expect(chat(42)).toMatchInlineSnapshot(`
      {
        "digest": "71d2209db9e456c4",
        "events": 8354,
      }
    `);
  });
});

describe('faults of hosts', () => {
  it('a crashed host gets nothing, and its successor gets what lands later', () => {
    const { network, a, b, events } = pair({ delay: 4_000 });
    const successor = new Recorder();
    b.timers.push(at(2));
    network.touch('b');
    a.send(B, 1);
    network.touch('a');
    network.at(at(1), () => network.crash('b'));
    network.at(at(5), () => a.send(B, 2));
    network.at(at(6), () => network.attach('b', successor));
    network.runUntilIdle(at(100));
    expect([b.received, b.fired]).toEqual([[], []]);
    expect(events).toContain('4000 a>b original unattached');
    expect(successor.received.map(({ bytes, at }) => [bytes[0], at])).toEqual([[2, 9_000]]);
  });

  it('a removed host leaves its addresses and its name to others, and its links their faults', () => {
    const { network, a, events } = pair();
    network.setLink('a', 'b', { delay: 8_000 });
    a.send(B, 1);
    network.touch('a');
    network.removeHost('b');
    network.runUntil(at(10));
    expect(events.at(-1)).toBe('8000 a>b original unroutable');
    const successor = new Recorder();
    network.addHost({ name: 'b', addresses: [B], machine: successor });
    a.send(B, 2);
    network.touch('a');
    network.runUntilIdle(at(100));
    expect(successor.received.map(({ at }) => at)).toEqual([18_000]);
  });

  it('a host that rebinds is heard from its new address and no longer reached at the old one', () => {
    const { network, a, b, events } = pair();
    network.at(at(1), () => network.rebind('a', [ELSEWHERE]));
    network.at(at(2), () => a.send(B, 1));
    network.at(at(5), () => b.send(A, 2));
    network.at(at(6), () => b.send(ELSEWHERE, 3));
    network.runUntilIdle(at(100));
    expect(b.received[0]!.from).toBe(ELSEWHERE.key);
    expect(a.received.map(({ bytes }) => bytes[0])).toEqual([3]);
    expect(events).toContain(`5000 b>${NOBODY} original unroutable`);
    expect(() => network.rebind('a', [B])).toThrow('taken');
  });

  it('a host without an address is offline: nothing leaves it, and nothing reaches it', () => {
    const { network, a, b, events } = pair();
    network.rebind('a', []);
    a.send(B, 1);
    b.send(A, 2);
    network.touch('a');
    network.touch('b');
    network.runUntilIdle(at(10));
    expect([a.received, b.received]).toEqual([[], []]);
    expect(events.filter((event) => event.endsWith('unroutable')).length).toBe(2);
  });

  it('a datagram on its way when its address moves lands where the address is then', () => {
    const { network, a, b, events } = pair({ delay: 3_000 });
    const c = new Recorder();
    network.addHost({ name: 'c', addresses: [], machine: c });
    a.send(B, 1);
    network.touch('a');
    network.rebind('b', []);
    network.rebind('c', [B]);
    network.runUntilIdle(at(100));
    expect([b.received.length, c.received.length]).toEqual([0, 1]);
    expect(events.at(-1)).toBe('3000 a>c original delivered');
  });

  it('a paused host gets nothing and fires nothing; after it resumes the timers due since then fire at once', () => {
    const { network, a, b, events } = pair();
    b.timers.push(at(10), at(50), at(90));
    network.touch('b');
    network.at(at(5), () => network.pause('b'));
    network.at(at(20), () => a.send(B, 1));
    network.at(at(60), () => network.resume('b'));
    network.runUntilIdle(at(1_000));
    expect(b.received).toEqual([]);
    expect(events.at(-1)).toBe('21000 a>b original paused');
    expect(b.fired).toEqual([at(60), at(90)]);
  });

  it('timers are late by up to what is set, and never early', () => {
    const { network, a } = pair();
    network.setTimerLateness('a', 20_000);
    const wanted = Array.from({ length: 500 }, (_, i) => at(100 * (i + 1)));
    a.timers.push(...wanted);
    network.touch('a');
    network.runUntilIdle(instant(100 * SECOND));
    const lateness = a.fired.map((time, i) => time - wanted[i]!);
    expect(lateness.length).toBe(500);
    expect(Math.min(...lateness)).toBeGreaterThanOrEqual(0);
    expect(Math.min(...lateness)).toBeLessThan(1_000);
    expect(Math.max(...lateness)).toBeLessThanOrEqual(20_000);
    expect(Math.max(...lateness)).toBeGreaterThan(19_000);
  });
});

describe('timers', () => {
  it('fire once each, at their time, and not where they were given up', () => {
    const { network, a } = pair();
    a.timers.push(at(10), at(20), at(30));
    network.touch('a');
    network.at(at(15), () => a.timers.shift(), 'a');
    network.runUntil(at(100));
    expect(a.fired).toEqual([at(10), at(30)]);
    expect(network.timeouts('a')).toBe(2);
  });

  it('that are set early and late in turn do not pile up in the queue', () => {
    const network = new Network({ seed: 1, eventsMax: 10 });
    let next = instant(0);
    let count = 0;
    // Each time: an idle timer far away, then a short one before it.
    network.addHost({
      name: 'a',
      addresses: [A],
      machine: {
        handleDatagram: () => {},
        handleTimeout: (now) => {
          next = instant(now + (++count % 2 === 0 ? 1_000 : 30 * SECOND));
        },
        nextTimeout: () => next,
        pollDatagram: () => undefined,
      },
    });
    for (let i = 0; i < 1_000; i++) {
      network.runUntil(instant(network.now + 1_000));
      next = instant(network.now + 500);
      network.touch('a');
    }
    expect(count).toBeGreaterThan(900);
  });

  it('that stay due although they were served end the run, with seed, time and host', () => {
    const { network, a } = pair();
    const stuck = new Recorder();
    let calls = 0;
    stuck.handleTimeout = () => {
      calls++;
    };
    stuck.timers.push(at(7));
    network.addHost({ name: 'stuck', addresses: [ELSEWHERE], machine: stuck });
    a.timers.push(at(7));
    network.touch('a');
    const failure = failureOf(() => network.runUntil(at(10)));
    expect(failure.place).toEqual({ seed: 1, time: 7_000, host: 'stuck' });
    expect(failure.message).toContain('seed 1, 7.000 ms, host stuck: nextTimeout stays');
    expect(calls).toBe(101);
  });

  it('may be due at once a few times, as long as that ends', () => {
    const { network, a } = pair();
    a.handleTimeout = (now): void => {
      a.fired.push(now);
      if (a.fired.length % 100 === 0) a.timers.shift();
    };
    a.timers.push(at(1), at(2), at(3));
    network.touch('a');
    network.runUntilIdle(at(10));
    expect(a.fired.length).toBe(300);
  });

  it('must be whole microseconds', () => {
    const { network, a } = pair();
    a.timers.push(instant(0.5));
    expect(failureOf(() => network.touch('a')).message).toContain('no whole microsecond');
  });
});

describe('what would never end', () => {
  it('a machine that sends for ever at one input ends the run', () => {
    const { network } = pair();
    const machine = new Recorder();
    machine.pollDatagram = () => ({ to: ELSEWHERE, bytes: new Uint8Array(1) });
    const failure = failureOf(() => network.addHost({ name: 'c', addresses: [simAddress('c', 1)], machine }));
    expect(failure.message).toContain('100000 datagrams');
  });

  it('more events than the limit end the run', () => {
    const network = new Network({ seed: 5, eventsMax: 100 });
    for (let i = 0; i < 100; i++) network.at(at(i), () => {});
    expect(failureOf(() => network.at(at(1), () => {})).message).toContain('more than 100 events');
  });

  it('an instant that does not pass ends the run', () => {
    const network = new Network({ seed: 5, eventsMax: 1_000, link: { delay: 0 } });
    const echo = (to: SimAddress): Recorder => {
      const machine = new Recorder();
      machine.handleDatagram = () => machine.send(to, 1);
      return machine;
    };
    const a = echo(B);
    network.addHost({ name: 'a', addresses: [A], machine: a });
    network.addHost({ name: 'b', addresses: [B], machine: echo(A) });
    a.send(B, 1);
    network.touch('a');
    expect(failureOf(() => network.runUntil(at(1))).message).toContain('time stands still');
  });

  it('an error thrown by a machine is located and kept as the cause', () => {
    const { network, a, b } = pair();
    const error = new TypeError('a bug');
    b.handleDatagram = () => {
      throw error;
    };
    a.send(B, 1);
    network.touch('a');
    const failure = failureOf(() => network.runUntil(at(5)));
    expect(failure.message).toBe('seed 1, 1.000 ms, host b: TypeError: a bug');
    expect(failure.cause).toBe(error);
  });
});

describe('the adversary', () => {
  it('sees every datagram, may drop it, and injects from any address', () => {
    const { network, a, b, events } = pair();
    network.setAdversary(({ from, to, bytes }) => {
      network.inject({ from: to, to: from, bytes: Uint8Array.of(bytes[0]! + 100), delay: 250 });
      return bytes[0] === 1 ? 'drop' : 'pass';
    });
    a.send(B, 1);
    a.send(B, 2);
    network.touch('a');
    network.runUntilIdle(at(10));
    expect(b.received.map(({ bytes }) => bytes[0])).toEqual([2]);
    expect(a.received.map(({ bytes, from, at }) => [bytes[0], from, at])).toEqual([
      [101, B.key, 250],
      [102, B.key, 250],
    ]);
    expect(events.filter((event) => event.includes(ADVERSARY))).toEqual(
      Array.from({ length: 2 }, () => `250 ${ADVERSARY}>a injected delivered`),
    );
    expect(network.drops.adversary).toBe(1);
  });
});

describe('an observer', () => {
  it('can account for every datagram, copies included, by its id', () => {
    const network = new Network({
      seed: 8,
      link: { loss: 0.2, duplicate: 0.2, corrupt: 0.2, replay: 0.2, replayWithin: 100_000 },
    });
    const sent = new Set<number>();
    const ended = new Map<number, number>();
    network.observe({
      datagram: (event) => {
        if (event.fate === 'sent') {
          sent.add(event.id);
          return;
        }
        expect(sent.has(event.id)).toBe(true);
        if (event.origin === 'original') ended.set(event.id, (ended.get(event.id) ?? 0) + 1);
      },
    });
    network.addHost({ name: 'a', addresses: [A], machine: new Chatter(B, 1_000) });
    network.addHost({ name: 'b', addresses: [B], machine: new Chatter(A, 1_000) });
    network.at(at(1_000), () => network.crash('a'));
    network.at(at(1_000), () => network.crash('b'));
    network.runUntilIdle(at(10_000));
    expect(sent.size).toBeGreaterThan(2_000);
    expect([...ended.values()].every((count) => count === 1)).toBe(true);
    expect(ended.size).toBe(sent.size);
    const { sent: count, lost } = network.linkStats('a', 'b');
    expect(count).toBeGreaterThan(1_000);
    expect(lost + network.linkStats('b', 'a').lost).toBe(network.drops.lost);
  });
});

it('an address is its text and its port', () => {
  expect(simAddress('10.0.0.1', 80).key).toBe('10.0.0.1:80');
  expect(simAddress('fe80::1', 80).key).toBe('[fe80::1]:80');
  expect(() => simAddress('x', 65_536)).toThrow('port');
  expect(new Recorder().nextTimeout()).toBe(NEVER);
});
