import { describe, expect, it } from 'vitest';
import { instant } from '../../../../base/time.ts';
import { NodeBudget } from '../../../../transport/streams/flow-control.ts';
import type { StreamFrame } from '../../../../transport/streams/streams.ts';
import type { Frame } from '../../../../wire/frames.ts';
import {
  accepted,
  connected,
  creditFrame,
  dataFrame,
  deliver,
  End,
  isPattern,
  KIB,
  kindsOf,
  MIB,
  openFrame,
  pattern,
  RTT,
  settle,
} from './lab.ts';

const BIG = pattern(0, 64 * KIB);

describe('limits of streams', () => {
  it('rise as the peer uses them, and then as its streams end', () => {
    const b = new End({ opensEven: false });
    expect(b.say()).toEqual([]);
    b.hear(openFrame(0));
    expect(b.say()).toEqual([{ kind: 'max-streams', limit: 1_024 }]);
    for (let i = 1; i < 1_024; i++) b.hear(openFrame(2 * i));
    expect([b.say(), b.hear(openFrame(2_048))]).toEqual([[], ['STREAM_LIMIT']]);
    b.hear(dataFrame(0, 0, undefined, true));
    b.events();
    b.streams.accept(0);
    b.streams.finish(0);
    b.acknowledge(...b.sendAll());
    expect(b.kinds()).toEqual(['finished', 'acknowledged', 'closed']);
    expect(b.say()).toEqual([{ kind: 'max-streams', limit: 1_025 }]);
    expect(b.hear(openFrame(2_048))).toEqual([undefined]);
  });

  it('are told in few frames while streams come and go', () => {
    const a = new End();
    const b = new End({ opensEven: false });
    let told = 0;
    for (let i = 0; i < 3_000; i++) {
      const id = a.open();
      a.streams.finish(id);
      deliver(a, b);
      b.events();
      b.streams.accept(id);
      b.streams.finish(id);
      for (const packet of b.sendAll()) {
        a.hear(...(packet.frames as StreamFrame[]));
        told += packet.frames.filter((frame) => frame.kind === 'max-streams').length;
        b.acknowledge(packet);
      }
      a.events();
      b.events();
    }
    expect(told).toBeLessThan(10);
    expect([a.streams.inspect().streams.length, b.streams.inspect().peerAlive]).toEqual([0, 0]);
  });
});

