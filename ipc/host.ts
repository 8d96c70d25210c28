import type { WarrenError } from '../base/errors.ts';
import type { Priority } from '../wire/frames.ts';

/**
 * What a node offers to programs. The server end of the local socket turns it into bytes, the embedded SDK calls it as it is: one
 * seam, so that a program cannot tell which of the two it talks through.
 *
 * Everything here is of one thread and calls back on a later turn, never before the call that asked has returned. What is wrong
 * with an argument is thrown as a `WarrenError`; what goes wrong later is told to the listener.
 */
export interface Host {
  readonly self: PeerName;

  /** A stream to a port of a peer, or of this node. It takes writes at once; `connected` or `closed` follows. */
  dial(target: DialTarget, listener: StreamListener): StreamEnd;
  /** Streams to that port are handed to `incoming`; 0 asks for a free one. Thrown: a port that is taken. */
  listen(options: ListenOptions, incoming: (stream: IncomingStream) => void): Binding;
  /** Datagrams to that port are handed to `receive`; 0 asks for a free one. */
  bind(port: number, receive: (datagram: HostDatagram) => void): DatagramBinding;

  /** Who a name or an address is. */
  resolve(peer: string): PeerName;
  ping(peer: string, options: PingOptions): Promise<PingReply>;
  status(): NodeStatus;
  peers(): readonly PeerStatus[];
  /** What was tried to reach a peer, and how it went. */
  why(peer: string): PeerReport;
}

/** What only the node's owner may ask: the other socket, or the program the node runs in. */
export interface AdminHost extends Host {
  /** The same node as programs on `app.sock` have it: of what all programs share, some is kept from them. */
  readonly apps: Host;
  /** This node's identity record as one line of text. */
  record(): string;
  addPeer(entry: PeerEntry): PeerName;
  removePeer(peer: string): PeerName;
  listPeers(): readonly PeerStatus[];
  /** Ends the daemon in order; where the node is embedded, the node. */
  shutdown(): void;
}

export interface PeerName {
  /** `0:0000.7F3A.19C2`. */
  readonly address: string;
  /**
   * Of this node, what it calls itself; of a peer, what its owner let it in by, the petname or else the name in the record they
   * added. Nothing that a peer says later changes it. Empty where it has none.
   */
  readonly name: string;
  /** Hex of the identity key. */
  readonly key: string;
}

export interface DialTarget {
  /** A name or an address. */
  readonly peer: string;
  readonly port: number;
  readonly priority?: Priority | undefined;
  /** In milliseconds, until `connected`. */
  readonly timeout?: number | undefined;
  /** For the tunnel, where this dial begins it. */
  readonly congestion?: string | undefined;
  /** In milliseconds; likewise. */
  readonly peerTimeout?: number | undefined;
}

export interface ListenOptions {
  readonly port: number;
  /** Streams that may wait to be taken. */
  readonly backlog?: number | undefined;
}

export interface Binding {
  readonly port: number;
  close(): void;
}

export interface IncomingStream {
  readonly peer: PeerName;
  readonly localPort: number;
  readonly remotePort: number;
  readonly priority: Priority;
  /** Once, this or `refuse`; `undefined` where the stream ended before it was taken. */
  accept(listener: StreamListener): StreamEnd | undefined;
  refuse(): void;
  /** `gone` is called where the stream leaves by itself: its tunnel has ended, or its port is listened on no more. */
  onGone(gone: () => void): void;
}

/**
 * What becomes of what was taken. `left`, as it is where nothing is said: the writer leaves it as it is. `given`: its memory is the
 * stream's from now on, and may be freed once it has arrived. `copied`: it is the writer's again at once.
 */
export type Handover = 'left' | 'given' | 'copied';

/**
 * One end of a stream. Reading is a pull, writing a push that says how much was taken: neither holds more than the stream's window.
 * After `closed` every call does nothing.
 */
export interface StreamEnd {
  readonly peer: PeerName;
  readonly localPort: number;
  readonly remotePort: number;
  /** The next bytes, the caller's to keep; `undefined` until `readable`. Who says so may give them back. */
  read(givesBack?: boolean): Uint8Array | undefined;
  /** What was read, once nobody uses it any more: its memory is used again. Nobody has to. */
  giveBack(bytes: Uint8Array): void;
  /** How many bytes were taken; where that is not all, `writable` follows. */
  write(data: Uint8Array, handover?: Handover): number | 'ended';
  /** No more will be written; what was written arrives first. */
  finish(): void;
  /** Gives the writing half up: what was not delivered may be lost, and the far reader is told so. */
  reset(code: number): void;
  /** Reads no more, and tells the far writer. */
  stop(code: number): void;
}

