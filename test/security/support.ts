import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { assert } from '../../base/assert.ts';
import { concat } from '../../base/bytes.ts';
import { after, type Instant, MILLISECOND, SECOND } from '../../base/time.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { type SimAddress, simAddress } from '../../sim/address.ts';
import type { Observer, WireEvent } from '../../sim/wire-event.ts';
import { type SimPeer, World, type WorldOptions } from '../../sim/world.ts';
import type { EndpointState } from '../../transport/endpoint.ts';
import type { ReceivedDatagram } from '../../transport/events.ts';
import { mac, mac1Key } from '../../transport/gate.ts';
import { writeU64 } from '../../wire/integers.ts';
import {
  decodePacket,
  INITIATION_MAC1_OFFSET,
  INITIATION_MAC2_OFFSET,
  RESPONSE_MAC1_OFFSET,
  TYPE_INITIATION,
} from '../../wire/packet.ts';

/**
 * What the attacks share: two nodes in a simulated network, everything they sent on tape, and a way to hand one of them a
 * datagram past the network and see at once what it sends in answer.
 */
export interface Pair {
  readonly world: World;
  readonly a: SimPeer;
  readonly b: SimPeer;
  readonly tape: Tape;
}

export function pair(options: Partial<WorldOptions> = {}): Pair {
  const world = new World({ seed: 1, crypto: opensslBackend, link: { delay: 10 * MILLISECOND }, ...options });
  const tape = new Tape();
  world.network.observe(tape);
  return { world, a: world.addPeer('a'), b: world.addPeer('b'), tape };
}

/** The same with a tunnel that `a` opened, and nothing under way. */
export function connected(options: Partial<WorldOptions> = {}): Pair {
  const nodes = pair(options);
  const { world, a, b } = nodes;
  world.connect(a, b);
  run(world, SECOND);
  expect(world.hasConverged(a, b)).toBe(true);
  return nodes;
}

export function run(world: World, span: number): void {
  world.network.runUntil(after(world.network.now, span));
}

/** Numbered datagrams in both directions; every one must arrive. */
export function exchangeLetters(world: World, a: SimPeer, b: SimPeer, count = 3): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const before = world.letters(from, to).received;
    for (let i = 0; i < count; i++) expect(world.send(from, to)).toBe(true);
    run(world, SECOND);
    expect(world.letters(from, to).received - before).toBe(count);
  }
}

export interface Taped {
  readonly time: Instant;
  readonly fromHost: string;
  readonly toHost: string;
  readonly from: SimAddress;
  readonly to: SimAddress;
  readonly bytes: Uint8Array;
}

/** Every datagram that a host has sent, in order. */
export class Tape implements Observer {
  readonly all: Taped[] = [];

  datagram(event: WireEvent): void {
    if (event.fate !== 'sent') return;
    const { time, fromHost, toHost, from, to, bytes } = event;
    this.all.push({ time, fromHost, toHost, from, to, bytes: bytes.slice() });
  }

  /** What `peer` sent, of one type where one is given. */
  from(peer: SimPeer, type?: number): Taped[] {
    return this.all.filter(
      ({ fromHost, bytes }) => fromHost === peer.name && (type === undefined || bytes[0] === type),
    );
  }
}

export interface Sent {
  /** `ip:port`. */
  readonly to: string;
  readonly bytes: Uint8Array;
}

const buffer: Uint8Array = new Uint8Array(65_536);

/** What a node has to send, taken from it before the network does. */
export function takeSent(world: World, peer: SimPeer): Sent[] {
  const sent: Sent[] = [];
  const { now } = world.network;
  const { endpoint } = peer.node;
  for (let next = endpoint.pollTransmit(buffer, now); next !== undefined; next = endpoint.pollTransmit(buffer, now)) {
    for (let offset = 0; offset < next.length; offset += next.segmentSize) {
      const end = Math.min(next.length, offset + next.segmentSize);
      sent.push({ to: next.route.key, bytes: buffer.slice(offset, end) });
    }
  }
  peer.node.drain();
  world.network.touch(peer.name);
  return sent;
}

/** Hands a datagram straight to a node; gives what it sends in answer. `stray` collects what it would deliver. */
export function feed(
  world: World,
  peer: SimPeer,
  from: SimAddress,
  bytes: Uint8Array,
  stray?: ReceivedDatagram[],
): Sent[] {
  const { endpoint } = peer.node;
  endpoint.handleDatagram(peer.node.routeTo(from), bytes.slice(), world.network.now);
  if (stray !== undefined) {
    for (let next = endpoint.pollDatagram(); next !== undefined; next = endpoint.pollDatagram()) stray.push(next);
  }
  return takeSent(world, peer);
}

