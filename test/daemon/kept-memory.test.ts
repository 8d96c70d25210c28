import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const MIB = 2 ** 20;
const compiled = new URL('../../dist/', import.meta.url);

/** What V8 has on its books at the most while 48 MiB are handed out and let go of, in a process that holds so much besides. */
function booked(handsOut: boolean, heldKib: number): number {
  const program = `
    import { getHeapStatistics } from 'node:v8';
    import { KeptMemory } from '${new URL('daemon/kept-memory.js', compiled)}';
    const held = Array.from({ length: ${heldKib} }, () => new Array(128).fill(0));
    const memory = new KeptMemory();
    const before = getHeapStatistics().external_memory;
    let most = 0;
    for (let i = 0; i < 768; i++) {
      const bytes = Buffer.allocUnsafeSlow(65_536);
      if (${handsOut}) memory.handOut(bytes.length);
      most = Math.max(most, getHeapStatistics().external_memory - before);
    }
    console.log(most, held.length, memory.filling.length);
  `;
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  const [most, held, filling] = said.split(' ').map(Number);
  expect([held, filling]).toEqual([heldKib, 0]);
  return most!;
}

describe('memory that programs were handed', () => {
  it('is off the books of a small heap soon after they have let go of it', () => {
    expect(booked(true, 0)).toBeLessThan(24 * MIB);
    expect(booked(false, 0)).toBeGreaterThan(24 * MIB);
  });

  it('is left to V8 in a larger heap', () => {
    expect(booked(true, 20 * 1_024)).toBeGreaterThan(24 * MIB);
  });
});
