import { BoundedQueue } from '../base/bounded.ts';
import { equal } from '../base/bytes.ts';
import type { WarrenError } from '../base/errors.ts';
import type { PeerName } from '../ipc/host.ts';
import type { Standing } from '../ipc/shared-quota.ts';
import { DATAGRAMS_QUEUED_MAX, PATHS_MAX } from '../transport/constants.ts';
import type { ConnectResult, DatagramPorts } from '../transport/endpoint.ts';
import type { DownReason } from '../transport/events.ts';
import type { Route } from '../transport/route.ts';
import type { UnreadStream } from '../transport/streams/streams.ts';
import type { TunnelChoices } from '../transport/tunnel-node.ts';
import type { IpEndpoint } from '../wire/ip-endpoint.ts';
import { type Lookup, lookUp } from './lookup.ts';
import type { Peer } from './peer-book.ts';
import { type PeerEndpoint, parsePeerEndpoint } from './peer-endpoint.ts';
import { badPeer, localLimit, noAddress, noRoute, peerRemoved, tunnelError } from './stream-errors.ts';
import type { TunnelStream } from './tunnel-stream.ts';
import { type StreamsContext, TunnelStreams } from './tunnel-streams.ts';

/**
 * Everything a node keeps about one peer while it runs: how it is reached, its streams, what waits until it is reached, and what
 * came of trying. There is one for each peer in the book that was ever asked for or heard of.
 */
export class PeerLink {
  readonly streams: TunnelStreams;
  readonly #context: LinkContext;
  #peer: Peer;
  #isUp = false;
  /** Names are being looked up. */
  #lookup: Promise<void> | undefined;
  #isDropped = false;
  /** What the dial that began to ask chose for the tunnel. */
  #choices: TunnelChoices = {};
  /** As many as a tunnel would queue, until there is one; the oldest gives way. */
  readonly #datagrams: BoundedQueue<WaitingDatagram> = new BoundedQueue(DATAGRAMS_QUEUED_MAX);
  /** Where it was asked for last, by route key. */
  #asked: readonly Route[] = [];
  /** Names that led nowhere the last time, and why. */
  #lookupFailures: readonly string[] = [];
  #lastError = '';

  constructor(peer: Peer, context: LinkContext) {
    this.#peer = peer;
    this.#context = context;
    this.streams = new TunnelStreams(peer.key, context);
  }

  get peer(): Peer {
    return this.#peer;
  }

  get name(): PeerName {
    return this.#peer.name;
  }

  /** It has answered, and the tunnel lasts. */
  get isUp(): boolean {
    return this.#isUp;
  }

  get isLookingUp(): boolean {
    return this.#lookup !== undefined;
  }

  get asked(): readonly Route[] {
    return this.#asked;
  }

  get lookupFailures(): readonly string[] {
    return this.#lookupFailures;
  }

  get lastError(): string {
    return this.#lastError;
  }

  /** A place in the tunnel is nobody else's loss: only a dial that finds none, and has to wait, needs room for that. */
  dial(stream: TunnelStream, choices: TunnelChoices): void {
    const crowded = this.streams.refusalToWait(stream.standing);
    this.streams.wait(stream);
    this.reach(choices);
    if (crowded !== undefined && this.streams.isWaiting(stream)) stream.fail(crowded);
  }

