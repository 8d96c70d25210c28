import { TIMER_GRANULARITY } from '../rtt.ts';

/** RFC 9002 §6.1.1: kPacketThreshold. */
export const PACKET_THRESHOLD = 3;
/** Beyond this, time alone decides: at any rate where so many packets overtake another, they do it within a round trip. */
export const PACKET_THRESHOLD_MAX = 4_096;
/** RFC 9002 §6.1.2: kTimeThreshold, 9/8, in eighths. */
export const TIME_THRESHOLD_EIGHTHS = 9;
/**
 * Four round trips. RFC 8985 §6.2 stops at two, but counts with an average of all packets; RTT samples come only from packets that
 * nothing overtook, so where packets overtake one another the average is that of the fast ones.
 */
export const TIME_THRESHOLD_EIGHTHS_MAX = 32;
/** RFC 8985 §6.2: so many losses without a spurious one, and the path is taken to have become more orderly. */
const ROUNDS_KEPT = 16;

/**
 * How far a packet of one path may fall behind before it counts as lost (RFC 9002 §6.1). Both thresholds begin at the RFC's values.
 * A packet that is acknowledged after it was declared lost shows what would have been enough, and that is what they rise to; both,
 * because either alone would have declared it lost. They sink again by half of the excess after 16 round trips with losses that
 * proved real.
 */
export class Reordering {
  #packets: number = PACKET_THRESHOLD;
  #eighths: number = TIME_THRESHOLD_EIGHTHS;
  #roundsWithLoss = 0;

  get packets(): number {
    return this.#packets;
  }

  get eighths(): number {
    return this.#eighths;
  }

  /** How long after its sending a packet is lost, once a later one has been acknowledged. */
  delay(rtt: number): number {
    return Math.max(Math.ceil((rtt * this.#eighths) / 8), TIMER_GRANULARITY);
  }

  /** A packet thought lost has been acknowledged, `distance` packets and `time` behind. */
  onSpuriousLoss(distance: number, time: number, rtt: number): void {
    this.#roundsWithLoss = 0;
    this.#packets = Math.min(Math.max(this.#packets, distance + 1), PACKET_THRESHOLD_MAX);
    // Just above: at exactly the threshold a packet is lost.
    const eighths = Math.floor((8 * time) / Math.max(rtt, 1)) + 1;
    this.#eighths = Math.min(Math.max(this.#eighths, eighths), TIME_THRESHOLD_EIGHTHS_MAX);
  }

  /** The first losses of a round trip were declared. */
  onRoundWithLoss(): void {
    this.#roundsWithLoss += 1;
    if (this.#roundsWithLoss < ROUNDS_KEPT) return;
    this.#roundsWithLoss = 0;
    this.#packets -= Math.ceil((this.#packets - PACKET_THRESHOLD) / 2);
    this.#eighths -= Math.ceil((this.#eighths - TIME_THRESHOLD_EIGHTHS) / 2);
  }
}
