import { describe, expect, it } from 'vitest';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import type { SimPeer } from '../../../sim/world.ts';
import { count, downs, expectForgotten, Lab, type SentPacket, watch } from './lab.ts';

const MINUTE = 60 * SECOND;

function generations(peer: SimPeer): number[] {
  return peer.events.flatMap((event) => (event.kind === 'rekeyed' ? [event.generation] : []));
}

function expectRekeys(lab: Lab, least: number, most: number): void {
  for (const peer of [lab.a, lab.b]) {
    const rekeys = count(peer, 'rekeyed');
    expect(rekeys, `${lab.label}, ${peer.name}`).toBeGreaterThanOrEqual(least);
    expect(rekeys, `${lab.label}, ${peer.name}`).toBeLessThanOrEqual(most);
  }
}

describe('a rekey', () => {
  it('comes after so many packets, whichever side sends them', () => {
    for (const from of ['a', 'b'] as const) {
      const lab = Lab.open({ config: { rekeyAfterPackets: 100 } });
      const to = lab.other(lab[from]);
      // Ten keys' worth.
      lab.talk(lab[from], to, { span: 5 * SECOND, interval: 5 * MILLISECOND });
      expectRekeys(lab, 7, 10);
    }
  });

  it('comes after so many bytes', () => {
    const lab = Lab.open({ config: { rekeyAfterBytes: 100_000 } });
    lab.talk(lab.a, lab.b, { span: 5 * SECOND, interval: 5 * MILLISECOND, length: 1_000 });
    expectRekeys(lab, 7, 11);
  });

  it('comes after two minutes of traffic, however little', () => {
    const lab = Lab.open();
    lab.talk(lab.a, lab.b, { span: 10 * MINUTE, interval: 10 * SECOND });
    expectRekeys(lab, 4, 4);
  });

  it('does not come before its time', () => {
    const lab = Lab.open();
    lab.converse({ span: 119 * SECOND, interval: SECOND });
    expectRekeys(lab, 0, 0);
    lab.converse({ span: 3 * SECOND, interval: SECOND });
    expectRekeys(lab, 1, 1);
  });

  it('never comes in an idle tunnel', () => {
    const lab = Lab.open();
    lab.run(60 * MINUTE);
    expectRekeys(lab, 0, 0);
  });

  it('comes once at most in a tunnel that was used and then left idle', () => {
    const lab = Lab.open();
    lab.converse({ span: 10 * SECOND });
    lab.run(60 * MINUTE);
    expectRekeys(lab, 0, 1);
  });

  it('brings both sides the same generations, each once and in order', () => {
    for (let seed = 0; seed < 3; seed++) {
      const lab = Lab.open({ seed, config: { rekeyAfterPackets: 40 } });
      lab.converse({ span: 6 * SECOND, interval: 20 * MILLISECOND });
      lab.run(SECOND);
      const seen = generations(lab.a);
      expect(seen.length, lab.label).toBeGreaterThan(5);
      expect(seen, lab.label).toEqual([...new Set(seen)].sort((x, y) => x - y));
      expect(generations(lab.b), lab.label).toEqual(seen);
      expect(lab.world.hasConverged(lab.a, lab.b), lab.label).toBe(true);
    }
  });

  it('loses nothing on a link that loses nothing, however often it comes', () => {
    for (let seed = 0; seed < 3; seed++) {
      const lab = Lab.open({ seed, config: { rekeyAfterPackets: 20, rekeysPerSecond: 1_000 } });
      lab.converse({ span: 2 * SECOND, interval: 5 * MILLISECOND });
      lab.run(SECOND);
      for (const [from, to] of [
        [lab.a, lab.b],
        [lab.b, lab.a],
      ] as const) {
        const { sent, received } = lab.world.letters(from, to);
        expect(received, `${lab.label} from ${from.name}`).toBe(sent);
      }
      expectRekeys(lab, 10, 100);
    }
  });

  it('goes through although half of its frames are lost', () => {
    for (let seed = 0; seed < 3; seed++) {
      const lab = Lab.open({ seed, config: { rekeyAfterPackets: 100 } });
      lab.world.network.setDefaultLink({ delay: 10 * MILLISECOND, loss: 0.5 });
      lab.converse({ span: 10 * SECOND, interval: 20 * MILLISECOND });
      expectRekeys(lab, 1, 40);
      expect([...downs(lab.a), ...downs(lab.b)], lab.label).toEqual([]);
    }
  });

  it('never sets the packet numbers back', () => {
    const lab = Lab.open({ config: { rekeyAfterPackets: 50 } });
    let last = lab.state(lab.a).nextPacketNumber;
    for (let i = 0; i < 50; i++) {
      lab.talk(lab.a, lab.b, { span: 100 * MILLISECOND, interval: 10 * MILLISECOND });
      const { nextPacketNumber } = lab.state(lab.a);
      expect(nextPacketNumber).toBeGreaterThan(last);
      last = nextPacketNumber;
    }
    expectRekeys(lab, 5, 12);
  });
});

