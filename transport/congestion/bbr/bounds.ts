import { BETA, HEADROOM, LOSS_THRESH, MIN_PIPE_PACKETS, PROBE_UP_ROUNDS_MAX } from './constants.ts';

const NONE: number = Number.POSITIVE_INFINITY;

/**
 * What loss has taught, on two time scales (draft-ietf-ccwg-bbr §5.5.10; the names are those of BBRv3 in use):
 *
 * - *short*: `bwLo` and `inflightLo`, what the path bore in the latest rounds with losses. They only fall, and are forgotten
 *   before each probe;
 * - *long*: `inflightHi`, the most that was in flight without excess loss while probing. Probes raise it, a datagram in the first
 *   round trip, then two, four and so on.
 */
export class Bounds {
  bwLo: number = NONE;
  inflightLo: number = NONE;
  inflightHi: number = NONE;

  #roundsUp = 0;
  #ackedUp = 0;
  #ackedPerIncrease: number = NONE;

  // Before the latest loss episode, for a spurious one.
  #savedBwLo: number = NONE;
  #savedInflightLo: number = NONE;
  #savedInflightHi: number = NONE;

  /** AdaptLowerBoundsFromCongestion: towards what was delivered, by no more than Beta in a round. */
  adaptLower(maxBw: number, cwnd: number, bwLatest: number, inflightLatest: number): void {
    if (this.bwLo === NONE) this.bwLo = maxBw;
    if (this.inflightLo === NONE) this.inflightLo = cwnd;
    this.bwLo = Math.max(bwLatest, BETA * this.bwLo);
    this.inflightLo = Math.max(inflightLatest, BETA * this.inflightLo);
  }

  /** ResetShortTermModel. */
  resetLower(): void {
    this.bwLo = NONE;
    this.inflightLo = NONE;
  }

  /**
   * HandleInflightTooHigh: `inflight` was too much; no further down than Beta of what is wanted. The draft takes the very volume
   * that overflowed as the new bound, and leaves headroom only while cruising. Here the headroom is taken off the bound itself:
   * a decrease in proportion is what lets flows converge, and a CUBIC flow on the same queue has room to grow back.
   */
  lowerHigh(inflight: number, targetInflight: number): void {
    this.inflightHi = Math.max((1 - HEADROOM) * inflight, BETA * targetInflight);
  }

  /** A flight of this size arrived with little loss. */
  admit(sentInFlight: number): void {
    if (this.inflightHi !== NONE && sentInFlight > this.inflightHi) this.inflightHi = sentInFlight;
  }

  /** InflightWithHeadroom. */
  withHeadroom(mtu: number): number {
    if (this.inflightHi === NONE) return NONE;
    const headroom = Math.max(mtu, HEADROOM * this.inflightHi);
    return Math.max(this.inflightHi - headroom, MIN_PIPE_PACKETS * mtu);
  }

  startProbe(): void {
    this.#roundsUp = 0;
    this.#ackedUp = 0;
  }

  stopProbe(): void {
    this.#ackedPerIncrease = NONE;
  }

  /** RaiseInflightLongtermSlope. */
  raiseSlope(cwnd: number, mtu: number): void {
    const growth = 2 ** this.#roundsUp;
    this.#roundsUp = Math.min(this.#roundsUp + 1, PROBE_UP_ROUNDS_MAX);
    this.#ackedPerIncrease = Math.max(cwnd / growth, mtu);
  }

  /** ProbeInflightLongtermUpward, for a flow that its window holds back at inflightHi. */
  raiseHigh(acked: number, mtu: number): void {
    if (this.inflightHi === NONE || this.#ackedPerIncrease === NONE) return;
    this.#ackedUp += acked;
    const increases = Math.floor(this.#ackedUp / this.#ackedPerIncrease);
    this.#ackedUp -= increases * this.#ackedPerIncrease;
    this.inflightHi += increases * mtu;
  }

  /** SaveStateUponLoss and HandleSpuriousLossDetection. */
  save(): void {
    this.#savedBwLo = this.bwLo;
    this.#savedInflightLo = this.inflightLo;
    this.#savedInflightHi = this.inflightHi;
  }

  restore(): void {
    this.bwLo = Math.max(this.bwLo, this.#savedBwLo);
    this.inflightLo = Math.max(this.inflightLo, this.#savedInflightLo);
    this.inflightHi = Math.max(this.inflightHi, this.#savedInflightHi);
  }
}

/**
 * InflightAtLoss (§5.5.10.2): at what volume in flight the losses crossed the threshold, inside the burst of `bytes` that was
 * lost. `lost` and `inFlight` include the burst.
 */
export function inflightAtLoss(bytes: number, lost: number, inFlight: number): number {
  const inFlightBefore = Math.max(0, inFlight - bytes);
  const lostBefore = Math.max(0, lost - bytes);
  const prefix = (LOSS_THRESH * inFlightBefore - lostBefore) / (1 - LOSS_THRESH);
  return inFlightBefore + Math.max(0, Math.min(prefix, bytes));
}
