import { describe, expect, it } from 'vitest';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import { type SimAddress, simAddress } from '../../../sim/address.ts';
import { AMPLIFICATION_LIMIT, PATHS_MAX } from '../../../transport/constants.ts';
import { count, DELAY, downs, Lab, Meter, ROUND_TRIP, type SentPacket, VICTIM, watch } from './lab.ts';

const NEW_PORT = 9_999;

function moved(lab: Lab, port: number = NEW_PORT): SimAddress {
  return simAddress(lab.a.address.ip, port);
}

/** A talks to B every 20 ms and B to A, and both sides know it well. */
function busy(seed = 1): Lab {
  const lab = Lab.open({ seed });
  lab.converse({ span: SECOND, interval: 20 * MILLISECOND });
  return lab;
}

function isOnPath(lab: Lab, address: SimAddress): boolean {
  return lab.state(lab.b).active === address.key;
}

/** Packets of that size are challenges, or filled with what waits. */
function isFull(packet: SentPacket): boolean {
  return packet.length > 1_000;
}

describe('a peer whose address changes under traffic', () => {
  it('is followed after one challenge, within two round trips of its first packet', () => {
    for (let seed = 0; seed < 5; seed++) {
      const lab = busy(seed);
      const address = moved(lab);
      lab.world.rebind(lab.a, NEW_PORT);
      const start = lab.now;
      lab.world.send(lab.a, lab.b);
      expect(
        lab.until(() => isOnPath(lab, address), SECOND),
        lab.label,
      ).toBe(true);
      expect(lab.now - start, lab.label).toBeLessThanOrEqual(2 * ROUND_TRIP);
      lab.expectUsable();
    }
  });

  it('gets at most three times what came from it before it has answered the challenge', () => {
    for (const length of [4, 64, 400, 1_100]) {
      const lab = busy();
      const address = moved(lab);
      const meter = new Meter(lab, address);
      lab.world.rebind(lab.a, NEW_PORT);
      // It receives nothing there: the challenge is never answered.
      lab.cut([lab.b, lab.a]);
      for (let i = 0; i < 200; i++) {
        if (i % 10 === 0) lab.world.send(lab.a, lab.b, length);
        for (let j = 0; j < 5; j++) lab.world.send(lab.b, lab.a, 1_000);
        lab.run(20 * MILLISECOND);
        if (meter.to > AMPLIFICATION_LIMIT * meter.from) expect.fail(`${length}: ${meter.to} for ${meter.from}`);
      }
      expect(meter.to, `${length}`).toBeGreaterThan(0);
      expect(isOnPath(lab, address), `${length}`).toBe(false);
    }
  });

  it('loses only what was under way to its old address', () => {
    const lab = busy();
    const before = lab.world.letters(lab.b, lab.a);
    lab.world.rebind(lab.a, NEW_PORT);
    lab.converse({ span: 2 * SECOND, interval: 10 * MILLISECOND });
    lab.run(SECOND);
    const { sent, received } = lab.world.letters(lab.b, lab.a);
    expect(lab.world.letters(lab.a, lab.b).received).toBe(lab.world.letters(lab.a, lab.b).sent);
    // Two round trips' worth, at one in 10 ms.
    expect(sent - before.sent - (received - before.received)).toBeLessThanOrEqual(5);
  });

  it('is reported once, by the side that follows, and keeps its session', () => {
    const lab = busy();
    const sessions = lab.state(lab.b).sessions;
    lab.world.rebind(lab.a, NEW_PORT);
    lab.converse({ span: 5 * SECOND });
    expect(count(lab.b, 'path-changed')).toBe(1);
    expect(count(lab.a, 'path-changed')).toBe(0);
    expect(lab.state(lab.b).sessions).toEqual(sessions);
    expect([...downs(lab.a), ...downs(lab.b)]).toEqual([]);
  });

  it('is followed back within 30 s by its first packet, without a new challenge', () => {
    const lab = busy();
    const home = lab.a.address;
    lab.world.rebind(lab.a, NEW_PORT);
    lab.converse({ span: 10 * SECOND });
    expect(isOnPath(lab, moved(lab))).toBe(true);
    const sent = watch(lab);
    lab.world.rebind(lab.a, home.port);
    lab.world.send(lab.a, lab.b);
    lab.run(DELAY);
    expect(isOnPath(lab, home)).toBe(true);
    lab.converse({ span: SECOND });
    expect(sent.filter((packet) => packet.from === 'b' && isFull(packet))).toEqual([]);
  });

  it('is challenged again where it comes back later than that', () => {
    const lab = busy();
    const home = lab.a.address;
    lab.world.rebind(lab.a, NEW_PORT);
    lab.converse({ span: 40 * SECOND });
    const sent = watch(lab);
    lab.world.rebind(lab.a, home.port);
    lab.world.send(lab.a, lab.b);
    lab.run(DELAY);
    expect(isOnPath(lab, home)).toBe(false);
    expect(lab.until(() => isOnPath(lab, home), 2 * ROUND_TRIP)).toBe(true);
    expect(sent.filter((packet) => packet.from === 'b' && isFull(packet))).toHaveLength(1);
  });

  it('is not followed back by a packet that was delayed on the old path', () => {
    const lab = busy();
    const home = lab.a.address;
    const held: Uint8Array[] = [];
    lab.world.network.setAdversary(({ fromHost, bytes }) => {
      if (fromHost !== 'a' || held.length >= 10) return 'pass';
      held.push(bytes.slice());
      return 'drop';
    });
    for (let i = 0; i < 10; i++) {
      lab.world.send(lab.a, lab.b);
      lab.run(MILLISECOND);
    }
    lab.world.rebind(lab.a, NEW_PORT);
    lab.converse({ span: SECOND });
    expect(isOnPath(lab, moved(lab))).toBe(true);
    const before = lab.received(lab.a, lab.b);
    for (const bytes of held) lab.world.network.inject({ from: home, to: lab.b.address, bytes });
    lab.run(SECOND);
    expect(lab.received(lab.a, lab.b)).toBeGreaterThan(before);
    expect(isOnPath(lab, moved(lab))).toBe(true);
    expect(count(lab.b, 'path-changed')).toBe(1);
  });

  it('again and again is followed every time, and the paths stay bounded', () => {
    const lab = busy();
    for (let i = 0; i < 30; i++) {
      lab.world.rebind(lab.a, NEW_PORT + i);
      lab.converse({ span: 300 * MILLISECOND, interval: 20 * MILLISECOND });
      expect(isOnPath(lab, moved(lab, NEW_PORT + i)), `${i}`).toBe(true);
      expect(lab.state(lab.b).paths.length).toBeLessThanOrEqual(PATHS_MAX);
    }
    lab.expectUsable();
  });
});

