import { describe, expect, it } from 'vitest';
import { concat } from '../../../base/bytes.ts';
import { randomBytes } from '../../../base/rng.ts';
import { MILLISECOND, SECOND } from '../../../base/time.ts';
import { simAddress } from '../../../sim/address.ts';
import { SeededRng } from '../../../sim/rng.ts';
import type { SimPeer } from '../../../sim/world.ts';
import type { TunnelConfig } from '../../../transport/constants.ts';
import {
  AMPLIFICATION_LIMIT,
  CONTROL_FRAMES_QUEUED_MAX,
  DATAGRAMS_RECEIVED_MAX,
  DIRECTED_QUEUED_MAX,
  PATHS_MAX,
} from '../../../transport/constants.ts';
import { CLOSE_CODES, type CloseCode } from '../../../wire/close-codes.ts';
import { isDecodeError } from '../../../wire/decode-error.ts';
import { decodeFrames } from '../../../wire/frame-reader.ts';
import type { Frame } from '../../../wire/frames.ts';
import { GENERATION_MAX } from '../../../wire/handshake-payload.ts';
import { RESPONSE_BYTES, TYPE_INITIATION } from '../../../wire/packet.ts';
import { encodeFrames, KeyedPeer } from '../../security/hostile.ts';
import { CountingBackend, connected, exchangeLetters, run, stateOf, Tape, takeSent } from '../../security/support.ts';

/**
 * A peer that has proved who it is and then says anything at all. It may end its own tunnel; it may not reach an assertion,
 * grow anything past its bound, or be felt in another tunnel.
 */
const UNHURRIED = { handshakesPerSecond: 1e6, handshakesBurst: 1e6 };

interface Scene {
  readonly peer: KeyedPeer;
  readonly a: SimPeer;
  readonly b: SimPeer;
  readonly world: KeyedPeer['world'];
  readonly crypto: CountingBackend;
  /** The other tunnel is as it was and works. */
  readonly othersAreWell: () => void;
}

function scene(config: Partial<TunnelConfig> = {}): Scene {
  const crypto = new CountingBackend();
  // So that the other tunnel keeps its session, however long it takes.
  const { world, a, b } = connected({ crypto, config: { rekeyAfterTime: 3_600 * SECOND, ...config } });
  exchangeLetters(world, a, b);
  const peer = new KeyedPeer(world, b).join();
  const before = b.tunnelTo(a)!.inspect();
  const othersAreWell = (): void => {
    const { sessions, active, paths, state } = b.tunnelTo(a)!.inspect();
    expect({ sessions, active, state }).toEqual({
      sessions: before.sessions,
      active: before.active,
      state: before.state,
    });
    expect(paths.map(({ route, isValidated }) => [route, isValidated])).toEqual([[a.address.key, true]]);
    exchangeLetters(world, a, b);
  };
  return { peer, a, b, world, crypto, othersAreWell };
}

function tunnelOf(peer: KeyedPeer) {
  return peer.victim.node.endpoint.tunnel(peer.key);
}

/** Closed with this code, told to the peer, and soon forgotten. */
function expectClosed({ peer, b, world, othersAreWell }: Scene, frames: readonly Frame[], code: CloseCode): void {
  expect(frames.at(-1)).toMatchObject({ kind: 'close', code: CLOSE_CODES[code] });
  expect(tunnelOf(peer)?.state).toBe('closing');
  expect(b.events.at(-1)).toMatchObject({ kind: 'tunnel-down', peer: peer.key, reason: { kind: 'closed', code } });
  run(world, 10 * SECOND);
  expect(tunnelOf(peer)).toBeUndefined();
  othersAreWell();
}

/** What every node keeps to, whatever a peer has said. */
function expectBounded(peer: KeyedPeer): void {
  const state = peer.victim.node.endpoint.inspect();
  const tunnel = state.tunnels.find(({ peer: key }) => key === peer.key);
  expect(state.received).toBeLessThanOrEqual(DATAGRAMS_RECEIVED_MAX);
  expect(tunnel?.paths.length ?? 0).toBeLessThanOrEqual(PATHS_MAX);
  expect(tunnel?.sessions.length ?? 0).toBeLessThanOrEqual(16);
  expect(tunnel?.queued ?? 0).toBeLessThanOrEqual(CONTROL_FRAMES_QUEUED_MAX + DIRECTED_QUEUED_MAX + 64);
}

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

