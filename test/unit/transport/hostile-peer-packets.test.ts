import { describe, expect, it } from 'vitest';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { TYPE_INITIATION } from '../../../wire/packet.ts';
import { encodeFrames } from '../../security/hostile.ts';
import { run, stateOf, Tape } from '../../security/support.ts';
import { expectBounded, expectClosed, scene, tunnelOf } from './hostile-peer.ts';

const rng = new SeededRng(0x7e);

describe('a peer that plays with packet numbers', () => {
  it('may use the highest there is; after it nothing more of its own is heard', () => {
    const { peer, othersAreWell } = scene();
    const last = 2 ** 53 - 1;
    expect(peer.read(peer.feed(peer.seal(Uint8Array.of(1), last)))).toMatchObject([
      { kind: 'ack', ranges: [{ largest: last }, {}] },
    ]);
    for (const number of [last, 5, 2 ** 52, last - 2_048]) {
      const before = stateOf(peer.victim);
      expect(peer.feed(peer.seal(Uint8Array.of(1), number)), `${number}`).toEqual([]);
      expect(stateOf(peer.victim)).toEqual(before);
    }
    // Within the window of the highest all is as usual.
    for (const number of [last - 1, last - 2, last - 2_047]) {
      expect(peer.read(peer.feed(peer.seal(Uint8Array.of(1), number))).map(({ kind }) => kind)).toEqual(['ack']);
    }
    expectBounded(peer);
    othersAreWell();
  });

  it('may leave out every other one: 256 ranges are kept, 32 are sent, the lowest forgotten', () => {
    const { peer, othersAreWell } = scene();
    for (let i = 0; i < 1_000; i++) {
      peer.nextNumber += 1;
      const [ack] = peer.say({ kind: 'ping' });
      expect(ack?.kind).toBe('ack');
      if (ack?.kind === 'ack') expect(ack.ranges.length).toBeLessThanOrEqual(32);
    }
    expectBounded(peer);
    othersAreWell();
  });

  it('may jump to and fro: nothing that was taken is taken again', () => {
    const { peer, othersAreWell } = scene();
    const taken = new Set<number>();
    const base = 10_000;
    for (let i = 0; i < 2_000; i++) {
      const number = base + rng.below(3_000);
      const data = Uint8Array.of(number >>> 8, number);
      const before = peer.delivered.length;
      peer.feed(peer.seal(encodeFrames({ kind: 'datagram', sourcePort: 1, destinationPort: 2, data }), number));
      const isNew = peer.delivered.length > before;
      expect(isNew && taken.has(number)).toBe(false);
      if (isNew) taken.add(number);
    }
    expect(taken.size).toBeGreaterThan(500);
    othersAreWell();
  });
});

describe('a peer that acknowledges dishonestly', () => {
  it('gains nothing by acknowledging everything that was sent, at any delay', () => {
    const { peer, othersAreWell } = scene();
    for (let i = 0; i < 500; i++) {
      const largest = tunnelOf(peer)!.inspect().nextPacketNumber - 1;
      const frames = peer.say({ kind: 'ack', delayUs: rng.below(2 ** 53), ranges: [{ smallest: 0, largest }] });
      expect(frames).toEqual([]);
    }
    expect(tunnelOf(peer)?.state).toBe('open');
    othersAreWell();
  });

  it('is closed for the very next packet that has not been sent', () => {
    const stage = scene();
    const largest = tunnelOf(stage.peer)!.inspect().nextPacketNumber;
    const frames = stage.peer.say({ kind: 'ack', delayUs: 0, ranges: [{ smallest: largest, largest }] });
    expectClosed(stage, frames, 'PROTOCOL_VIOLATION');
  });

  it('with 256 ranges, all of them within what was sent, is heard', () => {
    const { peer, othersAreWell } = scene();
    for (let i = 0; i < 600; i++) peer.say({ kind: 'ping' });
    const highest = tunnelOf(peer)!.inspect().nextPacketNumber - 1;
    const ranges = Array.from({ length: 256 }, (_, i) => ({ smallest: highest - 2 * i, largest: highest - 2 * i }));
    expect(peer.say({ kind: 'ack', delayUs: 0, ranges })).toEqual([]);
    expect(tunnelOf(peer)?.state).toBe('open');
    othersAreWell();
  });
});

describe('a peer that never acknowledges anything', () => {
  it('but talks all the time is alive: it is probed, not asked from outside', () => {
    const { peer, b, world, othersAreWell } = scene();
    const tape = new Tape();
    world.network.observe(tape);
    const { endpoint } = b.node;
    endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(9), world.network.now);
    world.network.touch(b.name);
    for (let i = 0; i < 1_000; i++) {
      peer.say({ kind: 'padding', length: 1 });
      run(world, 10 * MILLISECOND);
    }
    const toPeer = tape.from(b).filter(({ to }) => to.key === peer.address.key);
    expect(toPeer.length).toBeGreaterThan(5);
    expect(toPeer.filter(({ bytes }) => bytes[0] === TYPE_INITIATION).length).toBe(0);
    expect(tunnelOf(peer)?.inspect().isAttempting).toBe(false);
    othersAreWell();
  });

  it('and is silent is asked from outside with the second probe, once a second at most, and given up after 30 s', () => {
    const { peer, b, world, othersAreWell } = scene();
    const tape = new Tape();
    world.network.observe(tape);
    const { endpoint } = b.node;
    endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(9), world.network.now);
    world.network.touch(b.name);
    run(world, 40 * SECOND);
    const asked = tape.from(b).filter(({ bytes }) => bytes[0] === TYPE_INITIATION);
    expect(asked.length).toBeGreaterThan(20);
    expect(asked.length).toBeLessThan(40);
    expect(b.events.at(-1)).toMatchObject({ kind: 'tunnel-down', peer: peer.key, reason: { kind: 'peer-timeout' } });
    othersAreWell();
  });
});
