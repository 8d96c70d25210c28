import { describe, expect, it } from 'vitest';
import { instant } from '../../../../base/time.ts';
import { READY_ALLOWANCE, WINDOW_HALF_LIFE } from '../../../../transport/streams/constants.ts';
import { NodeBudget, ReceiveWindow, SendCredit, TunnelWindow } from '../../../../transport/streams/flow-control.ts';
import { KIB, MIB, RTT } from './lab.ts';

function tunnelWindow(options: { max?: number; budget?: NodeBudget } = {}): TunnelWindow {
  return new TunnelWindow({ max: options.max ?? 64 * MIB, budget: options.budget ?? new NodeBudget() }, instant(0));
}

describe('a receive window', () => {
  it('raises its limit in quarters', () => {
    const window = new ReceiveWindow(1_000, instant(0));
    expect([window.raise(1_249), window.limit]).toEqual([false, 1_000]);
    expect([window.raise(1_250), window.limit]).toEqual([true, 1_250]);
    expect([window.raise(1_000), window.limit]).toEqual([false, 1_250]);
  });

  it('is to double when it was used up within four round trips, and not when it took longer', () => {
    const window = new ReceiveWindow(1_000, instant(0));
    expect(window.measure(499, RTT, instant(1))).toBe(false);
    expect(window.measure(500, RTT, instant(2 * RTT))).toBe(true);
    expect(window.measure(1_000, RTT, instant(4 * RTT + 1))).toBe(false);
    // A whole window in four round trips is as fast as half of one in two.
    expect(window.measure(2_000, RTT, instant(8 * RTT + 1))).toBe(true);
  });

  it('is to double where holes let readers have a window only every third round trip', () => {
    const window = new ReceiveWindow(1_000, instant(0));
    for (let i = 1; i <= 4; i++) expect(window.measure(1_000 * i, RTT, instant(3 * RTT * i))).toBe(true);
  });

  it('judges a burst after a pause by the burst', () => {
    const window = new ReceiveWindow(1_000, instant(0));
    expect(window.measure(500, RTT, instant(1_000 * RTT))).toBe(false);
    expect(window.measure(1_000, RTT, instant(1_000 * RTT + 1))).toBe(true);
  });
});

describe('the window of a tunnel', () => {
  it('gives credit back for what readers took', () => {
    const window = tunnelWindow();
    window.moved(255 * KIB, 255 * KIB, 0);
    expect(window.raise()).toBe(false);
    window.moved(KIB, KIB, 0);
    expect(window.raise()).toBe(true);
    expect([window.limit, window.open]).toEqual([MIB + 256 * KIB, MIB]);
  });

  it('gives credit back for what waits in order for a reader, but not for what waits behind a hole', () => {
    const stalled = tunnelWindow();
    stalled.moved(512 * KIB, 0, 512 * KIB);
    expect([stalled.raise(), stalled.open]).toEqual([true, MIB]);
    const holed = tunnelWindow();
    holed.moved(512 * KIB, 0, 0);
    expect([holed.raise(), holed.open]).toEqual([false, 512 * KIB]);
  });

  it('does so up to an allowance, which the budget backs', () => {
    const budget = new NodeBudget();
    const window = tunnelWindow({ budget });
    for (let i = 0; i < 1_000; i++) {
      const piece = Math.min(256 * KIB, window.open);
      window.moved(piece, 0, piece);
      window.raise();
    }
    expect([window.open, window.received, budget.used]).toEqual([0, MIB + READY_ALLOWANCE, READY_ALLOWANCE]);
    // Taken at last, all of it comes back.
    window.moved(0, window.ready, -window.ready);
    window.raise();
    window.moved(window.open, window.open, 0);
    window.raise();
    expect([window.open, budget.used]).toEqual([MIB, 0]);
  });

  it('gives the allowance back as readers take what lay there, however little credit that makes', () => {
    const budget = new NodeBudget();
    const window = tunnelWindow({ budget });
    for (let bytes = window.open; bytes > 0; bytes = Math.min(64 * KIB, window.open)) {
      window.moved(bytes, 0, bytes);
      window.raise();
    }
    expect([window.ready, budget.used]).toEqual([MIB + READY_ALLOWANCE, READY_ALLOWANCE]);
    while (window.ready > 0) {
      const bytes = Math.min(32 * KIB, window.ready);
      window.moved(0, bytes, -bytes);
      window.raise();
      expect(budget.used).toBe(Math.min(window.ready, READY_ALLOWANCE));
    }
    expect([budget.used, window.isBeyondFirst, window.open]).toEqual([0, false, MIB]);
  });

  it('commits no more than its maximum', () => {
    const window = tunnelWindow({ max: 4 * MIB });
    for (let i = 0; i < 1_000; i++) {
      const piece = Math.min(256 * KIB, window.open);
      window.moved(piece, 0, piece);
      window.raise();
      expect(window.limit - window.taken).toBeLessThanOrEqual(4 * MIB);
    }
    expect(window.limit - window.taken).toBe(4 * MIB);
  });

  it('has its first mebibyte even where the node has nothing to lend', () => {
    const window = tunnelWindow({ budget: new NodeBudget(0) });
    expect(window.growStream(1)).toBe(true);
    expect(window.growStream(MIB)).toBe(false);
    window.moved(MIB, 0, MIB);
    expect([window.raise(), window.open]).toEqual([false, 0]);
    window.moved(0, MIB, -MIB);
    expect([window.raise(), window.open]).toEqual([true, MIB]);
  });

  it('lets one stream grow to 32 MiB, the next to less, and always leaves a quarter', () => {
    const budget = new NodeBudget();
    const window = tunnelWindow({ budget });
    const sizes: number[] = [];
    for (let stream = 0; stream < 40; stream++) {
      let size = 256 * KIB;
      while (size < 32 * MIB && window.growStream(size)) size *= 2;
      sizes.push(size / MIB);
    }
    expect(sizes.slice(0, 8)).toEqual([32, 8, 4, 2, 2, 1, 0.5, 0.25]);
    const grown = sizes.reduce((sum, size) => sum + size - 0.25, 0);
    expect(grown).toBeLessThanOrEqual(48);
    expect([window.size, budget.used]).toEqual([64 * MIB, 63 * MIB]);
    window.shrinkStream(31.75 * MIB);
    expect(window.growStream(8 * MIB)).toBe(true);
    window.release();
    expect(budget.used).toBe(0);
  });
});