const rng = new SeededRng(0x7e);

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

describe('a peer that floods', () => {
  it('with challenges gets no more answers than there is room for, and no more bytes than it sent', () => {
    const { peer, othersAreWell } = scene();
    const challenges: Frame[] = Array.from({ length: 100 }, (_, i) => ({
      kind: 'path-challenge',
      token: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, i),
    }));
    for (let i = 0; i < 100; i++) {
      const packet = peer.seal(encodeFrames(...challenges));
      const sent = peer.feed(packet);
      expect(sent.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(packet.length);
      const tokens = peer.read(sent).flatMap((frame) => (frame.kind === 'path-response' ? [frame.token[7]] : []));
      // The newest: who asks so often is not owed the others.
      expect(tokens).toEqual(Array.from({ length: DIRECTED_QUEUED_MAX }, (_, n) => 100 - DIRECTED_QUEUED_MAX + n));
      expectBounded(peer);
    }
    othersAreWell();
  });

  it('with challenges one by one is answered one for one', () => {
    const { peer, othersAreWell } = scene();
    for (let i = 0; i < 3_000; i++) {
      const packet = peer.seal(
        encodeFrames({ kind: 'path-challenge', token: randomBytes(rng, 8) }, { kind: 'padding', length: 60 }),
      );
      const sent = peer.feed(packet);
      expect(sent.length).toBeLessThanOrEqual(2);
      if (i % 100 === 0) expectBounded(peer);
    }
    othersAreWell();
  });

  it('with rekeys is answered ten times a second, and never holds more sessions than sixteen', () => {
    const { peer, crypto, world, othersAreWell } = scene();
    const before = crypto.diffieHellmans;
    let asked = 0;
    let answered = 0;
    for (let ms = 0; ms < 3_000; ms += 10) {
      for (let i = 0; i < 3; i++) {
        const frames = peer.say({ kind: 'handshake', message: peer.initiate('frame').message });
        asked += 1;
        answered += frames.filter(({ kind }) => kind === 'handshake').length;
      }
      peer.acknowledge();
      expectBounded(peer);
      run(world, 10 * MILLISECOND);
    }
    expect(asked).toBe(900);
    expect(answered).toBeGreaterThan(20);
    expect(answered).toBeLessThanOrEqual(10 + 10 * 3);
    // Four at the victim for each that is answered, and two for its own question; what the peer computes is not counted.
    expect(crypto.diffieHellmans - before).toBeLessThanOrEqual(4 * answered + 2);
    expect(peer.victim.node.endpoint.drops.count('rate-limited')).toBe(asked - answered);
    run(world, 10 * SECOND);
    othersAreWell();
  });

  it('with many handshake frames in one packet costs no more than the rate and gets no more than a queue of answers', () => {
    const { peer, crypto, othersAreWell } = scene();
    const before = crypto.diffieHellmans;
    const [first] = peer.say({ kind: 'handshake', message: peer.initiate('frame').message });
    expect(first).toBeDefined();
    const { message } = peer.initiate('frame');
    peer.say({ kind: 'handshake', message });
    const cost = crypto.diffieHellmans;
    expect(cost - before).toBe(8);
    const many = encodeFrames(...Array.from({ length: 200 }, (): Frame => ({ kind: 'handshake', message })));
    const packet = peer.seal(many);
    const sent = peer.feed(packet);
    expect(crypto.diffieHellmans).toBe(cost);
    expect(peer.read(sent).filter(({ kind }) => kind === 'handshake').length).toBeLessThanOrEqual(
      CONTROL_FRAMES_QUEUED_MAX,
    );
    expect(sent.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(packet.length);
    expectBounded(peer);
    othersAreWell();
  });

  it('with tiny frames in the largest packet there is, is read to its end', () => {
    const { peer, othersAreWell } = scene();
    const room = 65_507 - 32;
    for (const plaintext of [
      new Uint8Array(room).fill(0x01),
      new Uint8Array(room),
      new Uint8Array(room).map((_, i) => (i % 2 === 0 ? 0xc0 : 0)).subarray(0, room - (room % 2)),
      new Uint8Array(room).map((_, i) => (i % 2 === 0 ? 0x10 : 1)).subarray(0, room - (room % 2)),
    ]) {
      const frames = peer.sayBytes(plaintext);
      expect(frames.filter(({ kind }) => kind !== 'ack')).toEqual([]);
      expect(tunnelOf(peer)?.state).toBe('open');
    }
    othersAreWell();
  });

  it('with datagrams fills the queue of its receiver, which drops the oldest and counts them', () => {
    const { peer, b, world, othersAreWell } = scene();
    const { endpoint } = b.node;
    const route = b.node.routeTo(peer.address);
    for (let i = 0; i < 1_500; i++) {
      const data = Uint8Array.of(i >>> 8, i);
      const packet = peer.seal(encodeFrames({ kind: 'datagram', sourcePort: 1, destinationPort: 2, data }));
      endpoint.handleDatagram(route, packet, world.network.now);
    }
    expect(endpoint.inspect().received).toBe(DATAGRAMS_RECEIVED_MAX);
    expect(endpoint.datagramsDropped).toBe(1_500 - DATAGRAMS_RECEIVED_MAX);
    expect(endpoint.pollDatagram()?.data).toEqual(Uint8Array.of(476 >>> 8, 476 & 0xff));
    while (endpoint.pollDatagram() !== undefined);
    othersAreWell();
  });

  it('with restarts ends only its own tunnel, twenty times a second at the most', () => {
    const { peer, b, world, othersAreWell } = scene();
    let established = 0;
    for (let i = 0; i < 100; i++) {
      peer.incarnation = randomBytes(rng, 16);
      peer.nextNumber = 0;
      try {
        peer.shakeHands();
      } catch {
        // Too often: the source has no token left, and gets no answer.
        run(world, 50 * MILLISECOND);
        continue;
      }
      peer.say({ kind: 'ping' });
      established += 1;
    }
    expect(established).toBeGreaterThan(10);
    expect(b.node.endpoint.inspect().tunnels).toHaveLength(2);
    expect(b.node.endpoint.drops.count('rate-limited')).toBeGreaterThan(0);
    run(world, 10 * SECOND);
    expect(b.node.endpoint.inspect().provisional).toEqual([]);
    othersAreWell();
  });
});

describe('a peer that plays with packet numbers', () => {
  it('may use the highest there is; after it nothing more of its own is heard', () => {
    const { peer, othersAreWell } = scene();
    const last = 2 ** 53 - 1;
    expect(peer.read(peer.feed(peer.seal(Uint8Array.of(1), last)))).toMatchObject([
      { kind: 'ack', ranges: [{ largest: last }, {}] },
    ]);
    for (const number of [last, 5, 2 ** 52, last - 2_048]) {
      const before = stateOf(peer.victim);
      expect(peer.feed(peer.seal(Uint8Array.of(1), number)), `${number}`).toEqual([]);
      expect(stateOf(peer.victim)).toEqual(before);
    }
    // Within the window of the highest all is as usual.
    for (const number of [last - 1, last - 2, last - 2_047]) {
      expect(peer.read(peer.feed(peer.seal(Uint8Array.of(1), number))).map(({ kind }) => kind)).toEqual(['ack']);
    }
    expectBounded(peer);
    othersAreWell();
  });

  it('may leave out every other one: 256 ranges are kept, 32 are sent, the lowest forgotten', () => {
    const { peer, othersAreWell } = scene();
    for (let i = 0; i < 1_000; i++) {
      peer.nextNumber += 1;
      const [ack] = peer.say({ kind: 'ping' });
      expect(ack?.kind).toBe('ack');
      if (ack?.kind === 'ack') expect(ack.ranges.length).toBeLessThanOrEqual(32);
    }
    expectBounded(peer);
    othersAreWell();
  });

  it('may jump to and fro: nothing that was taken is taken again', () => {
    const { peer, othersAreWell } = scene();
    const taken = new Set<number>();
    const base = 10_000;
    for (let i = 0; i < 2_000; i++) {
      const number = base + rng.below(3_000);
      const data = Uint8Array.of(number >>> 8, number);
      const before = peer.delivered.length;
      peer.feed(peer.seal(encodeFrames({ kind: 'datagram', sourcePort: 1, destinationPort: 2, data }), number));
      const isNew = peer.delivered.length > before;
      expect(isNew && taken.has(number)).toBe(false);
      if (isNew) taken.add(number);
    }
    expect(taken.size).toBeGreaterThan(500);
    othersAreWell();
  });
});

describe('a peer that acknowledges dishonestly', () => {
  it('gains nothing by acknowledging everything that was sent, at any delay', () => {
    const { peer, othersAreWell } = scene();
    for (let i = 0; i < 500; i++) {
      const largest = tunnelOf(peer)!.inspect().nextPacketNumber - 1;
      const frames = peer.say({ kind: 'ack', delayUs: rng.below(2 ** 53), ranges: [{ smallest: 0, largest }] });
      expect(frames).toEqual([]);
    }
    expect(tunnelOf(peer)?.state).toBe('open');
    othersAreWell();
  });

  it('is closed for the very next packet that has not been sent', () => {
    const stage = scene();
    const largest = tunnelOf(stage.peer)!.inspect().nextPacketNumber;
    const frames = stage.peer.say({ kind: 'ack', delayUs: 0, ranges: [{ smallest: largest, largest }] });
    expectClosed(stage, frames, 'PROTOCOL_VIOLATION');
  });

  it('with 256 ranges, all of them within what was sent, is heard', () => {
    const { peer, othersAreWell } = scene();
    for (let i = 0; i < 600; i++) peer.say({ kind: 'ping' });
    const highest = tunnelOf(peer)!.inspect().nextPacketNumber - 1;
    const ranges = Array.from({ length: 256 }, (_, i) => ({ smallest: highest - 2 * i, largest: highest - 2 * i }));
    expect(peer.say({ kind: 'ack', delayUs: 0, ranges })).toEqual([]);
    expect(tunnelOf(peer)?.state).toBe('open');
    othersAreWell();
  });
});

describe('a peer that never acknowledges anything', () => {
  it('but talks all the time is alive: it is probed, not asked from outside', () => {
    const { peer, b, world, othersAreWell } = scene();
    const tape = new Tape();
    world.network.observe(tape);
    const { endpoint } = b.node;
    endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(9), world.network.now);
    world.network.touch(b.name);
    for (let i = 0; i < 1_000; i++) {
      peer.say({ kind: 'padding', length: 1 });
      run(world, 10 * MILLISECOND);
    }
    const toPeer = tape.from(b).filter(({ to }) => to.key === peer.address.key);
    expect(toPeer.length).toBeGreaterThan(5);
    expect(toPeer.filter(({ bytes }) => bytes[0] === TYPE_INITIATION).length).toBe(0);
    expect(tunnelOf(peer)?.inspect().isAttempting).toBe(false);
    othersAreWell();
  });

  it('and is silent is asked from outside with the second probe, once a second at most, and given up after 30 s', () => {
    const { peer, b, world, othersAreWell } = scene();
    const tape = new Tape();
    world.network.observe(tape);
    const { endpoint } = b.node;
    endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(9), world.network.now);
    world.network.touch(b.name);
    run(world, 40 * SECOND);
    const asked = tape.from(b).filter(({ bytes }) => bytes[0] === TYPE_INITIATION);
    expect(asked.length).toBeGreaterThan(20);
    expect(asked.length).toBeLessThan(40);
    expect(b.events.at(-1)).toMatchObject({ kind: 'tunnel-down', peer: peer.key, reason: { kind: 'peer-timeout' } });
    othersAreWell();
  });
});

