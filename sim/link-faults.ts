import { after, instant } from '../base/time.ts';
import type { Happenings } from './happenings.ts';
import type { LinkConfig } from './link-config.ts';
import type { Network } from './network.ts';
import type { SimPeer } from './world.ts';

/** What befalls links for a while, on top of what they are always like. Cuts may overlap: a link is up when all have ended. */
export class LinkFaults {
  readonly #network: Network;
  readonly #happenings: Happenings;
  readonly #cuts: Map<string, number> = new Map();

  constructor(network: Network, happenings: Happenings) {
    this.#network = network;
    this.#happenings = happenings;
  }

  cut(from: SimPeer, to: SimPeer, span: number): void {
    this.#happenings.add('cut one way');
    this.#cut(from, to, span);
  }

  cutBoth(a: SimPeer, b: SimPeer, span: number): void {
    this.#happenings.add('cut both ways');
    this.#cut(a, b, span);
    this.#cut(b, a, span);
  }

  /** What is sent meanwhile comes at the end, all at once. */
  clog(from: SimPeer, to: SimPeer, span: number): void {
    this.#happenings.add('clog');
    this.#change(from, to, { heldUntil: after(this.#network.now, span) });
  }

  setMtu(from: SimPeer, to: SimPeer, mtu: number): void {
    this.#happenings.add('mtu change');
    this.#change(from, to, { mtu });
  }

  /** From now on no link has any fault, and what was begun ends without a word. */
  end(healed: Partial<LinkConfig>): void {
    this.#cuts.clear();
    this.#network.setDefaultLink({ ...healed, heldUntil: instant(0) });
    this.#network.resetLinks();
  }

  #cut(from: SimPeer, to: SimPeer, span: number): void {
    const link = `${from.name}>${to.name}`;
    this.#cuts.set(link, (this.#cuts.get(link) ?? 0) + 1);
    this.#change(from, to, { down: true });
    this.#network.at(after(this.#network.now, span), () => {
      const left = (this.#cuts.get(link) ?? 0) - 1;
      if (left < 0) return;
      this.#cuts.set(link, left);
      if (left === 0) this.#change(from, to, { down: false });
    });
  }

  #change(from: SimPeer, to: SimPeer, changes: Partial<LinkConfig>): void {
    this.#network.setLink(from.name, to.name, { ...this.#network.linkConfig(from.name, to.name), ...changes });
  }
}
