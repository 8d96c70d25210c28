import { describe, expect, it } from 'vitest';
import { instant, NEVER, SECOND } from '../../../base/time.ts';
import { SeededRng } from '../../../sim/rng.ts';
import {
  BLACK_HOLE_LOSSES,
  MTU_COOLDOWN,
  MTU_PROBES_MAX,
  MTU_RAISE_INTERVAL,
  MtuSearch,
} from '../../../transport/mtu-search.ts';
import { at, Lab } from './recovery/lab.ts';

/** Answers every probe as a path of `limit` bytes would, until none is wanted. The sizes tried, in order. */
function searchOn(search: MtuSearch, limit: number, now = at(0)): number[] {
  const tried: number[] = [];
  for (let size = search.nextProbe(now); size !== undefined; size = search.nextProbe(now)) {
    expect(tried.length).toBeLessThan(100);
    tried.push(size);
    search.onProbeSent(size);
    if (size <= limit) search.onProbeAcked(size, now);
    else search.onProbeLost(size, now);
  }
  return tried;
}

describe('the search for the path MTU (RFC 8899)', () => {
  it.each<[string, number, number, number, number]>([
    ['the internet, Ethernet all the way', 1_452, 9_000, 1_452, 1],
    ['nothing to search for', 1_200, 9_000, 1_200, 0],
    ['only the base', 1_452, 1_200, 1_200, 24],
    ['a tunnel in a tunnel', 1_452, 1_280, 1_280, 16],
    ['WireGuard in the way', 1_452, 1_392, 1_392, 12],
    ['something odd', 1_452, 1_333, 1_326, 15],
    ['Ethernet over IPv4', 1_500 - 28, 9_000, 1_472, 1],
    ['jumbo frames at our end only', 8_952, 1_472, 1_472, 30],
    ['jumbo frames', 8_952, 8_952, 8_952, 1],
    ['loopback', 65_507, 65_507, 65_507, 1],
    ['a socket that sends no more than 9,000', 65_507, 9_000, 8_952, 33],
  ])('finds %s: maximum %i, path %i → %i', (_, maximum, limit, expected, probesMax) => {
    const search = new MtuSearch(maximum);
    expect(search.mtu).toBe(1_200);
    const tried = searchOn(search, limit);
    expect(search.mtu).toBe(expected);
    expect(search.isSettled).toBe(true);
    expect(tried.length).toBeLessThanOrEqual(probesMax);
    expect(tried.every((size) => size > 1_200 && size <= maximum)).toBe(true);
    for (const size of new Set(tried)) {
      expect(tried.filter((other) => other === size)).toHaveLength(size <= limit ? 1 : MTU_PROBES_MAX);
    }
  });

  it('finds any path to within 1.6 %, and never claims more than it carries', () => {
    for (const maximum of [1_452, 1_472, 8_952, 65_507]) {
      for (let limit = 1_200; limit <= maximum; limit += Math.max(1, (maximum - 1_200) >> 7)) {
        const search = new MtuSearch(maximum);
        searchOn(search, limit);
        expect(search.mtu).toBeLessThanOrEqual(limit);
        expect(limit - search.mtu).toBeLessThanOrEqual(1 + search.mtu / 64);
      }
    }
  });

  it('probes one size at a time, up to three times before it goes on', () => {
    const search = new MtuSearch(1_452);
    expect(search.nextProbe(at(0))).toBe(1_452);
    expect(search.nextProbe(at(0))).toBe(1_452);
    search.onProbeSent(1_452);
    expect(search.nextProbe(at(0))).toBeUndefined();
    for (let lost = 1; lost <= 2; lost++) {
      search.onProbeLost(1_452, at(lost));
      expect(search.nextProbe(at(lost))).toBe(1_452);
      search.onProbeSent(1_452);
    }
    // The same loss told twice counts once.
    search.onProbeLost(1_452, at(3));
    search.onProbeLost(1_452, at(3));
    expect(search.nextProbe(at(3))).toBe(1_280);
  });

  it('believes a probe that arrives after it was thought lost', () => {
    const search = new MtuSearch(1_452);
    for (let i = 0; i < 3; i++) {
      search.onProbeSent(1_452);
      search.onProbeLost(1_452, at(i));
    }
    search.onProbeSent(1_280);
    search.onProbeAcked(1_452, at(5));
    expect([search.mtu, search.isSettled]).toEqual([1_452, true]);
    search.onProbeAcked(1_280, at(6));
    expect([search.mtu, search.nextProbe(at(6))]).toEqual([1_452, undefined]);
  });

  it('believes no size above the maximum, and none that was acknowledged twice', () => {
    const search = new MtuSearch(1_452);
    search.onProbeAcked(9_000, at(0));
    search.onProbeAcked(1_452, at(0));
    search.onProbeAcked(1_452, at(0));
    expect(search.mtu).toBe(1_452);
  });

  it('has nothing to wait for at the maximum, and else looks again after 600 s', () => {
    const full = new MtuSearch(1_452);
    searchOn(full, 1_452);
    expect(full.nextTimeout()).toBe(NEVER);
    const search = new MtuSearch(1_452);
    searchOn(search, 1_280);
    expect(search.nextTimeout()).toBe(MTU_RAISE_INTERVAL);
    expect(search.nextProbe(instant(MTU_RAISE_INTERVAL - 1))).toBeUndefined();
    searchOn(search, 1_452, instant(MTU_RAISE_INTERVAL));
    expect([search.mtu, search.nextTimeout()]).toEqual([1_452, NEVER]);
  });

  it('looks again every 600 s while the path stays small, and keeps what it has meanwhile', () => {
    const search = new MtuSearch(1_452);
    searchOn(search, 1_280);
    for (let round = 1; round <= 3; round++) {
      const now = instant(round * MTU_RAISE_INTERVAL);
      expect(search.nextTimeout()).toBe(now);
      expect(searchOn(search, 1_280, now)[0]).toBe(1_452);
      expect(search.mtu).toBe(1_280);
    }
  });
});