describe('a peer that closes', () => {
  it.each([
    ['nothing', ''],
    ['what would colour a terminal', '\x1b[31m\x1b]0;owned\x07'],
    ['what would look like another line of a log', '\r\n{"level":"error"}'],
    ['what turns text around', '\u202e\u2066gpj.exe'],
    ['zeros', '\0'.repeat(256)],
    ['as much as it may', '\u{1f980}'.repeat(64)],
  ])(
    'with a reason of %s ends the tunnel at once, and the reason is handed on as it is, as untrusted text',
    (_, reason) => {
      const { peer, b, othersAreWell } = scene();
      expect(peer.say({ kind: 'close', code: 2 ** 53 - 1, reason })).toEqual([]);
      expect(tunnelOf(peer)).toBeUndefined();
      expect(b.events.at(-1)).toEqual({
        kind: 'tunnel-down',
        peer: peer.key,
        reason: { kind: 'closed-by-peer', code: 2 ** 53 - 1, text: reason },
        unread: [],
      });
      expect(peer.say({ kind: 'ping' })).toEqual([]);
      othersAreWell();
    },
  );

  it('has nothing taken that stands behind its CLOSE', () => {
    const { peer, othersAreWell } = scene();
    peer.say(
      { kind: 'close', code: 0, reason: '' },
      { kind: 'datagram', sourcePort: 1, destinationPort: 2, data: Uint8Array.of(1) },
      { kind: 'stream-stop', stream: 0, code: 0 },
    );
    expect(peer.delivered).toEqual([]);
    othersAreWell();
  });

  it('and goes on sending after it was closed gets fewer and fewer answers', () => {
    const { peer, world, othersAreWell } = scene();
    peer.sayBytes(Uint8Array.of(0x07));
    let answers = 0;
    for (let i = 0; i < 1_000; i++) {
      const frames = peer.say({ kind: 'ping' });
      for (const frame of frames) expect(frame.kind).toBe('close');
      answers += frames.length;
    }
    expect(answers).toBeLessThanOrEqual(11);
    run(world, 10 * SECOND);
    expect(peer.say({ kind: 'ping' })).toEqual([]);
    othersAreWell();
  });

  it('cannot choose how long its closed tunnel is remembered, by an ACK that comes a minute late', () => {
    const { peer, b, world, othersAreWell } = scene();
    const { endpoint } = b.node;
    const late = tunnelOf(peer)!.inspect().nextPacketNumber;
    endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(9), world.network.now);
    world.network.touch(b.name);
    for (let i = 0; i < 55; i++) {
      peer.say({ kind: 'padding', length: 1 });
      run(world, SECOND);
    }
    peer.say({ kind: 'ack', delayUs: 0, ranges: [{ smallest: late, largest: late }] });
    peer.sayBytes(Uint8Array.of(0x07));
    run(world, 10 * SECOND);
    expect(tunnelOf(peer)).toBeUndefined();
    othersAreWell();
  });
});

