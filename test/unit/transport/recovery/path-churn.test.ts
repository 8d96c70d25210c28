import { expect, it, vi } from 'vitest';
import { SentLedger } from '../../../../transport/recovery/sent-ledger.ts';
import { at, Lab } from './lab.ts';

/** A peer may send each packet from a new port, and every one is a path that comes and goes. */
it('a path that comes and goes costs nothing for what is remembered of others', () => {
  const lab = new Lab({ roundTripMs: 100 });
  for (let i = 0; i < 120_000; i++) lab.send(0);
  const looks = vi.spyOn(SentLedger.prototype, 'slot');
  for (let i = 0; i < 300; i++) lab.recovery.removePath(lab.addPath(1), at(1));
  expect(looks.mock.calls.length).toBeLessThan(3_000);
  looks.mockRestore();
});
