import { describe, expect, it } from 'vitest';
import { SeededRng } from '../../../../sim/rng.ts';
import { CONTENT_ACK, CONTENT_STREAM_DATA, PacketContents } from '../../../../transport/packet-contents.ts';
import { CONTENTS_PER_PACKET_MAX, ContentsRing } from '../../../../transport/recovery/contents-ring.ts';
import {
  LEDGER_RESERVE,
  LEDGER_SLOTS_MAX,
  LEDGER_SLOTS_MIN,
  SENT_OUTSTANDING,
  SentLedger,
} from '../../../../transport/recovery/sent-ledger.ts';

function contentsOf(...offsets: number[]): PacketContents {
  const contents = new PacketContents();
  for (const offset of offsets) contents.add(CONTENT_STREAM_DATA, offset % 7, offset, offset % 1_000);
  return contents;
}

const NOTHING = new PacketContents();

function add(ledger: SentLedger, contents: PacketContents = NOTHING): number {
  while (!ledger.hasSlot) expect(ledger.grow()).toBe(true);
  const slot = ledger.add(contents);
  ledger.columns.flags[slot] = SENT_OUTSTANDING;
  return slot;
}

function isPending(ledger: SentLedger, number: number): boolean {
  return number >= ledger.oldest && ledger.nextPending(number, number) === number;
}

function settle(ledger: SentLedger, number: number): void {
  ledger.markDone(ledger.slot(number));
}

describe('the ledger of sent packets', () => {
  it('has no slots before the first packet, and none again when it is trimmed empty', () => {
    const ledger = new SentLedger(0);
    expect([ledger.columns.capacity, ledger.hasSlot, ledger.oldest, ledger.next]).toEqual([0, false, 0, 0]);
    add(ledger, contentsOf(1));
    expect(ledger.columns.capacity).toBe(LEDGER_SLOTS_MIN);
    ledger.trim();
    expect(ledger.columns.capacity).toBe(LEDGER_SLOTS_MIN);
    settle(ledger, 0);
    ledger.advance();
    ledger.trim();
    expect([ledger.columns.capacity, ledger.oldest, ledger.next]).toEqual([0, 1, 1]);
    add(ledger);
    expect(isPending(ledger, 1)).toBe(true);
  });

  it('doubles when it is full, and every packet keeps its numbers', () => {
    const ledger = new SentLedger(1_000);
    for (let i = 0; i < 700; i++) {
      const slot = add(ledger, contentsOf(i, i + 1));
      ledger.columns.sentAt[slot] = 10 * i;
      ledger.columns.sequence[slot] = i;
      ledger.columns.bytes[slot] = i;
      ledger.columns.path[slot] = i % 8;
      ledger.columns.delivery.delivered[slot] = 3 * i;
    }
    expect(ledger.columns.capacity).toBe(1_024);
    const read = new PacketContents();
    for (let i = 0; i < 700; i++) {
      const slot = ledger.slot(1_000 + i);
      const { sentAt, sequence, bytes, path, delivery } = ledger.columns;
      expect([sentAt[slot], sequence[slot], bytes[slot], path[slot]]).toEqual([10 * i, i, i, i % 8]);
      expect(delivery.delivered[slot]).toBe(3 * i);
      ledger.loadContents(slot, read);
      expect([read.count, read.offset(0), read.offset(1)]).toEqual([2, i, i + 1]);
    }
  });

  it('uses its slots again without growing while the oldest packets are let go', () => {
    const ledger = new SentLedger(2 ** 32 - 40);
    for (let i = 0; i < 1_000; i++) {
      add(ledger, contentsOf(i));
      if (i >= 10) settle(ledger, 2 ** 32 - 40 + i - 10);
      ledger.advance();
    }
    expect(ledger.columns.capacity).toBe(LEDGER_SLOTS_MIN);
    expect(ledger.next - ledger.oldest).toBe(10);
    expect(ledger.next).toBe(2 ** 32 + 960);
  });

  it('is full for ordinary sending short of 131,072 packets, and takes no more than that', () => {
    const ledger = new SentLedger(0);
    for (let i = 0; i < LEDGER_SLOTS_MAX - LEDGER_RESERVE; i++) {
      expect(ledger.isFull).toBe(false);
      add(ledger);
    }
    expect(ledger.isFull).toBe(true);
    for (let i = 0; i < LEDGER_RESERVE; i++) add(ledger);
    expect([ledger.hasSlot, ledger.grow(), ledger.columns.capacity]).toEqual([false, false, LEDGER_SLOTS_MAX]);
    settle(ledger, 0);
    ledger.advance();
    expect(ledger.hasSlot).toBe(true);
  });

  it('passes a long run of done packets in one step, from wherever it was looked at before', () => {
    const ledger = new SentLedger(0);
    for (let i = 0; i < 1_000; i++) add(ledger);
    for (let i = 1; i < 900; i++) settle(ledger, i);
    ledger.joinRun(1, 900);
    expect(ledger.columns.skip[ledger.slot(1)]).toBe(899);
    expect(ledger.nextPending(1, 999)).toBe(900);
    // Entered in the middle, the way is walked once and halved each time.
    for (let i = 0; i < 12; i++) expect(ledger.nextPending(300, 999)).toBe(900);
    expect(ledger.columns.skip[ledger.slot(300)]).toBe(600);
    settle(ledger, 0);
    ledger.advance();
    expect(ledger.oldest).toBe(900);
  });

  it('looks for no number that was not given out: on slots without a packet there is no way on', () => {
    const ledger = new SentLedger(0);
    for (let i = 0; i < 5; i++) add(ledger);
    for (let i = 0; i < 5; i++) settle(ledger, i);
    expect(ledger.nextPending(0, 4)).toBe(5);
    expect(() => ledger.nextPending(0, 5)).toThrow('given out');
    expect(() => ledger.nextPending(5, 2 ** 53 - 1)).toThrow('given out');
  });

  it('agrees with a plain map over random sending and settling', () => {
    for (let seed = 1; seed <= 6; seed++) {
      const rng = new SeededRng(seed);
      const first = rng.pick([0, 2 ** 31 - 50, 2 ** 32 - 50, 2 ** 40]);
      const ledger = new SentLedger(first);
      const model = new Map<number, number[]>();
      const read = new PacketContents();
      for (let step = 0; step < 3_000; step++) {
        if (rng.chance(0.5)) {
          const offsets = Array.from({ length: rng.below(4) }, () => rng.below(1_000_000));
          model.set(ledger.next, offsets);
          add(ledger, contentsOf(...offsets));
        } else if (model.size > 0) {
          const from = rng.chance(0.7) ? ledger.oldest : ledger.oldest + rng.below(ledger.next - ledger.oldest);
          const last = Math.min(from + rng.below(20), ledger.next - 1);
          let number = ledger.nextPending(from, last);
          while (number <= last) {
            ledger.loadContents(ledger.slot(number), read);
            const offsets = Array.from({ length: read.count }, (_, index) => read.offset(index));
            expect(offsets, `seed ${seed}, step ${step}`).toEqual(model.get(number));
            model.delete(number);
            settle(ledger, number);
            number = ledger.nextPending(number + 1, last);
          }
          ledger.joinRun(from, number);
          ledger.advance();
          if (rng.chance(0.05)) ledger.trim();
        }
        const oldest = model.size === 0 ? ledger.next : Math.min(...model.keys());
        expect(ledger.oldest, `seed ${seed}, step ${step}`).toBe(oldest);
        if (step % 100 === 0) {
          for (let number = first; number < ledger.next; number++) {
            expect(isPending(ledger, number), `seed ${seed}, step ${step}`).toBe(model.has(number));
          }
        }
      }
    }
  });
});