describe('a peer whose address changes while nothing is sent', () => {
  it('is found at its next keepalive', () => {
    const lab = Lab.open();
    lab.run(5 * SECOND);
    lab.world.rebind(lab.a, NEW_PORT);
    expect(lab.until(() => isOnPath(lab, moved(lab)), 26 * SECOND)).toBe(true);
    lab.expectUsable();
    expect([...downs(lab.a), ...downs(lab.b)]).toEqual([]);
  });

  it('is found before the other side gives up, though that side talks to the old address', () => {
    for (let seed = 0; seed < 5; seed++) {
      const lab = Lab.open({ seed });
      lab.run(5 * SECOND);
      lab.world.rebind(lab.a, NEW_PORT);
      lab.talk(lab.b, lab.a, { span: 26 * SECOND });
      expect(isOnPath(lab, moved(lab)), lab.label).toBe(true);
      expect([...downs(lab.a), ...downs(lab.b)], lab.label).toEqual([]);
      lab.expectUsable();
    }
  });

  it('during an outage carries data within 2 s of its end', () => {
    for (const span of [1, 5, 25]) {
      for (let seed = 0; seed < 3; seed++) {
        const lab = Lab.open({ seed });
        lab.run(SECOND);
        lab.cut();
        lab.converse({ span: span * SECOND });
        lab.world.rebind(lab.a, NEW_PORT);
        lab.heal();
        expect(lab.recovery(2 * SECOND), `${lab.label}, ${span} s`).toBeDefined();
      }
    }
  });
});

describe('a peer that answered at one of several addresses', () => {
  it('is asked to prove that address for as long as it is heard from there, however many challenges were lost', () => {
    const lab = new Lab();
    const { network } = lab.world;
    const second = simAddress('10.0.9.9', 4_440);
    network.rebind('b', [lab.b.address, second]);
    // All challenges are padded, and lost.
    network.setAdversary(({ fromHost, bytes }) =>
      fromHost === 'a' && bytes[0] === 0x13 && bytes.length > 300 ? 'drop' : 'pass',
    );
    const routes = [lab.a.node.routeTo(lab.b.address), lab.a.node.routeTo(second)];
    lab.a.node.endpoint.connect(lab.b.keys, routes, lab.now);
    lab.a.node.drain();
    network.touch('a');
    lab.run(5 * SECOND);
    const activePath = () => lab.state(lab.a).paths.find(({ route }) => route === lab.state(lab.a).active);
    expect(activePath()).toMatchObject({ isValidated: false, isChallenged: false });
    network.setAdversary(undefined);
    lab.talk(lab.b, lab.a, { span: SECOND });
    lab.run(SECOND);
    expect(activePath()).toMatchObject({ isValidated: true });
  });
});