describe('a window that is not used', () => {
  const MINUTE = WINDOW_HALF_LIFE;

  /** The peer sends whatever it may, every round trip, and readers keep up: as much as a tunnel may be fast. */
  function rush(window: TunnelWindow, now: number): void {
    for (let i = 0; i < 200; i++) {
      window.moved(window.open, window.open, 0);
      window.measure(RTT, instant(now + i * RTT));
      window.raise();
    }
  }

  it('is one of which less than half was taken in a minute', () => {
    const window = new ReceiveWindow(1_000, instant(0));
    expect(window.isUnused(499, instant(MINUTE - 1))).toBe(false);
    expect(window.isUnused(499, instant(MINUTE))).toBe(true);
    // The next minute counts from there,
    expect(window.isUnused(499, instant(2 * MINUTE - 1))).toBe(false);
    expect(window.isUnused(999, instant(2 * MINUTE))).toBe(false);
    // and after one in which it was used another one does.
    expect(window.isUnused(999, instant(3 * MINUTE - 1))).toBe(false);
    expect(window.isUnused(999, instant(3 * MINUTE))).toBe(true);
  });

  it('is halved until nothing is borrowed, and gives no credit until the old is used up', () => {
    const budget = new NodeBudget();
    const window = tunnelWindow({ budget });
    rush(window, 0);
    expect([window.size, budget.used]).toEqual([64 * MIB, 63 * MIB]);
    const sizes: number[] = [];
    for (let i = 1; i <= 7; i++) {
      window.shrinkUnused(instant(i * MINUTE + MINUTE));
      sizes.push(window.size / MIB);
    }
    expect([sizes, budget.used, window.isBeyondFirst]).toEqual([[32, 16, 8, 4, 2, 1, 1], 0, false]);
    const { limit, open } = window;
    for (let left = open; left >= MIB; left -= 512 * KIB) {
      expect([window.raise(), window.limit]).toEqual([false, limit]);
      expect(window.makeRoom(512 * KIB)).toBe(true);
      window.moved(512 * KIB, 512 * KIB, 0);
    }
    window.moved(256 * KIB, 256 * KIB, 0);
    expect([window.raise(), window.limit - window.taken]).toEqual([true, MIB]);
    expect(budget.used).toBe(0);
  });

  it('grows again as it did when it is used again', () => {
    const budget = new NodeBudget();
    const window = tunnelWindow({ budget });
    rush(window, 0);
    for (let i = 2; i < 10; i++) window.shrinkUnused(instant(i * MINUTE));
    expect(window.size).toBe(MIB);
    rush(window, 10 * MINUTE);
    expect([window.size, budget.used]).toEqual([64 * MIB, 63 * MIB]);
  });

  it('is kept as far as it is needed for what lies in it, or for the windows of streams', () => {
    const budget = new NodeBudget();
    const window = tunnelWindow({ budget });
    rush(window, 0);
    // Behind a hole.
    window.moved(10 * MIB, 0, 0);
    for (let i = 2; i < 10; i++) window.shrinkUnused(instant(i * MINUTE));
    expect([window.size, budget.used]).toEqual([16 * MIB, 15 * MIB]);
    window.moved(0, 10 * MIB, 0);
    expect(window.growStream(3 * MIB)).toBe(true);
    for (let i = 10; i < 20; i++) window.shrinkUnused(instant(i * MINUTE));
    expect(window.size).toBe(4 * MIB);
    window.shrinkStream(3 * MIB);
    for (let i = 20; i < 30; i++) window.shrinkUnused(instant(i * MINUTE));
    expect([window.size, budget.used]).toEqual([MIB, 0]);
  });

  it('leaves the budget to those who come later: fourteen tunnels are as fast one after another', () => {
    const budget = new NodeBudget();
    const windows: TunnelWindow[] = [];
    for (let i = 0; i < 14; i++) {
      const now = i * 10 * MINUTE;
      const window = new TunnelWindow({ max: 64 * MIB, budget }, instant(now));
      rush(window, now);
      expect(window.size, `tunnel ${i}`).toBe(64 * MIB);
      windows.push(window);
      for (let minute = 1; minute < 10; minute++) {
        for (const each of windows) each.shrinkUnused(instant(now + minute * MINUTE));
      }
    }
  });

  it('takes what comes by old credit as far as the node has memory for it, and never more', () => {
    const budget = new NodeBudget(64 * MIB);
    const windows = Array.from({ length: 8 }, (_, i) => {
      const start = i * 10 * MINUTE;
      const window = new TunnelWindow({ max: 16 * MIB, budget }, instant(start));
      rush(window, start);
      for (let minute = 2; minute < 8; minute++) window.shrinkUnused(instant(start + minute * MINUTE));
      return window;
    });
    expect([budget.used, windows.every(({ open }) => open >= 12 * MIB)]).toEqual([0, true]);
    // All at once, to readers that stall.
    let held = 0;
    for (let round = 0; round < 1_000; round++) {
      for (const window of windows) {
        const bytes = Math.min(16 * KIB, window.open);
        if (bytes === 0 || !window.makeRoom(bytes)) continue;
        held += bytes;
        window.moved(bytes, 0, bytes);
        window.raise();
        expect(held).toBeLessThanOrEqual(windows.length * MIB + budget.used);
      }
    }
    expect(budget.used).toBeLessThanOrEqual(64 * MIB);
    expect(held).toBeGreaterThan(48 * MIB);
    expect(windows.some((window) => window.open > 0 && !window.makeRoom(window.open))).toBe(true);
    for (const window of windows) {
      window.moved(0, window.ready, -window.ready);
      window.raise();
      window.release();
    }
    expect(budget.used).toBe(0);
  });
});

