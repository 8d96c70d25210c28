import { describe, expect, it } from 'vitest';
import { equal } from '../../../base/bytes.ts';
import { type Instant, instant, MILLISECOND, SECOND } from '../../../base/time.ts';
import { type Delivery, LINK_MEMORY_MAX, Link } from '../../../sim/link.ts';
import { CORRUPTIONS, type LinkConfig } from '../../../sim/link-config.ts';
import { SeededRng } from '../../../sim/rng.ts';

interface Run {
  readonly link: Link<number>;
  readonly deliveries: Delivery<number>[];
  /** True where the datagram of that index was dropped. */
  readonly dropped: boolean[];
}

function numbered(index: number, length = 100): Uint8Array {
  const bytes = new Uint8Array(length).fill(0xaa);
  new DataView(bytes.buffer).setUint32(0, index);
  new DataView(bytes.buffer).setUint32(length - 4, index);
  return bytes;
}

/** Sends datagrams at a steady pace and collects all that comes of them. */
function run(config: Partial<LinkConfig>, options: { count?: number; spacing?: number; seed?: number } = {}): Run {
  const { count = 20_000, spacing = MILLISECOND, seed = 1 } = options;
  const link = new Link<number>(new SeededRng(seed), config);
  const deliveries: Delivery<number>[] = [];
  const dropped: boolean[] = [];
  for (let i = 0; i < count; i++) {
    const result = link.send(numbered(i), i, instant(i * spacing));
    deliveries.push(...result.deliveries);
    dropped.push(result.dropped !== undefined);
  }
  return { link, deliveries, dropped };
}

/** Within six standard deviations of what independent hits would give. */
function expectRate(hits: number, count: number, rate: number, spread = 1): void {
  expect(Math.abs(hits - count * rate)).toBeLessThan(6 * spread * Math.sqrt(count * rate * (1 - rate)));
}

function arrivals(run: Run): number[] {
  return run.deliveries.map((delivery) => delivery.at);
}

