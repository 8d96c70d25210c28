import type { Instant } from '../base/time.ts';
import type { SimAddress } from './address.ts';
import type { LinkDrop } from './link.ts';
import type { Corruption } from './link-config.ts';

/** One thing that happened to one datagram. `bytes` are lent for the call: read them, do not keep or change them. */
export interface WireEvent {
  readonly time: Instant;
  /** `delivered` is told just before the machine gets it. Copies that the network makes are not `sent`. */
  readonly fate: 'sent' | 'delivered' | 'dropped';
  /** Of a drop, and only there. */
  readonly cause: DropCause | undefined;
  /** A host's name; `ADVERSARY` where it was injected. */
  readonly fromHost: string;
  /** A host's name; `NOBODY` where the address is nobody's. */
  readonly toHost: string;
  readonly from: SimAddress;
  readonly to: SimAddress;
  readonly bytes: Uint8Array;
  /** One number for a datagram and all its copies, given out from 1. */
  readonly id: number;
  readonly origin: Origin;
  readonly corruption: Corruption | undefined;
}

export type Origin = 'original' | 'duplicate' | 'replay' | 'injected';

/** Why a datagram did not reach a machine: its link, the adversary, nobody at that address, no machine there, or a paused one. */
export type DropCause = LinkDrop | 'adversary' | 'unroutable' | 'unattached' | 'paused';

/** What an application said through `Network.note`. */
export interface NoteEvent {
  readonly time: Instant;
  readonly host: string;
  readonly text: string;
}

export interface Observer {
  datagram?(event: WireEvent): void;
  note?(event: NoteEvent): void;
}

export interface SeenDatagram {
  readonly time: Instant;
  readonly id: number;
  readonly fromHost: string;
  readonly toHost: string;
  readonly from: SimAddress;
  readonly to: SimAddress;
  /** Lent for the call. */
  readonly bytes: Uint8Array;
}

export type Adversary = (datagram: SeenDatagram) => 'pass' | 'drop';

export const ADVERSARY = '(adversary)';
export const NOBODY = '(nobody)';
