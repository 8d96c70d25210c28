import { assert } from '../base/assert.ts';
import type { Rng } from '../base/rng.ts';
import type { Instant } from '../base/time.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import type { Identity } from '../crypto/identity.ts';
import type { TunnelConfig } from '../transport/constants.ts';
import type { EndpointOptions, PeerStreamEvent } from '../transport/endpoint.ts';
import { Endpoint } from '../transport/endpoint.ts';
import type { ReceivedDatagram, TunnelEvent } from '../transport/events.ts';
import type { Route } from '../transport/route.ts';
import type { SimAddress } from './address.ts';
import type { OutgoingDatagram, SimMachine } from './machine.ts';

/** A simulated route: the address is its key, and behind a NAT that is all a node ever sees of another. */
export interface SimRoute extends Route {
  readonly address: SimAddress;
}

export function simRoute(address: SimAddress): SimRoute {
  return { key: address.key, source: address.ip, address };
}

const POISON = 0xdd;

/** An endpoint as the simulated network drives it. It lives as long as one run of a daemon would: a restart makes a new one. */
export class SimNode implements SimMachine {
  readonly endpoint: Endpoint;
  readonly #listener: SimNodeListener;
  readonly #watch: NodeWatch | undefined;
  readonly #routes: Map<string, SimRoute> = new Map();
  readonly #buffer: Uint8Array = new Uint8Array(65_536);
  #batch: { readonly to: SimAddress; readonly length: number; readonly segmentSize: number } | undefined;
  #batchOffset = 0;
  #isSending = false;

  constructor(options: SimNodeOptions, now: Instant) {
    const { listener, watch, ...endpoint } = options;
    this.#listener = listener;
    this.#watch = watch;
    this.endpoint = new Endpoint({ admit: () => true, ...endpoint }, now);
  }

  /** The same object for the same address, as the edge hands in. */
  routeTo(address: SimAddress): SimRoute {
    let route = this.#routes.get(address.key);
    if (route === undefined) {
      assert(this.#routes.size < ROUTES_MAX, 'a run has few addresses');
      route = simRoute(address);
      this.#routes.set(address.key, route);
    }
    return route;
  }

  handleDatagram(from: SimAddress, bytes: Uint8Array, now: Instant): void {
    const handle = (): void => {
      this.endpoint.handleDatagram(this.routeTo(from), bytes, now);
      // As in a socket that reads into one buffer: whoever kept a view of a packet is found out.
      bytes.fill(POISON);
    };
    if (this.#watch === undefined) handle();
    else this.#watch.datagram(this.endpoint, bytes, handle);
    this.drain();
  }

  handleTimeout(now: Instant): void {
    this.#watch?.timeout(this.endpoint);
    this.endpoint.handleTimeout(now);
    this.drain();
  }

  nextTimeout(): Instant {
    return this.endpoint.nextTimeout();
  }

  pollDatagram(now: Instant): OutgoingDatagram | undefined {
    if (!this.#isSending) {
      this.#isSending = true;
      this.#watch?.beforeSending(this.endpoint);
    }
    if (this.#batch === undefined || this.#batchOffset >= this.#batch.length) {
      const transmit = this.endpoint.pollTransmit(this.#buffer, now);
      if (transmit === undefined) {
        this.#batch = undefined;
        this.#isSending = false;
        this.#watch?.afterSending();
        this.drain();
        return undefined;
      }
      this.#batch = { ...transmit, to: (transmit.route as SimRoute).address };
      this.#batchOffset = 0;
    }
    const { to, length, segmentSize } = this.#batch;
    const end = Math.min(length, this.#batchOffset + segmentSize);
    const bytes = this.#buffer.subarray(this.#batchOffset, end);
    this.#batchOffset = end;
    return { to, bytes };
  }

  /** Hands on what the endpoint has to say; called after anything that was asked of it as well. */
  drain(): void {
    for (let event = this.endpoint.pollEvent(); event !== undefined; event = this.endpoint.pollEvent()) {
      this.#listener.event(event);
    }
    for (let next = this.endpoint.pollDatagram(); next !== undefined; next = this.endpoint.pollDatagram()) {
      this.#listener.datagram(next);
    }
    for (let next = this.endpoint.pollStreamEvent(); next !== undefined; next = this.endpoint.pollStreamEvent()) {
      this.#listener.stream?.(next);
    }
  }
}

/** Adversaries and rebinding invent addresses; a run that invents more than this is broken. */
const ROUTES_MAX = 65_536;

export interface SimNodeListener {
  event(event: TunnelEvent): void;
  datagram(datagram: ReceivedDatagram): void;
  stream?(event: PeerStreamEvent): void;
}

/** Looks over a node's shoulder, and throws where a rule is broken. */
export interface NodeWatch {
  /** Around one datagram, which `handle` gives to the endpoint. */
  datagram(endpoint: Endpoint, bytes: Uint8Array, handle: () => void): void;
  /** Before its timer is served. */
  timeout(endpoint: Endpoint): void;
  /** It has had an input, and sends now what it has to send; `afterSending` when that is done. */
  beforeSending(endpoint: Endpoint): void;
  afterSending(): void;
}

export interface SimNodeOptions {
  readonly crypto: CryptoBackend;
  readonly rng: Rng;
  readonly identity: Identity;
  readonly record: Uint8Array;
  readonly config?: Partial<TunnelConfig>;
  readonly parts?: NonNullable<EndpointOptions['parts']>;
  readonly admit?: EndpointOptions['admit'];
  readonly recall?: EndpointOptions['recall'];
  readonly listener: SimNodeListener;
  readonly watch?: NodeWatch | undefined;
}