/** What an end tells whoever uses it. Each is told on a turn of its own call stack: anything may be asked of the node in it. */
export interface StreamListener {
  /** The far side has taken the stream. Only where we dialled. */
  connected(): void;
  /** There is something to read where there was nothing. */
  readable(): void;
  writable(): void;
  /** The far side has written its last, and all of it has been read. */
  finished(): void;
  /** The far side has everything that was written, and that there is no more. */
  acknowledged(): void;
  /** The far side gave its writing half up. */
  reset(code: number): void;
  /** The far side reads no more; our writing half has ended with that code. */
  stopped(code: number): void;
  /** The last word. With an error where both halves did not end in order: refused, the peer gone, the node closed. */
  closed(error: WarrenError | undefined): void;
}

export interface HostDatagram {
  readonly peer: PeerName;
  readonly port: number;
  readonly data: Uint8Array;
}

export interface DatagramBinding extends Binding {
  /** Unreliable: what is queued too long gives way to what is newer. Thrown: unknown peer, too large. */
  send(peer: string, port: number, data: Uint8Array): void;
}

export interface PingOptions {
  /** In milliseconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

export interface PingReply {
  /** In microseconds. */
  readonly roundTrip: number;
  readonly route: string;
}

export interface NodeStatus extends PeerName {
  readonly version: string;
  readonly pid: number;
  /** In milliseconds. */
  readonly uptime: number;
  readonly udp: {
    readonly host: string;
    readonly port: number;
    /** Whether the kernel cuts what is sent into packets, and whether it joins those that come. */
    readonly cutsBatches: boolean;
    readonly joinsPackets: boolean;
    /** Whether packets of more than 1,200 bytes are tried off this machine. */
    readonly searchesMtu: boolean;
  };
  /** The backend in use. */
  readonly crypto: string;
  /** Ports with a listener, ascending. */
  readonly listening: readonly number[];
  readonly tunnels: readonly TunnelStatus[];
  readonly streams: number;
  readonly peers: number;
  readonly traffic: {
    readonly bytesIn: number;
    readonly bytesOut: number;
    readonly packetsIn: number;
    readonly packetsOut: number;
  };
  /** By reason, of what came in and was of no use. */
  readonly drops: Readonly<Record<string, number>>;
  /** By error code, of what the kernel refused. */
  readonly socketErrors: Readonly<Record<string, number>>;
}

export interface TunnelStatus extends PeerName {
  readonly state: string;
  readonly route: string;
  /** In microseconds; 0 before the first sample. */
  readonly roundTrip: number;
  readonly congestion: string;
  readonly window: number;
  readonly mtu: number;
  /** By the path in use: sent, thought lost of those, and acknowledged all the same of these. */
  readonly packetsSent: number;
  readonly packetsLost: number;
  readonly packetsLate: number;
  readonly streams: number;
}

export interface PeerStatus extends PeerName {
  /** The name in its newest record: its own choice, and it leads nowhere. */
  readonly callsItself: string;
  /** Where it may be asked for, as it was given. */
  readonly endpoints: readonly string[];
  readonly connected: boolean;
}

export interface PeerReport extends PeerName {
  /** As in `PeerStatus`. */
  readonly callsItself: string;
  readonly endpoints: readonly string[];
  readonly tunnel: TunnelStatus | undefined;
  /** Every address that was or is tried, and what came of it. */
  readonly routes: readonly { readonly route: string; readonly state: string }[];
  /** Why the last tunnel ended, in words. */
  readonly lastError: string;
  /** What stands in the way now, and what to do about it; empty where nothing does. */
  readonly advice: string;
}

export interface PeerEntry {
  /** As `record()` gives it. */
  readonly record: string;
  /** `HOST:PORT`, names allowed. */
  readonly endpoints: readonly string[];
  /** What this node calls it; what the record says where it is left out, or the petname that it has already. */
  readonly petname?: string | undefined;
}
