import type { WarrenError } from '../base/errors.ts';
import type { PeerName, StreamEnd, StreamListener } from '../ipc/host.ts';
import { SharedQuota, type Standing } from '../ipc/shared-quota.ts';
import type { PeerStreamEvent } from '../transport/endpoint.ts';
import type { UnreadStream } from '../transport/streams/streams.ts';
import { CLOSE_CODES } from '../wire/close-codes.ts';
import type { EndpointDriver } from './endpoint-driver.ts';
import { type PortListener, WaitingStream, type WaitingStreamOptions } from './listening.ts';
import type { Notices } from './notices.ts';
import type { PortTable } from './ports.ts';
import { localLimit } from './stream-errors.ts';
import { type StreamTable, TunnelStream, type TunnelStreamOptions } from './tunnel-stream.ts';

/** Dials of a node that may wait for a place in a tunnel; with `EARLY_BYTES_MAX` they hold 64 MiB at the most, in twice as much memory. */
export const DIALS_WAITING_MAX = 4_096;
/** Of these, those that programs on `app.sock` leave to the owner. */
export const DIALS_WAITING_KEPT = 256;
/** To one peer: as many as a tunnel may have places for, so that no silent peer takes the room of the others. */
export const PEER_DIALS_WAITING_MAX = 1_024;
export const PEER_DIALS_WAITING_KEPT = 64;
/** The dialled streams that programs on `app.sock` may have in one tunnel. A peer has places for 1,024: the others are the owner's. */
export const APP_PLACES_MAX = 1_008;

/** What the streams to all peers share. */
export interface StreamsContext {
  readonly driver: EndpointDriver;
  readonly notices: Notices;
  readonly ports: PortTable<PortListener>;
  /** Dials that wait for a place, of all peers. */
  readonly dialsWaiting: SharedQuota;
}

/**
 * All streams of one peer. Those with a place in its tunnel are bounded by what the tunnel admits, those that wait to be taken by
 * the backlogs of their ports, dials that wait for a place by `PEER_DIALS_WAITING_MAX`. An idle stream is an entry in a map.
 */
export class TunnelStreams implements StreamTable {
  readonly key: string;
  readonly #context: StreamsContext;
  /** By their id in the tunnel. */
  readonly #placed: Map<number, TunnelStream> = new Map();
  /** In the order they were dialled; the owner's go first. */
  readonly #waiting: Readonly<Record<Standing, Set<TunnelStream>>> = { owner: new Set(), app: new Set() };
  readonly #waitingHere: SharedQuota = new SharedQuota(PEER_DIALS_WAITING_MAX, PEER_DIALS_WAITING_KEPT);
  /** Of those with a place. */
  #appPlaces = 0;
  /** Their tunnel is gone, and not all that had arrived is read; of the last tunnel only. */
  readonly #lingering: Set<TunnelStream> = new Set();
  /** Opened by the peer, and not yet taken. */
  readonly #incoming: Map<number, IncomingTunnelStream> = new Map();

  constructor(key: string, context: StreamsContext) {
    this.key = key;
    this.#context = context;
  }

  get driver(): EndpointDriver {
    return this.#context.driver;
  }

  get count(): number {
    return this.#placed.size + this.#waitingCount() + this.#incoming.size;
  }

  get hasWaiting(): boolean {
    return this.#waitingCount() > 0;
  }

  get hasOwnerWaiting(): boolean {
    return this.#waiting.owner.size > 0;
  }

  isWaiting(stream: TunnelStream): boolean {
    return this.#waiting[stream.standing].has(stream);
  }

  /** Why one more dial may not wait. */
  refusalToWait(standing: Standing): WarrenError | undefined {
    const { dialsWaiting } = this.#context;
    if (!dialsWaiting.hasRoom(standing)) return localLimit('dials that wait', dialsWaiting.maxFor(standing));
    const here = this.#waitingHere;
    return here.hasRoom(standing) ? undefined : localLimit('dials that wait for one peer', here.maxFor(standing));
  }

  wait(stream: TunnelStream): void {
    this.#waiting[stream.standing].add(stream);
    this.#context.dialsWaiting.add(stream.standing);
    this.#waitingHere.add(stream.standing);
  }

  /** The tunnel can be used: as many of those that wait as it has places for go in. */
  placeWaiting(): void {
    this.#placeSome(this.#waiting.owner);
    this.#placeSome(this.#waiting.app);
  }

  #placeSome(waiting: ReadonlySet<TunnelStream>): void {
    for (const stream of waiting) {
      if (stream.standing === 'app' && this.#appPlaces >= APP_PLACES_MAX) return;
      const ports = { source: stream.localPort, destination: stream.remotePort };
      const id = this.driver.use((endpoint, now) => endpoint.openStream(this.key, ports, stream.priority, now));
      // `streams-available`, or the end of the tunnel, follows.
      if (typeof id !== 'number') return;
      // Asking may have shown that the tunnel has just ended, and these with it.
      if (!waiting.has(stream)) return;
      this.#stopWaiting(stream);
      this.#placed.set(id, stream);
      if (stream.standing === 'app') this.#appPlaces += 1;
      stream.place(id);
    }
  }

