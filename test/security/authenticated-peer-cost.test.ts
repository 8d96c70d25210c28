import { describe, expect, it } from 'vitest';
import { concat } from '../../base/bytes.ts';
import type { Frame } from '../../wire/frames.ts';
import { bytesAt, Life, routeFrom } from './authenticated-peer.ts';
import { encodeFrames } from './hostile.ts';

/**
 * Time for each byte that comes. The measure is the dearest thing that an honest peer sends: PINGs in packets of their own, each
 * of which has an answer. Both are the best of several runs in the same process, so that a busy machine slows both.
 */
const ROUNDS = 3;
const ROOM = 65_000;
const buffer: Uint8Array = new Uint8Array(65_536);

/** A life with stream 1, taken by a program, and all acknowledged. */
function scene(): Life {
  const life = new Life({ seed: 3 });
  life.endpoint.listen(80);
  life.say({ kind: 'stream-open', stream: 1, sourcePort: 1, destinationPort: 80, priority: 1 });
  life.endpoint.acceptStream(life.key, 1, 80, life.now);
  life.say(life.judge.ackOfAll);
  return life;
}

/** µs for each byte of these packets, the answers written too. */
function costOf(life: Life, packets: readonly Uint8Array[]): number {
  const start = performance.now();
  for (const packet of packets) {
    life.endpoint.handleDatagram(routeFrom(0), packet, life.now);
    while (life.endpoint.pollTransmit(buffer, life.now) !== undefined);
  }
  const elapsed = 1_000 * (performance.now() - start);
  return elapsed / packets.reduce((sum, packet) => sum + packet.length, 0);
}

function bestOf(measure: () => number): number {
  return Math.min(...Array.from({ length: ROUNDS }, measure));
}

const pings = bestOf(() => {
  const life = scene();
  const packets = Array.from({ length: 4_000 }, () => life.seal(Uint8Array.of(1)));
  return costOf(life, packets);
});

/** The program writes to stream 1 as much as is taken. */
function fill(life: Life): void {
  let offset = life.tunnel!.streams.inspect().streams[0]!.written;
  for (;;) {
    const taken = life.endpoint.writeStream(life.key, 1, bytesAt(offset, 65_536), life.now);
    if (taken === 0 || taken === 'ended') return;
    offset += taken;
  }
}

/** As often as they go into one packet. */
function filled(...frames: readonly Frame[]): Uint8Array {
  const some = encodeFrames(...frames);
  return concat(...Array.from({ length: Math.floor(ROOM / some.length) }, () => some));
}

function data(offset: number, length: number, fin = false): Frame {
  return { kind: 'stream-data', stream: 1, offset, fin, data: bytesAt(offset, length) };
}

const endpoint = { family: 4 as const, address: Uint8Array.of(192, 0, 2, 1), port: 1 };

describe('no byte of an authenticated peer costs much more than a byte of its PINGs', () => {
  const SWARMS: readonly (readonly [string, Uint8Array])[] = [
    ['PINGs', filled({ kind: 'ping' })],
    ['optional frames', filled({ kind: 'optional', type: 0xc0, data: new Uint8Array(0) })],
    ['low limits', filled({ kind: 'max-data', limit: 0 }, { kind: 'max-streams', limit: 0 })],
    ['low limits of a stream', filled({ kind: 'max-stream-data', stream: 1, limit: 0 })],
    [
      'limits that rise by one',
      encodeFrames(...Array.from({ length: 5_000 }, (_, i): Frame => ({ kind: 'max-data', limit: 2 ** 21 + i }))),
    ],
    ['empty datagrams', filled({ kind: 'datagram', sourcePort: 0, destinationPort: 0, data: new Uint8Array(0) })],
    ['empty STREAM_DATA', filled(data(0, 0))],
    ['one byte again and again', filled(data(0, 1))],
    ['challenges', filled({ kind: 'path-challenge', token: new Uint8Array(8) })],
    ['answers to no challenge', filled({ kind: 'path-response', token: new Uint8Array(8) })],
    ['old ACKs', filled({ kind: 'ack', delayUs: 0, ranges: [{ smallest: 0, largest: 0 }] })],
    [
      'copies of a STREAM_OPEN',
      filled({ kind: 'stream-open', stream: 1, sourcePort: 1, destinationPort: 80, priority: 1 }),
    ],
    ['STOPs', filled({ kind: 'stream-stop', stream: 1, code: 0 })],
    ['candidates', filled({ kind: 'candidates', sequence: 0, endpoints: Array.from({ length: 16 }, () => endpoint) })],
    [
      'fragments of one byte, all over the window',
      encodeFrames(...Array.from({ length: 8_000 }, (_, i) => data((i * 7_919) % 250_000, 1))),
    ],
    [
      'fragments from the end to the beginning',
      encodeFrames(...Array.from({ length: 8_000 }, (_, i) => data(250_000 - 2 * i, 1))),
    ],
    [
      'holes that are torn and mended',
      encodeFrames(
        ...Array.from({ length: 30 }, (_, i) => [
          ...Array.from({ length: 255 }, (_, k) => data(520 * i + 2 * k + 1, 1)),
          data(520 * i, 520),
        ]).flat(),
      ),
    ],
  ];

  for (const [name, plaintext] of SWARMS) {
    it(`a packet full of ${name}`, () => {
      const cost = bestOf(() => {
        const life = scene();
        return costOf(
          life,
          Array.from({ length: 4 }, () => life.seal(plaintext)),
        );
      });
      expect(cost).toBeLessThan(2 * pings);
    });
  }

  it('ACKs of 256 ranges with little in them, while thousands of packets are out', () => {
    const cost = bestOf(() => {
      const life = scene();
      life.say({ kind: 'max-data', limit: 2 ** 40 }, { kind: 'max-stream-data', stream: 1, limit: 2 ** 40 });
      // Acknowledged at once, the window doubles in every round.
      for (let round = 0; round < 9; round++) {
        fill(life);
        life.take();
        life.pass(10_000);
        life.say(life.judge.ackOfAll);
      }
      const top = life.judge.arrived.at(-1)!.largest;
      const ranges = (from: number) =>
        Array.from({ length: 256 }, (_, i) => ({ smallest: from - 2 * i, largest: from - 2 * i }));
      const bomb = encodeFrames(
        ...Array.from({ length: 100 }, (_, i): Frame => ({ kind: 'ack', delayUs: 0, ranges: ranges(top - (i % 50)) })),
      );
      const packets = Array.from({ length: 4 }, () => life.seal(bomb));
      return costOf(life, packets);
    });
    expect(cost).toBeLessThan(2 * pings);
  });
});
