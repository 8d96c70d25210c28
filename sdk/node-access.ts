import type { WarrenError } from '../base/errors.ts';
import type {
  DialTarget,
  HostDatagram,
  ListenOptions,
  NodeStatus,
  PeerEntry,
  PeerName,
  PeerReport,
  PeerStatus,
  PingOptions,
  PingReply,
} from '../ipc/host.ts';
import type { Carrier, StreamEnds } from './carrier.ts';
import type { Liveness } from './liveness.ts';

/**
 * The node that a `WarrenNode` speaks for: in this process, or the daemon's. What is wrong with what was asked rejects with a
 * `WarrenError`, or is what the carrier of a dial is closed with.
 */
export interface NodeAccess {
  readonly self: PeerName;
  readonly liveness: Liveness;

  dial(target: DialTarget): Carrier;
  listen(options: ListenOptions, user: PortUser): Promise<Port>;
  bind(port: number, user: DatagramPortUser): Promise<DatagramPort>;

  resolve(peer: string): Promise<PeerName>;
  ping(peer: string, options: PingOptions): Promise<PingReply>;
  status(): Promise<NodeStatus>;
  peers(): Promise<readonly PeerStatus[]>;
  why(peer: string): Promise<PeerReport>;
  record(): Promise<string>;
  addPeer(entry: PeerEntry): Promise<PeerName>;
  removePeer(peer: string): Promise<PeerName>;

  /** What was finished arrives; the rest is given up. */
  close(): Promise<void>;
}

export interface Port {
  readonly port: number;
  close(): Promise<void>;
}

export interface DatagramPort extends Port {
  send(peer: string, port: number, data: Uint8Array): Promise<void>;
}

export interface PortUser {
  incoming(stream: Incoming): void;
  /** Nothing will come any more, and nobody has asked for that. */
  lost(error: WarrenError): void;
}

export interface DatagramPortUser {
  received(datagram: HostDatagram): void;
  lost(error: WarrenError): void;
}

/** A stream that waits to be taken. Once: `take` or `refuse`. */
export interface Incoming {
  /** `undefined` where it ended before it was taken. The carrier has to be started before `done` returns. */
  take(done: (taken: Taken | undefined) => void): void;
  refuse(): void;
}

export interface Taken {
  readonly carrier: Carrier;
  readonly ends: StreamEnds;
}
