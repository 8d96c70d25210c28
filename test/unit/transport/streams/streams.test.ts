import { describe, expect, it } from 'vitest';
import { concat } from '../../../../base/bytes.ts';
import { instant } from '../../../../base/time.ts';
import { REFUSALS } from '../../../../transport/streams/constants.ts';
import { NodeBudget } from '../../../../transport/streams/flow-control.ts';
import type { StreamFrame } from '../../../../transport/streams/streams.ts';
import type { Frame, Priority } from '../../../../wire/frames.ts';
import {
  accepted,
  creditFrame,
  dataFrame,
  deliver,
  End,
  isPattern,
  KIB,
  MIB,
  openFrame,
  pattern,
  RTT,
  resetFrame,
  stopFrame,
} from './lab.ts';

function kindsOf(frames: readonly Frame[]): string[] {
  return frames.map((frame) => frame.kind);
}

/** Two ends that know of one stream, opened by the first and taken by the other. */
function connected(priority: Priority = 1): { a: End; b: End; id: number } {
  const a = new End();
  const b = new End({ opensEven: false });
  const id = a.open(priority);
  deliver(a, b);
  b.events();
  b.streams.accept(id);
  deliver(b, a);
  expect(a.kinds()).toEqual(['accepted']);
  return { a, b, id };
}

/** Frames and events to and fro until nothing is left to say. */
function settle(a: End, b: End): void {
  while (deliver(a, b) + deliver(b, a) > 0);
}

describe('opening a stream', () => {
  it('uses even ids on the side with the lower key and odd ones on the other, in order', () => {
    const low = new End();
    const high = new End({ opensEven: false });
    expect([low.open(), low.open(), low.open()]).toEqual([0, 2, 4]);
    expect([high.open(), high.open()]).toEqual([1, 3]);
  });

  it('is said in the next packet, and data rides along', () => {
    const a = new End();
    const id = a.open(2);
    a.streams.write(id, pattern(0, 5));
    a.streams.finish(id);
    const packet = a.send()!;
    expect(packet.frames).toEqual([
      { kind: 'stream-open', stream: 0, sourcePort: 50_000, destinationPort: 80, priority: 2 },
      { kind: 'stream-data', stream: 0, offset: 0, fin: true, data: pattern(0, 5) },
    ]);
    const b = new End({ opensEven: false });
    b.hear(...(packet.frames as StreamFrame[]));
    expect(b.events()).toEqual([{ kind: 'opened', stream: 0, sourcePort: 50_000, destinationPort: 80, priority: 2 }]);
    b.streams.accept(0);
    expect(b.kinds()).toEqual(['readable']);
    expect(b.read(0)).toEqual(pattern(0, 5));
    expect(b.kinds()).toEqual(['finished']);
  });

  it('stands in every packet about the stream until one is acknowledged', () => {
    const a = new End();
    const id = a.open();
    a.streams.write(id, pattern(0, 5_000));
    const packets = a.sendAll();
    expect(packets.length).toBe(5);
    for (const packet of packets) expect(kindsOf(packet.frames)).toEqual(['stream-open', 'stream-data']);
    a.acknowledge(packets[3]!);
    a.streams.write(id, pattern(5_000, 10));
    expect(kindsOf(a.say())).toEqual(['stream-data']);
    a.lose(packets[0]!);
    expect(kindsOf(a.say())).toEqual(['stream-data']);
  });

  it('stands before a RESET and a STOP, too', () => {
    const a = new End();
    const id = a.open();
    const first = a.send()!;
    a.streams.reset(id, 1);
    expect(kindsOf(a.say())).toEqual(['stream-open', 'stream-reset']);
    a.streams.stop(id, 1);
    expect(kindsOf(a.say())).toEqual(['stream-open', 'stream-stop']);
    a.lose(first);
    expect(kindsOf(a.say())).toEqual(['stream-open']);
  });

  it('is known to have arrived as soon as the peer speaks about the stream', () => {
    const a = new End();
    const id = a.open();
    a.streams.write(id, pattern(0, 10));
    a.sendAll();
    a.hear(creditFrame(id, 300 * KIB));
    a.streams.write(id, pattern(10, 10));
    expect(kindsOf(a.say())).toEqual(['stream-data']);
  });

  it('is said again where it was lost and nothing else is to be said', () => {
    const a = new End();
    a.open();
    const packet = a.send()!;
    expect(a.streams.wantsToSend).toBe(false);
    a.lose(packet);
    expect([a.streams.wantsToSend, kindsOf(a.say())]).toEqual([true, ['stream-open']]);
  });

  it('comes once to the application, however often it is said', () => {
    const b = new End({ opensEven: false });
    expect(b.hear(openFrame(0), openFrame(0), openFrame(0))).toEqual([undefined, undefined, undefined]);
    expect(b.kinds()).toEqual(['opened']);
    b.hear(openFrame(0));
    expect(b.kinds()).toEqual([]);
  });

  it('tells nothing else of a stream until it is accepted', () => {
    const b = new End({ opensEven: false });
    b.hear(openFrame(0), dataFrame(0, 0, pattern(0, 10), true), stopFrame(0, 4));
    expect(b.kinds()).toEqual(['opened']);
    expect(b.kinds()).toEqual([]);
    b.streams.accept(0);
    expect(b.events()).toEqual([
      { kind: 'readable', stream: 0 },
      { kind: 'stopped', stream: 0, code: 4 },
    ]);
  });

  it('may come out of order', () => {
    const b = new End({ opensEven: false });
    expect(b.hear(openFrame(4), dataFrame(4, 0, pattern(0, 3)))).toEqual([undefined, undefined]);
    expect(b.hear(dataFrame(2, 0, pattern(0, 3)))).toEqual(['STREAM_STATE']);
    expect(b.hear(openFrame(0), openFrame(2))).toEqual([undefined, undefined]);
    expect(b.events().map((event) => 'stream' in event && event.stream)).toEqual([4, 0, 2]);
  });
});