describe('a peer that lies in a handshake', () => {
  it.each(['inside', 'outside'] as const)(
    'may count generations to the end %s: our next one still has a number',
    (where) => {
      const { b, world, othersAreWell } = scene();
      const peer = new KeyedPeer(world, b, 'trent', 67);
      if (where === 'inside') {
        peer.join();
        const [answer] = peer.say({ kind: 'handshake', message: peer.initiate('frame', GENERATION_MAX).message });
        expect(answer).toBeDefined();
      } else {
        peer.shakeHands(peer.address, GENERATION_MAX);
        peer.say({ kind: 'ping' });
      }
      expect(tunnelOf(peer)?.inspect().sessions[0]?.generation).toBe(GENERATION_MAX);
      const { endpoint } = b.node;
      endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(9), world.network.now);
      world.network.touch(b.name);
      // Nobody answers, so it asks from outside, again and again.
      run(world, 40 * SECOND);
      expect(tunnelOf(peer)).toBeUndefined();
      othersAreWell();
    },
  );

  it('may not count beyond that', () => {
    const { peer, b, othersAreWell } = scene();
    for (const generation of [GENERATION_MAX + 1, 0xffff_ffff]) {
      expect(peer.say({ kind: 'handshake', message: peer.initiate('frame', generation).message })).toMatchObject([
        { kind: 'ack' },
      ]);
    }
    expect(b.node.endpoint.drops.count('malformed-payload')).toBe(2);
    expect(tunnelOf(peer)?.inspect().sessions).toHaveLength(1);
    othersAreWell();
  });

  it('may rekey for ever without ever using the new session: the old one goes on', () => {
    const { peer, world, othersAreWell } = scene({ rekeyAfterPackets: 50 });
    for (let i = 0; i < 40; i++) {
      peer.say({ kind: 'handshake', message: peer.initiate('frame').message });
      peer.say({ kind: 'ping' });
      expectBounded(peer);
      run(world, 200 * MILLISECOND);
    }
    expect(
      tunnelOf(peer)
        ?.inspect()
        .sessions.filter(({ isSending }) => isSending),
    ).toHaveLength(1);
    othersAreWell();
  });

  it('may leave every rekey of ours unanswered: nothing is sealed beyond the limit, and the tunnel ends', () => {
    const { peer, b, world, othersAreWell } = scene({ rekeyAfterPackets: 50, sealedPacketsMax: 200 });
    const tape = new Tape();
    world.network.observe(tape);
    const { endpoint } = b.node;
    for (let i = 0; i < 300 && tunnelOf(peer) !== undefined; i++) {
      endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(900), world.network.now);
      world.network.touch(b.name);
      peer.read(tape.from(b).map(({ to, bytes }) => ({ to: to.key, bytes })));
      peer.acknowledge();
      run(world, 10 * MILLISECOND);
    }
    expect(tunnelOf(peer)).toBeUndefined();
    expect(b.events.at(-1)).toMatchObject({ kind: 'tunnel-down', reason: { kind: 'closed', code: 'KEY_LIMIT' } });
    expect(tape.from(b).filter(({ to }) => to.key === peer.address.key).length).toBeLessThanOrEqual(200);
    othersAreWell();
  });

  it('may answer a rekey of ours with rubbish: it is asked again, and the tunnel goes on', () => {
    const { peer, b, world, othersAreWell } = scene({ rekeyAfterPackets: 20 });
    const tape = new Tape();
    world.network.observe(tape);
    let asked = 0;
    for (let i = 0; i < 60; i++) {
      const heard = tape.from(b).splice(0);
      tape.all.length = 0;
      const frames = [
        ...peer.read(heard.map(({ to, bytes }) => ({ to: to.key, bytes }))),
        ...peer.say({ kind: 'ping' }),
      ];
      for (const frame of frames) {
        if (frame.kind !== 'handshake') continue;
        asked += 1;
        const header = Uint8Array.of(0x11, 0, 1, 0, 0, 1, 0, 0, 1, 2, 3, 4);
        peer.say({ kind: 'handshake', message: concat(header, frame.message.slice(8, 12), randomBytes(rng, 240)) });
      }
      run(world, 100 * MILLISECOND);
    }
    expect(asked).toBeGreaterThan(1);
    expect(b.node.endpoint.drops.count('not-authentic')).toBe(asked);
    expect(tunnelOf(peer)?.state).toBe('open');
    expect(tunnelOf(peer)?.inspect().sessions).toHaveLength(1);
    othersAreWell();
  });

  it('may answer another handshake than its own: the response of one session is none in another', () => {
    const { peer, b, world, othersAreWell } = scene();
    const other = new KeyedPeer(world, b, 'trent', 67).join();
    const [answer] = other.say({ kind: 'handshake', message: other.initiate('frame').message });
    expect(answer?.kind).toBe('ack');
    const before = b.node.endpoint.tunnel(other.key)!.inspect().sessions;
    peer.say({ kind: 'handshake', message: other.initiate('frame').message });
    expect(b.node.endpoint.tunnel(other.key)!.inspect().sessions).toEqual(before);
    expect(tunnelOf(peer)?.state).toBe('open');
    othersAreWell();
  });
});

