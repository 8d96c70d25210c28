import { describe, expect, it } from 'vitest';
import { toHex } from '../../../base/bytes.ts';
import { after, earliest, type Instant, instant, SECOND } from '../../../base/time.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { Endpoint } from '../../../transport/endpoint.ts';
import type { PeerKeys } from '../../../transport/handshake.ts';
import { type DirectRoute, directRoute } from '../../../transport/route.ts';
import { makeSelf } from '../../security/hostile.ts';
import { heap } from '../heap.ts';

const PORT = 80;
const KIB = 1_024;

/** An endpoint, by its number, which is the route to it. */
class Side {
  readonly endpoint: Endpoint;
  readonly keys: PeerKeys;
  readonly key: string;
  readonly route: DirectRoute;

  constructor(number: number, now: Instant) {
    const { identity, record } = makeSelf(new SeededRng(1_000 + number));
    const options = { crypto: opensslBackend, identity, record, admit: () => true };
    this.endpoint = new Endpoint({ ...options, rng: new SeededRng(number), config: { tunnelsMax: 10_000 } }, now);
    this.endpoint.listen(PORT);
    this.keys = { identityKey: identity.signing.publicKey, staticKey: identity.exchange.publicKey };
    this.key = toHex(this.keys.identityKey);
    this.route = directRoute(0, { family: 4, address: Uint8Array.of(192, 0, 2, 1), port: number });
  }
}

/** Nodes of which each has a tunnel to each of many others, over a network that takes no time. */
class Network {
  now: Instant = instant(10 * SECOND);
  readonly hubs: readonly Side[];
  readonly others: readonly Side[];
  readonly #sides: Map<string, Side> = new Map();
  readonly #buffer = new Uint8Array(65_536);

  constructor(hubs: number, others: number) {
    const sides = Array.from({ length: hubs + others }, (_, i) => new Side(1 + i, this.now));
    this.hubs = sides.slice(0, hubs);
    this.others = sides.slice(hubs);
    for (const side of sides) this.#sides.set(side.route.key, side);
  }

  /** The hub opens a tunnel to each, and a stream in it that carries something and ends both ways. */
  useAll(hub: Side): void {
    const { endpoint } = hub;
    for (const other of this.others) {
      endpoint.connect(other.keys, [other.route], this.now);
      this.#settle([hub, other]);
      const stream = endpoint.openStream(other.key, { source: 1, destination: PORT }, 1, this.now);
      if (typeof stream !== 'number') expect.fail(stream);
      endpoint.writeStream(other.key, stream, new Uint8Array(3_000), this.now);
      endpoint.finishStream(other.key, stream, this.now);
      this.#settle([hub, other]);
    }
  }

  /** All that has to be said now is said, and answered. */
  #settle(sides: readonly Side[]): void {
    for (let isQuiet = false; !isQuiet; ) {
      isQuiet = true;
      for (const side of sides) if (this.#send(side)) isQuiet = false;
      for (const side of sides) this.#follow(side);
    }
  }

  /** Everybody is called when it wants to be. */
  run(span: number): void {
    const all = [...this.hubs, ...this.others];
    for (const end = after(this.now, span); ; ) {
      const next = all.reduce((at, { endpoint }) => earliest(at, endpoint.nextTimeout()), end);
      this.now = instant(Math.max(this.now, next));
      if (this.now >= end) return;
      for (const { endpoint } of all) if (endpoint.nextTimeout() <= this.now) endpoint.handleTimeout(this.now);
      this.#settle(all);
    }
  }

  #send(from: Side): boolean {
    let sent = false;
    for (;;) {
      const transmit = from.endpoint.pollTransmit(this.#buffer, this.now);
      if (transmit === undefined) return sent;
      sent = true;
      const to = this.#sides.get(transmit.route.key)!;
      to.endpoint.handleDatagram(from.route, this.#buffer.slice(0, transmit.length), this.now);
    }
  }

  #follow({ endpoint }: Side): void {
    while (endpoint.pollEvent() !== undefined);
    for (let event = endpoint.pollStreamEvent(); event !== undefined; event = endpoint.pollStreamEvent()) {
      if (event.kind === 'opened') {
        endpoint.acceptStream(event.peer, event.stream, PORT, this.now);
        endpoint.finishStream(event.peer, event.stream, this.now);
      }
      if (event.kind === 'readable') while (endpoint.readStream(event.peer, event.stream, this.now) !== undefined);
    }
  }
}

describe('memory', () => {
  it('of an idle tunnel is about eleven kibibytes, after a stream has come and gone, and with keepalives going to and fro', () => {
    const count = 250;
    // The first tunnel of each node also pays for tables and code.
    const network = new Network(2, count);
    network.useAll(network.hubs[0]!);
    network.run(200 * SECOND);
    const before = heap();
    network.useAll(network.hubs[1]!);
    const each = (): number => (heap() - before) / (2 * count);
    network.run(4 * SECOND);
    expect(each()).toBeLessThan(13 * KIB);
    // Keys are replaced meanwhile, for the traffic there was.
    network.run(200 * SECOND);
    expect(each()).toBeLessThan(13 * KIB);
    for (const { endpoint } of network.hubs) {
      expect(endpoint.tunnels.filter(({ state }) => state === 'open').length).toBe(count);
    }
  });
});
