import { describe, expect, it } from 'vitest';
import {
  APP_EPHEMERAL_MAX,
  EPHEMERAL_FIRST,
  EPHEMERAL_LAST,
  PortTable,
  requireLocalPort,
  requirePort,
} from '../../../daemon/ports.ts';

const EPHEMERAL_COUNT = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;

describe('ports that are lent', () => {
  it('stay among the dynamic ones, however many have been', () => {
    const ports = new PortTable<string>();
    const seen = new Set<number>();
    for (let i = 0; i < 2 * EPHEMERAL_COUNT + 7; i++) {
      const port = ports.lend()!;
      seen.add(port);
      ports.giveBack(port);
    }
    expect(seen.size).toBe(EPHEMERAL_COUNT);
    expect(Math.min(...seen)).toBe(49_152);
    expect(Math.max(...seen)).toBe(65_535);
  });

  it('wrap from the last to the first', () => {
    const ports = new PortTable<string>(EPHEMERAL_LAST);
    expect([ports.lend(), ports.lend()]).toEqual([65_535, 49_152]);
  });

  it('are never in use, lent or bound', () => {
    const ports = new PortTable<string>();
    ports.bind(49_153, 'a program');
    expect([ports.lend(), ports.lend()]).toEqual([49_152, 49_154]);
    for (let i = 0; i < EPHEMERAL_COUNT; i++) {
      const port = ports.lend();
      if (port !== undefined) ports.giveBack(port);
      expect([49_152, 49_153, 49_154]).not.toContain(port);
    }
  });

  it('run out, and are there again when they are given back', () => {
    const ports = new PortTable<string>();
    for (let i = 0; i < EPHEMERAL_COUNT; i++) expect(ports.lend()).toBeDefined();
    expect(ports.lentCount).toBe(16_384);
    expect(ports.lend()).toBeUndefined();
    expect(() => ports.bind(0, 'a program')).toThrow(expect.objectContaining({ code: 'ERR_WARREN_NO_FREE_PORT' }));
    ports.giveBack(50_000);
    expect(ports.lend()).toBe(50_000);
  });
});

describe('ports of programs on app.sock', () => {
  it('are not all there are, lent and bound together, and whatever is given back is theirs again', () => {
    const ports = new PortTable<string>();
    ports.bind(0, 'one', 'app');
    ports.bind(65_535, 'another', 'app');
    const lent = Array.from({ length: APP_EPHEMERAL_MAX - 2 }, () => ports.lend('app')!);
    const taken = expect.objectContaining({ code: 'ERR_WARREN_NO_FREE_PORT' });
    for (let round = 0; round < 2; round++) {
      expect(ports.lend('app')).toBeUndefined();
      expect(() => ports.bind(0, 'more', 'app')).toThrow(taken);
      expect(() => ports.bind(65_534, 'more', 'app')).toThrow(taken);
      if (round === 0) ports.giveBack(lent[0]!);
      if (round === 0) expect(ports.lend('app')).toBeDefined();
    }
    ports.unbind(65_535);
    expect(ports.bind(65_534, 'more', 'app')).toBe(65_534);
    for (let left = EPHEMERAL_COUNT - APP_EPHEMERAL_MAX; left > 0; left--) expect(ports.lend()).toBeDefined();
    expect(ports.lend()).toBeUndefined();
  });

  it('below the dynamic ones are any', () => {
    const ports = new PortTable<string>();
    for (let port = 1; port < EPHEMERAL_FIRST; port++) ports.bind(port, 'an app', 'app');
    expect(ports.lend('app')).toBe(EPHEMERAL_FIRST);
  });
});

describe('ports that are bound', () => {
  it('are one program’s each, until it lets go', () => {
    const ports = new PortTable<string>();
    expect(ports.bind(80, 'first')).toBe(80);
    expect(() => ports.bind(80, 'second')).toThrow(expect.objectContaining({ code: 'ERR_WARREN_PORT_TAKEN' }));
    expect(ports.get(80)).toBe('first');
    ports.unbind(80);
    expect(ports.bind(80, 'second')).toBe(80);
  });

  it('may be one that a stream goes out from', () => {
    const ports = new PortTable<string>();
    expect(ports.lend()).toBe(49_152);
    expect(ports.bind(49_152, 'a program')).toBe(49_152);
  });

  it('are chosen from the dynamic ones where any will do', () => {
    const ports = new PortTable<string>();
    expect([ports.bind(0, 'a'), ports.bind(0, 'b')]).toEqual([49_152, 49_153]);
  });

  it('may be all there are, and are listed in order', () => {
    const ports = new PortTable<number>();
    for (let port = 65_535; port >= 1; port--) ports.bind(port, port);
    expect(ports.bound).toEqual(Array.from({ length: 65_535 }, (_, i) => i + 1));
    expect(ports.lend()).toBeUndefined();
  });
});

describe('what is no port', () => {
  it('is refused', () => {
    for (const port of [-1, 65_536, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => requirePort(port)).toThrow(expect.objectContaining({ code: 'ERR_WARREN_ARGUMENT' }));
      expect(() => requireLocalPort(port)).toThrow(expect.objectContaining({ code: 'ERR_WARREN_ARGUMENT' }));
    }
    expect(() => requirePort(0)).toThrow(expect.objectContaining({ code: 'ERR_WARREN_ARGUMENT' }));
    expect([requireLocalPort(0), requirePort(1), requirePort(65_535)]).toEqual([0, 1, 65_535]);
  });
});
