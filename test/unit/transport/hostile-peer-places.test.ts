import { describe, expect, it } from 'vitest';
import { randomBytes } from '../../../base/rng.ts';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import { simAddress } from '../../../sim/address.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { AMPLIFICATION_LIMIT } from '../../../transport/constants.ts';
import type { Frame } from '../../../wire/frames.ts';
import { RESPONSE_BYTES } from '../../../wire/packet.ts';
import { encodeFrames, KeyedPeer } from '../../security/hostile.ts';
import { run, Tape, takeSent } from '../../security/support.ts';
import { expectBounded, scene, tunnelOf } from './hostile-peer.ts';

const rng = new SeededRng(0x7e);

describe('a peer that sends from everywhere', () => {
  it('never makes a place get more than three times what came from it, nor one of our initiations', () => {
    const { peer, b, world, othersAreWell } = scene();
    const tape = new Tape();
    world.network.observe(tape);
    const bytesIn = new Map<string, number>();
    const bytesOut = new Map<string, number>();
    const note = (to: string, length: number): void => void bytesOut.set(to, (bytesOut.get(to) ?? 0) + length);
    for (let i = 0; i < 300; i++) {
      const from = simAddress('203.0.113.7', 1 + rng.below(30));
      const frames: Frame[] = [{ kind: 'path-challenge', token: randomBytes(rng, 8) }, { kind: 'ping' }];
      const packet = peer.seal(encodeFrames(...frames, { kind: 'padding', length: 1 + rng.below(500) }));
      bytesIn.set(from.key, (bytesIn.get(from.key) ?? 0) + packet.length);
      for (const { to, bytes } of peer.feed(packet, from)) note(to, bytes.length);
      b.node.endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(100), world.network.now);
      world.network.touch(b.name);
      run(world, 10 * MILLISECOND);
      expectBounded(peer);
    }
    // Then it says no more, and is looked for.
    run(world, 40 * SECOND);
    for (const { to, bytes } of tape.from(b)) note(to.key, bytes.length);
    const reached = [...bytesIn].map(([place, received]) => [place, bytesOut.get(place) ?? 0, received] as const);
    expect(reached.some(([, sent]) => sent > 0)).toBe(true);
    for (const [place, sent, received] of reached) {
      expect(sent, place).toBeLessThanOrEqual(AMPLIFICATION_LIMIT * received);
    }
    expect(tunnelOf(peer)).toBeUndefined();
    othersAreWell();
  });

  it('does not make its dialler flood a place that it answers from and cannot be heard at', () => {
    const { b, world, othersAreWell } = scene();
    const peer = new KeyedPeer(world, b, 'trent', 67);
    const elsewhere = simAddress('203.0.113.8', 53);
    const tape = new Tape();
    world.network.observe(tape);
    let sent = peer.beDialled(elsewhere);
    const { endpoint } = b.node;
    for (let i = 0; i < 60; i++) {
      endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(1_000), world.network.now);
    }
    sent = [...sent, ...takeSent(world, b)];
    run(world, 5 * SECOND);
    // From where it really is it says something wrong: our CLOSE has no more bytes left for that place.
    sent = [...sent, ...peer.feed(peer.seal(Uint8Array.of(0x07)))];
    run(world, 40 * SECOND);
    const bytes = [...sent, ...tape.from(b).map((one) => ({ to: one.to.key, bytes: one.bytes }))]
      .filter(({ to }) => to === elsewhere.key)
      .reduce((sum, one) => sum + one.bytes.length, 0);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(AMPLIFICATION_LIMIT * RESPONSE_BYTES);
    expect(endpoint.tunnel(peer.key)).toBeUndefined();
    othersAreWell();
  });

  it('does not move us to a place that has not answered, whatever it sends from there', () => {
    const { peer, othersAreWell } = scene();
    const elsewhere = simAddress('203.0.113.8', 53);
    for (let i = 0; i < 100; i++) {
      peer.feed(peer.seal(Uint8Array.of(1)), elsewhere);
      peer.feed(peer.seal(encodeFrames({ kind: 'path-response', token: randomBytes(rng, 8) })), elsewhere);
    }
    expect(tunnelOf(peer)?.activeRoute?.key).toBe(peer.address.key);
    othersAreWell();
  });

  it('does not prove a place by answering its challenge from another', () => {
    const { peer, othersAreWell } = scene();
    const elsewhere = simAddress('203.0.113.8', 53);
    const sent = peer.feed(peer.seal(encodeFrames({ kind: 'ping' }, { kind: 'padding', length: 900 })), elsewhere);
    const challenge = sent
      .filter(({ to }) => to === elsewhere.key)
      .flatMap(({ bytes }) => peer.open(bytes) ?? [])
      .find(({ kind }) => kind === 'path-challenge');
    expect(challenge?.kind).toBe('path-challenge');
    if (challenge?.kind === 'path-challenge') peer.say({ kind: 'path-response', token: challenge.token.slice() });
    const paths = tunnelOf(peer)!.inspect().paths;
    expect(paths.find(({ route }) => route === elsewhere.key)?.isValidated).toBe(false);
    peer.feed(peer.seal(Uint8Array.of(1)), elsewhere);
    expect(tunnelOf(peer)?.activeRoute?.key).toBe(peer.address.key);
    othersAreWell();
  });
});
