import { describe, expect, it } from 'vitest';
import { instant, MILLISECOND, SECOND } from '../../../base/time.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { PROBE_INTERVAL_MAX } from '../../../transport/constants.ts';
import {
  BLACK_HOLE_LOSSES,
  BLACK_HOLE_LOSSES_ANSWERED,
  MTU_COOLDOWN,
  MTU_PROBES_MAX,
  MTU_RAISE_INTERVAL,
  MtuSearch,
} from '../../../transport/mtu-search.ts';
import { at, Lab } from './recovery/lab.ts';

/** A search that has begun, where there is anything to search for. */
function begun(maximum: number): MtuSearch {
  const search = new MtuSearch(maximum);
  search.onCrowded(at(0));
  return search;
}

/** Wants more, and answers every probe as a path of `limit` bytes would, until none is left. The sizes tried, in order. */
function searchOn(search: MtuSearch, limit: number, now = at(0)): number[] {
  const tried: number[] = [];
  search.onCrowded(now);
  for (let size = search.nextProbe(); size !== undefined; size = search.nextProbe()) {
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
    expect(tried.length).toBeLessThanOrEqual(probesMax);
    expect(tried.every((size) => size > 1_200 && size <= maximum)).toBe(true);
    for (const size of new Set(tried)) {
      expect(tried.filter((other) => other === size)).toHaveLength(size <= limit ? 1 : MTU_PROBES_MAX);
    }
  });

  it('begins when more waits than a packet holds', () => {
    const search = new MtuSearch(1_452);
    expect(search.nextProbe()).toBeUndefined();
    expect([search.onCrowded(at(0)), search.nextProbe()]).toEqual([true, 1_452]);
    expect(search.onCrowded(at(1))).toBe(false);
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
    const search = begun(1_452);
    expect(search.nextProbe()).toBe(1_452);
    expect(search.nextProbe()).toBe(1_452);
    search.onProbeSent(1_452);
    expect(search.nextProbe()).toBeUndefined();
    for (let lost = 1; lost <= 2; lost++) {
      search.onProbeLost(1_452, at(lost));
      expect(search.nextProbe()).toBe(1_452);
      search.onProbeSent(1_452);
    }
    // The same loss told twice counts once.
    search.onProbeLost(1_452, at(3));
    search.onProbeLost(1_452, at(3));
    expect(search.nextProbe()).toBe(1_280);
  });

  it('believes a probe that arrives after it was thought lost', () => {
    const search = begun(1_452);
    for (let i = 0; i < 3; i++) {
      search.onProbeSent(1_452);
      search.onProbeLost(1_452, at(i));
    }
    search.onProbeSent(1_280);
    search.onProbeAcked(1_452, at(5));
    expect([search.mtu, search.nextProbe()]).toEqual([1_452, undefined]);
    search.onProbeAcked(1_280, at(6));
    expect([search.mtu, search.nextProbe()]).toEqual([1_452, undefined]);
  });

  it('believes no size above the maximum, and none that was acknowledged twice', () => {
    const search = begun(1_452);
    search.onProbeAcked(9_000, at(0));
    search.onProbeAcked(1_452, at(0));
    search.onProbeAcked(1_452, at(0));
    expect(search.mtu).toBe(1_452);
  });

  it('is over at the maximum, and else begins again when more waits than a packet holds after 600 s', () => {
    const late = instant(100 * MTU_RAISE_INTERVAL);
    const full = begun(1_452);
    searchOn(full, 1_452);
    expect(full.onCrowded(late)).toBe(false);
    const search = begun(1_452);
    searchOn(search, 1_280);
    expect(search.onCrowded(instant(MTU_RAISE_INTERVAL - 1))).toBe(false);
    // Nobody had more to send for a while: it has waited.
    expect(search.nextProbe()).toBeUndefined();
    const occasion = instant(2 * MTU_RAISE_INTERVAL);
    expect([search.onCrowded(occasion), search.nextProbe()]).toEqual([true, 1_452]);
    searchOn(search, 1_452, occasion);
    expect([search.mtu, search.onCrowded(late)]).toEqual([1_452, false]);
  });

  it('looks again every 600 s while the path stays small, and keeps what it has meanwhile', () => {
    const search = begun(1_452);
    searchOn(search, 1_280);
    for (let round = 1; round <= 3; round++) {
      const now = instant(round * MTU_RAISE_INTERVAL);
      expect(search.onCrowded(instant(now - 1))).toBe(false);
      expect(searchOn(search, 1_280, now)[0]).toBe(1_452);
      expect(search.mtu).toBe(1_280);
    }
  });
});

