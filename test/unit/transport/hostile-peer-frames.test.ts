import { describe, expect, it } from 'vitest';
import { concat } from '../../../base/bytes.ts';
import { randomBytes } from '../../../base/rng.ts';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { CLOSE_CODES, type CloseCode } from '../../../wire/close-codes.ts';
import { isDecodeError } from '../../../wire/decode-error.ts';
import { decodeFrames } from '../../../wire/frame-reader.ts';
import type { Frame } from '../../../wire/frames.ts';
import { encodeFrames, KeyedPeer } from '../../security/hostile.ts';
import { run } from '../../security/support.ts';
import { expectBounded, expectClosed, scene, tunnelOf, UNHURRIED } from './hostile-peer.ts';

const rng = new SeededRng(0x7e);

describe('a peer that sends malformed frames', () => {
  const MALFORMED: readonly (readonly [string, Uint8Array])[] = [
    ['an ACK with ECN counts', Uint8Array.of(0x03, 0, 0, 0, 0, 0, 0, 0)],
    ['a type that is not there', Uint8Array.of(0x07)],
    ['the last type before the optional ones', Uint8Array.of(0xbf, 0)],
    ['an ACK cut short', Uint8Array.of(0x02, 5, 0)],
    ['an ACK of a negative range', Uint8Array.of(0x02, 1, 0, 0, 5)],
    ['an ACK with more ranges than there are', Uint8Array.of(0x02, 9, 0, 0x40, 0xff, 0)],
    ['an ACK with 257 ranges', Uint8Array.of(0x02, 9, 0, 0x41, 0x00, 0)],
    ['a number not in its shortest form', Uint8Array.of(0x10, 0x40, 0x01)],
    ['a number of 2^53', Uint8Array.of(0x10, 0xc0, 0x20, 0, 0, 0, 0, 0, 0)],
    ['the largest number there is', Uint8Array.of(0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
    ['stream data that ends beyond 2^53', Uint8Array.of(0x08, 0, 0xc0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0)],
    ['a datagram that is longer than its packet', Uint8Array.of(0x18, 0, 1, 0, 1, 0x7f, 0xff)],
    ['a challenge of seven bytes', Uint8Array.of(0x1a, 1, 2, 3, 4, 5, 6, 7)],
    ['a reason that is no UTF-8', Uint8Array.of(0x1c, 0, 2, 0xc3, 0x28)],
    ['a reason of 257 bytes', concat(Uint8Array.of(0x1c, 0, 0x41, 0x01), new Uint8Array(257).fill(0x61))],
    ['a handshake of one byte', Uint8Array.of(0x20, 1, 0x10)],
    ['a handshake of 751 bytes', concat(Uint8Array.of(0x20, 0x42, 0xef), new Uint8Array(751))],
    ['a handshake of nothing but zeros', concat(Uint8Array.of(0x20, 0x40, 0xc8), new Uint8Array(200))],
    ['seventeen candidates', concat(Uint8Array.of(0x21, 0, 17), new Uint8Array(17 * 7).fill(4))],
    ['an address of no family', Uint8Array.of(0x22, 0, 5, 1, 2, 3, 4, 0, 1)],
    [
      'a v4-mapped address',
      concat(Uint8Array.of(0x22, 0, 6), new Uint8Array(10), Uint8Array.of(255, 255, 1, 2, 3, 4, 0, 1)),
    ],
    ['an optional frame cut short', Uint8Array.of(0xc0, 0x20, 1)],
    ['a priority of 3', Uint8Array.of(0x04, 0, 0, 1, 0, 1, 3)],
  ];

  for (const [name, bytes] of MALFORMED) {
    it(`is closed with FRAME_ENCODING: ${name}`, () => {
      const stage = scene();
      expectClosed(stage, stage.peer.sayBytes(bytes), 'FRAME_ENCODING');
    });
  }

  it('has nothing of the same packet taken, whatever stood before', () => {
    const stage = scene();
    const before = stage.peer.delivered.length;
    const good = encodeFrames(
      { kind: 'datagram', sourcePort: 1, destinationPort: 2, data: Uint8Array.of(1) },
      { kind: 'path-challenge', token: new Uint8Array(8) },
    );
    const frames = stage.peer.sayBytes(concat(good, Uint8Array.of(0x07)));
    expect(stage.peer.delivered.length).toBe(before);
    expect(frames.map(({ kind }) => kind)).toEqual(['close']);
    expectClosed(stage, frames, 'FRAME_ENCODING');
  });
});

describe('a peer that sends frames which are not for it to send', () => {
  /** `own` is the first id that the peer may open, `foreign` the first of its victim. */
  it.each<[string, (own: number, foreign: number) => Frame, CloseCode]>([
    [
      'opens a stream of its victim',
      (_, foreign) => ({ kind: 'stream-open', stream: foreign, sourcePort: 1, destinationPort: 2, priority: 1 }),
      'STREAM_STATE',
    ],
    [
      'opens a stream beyond the limit',
      (own) => ({ kind: 'stream-open', stream: own + 2 * 128, sourcePort: 1, destinationPort: 2, priority: 1 }),
      'STREAM_LIMIT',
    ],
    [
      'sends data of a stream that it has not opened',
      (own) => ({ kind: 'stream-data', stream: own, offset: 0, fin: false, data: new Uint8Array(9) }),
      'STREAM_STATE',
    ],
    [
      'sends data of a stream far off',
      () => ({ kind: 'stream-data', stream: 2 ** 53 - 2, offset: 0, fin: true, data: new Uint8Array(0) }),
      'STREAM_LIMIT',
    ],
    [
      'resets a stream that nobody opened',
      (_, foreign) => ({ kind: 'stream-reset', stream: foreign, code: 0, finalSize: 0 }),
      'STREAM_STATE',
    ],
    [
      'stops a stream that nobody opened',
      (_, foreign) => ({ kind: 'stream-stop', stream: foreign, code: 0 }),
      'STREAM_STATE',
    ],
    [
      'acknowledges a packet that was never sent',
      () => ({ kind: 'ack', delayUs: 0, ranges: [{ smallest: 1_000, largest: 1_000 }] }),
      'PROTOCOL_VIOLATION',
    ],
    [
      'acknowledges everything',
      () => ({ kind: 'ack', delayUs: 0, ranges: [{ smallest: 0, largest: 2 ** 53 - 1 }] }),
      'PROTOCOL_VIOLATION',
    ],
  ])('is closed when it %s', (_, frame, code) => {
    const stage = scene();
    const own = stage.peer.isLower ? 0 : 1;
    const said = frame(own, 1 - own);
    // The far one is even; where the peer owns the odd ones it says the next.
    const isFar = said.kind === 'stream-data' && said.stream > 2 ** 52;
    expectClosed(stage, stage.peer.say(isFar ? { ...said, stream: said.stream + own } : said), code);
  });

  it('is refused a stream to a port where nobody listens, and goes on', () => {
    const { peer, othersAreWell } = scene();
    const stream = peer.isLower ? 0 : 1;
    const answer = peer.say({ kind: 'stream-open', stream, sourcePort: 1, destinationPort: 2, priority: 1 });
    expect(answer).toContainEqual({ kind: 'stream-reset', stream, code: 10, finalSize: 0 });
    expect(answer).toContainEqual({ kind: 'stream-stop', stream, code: 10 });
    expect(tunnelOf(peer)?.state).toBe('open');
    othersAreWell();
  });

  it('is not closed for permissions, advice and frames that may be skipped', () => {
    const { peer, othersAreWell } = scene();
    const endpoint = { family: 4 as const, address: Uint8Array.of(192, 0, 2, 1), port: 9 };
    for (const frame of [
      { kind: 'max-data', limit: 2 ** 53 - 1 },
      { kind: 'max-streams', limit: 2 ** 53 - 1 },
      { kind: 'candidates', sequence: 2 ** 53 - 1, endpoints: Array.from({ length: 16 }, () => endpoint) },
      { kind: 'candidates', sequence: 0, endpoints: [] },
      { kind: 'observed-address', sequence: 0, endpoint },
      { kind: 'optional', type: 0xc0, data: randomBytes(rng, 900) },
      { kind: 'optional', type: 0xff, data: new Uint8Array(0) },
      { kind: 'path-response', token: new Uint8Array(8) },
      { kind: 'padding', length: 1_000 },
    ] satisfies Frame[]) {
      const frames = peer.say(frame);
      expect(frames.map(({ kind }) => kind).filter((kind) => kind !== 'ack')).toEqual([]);
      expect(tunnelOf(peer)?.state).toBe('open');
      expectBounded(peer);
    }
    othersAreWell();
  });
});

describe('a peer that sends random frames', () => {
  it('of random bytes is closed, comes back as another and is closed again: 500 packets', () => {
    const stage = scene(UNHURRIED);
    const { b, world } = stage;
    let peer = stage.peer;
    let closed = 0;
    for (let i = 0; i < 500; i++) {
      peer.sayBytes(randomBytes(rng, 1 + rng.below(1_200)));
      expectBounded(peer);
      if (tunnelOf(peer)?.state === 'open') continue;
      peer.sayBytes(randomBytes(rng, 1 + rng.below(1_200)));
      peer = new KeyedPeer(world, b, `mallory ${++closed}`, 67 + (closed % 150)).join();
    }
    expect(closed).toBeGreaterThan(400);
    run(world, 60 * SECOND);
    stage.othersAreWell();
    expect(b.node.endpoint.inspect()).toMatchObject({ provisional: [], sessionIds: 1 });
  });

  it('that are well formed, in any order and number, only ever close its own tunnel: 1,500 packets', () => {
    const stage = scene({ ...UNHURRIED, rekeysPerSecond: 20 });
    const { b, world } = stage;
    let peer = stage.peer;
    let turn = 0;
    for (let i = 0; i < 1_500; i++) {
      const frames = Array.from({ length: 1 + rng.below(6) }, () => randomFrame(peer));
      const number = rng.chance(0.05) ? peer.nextNumber + rng.below(5_000) : peer.nextNumber;
      peer.nextNumber = number + 1;
      peer.read(peer.feed(peer.seal(encodeFrames(...frames), number)));
      expectBounded(peer);
      if (rng.chance(0.1)) peer.wait(rng.below(50 * MILLISECOND));
      const state = tunnelOf(peer)?.state;
      if (state === 'open') continue;
      peer = new KeyedPeer(world, b, `mallory ${++turn}`, 67 + (turn % 100)).join();
    }
    expect(turn).toBeGreaterThan(10);
    run(world, 60 * SECOND);
    stage.othersAreWell();
  });

  it('of every one-byte and two-byte plaintext is never more than closed', () => {
    const stage = scene(UNHURRIED);
    const { b, world } = stage;
    let peer = stage.peer;
    let turn = 0;
    for (let first = 0; first < 256; first++) {
      for (const rest of [[], [0x00], [0xff]]) {
        const plaintext = Uint8Array.of(first, ...rest);
        const frames = peer.sayBytes(plaintext);
        const decoded = decodeFrames(plaintext);
        const isOpen = tunnelOf(peer)?.state === 'open';
        if (isDecodeError(decoded)) {
          expect(frames).toMatchObject([{ kind: 'close', code: CLOSE_CODES.FRAME_ENCODING }]);
        }
        if (!isOpen) peer = new KeyedPeer(world, b, `mallory ${++turn}`, 67 + (turn % 150)).join();
        if (turn % 100 === 0) run(world, 10 * SECOND);
      }
    }
    expect(turn).toBeGreaterThan(500);
    run(world, 60 * SECOND);
    stage.othersAreWell();
  });
});

/** Any frame there is; now and then one of a plausible content. */
function randomFrame(peer: KeyedPeer): Frame {
  const number = (): number => rng.below(rng.pick([4, 64, 16_384, 2 ** 30, 2 ** 53]));
  const port = (): number => rng.below(65_536);
  const data = (): Uint8Array => randomBytes(rng, rng.below(100));
  switch (rng.below(16)) {
    case 0:
      return { kind: 'padding', length: 1 + rng.below(200) };
    case 1:
    case 2:
      return { kind: 'ping' };
    case 3:
    case 4: {
      const highest = tunnelOf(peer)?.inspect().nextPacketNumber ?? 0;
      const largest = rng.chance(0.98) ? rng.below(Math.max(1, highest)) : number();
      return { kind: 'ack', delayUs: number(), ranges: [{ smallest: rng.below(largest + 1), largest }] };
    }
    case 5:
      return rng.chance(0.02) ? { kind: 'stream-stop', stream: number(), code: number() } : { kind: 'ping' };
    case 6:
      return { kind: 'max-data', limit: number() };
    case 7:
      return { kind: 'max-stream-data', stream: number(), limit: number() };
    case 8:
      return { kind: 'max-streams', limit: number() };
    case 9:
    case 10:
      return { kind: 'datagram', sourcePort: port(), destinationPort: port(), data: data() };
    case 11:
      return { kind: 'path-challenge', token: randomBytes(rng, 8) };
    case 12:
      return { kind: 'path-response', token: randomBytes(rng, 8) };
    case 13:
      return rng.chance(0.02) ? { kind: 'close', code: number(), reason: 'x' } : { kind: 'ping' };
    case 14: {
      const { message } = peer.initiate('frame', 1 + rng.below(2 ** 31));
      if (rng.chance(0.5)) message[12 + rng.below(message.length - 12)]! ^= 1;
      return { kind: 'handshake', message };
    }
    default:
      return { kind: 'optional', type: 0xc0 + rng.below(64), data: data() };
  }
}
