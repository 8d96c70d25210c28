import { expect, it } from 'vitest';
import type { Instant } from '../../base/time.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { runSwarm } from '../../sim/campaigns/swarm.ts';
import { SlidingReplayWindow } from '../../transport/replay-window.ts';

/** Forgets that a number was seen: what a window would do whose ring is cleared one bit too far. */
class ForgetfulReplayWindow extends SlidingReplayWindow {
  override check(): boolean {
    return true;
  }

  override commit(packetNumber: number, now: Instant): void {
    if (super.check(packetNumber)) super.commit(packetNumber, now);
  }
}

const SEEDS_MAX = 2_000;

it('the simulator finds a replay window that forgets, within two thousand seeds', () => {
  const parts = { createReplayWindow: () => new ForgetfulReplayWindow() };
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    try {
      runSwarm({ seed, crypto: opensslBackend, parts });
    } catch (error) {
      expect(String(error)).toMatch(/I4: datagram \d+ was delivered twice/);
      // The fault, and not the seed, is what fails.
      expect(() => runSwarm({ seed, crypto: opensslBackend })).not.toThrow();
      return;
    }
  }
  expect.unreachable(`no seed up to ${SEEDS_MAX} found it`);
});
