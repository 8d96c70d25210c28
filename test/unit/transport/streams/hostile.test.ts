import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instant } from '../../../../base/time.ts';
import { CONTENTS_PER_PACKET_MAX } from '../../../../transport/recovery/contents-ring.ts';
import { CHUNK_SLACK_MAX, REFUSALS, WINDOW_HALF_LIFE } from '../../../../transport/streams/constants.ts';
import { NodeBudget } from '../../../../transport/streams/flow-control.ts';
import type { StreamFrame } from '../../../../transport/streams/streams.ts';
import type { Priority } from '../../../../wire/frames.ts';
import { accepted, dataFrame, End, isPattern, KIB, MIB, openFrame, pattern, RTT, resetFrame } from './lab.ts';

const BYTES = pattern(0, 64 * KIB);

const id = fc.oneof(fc.nat(12), fc.nat(300), fc.constantFrom(2_046, 2_048, 2 ** 53 - 2, 2 ** 53 - 1));
const offset = fc.oneof(
  fc.nat(50),
  fc.nat(300 * KIB),
  fc.constantFrom(256 * KIB - 1, 256 * KIB, MIB, 2 ** 32, 2 ** 53 - 70_000),
);
const limit = fc.oneof(fc.nat(2 * MIB), fc.constantFrom(2 ** 40, 2 ** 53 - 1));
const code = fc.nat(20);

/** Whatever decodes as a frame; most of it breaks some rule. */
const hostileFrame: fc.Arbitrary<StreamFrame> = fc.oneof(
  fc.record({
    kind: fc.constant('stream-open' as const),
    stream: id,
    sourcePort: fc.constantFrom(1, 2),
    destinationPort: fc.constant(80),
    priority: fc.constantFrom<Priority>(0, 1, 2),
  }),
  fc.record({
    kind: fc.constant('stream-data' as const),
    stream: id,
    offset,
    fin: fc.boolean(),
    data: fc.oneof(fc.nat(3), fc.nat(BYTES.length)).map((length) => BYTES.subarray(0, length)),
  }),
  fc.record({ kind: fc.constant('stream-reset' as const), stream: id, code, finalSize: offset }),
  fc.record({ kind: fc.constant('stream-stop' as const), stream: id, code }),
  fc.record({ kind: fc.constant('max-data' as const), limit }),
  fc.record({ kind: fc.constant('max-stream-data' as const), stream: id, limit }),
  fc.record({ kind: fc.constant('max-streams' as const), limit }),
);

describe('whatever an authenticated peer sends', () => {
  it('is answered with a code or taken, never with an exception, and memory stays within the credit', () => {
    const local = fc.record({ what: fc.nat(10), id: fc.nat(12), size: fc.nat(5_000) });
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 4, arbitrary: hostileFrame }, { weight: 1, arbitrary: local }), {
          maxLength: 200,
          size: 'max',
        }),
        fc.boolean(),
        fc.boolean(),
        (inputs, opensEven, isPoor) => {
          const budget = new NodeBudget(isPoor ? 0 : 8 * MIB);
          const end = new End({ opensEven, budget });
          const own = [end.open(), end.open()];
          for (const input of inputs) {
            // Time for windows to grow in, and at last for them to shrink in.
            const isPause = !('kind' in input) && input.what === 10;
            end.now = instant(end.now + (isPause ? WINDOW_HALF_LIFE : 1_000));
            end.streams.shrinkUnused(end.now);
            // The tunnel would have ended with a violation; going on shows that nothing was changed by it.
            if ('kind' in input) {
              const before = end.streams.inspect();
              const [outcome] = end.hear(input);
              if (outcome !== undefined && input.kind !== 'stream-open') {
                const after = end.streams.inspect();
                expect([after.received, after.taken, after.ready]).toEqual([
                  before.received,
                  before.taken,
                  before.ready,
                ]);
              }
            } else {
              act(end, input.what, input.id, input.size);
            }
            const { streams, received, taken, peerAlive, slack } = end.streams.inspect();
            expect(received - taken).toBeLessThanOrEqual(MIB + budget.used);
            expect(streams.length).toBeLessThanOrEqual(1_024 + own.length);
            expect(peerAlive).toBeLessThanOrEqual(1_024);
            expect(slack).toBeLessThanOrEqual(CHUNK_SLACK_MAX + 256 * streams.length);
            const held = streams.reduce((sum, stream) => sum + stream.memory, 0);
            const counted = streams.reduce((sum, stream) => sum + stream.received - stream.taken, 0);
            expect(held).toBeLessThanOrEqual(2 * (counted + slack));
          }
          end.streams.end();
          expect(budget.used).toBe(0);
        },
      ),
      { seed: 7, numRuns: 300 },
    );
  });

  it('may be single bytes out of order on every stream: what they cost stays near the credit they use', () => {
    const end = new End({ opensEven: false });
    let used = 0;
    for (let stream = 0; stream < 128; stream++) {
      end.hear({ kind: 'stream-open', stream: 2 * stream, sourcePort: 1, destinationPort: 2, priority: 1 });
      for (let i = 1; i <= 300; i++) {
        const at = 2 * i;
        end.hear({ kind: 'stream-data', stream: 2 * stream, offset: at, fin: false, data: BYTES.subarray(0, 1) });
      }
      used += 513;
    }
    const { streams } = end.streams.inspect();
    expect(Math.max(...streams.map((stream) => stream.ranges))).toBe(256);
    expect(streams.reduce((sum, stream) => sum + stream.memory, 0)).toBeLessThan(2 * used + 128 * KIB);
  });
});

