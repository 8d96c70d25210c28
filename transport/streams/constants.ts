import { SECOND } from '../../base/time.ts';
import { CLOSE_CODES } from '../../wire/close-codes.ts';

// Specification: both sides rely on these (PROTOCOL.md §6).

const KIB = 1_024;
const MIB = 1_024 * KIB;

/** Streams that either side may have opened before the first MAX_STREAMS. */
export const STREAMS_INITIAL = 128;
/** What may be sent on a stream before the first MAX_STREAM_DATA, in each direction. */
export const STREAM_WINDOW_INITIAL: number = 256 * KIB;
/** What may be sent on all streams of a tunnel together before the first MAX_DATA. */
export const TUNNEL_WINDOW_INITIAL: number = 1 * MIB;

/** Why an open was refused, as the code of the RESET and the STOP that answer it. */
export const REFUSALS: Readonly<Record<StreamRefusal, number>> = {
  NO_LISTENER: CLOSE_CODES.NO_LISTENER,
  BACKLOG_FULL: CLOSE_CODES.BACKLOG_FULL,
  NOT_TRUSTED: CLOSE_CODES.NOT_TRUSTED,
  LIMIT: CLOSE_CODES.LIMIT,
};
export type StreamRefusal = 'NO_LISTENER' | 'BACKLOG_FULL' | 'NOT_TRUSTED' | 'LIMIT';

// Implementation: ours alone.

/**
 * Bytes that lie in order and wait for their readers give the tunnel's credit back as if they had been taken, up to so many:
 * what a few stalled readers leave lying is not taken out of their neighbours' window.
 */
export const READY_ALLOWANCE: number = 16 * MIB;
/** All windows of the streams of a tunnel may have grown by this share of the tunnel's window, so a part always stays free. */
export const GROWTH_SHARE = 0.75;
/**
 * A window doubles when it was used up in so many smoothed round trips, and so ends at that many times what the path carries in
 * one. Two would do where nothing is lost. A hole keeps what follows it from readers for a round trip, and for another where its
 * repair is lost too; a window of two round trips is then itself what slows the sender, which is what keeps it from growing.
 */
export const WINDOW_ROUND_TRIPS = 4;
/**
 * A window of which less than half was used for so long is halved. At that rate what is left still holds half a minute of data,
 * many times what any path carries in a round trip. And an idle tunnel is looked at in time: it has two keepalives in a minute.
 */
export const WINDOW_HALF_LIFE: number = 60 * SECOND;
/** A limit is told to the peer when it can rise by this share of the window: never once per read. */
export const CREDIT_SHARE = 0.25;
/** RFC 9000 §21.6: what arrives out of order is kept in at most so many pieces. */
export const OUT_OF_ORDER_RANGES_MAX = 256;
export const SEND_BUFFER_INITIAL: number = 256 * KIB;
/** A writer that waits is told when so much of its buffer is free. */
export const WRITABLE_SHARE = 0.25;
/** A written piece below this size is copied, so that many small ones do not cost an object each; a larger one is kept where it is left alone. */
export const COPIED_BELOW: number = 4 * KIB;
/**
 * What copied pieces share at most, and a reader is handed at once: large enough for one system call, small enough for the
 * allocator to use again.
 */
export const CHUNK_BYTES_MAX: number = 64 * KIB;
export const READ_CHUNK_BYTES_MIN = 256;
/**
 * Such chunks end beyond the bytes that fill them, and credit counts only the bytes. All streams of a tunnel together may hold so
 * much that is empty, and 256 bytes each; beyond it a chunk is as large as what goes into it.
 */
export const CHUNK_SLACK_MAX: number = 1 * MIB;
/** No frame begins with less room for data than this at the end of a packet that already carries something. */
export const SLIVER_BYTES = 32;

/** What a daemon, a test or a simulation may set. */
export interface StreamConfig {
  /** Streams of one peer that may be open at once. */
  readonly peerStreamsMax: number;
  readonly streamWindowMax: number;
  readonly tunnelWindowMax: number;
  /** Written and not yet acknowledged bytes of one stream. */
  readonly sendBufferMax: number;
}

export const DEFAULT_STREAM_CONFIG: StreamConfig = {
  peerStreamsMax: 1_024,
  streamWindowMax: 32 * MIB,
  tunnelWindowMax: 64 * MIB,
  sendBufferMax: 32 * MIB,
};

/** What the buffers of all tunnels of a node may hold together, beyond the first window of each tunnel and stream. */
export const NODE_BUDGET_BYTES: number = 256 * MIB;
