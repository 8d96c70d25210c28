import { PRIORITY_BULK, PRIORITY_HIGH, PRIORITY_NORMAL, type Priority } from '../wire/frames.ts';

/**
 * What a value may be, the same wherever somebody gives it: on the command line, in a setting, over the local socket, to a node
 * in the program itself. What one of these takes and the next refuses would be a fault found far from where it was made.
 */

export interface SpanBounds {
  /** In milliseconds, as all here. */
  readonly least: number;
  readonly most: number;
}

/** How long a dial, a ping or the end of a daemon may take: beyond a day nobody waits, and above 2³¹ ms Node's timers ring at once. */
export const TIMEOUT_MS: SpanBounds = { least: 1, most: 24 * 3_600_000 };

/** How long a peer may owe an answer: less than the slowest round trip there is would end tunnels that are well. */
export const PEER_TIMEOUT_MS: SpanBounds = { least: 1_000, most: 3_600_000 };

export function isSpanWithin(milliseconds: number, { least, most }: SpanBounds): boolean {
  return Number.isSafeInteger(milliseconds) && milliseconds >= least && milliseconds <= most;
}

/** A record's line: at most 805 characters, and white space around it, which whoever reads it takes away. */
export const RECORD_TEXT_BYTES_MAX = 1_024;

/** A host name of 253 characters (RFC 1035 §2.3.4), a colon and a port. */
export const ENDPOINT_BYTES_MAX = 259;

/** Of one peer: as many as a tunnel asks at once. */
export const PEER_ENDPOINTS_MAX = 8;

/** Whatever names a peer. */
export const PEER_BYTES_MAX = 128;

/** Of an application: QUIC's variable-length integers end there, and so do ours (PROTOCOL.md §5). */
export const CODE_MAX: number = Number.MAX_SAFE_INTEGER;

/** What a stream's priority is called. */
export const PRIORITIES: Readonly<Record<string, Priority>> = {
  high: PRIORITY_HIGH,
  normal: PRIORITY_NORMAL,
  low: PRIORITY_BULK,
};
