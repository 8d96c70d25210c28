import { describe, expect, it } from 'vitest';
import { concat } from '../../base/bytes.ts';
import { randomBytes } from '../../base/rng.ts';
import { MILLISECOND, SECOND } from '../../base/time.ts';
import { SeededRng } from '../../sim/rng.ts';
import type { SimPeer } from '../../sim/world.ts';
import { writeU16 } from '../../wire/integers.ts';
import {
  INITIATION_BYTES,
  INITIATION_MAC1_OFFSET,
  INITIATION_MAC2_OFFSET,
  TYPE_COOKIE,
  TYPE_DATA,
  TYPE_INITIATION,
  TYPE_RESPONSE,
} from '../../wire/packet.ts';
import { craftInitiation, makeSelf } from './hostile.ts';
import {
  CountingBackend,
  connected,
  ELSEWHERE,
  exchangeLetters,
  expectInert,
  feed,
  flipped,
  type Pair,
  pair,
  run,
  strangeAddress,
  withMac1,
} from './support.ts';

/** Whoever does not know our key gets no byte from us, and no place in our memory. */
const rng = new SeededRng(0x51);

/** A node in each state in which it may be found, and who it has to do with. */
const STATES: readonly { readonly name: string; readonly make: () => Pair }[] = [
  { name: 'that nobody knows yet', make: () => pair() },
  { name: 'with a live tunnel', make: () => connected() },
  { name: 'that is dialling', make: () => startedBy('b', 5 * MILLISECOND) },
  { name: 'with a provisional session', make: () => startedBy('a', 15 * MILLISECOND) },
  {
    name: 'that is closing a tunnel',
    make: () => {
      const nodes = connected();
      nodes.b.node.endpoint.close(nodes.a.key, 'SHUTDOWN', '', nodes.world.network.now);
      nodes.world.network.touch('b');
      return nodes;
    },
  },
];

function startedBy(name: 'a' | 'b', span: number): Pair {
  const nodes = pair();
  const { world, a, b } = nodes;
  if (name === 'a') world.connect(a, b);
  else world.connect(b, a);
  run(world, span);
  return nodes;
}

function randomDatagram(receiver: SimPeer): Uint8Array {
  const bytes = randomBytes(rng, rng.chance(0.1) ? rng.below(9_000) : rng.below(1_500));
  const shape = rng.below(4);
  if (bytes.length < 48 || shape === 0) return bytes;
  // Every other check in the header is passed, so that what refuses it is behind that.
  bytes[0] = rng.pick([TYPE_INITIATION, TYPE_RESPONSE, TYPE_COOKIE, TYPE_DATA, 0x14]);
  if (shape === 1) return bytes;
  bytes[1] = 0;
  const length = bytes[0] === TYPE_DATA ? bytes.length : bytes[0] === TYPE_COOKIE ? 40 : INITIATION_BYTES;
  const whole = concat(
    bytes.subarray(0, Math.min(length, bytes.length)),
    new Uint8Array(Math.max(0, length - bytes.length)),
  );
  writeU16(whole, 2, length);
  if (whole[0] !== TYPE_DATA && whole[0] !== TYPE_COOKIE) whole.set([0, 1, 0, 0], 4);
  const known = receiver.node.endpoint.tunnels.flatMap((tunnel) => tunnel.inspect().sessions);
  if (shape === 3 && known.length > 0) {
    const id = known[0]!.localId;
    const at = whole[0] === TYPE_RESPONSE ? 12 : 4;
    whole.set([id >>> 24, (id >>> 16) & 0xff, (id >>> 8) & 0xff, id & 0xff], at);
  }
  if (whole[0] === TYPE_DATA) whole.fill(0, 8, 12);
  return whole;
}

describe('random datagrams', () => {
  for (const { name, make } of STATES) {
    it(`get no byte from a node ${name}, and change nothing: 10,000 of them`, () => {
      const { world, a, b } = make();
      for (let i = 0; i < 10_000; i++) {
        expectInert(world, b, i % 2 === 0 ? a.address : strangeAddress(i), randomDatagram(b), `datagram ${i}`);
      }
      expect(b.node.endpoint.drops.total).toBeGreaterThan(9_000);
    });
  }

  it('are not counted for more than one each, and an empty one is nothing', () => {
    const { world, b } = pair();
    expectInert(world, b, ELSEWHERE, new Uint8Array(0));
    expect(b.node.endpoint.drops.total).toBe(0);
    for (let length = 1; length < 64; length++) {
      const before = b.node.endpoint.drops.total;
      expectInert(world, b, ELSEWHERE, randomBytes(rng, length));
      expect(b.node.endpoint.drops.total).toBe(before + 1);
    }
  });
});