  failWaiting(error: WarrenError): void {
    for (const stream of this.#allWaiting()) stream.fail(error);
  }

  handle(event: PeerStreamEvent, peer: PeerName): void {
    switch (event.kind) {
      case 'streams-available':
        this.placeWaiting();
        return;
      case 'opened':
        this.#opened(event, peer);
        return;
      default:
        this.#placed.get(event.stream)?.handle(event);
    }
  }

  /** The tunnel has ended. Where its peer restarted, dials that nobody can have heard of wait for the new tunnel. */
  end(error: WarrenError, peerRestarted: boolean, unread: readonly UnreadStream[]): void {
    for (const incoming of this.#incoming.values()) incoming.leave();
    this.#incoming.clear();
    // Those that waited for a place in this tunnel; where the peer restarted they have one in the next.
    const waiting = this.#allWaiting();
    this.endLingering();
    const placed = [...this.#placed.values()];
    const left = new Map(unread.map((one) => [one.stream, one]));
    this.#placed.clear();
    this.#appPlaces = 0;
    for (const stream of placed) {
      if (peerRestarted && stream.isUntouched && this.refusalToWait(stream.standing) === undefined) {
        stream.unplace();
        this.wait(stream);
      } else {
        stream.lose(error, left.get(stream.id));
        if (stream.hasLeft) this.#lingering.add(stream);
      }
    }
    if (!peerRestarted) for (const stream of waiting) stream.lose(error);
  }

  endLingering(): void {
    for (const stream of this.#lingering) stream.loseLeft();
  }

  remove(stream: TunnelStream): void {
    this.#lingering.delete(stream);
    this.#stopWaiting(stream);
    if (!stream.wasTaken) this.#context.ports.giveBack(stream.localPort);
    if (this.#placed.get(stream.id) !== stream) return;
    this.#placed.delete(stream.id);
    if (stream.wasTaken || stream.standing === 'owner') return;
    this.#appPlaces -= 1;
    // The tunnel may have had a place all the time, and then says nothing of one.
    this.#placeSome(this.#waiting.app);
  }

  giveUp(id: number): void {
    if (id < 0) return;
    this.driver.use((endpoint, now) => {
      endpoint.resetStream(this.key, id, CLOSE_CODES.CANCELLED, now);
      endpoint.stopStream(this.key, id, CLOSE_CODES.CANCELLED, now);
    });
  }

  /** A program takes a stream that the peer opened. */
  take(incoming: IncomingTunnelStream, listener: StreamListener): StreamEnd {
    const { id, peer, localPort, remotePort, priority } = incoming;
    this.#incoming.delete(id);
    const options: TunnelStreamOptions = {
      peer,
      localPort,
      remotePort,
      priority,
      listener,
      taken: true,
      standing: 'owner',
    };
    const stream = new TunnelStream(this, options, this.#context.notices);
    this.#placed.set(id, stream);
    stream.place(id);
    this.driver.use((endpoint, now) => endpoint.acceptStream(this.key, id, localPort, now));
    return stream;
  }

  turnAway(incoming: IncomingTunnelStream): void {
    const { id, localPort } = incoming;
    this.#incoming.delete(id);
    this.driver.use((endpoint, now) => endpoint.refuseStream(this.key, id, localPort, now));
  }

  #allWaiting(): readonly TunnelStream[] {
    return [...this.#waiting.owner, ...this.#waiting.app];
  }

  #waitingCount(): number {
    return this.#waiting.owner.size + this.#waiting.app.size;
  }

  #stopWaiting(stream: TunnelStream): void {
    if (!this.#waiting[stream.standing].delete(stream)) return;
    this.#context.dialsWaiting.remove(stream.standing);
    this.#waitingHere.remove(stream.standing);
  }

  #opened(event: PeerStreamEvent & { readonly kind: 'opened' }, peer: PeerName): void {
    const { stream: id, sourcePort, destinationPort, priority } = event;
    const listener = this.#context.ports.get(destinationPort);
    if (listener === undefined) {
      // It stopped listening while this was under way.
      this.driver.use((endpoint, now) => endpoint.refuseStream(this.key, id, destinationPort, now));
      return;
    }
    const options = { id, peer, localPort: destinationPort, remotePort: sourcePort, priority };
    this.#incoming.set(id, new IncomingTunnelStream(this, options, listener, this.#context.notices));
  }
}

/** A stream that a peer has opened, and that waits to be taken. */
class IncomingTunnelStream extends WaitingStream {
  readonly id: number;
  readonly #streams: TunnelStreams;

  constructor(
    streams: TunnelStreams,
    options: WaitingStreamOptions & { readonly id: number },
    listener: PortListener,
    notices: Notices,
  ) {
    super(options, listener, notices);
    this.id = options.id;
    this.#streams = streams;
  }

  protected take(listener: StreamListener): StreamEnd {
    return this.#streams.take(this, listener);
  }

  protected turnAway(): void {
    this.#streams.turnAway(this);
  }
}