describe('an attacker who copies packets to another source', () => {
  /** Each packet from `host` that is `wanted` also arrives from the victim's address, ahead of the original. */
  function copy(lab: Lab, host: 'a' | 'b', options: CopyOptions = {}): void {
    const { type = 0x13, most = Number.POSITIVE_INFINITY, original = 'pass' } = options;
    let copied = 0;
    lab.world.network.setAdversary(({ fromHost, to, bytes }) => {
      if (fromHost !== host || bytes[0] !== type || copied >= most) return 'pass';
      copied += 1;
      lab.world.network.inject({ from: VICTIM, to, bytes });
      return original;
    });
  }

  interface CopyOptions {
    readonly type?: number;
    readonly most?: number;
    /** What becomes of the originals. */
    readonly original?: 'pass' | 'drop';
  }

  function expectNotFlooded(meter: Meter): void {
    expect(meter.to, `for ${meter.from} bytes`).toBeLessThanOrEqual(AMPLIFICATION_LIMIT * meter.from);
  }

  for (const original of ['pass', 'drop'] as const) {
    it(`does not move the tunnel, and ${original === 'pass' ? 'lets' : 'does not let'} the originals through`, () => {
      const lab = busy();
      const home = lab.a.address;
      const meter = new Meter(lab, VICTIM);
      const before = lab.world.letters(lab.b, lab.a);
      copy(lab, 'a', { original });
      lab.converse({ span: 20 * SECOND });
      lab.run(SECOND);
      expect(isOnPath(lab, home)).toBe(true);
      expect(count(lab.b, 'path-changed')).toBe(0);
      const { sent, received } = lab.world.letters(lab.b, lab.a);
      expect([sent - before.sent, received - before.received]).toEqual([200, 200]);
      expectNotFlooded(meter);
    });
  }

  it('from many sources fills no table and drives out no path that proved itself', () => {
    const lab = busy();
    const home = lab.a.address;
    let port = 0;
    lab.world.network.setAdversary(({ fromHost, to, bytes }) => {
      if (fromHost === 'a') {
        lab.world.network.inject({ from: simAddress(VICTIM.ip, 1 + (port++ % 60_000)), to, bytes });
      }
      return 'pass';
    });
    lab.converse({ span: 10 * SECOND, interval: 20 * MILLISECOND });
    expect(lab.state(lab.b).paths.length).toBeLessThanOrEqual(PATHS_MAX);
    expect(isOnPath(lab, home)).toBe(true);
    lab.expectUsable();
  });

  it('and then silences the peer does not have the victim flooded with handshakes', () => {
    const lab = busy();
    const meter = new Meter(lab, VICTIM);
    copy(lab, 'a', { most: 1, original: 'drop' });
    lab.world.send(lab.a, lab.b);
    lab.run(MILLISECOND);
    lab.cut([lab.a, lab.b]);
    lab.talk(lab.b, lab.a, { span: 29 * SECOND });
    expect(meter.from).toBeGreaterThan(0);
    expectNotFlooded(meter);
  });

  it('of an initiation does not have the answering side take that source for proved', () => {
    const lab = new Lab();
    const meter = new Meter(lab, VICTIM);
    copy(lab, 'a', { type: 0x10, most: 1 });
    lab.world.connect(lab.a, lab.b);
    lab.until(() => lab.b.tunnelTo(lab.a) !== undefined, 2 * SECOND);
    for (let i = 0; i < 50; i++) lab.world.send(lab.b, lab.a, 1_000);
    lab.run(SECOND);
    expectNotFlooded(meter);
    lab.expectUsable();
  });

  it('of a response does not have the asking side take that source for proved', () => {
    const lab = new Lab();
    const meter = new Meter(lab, VICTIM);
    copy(lab, 'b', { type: 0x11, most: 1 });
    lab.world.connect(lab.a, lab.b);
    lab.talk(lab.a, lab.b, { span: 3 * SECOND, length: 1_000 });
    expectNotFlooded(meter);
    lab.converge();
    lab.expectUsable();
  });

  it('of a response that he held back for minutes changes nothing', () => {
    const lab = new Lab();
    let held: Uint8Array | undefined;
    lab.world.network.setAdversary(({ fromHost, bytes }) => {
      if (fromHost !== 'b' || bytes[0] !== 0x11) return 'pass';
      held = bytes.slice();
      return 'drop';
    });
    lab.world.connect(lab.a, lab.b);
    lab.run(15 * MILLISECOND);
    // The other side's own handshake succeeds instead.
    lab.world.connect(lab.b, lab.a);
    lab.converge();
    lab.world.network.setAdversary(undefined);
    lab.run(60 * SECOND);
    const before = lab.state(lab.a);
    lab.world.network.inject({ from: VICTIM, to: lab.a.address, bytes: held! });
    lab.run(MILLISECOND);
    expect(lab.state(lab.a)).toEqual(before);
  });
});