describe('a link without faults', () => {
  it('delivers every datagram once, after its delay, unchanged and in order', () => {
    const { link, deliveries } = run({ delay: 7_000 }, { count: 100 });
    expect(deliveries.map((delivery) => delivery.at)).toEqual(Array.from({ length: 100 }, (_, i) => i * 1_000 + 7_000));
    for (const [i, delivery] of deliveries.entries()) {
      expect(delivery).toMatchObject({ bytes: numbered(i), envelope: i, number: i + 1, origin: 'original' });
      expect(link.land(delivery)).toBeUndefined();
    }
    expect(link.stats).toMatchObject({ sent: 100, delivered: 100, inFlight: 0 });
  });

  it('copies the bytes at send', () => {
    const link = new Link<null>(new SeededRng(1), {});
    const bytes = Buffer.from([1, 2, 3]);
    const { deliveries } = link.send(bytes, null, instant(0));
    bytes.fill(9);
    expect(deliveries[0]!.bytes).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('refuses a configuration that makes no sense', () => {
    const link = new Link<null>(new SeededRng(1), {});
    const wrong: Partial<LinkConfig>[] = [{ loss: 1.1 }, { delay: -1 }, { bandwidth: 0.5 }, { queue: 0 }, { burst: 0 }];
    for (const config of wrong) expect(() => link.configure(config, instant(0))).toThrow();
  });
});

describe('loss', () => {
  it.each([0.01, 0.1, 0.3, 0.9])('of %s comes at that rate, independently', (loss) => {
    const { link, dropped } = run({ loss });
    expectRate(link.stats.lost, 20_000, loss);
    // Independent: a loss follows a loss as often as anything else.
    const afterLoss = dropped.filter((_, i) => i > 0 && dropped[i - 1]);
    expectRate(afterLoss.filter(Boolean).length, afterLoss.length, loss);
  });

  it.each([2, 5, 12])('in bursts of %s keeps its rate and has that mean burst length', (burst) => {
    const { link, dropped } = run({ loss: 0.1, burst }, { count: 200_000 });
    // Runs of losses make the count spread more, by about the square root of twice their length.
    expectRate(link.stats.lost, 200_000, 0.1, Math.sqrt(2 * burst));
    const bursts = dropped.filter((lost, i) => lost && !dropped[i - 1]).length;
    expect(link.stats.lost / bursts / burst).toBeGreaterThan(0.93);
    expect(link.stats.lost / bursts / burst).toBeLessThan(1.07);
  });

  it('of 1 loses everything, of 0 nothing, also in the middle of a burst', () => {
    const link = new Link<null>(new SeededRng(1), { loss: 0.5, burst: 1_000 });
    for (let now = 0; link.send(numbered(0), null, instant(now)).dropped === undefined; now++);
    link.configure({ loss: 0 }, instant(0));
    for (let i = 0; i < 1_000; i++) expect(link.send(numbered(i), null, instant(0)).dropped).toBeUndefined();
    link.configure({ loss: 1 }, instant(0));
    for (let i = 0; i < 1_000; i++) expect(link.send(numbered(i), null, instant(0)).dropped).toBe('lost');
  });
});

describe('delay', () => {
  it('with uniform jitter stays inside its span and fills it', () => {
    const { deliveries } = run({ delay: 5_000, jitter: 2_000 });
    const spans = deliveries.map((delivery) => delivery.at - delivery.envelope * MILLISECOND);
    expect([Math.min(...spans), Math.max(...spans)]).toEqual([5_000, 7_000]);
    expect(spans.reduce((sum, span) => sum + span) / spans.length / 6_000).toBeCloseTo(1, 2);
  });

  it('with exponential jitter has that mean and no negative span', () => {
    const { deliveries } = run({ delay: 5_000, jitter: 20_000, jitterShape: 'exponential' });
    const spans = deliveries.map((delivery) => delivery.at - delivery.envelope * MILLISECOND);
    expect(Math.min(...spans)).toBeGreaterThanOrEqual(5_000);
    expect(Math.abs(spans.reduce((sum, span) => sum + span) / spans.length - 25_000)).toBeLessThan(600);
  });

  it('lets a datagram overtake another where the jitter is larger than the spacing, and never where it is smaller', () => {
    const overtaking = run({ jitter: 5 * MILLISECOND });
    const times = arrivals(overtaking);
    let latest = 0;
    let overtaken = 0;
    for (const time of times) {
      if (time < latest) overtaken++;
      latest = Math.max(latest, time);
    }
    expect(overtaken).toBeGreaterThan(5_000);
    expect(overtaking.link.stats.reordered).toBe(overtaken);
    expect(run({ jitter: MILLISECOND - 1 }).link.stats.reordered).toBe(0);
  });

  it('holds back as many as the reorder fault says, by its extra delay', () => {
    const { link, deliveries } = run({ delay: 1_000, reorder: 0.05, reorderDelay: 10_500 });
    const late = deliveries.filter((delivery) => delivery.at === delivery.envelope * MILLISECOND + 11_500).length;
    expectRate(late, 20_000, 0.05);
    expect(link.stats.heldBack).toBe(late);
    expect(link.stats.reordered).toBeGreaterThan(10_000 * 0.05);
  });
});

describe('copies', () => {
  it('come as often as the duplicate fault says, equal to their original but in bytes of their own', () => {
    const { link, deliveries } = run({ duplicate: 0.2, jitter: 500 });
    const originals = new Map(deliveries.filter(({ origin }) => origin === 'original').map((o) => [o.number, o]));
    const copies = deliveries.filter((delivery) => delivery.origin === 'duplicate');
    expectRate(copies.length, 20_000, 0.2);
    expect(link.stats.duplicated).toBe(copies.length);
    for (const copy of copies) {
      const original = originals.get(copy.number)!;
      expect(equal(copy.bytes, original.bytes)).toBe(true);
      expect(copy.bytes.buffer).not.toBe(original.bytes.buffer);
    }
  });

  it('by replay are old datagrams out of a bounded memory, within the bounded time', () => {
    const { link, deliveries } = run({ replay: 0.5, delay: 1_000, replayWithin: 180 * SECOND });
    const replays = deliveries.filter((delivery) => delivery.origin === 'replay');
    expectRate(replays.length, 20_000, 0.5);
    expect(link.stats.replayed).toBe(replays.length);
    let trigger = -1;
    let farthest = 0;
    // The original of the sending that set it free comes just before each replay.
    for (const delivery of deliveries) {
      if (delivery.origin === 'original') trigger = delivery.envelope;
      if (delivery.origin !== 'replay') continue;
      const age = trigger - delivery.envelope;
      expect(age >= 1 && age <= LINK_MEMORY_MAX).toBe(true);
      const span = delivery.at - trigger * MILLISECOND;
      expect(span >= 1_000 && span <= 1_000 + 180 * SECOND).toBe(true);
      expect(equal(delivery.bytes, numbered(delivery.envelope))).toBe(true);
      farthest = Math.max(farthest, span);
    }
    expect(farthest).toBeGreaterThan(170 * SECOND);
  });

  it('are never of a datagram that was lost', () => {
    const { deliveries, dropped } = run({ replay: 0.5, duplicate: 0.5, loss: 0.5 });
    for (const delivery of deliveries) expect(dropped[delivery.envelope]).toBe(false);
  });

  it('do not share memory with what a receiver got and opened in place', () => {
    const link = new Link<number>(new SeededRng(3), { replay: 1 });
    for (let i = 0; i < 50; i++) {
      for (const delivery of link.send(numbered(i), i, instant(i)).deliveries) {
        expect(equal(delivery.bytes, numbered(delivery.envelope))).toBe(true);
        delivery.bytes.fill(0);
      }
    }
  });
});

describe('corruption', () => {
  it('comes at its rate, in every kind as often, and always changes the datagram', () => {
    const { link, deliveries } = run({ corrupt: 0.1 });
    const broken = deliveries.filter((delivery) => delivery.corruption !== undefined);
    expectRate(broken.length, 20_000, 0.1);
    expect(link.stats.corrupted).toBe(broken.length);
    for (const kind of CORRUPTIONS) {
      expectRate(broken.filter((delivery) => delivery.corruption === kind).length, broken.length, 0.25);
    }
    for (const { bytes, envelope } of broken) expect(equal(bytes, numbered(envelope))).toBe(false);
    const whole = deliveries.filter((delivery) => delivery.corruption === undefined);
    for (const { bytes, envelope } of whole) expect(equal(bytes, numbered(envelope))).toBe(true);
  });

  it('of one bit or one byte changes one byte, truncation leaves a prefix', () => {
    const { deliveries } = run({ corrupt: 1, corruptions: ['bit', 'byte', 'truncation'] }, { count: 2_000 });
    for (const { bytes, envelope, corruption } of deliveries) {
      const sent = numbered(envelope);
      if (corruption === 'truncation') {
        expect(bytes.length).toBeLessThan(100);
        expect(equal(bytes, sent.subarray(0, bytes.length))).toBe(true);
        continue;
      }
      const changes = [...bytes].map((byte, i) => byte ^ sent[i]!).filter((difference) => difference !== 0);
      expect(changes.length).toBe(1);
      if (corruption === 'bit') expect(Math.log2(changes[0]!) % 1).toBe(0);
    }
  });

  it('by splice joins a head to the tail of an earlier datagram', () => {
    const link = new Link<null>(new SeededRng(4), { corrupt: 0.5, corruptions: ['splice'] });
    let splices = 0;
    for (let i = 0; i < 1_000; i++) {
      const sent = new Uint8Array(40).fill(i % 251);
      const [delivery] = link.send(sent, null, instant(i)).deliveries;
      if (delivery!.corruption !== 'splice') continue;
      splices++;
      const tail = delivery!.bytes.findIndex((byte) => byte !== i % 251);
      expect(tail).toBeGreaterThan(0);
      expect(new Set(delivery!.bytes.subarray(tail)).size).toBe(1);
    }
    expect(splices).toBeGreaterThan(400);
  });

  it('finds nothing to break in an empty datagram', () => {
    const link = new Link<null>(new SeededRng(4), { corrupt: 1 });
    expect(link.send(new Uint8Array(0), null, instant(0)).deliveries[0]!.corruption).toBeUndefined();
  });
});

describe('bandwidth', () => {
  function sendAll(link: Link<null>, count: number, length: number, now: Instant): (number | string)[] {
    return Array.from({ length: count }, () => {
      const result = link.send(new Uint8Array(length), null, now);
      return result.dropped ?? result.deliveries[0]!.at;
    });
  }

  it('takes bits over bandwidth for each datagram, one after the other', () => {
    const link = new Link<null>(new SeededRng(1), { delay: 1_000, bandwidth: 8_000_000 });
    // 1,000 bytes at 8 Mbit/s are 1 ms.
    expect(sendAll(link, 3, 1_000, instant(0))).toEqual([2_000, 3_000, 4_000]);
    expect(sendAll(link, 1, 500, instant(10_000))).toEqual([11_500]);
  });

  it('neither gains nor loses time over a long train of datagrams of a fraction of a microsecond', () => {
    const link = new Link<null>(new SeededRng(1), { delay: 0, bandwidth: 3_000_000_000, queue: 1_000_000 });
    // 100 bytes are 4/15 µs; 15,000 of them are 4,000 µs.
    const times = sendAll(link, 15_000, 100, instant(0));
    expect(times.slice(0, 5)).toEqual([1, 1, 1, 2, 2]);
    expect(times.at(-1)).toBe(4_000);
  });

  it('drops what finds the queue full, and counts it', () => {
    const link = new Link<null>(new SeededRng(1), { delay: 0, bandwidth: 8_000_000, queue: 2 });
    expect(sendAll(link, 4, 1_000, instant(0))).toEqual([1_000, 2_000, 'queueDropped', 'queueDropped']);
    // The first has left at 1,000 and not a microsecond earlier.
    expect(sendAll(link, 1, 1_000, instant(999))).toEqual(['queueDropped']);
    expect(sendAll(link, 2, 1_000, instant(1_000))).toEqual([3_000, 'queueDropped']);
    expect(link.stats).toMatchObject({ sent: 7, queueDropped: 4, inFlight: 3 });
  });

  it('is used up by datagrams that are lost on the wire', () => {
    const link = new Link<null>(new SeededRng(1), { delay: 0, bandwidth: 8_000_000, loss: 1 });
    sendAll(link, 3, 1_000, instant(0));
    link.configure({ loss: 0 }, instant(0));
    expect(sendAll(link, 1, 1_000, instant(0))).toEqual([4_000]);
  });

  it('that changes lets the backlog go on at the new rate', () => {
    const link = new Link<null>(new SeededRng(1), { delay: 0, bandwidth: 8_000_000, queue: 3 });
    expect(sendAll(link, 3, 1_000, instant(0))).toEqual([1_000, 2_000, 3_000]);
    link.configure({ bandwidth: 80_000_000 }, instant(500));
    expect(sendAll(link, 1, 1_000, instant(549))).toEqual(['queueDropped']);
    // 2,500 µs of backlog are 250 now.
    expect(sendAll(link, 1, 1_000, instant(550))).toEqual([850]);
    link.configure({ bandwidth: Number.POSITIVE_INFINITY }, instant(560));
    expect(sendAll(link, 4, 1_000, instant(560))).toEqual([560, 560, 560, 560]);
  });

  it('limits what gets through to itself', () => {
    const { link, deliveries } = run({ bandwidth: 400_000, queue: 5 });
    // 100 bytes a millisecond are twice what fits.
    expect(deliveries.length).toBe(10_004);
    expect(link.stats.queueDropped).toBe(9_996);
  });
});

describe('the cable', () => {
  it('drops a datagram larger than the MTU in silence, and carries one that just fits', () => {
    const link = new Link<null>(new SeededRng(1), { mtu: 1_200 });
    expect(link.send(new Uint8Array(1_200), null, instant(0)).dropped).toBeUndefined();
    expect(link.send(new Uint8Array(1_201), null, instant(0))).toEqual({ deliveries: [], dropped: 'tooBig' });
    link.configure({ mtu: 1_500 }, instant(1));
    expect(link.send(new Uint8Array(1_201), null, instant(1)).dropped).toBeUndefined();
    expect(link.stats).toMatchObject({ sent: 3, tooBig: 1, inFlight: 2 });
  });

  it('that is down takes nothing in and lets nothing out', () => {
    const link = new Link<null>(new SeededRng(1), {});
    const [onItsWay] = link.send(numbered(1), null, instant(0)).deliveries;
    link.configure({ down: true }, instant(500));
    expect(link.send(numbered(2), null, instant(600))).toEqual({ deliveries: [], dropped: 'down' });
    expect(link.land(onItsWay!)).toBe('down');
    expect(link.stats).toMatchObject({ sent: 2, down: 2, delivered: 0, inFlight: 0 });
  });
});

describe('a link with every fault', () => {
  const everything: Partial<LinkConfig> = {
    jitter: 3_000,
    loss: 0.1,
    burst: 3,
    duplicate: 0.1,
    reorder: 0.1,
    corrupt: 0.1,
    replay: 0.1,
    bandwidth: 700_000,
    queue: 5,
  };

  it('replays exactly from its seed', () => {
    expect(run(everything, { seed: 9, count: 2_000 }).deliveries).toEqual(
      run(everything, { seed: 9, count: 2_000 }).deliveries,
    );
    expect(arrivals(run(everything, { seed: 9 }))).not.toEqual(arrivals(run(everything, { seed: 10 })));
  });

  it('accounts for every datagram', () => {
    const { link, deliveries } = run(everything);
    const half = deliveries.length / 2;
    for (const [i, delivery] of deliveries.entries()) {
      if (i > half) link.configure({ down: true }, instant(0));
      link.land(delivery);
      const { sent, duplicated, replayed, delivered, lost, queueDropped, tooBig, down, inFlight } = link.stats;
      expect(sent + duplicated + replayed).toBe(delivered + lost + queueDropped + tooBig + down + inFlight);
    }
    expect(link.stats.inFlight).toBe(0);
  });

  it('loses the same datagrams when the other faults are switched off', () => {
    const all = run({ ...everything, bandwidth: Number.POSITIVE_INFINITY });
    expect(run({ loss: 0.1, burst: 3 }).dropped).toEqual(all.dropped);
    const duplicated = (deliveries: Delivery<number>[]): number[] =>
      deliveries.filter(({ origin }) => origin === 'duplicate').map(({ envelope }) => envelope);
    const withoutLoss = run({ ...everything, bandwidth: Number.POSITIVE_INFINITY, loss: 0 });
    const lost = new Set(all.dropped.flatMap((dropped, i) => (dropped ? [i] : [])));
    expect(duplicated(withoutLoss.deliveries).filter((index) => !lost.has(index))).toEqual(duplicated(all.deliveries));
  });
});
