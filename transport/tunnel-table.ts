import { equal, toHex } from '../base/bytes.ts';
import { Deadlines } from '../base/deadlines.ts';
import { randomBytes } from '../base/rng.ts';
import type { Instant } from '../base/time.ts';
import { NEVER } from '../base/time.ts';
import { INCARNATION_BYTES } from '../wire/handshake-payload.ts';
import { EVICTABLE_AFTER } from './constants.ts';
import type { PeerKeys } from './handshake.ts';
import type { ProvisionalTable } from './provisional.ts';
import type { Replies } from './replies.ts';
import { Ring } from './streams/scheduler.ts';
import type { Transmit } from './transmit.ts';
import { READY_BIT, Tunnel } from './tunnel.ts';
import type { TunnelNode, TunnelOptions, TunnelPlace } from './tunnel-node.ts';

/** How many of a peer's incarnations a tunnel remembers to have had before; of more, the oldest is forgotten. */
const FORMER_MAX = 8;

/**
 * Which tunnels a node has, one for each peer, and whose turn it is: who may have something to send, and whose deadline comes next.
 * Whoever does anything to a tunnel says so with `touch`; one that has closed by then is forgotten.
 *
 * There are at most `tunnelsMax`, the last `tunnelsKept` of them for whoever may have those; where no place is left the longest unused
 * gives way, and only once it has been unused for a while.
 */
export class TunnelTable {
  readonly #parts: TunnelTableParts;
  /** By the hex of the peer's identity key. */
  readonly #tunnels: Map<string, Tunnel> = new Map();
  /**
   * The same tunnels by the hex of the static key: all that a first message shows at first. A record may name any static key,
   * also somebody else's, so several may share one.
   */
  readonly #byStaticKey: Map<string, Set<Tunnel>> = new Map();
  readonly #deadlines: Deadlines<Tunnel> = new Deadlines();
  /** Tunnels that may have something to send. Their deadlines may be out of date. */
  readonly #ready: Ring<Tunnel> = new Ring(READY_BIT);

  constructor(parts: TunnelTableParts) {
    this.#parts = parts;
  }

