import { describe, expect, it } from 'vitest';
import { opensslBackend } from '../../crypto/openssl.ts';
import { CONVERGES_WITHIN, runCrossing } from '../../sim/campaigns/crossing.ts';
import { rekeyFaults, runRekey } from '../../sim/campaigns/rekey.ts';
import { runSwarm } from '../../sim/campaigns/swarm.ts';
import { HAPPENINGS } from '../../sim/happenings.ts';
import regressions from './regressions.json' with { type: 'json' };

// The same campaigns, over more seeds, by command: npm run sim -- CAMPAIGN --seeds A..B
describe('the simulated campaigns', () => {
  it('random worlds keep every invariant and recover when their faults stop, and whatever may befall one befalls some', () => {
    const missing = new Set(HAPPENINGS);
    for (let seed = 1; seed <= 50; seed++) {
      const { counts } = runSwarm({ seed, crypto: opensslBackend });
      for (const what of missing) if (counts[what]! > 0) missing.delete(what);
    }
    expect([...missing]).toEqual([]);
  });

  it('the seeds that once failed pass', () => {
    for (const { seed } of regressions.swarm) runSwarm({ seed, crypto: opensslBackend });
  });

  it('the same seed goes the same way twice, and another seed another', () => {
    for (const seed of [3, 33, 333]) {
      const { digest } = runSwarm({ seed, crypto: opensslBackend });
      expect(runSwarm({ seed, crypto: opensslBackend }).digest, `seed ${seed}`).toBe(digest);
      expect(runSwarm({ seed: seed + 1, crypto: opensslBackend }).digest).not.toBe(digest);
    }
  });

  it('handshakes that cross and nodes that restart end in one session within three seconds', () => {
    for (let seed = 1; seed <= 300; seed++) {
      expect(runCrossing(seed, opensslBackend).convergedAfter, `seed ${seed}`).toBeLessThanOrEqual(CONVERGES_WITHIN);
    }
  });

  it('a key for every hundred packets loses nothing beyond what the link lost, and never stalls', () => {
    const result = runRekey(1, 30_000, opensslBackend);
    expect(rekeyFaults(result)).toEqual([]);
    expect(result.lostByLink).toBeGreaterThan(2_000);
  });
});