describe('a refused stream', () => {
  it('gets a RESET and a STOP with the reason, and is forgotten when the peer has ended its half', () => {
    const { a, b } = { a: new End(), b: new End({ opensEven: false }) };
    const id = a.open();
    a.streams.write(id, pattern(0, 100));
    deliver(a, b);
    expect(b.kinds()).toEqual(['opened']);
    b.streams.refuse(id, REFUSALS.NO_LISTENER);
    deliver(b, a);
    expect(a.events()).toEqual([
      { kind: 'reset', stream: id, code: REFUSALS.NO_LISTENER },
      { kind: 'stopped', stream: id, code: REFUSALS.NO_LISTENER },
    ]);
    expect(a.streams.write(id, pattern(100, 1))).toBe('ended');
    settle(a, b);
    expect(a.kinds()).toEqual(['closed']);
    expect([b.kinds(), a.streams.inspect().streams, b.streams.inspect().streams]).toEqual([[], [], []]);
    const { received, taken, ready } = b.streams.inspect();
    expect([received, taken, ready]).toEqual([100, 100, 0]);
  });

  it('is refused here where more are open than may be', () => {
    const b = new End({ opensEven: false, config: { peerStreamsMax: 2 } });
    b.hear(openFrame(0), openFrame(2), openFrame(4));
    expect(b.kinds()).toEqual(['opened', 'opened']);
    expect(b.say()).toEqual([
      { kind: 'stream-reset', stream: 4, code: REFUSALS.LIMIT, finalSize: 0 },
      { kind: 'stream-stop', stream: 4, code: REFUSALS.LIMIT },
    ]);
  });

  it('is refused where the node has nothing left and this tunnel holds more than its own', () => {
    const budget = new NodeBudget(4 * MIB);
    const b = new End({ opensEven: false, budget });
    for (let i = 0; i < 8; i++) {
      accepted(b, 2 * i);
      b.hear(dataFrame(2 * i, 0, pattern(0, 200 * KIB)));
    }
    // Readers stall, and the allowance is lent until little is left.
    expect(budget.used).toBeGreaterThan(0);
    while (!budget.isExhausted && budget.take(KIB));
    b.hear(openFrame(100));
    expect(b.events().some((event) => event.kind === 'opened')).toBe(false);
    expect(kindsOf(b.say()).filter((kind) => kind === 'stream-reset').length).toBe(1);
    // Another tunnel that keeps to its own is not made to suffer for it.
    const other = new End({ opensEven: false, budget });
    other.hear(openFrame(0));
    expect(other.kinds()).toEqual(['opened']);
  });
});

