import { describe, it } from 'vitest';
import {
  ack,
  anyAck,
  close,
  datagram,
  type FrameSpec,
  maxData,
  maxStreamData,
  maxStreams,
  optional,
  padding,
  pathChallenge,
  pathResponse,
  ping,
  reset,
  stop,
  streamData,
  streamOpen,
} from './frames.ts';
import { at, Script, until } from './script.ts';

const byte = (offset: number): FrameSpec => streamData({ stream: 1, offset, length: 1 });

/**
 * RFC 9000 §13.2: when the endpoint acknowledges, and what it says. The round trip is 300 ms, so that one packet alone waits for all
 * of the 25 ms it may; and the peer has acknowledged the ACK of its packets 0 and 1.
 */
describe('acknowledgements', () => {
  it('one packet of data waits 25 ms for a second', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [byte(0)]);
    t.expectSilence(until(25));
    t.expectSend(at(25), [ack([[1, 3]], { delay: 25 })]);
  });

  it('the second packet of data is acknowledged at once, with the first', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [byte(0)]);
    t.recv(at(10), [byte(1)]);
    t.expectSend(at(10), [ack([[1, 4]], { delay: 0 })]);
    t.expectSilence(until(5_000));
  });

  it('of five packets every second is acknowledged at once and the last after 25 ms', () => {
    const t = Script.accepted({ rtt: 300 });
    for (let i = 0; i < 5; i++) {
      t.recv(at(i), [byte(i)]);
      if (i % 2 === 1) t.expectSend(at(i), [ack([[1, 3 + i]])]);
    }
    t.expectSend(at(29), [ack([[1, 7]], { delay: 25 })]);
  });

  it('packets that come in one read get one ACK', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recvTogether(
      at(0),
      [0, 1, 2, 3, 4, 5, 6, 7].map((offset) => [byte(offset)]),
    );
    t.expectSend(at(0), [ack([[1, 10]])]);
    t.expectSilence(until(5_000));
  });

  it('a packet after a gap is acknowledged at once, in two ranges', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [byte(1)], { number: 5 });
    t.expectSend(at(0), [
      ack([
        [1, 2],
        [5, 5],
      ]),
    ]);
  });

  it('each packet of a gap that comes late is acknowledged at once', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [byte(2)], { number: 5 });
    t.expectSend(at(0), [anyAck()]);
    t.recv(at(1), [byte(0)], { number: 3 });
    t.expectSend(at(1), [
      ack([
        [1, 3],
        [5, 5],
      ]),
    ]);
    t.recv(at(2), [byte(1)], { number: 4 });
    t.expectSend(at(2), [ack([[1, 5]])]);
  });

  it('the delay is that of the largest number, not of the newest packet', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [byte(2)], { number: 5 });
    t.expectSend(at(0), [anyAck()]);
    t.recv(at(7), [byte(0)], { number: 3 });
    t.expectSend(at(7), [
      ack(
        [
          [1, 3],
          [5, 5],
        ],
        { delay: 7 },
      ),
    ]);
  });

  const atOnce: readonly (readonly [string, FrameSpec])[] = [
    ['PING', ping()],
    ['STREAM_RESET', reset({ stream: 1, code: 1, finalSize: 0 })],
    ['STREAM_OPEN', streamOpen({ stream: 3 })],
    ['PATH_RESPONSE', pathResponse()],
  ];
  for (const [name, frame] of atOnce) {
    it(`a ${name} is acknowledged at once: its sender waits for it`, () => {
      const t = Script.accepted({ rtt: 300 });
      t.recv(at(0), [frame]);
      t.expectSend(at(0), [ack([[1, 3]])]);
      t.expectSilence(until(5_000));
    });
  }

  it('a STREAM_STOP is acknowledged at once, beside its answer', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [stop({ stream: 1, code: 7 })]);
    t.expectSend(at(0), [ack([[1, 3]]), reset({ stream: 1, code: 7, finalSize: 0 })]);
  });

  it('a PATH_CHALLENGE is answered at once and acknowledged', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [pathChallenge('a1a2a3a4a5a6a7a8')]);
    t.expectSend(at(0), [pathResponse('a1a2a3a4a5a6a7a8')], [ack([[1, 3]])]);
  });

  const patient: readonly (readonly [string, FrameSpec])[] = [
    ['STREAM_DATA', byte(0)],
    ['DATAGRAM', datagram({ length: 10 })],
    ['MAX_DATA', maxData(5_000_000)],
    ['MAX_STREAM_DATA', maxStreamData(1, 5_000_000)],
    ['MAX_STREAMS', maxStreams(500)],
    ['frame of an unknown optional type', optional(0xc7, 3)],
  ];
  for (const [name, frame] of patient) {
    it(`a ${name} alone is acknowledged after 25 ms`, () => {
      const t = Script.accepted({ rtt: 300 });
      t.recv(at(0), [frame]);
      t.expectSilence(until(25));
      t.expectSend(at(25), [ack([[1, 3]], { delay: 25 })]);
    });
  }

  it('PADDING and ACK ask for nothing and get nothing', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [padding(100)]);
    t.recv(at(1), [ack([[0, 1]])]);
    t.recv(at(2), [padding(5), ack([[0, 1]])]);
    t.expectSilence(until(10_000));
  });

  it('packets that asked for nothing are in the next ACK all the same', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [padding(100)]);
    t.recv(at(1), [ping()]);
    t.expectSend(at(1), [ack([[1, 4]])]);
  });

  it('a packet that comes twice is acknowledged once', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [ping()], { number: 3 });
    t.expectSend(at(0), [ack([[1, 3]])]);
    t.recv(at(1), [ping()], { number: 3 });
    t.expectSilence(until(5_000));
  });

  it('data that is sent meanwhile carries the ACK that is owed', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [byte(0)]);
    t.app(at(10), (app) => app.write(1, 5));
    t.expectSend(at(10), [ack([[1, 3]], { delay: 10 }), streamData({ stream: 1, offset: 0, length: 5 })]);
    t.expectSilence(until(325));
  });

  it('data sent when nothing is owed carries no ACK', () => {
    const t = Script.accepted({ rtt: 300 });
    t.app(at(10), (app) => app.write(1, 5));
    t.expectSend(at(10), [streamData({ stream: 1, offset: 0, length: 5 })]);
  });

  it('what an acknowledged ACK said is not said again', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [ping()]);
    const sent = t.expectSend(at(0), [ack([[1, 3]])]);
    t.ack(at(10), [sent.number]);
    t.recv(at(20), [ping()]);
    t.expectSend(at(20), [ack([[3, 5]])]);
  });

  it('a gap below an acknowledged ACK is forgotten with it', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [ping()], { number: 9 });
    const sent = t.expectSend(at(0), [
      ack([
        [1, 2],
        [9, 9],
      ]),
    ]);
    t.ack(at(10), [sent.number]);
    t.expectSilence(until(11));
    t.recv(at(20), [ping()], { number: 12 });
    const [packet] = t.take(at(20));
    const frame = packet!.frames[0]!;
    t.expect('lowest said', frame.kind === 'ack' && frame.ranges.at(-1)!.smallest, 3);
  });

  it('what a lost ACK said is said again by the next', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [byte(0)], { number: 5 });
    t.expectSend(at(0), [
      ack([
        [1, 2],
        [5, 5],
      ]),
    ]);
    t.recv(at(100), [byte(1)], { number: 7 });
    t.expectSend(at(100), [
      ack([
        [1, 2],
        [5, 5],
        [7, 7],
      ]),
    ]);
  });

  it('an ACK names 32 ranges at most, the highest', () => {
    const t = Script.accepted({ rtt: 300 });
    for (let i = 0; i < 40; i++) {
      t.recv(at(i), [byte(i)], { number: 10 + 2 * i });
      const [packet] = t.take(at(i));
      const frame = packet!.frames[0]!;
      if (i < 39 || frame.kind !== 'ack') continue;
      t.expect('ranges', frame.ranges.length, 32);
      t.expect('highest', frame.ranges[0]!.largest, 88);
      t.expect('lowest', frame.ranges[31]!.smallest, 26);
    }
  });

  it('a late packet that lies below the 32 highest ranges is named in their place', () => {
    const t = Script.accepted({ rtt: 300 });
    for (let i = 0; i < 40; i++) {
      t.recv(at(i), [byte(i)], { number: 10 + 2 * i });
      t.take(at(i));
    }
    t.recv(at(50), [byte(50)], { number: 11 });
    const frame = t.take(at(50))[0]!.frames[0]!;
    t.expect('the last range', frame.kind === 'ack' && frame.ranges.at(-1), { smallest: 10, largest: 12 });
  });

  it('after 16 unanswered ACKs with gaps one asks for an answer itself', () => {
    const t = Script.accepted({ rtt: 300 });
    let asked = -1;
    for (let i = 0; i < 20 && asked < 0; i++) {
      t.recv(at(i), [byte(i)], { number: 10 + 2 * i });
      if (t.take(at(i)).some(({ asksForAck }) => asksForAck)) asked = i;
    }
    t.expect('the packet that asks', asked >= 14 && asked <= 17, true);
  });

  it('once a hundred packets have come, fast ones are acknowledged by far fewer ACKs than every second', () => {
    const t = Script.accepted({ rtt: 300 });
    for (let i = 0; i < 100; i++) {
      t.recv(at(i), [byte(i)]);
      t.take(at(i));
    }
    let acks = 0;
    for (let i = 0; i < 200; i++) {
      acks += t.take(at(100 + i / 20)).length;
      t.recv(at(100 + i / 20), [byte(100 + i)]);
      acks += t.take(at(100 + i / 20)).length;
    }
    t.expect('ACKs of 200 packets in 10 ms', acks >= 3 && acks <= 11, true);
  });

  it('however fast they come, no more than 64 packets wait for one ACK', () => {
    const t = Script.accepted({ rtt: 300 });
    for (let i = 0; i < 100; i++) {
      t.recv(at(i), [byte(i)]);
      t.take(at(i));
    }
    t.recv(at(124), [byte(100)]);
    t.take(at(124));
    const counts: number[] = [];
    let since = 0;
    for (let i = 0; i < 200; i++) {
      if (t.take(at(125 + i / 100)).length > 0) since = 0;
      t.recv(at(125 + i / 100), [byte(101 + i)]);
      since += 1;
      if (t.take(at(125 + i / 100)).length === 0) continue;
      counts.push(since);
      since = 0;
    }
    t.expect('packets for an ACK', since <= 64 && counts.every((count) => count <= 64), true);
  });

  it('after a pause packets are acknowledged two by two again', () => {
    const t = Script.accepted({ rtt: 300 });
    for (let i = 0; i < 150; i++) {
      t.recv(at(i), [byte(i)]);
      t.take(at(i));
    }
    t.take(at(1_000));
    t.recv(at(1_000), [byte(150)]);
    t.recv(at(1_001), [byte(151)]);
    t.expectSend(at(1_001), [anyAck()]);
    t.recv(at(1_002), [byte(152)]);
    t.recv(at(1_003), [byte(153)]);
    t.expectSend(at(1_003), [anyAck()]);
  });

  it('a packet whose bytes would make a 257th piece out of order is not acknowledged', () => {
    const t = Script.accepted({ rtt: 300 });
    const pieces = Array.from({ length: 256 }, (_, i) => byte(2 + 2 * i));
    t.recv(at(0), pieces);
    t.expectSend(at(25), [ack([[1, 3]])]);
    t.recv(at(30), [byte(2 + 2 * 256)]);
    t.expectSilence(until(1_000));
    t.recv(at(1_000), [ping()]);
    t.expectSend(at(1_000), [
      ack([
        [1, 3],
        [5, 5],
      ]),
    ]);
  });

  it('a packet with CLOSE is not acknowledged', () => {
    const t = Script.accepted({ rtt: 300 });
    t.recv(at(0), [ping(), close(0)]);
    t.expectSilence(until(5_000));
  });
});
