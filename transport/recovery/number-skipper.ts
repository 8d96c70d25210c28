import { type Rng, randomBelow } from '../../base/rng.ts';

/** At the least so many numbers are used between two that are not, and at the most twice as many. */
export const SKIP_GAP_MIN = 512;
/** And at the least this share of what is in flight, so that the numbers skipped last, which recovery remembers, span all of it. */
const SKIP_GAP_FLIGHT_SHIFT = 2;

/**
 * Which packet numbers are passed over, to catch a peer that acknowledges what it has not received in order to be sent more than
 * the path bears (RFC 9000 §21.4). Such a peer names numbers before it can know which of them there are; drawn as they are, it
 * gets through one in every few hundred by luck, and a round trip of a full window hardly ever.
 *
 * An honest peer pays with a range more in its ACK frames until an ACK that named it has been acknowledged. So the faster a path,
 * the rarer the gaps: two to four of them in a flight, however large.
 */
export class NumberSkipper {
  readonly #rng: Rng;
  /** The first number to pass over where there is occasion to. */
  #next: number;

  constructor(rng: Rng, firstPacketNumber = 0) {
    this.#rng = rng;
    this.#next = firstPacketNumber + this.#draw(0);
  }

  /** Whether `packetNumber`, the next one, is to be passed over. Asked after a packet that is in flight; true is said once. */
  skips(packetNumber: number, packetsInFlight: number): boolean {
    if (packetNumber < this.#next) return false;
    this.#next = packetNumber + this.#draw(packetsInFlight);
    return true;
  }

  #draw(packetsInFlight: number): number {
    const gap = Math.max(SKIP_GAP_MIN, packetsInFlight >> SKIP_GAP_FLIGHT_SHIFT);
    return 1 + gap + randomBelow(this.#rng, gap);
  }
}
