import { expect } from 'vitest';
import { after, type Instant, MILLISECOND, SECOND } from '../../../base/time.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import type { SimAddress } from '../../../sim/address.ts';
import { simAddress } from '../../../sim/address.ts';
import type { WireEvent } from '../../../sim/wire-event.ts';
import type { SimPeer, WorldOptions } from '../../../sim/world.ts';
import { World } from '../../../sim/world.ts';
import type { DownReason } from '../../../transport/events.ts';
import type { TunnelState } from '../../../transport/tunnel.ts';
import type { CloseCode } from '../../../wire/close-codes.ts';
import { readU32 } from '../../../wire/integers.ts';

/** What the tests of whole tunnels share: two nodes in a simulated network, and the words to say what happens to them. */
export const DELAY: number = 10 * MILLISECOND;
export const ROUND_TRIP: number = 2 * DELAY;

export class Lab {
  readonly world: World;
  readonly a: SimPeer;
  readonly b: SimPeer;
  readonly seed: number;

  constructor(options: Partial<WorldOptions> = {}) {
    this.seed = options.seed ?? 1;
    this.world = new World({ crypto: opensslBackend, link: { delay: DELAY }, ...options, seed: this.seed });
    this.a = this.world.addPeer('a');
    this.b = this.world.addPeer('b');
  }

  /** With a tunnel that both sides use. */
  static open(options: Partial<WorldOptions> = {}): Lab {
    const lab = new Lab(options);
    lab.world.connect(lab.a, lab.b);
    lab.converge();
    return lab;
  }

  get now(): Instant {
    return this.world.network.now;
  }

  get label(): string {
    return `seed ${this.seed}`;
  }

  run(span: number): void {
    this.world.network.runUntil(after(this.now, span));
  }

  /** False where it does not come true within the span. */
  until(condition: () => boolean, span: number): boolean {
    return this.world.network.runUntilTrue(condition, after(this.now, span));
  }

  converge(): void {
    expect(
      this.until(() => this.world.hasConverged(this.a, this.b), 30 * SECOND),
      this.label,
    ).toBe(true);
  }

  /** Nothing goes from one to the other, or in either direction. */
  cut(...directions: readonly (readonly [SimPeer, SimPeer])[]): void {
    this.#setLinks(directions, true);
  }

  /** As the default link is then. */
  heal(...directions: readonly (readonly [SimPeer, SimPeer])[]): void {
    this.#setLinks(directions, false);
  }

  /** Sends a datagram every `interval` for `span`, and goes on to the end of it. */
  talk(from: SimPeer, to: SimPeer, options: Talk): void {
    const { span, interval = 100 * MILLISECOND, length = 64 } = options;
    const start = this.now;
    for (let at = 0; at < span; at += interval) {
      this.world.network.at(after(start, at), () => void this.world.send(from, to, length));
    }
    this.run(span);
  }

  /** As `talk` in both directions. */
  converse(options: Talk): void {
    const { span, interval = 100 * MILLISECOND, length = 64 } = options;
    const start = this.now;
    for (let at = 0; at < span; at += interval) {
      this.world.network.at(after(start, at), () => void this.world.send(this.b, this.a, length));
    }
    this.talk(this.a, this.b, options);
  }

  received(from: SimPeer, to: SimPeer): number {
    return this.world.letters(from, to).received;
  }

  /** One datagram from each to the other, which must arrive. */
  expectUsable(): void {
    for (const [from, to] of [
      [this.a, this.b],
      [this.b, this.a],
    ] as const) {
      const before = this.received(from, to);
      expect(this.world.send(from, to), `${this.label}: ${from.name} may send`).toBe(true);
      const arrives = this.until(() => this.received(from, to) > before, 2 * SECOND);
      expect(arrives, `${this.label}: from ${from.name} to ${to.name}`).toBe(true);
    }
  }

  other(peer: SimPeer): SimPeer {
    return peer === this.a ? this.b : this.a;
  }

