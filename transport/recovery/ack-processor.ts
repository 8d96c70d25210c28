import { truncate } from '../../base/arrays.ts';
import type { Instant } from '../../base/time.ts';
import { NEVER } from '../../base/time.ts';
import type { AckRange } from '../../wire/frames.ts';
import type { LossDetector } from './loss-detector.ts';
import type { RecoveryPath } from './recovery-path.ts';
import type { RecoveryScratch } from './scratch.ts';
import type { SentLedger } from './sent-ledger.ts';
import { SENT_ASKS_FOR_ACK, SENT_LOST, SENT_LOST_QUIETLY, SENT_MTU_PROBE } from './sent-ledger.ts';

/**
 * Works one ACK frame into the ledger (RFC 9002 A.7). First every newly acknowledged packet is taken out and its bytes are counted
 * to its path; then each path that had any learns its RTT, tells its controller once, and looks for losses.
 */
export class AckProcessor {
  readonly #ledger: SentLedger;
  readonly #losses: LossDetector;
  readonly #paths: readonly (RecoveryPath | undefined)[];
  /** Paths with packets that this frame acknowledges. */
  readonly #touched: RecoveryPath[] = [];
  readonly #scratch: RecoveryScratch;

  constructor(
    ledger: SentLedger,
    losses: LossDetector,
    paths: readonly (RecoveryPath | undefined)[],
    scratch: RecoveryScratch,
  ) {
    this.#ledger = ledger;
    this.#losses = losses;
    this.#paths = paths;
    this.#scratch = scratch;
  }

  /** `ranges` descend and name only what was sent. Whether a packet that asked for an ACK was newly acknowledged. */
  process(ranges: readonly AckRange[], delayUs: number, now: Instant): boolean {
    // From the oldest to the newest: what streams have sent is acknowledged from its beginning.
    for (let index = ranges.length - 1; index >= 0; index--) this.#acknowledgeRange(ranges[index]!, now);
    let sawAskingAcked = false;
    for (const path of this.#touched) {
      sawAskingAcked ||= path.sawAskingAcked;
      this.#finishPath(path, ranges[0]!.largest, delayUs, now);
    }
    truncate(this.#touched, 0);
    return sawAskingAcked;
  }

  #acknowledgeRange(range: AckRange, now: Instant): void {
    const first = Math.max(range.smallest, this.#ledger.oldest);
    let number = this.#ledger.nextPending(first, range.largest);
    while (number <= range.largest) {
      this.#acknowledge(number, now);
      number = this.#ledger.nextPending(number + 1, range.largest);
    }
    this.#ledger.joinRun(first, number);
  }

  #acknowledge(number: number, now: Instant): void {
    const { columns } = this.#ledger;
    const slot = this.#ledger.slot(number);
    const flags = columns.flags[slot]!;
    const bytes = columns.bytes[slot]!;
    const path = this.#paths[columns.path[slot]!]!;
    if (!path.isTouched) {
      path.isTouched = true;
      this.#touched.push(path);
    }
    this.#ledger.markDone(slot);
    if (number > path.newestAcked) path.newestAcked = number;
    if ((flags & SENT_ASKS_FOR_ACK) !== 0) {
      const sentAt = columns.sentAt[slot]! as Instant;
      path.sawAskingAcked = true;
      path.sampler.onAcked(columns.delivery, slot, number, bytes, sentAt, now);
      if ((flags & SENT_LOST) !== 0) {
        if ((flags & SENT_LOST_QUIETLY) === 0) this.#noteLate(path, slot, now);
      } else {
        path.packetsInFlight -= 1;
        path.bytesInFlight -= bytes;
        path.ackedPackets += 1;
        path.ackedBytes += bytes;
        if (number > path.newestCounted) path.newestCounted = number;
      }
      if ((flags & SENT_MTU_PROBE) !== 0) path.mtuSearch.onProbeAcked(bytes, now);
      else if (bytes > path.largestAckedBytes) path.largestAckedBytes = bytes;
    }
    if (columns.contentsCount[slot]! > 0) this.#losses.tellAcked(slot);
  }

  /** It was declared lost, and was not: the thresholds were too low, and the controller may take back what it did. */
  #noteLate(path: RecoveryPath, slot: number, now: Instant): void {
    const { columns } = this.#ledger;
    const sequence = columns.sequence[slot]!;
    const rtt = Math.max(path.rtt.latest, path.rtt.smoothed);
    path.reordering.onSpuriousLoss(path.largestAckedSequence - sequence, now - columns.sentAt[slot]!, rtt);
    path.lostRun.onLateAck(sequence);
    const lostAt = columns.lostAt[slot]! as Instant;
    if (path.lateLostAt !== lostAt) this.#tellLate(path, now);
    path.lateLostAt = lostAt;
    path.latePackets += 1;
    path.everLate += 1;
  }

  #tellLate(path: RecoveryPath, now: Instant): void {
    if (path.latePackets > 0) path.controller.onSpuriousLoss(path.latePackets, path.lateLostAt, now);
    path.latePackets = 0;
  }

  /** RFC 9002 A.7, for one path: RTT, then the controller, then losses. */
  #finishPath(path: RecoveryPath, largestOfFrame: number, delayUs: number, now: Instant): void {
    const { columns } = this.#ledger;
    const slot = this.#ledger.slot(path.newestAcked);
    let rtt: number | undefined;
    // §5.1: a sample where the largest number is new, and something new asked for the ACK. The delay is that of the largest: other
    // paths learn nothing from this frame, and none does from a frame that was itself overtaken.
    const isNewest = path.newestAcked === largestOfFrame && path.newestAcked > path.largestAcked;
    if (isNewest && path.sawAskingAcked) {
      rtt = Math.max(now - columns.sentAt[slot]!, 1);
      path.rtt.sample(rtt, delayUs);
      if (path.sampledAt === NEVER) path.sampledAt = now;
    }
    if (path.newestAcked > path.largestAcked) {
      path.largestAcked = path.newestAcked;
      path.largestAckedSequence = columns.sequence[slot]!;
    }
    path.ptoCount = 0;
    path.probesDue = 0;
    path.ptoStart = now;
    this.#tellLate(path, now);
    this.#tellAck(path, rtt, now);
    path.mtuSearch.onPacketAcked(path.largestAckedBytes);
    path.isTouched = false;
    path.newestAcked = -1;
    path.largestAckedBytes = 0;
    path.sawAskingAcked = false;
    this.#losses.detect(path, now);
    path.followMtu();
  }

  #tellAck(path: RecoveryPath, rtt: number | undefined, now: Instant): void {
    const rate = path.sampler.finish(path.rtt.minimum);
    if (path.ackedPackets === 0) return;
    const { columns } = this.#ledger;
    const slot = this.#ledger.slot(path.newestCounted);
    const sample = this.#scratch.acked;
    sample.bytes = path.ackedBytes;
    sample.packets = path.ackedPackets;
    sample.largestNumber = path.newestCounted;
    sample.largestSentAt = columns.sentAt[slot]! as Instant;
    sample.nextNumber = this.#ledger.next;
    sample.bytesInFlight = path.bytesInFlight;
    sample.rtt = rtt;
    sample.smoothedRtt = path.rtt.smoothed;
    sample.minimumRtt = path.rtt.minimum;
    sample.rate = rate;
    sample.isAppLimited = columns.delivery.isAppLimited[slot] === 1;
    path.ackedBytes = 0;
    path.ackedPackets = 0;
    path.newestCounted = -1;
    path.controller.onAck(sample, now);
  }
}
