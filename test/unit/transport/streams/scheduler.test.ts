import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Queued, Ring, Scheduler } from '../../../../transport/streams/scheduler.ts';
import type { Priority } from '../../../../wire/frames.ts';

interface Item extends Queued {
  readonly name: number;
}

function items(count: number): Item[] {
  return Array.from({ length: count }, (_, name) => ({ name, counted: 0, placed: 0 }));
}

describe('a ring', () => {
  it('is first in, first out, each item once', () => {
    const [a, b, c] = items(3) as [Item, Item, Item];
    const ring = new Ring<Item>(1);
    for (const item of [a, b, c, a, b]) ring.set(item, true);
    expect(ring.size).toBe(3);
    const order: number[] = [];
    for (let i = 0; i < 4; i++) {
      order.push(ring.first()!.name);
      ring.rotate();
    }
    expect(order).toEqual([0, 1, 2, 0]);
  });

  it('skips what was taken out, and lets it come back', () => {
    const [a, b, c] = items(3) as [Item, Item, Item];
    const ring = new Ring<Item>(1);
    for (const item of [a, b, c]) ring.set(item, true);
    ring.set(a, false);
    ring.set(b, false);
    expect([ring.first(), ring.size]).toEqual([c, 1]);
    ring.set(c, false);
    expect([ring.first(), ring.isEmpty]).toEqual([undefined, true]);
    ring.set(a, true);
    expect(ring.first()).toBe(a);
  });

  it('agrees with a list over any sequence', () => {
    const step = fc.record({ what: fc.constantFrom('add', 'remove', 'rotate'), which: fc.nat(39) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const ring = new Ring<Item>(4);
        const all = items(40);
        const members = new Set<Item>();
        for (const { what, which } of steps) {
          const item = all[which]!;
          if (what === 'rotate') {
            ring.rotate();
          } else {
            ring.set(item, what === 'add');
            if (what === 'add') members.add(item);
            else members.delete(item);
          }
          expect(ring.size).toBe(members.size);
          expect(ring.isEmpty).toBe(members.size === 0);
        }
        // A round visits every member once.
        const seen = new Set<Item>();
        for (let i = 0; i < members.size; i++) {
          seen.add(ring.first()!);
          ring.rotate();
        }
        expect(seen).toEqual(members);
        for (const item of all) ring.set(item, false);
        expect([ring.first(), all.every((item) => item.counted === 0 && item.placed === 0)]).toEqual([undefined, true]);
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it('keeps no places for items that came and went', () => {
    const ring = new Ring<Item>(1);
    const [stays] = items(1) as [Item];
    ring.set(stays, true);
    const gone = items(10_000);
    for (const item of gone) {
      ring.set(item, true);
      ring.set(item, false);
    }
    // Places out of date are dropped as they become many: what is left of them is few.
    expect(gone.filter((item) => item.placed !== 0).length).toBeLessThan(40);
    expect(ring.first()).toBe(stays);
  });
});

describe('the scheduler', () => {
  it('is strict between priorities, and sends lost bytes first within one', () => {
    const scheduler = new Scheduler<Item>();
    const [high, normal, bulk, lossy] = items(4) as [Item, Item, Item, Item];
    scheduler.place(bulk, 2, true, true);
    scheduler.place(normal, 1, false, true);
    scheduler.place(lossy, 1, true, false);
    scheduler.place(high, 0, false, true);
    const turns: [number, boolean][] = [];
    for (let ring = scheduler.next(true); ring !== undefined; ring = scheduler.next(true)) {
      const item = ring.first()!;
      turns.push([item.name, ring.needsCredit]);
      const priority: Priority = item === high ? 0 : item === bulk ? 2 : 1;
      scheduler.place(item, priority, false, !ring.needsCredit && item === bulk);
    }
    expect(turns).toEqual([
      [high.name, true],
      [lossy.name, false],
      [normal.name, true],
      [bulk.name, false],
      [bulk.name, true],
    ]);
  });

  it('passes over new bytes where there is no credit for them', () => {
    const scheduler = new Scheduler<Item>();
    const [high, bulk] = items(2) as [Item, Item];
    scheduler.place(high, 0, false, true);
    scheduler.place(bulk, 2, true, false);
    expect([scheduler.hasFresh, scheduler.hasResend]).toEqual([true, true]);
    expect(scheduler.next(false)?.first()).toBe(bulk);
    scheduler.place(bulk, 2, false, false);
    expect([scheduler.next(false), scheduler.hasFresh, scheduler.hasResend]).toEqual([undefined, true, false]);
  });
});
