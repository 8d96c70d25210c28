import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../base/bytes.ts';
import { MILLISECOND, SECOND } from '../../base/time.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { auditBackend } from '../../sim/audited-backend.ts';
import { readU32, readU64 } from '../../wire/integers.ts';
import { DATA_HEADER_BYTES, TYPE_DATA } from '../../wire/packet.ts';
import { KeyedPeer } from './hostile.ts';
import { connected, ELSEWHERE, exchangeLetters, expectInert, feed, run, stateOf } from './support.ts';

/**
 * R6: one key for both directions, kept apart by a random prefix. Here each direction of each handshake has a key of its own.
 * Every world in these tests runs on the audited backend, which throws at the second seal of a (key, nonce) pair.
 */
describe('R6: the two directions', () => {
  it('have different keys: a packet that comes back to its sender does not open', () => {
    const { world, a, b, tape } = connected();
    exchangeLetters(world, a, b, 10);
    for (const [sender, name] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      const own = sender.tunnelTo(sender === a ? b : a)!.inspect().sessions[0]!.localId;
      const refused = sender.node.endpoint.drops.count('not-authentic');
      const packets = tape.from(sender, TYPE_DATA).filter((_, index) => index < 8);
      for (const { bytes } of packets) {
        expectInert(world, sender, ELSEWHERE, bytes, `${name}, as it was`);
        // Under a number that its window takes, so that only the key stands between.
        const number = concat(bytes.subarray(8, 12), Uint8Array.of(0x7f), bytes.subarray(13, 16));
        expectInert(world, sender, ELSEWHERE, toSession(bytes, own, number), `${name}, renumbered`);
        expectInert(world, sender, ELSEWHERE, toSession(bytes, own), `${name}, readdressed`);
      }
      expect(sender.node.endpoint.drops.count('not-authentic')).toBeGreaterThanOrEqual(refused + packets.length);
    }
    exchangeLetters(world, a, b);
  });

  it('have different keys, also where the number in the header is one that the sender has yet to hear', () => {
    const { world, b } = connected();
    const peer = new KeyedPeer(world, b).join();
    const before = stateOf(b);
    // Its own packet, sealed with the key it sends with, returned as if the victim had sent it.
    const packet = peer.seal(Uint8Array.of(1), 500);
    const returned = toSession(packet, peer.session.localId);
    expect(peer.open(returned)).toBeUndefined();
    expect(peer.open(peer.feed(packet)[0]!.bytes)).toBeDefined();
    expect(stateOf(b)).not.toEqual(before);
  });
});

describe('R6: the keys of many handshakes', () => {
  it('are two for each session, one context sealing with each and another opening, and never the same again', () => {
    const crypto = keyBook();
    const { world, a, b } = connected({ crypto, config: { rekeyAfterPackets: 5, rekeysPerSecond: 1_000 } });
    for (let i = 0; i < 20; i++) exchangeLetters(world, a, b, 5);
    for (let i = 0; i < 3; i++) {
      world.crash(a);
      world.start(a);
      world.connect(a, b);
      run(world, SECOND);
      exchangeLetters(world, a, b, 5);
    }
    const keys = [...crypto.keys.values()].filter(({ sealers, openers }) => sealers.size + openers.size > 0);
    expect(keys.length).toBeGreaterThan(2 * 40);
    for (const { sealers, openers } of keys) {
      expect([sealers.size, openers.size]).toEqual([1, 1]);
      expect(openers).not.toEqual(sealers);
    }
    // No context does both: a side that seals with a key never opens with it.
    const sealing = keys.flatMap(({ sealers }) => [...sealers]);
    const opening = new Set(keys.flatMap(({ openers }) => [...openers]));
    expect(sealing.filter((context) => opening.has(context))).toEqual([]);
  });

  it('open nothing of each other', () => {
    const { world, a, b, tape } = connected({ config: { rekeyAfterPackets: 10, rekeysPerSecond: 1_000 } });
    for (let i = 0; i < 5; i++) exchangeLetters(world, a, b, 10);
    const packets = tape.from(a, TYPE_DATA).map(({ bytes }) => bytes);
    const sessions = new Set(packets.map((bytes) => readU32(bytes, 4)));
    expect(sessions.size).toBeGreaterThan(4);
    const current = b.tunnelTo(a)!.inspect().sessions[0]!.localId;
    const notAuthentic = b.node.endpoint.drops.count('not-authentic');
    const others = packets.filter((bytes) => readU32(bytes, 4) !== current);
    for (const bytes of others) {
      // A number that is new, so that the packet is tried.
      const number = concat(bytes.subarray(8, 12), Uint8Array.of(0x7f), bytes.subarray(13, 16));
      expectInert(world, b, a.address, toSession(bytes, current, number));
    }
    expect(b.node.endpoint.drops.count('not-authentic')).toBe(notAuthentic + others.length);
  });
});