describe('the keys before a rekey', () => {
  /** Runs into a rekey, and stops talking once both sides send in the new session. */
  function rekeyed(): Lab {
    const lab = Lab.open({ config: { rekeyAfterPackets: 100 } });
    const done = (): boolean => count(lab.a, 'rekeyed') > 0 && count(lab.b, 'rekeyed') > 0;
    while (!done()) {
      lab.world.send(lab.a, lab.b);
      lab.run(5 * MILLISECOND);
    }
    return lab;
  }

  it('still open for a while, and are gone after 3 probe timeouts', () => {
    const lab = rekeyed();
    expect(lab.state(lab.b).sessions).toHaveLength(2);
    // At this round trip a probe timeout is between 45 and 105 ms.
    lab.run(3 * 105 * MILLISECOND);
    for (const peer of [lab.a, lab.b]) {
      expect(lab.state(peer).sessions, peer.name).toHaveLength(1);
      expect(peer.node.endpoint.inspect().sessionIds, peer.name).toBe(1);
    }
    lab.expectUsable();
  });

  it('open what was under way when they were replaced', () => {
    const lab = Lab.open({ config: { rekeyAfterPackets: 100 } });
    lab.world.network.setDefaultLink({ delay: 10 * MILLISECOND, jitter: 60 * MILLISECOND });
    lab.talk(lab.a, lab.b, { span: 5 * SECOND, interval: 5 * MILLISECOND });
    lab.run(SECOND);
    const { sent, received } = lab.world.letters(lab.a, lab.b);
    expect(received).toBe(sent);
    expectRekeys(lab, 4, 25);
  });

  it('open nothing after that: a packet from before is nobody’s', () => {
    const lab = Lab.open({ config: { rekeyAfterPackets: 100 } });
    let held: Uint8Array | undefined;
    lab.world.network.setAdversary(({ fromHost, bytes }) => {
      if (fromHost !== 'a' || held !== undefined) return 'pass';
      held = bytes.slice();
      return 'drop';
    });
    lab.talk(lab.a, lab.b, { span: 2 * SECOND, interval: 10 * MILLISECOND });
    lab.run(2 * SECOND);
    expect(count(lab.b, 'rekeyed')).toBeGreaterThan(0);
    const before = lab.state(lab.b);
    lab.world.network.inject({ from: lab.a.address, to: lab.b.address, bytes: held! });
    lab.run(MILLISECOND);
    expect(lab.b.node.endpoint.drops.count('unknown-session')).toBe(1);
    expect(lab.state(lab.b)).toEqual(before);
  });
});

describe('the hard limit of a key', () => {
  /** Both refuse every rekey: no answer ever comes. */
  const STUBBORN = { rekeyAfterPackets: 50, sealedPacketsMax: 100, rekeysPerSecond: 0 };

  function mostUnderOneKey(sent: readonly SentPacket[]): number {
    const packets = new Map<string, number>();
    for (const { type, from, session } of sent) {
      const key = `${from} ${session}`;
      if (type === 0x13) packets.set(key, (packets.get(key) ?? 0) + 1);
    }
    return Math.max(...packets.values());
  }

  /** Talks until one side has had enough. */
  function exhausted(): Lab {
    const lab = Lab.open({ config: STUBBORN });
    for (let i = 0; i < 200 && downs(lab.a).length === 0; i++) {
      lab.world.send(lab.a, lab.b);
      lab.until(() => downs(lab.a).length > 0, 10 * MILLISECOND);
    }
    return lab;
  }

  it('ends the tunnel with KEY_LIMIT where the peer never answers a rekey', () => {
    const lab = exhausted();
    expect(downs(lab.a)).toEqual([{ kind: 'closed', code: 'KEY_LIMIT' }]);
    expect(lab.world.send(lab.a, lab.b)).toBe(false);
    // The last packet that the key allows tells the other side.
    lab.run(5 * SECOND);
    expect(downs(lab.b)).toMatchObject([{ kind: 'closed-by-peer', code: 8 }]);
    expectForgotten(lab.a);
  });

  it('is never passed, not by one packet', () => {
    const lab = new Lab({ config: STUBBORN });
    const sent = watch(lab);
    lab.world.connect(lab.a, lab.b);
    lab.converge();
    for (let i = 0; i < 50; i++) {
      for (let j = 0; j < 30; j++) lab.world.send(lab.a, lab.b, 1_000);
      lab.run(5 * MILLISECOND);
    }
    expect(mostUnderOneKey(sent)).toBe(100);
  });

  it('ends that tunnel only: a new one may begin at once', () => {
    const lab = exhausted();
    lab.world.connect(lab.a, lab.b);
    lab.converge();
    lab.expectUsable();
  });

  it('is not met while rekeys are answered', () => {
    const lab = new Lab({ config: { rekeyAfterPackets: 50, sealedPacketsMax: 100, rekeysPerSecond: 1_000 } });
    const sent = watch(lab);
    lab.world.connect(lab.a, lab.b);
    lab.converge();
    lab.converse({ span: 5 * SECOND, interval: 10 * MILLISECOND });
    expect([...downs(lab.a), ...downs(lab.b)]).toEqual([]);
    expect(mostUnderOneKey(sent)).toBeLessThanOrEqual(100);
  });
});
