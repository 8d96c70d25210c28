import { expect, it } from 'vitest';
import { freeMemory, freeRead, WORTHWHILE_BYTES } from '../../../ipc/free-memory.ts';

it('memory goes at once, in any Node', () => {
  const { buffer } = new Uint8Array(100_000);
  freeMemory(buffer);
  expect(buffer.byteLength).toBe(0);
});

it('what was read is freed where it is all there is in its memory, and worth it', () => {
  const whole = new Uint8Array(10_000);
  const around = new Uint8Array(10_000);
  const part = around.subarray(1);
  const small = new Uint8Array(WORTHWHILE_BYTES - 1);
  for (const bytes of [whole, part, small]) freeRead(bytes);
  expect([whole.length, part.length, small.length]).toEqual([0, 9_999, WORTHWHILE_BYTES - 1]);
});