describe('a peer that sends from everywhere', () => {
  it('never makes a place get more than three times what came from it, nor one of our initiations', () => {
    const { peer, b, world, othersAreWell } = scene();
    const tape = new Tape();
    world.network.observe(tape);
    const bytesIn = new Map<string, number>();
    const bytesOut = new Map<string, number>();
    const note = (to: string, length: number): void => void bytesOut.set(to, (bytesOut.get(to) ?? 0) + length);
    for (let i = 0; i < 300; i++) {
      const from = simAddress('203.0.113.7', 1 + rng.below(30));
      const frames: Frame[] = [{ kind: 'path-challenge', token: randomBytes(rng, 8) }, { kind: 'ping' }];
      const packet = peer.seal(encodeFrames(...frames, { kind: 'padding', length: 1 + rng.below(500) }));
      bytesIn.set(from.key, (bytesIn.get(from.key) ?? 0) + packet.length);
      for (const { to, bytes } of peer.feed(packet, from)) note(to, bytes.length);
      b.node.endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(100), world.network.now);
      world.network.touch(b.name);
      run(world, 10 * MILLISECOND);
      expectBounded(peer);
    }
    // Then it says no more, and is looked for.
    run(world, 40 * SECOND);
    for (const { to, bytes } of tape.from(b)) note(to.key, bytes.length);
    const reached = [...bytesIn].map(([place, received]) => [place, bytesOut.get(place) ?? 0, received] as const);
    expect(reached.some(([, sent]) => sent > 0)).toBe(true);
    for (const [place, sent, received] of reached) {
      expect(sent, place).toBeLessThanOrEqual(AMPLIFICATION_LIMIT * received);
    }
    expect(tunnelOf(peer)).toBeUndefined();
    othersAreWell();
  });

  it('does not make its dialler flood a place that it answers from and cannot be heard at', () => {
    const { b, world, othersAreWell } = scene();
    const peer = new KeyedPeer(world, b, 'trent', 67);
    const elsewhere = simAddress('203.0.113.8', 53);
    const tape = new Tape();
    world.network.observe(tape);
    let sent = peer.beDialled(elsewhere);
    const { endpoint } = b.node;
    for (let i = 0; i < 60; i++) {
      endpoint.sendDatagram(peer.key, { source: 1, destination: 2 }, new Uint8Array(1_000), world.network.now);
    }
    sent = [...sent, ...takeSent(world, b)];
    run(world, 5 * SECOND);
    // From where it really is it says something wrong: our CLOSE has no more bytes left for that place.
    sent = [...sent, ...peer.feed(peer.seal(Uint8Array.of(0x07)))];
    run(world, 40 * SECOND);
    const bytes = [...sent, ...tape.from(b).map((one) => ({ to: one.to.key, bytes: one.bytes }))]
      .filter(({ to }) => to === elsewhere.key)
      .reduce((sum, one) => sum + one.bytes.length, 0);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(AMPLIFICATION_LIMIT * RESPONSE_BYTES);
    expect(endpoint.tunnel(peer.key)).toBeUndefined();
    othersAreWell();
  });

  it('does not move us to a place that has not answered, whatever it sends from there', () => {
    const { peer, othersAreWell } = scene();
    const elsewhere = simAddress('203.0.113.8', 53);
    for (let i = 0; i < 100; i++) {
      peer.feed(peer.seal(Uint8Array.of(1)), elsewhere);
      peer.feed(peer.seal(encodeFrames({ kind: 'path-response', token: randomBytes(rng, 8) })), elsewhere);
    }
    expect(tunnelOf(peer)?.activeRoute?.key).toBe(peer.address.key);
    othersAreWell();
  });

  it('does not prove a place by answering its challenge from another', () => {
    const { peer, othersAreWell } = scene();
    const elsewhere = simAddress('203.0.113.8', 53);
    const sent = peer.feed(peer.seal(encodeFrames({ kind: 'ping' }, { kind: 'padding', length: 900 })), elsewhere);
    const challenge = sent
      .filter(({ to }) => to === elsewhere.key)
      .flatMap(({ bytes }) => peer.open(bytes) ?? [])
      .find(({ kind }) => kind === 'path-challenge');
    expect(challenge?.kind).toBe('path-challenge');
    if (challenge?.kind === 'path-challenge') peer.say({ kind: 'path-response', token: challenge.token.slice() });
    const paths = tunnelOf(peer)!.inspect().paths;
    expect(paths.find(({ route }) => route === elsewhere.key)?.isValidated).toBe(false);
    peer.feed(peer.seal(Uint8Array.of(1)), elsewhere);
    expect(tunnelOf(peer)?.activeRoute?.key).toBe(peer.address.key);
    othersAreWell();
  });
});
