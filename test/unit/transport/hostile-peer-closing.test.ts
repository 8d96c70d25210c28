import { describe, expect, it } from 'vitest';
import { SECOND } from '../../../base/time.ts';
import { run } from '../../security/support.ts';
import { scene, tunnelOf } from './hostile-peer.ts';

describe('a peer that closes', () => {
  it.each([
    ['nothing', ''],
    ['what would colour a terminal', '\x1b[31m\x1b]0;owned\x07'],
    ['what would look like another line of a log', '\r\n{"level":"error"}'],
    ['what turns text around', '\u202e\u2066gpj.exe'],
    ['zeros', '\0'.repeat(256)],
    ['as much as it may', '\u{1f980}'.repeat(64)],
  ])(
    'with a reason of %s ends the tunnel at once, and the reason is handed on as it is, as untrusted text',
    (_, reason) => {
      const { peer, b, othersAreWell } = scene();
      expect(peer.say({ kind: 'close', code: 2 ** 53 - 1, reason })).toEqual([]);
      expect(tunnelOf(peer)).toBeUndefined();
      expect(b.events.at(-1)).toEqual({
        kind: 'tunnel-down',
        peer: peer.key,
        reason: { kind: 'closed-by-peer', code: 2 ** 53 - 1, text: reason },
        unread: [],
      });
      expect(peer.say({ kind: 'ping' })).toEqual([]);
      othersAreWell();
    },
  );

  it('has nothing taken that stands behind its CLOSE', () => {
    const { peer, othersAreWell } = scene();
    peer.say(
      { kind: 'close', code: 0, reason: '' },
      { kind: 'datagram', sourcePort: 1, destinationPort: 2, data: Uint8Array.of(1) },
      { kind: 'stream-stop', stream: 0, code: 0 },
    );
    expect(peer.delivered).toEqual([]);
    othersAreWell();
  });

  it('and goes on sending after it was closed gets fewer and fewer answers', () => {
    const { peer, world, othersAreWell } = scene();
    peer.sayBytes(Uint8Array.of(0x07));
    let answers = 0;
    for (let i = 0; i < 1_000; i++) {
      const frames = peer.say({ kind: 'ping' });
      for (const frame of frames) expect(frame.kind).toBe('close');
      answers += frames.length;
    }
    expect(answers).toBeLessThanOrEqual(11);
    run(world, 10 * SECOND);
    expect(peer.say({ kind: 'ping' })).toEqual([]);
    othersAreWell();
  });

  it('cannot choose how long its closed tunnel is remembered, by an ACK that comes a minute late', () => {
    const { peer, b, world, othersAreWell } = scene();
    const { endpoint } = b.node;
    const late = tunnelOf(peer)!.inspect().nextPacketNumber;
    endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(9), world.network.now);
    world.network.touch(b.name);
    for (let i = 0; i < 55; i++) {
      peer.say({ kind: 'padding', length: 1 });
      run(world, SECOND);
    }
    peer.say({ kind: 'ack', delayUs: 0, ranges: [{ smallest: late, largest: late }] });
    peer.sayBytes(Uint8Array.of(0x07));
    run(world, 10 * SECOND);
    expect(tunnelOf(peer)).toBeUndefined();
    othersAreWell();
  });
});
