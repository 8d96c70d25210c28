import { describe, expect, it } from 'vitest';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import { createIdentity } from '../../../crypto/identity.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { simAddress } from '../../../sim/address.ts';
import { encodeFrames, KeyedPeer } from '../../security/hostile.ts';
import { pair, run, takeSent } from '../../security/support.ts';
import { count, DELAY, downs, Lab } from './lab.ts';

const INITIATION = 0x10;
const DATA = 0x13;
const VICTIM = simAddress('203.0.113.8', 53);

describe('a peer that comes back', () => {
  it('while we are still closing gets its new tunnel at once, and keeps it', () => {
    for (const wait of [0, 20, 80, 95]) {
      const lab = Lab.open();
      lab.talk(lab.a, lab.b, { span: 2 * SECOND });
      lab.close(lab.a);
      lab.run((10 + wait) * MILLISECOND);
      const before = lab.received(lab.b, lab.a);
      const ended = downs(lab.b).length;
      lab.world.connect(lab.b, lab.a);
      lab.world.send(lab.b, lab.a);
      expect(
        lab.until(() => lab.received(lab.b, lab.a) > before, 200 * MILLISECOND),
        `${wait} ms`,
      ).toBe(true);
      lab.run(10 * SECOND);
      expect(downs(lab.b).length, `${wait} ms`).toBe(ended);
    }
  });

  it('after a restart is not thrown out by a packet of before, held back on the way', () => {
    const lab = new Lab();
    const { network } = lab.world;
    const held: { bytes: Uint8Array }[] = [];
    network.setAdversary((seen) => {
      if (seen.fromHost !== 'a' || seen.bytes[0] !== 0x13) return 'pass';
      held.push({ bytes: seen.bytes.slice() });
      return 'drop';
    });
    lab.world.connect(lab.a, lab.b);
    lab.run(40 * MILLISECOND);
    expect(lab.b.node.endpoint.provisionalCount).toBe(1);
    network.setAdversary(undefined);
    lab.world.crash(lab.a);
    lab.world.start(lab.a);
    lab.world.connect(lab.a, lab.b);
    lab.converge();
    expect(held.length).toBeGreaterThan(0);
    for (const { bytes } of held) network.inject({ from: lab.a.address, to: lab.b.address, bytes });
    lab.run(SECOND);
    expect(count(lab.b, 'tunnel-down')).toBe(0);
    expect(lab.world.hasConverged(lab.a, lab.b)).toBe(true);
  });

  it('and whose first packet of before comes after all, when nobody can tell which was first, begins anew by whoever speaks first', () => {
    for (const first of ['a', 'b'] as const) {
      const lab = new Lab();
      const { a, b, world } = lab;
      const { network } = world;
      const initiations: Uint8Array[] = [];
      const firstPackets: Uint8Array[] = [];
      network.setAdversary((seen) => {
        const isAsking = seen.fromHost === 'b' && seen.bytes[0] === INITIATION;
        const isFirst = seen.fromHost === 'a' && seen.bytes[0] === DATA;
        if (!isAsking && !isFirst) return 'pass';
        (isAsking ? initiations : firstPackets).push(seen.bytes.slice());
        return 'drop';
      });
      // What b asks waits on the way, while a makes a session that b has answered and not seen used.
      world.connect(b, a);
      lab.run(5 * MILLISECOND);
      world.connect(a, b);
      lab.run(40 * MILLISECOND);
      expect(b.node.endpoint.provisionalCount).toBe(1);
      network.setAdversary(undefined);
      world.crash(a);
      world.start(a);
      for (const bytes of initiations) network.inject({ from: b.address, to: a.address, bytes });
      lab.converge();
      const incarnation = b.tunnelTo(a)!.localIncarnation;
      expect(firstPackets.length).toBeGreaterThan(0);
      for (const bytes of firstPackets) network.inject({ from: a.address, to: b.address, bytes });
      lab.run(DELAY);
      expect(downs(b), 'the late packet replaces the tunnel').toEqual([{ kind: 'peer-restarted' }]);

      const [from, to] = first === 'a' ? [a, b] : [b, a];
      world.send(from, to);
      lab.run(5 * SECOND);
      lab.expectUsable();
      expect(b.tunnelTo(a)!.localIncarnation).not.toEqual(incarnation);
      lab.converse({ span: 30 * SECOND });
      for (const peer of [a, b]) expect(peer.node.endpoint.drops.count('replayed'), peer.name).toBe(0);
    }
  });
});

describe('connecting', () => {
  it('with a corrected static key starts anew; under an open tunnel another one is refused', () => {
    const { world, a, b } = pair();
    const { endpoint } = a.node;
    const wrong = createIdentity(opensslBackend, world.network.rng('wrong'), 0).exchange.publicKey;
    const routes = [a.node.routeTo(b.address)];
    const { identityKey } = b.keys;
    expect(endpoint.connect({ identityKey, staticKey: wrong }, routes, world.network.now)).toBe('started');
    world.network.touch('a');
    run(world, SECOND);
    expect(endpoint.connect(b.keys, routes, world.network.now)).toBe('started');
    world.network.touch('a');
    run(world, SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
    expect(endpoint.connect({ identityKey, staticKey: wrong }, routes, world.network.now)).toBe('other-key');
  });

  it('by two routes trusts neither for the answer to one: a peer cannot name a victim as its second', () => {
    const { world, b } = pair();
    const peer = new KeyedPeer(world, b, 'trent', 67);
    const { endpoint } = b.node;
    // What a record of the peer could make its dialler do, whatever the dialler asks with.
    const { now } = world.network;
    endpoint.connect(peer.keys, [b.node.routeTo(peer.address), b.node.routeTo(VICTIM)], now);
    endpoint.handleTimeout(now);
    const sent = takeSent(world, b);
    expect(sent.map(({ to }) => to)).toContain(VICTIM.key);
    const unasked = sent.filter(({ to }) => to === VICTIM.key).reduce((sum, { bytes }) => sum + bytes.length, 0);
    const answer = peer.answerInitiation(sent.find(({ to }) => to === peer.address.key)!.bytes);
    let fromVictim = answer.length;
    const afterwards = peer.feed(answer, VICTIM);
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 60; i++) {
        const ports = { source: 1, destination: 2 };
        endpoint.sendDatagram(peer.key, ports, new Uint8Array(1_000), world.network.now);
      }
      afterwards.push(...takeSent(world, b));
      const next = endpoint.tunnel(peer.key)?.inspect().nextPacketNumber ?? 1;
      const ack = peer.seal(encodeFrames({ kind: 'ack', delayUs: 0, ranges: [{ smallest: 0, largest: next - 1 }] }));
      fromVictim += ack.length;
      afterwards.push(...peer.feed(ack, VICTIM));
      run(world, 100 * MILLISECOND);
    }
    const toVictim = afterwards.filter(({ to }) => to === VICTIM.key).reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(unasked).toBe(1_200);
    expect(toVictim).toBeLessThanOrEqual(3 * fromVictim);
  });
});
