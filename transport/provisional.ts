import { equal } from '../base/bytes.ts';
import type { Instant } from '../base/time.ts';
import { after, NEVER } from '../base/time.ts';
import { UNCONFIRMED_LIFETIME } from './constants.ts';
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

/**
 * All of a node's provisional sessions, oldest first, each for `UNCONFIRMED_LIFETIME`. How many there may be is the rule of whoever
 * answers strangers.
 */
export class ProvisionalTable {
  readonly #all: Set<Provisional> = new Set();
  readonly #releaseId: (localId: number) => void;

  /** `releaseId` is told of each session that leaves unused. */
  constructor(releaseId: (localId: number) => void) {
    this.#releaseId = releaseId;
  }

  get size(): number {
    return this.#all.size;
  }

  get all(): readonly Provisional[] {
    return [...this.#all];
  }

  /** All live equally long, so the oldest is the next to leave. */
  nextTimeout(): Instant {
    for (const oldest of this.#all) return after(oldest.session.createdAt, UNCONFIRMED_LIFETIME);
    return NEVER;
  }

  handleTimeout(now: Instant): void {
    for (const oldest of this.#all) {
      if (after(oldest.session.createdAt, UNCONFIRMED_LIFETIME) > now) return;
      this.drop(oldest);
    }
  }

  add(provisional: Provisional): void {
    this.#all.add(provisional);
  }

  /** It has been used: its session and its id are a tunnel's from now on. */
  release(provisional: Provisional): void {
    this.#all.delete(provisional);
  }

  /** Nobody has used it, and nobody can any more. */
  drop(provisional: Provisional): void {
    this.#all.delete(provisional);
    this.#releaseId(provisional.session.localId);
    provisional.session.wipe();
  }

  /** A first packet that was held back must not bring back an incarnation that has been replaced since. */
  dropOlder(identityKey: string, incarnation: Uint8Array, before: Instant): void {
    for (const other of this.withIdentityKey(identityKey)) {
      if (other.session.createdAt <= before && !equal(other.remoteIncarnation, incarnation)) this.drop(other);
    }
  }

  /** The peer's state here is gone, and with it what was made for this incarnation of ours. */
  dropMadeFor(identityKey: string, localIncarnation: Uint8Array): void {
    for (const one of this.withIdentityKey(identityKey)) {
      if (equal(one.localIncarnation, localIncarnation)) this.drop(one);
    }
  }

  /** That pair has been a tunnel, and is not to be one again. */
  dropPair(identityKey: string, localIncarnation: Uint8Array, remoteIncarnation: Uint8Array): void {
    for (const one of this.withIdentityKey(identityKey)) {
      if (equal(one.localIncarnation, localIncarnation) && equal(one.remoteIncarnation, remoteIncarnation))
        this.drop(one);
    }
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