describe('credit', () => {
  it('goes back in quarters of a window, not once per read', () => {
    const b = new End({ opensEven: false });
    accepted(b, 0);
    b.say();
    const frames: Frame[] = [];
    // A slow peer: the windows stay as they are.
    for (let offset = 0; offset < MIB; offset += KIB) {
      b.now = instant(offset * 1_000);
      b.hear(dataFrame(0, offset, pattern(offset, KIB)));
      b.read(0);
      frames.push(...b.say());
    }
    expect(frames.filter((frame) => frame.kind === 'max-stream-data').length).toBe(16);
    expect(frames.filter((frame) => frame.kind === 'max-data').length).toBe(4);
    expect(b.state(0)).toMatchObject({ receiveLimit: MIB + 256 * KIB, window: 256 * KIB });
  });

  it('does not go back for what nobody has read', () => {
    const b = new End({ opensEven: false });
    accepted(b, 0);
    b.say();
    b.hear(dataFrame(0, 0, pattern(0, 256 * KIB)));
    expect(kindsOf(b.say())).not.toContain('max-stream-data');
    expect(b.state(0)).toMatchObject({ receiveLimit: 256 * KIB });
  });

  it('that is lost goes again, as it is by then', () => {
    const b = new End({ opensEven: false });
    accepted(b, 0);
    b.acknowledge(...b.sendAll());
    const steps = [0, 1].map((i) => {
      b.now = instant((i + 1) * 10_000_000);
      b.hear(dataFrame(0, i * 256 * KIB, pattern(0, 256 * KIB)));
      b.read(0);
      return b.sendAll();
    });
    // The older one is of no interest any more.
    b.lose(...steps[0]!);
    expect(b.say()).toEqual([]);
    b.lose(...steps[1]!);
    expect(b.say()).toEqual([
      { kind: 'max-data', limit: MIB + 512 * KIB },
      { kind: 'max-stream-data', stream: 0, limit: 768 * KIB },
    ]);
  });

  it('for streams that is lost goes again', () => {
    const b = new End({ opensEven: false });
    b.hear(openFrame(0));
    const [packet] = b.sendAll();
    b.lose(packet!);
    expect(b.say()).toEqual([{ kind: 'max-streams', limit: 1_024 }]);
  });

  it('opens further for a reader that is fast for its round-trip time, up to 32 and 64 MiB', () => {
    const b = new End({ opensEven: false });
    for (const id of [0, 2]) {
      accepted(b, id);
      let offset = 0;
      while (offset < 200 * MIB) {
        b.now = instant(b.now + RTT);
        const { receiveLimit } = b.state(id)!;
        for (; offset < receiveLimit; offset += 64 * KIB) b.hear(dataFrame(id, offset, BIG));
        while (b.streams.read(id) !== undefined);
        b.say();
      }
      expect(b.state(id)!.window).toBe(32 * MIB);
      expect(b.streams.inspect().window).toBe(64 * MIB);
      expect(b.budget.used).toBe(63 * MIB);
      // What the stream had grown by is free for the next one when it has ended.
      b.hear(dataFrame(id, offset, undefined, true));
      b.streams.finish(id);
      b.acknowledge(...b.sendAll());
      expect(b.kinds()).toContain('closed');
    }
    b.streams.end();
    expect(b.budget.used).toBe(0);
  });

  it('stays as it is for a reader that is slow for its round-trip time', () => {
    const b = new End({ opensEven: false });
    accepted(b, 0);
    for (let offset = 0; offset < 10 * MIB; offset += 64 * KIB) {
      // 64 KiB in a little more than a round trip: a quarter of the window.
      b.now = instant(b.now + RTT + 1);
      b.hear(dataFrame(0, offset, BIG));
      b.read(0);
    }
    expect([b.state(0)!.window, b.streams.inspect().window]).toEqual([256 * KIB, MIB]);
  });

  it('of a stream or the tunnel that shrinks is ignored', () => {
    const a = new End();
    const id = a.open();
    a.hear(creditFrame(id, 10), { kind: 'max-data', limit: 10 }, { kind: 'max-streams', limit: 1 });
    expect(a.state(id)!.sendLimit).toBe(256 * KIB);
    expect(a.streams.inspect()).toMatchObject({ sendLimit: MIB, openLimit: 128 });
  });

  it('of the tunnel holds back new bytes, and nothing else', () => {
    const a = new End();
    const ids = [0, 1, 2, 3, 4].map(() => a.open());
    for (const id of ids) a.streams.write(id, pattern(0, 256 * KIB));
    const packets = a.sendAll();
    expect([a.streams.inspect().sent, a.streams.wantsToSend]).toEqual([MIB, false]);
    const [lost] = packets.splice(100, 1);
    a.lose(lost!);
    expect(a.streams.wantsToSend).toBe(true);
    expect(kindsOf(a.say())).toContain('stream-data');
    expect(a.streams.wantsToSend).toBe(false);
    a.hear({ kind: 'max-data', limit: MIB + 10 });
    expect(a.streams.wantsToSend).toBe(true);
    a.sendAll();
    expect(a.streams.inspect().sent).toBe(MIB + 10);
  });
});

