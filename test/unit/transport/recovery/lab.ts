import { type Instant, instant, MILLISECOND } from '../../../../base/time.ts';
import type { AckSample, CongestionController, LossSample } from '../../../../transport/congestion/controller.ts';
import { MtuSearch } from '../../../../transport/mtu-search.ts';
import { CONTENT_STREAM_DATA, type PacketContents } from '../../../../transport/packet-contents.ts';
import type { ContentsSink } from '../../../../transport/recovery/loss-detector.ts';
import { type AckOutcome, Recovery, type TimeoutOutcome } from '../../../../transport/recovery/recovery.ts';
import type { RecoveryPath } from '../../../../transport/recovery/recovery-path.ts';
import { RecoveryScratch } from '../../../../transport/recovery/scratch.ts';
import { RttEstimator } from '../../../../transport/rtt.ts';
import type { AckRange } from '../../../../wire/frames.ts';

export const at = (ms: number): Instant => instant(Math.round(ms * MILLISECOND));

/** A controller with a fixed window that writes down what it hears. */
export class Listener implements CongestionController {
  readonly name = 'AIMD';
  readonly pacingRate: undefined = undefined;
  readonly isStartup = false;
  window = 1_000_000;
  readonly sent: { bytes: number; bytesInFlight: number }[] = [];
  readonly acks: AckSample[] = [];
  readonly losses: LossSample[] = [];
  readonly spurious: { packets: number; declaredAt: number }[] = [];
  readonly mtus: number[] = [];
  readonly limited: number[] = [];
  readonly order: string[] = [];

  onSent(bytes: number, bytesInFlight: number): void {
    this.sent.push({ bytes, bytesInFlight });
  }
  onAck(sample: AckSample): void {
    this.acks.push({ ...sample });
    this.order.push('ack');
  }
  onLoss(loss: LossSample): void {
    this.losses.push({ ...loss });
    this.order.push('loss');
  }
  onSpuriousLoss(packets: number, declaredAt: Instant): void {
    this.spurious.push({ packets, declaredAt });
    this.order.push('spurious');
  }
  onMtuChange(mtu: number): void {
    this.mtus.push(mtu);
  }
  onPaced(): void {}

  onAppLimited(bytesInFlight: number): void {
    this.limited.push(bytesInFlight);
  }
}

/** `0-3 5` in any order, as the ranges of a frame: highest first. */
export function ranges(text: string): AckRange[] {
  return text
    .split(' ')
    .map((part) => part.split('-').map(Number))
    .map(([smallest, largest]) => ({ smallest: smallest!, largest: largest ?? smallest! }))
    .sort((a, b) => b.largest - a.largest);
}

export interface LabPath extends RecoveryPath {
  readonly controller: Listener;
}

/** One sender's recovery on a virtual clock in milliseconds. Each packet carries one entry, whose offset is its number. */
export class Lab implements ContentsSink {
  readonly recovery: Recovery;
  readonly path: LabPath;
  readonly arrived: number[] = [];
  readonly missing: number[] = [];

  constructor(options: { firstPacketNumber?: number; roundTripMs?: number; maximumMtu?: number } = {}) {
    this.recovery = new Recovery(this, new RecoveryScratch(), options.firstPacketNumber);
    this.path = this.addPath(0, options.roundTripMs, options.maximumMtu);
  }

  get controller(): Listener {
    return this.path.controller;
  }

  acked(contents: PacketContents, index: number): void {
    this.arrived.push(contents.offset(index));
  }

  lost(contents: PacketContents, index: number): void {
    this.missing.push(contents.offset(index));
  }

  /** With `roundTripMs` its RTT is known and steady. */
  addPath(ms: number, roundTripMs?: number, maximumMtu = 1_200): LabPath {
    const parts = { rtt: new RttEstimator(), controller: new Listener(), mtuSearch: new MtuSearch(maximumMtu) };
    if (roundTripMs !== undefined) for (let i = 0; i < 60; i++) parts.rtt.sample(roundTripMs * MILLISECOND, 0);
    return this.recovery.addPath(parts, at(ms)) as LabPath;
  }

  /** One packet at each of the times. */
  send(times: number | readonly number[], options: SendOptions = {}): void {
    const { path = this.path, bytes = 1_200, asksForAck = true } = options;
    for (const ms of typeof times === 'number' ? [times] : times) {
      const number = this.recovery.nextPacketNumber;
      this.recovery.contents.add(CONTENT_STREAM_DATA, 0, number, bytes);
      this.recovery.onSent(path, number, bytes, asksForAck, at(ms));
      this.recovery.onBatchSent(path, at(ms));
    }
  }

  /** `count` packets at once. */
  burst(ms: number, count: number, options: SendOptions = {}): void {
    this.send(Array<number>(count).fill(ms), options);
  }

  ack(ms: number, text: string, delayMs = 0): AckOutcome {
    return this.recovery.onAckFrame(ranges(text), delayMs * MILLISECOND, at(ms));
  }

  /** The timeout that is due, and when it was. */
  fire(): { ms: number; outcome: TimeoutOutcome } {
    const now = this.recovery.nextTimeout();
    return { ms: now / MILLISECOND, outcome: this.recovery.handleTimeout(now) };
  }

  get timeoutMs(): number {
    return this.recovery.nextTimeout() / MILLISECOND;
  }

  /** What was newly handed over since the last look. */
  take(): { arrived: number[]; missing: number[] } {
    return { arrived: this.arrived.splice(0), missing: this.missing.splice(0) };
  }
}

export interface SendOptions {
  readonly path?: RecoveryPath;
  readonly bytes?: number;
  readonly asksForAck?: boolean;
}
