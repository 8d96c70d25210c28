import { describe, expect, it } from 'vitest';
import { opensslBackend } from '../../crypto/openssl.ts';
import { runReplay } from '../../sim/campaigns/replay.ts';

/** C3: of a million replays none is accepted. A tenth of them here; the million is `npm run sim -- replay --seeds 1..1`. */
const REPLAYS = 100_000;

describe('a replay of everything that was delivered', () => {
  it('is dropped, every single packet of it, and leaves both nodes as they would have been', () => {
    const { recorded, replays, rekeys, drops, responses, cookies, accepted } = runReplay(1, REPLAYS, opensslBackend);
    expect(recorded).toBeGreaterThan(800);
    expect(rekeys).toBeGreaterThan(3);
    const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0);
    expect(dropped + responses).toBe(replays);
    // Within a session, of a session that is gone, and the messages of a handshake.
    for (const reason of ['replayed', 'unknown-session', 'cookie-demanded', 'bad-cookie', 'bad-mac1'] as const) {
      expect(drops[reason], reason).toBeGreaterThan(0);
    }
    expect(cookies).toBe(drops['cookie-demanded']! + drops['bad-cookie']!);
    console.log(`FIGURE C3-replays ${accepted} 0`);
  });

  it('is the same run for the same seed, and another for another', () => {
    const [first, again, other] = [7, 7, 8].map((seed) => runReplay(seed, 2_000, opensslBackend));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});