describe('the search with a window that does not take the maximum', () => {
  /** One probe a round trip while nothing else is under way: the free window is twice the packet size, but never below `window`. */
  function searchIn(search: MtuSearch, limit: number, window: number): number[] {
    const tried: number[] = [];
    for (;;) {
      const room = Math.max(window, 2 * search.mtu);
      const size = search.nextProbe(room);
      if (size === undefined) return tried;
      expect(size).toBeLessThanOrEqual(room);
      expect(tried.push(size)).toBeLessThan(40);
      search.onProbeSent(size);
      if (size <= limit) search.onProbeAcked(size, at(0));
      else search.onProbeLost(size, at(0));
    }
  }

  it.each<[string, number, number, number, number[]]>([
    ['Ethernet over IPv6 in the way of a loopback socket', 65_507, 1_452, 1_452, [1_452, 1_472, 1_472, 1_472]],
    ['Ethernet over IPv4 in the way of a loopback socket', 65_507, 1_472, 1_472, [1_452, 1_472, 8_952, 8_952, 8_952]],
    ['loopback', 65_507, 65_507, 65_507, [1_452, 1_472, 8_952, 13_428, 20_142, 30_213, 47_860, 65_507]],
    ['jumbo frames', 8_952, 8_952, 8_952, [8_952]],
  ])('finds %s: maximum %i, path %i → %i', (_, maximum, limit, expected, first) => {
    const search = begun(maximum);
    const tried = searchIn(search, limit, 12_000);
    expect(search.mtu).toBe(expected);
    expect(tried.slice(0, first.length)).toEqual(first);
  });

  it('finds any path to within 1.6 % all the same', () => {
    for (const window of [2_400, 12_000, 40_000]) {
      for (const maximum of [1_452, 1_472, 8_952, 65_507]) {
        for (let limit = 1_200; limit <= maximum; limit += Math.max(1, (maximum - 1_200) >> 6)) {
          const search = begun(maximum);
          searchIn(search, limit, window);
          expect(search.mtu).toBeLessThanOrEqual(limit);
          expect(limit - search.mtu).toBeLessThanOrEqual(1 + search.mtu / 64);
          expect(search.nextProbe()).toBeUndefined();
        }
      }
    }
  });

  it('waits where there is room for hardly more than a packet, but does not give up', () => {
    const search = begun(65_507);
    for (const size of [1_452, 1_472]) {
      expect(search.nextProbe(2_944)).toBe(size);
      search.onProbeSent(size);
      search.onProbeAcked(size, at(0));
    }
    expect(search.nextProbe(1_400)).toBeUndefined();
    expect(search.nextProbe(2_000)).toBeUndefined();
    expect(search.nextProbe(2_944)).toBe(2_208);
    expect(search.nextProbe(70_000)).toBe(65_507);
  });

  it('tries a lost size again, or a smaller one where the window has shrunk meanwhile', () => {
    const search = begun(8_952);
    search.onProbeSent(8_952);
    search.onProbeLost(8_952, at(0));
    expect(search.nextProbe(12_000)).toBe(8_952);
    expect(search.nextProbe(6_000)).toBe(1_452);
    search.onProbeSent(1_452);
    search.onProbeLost(1_452, at(0));
    expect(search.nextProbe(12_000)).toBe(1_452);
    search.onProbeSent(1_452);
    search.onProbeAcked(1_452, at(0));
    expect(search.nextProbe(12_000)).toBe(8_952);
  });
});

