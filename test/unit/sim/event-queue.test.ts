import { describe, expect, it } from 'vitest';
import { instant, NEVER } from '../../../base/time.ts';
import { EventQueue } from '../../../sim/event-queue.ts';
import { SeededRng } from '../../../sim/rng.ts';

describe('the event queue', () => {
  it('is empty at first', () => {
    const queue = new EventQueue<string>(10);
    expect([queue.size, queue.nextTime(), queue.pop()]).toEqual([0, NEVER, undefined]);
  });

  it('gives events in the order of a stable sort, pushed and popped in any mix', () => {
    const rng = new SeededRng(1);
    const queue = new EventQueue<{ time: number; order: number }>(100_000);
    const model: { time: number; order: number }[] = [];
    for (let order = 0; order < 5_000; order++) {
      // Few distinct times, so that ties are common.
      const event = { time: rng.below(50), order };
      queue.push(instant(event.time), event);
      model.push(event);
      if (!rng.chance(0.4)) continue;
      model.sort((a, b) => a.time - b.time || a.order - b.order);
      expect(queue.nextTime()).toBe(model[0]!.time);
      expect(queue.pop()).toBe(model.shift());
    }
    model.sort((a, b) => a.time - b.time || a.order - b.order);
    for (const event of model) expect(queue.pop()).toBe(event);
    expect(queue.size).toBe(0);
  });

  it('refuses an event beyond its limit and takes one again when there is room', () => {
    const queue = new EventQueue<number>(2);
    expect([queue.push(instant(3), 3), queue.push(instant(1), 1), queue.push(instant(2), 2)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(queue.pop()).toBe(1);
    expect(queue.push(instant(2), 2)).toBe(true);
    expect([queue.pop(), queue.pop(), queue.pop()]).toEqual([2, 3, undefined]);
  });

  it('does not take an event that never comes', () => {
    expect(() => new EventQueue<number>(2).push(NEVER, 1)).toThrow('time');
  });
});