describe('the contents of sent packets', () => {
  it('come back as they were added, across growing and wrapping', () => {
    const ring = new ContentsRing();
    const read = new PacketContents();
    const kept: [number, number[]][] = [];
    const rng = new SeededRng(5);
    for (let i = 0; i < 2_000; i++) {
      const offsets = Array.from({ length: rng.below(5) }, () => rng.below(2 ** 52));
      kept.push([ring.next, offsets]);
      ring.add(contentsOf(...offsets));
      if (kept.length > 100) kept.shift();
      ring.releaseTo(kept[0]![0]);
      const [position, expected] = rng.pick(kept);
      ring.load(position, expected.length, read);
      expect(Array.from({ length: read.count }, (_, index) => read.offset(index))).toEqual(expected);
    }
    expect(ring.capacity).toBeLessThanOrEqual(512);
  });

  it('keep every field of every kind', () => {
    const ring = new ContentsRing();
    const contents = new PacketContents();
    contents.add(CONTENT_ACK, 0, 2 ** 40, 0);
    contents.add(CONTENT_STREAM_DATA, 2 ** 50, 2 ** 52, 65_000);
    ring.add(contents);
    const read = new PacketContents();
    ring.load(0, 2, read);
    const entries = [0, 1].map((i) => [read.kind(i), read.stream(i), read.offset(i), read.length(i)]);
    expect(entries).toEqual([
      [CONTENT_ACK, 0, 2 ** 40, 0],
      [CONTENT_STREAM_DATA, 2 ** 50, 2 ** 52, 65_000],
    ]);
  });

  it('are bounded: without room for the largest packet, none is taken in', () => {
    const ring = new ContentsRing();
    const largest = contentsOf(...Array.from({ length: CONTENTS_PER_PACKET_MAX }, (_, i) => i));
    let packets = 0;
    for (; ring.hasRoom; packets++) ring.add(largest);
    expect(packets).toBe(512);
    ring.releaseTo(CONTENTS_PER_PACKET_MAX);
    expect(ring.hasRoom).toBe(true);
    expect(() => ring.add(contentsOf(...Array.from({ length: 1_025 }, (_, i) => i)))).toThrow('1,024');
  });

  it('give their memory back when nothing is kept', () => {
    const ring = new ContentsRing();
    ring.add(contentsOf(1, 2, 3));
    ring.trim();
    expect(ring.capacity).toBe(16);
    ring.releaseTo(ring.next);
    ring.trim();
    expect(ring.capacity).toBe(0);
    ring.add(contentsOf(9));
    const read = new PacketContents();
    ring.load(3, 1, read);
    expect(read.offset(0)).toBe(9);
  });
});
