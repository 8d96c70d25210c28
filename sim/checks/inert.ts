import type { Endpoint } from '../../transport/endpoint.ts';
import { SimFailure } from '../failure.ts';
import type { Observer, WireEvent } from '../wire-event.ts';

/**
 * Invariant I4: what an endpoint has had already, or what nobody ever sent, changes nothing but a counter.
 *
 * A datagram is known by its number, which all its copies share, whoever made them. Once one has been taken by a run of a node,
 * every other is a replay to that run; what a link or an adversary has broken is a forgery to everybody. Each of these must be
 * counted as dropped, and of every few the whole state is compared. Copies of handshake messages are legal questions: an
 * initiation may be answered again and hold a provisional place, a cookie be learnt again. They too leave every tunnel as it was.
 */
export class InertCheck implements Observer {
  /** What the network has just announced and the node is about to get. */
  #announced: { readonly id: number; readonly isBroken: boolean } | undefined;
  /** What each run of a node has taken. */
  readonly #taken: WeakMap<Endpoint, Set<number>> = new WeakMap();
  #inert = 0;

  /** Replays and forgeries that were looked at. */
  get inert(): number {
    return this.#inert;
  }

  datagram(event: WireEvent): void {
    if (event.fate === 'delivered') this.#announced = { id: event.id, isBroken: event.corruption !== undefined };
  }

  /** Instead of `handle`, which it calls. */
  around(endpoint: Endpoint, bytes: Uint8Array, handle: () => void): void {
    const announced = this.#announced;
    this.#announced = undefined;
    if (announced === undefined || bytes.length === 0) {
      handle();
      return;
    }
    const taken = this.#takenBy(endpoint);
    const dropped = endpoint.drops.total;
    if (!announced.isBroken && !taken.has(announced.id)) {
      handle();
      // One that was turned away for want of room, say, may yet be taken.
      if (endpoint.drops.total === dropped) taken.add(announced.id);
      return;
    }
    const type = bytes[0]!;
    const isCompared = this.#inert++ % COMPARED_EVERY === 0;
    const before = isCompared ? describe(endpoint, type) : '';
    handle();
    const what = announced.isBroken ? 'a broken datagram' : 'a datagram that came before';
    if (!ANSWERED_AGAIN.has(type) && endpoint.drops.total === dropped) {
      throw new SimFailure(`I4: ${what} was taken (type ${type})`);
    }
    if (isCompared && describe(endpoint, type) !== before) throw new SimFailure(`I4: ${what} changed something`);
  }

  #takenBy(endpoint: Endpoint): Set<number> {
    let taken = this.#taken.get(endpoint);
    if (taken === undefined) {
      taken = new Set();
      this.#taken.set(endpoint, taken);
    }
    return taken;
  }
}

/** To compare costs as much as to handle; each endpoint sees hundreds in a run. */
const COMPARED_EVERY = 8;

const TYPE_INITIATION = 0x10;
const TYPE_COOKIE = 0x12;
const ANSWERED_AGAIN: ReadonlySet<number> = new Set([TYPE_INITIATION, TYPE_COOKIE]);

/** Everything a datagram of this type must leave alone. */
function describe(endpoint: Endpoint, type: number): string {
  const streams = endpoint.tunnels.map((tunnel) => tunnel.streams.inspect());
  const { tunnels, ...rest } = endpoint.inspect();
  const strangers = type === TYPE_INITIATION ? undefined : rest;
  const timeout = type === TYPE_INITIATION ? undefined : endpoint.nextTimeout();
  return JSON.stringify({ tunnels, streams, strangers, timeout });
}
