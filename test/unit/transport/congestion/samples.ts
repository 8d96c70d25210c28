import { type Instant, instant } from '../../../../base/time.ts';
import type {
  AckSample,
  CongestionController,
  LossSample,
  RateSample,
} from '../../../../transport/congestion/controller.ts';
import { LossBasedController } from '../../../../transport/congestion/loss-based.ts';

export const MTU = 1_200;
export const RTT = 100_000;

export function at(us: number): Instant {
  return instant(us);
}

/** An ACK of `bytes` that arrived one empty round trip after its packet was sent. */
export function ack(parts: Partial<AckSample> = {}): AckSample {
  return {
    bytes: MTU,
    packets: 1,
    largestNumber: 0,
    largestSentAt: at(0),
    nextNumber: 10,
    bytesInFlight: 0,
    rtt: RTT,
    smoothedRtt: RTT,
    minimumRtt: RTT,
    rate: undefined,
    isAppLimited: false,
    ...parts,
  };
}

/** Under a sender that always fills its window. */
export class Filled extends LossBasedController {
  override onAck(sample: AckSample, now: Instant): void {
    this.onSent(0, this.window, now);
    super.onAck(sample, now);
  }
}

export function loss(parts: Partial<LossSample> = {}): LossSample {
  return {
    bytes: MTU,
    packets: 1,
    largestNumber: 0,
    largestSentAt: at(0),
    nextNumber: 10,
    bytesInFlight: 0,
    sentInFlight: 10 * MTU,
    lostSinceSent: MTU,
    isAppLimited: false,
    isPersistent: false,
    ...parts,
  };
}

export function rate(parts: Partial<RateSample> = {}): RateSample {
  return {
    deliveryRate: 1_000_000,
    delivered: 100_000,
    interval: RTT,
    priorDelivered: 0,
    totalDelivered: 100_000,
    sentInFlight: 100_000,
    lost: 0,
    isAppLimited: false,
    ...parts,
  };
}

/**
 * Round trips over a perfect path of `bandwidth` bytes a second: in each, one window is sent and acknowledged, in eight ACKs.
 * Numbers go up by one for each ACK.
 */
export class SteadyPath {
  readonly controller: CongestionController;
  now = 0;
  number = 0;
  delivered = 0;
  bandwidth: number;
  rtt: number = RTT;
  isAppLimited = false;

  constructor(controller: CongestionController, bandwidth: number) {
    this.controller = controller;
    this.bandwidth = bandwidth;
  }

  round(count = 1): void {
    for (let i = 0; i < count; i++) this.#round();
  }

  #round(): void {
    const window = this.controller.window;
    const flight = Math.min(window, (this.bandwidth * this.rtt) / 1_000_000);
    this.controller.onSent(window, window, at(this.now));
    const end = this.number + 8;
    for (let i = 1; i <= 8; i++) {
      this.now += this.rtt / 8;
      this.delivered += flight / 8;
      this.number++;
      this.controller.onAck(
        ack({
          bytes: flight / 8,
          packets: 1,
          largestNumber: this.number - 1,
          nextNumber: end,
          bytesInFlight: flight,
          rtt: this.rtt,
          smoothedRtt: this.rtt,
          minimumRtt: this.rtt,
          isAppLimited: this.isAppLimited,
          rate: rate({
            deliveryRate: (flight * 1_000_000) / this.rtt,
            delivered: flight,
            interval: this.rtt,
            // It was sent a round trip ago.
            priorDelivered: Math.max(0, this.delivered - flight),
            totalDelivered: this.delivered,
            sentInFlight: flight,
            isAppLimited: this.isAppLimited,
          }),
        }),
        at(this.now),
      );
    }
  }
}
