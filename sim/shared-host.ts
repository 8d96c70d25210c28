import { earliest, type Instant, NEVER } from '../base/time.ts';
import type { SimAddress } from './address.ts';
import type { OutgoingDatagram, SimMachine } from './machine.ts';
import type { SimNode } from './node.ts';

/** Several nodes behind one network interface: each has an address, and all share the host's links and their queues. */
export class SharedHost implements SimMachine {
  readonly #nodes: readonly { readonly address: SimAddress; readonly node: SimNode }[];
  #turn = 0;

  constructor(nodes: readonly { readonly address: SimAddress; readonly node: SimNode }[]) {
    this.#nodes = nodes;
  }

  handleDatagram(from: SimAddress, bytes: Uint8Array, now: Instant, local: SimAddress): void {
    this.#nodes.find(({ address }) => address.key === local.key)?.node.handleDatagram(from, bytes, now);
  }

  handleTimeout(now: Instant): void {
    for (const { node } of this.#nodes) if (node.nextTimeout() <= now) node.handleTimeout(now);
  }

  nextTimeout(): Instant {
    return this.#nodes.reduce((next, { node }) => earliest(next, node.nextTimeout()), NEVER);
  }

  /** One datagram each in turn, so that none has the link to itself because it stands first. */
  pollDatagram(now: Instant): OutgoingDatagram | undefined {
    for (let tried = 0; tried < this.#nodes.length; tried++) {
      this.#turn = (this.#turn + 1) % this.#nodes.length;
      const { address, node } = this.#nodes[this.#turn]!;
      const outgoing = node.pollDatagram(now);
      if (outgoing !== undefined) return { ...outgoing, from: address };
    }
    return undefined;
  }
}
