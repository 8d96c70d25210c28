import type { Instant } from '../../base/time.ts';

/**
 * How much may be in flight on one path, and how fast it goes out. A controller belongs to a path and is shared by every
 * stream of the tunnel that sends by it. It sees packets as sizes and times: which bytes they carried, and when a packet counts
 * as lost, is the recovery's (RFC 9002). Everything is told in batches, so that the cost is per ACK and not per packet.
 */
export interface CongestionController {
  readonly name: ControllerName;
  /** Bytes that may be in flight (RFC 9002 §7.2 cwnd). Probes may exceed it. */
  readonly window: number;
  /** Bytes a second to pace at, or `undefined` before anything is known: then the pacer spreads the window over the RTT. */
  readonly pacingRate: number | undefined;
  /** Whether it is still in its start-up phase; for `status` and tests. */
  readonly isStartup: boolean;

  /** Packets went out, `bytes` in all; `bytesInFlight` includes them. */
  onSent(bytes: number, bytesInFlight: number, now: Instant): void;

  /** An ACK frame newly acknowledged packets of this path. Called before `onLoss` for what the same frame showed to be lost. */
  onAck(sample: AckSample, now: Instant): void;

  /** Packets were declared lost. */
  onLoss(loss: LossSample, now: Instant): void;

  /**
   * `packets` of those an `onLoss` at `declaredAt` reported have arrived after all. Once every loss behind a reduction has proved
   * spurious, the reduction is undone; one real loss among them makes it stand.
   */
  onSpuriousLoss(packets: number, declaredAt: Instant, now: Instant): void;

  /** The datagram size of the path changed: what is counted in packets follows. */
  onMtuChange(mtu: number): void;

  /** Sending stopped for want of data, not for want of window, since the last call of `onSent`. */
  onAppLimited(bytesInFlight: number, now: Instant): void;

  /** Sending stopped because the pacer had it wait: without that it would have gone on. */
  onPaced(): void;
}

export type ControllerName = 'AIMD' | 'CUBIC' | 'BBR';

export interface AckSample {
  /** Newly acknowledged bytes, and how many packets they were in. */
  readonly bytes: number;
  readonly packets: number;
  /** The largest newly acknowledged packet: its number and when it was sent. */
  readonly largestNumber: number;
  readonly largestSentAt: Instant;
  /** The next packet number to be sent: where the current round trip ends. */
  readonly nextNumber: number;
  /** After this acknowledgement. */
  readonly bytesInFlight: number;
  /** This ACK's own RTT sample in µs, where it gave one; the smoothed and the lowest RTT after it. */
  readonly rtt: number | undefined;
  readonly smoothedRtt: number;
  readonly minimumRtt: number;
  readonly rate: RateSample | undefined;
  /** Sending was limited by the application when the largest acknowledged packet went out. */
  readonly isAppLimited: boolean;
}

/** Delivery rate over the flight of the newest acknowledged packet (draft-ietf-ccwg-bbr, delivery rate estimation). */
export interface RateSample {
  /** Bytes a second; 0 where the interval was shorter than the lowest RTT, which no true rate comes from. */
  readonly deliveryRate: number;
  /** Bytes delivered, and microseconds passed, between that packet's sending and now. */
  readonly delivered: number;
  readonly interval: number;
  /** `delivered` counter of the connection when that packet was sent, and now. */
  readonly priorDelivered: number;
  readonly totalDelivered: number;
  /** Bytes in flight right after that packet was sent, and bytes lost between then and now. */
  readonly sentInFlight: number;
  readonly lost: number;
  readonly isAppLimited: boolean;
}

export interface LossSample {
  readonly bytes: number;
  readonly packets: number;
  /** The newest packet of those lost: congestion is counted once a round trip (RFC 9002 §7.3.2). */
  readonly largestNumber: number;
  readonly largestSentAt: Instant;
  readonly nextNumber: number;
  /** After the loss. */
  readonly bytesInFlight: number;
  /** Bytes in flight right after the newest lost packet was sent, and all bytes lost since it was sent. */
  readonly sentInFlight: number;
  readonly lostSinceSent: number;
  /** The newest lost packet went out while the application limited the sending. */
  readonly isAppLimited: boolean;
  /** RFC 9002 §7.6: everything sent over several probe timeouts was lost. */
  readonly isPersistent: boolean;
}

/** RFC 9002 §7.2. */
export function initialWindow(mtu: number): number {
  return Math.min(10 * mtu, Math.max(2 * mtu, 14_720));
}

/** RFC 9002 §7.2: kMinimumWindow. */
export function minimumWindow(mtu: number): number {
  return 2 * mtu;
}

/** More than any credit this side can be given; keeps a window finite whatever is acknowledged. */
export const MAXIMUM_WINDOW: number = 2 ** 40;
