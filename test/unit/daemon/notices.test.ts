import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Notice, Notices } from '../../../daemon/notices.ts';

class Teller implements Notice {
  told = 0;
  readonly #onTell: () => void;

  constructor(onTell: () => void = () => undefined) {
    this.#onTell = onTell;
  }

  tell(): void {
    this.told += 1;
    this.#onTell();
  }
}

describe('notices', () => {
  it('are told on a later turn, once, however often they were added', async () => {
    const notices = new Notices();
    const teller = new Teller();
    notices.add(teller);
    notices.add(teller);
    expect(teller.told).toBe(0);
    await nextTurn();
    expect([teller.told, notices.isEmpty]).toEqual([1, true]);
  });

  it('are told in the order they came', async () => {
    const notices = new Notices();
    const order: number[] = [];
    for (let i = 0; i < 5; i++) notices.add(new Teller(() => order.push(i)));
    await nextTurn();
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  it('are not told where they were taken back', async () => {
    const notices = new Notices();
    const teller = new Teller();
    notices.add(teller);
    notices.remove(teller);
    await nextTurn();
    expect(teller.told).toBe(0);
  });

  it('let others have their turn: one that always has more is told some each time', () => {
    const notices = new Notices();
    const restless = new Teller(() => notices.add(restless));
    notices.add(restless);
    const others = Array.from({ length: 100 }, () => new Teller());
    for (const other of others) notices.add(other);
    notices.tellSome();
    const first = others.filter((other) => other.told === 1).length;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(100);
    notices.tellSome();
    expect(others.every((other) => other.told === 1)).toBe(true);
    notices.remove(restless);
  });

  it('are not held up by one that throws', async () => {
    const notices = new Notices();
    const broken = new Teller(() => {
      throw new Error('a program’s mistake');
    });
    const after = new Teller();
    notices.add(broken);
    notices.add(after);
    expect(() => notices.tellSome()).toThrow('a program’s mistake');
    await nextTurn();
    expect(after.told).toBe(1);
  });
});
