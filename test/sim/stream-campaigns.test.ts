import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { SECOND } from '../../base/time.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { runConnect, runOutage } from '../../sim/campaigns/outages.ts';
import { runRange } from '../../sim/range.ts';
import regressions from './regressions.json' with { type: 'json' };

describe('transfers under outages', () => {
  it('go on soon after whatever happened, or say in a typed event that they will not', () => {
    const stories = new Set<string>();
    for (let seed = 1; seed <= 12; seed++) stories.add(runOutage(seed, opensslBackend).story);
    expect(stories.size).toBe(12);
  });

  it('pass with the seeds that once failed', () => {
    for (const { seed } of regressions.outages as readonly { seed: number }[]) runOutage(seed, opensslBackend);
  });

  it('connect in time where three packets in ten are lost in bursts', () => {
    const times = Array.from({ length: 300 }, (_, i) => runConnect(i + 1, opensslBackend).connectedAfter);
    times.sort((a, b) => a - b);
    expect(times[150]).toBeLessThan(SECOND);
  });
});

describe('a range of seeds that is resumed', () => {
  const run = async (file: string, state: object, last = 60): Promise<{ code: number; lines: string[] }> => {
    writeFileSync(file, JSON.stringify(state));
    const lines: string[] = [];
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      lines.push(...String(text).trimEnd().split('\n'));
      return true;
    });
    try {
      return { code: await runRange('connects', { first: 1, last }, 1, file), lines };
    } finally {
      write.mockRestore();
    }
  };
  const state = { campaign: 'connects', first: 1, last: 60, share: 20 };

  it('ends with the sums over what was done before and what was not, and does nothing twice', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'warren-range-'));
    try {
      const file = join(directory, 'state.json');
      const failures = [{ seed: 7, reason: 'as it was' }];
      const done = { ...state, done: [1, 21, 41], passed: 59, failures, counts: { lost: 12, clog: 0 } };
      const { code, lines } = await run(file, done);
      expect(code).toBe(1);
      expect(lines).toContain('seed 7: as it was');
      expect(lines).toContain('happened: lost 12');
      expect(lines).toContain('never happened: clog');
      expect(lines.at(-1)).toBe('59 passed, 1 failed');
      expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(done);
      expect((await run(file, done, 80)).code).toBe(2);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
