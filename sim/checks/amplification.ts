import { SimFailure } from '../failure.ts';
import type { Observer, WireEvent } from '../wire-event.ts';

/**
 * Invariant I6 as a bystander sees it: an address that never answers is sent at most three times what came from it, by each host
 * (RFC 9000 §8.1). The machines assert it of their paths; this counts on the wire, and counts the replies to strangers as well.
 */
export class AmplificationCheck implements Observer {
  readonly #address: string;
  readonly #hosts: Map<string, { came: number; went: number }> = new Map();

  /** By the key of the address. */
  constructor(address: string) {
    this.#address = address;
  }

  datagram({ fate, from, to, fromHost, toHost, bytes }: WireEvent): void {
    if (fate === 'delivered' && from.key === this.#address) this.#host(toHost).came += bytes.length;
    if (fate !== 'sent' || to.key !== this.#address) return;
    const host = this.#host(fromHost);
    host.went += bytes.length;
    if (host.went > AMPLIFICATION_MAX * host.came) {
      throw new SimFailure(`I6: ${fromHost} has sent ${host.went} bytes to where only ${host.came} came from`);
    }
  }

  #host(name: string): { came: number; went: number } {
    let host = this.#hosts.get(name);
    if (host === undefined) {
      host = { came: 0, went: 0 };
      this.#hosts.set(name, host);
    }
    return host;
  }
}

const AMPLIFICATION_MAX = 3;