describe('a peer that opens as many streams as it may', () => {
  const COUNT = 1_000;

  it('and is refused all of them is told so in packets of no more than a thousand things, however large they are', () => {
    const end = new End({ opensEven: false });
    for (let number = 0; number < COUNT; number++) {
      end.hear(openFrame(2 * number));
      end.streams.refuse(2 * number, 10);
    }
    const packets = end.sendAll(60_000);
    for (const { contents } of packets) expect(contents.count).toBeLessThanOrEqual(CONTENTS_PER_PACKET_MAX);
    // And nothing is left out.
    const frames = packets.flatMap((packet) => packet.frames);
    for (const kind of ['stream-reset', 'stream-stop']) {
      expect(frames.filter((frame) => frame.kind === kind)).toHaveLength(COUNT);
    }
  });

  it('and has a byte to send on each is told no more than that either', () => {
    const end = new End({ opensEven: true });
    end.hear({ kind: 'max-streams', limit: 2 * COUNT });
    for (let number = 0; number < 2 * COUNT; number++) end.streams.write(end.open(), BYTES.subarray(0, 1));
    const packets = end.sendAll(60_000);
    for (const { contents } of packets) expect(contents.count).toBeLessThanOrEqual(CONTENTS_PER_PACKET_MAX);
    const bytes = packets.flatMap(({ frames }) => frames).filter((frame) => frame.kind === 'stream-data');
    expect(bytes).toHaveLength(2 * COUNT);
  });

  it('and leaves a byte on each after much was read holds a mebibyte beyond what credit counts, and gives it back', () => {
    const end = new End({ opensEven: false });
    for (let number = 0; number < COUNT; number++) {
      const id_ = accepted(end, 2 * number);
      end.hear(dataFrame(id_, 0, BYTES.subarray(0, 32 * KIB)));
      expect(end.read(id_)).toHaveLength(32 * KIB);
      expect(end.hear(dataFrame(id_, 32 * KIB, BYTES.subarray(0, 1)))).toEqual([undefined]);
    }
    const { slack, received, taken } = end.streams.inspect();
    expect(received - taken).toBe(COUNT);
    expect(slack).toBeGreaterThan(CHUNK_SLACK_MAX / 2);
    expect(slack).toBeLessThanOrEqual(CHUNK_SLACK_MAX + 256 * COUNT);
    // Whatever ends a stream's bytes ends its slack: a read, a reset, a stop.
    for (let number = 0; number < COUNT; number++) {
      const id_ = 2 * number;
      if (number % 3 === 0) expect(end.read(id_)).toHaveLength(1);
      else if (number % 3 === 1) end.hear(resetFrame(id_, 32 * KIB + 1));
      else end.streams.stop(id_, 0);
    }
    expect(end.streams.inspect().slack).toBe(0);
  });

  it('and tears a hole into each does not make them keep what was read before it', () => {
    const end = new End({ opensEven: false });
    for (let number = 0; number < COUNT; number++) {
      const id_ = accepted(end, 2 * number);
      end.hear(dataFrame(id_, 32 * KIB - 1, BYTES.subarray(0, 1)), dataFrame(id_, 0, BYTES.subarray(0, 32 * KIB - 2)));
      expect(end.read(id_)).toHaveLength(32 * KIB - 2);
    }
    const { streams, slack } = end.streams.inspect();
    expect(streams.reduce((sum, stream) => sum + stream.memory, 0)).toBeLessThanOrEqual(2 * (2 * COUNT + slack));
    // The bytes beyond the hole are still there.
    end.hear(dataFrame(0, 32 * KIB - 2, BYTES.subarray(0, 1)));
    expect(end.read(0)).toEqual(Uint8Array.of(BYTES[0]!, BYTES[0]!));
  });
});

