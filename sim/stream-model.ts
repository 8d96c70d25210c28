import type { Instant } from '../base/time.ts';
import type { SimPeer } from './world.ts';

/** The model of a stream: what its programs mean to do, and what has been said and heard of it at either end. */

/** One stream of the world. */
export interface Wire {
  readonly number: number;
  readonly id: number;
  readonly from: SimPeer;
  readonly to: SimPeer;
  readonly port: number;
  readonly priority: 0 | 1 | 2;
  readonly forth: Direction;
  readonly back: Direction;
  /** The code with which it was refused. */
  turnedAway: number | undefined;
  wasOffered: boolean;
  /** A program has taken it; and whoever opened it has been told. */
  isTaken: boolean;
  isTakingTold: boolean;
}

/** The model of one direction: what its writer has said and what its reader has heard. */
export interface Direction {
  readonly salt: number;
  readonly plan: Plan;
  written: number;
  /** Not everything was taken, and `writable` has not come yet. */
  isWaiting: boolean;
  ended: 'finish' | 'reset' | undefined;
  resetCode: number | undefined;
  stopCode: number | undefined;
  read: number;
  outcome: 'finished' | 'reset' | 'stopped' | undefined;
}

export interface Plan {
  readonly total: number;
  readonly pieceMax: number;
  ending: 'finish' | 'reset' | 'linger';
  readonly isEager: boolean;
  /** Its reader lets it fill the window, then takes all at once, so that one message gives the whole window back. */
  readonly isGulped: boolean;
}

export type Reading =
  | { readonly kind: 'eager' | 'slow' }
  | { readonly kind: 'stalls' | 'gulps'; readonly until: Instant }
  | { readonly kind: 'stops'; readonly at: number };

/** A stream in the hand of a program. */
export interface End {
  readonly wire: Wire;
  readonly peer: SimPeer;
  readonly other: SimPeer;
  readonly out: Direction;
  readonly into: Direction;
  reading: Reading;
  /** Acknowledged or stopped: told. */
  isOutDone: boolean;
}

export function direction(salt: number, plan: Plan): Direction {
  return {
    salt,
    plan,
    written: 0,
    isWaiting: false,
    ended: undefined,
    resetCode: undefined,
    stopCode: undefined,
    read: 0,
    outcome: undefined,
  };
}

export function describe({ peer, wire, out, into }: End): string {
  return `${peer.name} holds ${wire.number} (wrote ${out.written} of ${out.plan.total}, ${out.ended ?? 'goes on'}; read ${into.read}, ${into.outcome ?? 'waits'})`;
}

/** `length` bytes of the direction with this salt, from `offset` on; they are never written to. */
export function pattern(salt: number, offset: number, length: number): Uint8Array {
  const start = (salt * 7_919 + offset) % PATTERN_PERIOD;
  return PATTERN.subarray(start, start + length);
}

/** Prime, so that no power of two lines up with it. */
const PATTERN_PERIOD = 65_521;
const PATTERN: Uint8Array = Uint8Array.from(
  { length: PATTERN_PERIOD + 2 * 65_536 },
  (_, i) => ((i % PATTERN_PERIOD) * 31 + ((i % PATTERN_PERIOD) >> 8) * 7) & 0xff,
);