/** All that a node says of itself, and when it next wants to be woken. */
export interface NodeState extends EndpointState {
  readonly nextTimeout: Instant;
}

export function stateOf(peer: SimPeer): NodeState {
  const { endpoint } = peer.node;
  return { ...endpoint.inspect(), nextTimeout: endpoint.nextTimeout() };
}

/** The datagram gets no answer and changes nothing. */
export function expectInert(world: World, peer: SimPeer, from: SimAddress, bytes: Uint8Array, about = ''): void {
  const before = stateOf(peer);
  const events = peer.events.length;
  const sent = feed(world, peer, from, bytes);
  const now = stateOf(peer);
  if (sent.length === 0 && peer.events.length === events && isDeepStrictEqual(now, before)) return;
  expect({ about, sent, events: peer.events.slice(events), state: now }).toEqual({
    about,
    sent: [],
    events: [],
    state: before,
  });
}

/** Somewhere no node is. */
export const ELSEWHERE: SimAddress = simAddress('192.0.2.66', 6666);

/** Many such places, each with a source of its own. */
export function strangeAddress(index: number): SimAddress {
  const octets = [index >>> 16, index >>> 8, index].map((part) => part & 0xff).join('.');
  return simAddress(`100.${octets}`, 1024 + (index % 60_000));
}

/** A data packet of that header; `body` is everything after it, the tag included. */
export function dataPacket(session: number, number: Uint8Array, body: Uint8Array): Uint8Array {
  const length = 16 + body.length;
  return concat(
    Uint8Array.of(0x13, 0, length >>> 8, length, session >>> 24, session >>> 16, session >>> 8, session),
    number,
    body,
  );
}

export function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  writeU64(bytes, 0, value);
  return bytes;
}

/** The handshake message with its MAC1 made right again; MAC2 stays as it is. */
export function withMac1(message: Uint8Array, receiverStaticKey: Uint8Array): Uint8Array {
  const out = message.slice();
  const offset = message[0] === TYPE_INITIATION ? INITIATION_MAC1_OFFSET : RESPONSE_MAC1_OFFSET;
  out.set(mac(opensslBackend, mac1Key(opensslBackend, receiverStaticKey), out.subarray(0, offset)), offset);
  return out;
}

/** The initiation with the MAC2 that this cookie gives. */
export function withMac2(message: Uint8Array, cookie: Uint8Array): Uint8Array {
  const out = message.slice();
  out.set(mac(opensslBackend, cookie, out.subarray(0, INITIATION_MAC2_OFFSET)), INITIATION_MAC2_OFFSET);
  return out;
}

/** The cookie that a node gives to this source: it answers every wrong MAC2 with one. */
export function askCookie(world: World, peer: SimPeer, from: SimAddress, initiation: Uint8Array): Uint8Array {
  const garbled = initiation.slice().fill(0xff, INITIATION_MAC2_OFFSET);
  const [reply] = feed(world, peer, from, garbled);
  assert(reply !== undefined, 'a wrong MAC2 is answered');
  const packet = decodePacket(reply.bytes.slice());
  assert(packet.kind === 'cookie', 'with a cookie');
  return packet.cookie.slice();
}

export function flipped(bytes: Uint8Array, index: number, pattern: number): Uint8Array {
  const out = bytes.slice();
  out[index]! ^= pattern;
  return out;
}

/** A backend that counts what a handshake costs. Its methods are fields, so that it may be spread as other backends are. */
export class CountingBackend implements CryptoBackend {
  readonly name = 'counting';
  diffieHellmans = 0;
  keyPairs = 0;
  verifications = 0;
  readonly aead: CryptoBackend['aead'] = opensslBackend.aead;
  readonly sha256: CryptoBackend['sha256'] = opensslBackend.sha256;
  readonly hmacSha256: CryptoBackend['hmacSha256'] = opensslBackend.hmacSha256;
  readonly hkdfSha256: CryptoBackend['hkdfSha256'] = opensslBackend.hkdfSha256;
  readonly ed25519: CryptoBackend['ed25519'] = opensslBackend.ed25519;
  readonly scrypt: CryptoBackend['scrypt'] = opensslBackend.scrypt;

  readonly x25519: CryptoBackend['x25519'] = (secret) => {
    this.keyPairs += 1;
    const keyPair = opensslBackend.x25519(secret);
    return {
      publicKey: keyPair.publicKey,
      diffieHellman: (publicKey) => {
        this.diffieHellmans += 1;
        return keyPair.diffieHellman(publicKey);
      },
    };
  };

  readonly ed25519Verify: CryptoBackend['ed25519Verify'] = (publicKey, message, signature) => {
    this.verifications += 1;
    return opensslBackend.ed25519Verify(publicKey, message, signature);
  };
}
