import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { MILLISECOND } from '../../base/time.ts';
import type { StreamsState } from '../../transport/streams/streams.ts';
import type { Frame } from '../../wire/frames.ts';
import { bytesAt, Life } from './authenticated-peer.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What the process really holds, not what anything counts. */
function held(): number {
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const KIB = 1_024;
const MIB = 1_024 * KIB;
const STREAMS = 1_000;

const idOf = (number: number): number => 2 * number + 1;

function open(number: number, port = 80): Frame {
  return { kind: 'stream-open', stream: idOf(number), sourcePort: 1, destinationPort: port, priority: 1 };
}

function data(number: number, offset: number, length: number): Frame {
  return { kind: 'stream-data', stream: idOf(number), offset, fin: false, data: bytesAt(offset, length) };
}

/** A life with that many streams, each taken by a program that reads only when told. */
function withStreams(count: number): Life {
  const life = new Life({ seed: 1 });
  life.endpoint.listen(80, 2 * STREAMS);
  for (let number = 0; number < count; number++) {
    life.say(open(number), life.judge.ackOfAll);
    life.endpoint.acceptStream(life.key, idOf(number), 80, life.now);
    if (number % 50 === 0) life.pass(MILLISECOND);
  }
  while (life.endpoint.pollStreamEvent() !== undefined);
  return life;
}

function read(life: Life, number: number): number {
  let length = 0;
  for (;;) {
    const bytes = life.endpoint.readStream(life.key, idOf(number), life.now);
    if (bytes === undefined) return length;
    length += bytes.length;
  }
}

function streamsOf(life: Life): StreamsState {
  expect(life.isOpen).toBe(true);
  return life.tunnel!.streams.inspect();
}

/** Bytes of credit that are in use. */
function used(life: Life): number {
  const { received, taken } = streamsOf(life);
  return received - taken;
}

// What is compiled, and what grows once, is there before anything is measured.
withStreams(100);

describe('what an authenticated peer makes a node hold', () => {
  it('for one byte on each of a thousand streams is half a kibibyte a stream, beside the stream itself', () => {
    // Three times: what is compiled meanwhile counts once.
    const growths = [1, 2, 3].map(() => {
      const life = withStreams(STREAMS);
      const before = held();
      for (let number = 0; number < STREAMS; number++) life.say(data(number, 0, 1));
      expect(used(life)).toBe(STREAMS);
      return (held() - before) / STREAMS;
    });
    expect(Math.min(...growths)).toBeLessThan(KIB);
  });

  it('for one byte that is left on each of a thousand streams after 32 KiB were read is two mebibytes, not 32', () => {
    const life = withStreams(STREAMS);
    const before = held();
    for (let number = 0; number < STREAMS; number++) {
      for (let offset = 0; offset < 32 * KIB; offset += 8 * KIB) life.say(data(number, offset, 8 * KIB));
      expect(read(life, number)).toBe(32 * KIB);
      life.pass(MILLISECOND);
      life.say(data(number, 32 * KIB, 1), life.judge.ackOfAll);
    }
    expect(used(life)).toBe(STREAMS);
    expect(held() - before).toBeLessThan(4 * MIB);
  });

  it('for one byte behind a hole on each of a thousand streams is the same, although all before the hole was read', () => {
    const life = withStreams(STREAMS);
    const before = held();
    for (let number = 0; number < STREAMS; number++) {
      life.say(data(number, 32 * KIB - 1, 1), data(number, 0, 32 * KIB - 2));
      expect(read(life, number)).toBe(32 * KIB - 2);
      life.pass(MILLISECOND);
      life.say(life.judge.ackOfAll);
    }
    expect(used(life)).toBe(2 * STREAMS);
    expect(held() - before).toBeLessThan(4 * MIB);
  });

  it('for 256 single bytes with gaps on each of a thousand streams is some eight bytes a range, beside the bytes', () => {
    const life = withStreams(STREAMS);
    const before = held();
    for (let number = 0; number < STREAMS; number++) {
      life.say(...Array.from({ length: 256 }, (_, i) => data(number, 2 * i + 1, 1)));
    }
    expect(Math.max(...streamsOf(life).streams.map(({ ranges }) => ranges))).toBe(256);
    expect((held() - before - used(life)) / STREAMS).toBeLessThan(9 * KIB);
  });

  it('for single bytes a kibibyte apart, as far as credit goes, is not much more than the credit', () => {
    const life = withStreams(4);
    const before = held();
    for (let number = 0; number < 4; number++) {
      for (let i = 0; i < 255; i++) life.say(data(number, KIB * i + KIB - 1, 1));
    }
    expect(used(life)).toBe(4 * 255 * KIB);
    expect(held() - before).toBeLessThan(1.6 * used(life));
  });

  it('for a thousand refused streams that it never ends is less than two kibibytes each', () => {
    const life = new Life({ seed: 1 });
    const before = held();
    for (let number = 0; number < STREAMS; number++) life.say(open(number, 9));
    expect(streamsOf(life).streams).toHaveLength(STREAMS);
    expect((held() - before) / STREAMS).toBeLessThan(2 * KIB);
  });

  it('is nothing for streams that it opens, resets and stops in a loop', () => {
    const life = withStreams(0);
    const turn = (number: number): void => {
      expect(number).toBeLessThan(life.judge.given.streams);
      life.say(
        open(number),
        data(number, 0, 1),
        { kind: 'stream-reset', stream: idOf(number), code: 0, finalSize: 1 },
        { kind: 'stream-stop', stream: idOf(number), code: 0 },
      );
      life.endpoint.acceptStream(life.key, idOf(number), 80, life.now);
      life.pass(MILLISECOND);
      life.say(life.judge.ackOfAll);
      while (life.endpoint.pollStreamEvent() !== undefined);
      life.judge.forget(idOf(number));
    };
    for (let number = 0; number < 1_000; number++) turn(number);
    const before = held();
    for (let number = 1_000; number < 3_000; number++) turn(number);
    expect(streamsOf(life).streams.length).toBeLessThan(10);
    // The judge remembers the numbers of packets: tens of bytes for each turn.
    expect((held() - before) / 2_000).toBeLessThan(400);
  });
});