describe('violations end the tunnel', () => {
  it.each<[string, StreamFrame[], string]>([
    ['opening a stream of ours', [openFrame(1)], 'STREAM_STATE'],
    ['another OPEN for the same stream', [openFrame(0), openFrame(0, 2)], 'STREAM_STATE'],
    ['data without an OPEN', [dataFrame(0, 0)], 'STREAM_STATE'],
    ['a RESET without an OPEN', [resetFrame(0, 0)], 'STREAM_STATE'],
    ['a STOP without an OPEN', [stopFrame(0)], 'STREAM_STATE'],
    ['credit without an OPEN', [creditFrame(0, 1)], 'STREAM_STATE'],
    ['data on a stream of ours that we did not open', [dataFrame(1, 0)], 'STREAM_STATE'],
    ['a STOP on a stream of ours that we did not open', [stopFrame(1)], 'STREAM_STATE'],
    ['the 129th stream', [openFrame(2 * 128)], 'STREAM_LIMIT'],
    ['data on the 129th stream', [dataFrame(2 * 128, 0)], 'STREAM_LIMIT'],
    ['a byte beyond the stream', [openFrame(0), dataFrame(0, 256 * KIB, pattern(0, 1))], 'FLOW_CONTROL'],
    ['a RESET beyond the stream', [openFrame(0), resetFrame(0, 256 * KIB + 1)], 'FLOW_CONTROL'],
    [
      'data beyond a FIN',
      [openFrame(0), dataFrame(0, 5, undefined, true), dataFrame(0, 5, pattern(5, 1))],
      'FINAL_SIZE',
    ],
    ['another RESET', [openFrame(0), resetFrame(0, 5), resetFrame(0, 6)], 'FINAL_SIZE'],
  ])('%s', (_, frames, code) => {
    const b = new End({ opensEven: false });
    const outcomes = b.hear(...frames);
    expect(outcomes.pop()).toBe(code);
    expect(outcomes.every((outcome) => outcome === undefined)).toBe(true);
  });

  it('the 128th stream is none', () => {
    expect(new End({ opensEven: false }).hear(openFrame(2 * 127))).toEqual([undefined]);
  });

  it('a byte beyond the tunnel, though not beyond its stream', () => {
    const b = new End({ opensEven: false });
    for (let i = 0; i < 5; i++) b.hear(openFrame(2 * i));
    const last = (i: number): StreamFrame => dataFrame(2 * i, 256 * KIB - 1, pattern(0, 1));
    expect(b.hear(last(0), last(1), last(2), last(3))).toEqual([undefined, undefined, undefined, undefined]);
    expect(b.streams.inspect().received).toBe(MIB);
    expect(b.hear(dataFrame(8, 0))).toEqual([undefined]);
    expect(b.hear(dataFrame(8, 0, pattern(0, 1)))).toEqual(['FLOW_CONTROL']);
    expect(b.hear(resetFrame(8, 1))).toEqual(['FLOW_CONTROL']);
  });
});