describe('a black hole', () => {
  /** A settled search at 1,452. */
  const settled = () => {
    const search = begun(1_452);
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
    expect(search.mtu).toBe(1_200);
    const again = instant(at(600) + MTU_COOLDOWN);
    expect(search.onCrowded(instant(again - 1))).toBe(false);
    searchOn(search, 1_280, again);
    expect(search.mtu).toBe(1_280);
  });

  it.each<[string, (search: MtuSearch) => void]>([
    ['a packet as large arrived in between', (search) => search.onPacketAcked(1_452)],
    ['a larger one did', (search) => search.onProbeAcked(1_453, at(350))],
  ])('is not suspected where %s', (name, event) => {
    const search = name.startsWith('a larger') ? begun(1_453) : settled();
    if (name.startsWith('a larger')) {
      search.onProbeSent(1_453);
      search.onProbeLost(1_453, at(0));
    }
    suspicion(search);
    event(search);
    search.onPacketLost(1_452, at(301), at(600));
    expect(search.mtu).toBeGreaterThanOrEqual(1_452);
  });

  const enough = { losses: 20, flights: 2, timeout: true, small: true, size: 1_452 };

  it.each<[string, Partial<typeof enough>]>([
    ['losses of one flight', { flights: 1 }],
    ['a few losses, although nothing at all was answered for a while', { losses: BLACK_HOLE_LOSSES - 1 }],
    ['more losses between small packets that are answered', { losses: BLACK_HOLE_LOSSES_ANSWERED - 1, timeout: false }],
    ['losses where nothing small passed either', { small: false }],
    ['losses of small packets', { size: 1_200 }],
  ])('is not seen in %s', (_, lacking) => {
    expect(mtuAfter(lacking)).toBe(1_452);
  });

  it.each<[string, Partial<typeof enough>]>([
    ['a few losses in two flights and a probe timeout', { losses: BLACK_HOLE_LOSSES }],
    ['more losses between small packets that are answered', { losses: BLACK_HOLE_LOSSES_ANSWERED, timeout: false }],
    ['one loss in each of many flights', { flights: 20, timeout: false }],
  ])('is seen in %s', (_, given) => {
    expect(mtuAfter(given)).toBe(1_200);
  });

  /** So many large packets lost in a row, in so many flights. */
  function mtuAfter(given: Partial<typeof enough>): number {
    const { losses, flights, timeout, small, size } = { ...enough, ...given };
    const search = settled();
    if (timeout) search.onProbeTimeout();
    for (let i = 0; i < losses; i++) {
      search.onPacketLost(size, at(400 * Math.floor((i * flights) / losses)), at(300 + 10 * i));
      if (small) search.onPacketAcked(60);
    }
    return search.mtu;
  }

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
    for (let i = 0; i < BLACK_HOLE_LOSSES_ANSWERED - 1; i++) {
      search.onPacketLost(1_452, at(400 * i), at(300 + 400 * i));
      search.onPacketAcked(60);
    }
    expect(search.mtu).toBe(1_452);
  });
});

/** A sender with always something to send, over a path that drops what is too large for it, and `loss` of all. */
class Transfer {
  readonly lab: Lab;
  limit: number;
  readonly #rng: SeededRng = new SeededRng(3);
  readonly #loss: number;
  readonly #roundTripMs: number;
  readonly #acks: { ms: number; number: number }[] = [];
  ms = 0;
  delivered = 0;
  sent = 0;
  lost = 0;

