import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../../base/assert.ts';
import { BoundedQueue, LruMap } from '../../../base/bounded.ts';
import { SeededRng } from '../../../sim/rng.ts';

function drain<T>(queue: BoundedQueue<T>): T[] {
  const items: T[] = [];
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) items.push(item);
  return items;
}

describe('a bounded queue', () => {
  it('gives its items in the order they came', () => {
    const queue = new BoundedQueue<number>(10);
    for (const item of [3, 1, 2]) expect(queue.push(item)).toBeUndefined();
    expect(queue.length).toBe(3);
    expect(queue.peek()).toBe(3);
    expect(drain(queue)).toEqual([3, 1, 2]);
    expect(queue.length).toBe(0);
  });

  it('drops the oldest when it is full, and gives it back', () => {
    const queue = new BoundedQueue<number>(4);
    const dropped = [1, 2, 3, 4, 5, 6].map((item) => queue.push(item));
    expect(dropped).toEqual([undefined, undefined, undefined, undefined, 1, 2]);
    expect(queue.length).toBe(4);
    expect(drain(queue)).toEqual([3, 4, 5, 6]);
  });

  it('of one place always holds the latest', () => {
    const queue = new BoundedQueue<number>(1);
    queue.push(1);
    expect(queue.push(2)).toBe(1);
    expect(queue.push(3)).toBe(2);
    expect(drain(queue)).toEqual([3]);
  });

  it('gives nothing when it is empty or cleared, and takes items again', () => {
    const queue = new BoundedQueue<number>(3);
    expect(queue.shift()).toBeUndefined();
    expect(queue.peek()).toBeUndefined();
    queue.push(1);
    queue.shift();
    queue.push(2);
    queue.clear();
    expect(queue.length).toBe(0);
    expect(queue.peek()).toBeUndefined();
    queue.push(3);
    expect(drain(queue)).toEqual([3]);
  });

  it('has a positive bound', () => {
    expect(() => new BoundedQueue(0)).toThrow(AssertionError);
    expect(() => new LruMap(0)).toThrow(AssertionError);
  });

  it('agrees with a plain array over any sequence of operations', () => {
    const operation = fc.oneof(
      { weight: 5, arbitrary: fc.constant('push' as const) },
      { weight: 4, arbitrary: fc.constant('shift' as const) },
      { weight: 1, arbitrary: fc.constant('clear' as const) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.array(operation, { maxLength: 200 }), (max, operations) => {
        const queue = new BoundedQueue<number>(max);
        let model: number[] = [];
        for (const [index, name] of operations.entries()) {
          if (name === 'push') {
            expect(queue.push(index)).toBe(model.length >= max ? model.shift() : undefined);
            model.push(index);
          } else if (name === 'shift') {
            expect(queue.shift()).toBe(model.shift());
          } else {
            queue.clear();
            model = [];
          }
          expect(queue.length).toBe(model.length);
          expect(queue.peek()).toBe(model[0]);
          const isEven = (item: number): boolean => item % 2 === 0;
          expect(queue.some(isEven)).toBe(model.some(isEven));
        }
      }),
    );
  });
});

describe('a map that forgets the longest unused', () => {
  it('forgets the entry that was set first when nothing was read', () => {
    const map = new LruMap<string, number>(2);
    map.set('a', 1);
    map.set('b', 2);
    map.set('c', 3);
    expect(map.size).toBe(2);
    expect(map.get('a')).toBeUndefined();
    expect(map.get('b')).toBe(2);
    expect(map.get('c')).toBe(3);
  });

  it('counts reading as use', () => {
    const map = new LruMap<string, number>(2);
    map.set('a', 1);
    map.set('b', 2);
    map.get('a');
    map.set('c', 3);
    expect(map.get('b')).toBeUndefined();
    expect(map.get('a')).toBe(1);
  });

  it('replaces the value of a key it has without forgetting another', () => {
    const map = new LruMap<string, number>(2);
    map.set('a', 1);
    map.set('b', 2);
    map.set('a', 3);
    expect([map.size, map.get('b'), map.get('a')]).toEqual([2, 2, 3]);
  });

  it('agrees with a list in order of use over random operations', () => {
    for (let seed = 0; seed < 20; seed++) {
      const rng = new SeededRng(seed);
      const max = 1 + rng.below(8);
      const map = new LruMap<number, number>(max);
      let model: [number, number][] = [];
      for (let step = 0; step < 300; step++) {
        const key = rng.below(12);
        const found = model.find(([other]) => other === key);
        const others = model.filter(([other]) => other !== key);
        if (rng.chance(0.5)) {
          map.set(key, step);
          model = [...others, [key, step] as [number, number]].slice(-max);
        } else {
          expect(map.get(key), `seed ${seed}, step ${step}`).toBe(found?.[1]);
          if (found !== undefined) model = [...others, found];
        }
        expect(map.size, `seed ${seed}, step ${step}`).toBe(model.length);
      }
    }
  });
});
