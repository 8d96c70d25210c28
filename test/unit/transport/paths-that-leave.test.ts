import { describe, expect, it } from 'vitest';
import { after, MILLISECOND, SECOND } from '../../../base/time.ts';
import { simAddress } from '../../../sim/address.ts';
import { encodeFrames, KeyedPeer } from '../../security/hostile.ts';
import { connected, run } from '../../security/support.ts';

const ELSEWHERE = simAddress('203.0.113.8', 53);
const SLICE = 10 * MILLISECOND;

/** A tunnel whose peer has been heard from a place where it answers no challenge. */
function heardElsewhere(): KeyedPeer {
  const { world, b } = connected();
  const peer = new KeyedPeer(world, b).join();
  peer.feed(peer.seal(encodeFrames({ kind: 'ping' }, { kind: 'padding', length: 1_100 })), ELSEWHERE);
  return peer;
}

function hasPath({ victim, key }: KeyedPeer): boolean {
  const { paths } = victim.node.endpoint.tunnel(key)!.inspect();
  return paths.some(({ route }) => route === ELSEWHERE.key);
}

/** How many slices of time pass until the place is given up. */
function slicesUntilGone(): number {
  const peer = heardElsewhere();
  for (let slices = 0; slices < 10_000; slices++) {
    if (!hasPath(peer)) return slices;
    run(peer.world, SLICE);
  }
  throw new Error('the path never leaves');
}

describe('a path that leaves the table', () => {
  it('takes with it the answers that were still to go by it', () => {
    const slices = slicesUntilGone();
    const peer = heardElsewhere();
    const { node } = peer.victim;
    run(peer.world, (slices - 1) * SLICE);
    expect(hasPath(peer)).toBe(true);

    // The timer that ends the last try is late: a packet that came from there is handled first, and asks for an answer.
    const now = after(peer.world.network.now, 1 * SECOND);
    const asking = encodeFrames({ kind: 'path-challenge', token: new Uint8Array(8) });
    node.endpoint.handleDatagram(node.routeTo(ELSEWHERE), peer.seal(asking), now);
    expect(hasPath(peer)).toBe(true);
    const buffer = new Uint8Array(65_536);
    const routes: string[] = [];
    for (;;) {
      const transmit = node.endpoint.pollTransmit(buffer, now);
      if (transmit === undefined) break;
      routes.push(transmit.route.key);
    }
    expect(hasPath(peer)).toBe(false);
    expect(routes).not.toContain(ELSEWHERE.key);
    expect(node.endpoint.tunnel(peer.key)?.state).toBe('open');
  });
});