describe('a black hole', () => {
  /** A settled search at 1,452. */
  const settled = () => {
    const search = new MtuSearch(1_452);
    searchOn(search, 1_452);
    return search;
  };
  /** A first flight lost, a probe timeout, a small packet answered. */
  const suspicion = (search: MtuSearch) => {
    search.onProbeTimeout();
    for (let i = 0; i < BLACK_HOLE_LOSSES; i++) search.onPacketLost(1_452, at(100), at(300));
    search.onPacketAcked(60);
  };

  it('is found when a second flight is lost as well: back to 1,200 at once, searched again after 60 s', () => {
    const search = settled();
    suspicion(search);
    expect(search.mtu).toBe(1_452);
    search.onPacketLost(1_452, at(301), at(600));
    expect([search.mtu, search.nextTimeout()]).toEqual([1_200, at(600) + MTU_COOLDOWN]);
    expect(search.nextProbe(at(60_599))).toBeUndefined();
    searchOn(search, 1_280, at(60_600));
    expect(search.mtu).toBe(1_280);
  });

  it.each<[string, (search: MtuSearch) => void]>([
    ['a packet as large arrived in between', (search) => search.onPacketAcked(1_452)],
    ['a larger one did', (search) => search.onProbeAcked(1_453, at(350))],
  ])('is not suspected where %s', (name, event) => {
    const search = name.startsWith('a larger') ? new MtuSearch(1_453) : settled();
    if (name.startsWith('a larger')) {
      search.onProbeSent(1_453);
      search.onProbeLost(1_453, at(0));
    }
    suspicion(search);
    event(search);
    search.onPacketLost(1_452, at(301), at(600));
    expect(search.mtu).toBeGreaterThanOrEqual(1_452);
  });

  it.each<[string, { flights: boolean; timeout: boolean; small: boolean; size: number }]>([
    ['losses of one flight', { flights: false, timeout: true, small: true, size: 1_452 }],
    ['losses without a probe timeout', { flights: true, timeout: false, small: true, size: 1_452 }],
    ['losses where nothing small passed either', { flights: true, timeout: true, small: false, size: 1_452 }],
    ['losses of small packets', { flights: true, timeout: true, small: true, size: 1_200 }],
  ])('is not seen in %s', (_, { flights, timeout, small, size }) => {
    const search = settled();
    if (timeout) search.onProbeTimeout();
    for (let i = 0; i < 20; i++) {
      search.onPacketLost(size, at(flights ? 400 * i : 100), at(300 + 400 * i));
      if (small) search.onPacketAcked(60);
    }
    expect(search.mtu).toBe(1_452);
  });

  it('is seen although packets a little above the base still pass', () => {
    const search = settled();
    suspicion(search);
    search.onPacketAcked(1_260);
    search.onPacketLost(1_452, at(301), at(600));
    expect(search.mtu).toBe(1_200);
  });

  it('is not found again in what was still under way when it was found', () => {
    const search = settled();
    suspicion(search);
    search.onPacketLost(1_452, at(301), at(600));
    searchOn(search, 1_280, at(70_000));
    search.onProbeTimeout();
    for (let i = 0; i < 10; i++) {
      search.onPacketLost(1_452, at(301 + i), at(70_001 + 400 * i));
      search.onPacketAcked(60);
    }
    expect(search.mtu).toBe(1_280);
  });

  it('is believed over a probe acknowledged late', () => {
    const search = settled();
    suspicion(search);
    search.onPacketLost(1_452, at(301), at(600));
    search.onProbeAcked(1_452, at(601));
    expect(search.mtu).toBe(1_200);
  });

  it('does not count a probe timeout from before something large arrived', () => {
    const search = settled();
    search.onProbeTimeout();
    search.onPacketAcked(1_452);
    for (let i = 0; i < 10; i++) {
      search.onPacketLost(1_452, at(400 * i), at(300 + 400 * i));
      search.onPacketAcked(60);
    }
    expect(search.mtu).toBe(1_452);
  });
});

