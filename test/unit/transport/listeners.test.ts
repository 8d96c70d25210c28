import { describe, expect, it } from 'vitest';
import { BACKLOG_NODE_MAX, Listeners } from '../../../transport/listeners.ts';

/** As many as there may be, on ports 1 and up, each with as many as its backlog takes. */
function full(backlog: number): Listeners {
  const listeners = new Listeners();
  for (let i = 0; i < BACKLOG_NODE_MAX; i++) {
    const port = 1 + Math.floor(i / backlog);
    if (i % backlog === 0) expect(listeners.add(port, backlog)).toBe(true);
    expect(listeners.admit(`peer ${i % 7}`, port)).toBeUndefined();
  }
  return listeners;
}

describe('streams that wait to be taken', () => {
  it('are as many as the backlog of their port, whatever the others have', () => {
    const listeners = new Listeners();
    listeners.add(80, 2);
    listeners.add(81, 1);
    expect(listeners.add(80, 9)).toBe(false);
    expect([listeners.admit('a', 80), listeners.admit('b', 80), listeners.admit('a', 81)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect([listeners.admit('c', 80), listeners.admit('c', 81)]).toEqual(['BACKLOG_FULL', 'BACKLOG_FULL']);
    expect(listeners.admit('a', 82)).toBe('NO_LISTENER');
    listeners.taken('a', 80);
    expect([listeners.admit('c', 80), listeners.admit('c', 80)]).toEqual([undefined, 'BACKLOG_FULL']);
  });

  it('are 1,024 on all ports together: a port with room of its own takes no more', () => {
    const listeners = full(128);
    listeners.add(80, 128);
    expect(listeners.admit('one more', 80)).toBe('BACKLOG_FULL');
  });

  it.each([
    ['one is taken', 1, (listeners: Listeners) => listeners.taken('peer 0', 1)],
    ['a port is closed', 128, (listeners: Listeners) => listeners.remove(1)],
    ['a peer is gone', 147, (listeners: Listeners) => listeners.forget('peer 0')],
  ] as const)('make room for others on any port where %s', (_, room, leave) => {
    const listeners = full(128);
    for (const port of [80, 81]) listeners.add(port, 1_024);
    leave(listeners);
    for (let i = 0; i < room; i++) expect(listeners.admit('other', i % 2 === 0 ? 80 : 81)).toBeUndefined();
    expect(listeners.admit('other', 80)).toBe('BACKLOG_FULL');
  });

  it('count once: what is taken or told of twice, or by nobody who waits, makes no room', () => {
    const listeners = full(1_024);
    listeners.add(80, 1_024);
    listeners.taken('nobody', 1);
    listeners.taken('peer 0', 80);
    listeners.forget('nobody');
    listeners.remove(99);
    expect(listeners.admit('other', 80)).toBe('BACKLOG_FULL');
  });
});
