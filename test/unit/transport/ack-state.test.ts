import { describe, expect, it } from 'vitest';
import { instant, MILLISECOND, NEVER } from '../../../base/time.ts';
import { AckState } from '../../../transport/ack-state.ts';
import { ACK_RANGES_SENT_MAX } from '../../../transport/constants.ts';

const at = (ms: number) => instant(ms * MILLISECOND);

/** Plain data: asks for an ACK, and can wait for it. */
function data(acks: AckState, number: number, ms: number): void {
  acks.received(number, true, false, at(ms));
}

describe('an ACK', () => {
  it('is not due before anything came', () => {
    const acks = new AckState();
    expect([acks.deadline, acks.isOwed, acks.highest]).toEqual([NEVER, false, -1]);
  });

  it('of one packet in order waits 25 ms for a second one', () => {
    const acks = new AckState();
    data(acks, 0, 100);
    expect(acks.isOwed).toBe(true);
    expect(acks.deadline).toBe(at(125));
  });

  it('is due at once when a second packet has come', () => {
    const acks = new AckState();
    data(acks, 0, 100);
    data(acks, 1, 103);
    expect(acks.deadline).toBe(at(103));
  });

  it('is due at once when there is a gap before the packet', () => {
    const acks = new AckState();
    data(acks, 0, 100);
    acks.sent();
    data(acks, 2, 110);
    expect(acks.deadline).toBe(at(110));
  });

  it('is due at once when a packet fills a gap', () => {
    const acks = new AckState();
    data(acks, 0, 100);
    data(acks, 2, 101);
    acks.sent();
    data(acks, 1, 110);
    expect(acks.deadline).toBe(at(110));
  });

  it('is due at once when the first packet of all is not the first that was sent', () => {
    const acks = new AckState();
    data(acks, 1, 100);
    expect(acks.deadline).toBe(at(100));
  });

  it('is due at once for a packet whose sender waits on the answer', () => {
    const acks = new AckState();
    acks.received(0, true, true, at(100));
    expect(acks.deadline).toBe(at(100));
  });

  it('is never due for packets that do not ask, gaps or not', () => {
    const acks = new AckState();
    for (const number of [0, 1, 5, 3, 9]) acks.received(number, false, false, at(number));
    expect([acks.deadline, acks.isOwed]).toEqual([NEVER, false]);
    expect(acks.highest).toBe(9);
  });

  it('keeps its time when a packet follows that does not ask', () => {
    const acks = new AckState();
    data(acks, 0, 100);
    acks.received(1, false, false, at(110));
    expect(acks.deadline).toBe(at(125));
  });

  it('is not put off by what comes before it is due', () => {
    const acks = new AckState();
    data(acks, 0, 100);
    data(acks, 1, 101);
    data(acks, 2, 119);
    expect(acks.deadline <= at(119)).toBe(true);
  });

  it('that went out is owed again only when something else comes', () => {
    const acks = new AckState();
    data(acks, 0, 100);
    data(acks, 1, 101);
    acks.sent();
    expect([acks.deadline, acks.isOwed]).toEqual([NEVER, false]);
    data(acks, 2, 200);
    expect(acks.deadline).toBe(at(225));
  });

  it('names all that came, and how long ago the highest did', () => {
    const acks = new AckState();
    data(acks, 0, 100);
    data(acks, 4, 110);
    data(acks, 3, 112);
    expect(acks.frame(at(120))).toEqual({
      kind: 'ack',
      delayUs: 10 * MILLISECOND,
      ranges: [
        { smallest: 3, largest: 4 },
        { smallest: 0, largest: 0 },
      ],
    });
  });

  it('names the highest 32 ranges at most', () => {
    const acks = new AckState();
    for (let number = 0; number < 200; number += 2) data(acks, number, number);
    const { ranges } = acks.frame(at(200));
    expect(ranges).toHaveLength(ACK_RANGES_SENT_MAX);
    expect(ranges[0]).toEqual({ smallest: 198, largest: 198 });
  });
});
