import { describe, expect, it } from 'vitest';
import { ascii, concat, toHex } from '../../base/bytes.ts';
import { MILLISECOND, SECOND } from '../../base/time.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { type SimPeer, World } from '../../sim/world.ts';
import { formatAddress } from '../../wire/address.ts';
import { writeU16, writeU32 } from '../../wire/integers.ts';
import { TYPE_COOKIE, TYPE_DATA, TYPE_INITIATION, TYPE_RESPONSE } from '../../wire/packet.ts';
import { recordOf } from './hostile.ts';
import { exchangeLetters, run, Tape } from './support.ts';

/** C9: who talks to whom is nobody else's business. Nothing that names a node stands in clear in anything it sends. */
const WINDOW = 8;

/** Every run of eight bytes of what must stay hidden, and whose it is. */
class Secrets {
  readonly #windows: Map<string, string> = new Map();
  /** Shorter ones, searched as a whole. */
  readonly #short: [string, string][] = [];

  add(name: string, bytes: Uint8Array): void {
    if (bytes.length < WINDOW) this.#short.push([toHex(bytes), name]);
    for (let i = 0; i + WINDOW <= bytes.length; i++) {
      this.#windows.set(toHex(bytes.subarray(i, i + WINDOW)), `${name}, from byte ${i}`);
    }
  }

  findIn(bytes: Uint8Array): string[] {
    const text = toHex(bytes);
    const found: string[] = [];
    for (let i = 0; i + 2 * WINDOW <= text.length; i += 2) {
      const name = this.#windows.get(text.slice(i, i + 2 * WINDOW));
      if (name !== undefined) found.push(name);
    }
    for (const [short, name] of this.#short) {
      for (let at = text.indexOf(short); at >= 0; at = text.indexOf(short, at + 1)) if (at % 2 === 0) found.push(name);
    }
    return found;
  }
}

function secretsOf(peers: readonly SimPeer[]): Secrets {
  const secrets = new Secrets();
  for (const { name, identity } of peers) {
    const { address, signing, exchange } = identity;
    secrets.add(`the identity key of ${name}`, signing.publicKey);
    secrets.add(`the static key of ${name}`, exchange.publicKey);
    secrets.add(`the name of ${name}`, ascii(name));
    secrets.add(`the address of ${name} as text`, ascii(formatAddress(address)));
    const node = new Uint8Array(4);
    writeU32(node, 0, address.node);
    const network = new Uint8Array(2);
    writeU16(network, 0, address.network);
    secrets.add(`the node of ${name}`, node);
    secrets.add(`the address of ${name}`, concat(network, node));
  }
  return secrets;
}

/** From the node on: what stands before it is a sequence number that may be nothing but zeros. */
const RECORD_NODE_OFFSET = 12;

function watched(options: Partial<ConstructorParameters<typeof World>[0]> = {}): {
  world: World;
  tape: Tape;
  alice: SimPeer;
  bob: SimPeer;
} {
  const world = new World({ seed: 9, crypto: opensslBackend, link: { delay: 10 * MILLISECOND }, ...options });
  const tape = new Tape();
  world.network.observe(tape);
  const alice = world.addPeer('alice-of-the-north-wing');
  const bob = world.addPeer('bob-of-the-south-wing');
  return { world, tape, alice, bob };
}