describe('the end of a stream', () => {
  it('comes for both sides when both have finished, read and acknowledged', () => {
    const { a, b, id } = connected();
    a.streams.write(id, pattern(0, 3_000));
    a.streams.finish(id);
    deliver(a, b);
    expect(b.kinds()).toEqual(['readable']);
    expect(isPattern(b.read(id), 0)).toBe(true);
    expect(b.kinds()).toEqual(['finished']);
    expect(a.kinds()).toEqual(['acknowledged']);
    // Half closed: the other direction goes on as long as it likes.
    b.streams.write(id, pattern(0, 10));
    deliver(b, a);
    expect(a.read(id)).toEqual(pattern(0, 10));
    b.streams.finish(id);
    settle(a, b);
    expect(a.events().map((event) => event.kind)).toEqual(['readable', 'finished', 'closed']);
    expect(b.kinds()).toEqual(['acknowledged', 'closed']);
    expect([a.streams.inspect().streams, b.streams.inspect().streams]).toEqual([[], []]);
  });

  it('comes for all with their tunnel, which hands over what its readers had not taken', () => {
    const { a, b, id } = connected();
    const [whole, refused, told] = [a.open(), a.open(), a.open()];
    a.streams.write(id, pattern(0, 3_000));
    for (const other of [whole, refused, told]) a.streams.write(other, pattern(0, 10));
    for (const other of [whole, refused, told]) a.streams.finish(other);
    deliver(a, b);
    for (const other of [whole, told]) b.streams.accept(other);
    b.read(told);
    b.events();
    const unread = b.streams.end();
    expect(unread.map(({ stream, isWhole }) => ({ stream, isWhole }))).toEqual([
      { stream: id, isWhole: false },
      { stream: whole, isWhole: true },
    ]);
    expect(unread.map(({ data }) => concat(...data))).toEqual([pattern(0, 3_000), pattern(0, 10)]);
    expect(b.streams.inspect()).toMatchObject({ streams: [], ready: 0, slack: 0 });
    expect(b.streams.inspect().taken).toBe(b.streams.inspect().received);
  });

  it('survives the loss of the last FIN', () => {
    const { a, b, id } = connected();
    a.streams.finish(id);
    b.streams.finish(id);
    const lost = a.sendAll();
    deliver(b, a);
    expect(a.kinds()).toEqual(['finished']);
    expect(b.kinds()).toEqual(['acknowledged']);
    a.lose(...lost);
    deliver(a, b);
    expect(a.kinds()).toEqual(['acknowledged', 'closed']);
    expect(b.kinds()).toEqual(['finished', 'closed']);
  });

  it('may be a RESET that crosses data', () => {
    const { a, b, id } = connected();
    a.streams.write(id, pattern(0, 2_000));
    const [first, second] = a.sendAll();
    a.streams.reset(id, 5);
    const [reset] = a.sendAll();
    b.hear(
      ...(first!.frames as StreamFrame[]),
      ...(reset!.frames as StreamFrame[]),
      ...(second!.frames as StreamFrame[]),
    );
    expect(b.events()).toEqual([{ kind: 'reset', stream: id, code: 5 }]);
    expect(b.streams.read(id)).toBeUndefined();
    expect(b.state(id)).toMatchObject({ receiving: 'reset-read', received: 2_000, taken: 2_000 });
    a.acknowledge(first!, second!, reset!);
    expect(a.state(id)).toMatchObject({ sending: 'reset-recvd' });
  });

  it('may be a RESET of both halves from both sides at once', () => {
    const { a, b, id } = connected();
    for (const end of [a, b]) {
      end.streams.write(id, pattern(0, 2_000));
      end.streams.reset(id, 5);
      end.streams.stop(id, 6);
    }
    settle(a, b);
    expect([a.kinds(), b.kinds()]).toEqual([['closed'], ['closed']]);
    expect(a.streams.inspect()).toMatchObject({ streams: [], received: 0, taken: 0 });
  });

  it('is answered to a STOP with a RESET of the same code', () => {
    const { a, b, id } = connected();
    a.streams.write(id, pattern(0, 100));
    deliver(a, b);
    b.streams.stop(id, 9);
    expect([b.kinds(), b.streams.read(id)]).toEqual([[], undefined]);
    deliver(b, a);
    expect(a.events()).toEqual([{ kind: 'stopped', stream: id, code: 9 }]);
    expect(a.say()).toEqual([{ kind: 'stream-reset', stream: id, code: 9, finalSize: 100 }]);
  });

  it('is left alone by a STOP that comes when everything was acknowledged', () => {
    const { a, b, id } = connected();
    a.streams.finish(id);
    deliver(a, b);
    a.events();
    a.hear(stopFrame(id));
    expect([a.kinds(), a.say()]).toEqual([[], []]);
  });

  it('is not disturbed by frames that come late', () => {
    const { a, b, id } = connected();
    a.streams.finish(id);
    b.streams.finish(id);
    settle(a, b);
    a.events();
    b.events();
    const late = [
      openFrame(id),
      dataFrame(id, 0, pattern(0, 10)),
      resetFrame(id, 900_000),
      stopFrame(id),
      creditFrame(id, MIB),
    ];
    expect(b.hear(...late)).toEqual(late.map(() => undefined));
    expect(a.hear(...late.slice(1))).toEqual(late.slice(1).map(() => undefined));
    expect([b.streams.inspect().streams, b.kinds(), b.say()]).toEqual([[], [], []]);
  });

  it('forgets a stream only when the application has heard of it', () => {
    const { a, b, id } = connected();
    a.streams.finish(id);
    b.streams.finish(id);
    settle(a, b);
    expect(a.streams.inspect().streams.length).toBe(1);
    expect(a.kinds()).toEqual(['finished', 'acknowledged', 'closed']);
    expect(a.streams.inspect().streams.length).toBe(0);
    // And then every call finds nothing, which is no error.
    expect([a.streams.write(id, pattern(0, 1)), a.streams.read(id)]).toEqual(['ended', undefined]);
    for (const call of ['finish', 'accept'] as const) a.streams[call](id);
    for (const call of ['reset', 'stop', 'refuse'] as const) a.streams[call](id, 1);
    a.streams.setPriority(id, 0);
    expect([a.kinds(), a.say()]).toEqual([[], []]);
  });
});