  state(peer: SimPeer): TunnelState {
    const tunnel = peer.tunnelTo(this.other(peer));
    expect(tunnel, `${this.label}: ${peer.name} has a tunnel`).toBeDefined();
    return tunnel!.inspect();
  }

  close(peer: SimPeer, code: CloseCode = 'SHUTDOWN', reason = 'bye'): void {
    peer.node.endpoint.close(this.other(peer).key, code, reason, this.now);
    peer.node.drain();
    this.world.network.touch(peer.name);
  }

  /** How long until a datagram has arrived each way, both sending every 20 ms; undefined where it takes longer than `most`. */
  recovery(most: number): number | undefined {
    const { a, b, world } = this;
    const start = this.now;
    const [toB, toA] = [this.received(a, b), this.received(b, a)];
    const flows = (): boolean => this.received(a, b) > toB && this.received(b, a) > toA;
    while (!flows() && this.now - start < most) {
      world.send(a, b);
      world.send(b, a);
      const next = after(this.now, 20 * MILLISECOND);
      if (!world.network.runUntilTrue(flows, next)) world.network.runUntil(next);
    }
    return flows() ? this.now - start : undefined;
  }

  #setLinks(directions: readonly (readonly [SimPeer, SimPeer])[], down: boolean): void {
    const both = [
      [this.a, this.b],
      [this.b, this.a],
    ] as const;
    for (const [from, to] of directions.length > 0 ? directions : both) {
      this.world.network.setLink(from.name, to.name, down ? { down } : {});
    }
  }
}

export interface Talk {
  readonly span: number;
  readonly interval?: number;
  readonly length?: number;
}

export function downs(peer: SimPeer): DownReason[] {
  return peer.events.flatMap((event) => (event.kind === 'tunnel-down' ? [event.reason] : []));
}

export function count(peer: SimPeer, kind: SimPeer['events'][number]['kind']): number {
  return peer.events.filter((event) => event.kind === kind).length;
}

/** An address that an attacker writes on his packets. Nobody is there. */
export const VICTIM: SimAddress = simAddress('10.66.0.6', 666);

/** Bytes to and from one address, as that address sees them. */
export class Meter {
  to = 0;
  from = 0;

  constructor(lab: Lab, address: SimAddress) {
    lab.world.network.observe({
      datagram: ({ fate, from, to, bytes }: WireEvent) => {
        if (fate === 'sent' && to.key === address.key) this.to += bytes.length;
        if (fate === 'delivered' && from.key === address.key) this.from += bytes.length;
      },
    });
  }
}

export interface SentPacket {
  readonly time: Instant;
  readonly from: string;
  readonly to: SimAddress;
  readonly type: number;
  /** The receiver's session id, of a data packet. */
  readonly session: number;
  readonly length: number;
}

/** Everything that is sent from now on. */
export function watch(lab: Lab): SentPacket[] {
  const sent: SentPacket[] = [];
  lab.world.network.observe({
    datagram: ({ fate, time, fromHost, to, bytes }: WireEvent) => {
      if (fate !== 'sent') return;
      sent.push({ time, from: fromHost, to, type: bytes[0]!, session: readU32(bytes, 4), length: bytes.length });
    },
  });
  return sent;
}

export function bytesOf(packets: readonly SentPacket[]): number {
  return packets.reduce((sum, packet) => sum + packet.length, 0);
}

/** A node that has nothing left of a tunnel: no state, no id, no timer. */
export function expectForgotten(peer: SimPeer): void {
  const { endpoint } = peer.node;
  expect(endpoint.inspect(), peer.name).toEqual({
    tunnels: [],
    provisional: [],
    sessionIds: 0,
    replies: 0,
    events: 0,
    received: 0,
    budget: 0,
  });
  expect(endpoint.nextTimeout(), peer.name).toBe(Number.POSITIVE_INFINITY);
}
