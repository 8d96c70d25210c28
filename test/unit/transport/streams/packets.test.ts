import { describe, expect, it } from 'vitest';
import { accepted, dataFrame, deliver, End, isPattern, KIB, kindsOf, pattern } from './lab.ts';

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
