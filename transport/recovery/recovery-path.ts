import type { Instant } from '../../base/time.ts';
import { after, NEVER } from '../../base/time.ts';
import type { CongestionController } from '../congestion/controller.ts';
import { RateSampler } from '../congestion/rate-sampler.ts';
import { BASE_MTU, PROBE_INTERVAL_MAX } from '../constants.ts';
import type { MtuSearch } from '../mtu-search.ts';
import type { RttEstimator } from '../rtt.ts';
import { LostRun } from './lost-run.ts';
import { Reordering } from './reordering.ts';

/** RFC 9002 §6.2.4: probes sent at one probe timeout. */
export const PROBES_PER_TIMEOUT = 2;

export interface PathParts {
  readonly rtt: RttEstimator;
  readonly controller: CongestionController;
  readonly mtuSearch: MtuSearch;
}

/**
 * What recovery knows of one path. The owner of a `Recovery` gets it from `addPath`, reads it and names the path by it; only
 * `Recovery` writes to it.
 */
export class RecoveryPath {
  readonly index: number;
  readonly rtt: RttEstimator;
  readonly controller: CongestionController;
  readonly mtuSearch: MtuSearch;
  readonly sampler: RateSampler = new RateSampler();
  readonly reordering: Reordering = new Reordering();
  readonly lostRun: LostRun = new LostRun();
  /** No packet below this number went by it. */
  readonly firstNumber: number;
  /** The MTU that the controller knows. */
  mtu: number;

  bytesInFlight = 0;
  /** Outstanding packets that ask for an ACK. */
  packetsInFlight = 0;
  /** The sequence number of the next packet on this path. */
  sequence = 0;
  /** Declared lost, but for MTU probes; and of those, acknowledged all the same. */
  everLost = 0;
  everLate = 0;
  /** No packet of this path below this packet number is outstanding. */
  cursor: number;
  /** RFC 9002 A.3: largest_acked_packet, by packet number and by this path's sequence. */
  largestAcked = -1;
  largestAckedSequence = -1;
  /** When the first packet that waits becomes lost by the time threshold. */
  lossTime: Instant = NEVER;
  ptoCount = 0;
  /** The probe timeout counts from here. */
  ptoStart: Instant = NEVER;
  /** Probes to be sent, whatever the window says. */
  probesDue = 0;
  /** Packets sent before the first RTT sample do not show persistent congestion (RFC 9002 §7.6.2). */
  sampledAt: Instant;
  /** When losses of a round trip were last counted for the thresholds. */
  lossRoundStart: Instant;

  // Of the batch being sent.
  bytesUntold = 0;

  // Of the ACK frame being read.
  isTouched = false;
  ackedBytes = 0;
  ackedPackets = 0;
  newestAcked = -1;
  /** Of those in flight until now: neither lost before nor without a request for an ACK. */
  newestCounted = -1;
  largestAckedBytes = 0;
  sawAskingAcked = false;

  // Losses being declared.
  lostBytes = 0;
  lostPackets = 0;
  newestLost = -1;

  // Packets acknowledged late, of those declared lost at `lateLostAt`.
  latePackets = 0;
  lateLostAt: Instant = NEVER;

  constructor(index: number, parts: PathParts, firstPacketNumber: number, now: Instant) {
    this.index = index;
    this.rtt = parts.rtt;
    this.controller = parts.controller;
    this.mtuSearch = parts.mtuSearch;
    this.mtu = parts.mtuSearch.mtu;
    this.firstNumber = firstPacketNumber;
    this.cursor = firstPacketNumber;
    this.sampledAt = parts.rtt.isSampled ? now : NEVER;
    this.lossRoundStart = now;
  }

  /**
   * The size of packets now. While a probe timeout is unanswered it is the base, which every path carries: should the path have
   * come to carry less than it did, the probes and what they repeat pass all the same, and nobody waits for the search to find out
   * (after RFC 4821 §7.7, where a full-stop timeout brings the size down).
   */
  get sendMtu(): number {
    return this.ptoCount > 0 ? BASE_MTU : this.mtuSearch.mtu;
  }

  /** RFC 9002 §6.1.2, with the larger of the two averages. */
  get lossDelay(): number {
    return this.reordering.delay(Math.max(this.rtt.latest, this.rtt.smoothed));
  }

  /**
   * When something must happen for want of an answer.
   *
   * Deviates from RFC 9002 §6.2.1: the timeout counts from the first packet that waits, the last acknowledgement or the last
   * probe, as TCP's does (RFC 6298 §5), and is not put off by each packet sent; a slow trickle of packets into a dead path would put
   * it off until the window is full. And it never exceeds one second (PROTOCOL.md §6).
   *
   * Nor does it wait where losses are to be declared by time. §6.2.1 has it wait because that time is the earlier one in most
   * cases; where it is, it still comes first here. Thresholds that reordering has widened may put it four round trips off.
   */
  probeDeadline(isActive: boolean): Instant {
    if (this.packetsInFlight === 0) return NEVER;
    const { probeTimeout } = this.rtt;
    // A late acknowledgement may have made the estimate enormous.
    if (!isActive) return after(this.ptoStart, Math.min(probeTimeout, PROBE_INTERVAL_MAX));
    return after(this.ptoStart, Math.min(probeTimeout * 2 ** Math.min(this.ptoCount, 20), PROBE_INTERVAL_MAX));
  }

  /** The controller's window counts in packets. */
  followMtu(): void {
    if (this.mtuSearch.mtu === this.mtu) return;
    this.mtu = this.mtuSearch.mtu;
    this.controller.onMtuChange(this.mtu);
  }
}