describe('a peer whose windows were large once', () => {
  /** Stream 0 was fast, and so much may still be sent on it; then the tunnel was idle, and its windows are the first ones again. */
  function idle(budget: NodeBudget): { end: End; sent: number; credit: number } {
    const end = new End({ opensEven: false, budget });
    const stream = accepted(end, 0);
    let sent = 0;
    for (let round = 0; round < 100; round++) {
      end.now = instant(end.now + RTT);
      // As far as the budget lets it grow.
      const { receiveLimit } = end.state(stream)!;
      for (; sent < receiveLimit; sent += BYTES.length) {
        end.hear(dataFrame(stream, sent, BYTES.subarray(0, Math.min(BYTES.length, receiveLimit - sent))));
        end.streams.read(stream);
        end.streams.read(stream);
      }
      sent = receiveLimit;
    }
    expect(end.state(stream)!.window).toBe(16 * MIB);
    for (let minute = 1; minute <= 10; minute++) {
      end.now = instant(end.now + WINDOW_HALF_LIFE);
      end.streams.shrinkUnused(end.now);
    }
    const { window, receiveLimit } = end.state(stream)!;
    expect([window, end.streams.inspect().window, budget.used]).toEqual([256 * KIB, MIB, 0]);
    return { end, sent, credit: receiveLimit - sent };
  }

  it('may use its old credit, for which they grow again', () => {
    const budget = new NodeBudget(64 * MIB);
    const { end, sent, credit } = idle(budget);
    for (let offset = 0; offset < credit; offset += BYTES.length) {
      const data = BYTES.subarray(0, Math.min(BYTES.length, credit - offset));
      expect(end.hear(dataFrame(0, sent + offset, data))).toEqual([undefined]);
    }
    const { window, ready } = end.state(0)!;
    expect([window, ready]).toEqual([16 * MIB, credit]);
    expect(end.read(0)).toHaveLength(credit);
  });

  it('is not acknowledged what the node has no memory for, loses no byte by it, and leaves its other streams theirs', () => {
    const budget = new NodeBudget(64 * MIB);
    const { end, sent, credit } = idle(budget);
    while (budget.take(MIB));
    budget.takeUpTo(MIB);
    const lent = budget.used;
    let taken = 0;
    const more = (): StreamFrame =>
      dataFrame(0, sent + taken, BYTES.subarray(0, Math.min(BYTES.length, credit - taken)));
    while (taken < credit && end.hear(more())[0] === undefined) taken += BYTES.length;
    const before = end.streams.inspect();
    expect(taken).toBeLessThanOrEqual(MIB + budget.used - lent);
    expect(taken).toBeGreaterThanOrEqual(256 * KIB);
    expect(end.hear(more())).toEqual(['not-taken']);
    expect(end.streams.inspect()).toEqual(before);
    accepted(end, 2);
    expect(end.hear(dataFrame(2, 0, BYTES))).toEqual([undefined]);
    // What lies there already may come again, and what its reader takes makes room for as much.
    expect(end.hear(dataFrame(0, sent, BYTES))).toEqual([undefined]);
    const first = end.read(0);
    expect([first.length, isPattern(first.subarray(0, BYTES.length), 0)]).toEqual([taken, true]);
    expect(end.hear(more())).toEqual([undefined]);
  });

  it('cannot stop a stream whose reader has left, nor end one, by old credit', () => {
    const budget = new NodeBudget(64 * MIB);
    const { end, sent, credit } = idle(budget);
    while (budget.take(MIB));
    end.streams.stop(0, 1);
    expect(end.hear(dataFrame(0, sent + credit - BYTES.length, BYTES))).toEqual([undefined]);
    expect(end.hear(resetFrame(0, sent + credit))).toEqual([undefined]);
  });
});

describe('a path that loses every other packet', () => {
  it('is survived, although what is out of order is bounded: refused packets go again', () => {
    const a = new End();
    const b = new End({ opensEven: false });
    const id_ = a.open();
    const total = 200 * KIB;
    a.streams.write(id_, pattern(0, total));
    a.streams.finish(id_);
    let refused = 0;
    let round = 0;
    for (; round < 40 && b.state(id_)?.receiving !== 'data-recvd'; round++) {
      a.sendAll(100).forEach((packet, index) => {
        if (index % 2 === 0 && round < 3) {
          a.lose(packet);
          return;
        }
        const outcomes = b.hear(...(packet.frames as StreamFrame[]));
        expect(outcomes.every((outcome) => outcome === undefined || outcome === 'not-taken')).toBe(true);
        if (outcomes.includes('not-taken')) {
          refused++;
          a.lose(packet);
        } else {
          a.acknowledge(packet);
        }
      });
    }
    expect(refused).toBeGreaterThan(100);
    expect(round).toBeLessThan(10);
    b.streams.accept(id_);
    const bytes = b.read(id_);
    expect([bytes.length, isPattern(bytes, 0), a.state(id_)!.sending]).toEqual([total, true, 'data-recvd']);
  });
});

/** A local program at work, without sense. */
function act(end: End, what: number, which: number, size: number): void {
  const { streams } = end;
  switch (what) {
    case 0:
      streams.write(which, BYTES.subarray(0, size));
      return;
    case 1:
      streams.finish(which);
      return;
    case 2:
      streams.reset(which, size);
      return;
    case 3:
      streams.stop(which, size);
      return;
    case 4:
      streams.read(which);
      return;
    case 5:
      streams.accept(which);
      return;
    case 6:
      streams.refuse(which, size);
      return;
    case 7:
      for (const packet of end.sendAll()) end.acknowledge(packet);
      return;
    case 8:
      end.lose(...end.sendAll());
      return;
    default:
      end.events();
  }
}

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
