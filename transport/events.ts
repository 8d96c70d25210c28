import type { CloseCode } from '../wire/close-codes.ts';
import type { IdentityRecord } from '../wire/records.ts';
import type { Route } from './route.ts';
import type { UnreadStream } from './streams/streams.ts';

/** Why a tunnel ended. */
export type DownReason =
  /** We closed it. */
  | { readonly kind: 'closed'; readonly code: CloseCode }
  /** The peer closed it; the text is the peer's and untrusted. */
  | { readonly kind: 'closed-by-peer'; readonly code: number; readonly text: string }
  /** No authenticated answer for `peerTimeout` while one was due. */
  | { readonly kind: 'peer-timeout' }
  /** The peer shows another incarnation: it lost its state. */
  | { readonly kind: 'peer-restarted' }
  /** A longer idle tunnel than any other, when the table was full. */
  | { readonly kind: 'evicted' };

/** What the machine tells its owner. `peer` is the hex of the peer's identity key. */
export type TunnelEvent =
  | { readonly kind: 'tunnel-up'; readonly peer: string; readonly record: IdentityRecord; readonly route: Route }
  | {
      readonly kind: 'tunnel-down';
      readonly peer: string;
      readonly reason: DownReason;
      /** What had arrived in order and was not read yet. */
      readonly unread: readonly UnreadStream[];
    }
  | { readonly kind: 'path-changed'; readonly peer: string; readonly route: Route }
  | { readonly kind: 'rekeyed'; readonly peer: string; readonly generation: number }
  /** The peer's identity record as its latest handshake brought it. */
  | { readonly kind: 'record'; readonly peer: string; readonly record: IdentityRecord; readonly bytes: Uint8Array };

export interface ReceivedDatagram {
  readonly peer: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly data: Uint8Array;
}
