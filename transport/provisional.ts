import { equal } from '../base/bytes.ts';
import type { KnownRecord, PeerKeys } from './handshake.ts';
import type { Route } from './route.ts';
import type { Session } from './session.ts';

/** A session that has been answered and not yet used. It changes nothing until a packet under its new key has opened. */
export interface Provisional {
  readonly session: Session;
  /** Hex of the peer's keys. */
  readonly identityKey: string;
  readonly staticKey: string;
  readonly mac1: Uint8Array;
  readonly response: Uint8Array;
  readonly peer: PeerKeys;
  readonly known: KnownRecord;
  readonly localIncarnation: Uint8Array;
  readonly remoteIncarnation: Uint8Array;
  readonly route: Route;
  /** The response went out more than once, so its round trip is not known. */
  isRepeated: boolean;
}

/** All of a node's provisional sessions, oldest first. How many there may be is the endpoint's rule. */
export class ProvisionalTable {
  readonly #all: Set<Provisional> = new Set();

  get size(): number {
    return this.#all.size;
  }

  get all(): readonly Provisional[] {
    return [...this.#all];
  }

  add(provisional: Provisional): void {
    this.#all.add(provisional);
  }

  remove(provisional: Provisional): void {
    this.#all.delete(provisional);
  }

  /**
   * MAC1 covers the whole message, so equal MACs are equal initiations. From another source the same one is answered anew:
   * each provisional session has been answered to one place, so its use proves that the peer receives there.
   */
  findRepeated(mac1: Uint8Array, route: Route): Provisional | undefined {
    for (const one of this.#all) if (equal(one.mac1, mac1) && one.route.key === route.key) return one;
    return undefined;
  }

  withStaticKey(staticKey: string): Provisional[] {
    return this.all.filter((one) => one.staticKey === staticKey);
  }

  withIdentityKey(identityKey: string): Provisional[] {
    return this.all.filter((one) => one.identityKey === identityKey);
  }
}