/** A sender with always something to send, over a path of 50 ms each way that drops what is too large, and `loss` of all. */
class Transfer {
  readonly lab: Lab;
  limit: number;
  readonly #rng: SeededRng = new SeededRng(3);
  readonly #loss: number;
  readonly #acks: { ms: number; number: number }[] = [];
  ms = 0;
  delivered = 0;
  sent = 0;
  lost = 0;

  constructor(limit: number, maximum: number, loss = 0) {
    this.lab = new Lab({ maximumMtu: maximum });
    this.lab.controller.window = 30_000;
    this.limit = limit;
    this.#loss = loss;
  }

  get mtu(): number {
    return this.lab.path.mtuSearch.mtu;
  }

  /** In steps of 5 ms; `stop` ends it early. */
  run(untilMs: number, stop?: () => boolean): void {
    const { lab } = this;
    for (; this.ms < untilMs && !(stop?.() ?? false); this.ms += 5) {
      while (lab.recovery.nextTimeout() <= at(this.ms)) lab.fire();
      let newest = -1;
      const numbers = new Set<number>();
      while (this.#acks.length > 0 && this.#acks[0]!.ms <= this.ms) {
        const { number } = this.#acks.shift()!;
        numbers.add(number);
        newest = Math.max(newest, number);
      }
      if (newest >= 0) lab.ack(this.ms, [...numbers].join(' '));
      this.#send();
    }
  }

  #send(): void {
    const { lab } = this;
    const { path } = lab;
    if (path.probesDue > 0) this.#packet(60);
    const size = path.mtuSearch.nextProbe(at(this.ms));
    if (size !== undefined) {
      const number = lab.recovery.nextPacketNumber;
      lab.recovery.onMtuProbeSent(path, number, size, at(this.ms));
      this.#carry(number, size);
    }
    while (lab.recovery.room(path) >= this.mtu || path.probesDue > 0) this.#packet(this.mtu);
  }

  #packet(bytes: number): void {
    const number = this.lab.recovery.nextPacketNumber;
    this.lab.send(this.ms, { bytes });
    this.#carry(number, bytes);
  }

  #carry(number: number, bytes: number): void {
    this.sent += 1;
    if (bytes > this.limit || this.#rng.chance(this.#loss)) {
      this.lost += 1;
      return;
    }
    this.delivered += bytes;
    this.#acks.push({ ms: this.ms + 100, number });
  }
}

describe('a transfer', () => {
  it('grows to the MTU of its path in the first round trips', () => {
    const transfer = new Transfer(1_452, 1_452);
    transfer.run(300);
    expect(transfer.mtu).toBe(1_452);
    expect(transfer.lab.controller.mtus).toEqual([1_452]);
    expect(transfer.lab.controller.losses).toEqual([]);
  });

  it('takes no congestion from probes that are too large', () => {
    const transfer = new Transfer(1_280, 1_452);
    transfer.run(6_000);
    expect([transfer.mtu, transfer.lab.path.mtuSearch.isSettled]).toEqual([1_280, true]);
    expect(transfer.lost).toBeGreaterThan(5);
    expect(transfer.lab.controller.losses).toEqual([]);
  });

  it('whose path falls from 1,500 to 1,280 goes on within 3 s, loses next to nothing after, and grows back in 10 min', () => {
    const transfer = new Transfer(1_472, 1_472);
    transfer.run(2_000);
    expect(transfer.mtu).toBe(1_472);
    transfer.limit = 1_280 - 28;
    const { delivered } = transfer;
    transfer.run(5_000, () => transfer.mtu === 1_200 && transfer.delivered > delivered + 20_000);
    expect(transfer.ms).toBeLessThan(5_000);
    const before = { sent: transfer.sent, lost: transfer.lost };
    transfer.run(transfer.ms + 100_000);
    // Only probes.
    expect((transfer.lost - before.lost) / (transfer.sent - before.sent)).toBeLessThanOrEqual(0.001);
    expect(transfer.mtu).toBeGreaterThan(1_200);
    expect(transfer.mtu).toBeLessThanOrEqual(1_252);
    transfer.limit = 1_472;
    const healed = transfer.ms;
    transfer.run(healed + (MTU_RAISE_INTERVAL / SECOND) * 1_000 + 1_000, () => transfer.mtu === 1_472);
    expect(transfer.mtu).toBe(1_472);
    expect(transfer.ms - healed).toBeLessThanOrEqual(600_000);
  });

  it('does not take random loss for a black hole', () => {
    for (const loss of [0.01, 0.05, 0.2]) {
      const transfer = new Transfer(1_452, 1_452, loss);
      transfer.run(3_000);
      const grown = transfer.ms;
      transfer.run(grown + 60_000, () => transfer.lab.path.mtuSearch.nextTimeout() !== NEVER && transfer.mtu === 1_200);
      expect(transfer.mtu, `loss ${loss}`).toBe(1_452);
    }
  });
});
