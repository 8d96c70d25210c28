import type { Instant } from '../base/time.ts';
import type { Priority } from '../wire/frames.ts';
import type { IdentityRecord } from '../wire/records.ts';
import { Listeners } from './listeners.ts';
import { REFUSALS } from './streams/constants.ts';
import type { StreamEvent } from './streams/events.ts';
import { Ring } from './streams/scheduler.ts';
import type { StreamPorts, Streams } from './streams/streams.ts';
import { SPEAKING_BIT, type Tunnel } from './tunnel.ts';
import type { TunnelTable } from './tunnel-table.ts';

export type PeerStreamEvent = StreamEvent & { readonly peer: string };

/**
 * The streams of all peers, as the programs of this node see them: called by the peer's key and the stream's number. Who listens
 * where, what each call does to which tunnel, and which tunnels have something to tell.
 *
 * A call for a peer that is gone is nothing wrong: the tunnel ended in the meantime, and the event that says so is on its way.
 */
export class PeerStreams {
  readonly #tunnels: TunnelTable;
  readonly #admit: (record: IdentityRecord, port: number) => boolean;
  readonly #listeners: Listeners = new Listeners();
  /** Tunnels whose streams may have something to say. */
  readonly #speaking: Ring<Tunnel> = new Ring(SPEAKING_BIT);

  /** `admit` says whether a peer may open a stream to that port of ours, if somebody listens there. */
  constructor(tunnels: TunnelTable, admit: (record: IdentityRecord, port: number) => boolean) {
    this.#tunnels = tunnels;
    this.#admit = admit;
  }

  listen(port: number, backlog: number): boolean {
    return this.#listeners.add(port, backlog);
  }

  unlisten(port: number): void {
    this.#listeners.remove(port);
  }

  open(peer: string, ports: StreamPorts, priority: Priority, now: Instant): number | 'stream-limit' | 'closed' {
    return this.#using(peer, now, (streams) => streams.open(ports, priority, now)) ?? 'closed';
  }

  accept(peer: string, stream: number, port: number, now: Instant): void {
    this.#listeners.taken(peer, port);
    this.#using(peer, now, (streams) => streams.accept(stream));
  }

  refuse(peer: string, stream: number, port: number, now: Instant): void {
    this.#listeners.taken(peer, port);
    this.#using(peer, now, (streams) => streams.refuse(stream, REFUSALS.NO_LISTENER));
  }

  write(peer: string, stream: number, data: Uint8Array, now: Instant, isLeftAlone?: boolean): number | 'ended' {
    return this.#using(peer, now, (streams) => streams.write(stream, data, isLeftAlone)) ?? 'ended';
  }

  read(peer: string, stream: number, now: Instant, givesBack?: boolean): Uint8Array | undefined {
    return this.#using(peer, now, (streams) => streams.read(stream, givesBack));
  }

  finish(peer: string, stream: number, now: Instant): void {
    this.#using(peer, now, (streams) => streams.finish(stream));
  }

  reset(peer: string, stream: number, code: number, now: Instant): void {
    this.#using(peer, now, (streams) => streams.reset(stream, code));
  }

  stop(peer: string, stream: number, code: number, now: Instant): void {
    this.#using(peer, now, (streams) => streams.stop(stream, code));
  }

  /** What happened to streams: told once, coalesced per stream, bounded by the streams there are. */
  pollEvent(): PeerStreamEvent | undefined {
    for (let tunnel = this.#speaking.first(); tunnel !== undefined; tunnel = this.#speaking.first()) {
      const event = tunnel.streams.pollEvent();
      if (event !== undefined) return { peer: tunnel.key, ...event };
      this.#speaking.set(tunnel, false);
    }
    return undefined;
  }

  /** Why a stream of the peer to that port is refused; `undefined` lets it wait for a program. */
  admit(tunnel: Tunnel, port: number): number | undefined {
    const record = tunnel.known?.record;
    const isTrusted = record !== undefined && this.#admit(record, port);
    const refusal = isTrusted ? this.#listeners.admit(tunnel.key, port) : 'NOT_TRUSTED';
    return refusal === undefined ? undefined : REFUSALS[refusal];
  }

  /** Something may have happened to its streams. */
  note(tunnel: Tunnel): void {
    this.#speaking.set(tunnel, true);
  }

  /** The tunnel is gone, and with it whatever it had to say and whatever waited. */
  forget(tunnel: Tunnel): void {
    this.#speaking.set(tunnel, false);
    this.#listeners.forget(tunnel.key);
  }

  /** `undefined` where the peer has no tunnel to use. */
  #using<T>(peer: string, now: Instant, work: (streams: Streams) => T): T | undefined {
    const tunnel = this.#tunnels.get(peer);
    if (!tunnel?.isUsable) return undefined;
    const result = work(tunnel.streams);
    tunnel.noteUse(now);
    this.note(tunnel);
    this.#tunnels.touch(tunnel);
    return result;
  }
}
