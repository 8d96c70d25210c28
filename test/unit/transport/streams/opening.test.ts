import { describe, expect, it } from 'vitest';
import { REFUSALS } from '../../../../transport/streams/constants.ts';
import { NodeBudget } from '../../../../transport/streams/flow-control.ts';
import type { StreamFrame } from '../../../../transport/streams/streams.ts';
import {
  accepted,
  creditFrame,
  dataFrame,
  deliver,
  End,
  KIB,
  kindsOf,
  MIB,
  openFrame,
  pattern,
  settle,
  stopFrame,
} from './lab.ts';

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
