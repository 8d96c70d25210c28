import { MILLISECOND, SECOND } from '../base/time.ts';
import type { ControllerName } from './congestion/controller.ts';
import { DEFAULT_STREAM_CONFIG, type StreamConfig } from './streams/constants.ts';

// Specification: both sides rely on these (PROTOCOL.md).

/** How long a responder keeps a session nobody has confirmed, and an initiator one that was never answered in (§3, §6). */
export const UNCONFIRMED_LIFETIME: number = 5 * SECOND;
/** What a source may be sent before it has proved that it receives there, as a multiple of what came from it (RFC 9000 §8.1). */
export const AMPLIFICATION_LIMIT = 3;
/** A probe timeout, and a handshake retry, never come slower than this, so a healed link carries data within 2 s. */
export const PROBE_INTERVAL_MAX: number = 1 * SECOND;
/** Both sides keep a cookie as long (§3). */
export const COOKIE_LIFETIME: number = 120 * SECOND;
/** A replaced session opens packets this long at the most (§6). */
export const REPLACED_LIFETIME_MAX: number = 10 * SECOND;
export const REPLACED_LIFETIME_PTO = 3;
export const CLOSING_PTO = 3;

// Implementation: ours alone.

/** The first retries come quickly because the loss of one packet should not cost a second; then one a second. */
export const HANDSHAKE_RETRY: readonly number[] = [250 * MILLISECOND, 500 * MILLISECOND, PROBE_INTERVAL_MAX];
/** An initiation is sent again as it is this long, then made anew: a stolen ephemeral key is worth little. */
export const HANDSHAKE_ATTEMPT_LIFETIME: number = 10 * SECOND;
/** With so many probes out and no authenticated packet since the first, the peer may have restarted. */
export const PROBES_BEFORE_HANDSHAKE = 2;
/** Sent when neither side has sent anything for this long; below the 30 s after which NATs forget. */
export const KEEPALIVE_MIN: number = 20 * SECOND;
export const KEEPALIVE_SPREAD: number = 5 * SECOND;
/** A tunnel that has been silent for this long gives back the memory that only traffic needs. */
export const REST_AFTER: number = 2 * SECOND;
/** Tunnels rest on whole seconds: however many have fallen silent meanwhile, their node wakes once. */
export const REST_STEP: number = 1 * SECOND;
export const PATH_CHALLENGES_MAX = 3;
/** A path validated this recently may be moved to again without a new challenge. */
export const PATH_VALIDATION_LIFETIME: number = 30 * SECOND;
export const PATHS_MAX = 8;
export const PROVISIONAL_PER_PEER_MAX = 4;
export const PROVISIONAL_MAX = 256;
/** From this many on, initiations need a cookie. */
export const PROVISIONAL_COOKIE_FROM = 64;
export const SOURCES_MAX = 4_096;
export const SOURCE_HANDSHAKES_PER_SECOND = 20;
export const SOURCE_HANDSHAKES_BURST = 5;
export const REPLIES_QUEUED_MAX = 256;
export const DATAGRAMS_QUEUED_MAX = 64;
export const DIRECTED_QUEUED_MAX = 16;
export const DATAGRAMS_RECEIVED_MAX = 1_024;
/** An owner that drains after each input never has more than a few; one that does not loses the oldest. */
export const EVENTS_QUEUED_MAX = 16_384;
export const DATAGRAM_BYTES_RECEIVED_MAX: number = 4 * 2 ** 20;
export const CONTROL_FRAMES_QUEUED_MAX = 64;
/** A tunnel younger in use than this is never evicted for a stranger. */
export const EVICTABLE_AFTER: number = 60 * SECOND;
/** ACK ranges sent in one frame: enough for any burst, small enough to leave the packet to data. */
export const ACK_RANGES_SENT_MAX = 32;
/** Datagram-bearing packets before an ACK goes out without waiting (RFC 9000 §13.2.2). */
export const ACK_AFTER_PACKETS = 2;
/** RFC 8899 §5.1.2 BASE_PLPMTU: what every path is taken to carry. */
export const BASE_MTU = 1_200;
/** What the kernel cuts out of one send at most. */
export const SEGMENTS_MAX = 64;

/** What a daemon, a test or a simulation may set. */
export interface TunnelConfig {
  /** Without an authenticated answer this long while one is due, the tunnel ends. */
  readonly peerTimeout: number;
  readonly tunnelsMax: number;
  /** Of these, those that are left to whoever asks for such a one (`TunnelPlace`). */
  readonly tunnelsKept: number;
  /** Initiations answered a second, and at once: the Diffie-Hellman that strangers may cost us. */
  readonly handshakesPerSecond: number;
  readonly handshakesBurst: number;
  /** A session is replaced after so many packets, bytes or microseconds under traffic, and never seals past the hard limit. */
  readonly rekeyAfterPackets: number;
  readonly rekeyAfterBytes: number;
  readonly rekeyAfterTime: number;
  readonly sealedPacketsMax: number;
  /** Rekeys that a peer may ask for a second: it is authenticated, and still pays for none of our Diffie-Hellman. */
  readonly rekeysPerSecond: number;
  /** Which controller a new path gets. */
  readonly congestion: ControllerName;
  /** The largest packet that the local socket can send without its being cut up. */
  readonly mtuMax: number;
  readonly streams: StreamConfig;
}

export const DEFAULT_CONFIG: TunnelConfig = {
  peerTimeout: 30 * SECOND,
  tunnelsMax: 1_024,
  tunnelsKept: 0,
  handshakesPerSecond: 200,
  handshakesBurst: 64,
  // RFC 9001 §6.6 allows AES-GCM 2^23 packets a key; half of it leaves room to replace the key in.
  rekeyAfterPackets: 2 ** 22,
  rekeyAfterBytes: 64 * 2 ** 30,
  rekeyAfterTime: 120 * SECOND,
  sealedPacketsMax: 2 ** 23,
  rekeysPerSecond: 10,
  congestion: 'AIMD',
  // A socket that fragments would seem to carry anything, so without the edge's word no more than the base is tried.
  mtuMax: BASE_MTU,
  streams: DEFAULT_STREAM_CONFIG,
};
