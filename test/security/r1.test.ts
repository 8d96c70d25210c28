import { describe, expect, it } from 'vitest';
import { concat } from '../../base/bytes.ts';
import { randomBytes } from '../../base/rng.ts';
import { instant, MILLISECOND, SECOND } from '../../base/time.ts';
import { SeededRng } from '../../sim/rng.ts';
import { REPLAY_WINDOW_MAX, type ReplayWindow, SlidingReplayWindow } from '../../transport/replay-window.ts';
import { TYPE_DATA } from '../../wire/packet.ts';
import {
  connected,
  dataPacket,
  ELSEWHERE,
  exchangeLetters,
  expectInert,
  feed,
  pair,
  run,
  stateOf,
  takeSent,
  u64,
} from './support.ts';

/**
 * R1: one forged datagram with the highest counter there is, where the receiver remembers the counter before the packet has
 * opened, ends a tunnel for good. Here the window is only read before a packet opens.
 */
const rng = new SeededRng(0x81);

/** Numbers as they stand in a header, the unrepresentable ones included. */
function forgedNumbers(highest: number): [string, Uint8Array][] {
  return [
    ['2^64 - 1', new Uint8Array(8).fill(0xff)],
    ['2^63', Uint8Array.of(0x80, 0, 0, 0, 0, 0, 0, 0)],
    ['2^53 + 1', Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 1)],
    ['2^53', Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0)],
    ['2^53 - 1', u64(2 ** 53 - 1)],
    ['2^53 - 2', u64(2 ** 53 - 2)],
    ['2^40', u64(2 ** 40)],
    ['2^32', u64(2 ** 32)],
    ['2^31', u64(2 ** 31)],
    ['a window on', u64(highest + REPLAY_WINDOW_MAX)],
    ['2,048 on', u64(highest + 2_048)],
    ['the next', u64(highest + 1)],
  ];
}

describe('R1: a forged packet number', () => {
  it('changes nothing, whatever the number and wherever it comes from, and later genuine packets pass', () => {
    const { world, a, b, tape } = connected();
    exchangeLetters(world, a, b, 20);
    const { sessions, highestReceived } = b.tunnelTo(a)!.inspect();
    const genuine = tape.from(a, TYPE_DATA).at(-1)!.bytes;
    const bodies = [
      randomBytes(rng, 17),
      randomBytes(rng, 1_184),
      new Uint8Array(64),
      genuine.slice(16),
      concat(genuine.subarray(16), new Uint8Array(1)),
    ];
    for (const [name, number] of forgedNumbers(highestReceived)) {
      for (const from of [a.address, ELSEWHERE]) {
        for (const body of bodies) expectInert(world, b, from, dataPacket(sessions[0]!.localId, number, body), name);
      }
      exchangeLetters(world, a, b, 1);
    }
  });

  it('changes nothing a thousand times over, between genuine packets', () => {
    const { world, a, b } = connected();
    const session = b.tunnelTo(a)!.inspect().sessions[0]!.localId;
    for (let i = 0; i < 1_000; i++) {
      const number = i % 2 === 0 ? u64(2 ** 53 - 1 - i) : new Uint8Array(8).fill(0xff);
      expectInert(world, b, a.address, dataPacket(session, number, randomBytes(rng, 40)));
      world.send(a, b);
      run(world, MILLISECOND);
    }
    run(world, SECOND);
    expect(world.letters(a, b)).toEqual({ sent: 1_000, received: 1_000 });
  });

  it('changes nothing in a provisional session, which the genuine first packet then confirms', () => {
    const { world, a, b } = pair();
    world.connect(a, b);
    // The response is on its way; nothing has confirmed it.
    run(world, 15 * MILLISECOND);
    const [provisional] = b.node.endpoint.inspect().provisional;
    expect(provisional).toBeDefined();
    for (const [name, number] of forgedNumbers(0)) {
      expectInert(world, b, a.address, dataPacket(provisional!, number, randomBytes(rng, 33)), name);
    }
    run(world, SECOND);
    expect(world.hasConverged(a, b)).toBe(true);
    exchangeLetters(world, a, b);
  });

  it('changes nothing at a tunnel that has heard no packet yet', () => {
    const { world, a, b } = pair();
    world.connect(a, b);
    // The initiator has its session, and not one packet in it.
    run(world, 21 * MILLISECOND);
    const [session] = a.tunnelTo(b)!.inspect().sessions;
    expect(session?.isConfirmed).toBe(false);
    for (const [name, number] of forgedNumbers(0)) {
      expectInert(world, a, b.address, dataPacket(session!.localId, number, randomBytes(rng, 33)), name);
    }
    run(world, SECOND);
    exchangeLetters(world, a, b);
  });

  it('would end the tunnel if the window moved before the packet opened: these tests can fail', () => {
    const { world, a, b } = connected({ parts: { createReplayWindow: () => new HastyWindow() } });
    const session = b.tunnelTo(a)!.inspect().sessions[0]!.localId;
    feed(world, b, ELSEWHERE, dataPacket(session, u64(2 ** 53 - 2), randomBytes(rng, 40)));
    world.send(a, b);
    run(world, SECOND);
    expect(world.letters(a, b).received).toBe(0);
  });

  it('leaves the timers alone too', () => {
    const { world, a, b } = connected();
    const before = stateOf(b).nextTimeout;
    const session = b.tunnelTo(a)!.inspect().sessions[0]!.localId;
    run(world, SECOND);
    feed(world, b, a.address, dataPacket(session, u64(2 ** 53 - 1), randomBytes(rng, 40)));
    expect(stateOf(b).nextTimeout).toBe(before);
    expect(takeSent(world, b)).toEqual([]);
  });
});

/** The fault of R1: it remembers a number as soon as it is asked about it. */
class HastyWindow implements ReplayWindow {
  readonly #inner = new SlidingReplayWindow();

  get size(): number {
    return this.#inner.size;
  }

  check(packetNumber: number): boolean {
    if (!this.#inner.check(packetNumber)) return false;
    this.#inner.commit(packetNumber, instant(0));
    return true;
  }

  commit(): void {}

  trim(): void {}
}