describe('events', () => {
  it('are flags, not a queue', () => {
    const b = new End({ opensEven: false });
    accepted(b, 0);
    for (let i = 0; i < 100; i++) b.hear(dataFrame(0, i, pattern(i, 1)));
    expect(b.kinds()).toEqual(['readable']);
    b.hear(dataFrame(0, 100, pattern(100, 1)));
    // Not read yet: the reader knows.
    expect(b.kinds()).toEqual([]);
    b.read(0);
    b.hear(dataFrame(0, 101, pattern(101, 1)));
    expect(b.kinds()).toEqual(['readable']);
  });

  it('never speak of reading after a reset', () => {
    const b = new End({ opensEven: false });
    accepted(b, 0);
    b.hear(dataFrame(0, 0, pattern(0, 10)), resetFrame(0, 10, 3));
    expect(b.events()).toEqual([{ kind: 'reset', stream: 0, code: 3 }]);
  });

  it('come in turn for all streams', () => {
    const b = new End({ opensEven: false });
    for (const id of [0, 2, 4]) accepted(b, id);
    b.hear(dataFrame(4, 0, pattern(0, 1)), dataFrame(0, 0, pattern(0, 1)), dataFrame(2, 0, pattern(0, 1)));
    expect(b.events().map((event) => 'stream' in event && event.stream)).toEqual([4, 0, 2]);
  });

  it('say when a full buffer has room again', () => {
    const { a, b, id } = connected();
    expect(a.streams.write(id, pattern(0, 300 * KIB))).toBe(256 * KIB);
    expect(a.kinds()).toEqual([]);
    deliver(a, b);
    expect(a.kinds()).toEqual(['writable']);
  });

  it('say when more streams may be opened, to whoever was refused one', () => {
    const a = new End();
    for (let i = 0; i < 128; i++) a.open();
    expect(a.streams.open({ source: 1, destination: 2 }, 1, a.now)).toBe('stream-limit');
    a.hear({ kind: 'max-streams', limit: 100 });
    expect(a.kinds()).toEqual([]);
    a.hear({ kind: 'max-streams', limit: 129 });
    expect(a.kinds()).toEqual(['streams-available']);
    expect(a.open()).toBe(256);
  });
});

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

