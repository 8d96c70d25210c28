import type { TunnelConfig } from './constants.ts';
import type { DropReason } from './drops.ts';
import type { ReceivedDatagram, TunnelEvent } from './events.ts';
import type { HandshakeContext, PeerKeys } from './handshake.ts';
import type { ReplayWindow } from './replay-window.ts';
import type { Route } from './route.ts';
import type { Scratch } from './scratch.ts';
import type { NodeBudget } from './streams/flow-control.ts';
import type { Tunnel } from './tunnel.ts';

/** What all tunnels of a node share. */
export interface TunnelNode extends HandshakeContext {
  readonly config: TunnelConfig;
  readonly budget: NodeBudget;
  /** For the packet in hand. */
  readonly scratch: Scratch;
  /** Why a stream of the peer to that port is refused; `undefined` lets it wait for a program. */
  admitStream(tunnel: Tunnel, port: number): number | undefined;
  /** Something may have happened to its streams. */
  noteStreams(tunnel: Tunnel): void;
  createReplayWindow(): ReplayWindow;
  /** A session id that no other session here has; packets that carry it are this tunnel's. */
  claimId(tunnel: Tunnel): number;
  releaseId(id: number): void;
  emit(event: TunnelEvent): void;
  deliver(datagram: ReceivedDatagram): void;
  drop(reason: DropReason): void;
}

export interface TunnelOptions {
  readonly node: TunnelNode;
  readonly peer: PeerKeys;
  readonly localIncarnation: Uint8Array;
  readonly remoteIncarnation: Uint8Array | undefined;
  /** The peer's incarnations that the local one made a pair with before. */
  readonly formerIncarnations?: readonly Uint8Array[];
  readonly choices?: TunnelChoices | undefined;
  /** `common` where it is left out. */
  readonly place?: TunnelPlace;
}

/** What whoever dials may choose for one peer. */
export type TunnelChoices = Partial<Pick<TunnelConfig, 'congestion' | 'peerTimeout'>>;

/** Which places a tunnel may have: those for all, or those that are kept as well. */
export type TunnelPlace = 'common' | 'kept';

/** By which way a packet came, and how long it was. */
export interface Arrival {
  readonly route: Route;
  readonly length: number;
}

/** Where an answer went that has been used, and how long that took, where it was sent only once. */
export interface ProvedRoute {
  readonly route: Route;
  readonly roundTrip: number | undefined;
}

export type SendResult = 'queued' | 'too-large' | 'closed';

export interface PathState {
  readonly route: string;
  readonly isValidated: boolean;
  readonly isChallenged: boolean;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** Of what asks for an ACK. Beyond the window only by probes, or where the window has shrunk. */
  readonly bytesInFlight: number;
  /** The congestion window. */
  readonly window: number;
}

export interface SessionState {
  readonly localId: number;
  readonly remoteId: number;
  readonly generation: number;
  readonly initiatedLocally: boolean;
  readonly isConfirmed: boolean;
  readonly isReplaced: boolean;
  readonly isSending: boolean;
}

export interface TunnelState {
  readonly peer: string;
  readonly state: string;
  readonly nextPacketNumber: number;
  readonly highestReceived: number;
  readonly active: string | undefined;
  readonly paths: readonly PathState[];
  readonly sessions: readonly SessionState[];
  readonly isAttempting: boolean;
  readonly isRekeying: boolean;
  readonly queued: number;
  readonly windowSize: number;
}
