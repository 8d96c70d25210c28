import { toHex } from '../base/bytes.ts';
import { Deadlines } from '../base/deadlines.ts';
import { randomBytes } from '../base/rng.ts';
import type { Instant } from '../base/time.ts';
import { NEVER } from '../base/time.ts';
import { INCARNATION_BYTES } from '../wire/handshake-payload.ts';
import { EVICTABLE_AFTER } from './constants.ts';
import type { PeerKeys } from './handshake.ts';
import type { ProvisionalTable } from './provisional.ts';
import type { Replies } from './replies.ts';
import type { Transmit } from './transmit.ts';
import { Tunnel } from './tunnel.ts';
import type { TunnelNode, TunnelOptions } from './tunnel-node.ts';

/**
 * Which tunnels a node has, one for each peer, and whose turn it is: who may have something to send, and whose deadline comes next.
 * Whoever does anything to a tunnel says so with `touch`; one that has closed by then is forgotten.
 *
 * There are at most `tunnelsMax`; the longest unused gives way, and only once it has been unused for a while.
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
  /** Tunnels that may have something to send. */
  readonly #ready: Set<Tunnel> = new Set();

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

  /** One number for one peer while anything here knows of it, so that crossing handshakes make one pair of incarnations. */
  incarnationFor(identityKey: string): Uint8Array {
    const tunnel = this.#tunnels.get(identityKey);
    if (tunnel !== undefined && tunnel.state !== 'closing') return tunnel.localIncarnation;
    const [provisional] = this.#parts.provisional.withIdentityKey(identityKey);
    return provisional?.localIncarnation ?? randomBytes(this.#parts.node.rng, INCARNATION_BYTES);
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
    const routes = existing?.allRoutes ?? [];
    if (existing !== undefined) {
      existing.end({ kind: 'peer-restarted' });
      this.#remove(existing);
    }
    const tunnel = this.create({ peer, ...pair, choices: existing?.choices }, now);
    tunnel.rememberRoutes(routes);
    return tunnel;
  }

  /** Whether there is a place for one more, if need be that of the longest unused. */
  makeRoom(now: Instant): boolean {
    const { node, replies } = this.#parts;
    if (this.#tunnels.size < node.config.tunnelsMax) return true;
    let idlest: Tunnel | undefined;
    for (const tunnel of this.#tunnels.values()) {
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
    this.#ready.delete(tunnel);
    this.#deadlines.set(tunnel, NEVER);
    if (this.#tunnels.get(tunnel.key) === tunnel) this.#tunnels.delete(tunnel.key);
    const staticKey = toHex(tunnel.peer.staticKey);
    const sharing = this.#byStaticKey.get(staticKey);
    sharing?.delete(tunnel);
    if (sharing?.size === 0) this.#byStaticKey.delete(staticKey);
    this.#parts.removed(tunnel);
  }

  // Taking turns.

  touch(tunnel: Tunnel): void {
    this.#ready.add(tunnel);
    this.#settle(tunnel);
  }

  #settle(tunnel: Tunnel): void {
    if (tunnel.state === 'closed') this.forget(tunnel);
    else if (this.#tunnels.get(tunnel.key) === tunnel) this.#deadlines.set(tunnel, tunnel.nextTimeout());
  }

  nextTimeout(): Instant {
    return this.#deadlines.next();
  }

  handleTimeout(now: Instant): void {
    // Each once: one that is due again at once waits to be polled, not for this loop.
    const due: Tunnel[] = [];
    for (let next = this.#deadlines.takeDue(now); next !== undefined; next = this.#deadlines.takeDue(now))
      due.push(next);
    for (const tunnel of due) {
      tunnel.handleTimeout(now);
      this.touch(tunnel);
    }
  }

  pollTransmit(buffer: Uint8Array, now: Instant): Transmit | undefined {
    for (const tunnel of this.#ready) {
      const transmit = tunnel.pollTransmit(buffer, now);
      this.#ready.delete(tunnel);
      if (transmit === undefined) {
        this.#settle(tunnel);
        continue;
      }
      // The others have their turn before this one has another.
      this.#ready.add(tunnel);
      return transmit;
    }
    return undefined;
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
