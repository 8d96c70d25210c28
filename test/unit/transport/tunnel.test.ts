import { describe, expect, it } from 'vitest';
import { after, MILLISECOND, SECOND } from '../../../base/time.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { World } from '../../../sim/world.ts';

function pair(options: Partial<ConstructorParameters<typeof World>[0]> = {}) {
  const world = new World({ seed: 1, crypto: opensslBackend, link: { delay: 10 * MILLISECOND }, ...options });
  return { world, a: world.addPeer('a'), b: world.addPeer('b') };
}

describe('a tunnel between two nodes', () => {
  it('carries a datagram in the second round trip after a cold connect', () => {
    const { world, a, b } = pair();
    world.connect(a, b);
    world.send(a, b);
    world.network.runUntil(after(world.network.now, 31 * MILLISECOND));
    expect(world.letters(a, b)).toEqual({ sent: 1, received: 1 });
  });
  it('ends with one confirmed session on both sides', () => {
    const { world, a, b } = pair();
    world.connect(a, b);
    world.network.runUntil(after(world.network.now, SECOND));
    expect(world.hasConverged(a, b)).toBe(true);
  });
  it('when both connect at once, both keep the session that the lower identity key initiated', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { world, a, b } = pair({ seed });
      world.connect(a, b);
      world.connect(b, a);
      world.network.runUntil(after(world.network.now, 3 * SECOND));
      expect(world.hasConverged(a, b)).toBe(true);
      const lower = a.isLowerThan(b) ? a : b;
      expect(lower.tunnelTo(lower === a ? b : a)?.inspect().sessions[0]?.initiatedLocally).toBe(true);
    }
  });
});