describe('genuine packets cut short or drawn out', () => {
  /** One of each type, and a node to which each of them means something. */
  function specimens(): { nodes: Pair; packets: { receiver: SimPeer; sender: SimPeer; bytes: Uint8Array }[] } {
    const nodes = pair();
    const { world, a, b, tape } = nodes;
    world.network.setAdversary(() => 'drop');
    world.connect(a, b);
    run(world, MILLISECOND);
    const initiation = tape.from(a, TYPE_INITIATION)[0]!.bytes;
    const cookie = feed(world, b, a.address, flipped(initiation, INITIATION_MAC2_OFFSET, 1))[0]!.bytes;
    const response = feed(world, b, a.address, initiation)[0]!.bytes;
    return {
      nodes,
      packets: [
        { receiver: b, sender: a, bytes: initiation },
        { receiver: a, sender: b, bytes: cookie },
        { receiver: a, sender: b, bytes: response },
      ],
    };
  }

  it('are dropped in silence at every shorter length, with and without the length field saying so', () => {
    const { nodes, packets } = specimens();
    for (const { receiver, sender, bytes } of packets) {
      for (let length = 0; length < bytes.length; length++) {
        const cut = bytes.slice(0, length);
        expectInert(nodes.world, receiver, sender.address, cut, `${length} bytes`);
        if (length < 4) continue;
        writeU16(cut, 2, length);
        expectInert(nodes.world, receiver, sender.address, cut, `${length} bytes, as it says`);
      }
    }
  });

  it('are dropped in silence where they say that they are longer', () => {
    const { nodes, packets } = specimens();
    for (const { receiver, sender, bytes } of packets) {
      for (const more of [1, 2, 16, 17, 100, 1_200, 20_000]) {
        for (const tail of [new Uint8Array(more), randomBytes(rng, more)]) {
          const drawn = concat(bytes, tail);
          writeU16(drawn, 2, drawn.length);
          expectInert(nodes.world, receiver, sender.address, drawn, `${more} bytes more`);
          if (bytes.length === 40) continue;
          const key = receiver.keys.staticKey;
          expectInert(nodes.world, receiver, sender.address, withMac1(drawn, key), `${more} bytes more, MAC1 right`);
        }
      }
    }
  });

  it('are dropped in silence as data packets, and the tunnel goes on', () => {
    const { world, a, b, tape } = connected();
    world.network.setAdversary(() => 'drop');
    world.send(a, b, 200);
    const { bytes } = tape.from(a, TYPE_DATA).at(-1)!;
    world.network.setAdversary(undefined);
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.slice(0, length);
      expectInert(world, b, a.address, cut);
      if (length < 4) continue;
      writeU16(cut, 2, length);
      expectInert(world, b, a.address, cut);
    }
    for (const more of [1, 16, 1_000, 60_000]) {
      const drawn = concat(bytes, randomBytes(rng, more));
      writeU16(drawn, 2, drawn.length);
      expectInert(world, b, a.address, drawn);
    }
    run(world, SECOND);
    exchangeLetters(world, a, b);
  });

  it('that stand behind a genuine packet in one read are dropped, and that packet is not', () => {
    const { world, a, b, tape } = connected();
    world.network.setAdversary(() => 'drop');
    world.send(a, b);
    const { bytes } = tape.from(a, TYPE_DATA).at(-1)!;
    world.network.setAdversary(undefined);
    const received = world.letters(a, b).received;
    const { drops } = b.node.endpoint;
    feed(world, b, a.address, concat(bytes, bytes, bytes.subarray(0, 30)));
    expect(world.letters(a, b).received).toBe(received + 1);
    expect([drops.count('replayed'), drops.count('unsplittable')]).toEqual([1, 1]);
  });
});

describe('initiations by somebody who does not know our key', () => {
  it('get no byte and cost no Diffie-Hellman: 10,000 of them, with any MAC1 but the right one', () => {
    const crypto = new CountingBackend();
    const { world, a, b, tape } = pair({ crypto });
    world.connect(b, a);
    run(world, MILLISECOND);
    const self = makeSelf(rng);
    const other = makeSelf(rng).identity.exchange.publicKey;
    const { message } = craftInitiation({
      rng,
      to: b.keys.staticKey,
      staticKey: self.identity.exchange,
      record: self.record,
    });
    const made = [
      // Right but for MAC1: for another receiver, random, zero, and MAC1 of something else.
      withMac1(message, other),
      withMac1(message, a.keys.staticKey),
      withMac1(message, b.keys.identityKey),
      message.slice().fill(0, INITIATION_MAC1_OFFSET, INITIATION_MAC2_OFFSET),
      // What this node has sent itself.
      tape.from(b, TYPE_INITIATION)[0]!.bytes,
    ];
    const before = crypto.diffieHellmans;
    for (let i = 0; i < 10_000; i++) {
      let bytes = made[i % 8];
      if (bytes === undefined) {
        bytes = message.slice();
        rng.fill(bytes.subarray(INITIATION_MAC1_OFFSET, rng.chance(0.5) ? INITIATION_BYTES : INITIATION_MAC2_OFFSET));
      }
      expectInert(world, b, strangeAddress(i), bytes);
    }
    expect(crypto.diffieHellmans).toBe(before);
    expect(b.node.endpoint.drops.entries()).toEqual([['bad-mac1', 10_000]]);
  });

  it('get no byte where only the Noise message inside is not for us, MAC1 being right', () => {
    const { world, b } = pair();
    const self = makeSelf(rng);
    const other = makeSelf(rng).identity.exchange.publicKey;
    const { message } = craftInitiation({ rng, to: other, staticKey: self.identity.exchange, record: self.record });
    expectInert(world, b, ELSEWHERE, withMac1(message, b.keys.staticKey));
    expect(b.node.endpoint.drops.entries()).toEqual([['not-authentic', 1]]);
  });
});