describe('R6: packet numbers', () => {
  it('never repeat in a tunnel, whatever the session, and are never set back', () => {
    const { world, a, b, tape } = connected({
      config: { rekeyAfterPackets: 5, rekeysPerSecond: 1_000 },
      link: { delay: 5 * MILLISECOND, loss: 0.1, reorder: 0.1, reorderDelay: 20 * MILLISECOND },
    });
    for (let i = 0; i < 300; i++) {
      world.send(a, b);
      world.send(b, a);
      run(world, 10 * MILLISECOND);
    }
    run(world, SECOND);
    for (const peer of [a, b]) {
      const numbers = tape.from(peer, TYPE_DATA).map(({ bytes }) => readU64(bytes, 8));
      expect(numbers.length).toBeGreaterThan(300);
      // Upwards, and none left out but now and then one on purpose (RFC 9000 §21.4).
      const steps = numbers.map((number, index) => number - (numbers[index - 1] ?? -1));
      expect(steps.every((step) => step === 1 || step === 2)).toBe(true);
      expect(steps.filter((step) => step === 2).length).toBeLessThanOrEqual(numbers.length / 512);
      expect(new Set(tape.from(peer, TYPE_DATA).map(({ bytes }) => readU32(bytes, 4))).size).toBeGreaterThan(20);
    }
  });

  it('begin at 0 again only under a new key, after a restart of either side', () => {
    const { world, a, b, tape } = connected();
    for (const restarting of [a, b, a]) {
      exchangeLetters(world, a, b, 5);
      world.crash(restarting);
      world.start(restarting);
      world.connect(restarting, restarting === a ? b : a);
      run(world, 2 * SECOND);
    }
    exchangeLetters(world, a, b, 5);
    for (const peer of [a, b]) {
      const packets = tape.from(peer, TYPE_DATA).map(({ bytes }) => bytes);
      const pairs = new Set(packets.map((bytes) => `${readU32(bytes, 4)}/${readU64(bytes, 8)}`));
      expect(pairs.size).toBe(packets.length);
      expect(packets.filter((bytes) => readU64(bytes, 8) === 0).length).toBe(4);
    }
  });

  it('would be found if they did: the audit throws at a number used twice', () => {
    const { world, b } = connected();
    const peer = new KeyedPeer(world, b).join();
    const audited = auditBackend(opensslBackend);
    const aead = audited.aead(new Uint8Array(32));
    aead.seal(new Uint8Array(12), new Uint8Array(0), new Uint8Array(1), new Uint8Array(17));
    expect(() => aead.seal(new Uint8Array(12), new Uint8Array(0), new Uint8Array(1), new Uint8Array(17))).toThrow(
      'sealed twice',
    );
    // A hostile peer may repeat its own; the second one is a replay.
    expect(peer.feed(peer.seal(Uint8Array.of(1), 900)).length).toBeGreaterThan(0);
    const before = stateOf(b);
    expect(feed(world, b, peer.address, peer.seal(Uint8Array.of(1), 900))).toEqual([]);
    expect(stateOf(b)).toEqual(before);
  });
});

interface KeyUse {
  readonly sealers: Set<number>;
  readonly openers: Set<number>;
}

/** Which contexts of each key sealed or opened data packets: those whose associated data is their 16-byte header. */
function keyBook(): CryptoBackend & { readonly keys: ReadonlyMap<string, KeyUse> } {
  const keys = new Map<string, KeyUse>();
  let contexts = 0;
  return {
    ...opensslBackend,
    keys,
    aead: (key) => {
      const inner = opensslBackend.aead(key);
      const context = contexts++;
      const fingerprint = toHex(opensslBackend.sha256(key));
      const use = keys.get(fingerprint) ?? { sealers: new Set(), openers: new Set() };
      keys.set(fingerprint, use);
      return {
        seal(nonce, aad, ...rest): number {
          if (aad.length === DATA_HEADER_BYTES) use.sealers.add(context);
          return inner.seal(nonce, aad, ...rest);
        },
        open(nonce, aad, ...rest): number {
          const length = inner.open(nonce, aad, ...rest);
          if (length >= 0 && aad.length === DATA_HEADER_BYTES) use.openers.add(context);
          return length;
        },
        wipe: () => inner.wipe(),
      };
    },
  };
}

function toSession(packet: Uint8Array, session: number, number: Uint8Array = packet.subarray(8, 16)): Uint8Array {
  const id = Uint8Array.of(session >>> 24, session >>> 16, session >>> 8, session);
  return concat(packet.subarray(0, 4), id, number, packet.subarray(16));
}
