import { describe, expect, it } from 'vitest';
import { randomBytes } from '../../../base/rng.ts';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import { SeededRng } from '../../../sim/rng.ts';
import {
  CONTROL_FRAMES_QUEUED_MAX,
  DATAGRAMS_RECEIVED_MAX,
  DIRECTED_QUEUED_MAX,
} from '../../../transport/constants.ts';
import type { Frame } from '../../../wire/frames.ts';
import { encodeFrames } from '../../security/hostile.ts';
import { run } from '../../security/support.ts';
import { expectBounded, scene, tunnelOf } from './hostile-peer.ts';

const rng = new SeededRng(0x7e);

describe('a peer that floods', () => {
  it('with challenges gets no more answers than there is room for, and no more bytes than it sent', () => {
    const { peer, othersAreWell } = scene();
    const challenges: Frame[] = Array.from({ length: 100 }, (_, i) => ({
      kind: 'path-challenge',
      token: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, i),
    }));
    for (let i = 0; i < 100; i++) {
      const packet = peer.seal(encodeFrames(...challenges));
      const sent = peer.feed(packet);
      expect(sent.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(packet.length);
      const tokens = peer.read(sent).flatMap((frame) => (frame.kind === 'path-response' ? [frame.token[7]] : []));
      // The newest: who asks so often is not owed the others.
      expect(tokens).toEqual(Array.from({ length: DIRECTED_QUEUED_MAX }, (_, n) => 100 - DIRECTED_QUEUED_MAX + n));
      expectBounded(peer);
    }
    othersAreWell();
  });

  it('with challenges one by one is answered one for one', () => {
    const { peer, othersAreWell } = scene();
    for (let i = 0; i < 3_000; i++) {
      const packet = peer.seal(
        encodeFrames({ kind: 'path-challenge', token: randomBytes(rng, 8) }, { kind: 'padding', length: 60 }),
      );
      const sent = peer.feed(packet);
      expect(sent.length).toBeLessThanOrEqual(2);
      if (i % 100 === 0) expectBounded(peer);
    }
    othersAreWell();
  });

  it('with rekeys is answered ten times a second, and never holds more sessions than sixteen', () => {
    const { peer, crypto, world, othersAreWell } = scene();
    const before = crypto.diffieHellmans;
    let asked = 0;
    let answered = 0;
    for (let ms = 0; ms < 3_000; ms += 10) {
      for (let i = 0; i < 3; i++) {
        const frames = peer.say({ kind: 'handshake', message: peer.initiate('frame').message });
        asked += 1;
        answered += frames.filter(({ kind }) => kind === 'handshake').length;
      }
      peer.acknowledge();
      expectBounded(peer);
      run(world, 10 * MILLISECOND);
    }
    expect(asked).toBe(900);
    expect(answered).toBeGreaterThan(20);
    expect(answered).toBeLessThanOrEqual(10 + 10 * 3);
    // Four at the victim for each that is answered, and two for its own question; what the peer computes is not counted.
    expect(crypto.diffieHellmans - before).toBeLessThanOrEqual(4 * answered + 2);
    expect(peer.victim.node.endpoint.drops.count('rate-limited')).toBe(asked - answered);
    run(world, 10 * SECOND);
    othersAreWell();
  });

  it('with many handshake frames in one packet costs no more than the rate and gets no more than a queue of answers', () => {
    const { peer, crypto, othersAreWell } = scene();
    const before = crypto.diffieHellmans;
    const [first] = peer.say({ kind: 'handshake', message: peer.initiate('frame').message });
    expect(first).toBeDefined();
    const { message } = peer.initiate('frame');
    peer.say({ kind: 'handshake', message });
    const cost = crypto.diffieHellmans;
    expect(cost - before).toBe(8);
    const many = encodeFrames(...Array.from({ length: 200 }, (): Frame => ({ kind: 'handshake', message })));
    const packet = peer.seal(many);
    const sent = peer.feed(packet);
    expect(crypto.diffieHellmans).toBe(cost);
    expect(peer.read(sent).filter(({ kind }) => kind === 'handshake').length).toBeLessThanOrEqual(
      CONTROL_FRAMES_QUEUED_MAX,
    );
    expect(sent.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(packet.length);
    expectBounded(peer);
    othersAreWell();
  });

  it('with tiny frames in the largest packet there is, is read to its end', () => {
    const { peer, othersAreWell } = scene();
    const room = 65_507 - 32;
    for (const plaintext of [
      new Uint8Array(room).fill(0x01),
      new Uint8Array(room),
      new Uint8Array(room).map((_, i) => (i % 2 === 0 ? 0xc0 : 0)).subarray(0, room - (room % 2)),
      new Uint8Array(room).map((_, i) => (i % 2 === 0 ? 0x10 : 1)).subarray(0, room - (room % 2)),
    ]) {
      const frames = peer.sayBytes(plaintext);
      expect(frames.filter(({ kind }) => kind !== 'ack')).toEqual([]);
      expect(tunnelOf(peer)?.state).toBe('open');
    }
    othersAreWell();
  });

  it('with datagrams fills the queue of its receiver, which drops the oldest and counts them', () => {
    const { peer, b, world, othersAreWell } = scene();
    const { endpoint } = b.node;
    const route = b.node.routeTo(peer.address);
    for (let i = 0; i < 1_500; i++) {
      const data = Uint8Array.of(i >>> 8, i);
      const packet = peer.seal(encodeFrames({ kind: 'datagram', sourcePort: 1, destinationPort: 2, data }));
      endpoint.handleDatagram(route, packet, world.network.now);
    }
    expect(endpoint.inspect().received).toBe(DATAGRAMS_RECEIVED_MAX);
    expect(endpoint.datagramsDropped).toBe(1_500 - DATAGRAMS_RECEIVED_MAX);
    expect(endpoint.pollDatagram()?.data).toEqual(Uint8Array.of(476 >>> 8, 476 & 0xff));
    while (endpoint.pollDatagram() !== undefined);
    othersAreWell();
  });

  it('with restarts ends only its own tunnel, twenty times a second at the most', () => {
    const { peer, b, world, othersAreWell } = scene();
    let established = 0;
    for (let i = 0; i < 100; i++) {
      peer.incarnation = randomBytes(rng, 16);
      peer.nextNumber = 0;
      try {
        peer.shakeHands();
      } catch {
        // Too often: the source has no token left, and gets no answer.
        run(world, 50 * MILLISECOND);
        continue;
      }
      peer.say({ kind: 'ping' });
      established += 1;
    }
    expect(established).toBeGreaterThan(10);
    expect(b.node.endpoint.inspect().tunnels).toHaveLength(2);
    expect(b.node.endpoint.drops.count('rate-limited')).toBeGreaterThan(0);
    run(world, 10 * SECOND);
    expect(b.node.endpoint.inspect().provisional).toEqual([]);
    othersAreWell();
  });
});