describe('credit to send', () => {
  it('only rises', () => {
    const credit = new SendCredit(100);
    credit.use(60);
    expect([credit.raise(100), credit.raise(50), credit.available]).toEqual([false, false, 40]);
    expect([credit.raise(101), credit.available]).toEqual([true, 41]);
    expect(() => credit.use(42)).toThrow('beyond the credit');
  });
});

describe('the budget of a node', () => {
  it('lends nobody more than half of what is left', () => {
    const budget = new NodeBudget(64 * MIB);
    expect([budget.take(33 * MIB), budget.take(32 * MIB), budget.take(17 * MIB)]).toEqual([false, true, false]);
    expect([budget.takeUpTo(MIB), budget.takeUpTo(64 * MIB), budget.used]).toEqual([MIB, 15.5 * MIB, 48.5 * MIB]);
    budget.giveBack(48.5 * MIB);
    expect(budget.used).toBe(0);
  });

  it('leaves late tunnels a share', () => {
    const budget = new NodeBudget();
    const windows = Array.from({ length: 12 }, () => tunnelWindow({ budget }));
    const sizes = windows.map((window) => {
      let size = 256 * KIB;
      while (size < 32 * MIB && window.growStream(size)) size *= 2;
      return window.size / MIB;
    });
    expect(sizes).toEqual([64, 64, 64, 32, 16, 8, 8, 4, 2, 2, 2, 1]);
    expect(budget.used).toBeLessThanOrEqual(256 * MIB);
  });
});
