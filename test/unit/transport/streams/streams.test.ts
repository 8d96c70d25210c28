import { describe, expect, it } from 'vitest';
import { concat } from '../../../../base/bytes.ts';
import type { StreamFrame } from '../../../../transport/streams/streams.ts';
import {
  accepted,
  connected,
  creditFrame,
  dataFrame,
  deliver,
  End,
  isPattern,
  KIB,
  MIB,
  openFrame,
  pattern,
  resetFrame,
  settle,
  stopFrame,
} from './lab.ts';

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