describe('packets', () => {
  it('are filled by priority, strictly', () => {
    const a = new End();
    const bulk = a.open(2);
    const high = a.open(0);
    const normal = a.open(1);
    for (const id of [bulk, normal, high]) a.streams.write(id, pattern(0, 3_000));
    const order = a
      .say()
      .filter((frame) => frame.kind === 'stream-data')
      .map((frame) => frame.stream);
    expect(order).toEqual([...order].sort((x, y) => [high, normal, bulk].indexOf(x) - [high, normal, bulk].indexOf(y)));
    expect(new Set(order).size).toBe(3);
  });

  it('are shared in turn by streams of one priority', () => {
    const a = new End();
    const ids = Array.from({ length: 8 }, () => a.open());
    for (const id of ids) a.streams.write(id, pattern(0, 50_000));
    const sent = new Map<number, number>();
    for (let i = 0; i < 8 * 10; i++) {
      for (const frame of a.send()!.frames)
        if (frame.kind === 'stream-data') sent.set(frame.stream, (sent.get(frame.stream) ?? 0) + frame.data.length);
    }
    const shares = [...sent.values()];
    expect(Math.min(...shares) / Math.max(...shares)).toBeGreaterThan(0.85);
  });

  it('follow a priority that changes', () => {
    const a = new End();
    const [first, second] = [a.open(1), a.open(1)];
    for (const id of [first, second]) a.streams.write(id, pattern(0, 20_000));
    a.streams.setPriority(second, 0);
    a.streams.setPriority(first, 2);
    const order = a
      .say()
      .filter((frame) => frame.kind === 'stream-data')
      .map((frame) => frame.stream);
    expect(order.lastIndexOf(second)).toBeLessThan(order.indexOf(first));
    // The OPEN says what it said at first.
    expect(a.state(first)).toMatchObject({ priority: 2 });
  });

  it('carry lost bytes before new ones', () => {
    const a = new End();
    const id = a.open();
    a.streams.write(id, pattern(0, 10_000));
    const [first] = [a.send()!];
    a.send();
    a.lose(first);
    const frames = a.send()!.frames.filter((frame) => frame.kind === 'stream-data');
    expect(frames[0]).toMatchObject({ offset: 0 });
    expect(frames[0]!.kind === 'stream-data' && isPattern(frames[0]!.data, 0)).toBe(true);
  });

  it('are not wanted for an OPEN that has gone out with data, past what did not fit', () => {
    const a = new End();
    accepted(a, 1);
    a.acknowledge(...a.sendAll());
    a.hear(dataFrame(1, 0, pattern(0, 200 * KIB)));
    a.read(1);
    const id = a.open();
    a.streams.write(id, pattern(0, 3));
    // MAX_STREAM_DATA needs 17 bytes at its longest, the OPEN and the data together 14.
    expect(kindsOf(a.send(16)!.frames)).toEqual(['stream-open', 'stream-data']);
    a.hear(dataFrame(1, 200 * KIB, undefined, true));
    expect([a.streams.wantsToSend, a.say()]).toEqual([false, []]);
  });

  it('join small writes instead of one frame each', () => {
    const a = new End();
    const id = a.open();
    for (let i = 0; i < 2_000; i++) a.streams.write(id, pattern(i, 1));
    const frames = a.say().filter((frame) => frame.kind === 'stream-data');
    expect(frames.length).toBe(2);
  });

  it('hold many short streams at once', () => {
    const a = new End();
    const b = new End({ opensEven: false });
    for (let i = 0; i < 100; i++) {
      const id = a.open();
      a.streams.write(id, pattern(0, 10));
      a.streams.finish(id);
    }
    expect(deliver(a, b)).toBeLessThanOrEqual(4);
    expect(b.kinds().filter((kind) => kind === 'opened').length).toBe(100);
  });

  it('take something of everything with room for 64 bytes, and are left alone with less', () => {
    const a = new End();
    const id = a.open();
    a.streams.write(id, pattern(0, 500));
    expect(a.send(5)).toBeUndefined();
    expect(a.send(64)).toBeDefined();
    a.streams.reset(id, 3);
    a.streams.stop(id, 3);
    a.say(64);
    expect([a.streams.wantsToSend, a.send(64)]).toEqual([false, undefined]);
  });
});

describe('hostile peers', () => {
  it('fill 256 ranges with single bytes, and the next packet is to stay unacknowledged', () => {
    const b = new End({ opensEven: false });
    accepted(b, 0);
    for (let i = 1; i <= 256; i++) expect(b.hear(dataFrame(0, 2 * i, pattern(2 * i, 1)))).toEqual([undefined]);
    const before = b.streams.inspect();
    expect(b.hear(dataFrame(0, 1_000, pattern(1_000, 1), true))).toEqual(['not-taken']);
    expect(b.streams.inspect()).toEqual(before);
    // What fills a hole is taken, and then there is room again.
    expect(b.hear(dataFrame(0, 0, pattern(0, 4)))).toEqual([undefined]);
    expect(b.hear(dataFrame(0, 1_000, pattern(1_000, 1), true))).toEqual([undefined]);
  });

  it('open streams from the highest id down: what is missing is bounded by the limit', () => {
    const b = new End({ opensEven: false });
    for (let i = 127; i >= 0; i--) expect(b.hear(openFrame(2 * i))).toEqual([undefined]);
    expect(b.kinds().length).toBe(128);
    expect(b.streams.inspect().peerAlive).toBe(128);
  });

  it('open and reset without end, and leave nothing behind', () => {
    const b = new End({ opensEven: false });
    for (let i = 0; i < 5_000; i++) {
      const id = 2 * i;
      expect(b.hear(openFrame(id), dataFrame(id, 5, pattern(5, 5)), resetFrame(id, 20))).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
      b.events();
      b.streams.refuse(id, REFUSALS.BACKLOG_FULL);
      b.acknowledge(...b.sendAll());
    }
    expect(b.streams.inspect()).toMatchObject({ streams: [], peerAlive: 0, ready: 0 });
  });
});

const BIG = pattern(0, 64 * KIB);