describe('what a wire tapper sees', () => {
  it('holds no key, address, name or record of either side: connects, traffic, rekeys, cookies, restarts, closes', () => {
    const { world, tape, alice, bob } = watched({ config: { rekeyAfterPackets: 20, rekeysPerSecond: 1_000 } });
    const secrets = secretsOf([alice, bob]);
    const records = new Map<string, Uint8Array>();
    const round = (from: SimPeer, to: SimPeer): void => {
      world.connect(from, to);
      run(world, 2 * SECOND);
      for (let i = 0; i < 10; i++) exchangeLetters(world, alice, bob, 5);
    };
    round(alice, bob);
    // A restart meets a live session at the other side, which asks for a cookie.
    world.crash(alice);
    world.start(alice);
    round(alice, bob);
    world.crash(bob);
    world.start(bob);
    round(bob, alice);
    alice.node.endpoint.close(bob.key, 'SHUTDOWN', 'good night', world.network.now);
    world.network.touch(alice.name);
    run(world, 10 * SECOND);
    // Both at once, and an address that moves.
    world.connect(alice, bob);
    world.connect(bob, alice);
    run(world, 2 * SECOND);
    world.rebind(alice, 5555);
    exchangeLetters(world, alice, bob, 5);

    for (const { events } of [alice, bob]) {
      for (const event of events) if (event.kind === 'record') records.set(toHex(event.bytes), event.bytes);
    }
    expect(records.size).toBeGreaterThanOrEqual(4);
    for (const bytes of records.values()) secrets.add('a record', bytes.subarray(RECORD_NODE_OFFSET));
    const types = new Set(tape.all.map(({ bytes }) => bytes[0]));
    expect([...types].sort()).toEqual([TYPE_INITIATION, TYPE_RESPONSE, TYPE_COOKIE, TYPE_DATA]);
    expect([alice, bob].flatMap(({ events }) => events).some(({ kind }) => kind === 'rekeyed')).toBe(true);
    expect([alice, bob].flatMap(({ events }) => events).some(({ kind }) => kind === 'path-changed')).toBe(true);
    expect(tape.all.length).toBeGreaterThan(300);
    const found = tape.all.flatMap(({ bytes, fromHost }) =>
      secrets.findIn(bytes).map((what) => `${what} by ${fromHost}`),
    );
    expect(found).toEqual([]);
  });

  it('holds nothing of a dialler that nobody answers, nor of the node that it asks for', () => {
    const { world, tape, alice, bob } = watched();
    const secrets = secretsOf([alice, bob]);
    secrets.add('the record of alice', recordOf(alice.identity).subarray(RECORD_NODE_OFFSET, -64));
    world.crash(bob);
    world.connect(alice, bob);
    run(world, 45 * SECOND);
    expect(tape.from(alice, TYPE_INITIATION).length).toBeGreaterThan(20);
    expect(tape.all.flatMap(({ bytes }) => secrets.findIn(bytes))).toEqual([]);
  });

  it('looks alike from session to session: no run of eight bytes but zeros, clear headers and repeated initiations comes twice', () => {
    const { world, tape, alice, bob } = watched();
    for (let i = 0; i < 5; i++) {
      world.connect(alice, bob);
      run(world, SECOND);
      alice.node.endpoint.close(bob.key, 'NO_ERROR', '', world.network.now);
      world.network.touch(alice.name);
      run(world, 10 * SECOND);
    }
    const seen = new Map<string, number>();
    const twice: string[] = [];
    tape.all.forEach(({ bytes }, index) => {
      // Past the clear header: ephemeral keys, ciphertext, tags and MAC1.
      const clear = bytes[0] === TYPE_RESPONSE || bytes[0] === TYPE_DATA ? 16 : 12;
      const end = bytes[0] === TYPE_INITIATION ? bytes.length - 16 : bytes.length;
      for (let i = clear; i + WINDOW <= end; i++) {
        const window = toHex(bytes.subarray(i, i + WINDOW));
        const before = seen.get(window);
        if (before !== undefined) twice.push(`${window} in datagrams ${before} and ${index}`);
        seen.set(window, index);
      }
    });
    expect(tape.from(alice, TYPE_INITIATION).length).toBe(5);
    expect(twice).toEqual([]);
  });

  it('would be found: the search sees a key, an address, a name and a record where they are', () => {
    const { alice, bob } = watched();
    const secrets = secretsOf([alice, bob]);
    const found = secrets.findIn(concat(new Uint8Array(100), recordOf(alice.identity), new Uint8Array(100)));
    for (const what of ['identity key', 'static key', 'node', 'address']) {
      expect(found.some((name) => name.includes(what))).toBe(true);
    }
    expect(secrets.findIn(ascii('hello bob-of-the-south-wing')).length).toBeGreaterThan(0);
  });
});