  get all(): readonly Tunnel[] {
    return [...this.#tunnels.values()];
  }

  get(identityKey: string): Tunnel | undefined {
    return this.#tunnels.get(identityKey);
  }

  withStaticKey(staticKey: string): readonly Tunnel[] {
    return [...(this.#byStaticKey.get(staticKey) ?? [])];
  }

  /**
   * What to call ourselves to a peer, of which `remoteIncarnation` is known if it has spoken. One number for one peer while anything
   * here knows of it, so that crossing handshakes make one pair of incarnations; another one where that pair has been a tunnel
   * before, because packet numbers would begin anew under keys whose peer has gone on.
   */
  incarnationFor(identityKey: string, remoteIncarnation?: Uint8Array): Uint8Array {
    const { provisional } = this.#parts;
    const tunnel = this.#tunnels.get(identityKey);
    const isSpent = remoteIncarnation !== undefined && tunnel?.wasWith(remoteIncarnation) === true;
    if (tunnel !== undefined && tunnel.state !== 'closing' && !isSpent) return tunnel.localIncarnation;
    const other = provisional
      .withIdentityKey(identityKey)
      .find((one) => tunnel === undefined || !equal(one.localIncarnation, tunnel.localIncarnation));
    return other?.localIncarnation ?? this.#drawIncarnation();
  }

  #drawIncarnation(): Uint8Array {
    return randomBytes(this.#parts.node.rng, INCARNATION_BYTES);
  }

  // Coming and going.

  create(options: Omit<TunnelOptions, 'node'>, now: Instant): Tunnel {
    const tunnel = new Tunnel({ node: this.#parts.node, ...options }, now);
    this.#tunnels.set(tunnel.key, tunnel);
    const staticKey = toHex(options.peer.staticKey);
    const sharing = this.#byStaticKey.get(staticKey);
    if (sharing === undefined) this.#byStaticKey.set(staticKey, new Set([tunnel]));
    else sharing.add(tunnel);
    return tunnel;
  }

  /** A new tunnel for a new pair of incarnations, in the place of one whose peer lost its state. */
  replace(existing: Tunnel | undefined, peer: PeerKeys, pair: Incarnations, now: Instant): Tunnel {
    if (existing === undefined) return this.create({ peer, ...pair }, now);
    const { key, localIncarnation, remoteIncarnation, choices, place, allRoutes } = existing;
    const formerIncarnations: Uint8Array[] = [];
    if (equal(localIncarnation, pair.localIncarnation) && remoteIncarnation !== undefined) {
      formerIncarnations.push(...existing.formerIncarnations.slice(1 - FORMER_MAX), remoteIncarnation);
      this.#parts.provisional.dropPair(key, localIncarnation, remoteIncarnation);
    }
    existing.end({ kind: 'peer-restarted' });
    this.#remove(existing);
    const tunnel = this.create({ peer, ...pair, formerIncarnations, choices, place }, now);
    tunnel.rememberRoutes(allRoutes);
    return tunnel;
  }

  /**
   * The peer turns out to be the incarnation that this tunnel's took the place of: what took it was late. As that pair cannot be
   * again, we lose our state in turn, and ask anew.
   */
  beginAnew(tunnel: Tunnel, now: Instant): void {
    const { key, peer, choices, place, allRoutes } = tunnel;
    tunnel.end({ kind: 'peer-restarted' });
    this.forget(tunnel);
    const localIncarnation = this.incarnationFor(key);
    const successor = this.create({ peer, localIncarnation, remoteIncarnation: undefined, choices, place }, now);
    successor.connect(allRoutes, now);
    this.touch(successor);
  }

  /**
   * Whether there is a place for one more, if need be that of the longest unused. Who asks for a common place pushes out none that has a
   * kept one: else those would be common after a while.
   */
  makeRoom(place: TunnelPlace, now: Instant): boolean {
    const { node, replies } = this.#parts;
    const { tunnelsMax, tunnelsKept } = node.config;
    if (this.#tunnels.size < tunnelsMax - tunnelsKept) return true;
    const rivals = place === 'kept' ? this.all : this.all.filter((tunnel) => tunnel.place === 'common');
    if (this.#tunnels.size < tunnelsMax && (place === 'kept' || rivals.length < tunnelsMax - tunnelsKept)) return true;
    let idlest: Tunnel | undefined;
    for (const tunnel of rivals) {
      if (idlest === undefined || tunnel.usedAt < idlest.usedAt) idlest = tunnel;
    }
    if (idlest === undefined || now - idlest.usedAt < EVICTABLE_AFTER) return false;
    // Told, it does not come back at once to push out the next one.
    const farewell = idlest.farewell('NO_ERROR', 'idle', now);
    if (farewell !== undefined) replies.push(farewell);
    idlest.end({ kind: 'evicted' });
    this.forget(idlest);
    return true;
  }

  /** With a peer's state go its provisional sessions: they were made for the incarnation that is gone. */
  forget(tunnel: Tunnel): void {
    tunnel.end(undefined);
    this.#remove(tunnel);
    this.#parts.provisional.dropMadeFor(tunnel.key, tunnel.localIncarnation);
  }

  #remove(tunnel: Tunnel): void {
    this.#ready.set(tunnel, false);
    this.#deadlines.set(tunnel, NEVER);
    if (this.#tunnels.get(tunnel.key) === tunnel) this.#tunnels.delete(tunnel.key);
    const staticKey = toHex(tunnel.peer.staticKey);
    const sharing = this.#byStaticKey.get(staticKey);
    sharing?.delete(tunnel);
    if (sharing?.size === 0) this.#byStaticKey.delete(staticKey);
    this.#parts.removed(tunnel);
  }

  // Taking turns.

  /** When it wants to be called again is asked once it has sent what it has, not for each packet of many. */
  touch(tunnel: Tunnel): void {
    if (tunnel.state === 'closed') this.forget(tunnel);
    else this.#ready.set(tunnel, true);
  }

  nextTimeout(): Instant {
    this.#settleReady();
    return this.#deadlines.next();
  }

  handleTimeout(now: Instant): void {
    this.#settleReady();
    // Each once: one that is due again at once waits to be polled, not for this loop.
    for (let next = this.#deadlines.takeDue(now); next !== undefined; next = this.#deadlines.takeDue(now)) {
      next.handleTimeout(now);
      this.touch(next);
    }
  }

  pollTransmit(buffer: Uint8Array, now: Instant): Transmit | undefined {
    for (let tunnel = this.#ready.first(); tunnel !== undefined; tunnel = this.#ready.first()) {
      const transmit = tunnel.pollTransmit(buffer, now);
      if (transmit !== undefined) {
        // The others have their turn before this one has another.
        this.#ready.rotate();
        return transmit;
      }
      this.#ready.set(tunnel, false);
      if (tunnel.state === 'closed') this.forget(tunnel);
      else this.#settle(tunnel);
    }
    return undefined;
  }

  /** Whoever asks for the time without having polled first gets the right one all the same. */
  #settleReady(): void {
    for (let left = this.#ready.size; left > 0; left--) {
      this.#settle(this.#ready.first()!);
      this.#ready.rotate();
    }
  }

  #settle(tunnel: Tunnel): void {
    if (this.#tunnels.get(tunnel.key) === tunnel) this.#deadlines.set(tunnel, tunnel.nextTimeout());
  }
}

export interface TunnelTableParts {
  readonly node: TunnelNode;
  readonly provisional: ProvisionalTable;
  readonly replies: Replies;
  /** Is told of each tunnel that leaves. */
  readonly removed: (tunnel: Tunnel) => void;
}

export interface Incarnations {
  readonly localIncarnation: Uint8Array;
  readonly remoteIncarnation: Uint8Array;
}