describe('a stalled reader', () => {
  it.each([1, 4, 16, 63])('does not starve its neighbours, be there %i of them', (stalled) => {
    const b = new End({ opensEven: false });
    const neighbour = 2 * stalled;
    for (let i = 0; i <= stalled; i++) accepted(b, 2 * i);
    b.acknowledge(...b.sendAll());
    for (let i = 0; i < stalled; i++) expect(b.hear(dataFrame(2 * i, 0, pattern(0, 256 * KIB)))).toEqual([undefined]);
    // What the peer knows is all that counts.
    let limit = MIB;
    let used = stalled * 256 * KIB;
    let streamLimit = 256 * KIB;
    let offset = 0;
    for (let round = 0; round < 200; round++) {
      for (const frame of b.say()) {
        if (frame.kind === 'max-data') limit = frame.limit;
        if (frame.kind === 'max-stream-data' && frame.stream === neighbour) streamLimit = frame.limit;
      }
      const bytes = Math.min(limit - used, streamLimit - offset, 16 * KIB);
      expect(bytes).toBeGreaterThan(0);
      expect(b.hear(dataFrame(neighbour, offset, pattern(offset, bytes)))).toEqual([undefined]);
      offset += bytes;
      used += bytes;
      while (b.streams.read(neighbour) !== undefined);
    }
    expect(offset).toBe(200 * 16 * KIB);
  });

  it('that was fast before leaves a quarter of the largest window', () => {
    const b = new End({ opensEven: false });
    const offsets = [0, 0, 0, 0];
    for (let i = 0; i < 4; i++) accepted(b, 2 * i);
    const fill = (i: number, reads: boolean): void => {
      const limit = b.state(2 * i)!.receiveLimit;
      while (offsets[i]! < limit) {
        const bytes = Math.min(
          64 * KIB,
          limit - offsets[i]!,
          b.streams.inspect().receiveLimit - b.streams.inspect().received,
        );
        if (bytes <= 0) return;
        b.hear(dataFrame(2 * i, offsets[i]!, BIG.subarray(0, bytes)));
        offsets[i]! += bytes;
        if (reads) while (b.streams.read(2 * i) !== undefined);
      }
    };
    for (let round = 0; round < 60; round++) {
      b.now = instant(b.now + RTT);
      for (let i = 0; i < 3; i++) fill(i, true);
      b.say();
    }
    for (let i = 0; i < 3; i++) fill(i, false);
    const { receiveLimit, received, window, ready } = b.streams.inspect();
    expect(window).toBe(64 * MIB);
    expect(ready).toBeGreaterThan(30 * MIB);
    expect(receiveLimit - received).toBeGreaterThanOrEqual(15 * MIB);
  });

  it('is no longer in the way once the node has something to lend again', () => {
    const budget = new NodeBudget(8 * MIB);
    const b = new End({ opensEven: false, budget });
    while (budget.take(1));
    const lent = budget.used;
    for (let i = 0; i < 4; i++) {
      accepted(b, 2 * i);
      b.hear(dataFrame(2 * i, 0, pattern(0, 256 * KIB)));
    }
    expect(kindsOf(b.say())).not.toContain('max-data');
    budget.giveBack(lent);
    expect(b.say()).toEqual([{ kind: 'max-data', limit: 2 * MIB }]);
  });

  it('resumes exactly after an hour', () => {
    const { a, b, id } = connected();
    const total = 700 * KIB;
    let written = 0;
    const more = (): void => {
      const taken = a.streams.write(id, pattern(written, total - written));
      if (taken !== 'ended') written += taken;
      if (written === total) a.streams.finish(id);
    };
    more();
    settle(a, b);
    more();
    settle(a, b);
    expect(b.state(id)!.ready).toBe(256 * KIB);
    b.now = a.now = instant(3_600_000_000);
    const parts: Uint8Array[] = [];
    for (let i = 0; i < 20; i++) {
      parts.push(b.read(id));
      settle(a, b);
      more();
    }
    const joined = new Uint8Array(total);
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    expect([at, isPattern(joined, 0), b.state(id)!.receiving]).toEqual([total, true, 'data-read']);
  });
});