  /**
   * Whoever waits gets a place in the tunnel, at once where it can be used; else the peer is asked for wherever it may be.
   * `choices` are for a tunnel that begins now.
   */
  reach(choices: TunnelChoices): void {
    const { driver } = this.#context;
    if (driver.use((endpoint) => endpoint.tunnel(this.#peer.key)?.isUsable)) {
      this.#useTunnel();
      return;
    }
    if (this.#peer.endpoints.length === 0) this.#fail(noRoute(this.name));
    else this.#ask(choices);
  }

  /** Sent as soon as the peer can be asked for; what cannot be is lost, as datagrams may be. */
  sendDatagram(ports: DatagramPorts, data: Uint8Array, standing: Standing): void {
    const { driver } = this.#context;
    const sent = driver.use((endpoint, now) => endpoint.sendDatagram(this.#peer.key, ports, data, now));
    if (sent !== 'closed') return;
    this.#datagrams.push({ ports, data, standing });
    this.reach({});
  }

  /** Its record is a newer one now. */
  renew(peer: Peer): void {
    this.#peer = peer;
  }

  /** Its owner has said where it can be reached. */
  update(peer: Peer): void {
    const { driver } = this.#context;
    this.#peer = peer;
    const tunnel = driver.use((endpoint) => endpoint.tunnel(peer.key));
    const isOtherKey = tunnel !== undefined && !equal(tunnel.peer.staticKey, peer.record.staticKey);
    // It is asked for under a key that it no longer has.
    if (tunnel?.state === 'connecting' && isOtherKey) {
      driver.use((endpoint, now) => endpoint.close(peer.key, 'NO_ERROR', '', now));
    }
    // A tunnel that is open remembers the places, for when its peer is lost.
    if (this.#isWanted()) this.#ask(this.#choices);
  }

  tunnelUp(): void {
    this.#isUp = true;
    this.#lastError = '';
    this.#useTunnel();
  }

  tunnelDown(reason: DownReason, unread: readonly UnreadStream[]): WarrenError {
    const error = tunnelError(this.name, reason, this.#isUp);
    this.#isUp = false;
    this.#lastError = error.message;
    this.streams.end(error, reason.kind === 'peer-restarted', unread);
    return error;
  }

  /** The peer has left the book, and its tunnel, where there was one, is gone. */
  drop(): void {
    this.#isDropped = true;
    this.#fail(peerRemoved(this.name));
  }

  /** Whoever asked may have given up while names were looked up. */
  #isWanted(): boolean {
    const isAskedFor = this.#context.driver.use((endpoint) => endpoint.tunnel(this.#peer.key)?.isUsable);
    return isAskedFor === true || this.streams.hasWaiting || this.#datagrams.length > 0;
  }

  #useTunnel(): void {
    this.streams.placeWaiting();
    const { driver } = this.#context;
    for (let next = this.#datagrams.shift(); next !== undefined; next = this.#datagrams.shift()) {
      const { ports, data } = next;
      driver.use((endpoint, now) => endpoint.sendDatagram(this.#peer.key, ports, data, now));
    }
  }

  /** Addresses at once; names as soon as they have been looked up. */
  #ask(choices: TunnelChoices): void {
    if (this.#lookup === undefined) this.#choices = choices;
    const endpoints = this.#peer.endpoints.map(parsePeerEndpoint);
    const literals = endpoints.flatMap(({ address }) => address ?? []);
    if (literals.length > 0) this.#connect(literals);
    if (literals.length < endpoints.length) this.#lookup ??= this.#lookUpAll(endpoints);
  }

  #connect(remotes: readonly IpEndpoint[]): void {
    const { driver } = this.#context;
    const { record } = this.#peer;
    const keys = { identityKey: record.identityKey, staticKey: record.staticKey };
    this.#asked = remotes.slice(0, PATHS_MAX).map((remote) => driver.routeTo(remote));
    const standing = this.#standing();
    const place = standing === 'owner' ? 'kept' : 'common';
    const result = driver.use((endpoint, now) => endpoint.connect(keys, this.#asked, now, this.#choices, place));
    const error = this.#connectError(result, standing);
    if (error === undefined) this.#useTunnel();
    else this.#fail(error);
  }

  /** The owner's where anything of theirs waits. */
  #standing(): Standing {
    const isOwners = this.streams.hasOwnerWaiting || this.#datagrams.some(({ standing }) => standing === 'owner');
    return isOwners ? 'owner' : 'app';
  }

  #connectError(result: ConnectResult, standing: Standing): WarrenError | undefined {
    switch (result) {
      case 'started':
      // It is open: whoever it is with has proved that key.
      case 'other-key':
        return undefined;
      case 'tables-full':
        return localLimit('tunnels in use', this.#context.tunnelsFor(standing));
      case 'own-key':
      case 'bad-key':
        return badPeer(this.name);
    }
  }

  async #lookUpAll(endpoints: readonly PeerEndpoint[]): Promise<void> {
    const asked = this.#peer.endpoints;
    const { remotes, failures } = await lookUp(this.#context.lookup, endpoints);
    this.#lookup = undefined;
    if (this.#isDropped || this.#context.isClosing) return;
    if (asked.join() !== this.#peer.endpoints.join()) {
      // Its owner has said otherwise meanwhile.
      if (this.#isWanted()) this.#ask(this.#choices);
      return;
    }
    this.#lookupFailures = failures;
    if (remotes.length === 0) this.#fail(noAddress(this.name, failures.join(', ')));
    else if (this.#isWanted()) this.#connect(remotes);
  }

  #fail(error: WarrenError): void {
    this.#lastError = error.message;
    this.#datagrams.clear();
    this.streams.failWaiting(error);
  }
}

export interface LinkContext extends StreamsContext {
  readonly lookup: Lookup;
  tunnelsFor(standing: Standing): number;
  /** No new tunnel is begun. */
  readonly isClosing: boolean;
}

interface WaitingDatagram {
  readonly ports: DatagramPorts;
  readonly data: Uint8Array;
  readonly standing: Standing;
}
