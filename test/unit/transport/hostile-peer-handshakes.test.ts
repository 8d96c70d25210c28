import { describe, expect, it } from 'vitest';
import { concat } from '../../../base/bytes.ts';
import { randomBytes } from '../../../base/rng.ts';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { GENERATION_MAX } from '../../../wire/handshake-payload.ts';
import { KeyedPeer } from '../../security/hostile.ts';
import { run, Tape } from '../../security/support.ts';
import { expectBounded, scene, tunnelOf } from './hostile-peer.ts';

const rng = new SeededRng(0x7e);

describe('a peer that lies in a handshake', () => {
  it.each(['inside', 'outside'] as const)(
    'may count generations to the end %s: our next one still has a number',
    (where) => {
      const { b, world, othersAreWell } = scene();
      const peer = new KeyedPeer(world, b, 'trent', 67);
      if (where === 'inside') {
        peer.join();
        const [answer] = peer.say({ kind: 'handshake', message: peer.initiate('frame', GENERATION_MAX).message });
        expect(answer).toBeDefined();
      } else {
        peer.shakeHands(peer.address, GENERATION_MAX);
        peer.say({ kind: 'ping' });
      }
      expect(tunnelOf(peer)?.inspect().sessions[0]?.generation).toBe(GENERATION_MAX);
      const { endpoint } = b.node;
      endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(9), world.network.now);
      world.network.touch(b.name);
      // Nobody answers, so it asks from outside, again and again.
      run(world, 40 * SECOND);
      expect(tunnelOf(peer)).toBeUndefined();
      othersAreWell();
    },
  );

  it('may not count beyond that', () => {
    const { peer, b, othersAreWell } = scene();
    for (const generation of [GENERATION_MAX + 1, 0xffff_ffff]) {
      expect(peer.say({ kind: 'handshake', message: peer.initiate('frame', generation).message })).toMatchObject([
        { kind: 'ack' },
      ]);
    }
    expect(b.node.endpoint.drops.count('malformed-payload')).toBe(2);
    expect(tunnelOf(peer)?.inspect().sessions).toHaveLength(1);
    othersAreWell();
  });

  it('may rekey for ever without ever using the new session: the old one goes on', () => {
    const { peer, world, othersAreWell } = scene({ rekeyAfterPackets: 50 });
    for (let i = 0; i < 40; i++) {
      peer.say({ kind: 'handshake', message: peer.initiate('frame').message });
      peer.say({ kind: 'ping' });
      expectBounded(peer);
      run(world, 200 * MILLISECOND);
    }
    expect(
      tunnelOf(peer)
        ?.inspect()
        .sessions.filter(({ isSending }) => isSending),
    ).toHaveLength(1);
    othersAreWell();
  });

  it('may leave every rekey of ours unanswered: nothing is sealed beyond the limit, and the tunnel ends', () => {
    const { peer, b, world, othersAreWell } = scene({ rekeyAfterPackets: 50, sealedPacketsMax: 200 });
    const tape = new Tape();
    world.network.observe(tape);
    const { endpoint } = b.node;
    for (let i = 0; i < 300 && tunnelOf(peer) !== undefined; i++) {
      endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(900), world.network.now);
      world.network.touch(b.name);
      peer.read(tape.from(b).map(({ to, bytes }) => ({ to: to.key, bytes })));
      peer.acknowledge();
      run(world, 10 * MILLISECOND);
    }
    expect(tunnelOf(peer)).toBeUndefined();
    expect(b.events.at(-1)).toMatchObject({ kind: 'tunnel-down', reason: { kind: 'closed', code: 'KEY_LIMIT' } });
    expect(tape.from(b).filter(({ to }) => to.key === peer.address.key).length).toBeLessThanOrEqual(200);
    othersAreWell();
  });

  it('may answer a rekey of ours with rubbish: it is asked again, and the tunnel goes on', () => {
    const { peer, b, world, othersAreWell } = scene({ rekeyAfterPackets: 20 });
    const tape = new Tape();
    world.network.observe(tape);
    let asked = 0;
    for (let i = 0; i < 60; i++) {
      const heard = tape.from(b).splice(0);
      tape.all.length = 0;
      const frames = [
        ...peer.read(heard.map(({ to, bytes }) => ({ to: to.key, bytes }))),
        ...peer.say({ kind: 'ping' }),
      ];
      for (const frame of frames) {
        if (frame.kind !== 'handshake') continue;
        asked += 1;
        const header = Uint8Array.of(0x11, 0, 1, 0, 0, 1, 0, 0, 1, 2, 3, 4);
        peer.say({ kind: 'handshake', message: concat(header, frame.message.slice(8, 12), randomBytes(rng, 240)) });
      }
      run(world, 100 * MILLISECOND);
    }
    expect(asked).toBeGreaterThan(1);
    expect(b.node.endpoint.drops.count('not-authentic')).toBe(asked);
    expect(tunnelOf(peer)?.state).toBe('open');
    expect(tunnelOf(peer)?.inspect().sessions).toHaveLength(1);
    othersAreWell();
  });

  it('may answer another handshake than its own: the response of one session is none in another', () => {
    const { peer, b, world, othersAreWell } = scene();
    const other = new KeyedPeer(world, b, 'trent', 67).join();
    const [answer] = other.say({ kind: 'handshake', message: other.initiate('frame').message });
    expect(answer?.kind).toBe('ack');
    const before = b.node.endpoint.tunnel(other.key)!.inspect().sessions;
    peer.say({ kind: 'handshake', message: other.initiate('frame').message });
    expect(b.node.endpoint.tunnel(other.key)!.inspect().sessions).toEqual(before);
    expect(tunnelOf(peer)?.state).toBe('open');
    othersAreWell();
  });
});