  constructor(limit: number, maximum: number, options: { loss?: number; roundTripMs?: number } = {}) {
    this.lab = new Lab({ maximumMtu: maximum });
    this.lab.controller.window = 30_000;
    this.limit = limit;
    this.#loss = options.loss ?? 0;
    this.#roundTripMs = options.roundTripMs ?? 100;
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
    path.mtuSearch.onCrowded(at(this.ms));
    const size = path.mtuSearch.nextProbe(lab.recovery.room(path));
    if (size !== undefined) {
      const number = lab.recovery.nextPacketNumber;
      lab.recovery.onMtuProbeSent(path, number, size, at(this.ms));
      this.#carry(number, size);
    }
    while (lab.recovery.room(path) >= path.sendMtu || path.probesDue > 0) this.#packet(path.sendMtu);
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
    this.#acks.push({ ms: this.ms + this.#roundTripMs, number });
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

  it.each([1_452, 9_000, 65_507])(
    'over a path of 1,452 bytes finds it in a few round trips, though its socket would send %i and its window is 30,000',
    (maximum) => {
      const transfer = new Transfer(1_452, maximum);
      transfer.run(3_000, () => transfer.mtu === 1_452);
      expect([transfer.mtu, transfer.ms <= 800]).toEqual([1_452, true]);
      transfer.run(6_000);
      expect([transfer.mtu, transfer.lab.controller.losses]).toEqual([1_452, []]);
    },
  );

  it('over a path as wide as its socket gets there although its window is full all the time', () => {
    const transfer = new Transfer(65_507, 65_507);
    transfer.run(5_000, () => {
      // As every controller holds it (RFC 9002 §7.2).
      transfer.lab.controller.window = Math.max(30_000, 2 * transfer.mtu);
      return transfer.mtu === 65_507;
    });
    expect(transfer.mtu).toBe(65_507);
  });

  it('takes no congestion from probes that are too large', () => {
    const transfer = new Transfer(1_280, 1_452);
    transfer.run(6_000);
    expect([transfer.mtu, transfer.lab.path.mtuSearch.nextProbe()]).toEqual([1_280, undefined]);
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

  it.each([20, 100, 300, 600, 1_000])(
    'whose path falls has bytes arrive with the first probe timeout, at a round trip of %i ms',
    (rtt) => {
      const transfer = new Transfer(1_472, 1_472, { roundTripMs: rtt });
      transfer.run(20 * rtt);
      expect(transfer.mtu).toBe(1_472);
      transfer.limit = 1_252;
      const [fallen, { delivered }] = [transfer.ms, transfer];
      transfer.run(fallen + 10_000, () => transfer.delivered >= delivered + 1_200);
      // What was on its way is answered for a round trip; nothing answered after it is what the timeout counts.
      const timeout = Math.min(transfer.lab.path.rtt.probeTimeout, PROBE_INTERVAL_MAX) / MILLISECOND;
      expect(transfer.ms - fallen).toBeLessThanOrEqual(rtt + timeout + 10);
      // And the next flight shows the rest.
      transfer.run(fallen + 10_000, () => transfer.mtu === 1_200);
      expect(transfer.ms - fallen).toBeLessThanOrEqual(3 * rtt + 2 * timeout + 20);
    },
  );

  it('takes no congestion from the flight that shows that its path has fallen', () => {
    const transfer = new Transfer(1_472, 1_472);
    transfer.run(2_000);
    transfer.limit = 1_252;
    transfer.run(5_000, () => transfer.mtu === 1_200);
    const { controller, path } = transfer.lab;
    // The first flight looked like congestion, until the second.
    const reactions = controller.losses.length;
    expect(reactions).toBeGreaterThan(0);
    expect(controller.losses.every(({ largestSentAt }) => largestSentAt < at(transfer.ms - 300))).toBe(true);
    transfer.run(10_000);
    expect([controller.losses.length, path.ptoCount]).toEqual([reactions, 0]);
  });

  it('does not take random loss for a black hole', () => {
    for (const loss of [0.01, 0.05, 0.2]) {
      const transfer = new Transfer(1_452, 1_452, { loss });
      transfer.run(3_000);
      const grown = transfer.ms;
      transfer.run(grown + 60_000, () => transfer.mtu === 1_200);
      expect(transfer.mtu, `loss ${loss}`).toBe(1_452);
    }
  });
});
