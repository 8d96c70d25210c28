import type { Instant } from '../../base/time.ts';
import { after, NEVER } from '../../base/time.ts';
import { CONTENT_ACK, type PacketContents } from '../packet-contents.ts';
import type { RecoveryPath } from './recovery-path.ts';
import type { RecoveryScratch } from './scratch.ts';
import type { SentLedger } from './sent-ledger.ts';
import {
  SENT_ASKS_FOR_ACK,
  SENT_LOST,
  SENT_LOST_QUIETLY,
  SENT_MTU_PROBE,
  SENT_OUTSTANDING,
  SENT_REPORTED_LOST,
} from './sent-ledger.ts';

/** RFC 9002 §7.6.1: kPersistentCongestionThreshold. */
export const PERSISTENT_CONGESTION_THRESHOLD = 3;
/** How many packets a search for contents to repeat looks at. */
const REPEAT_LOOKS_MAX = 64;
/** Packets of ACKs alone that it passes over besides. */
const REPEAT_SKIPS_MAX = 4_096;

/** Hears what became of what packets carried. It must not call back into the recovery. */
export interface ContentsSink {
  /**
   * Entry `index` arrived. Once for each entry at the most; it may follow `lost` for the same entry, when a packet that was thought
   * lost is acknowledged after all, so a stream accepts an acknowledgement of what it has queued or sent again.
   */
  acked(contents: PacketContents, index: number): void;
  /** Entry `index` is to be said again, if it still matters. Once for each entry at the most, and never after `acked`. */
  lost(contents: PacketContents, index: number): void;
}

/**
 * Decides that packets are lost (RFC 9002 §6.1) and tells everyone concerned: the sink about contents, the controller about bytes,
 * the MTU search about sizes. A path's packets are decided on in the order of sending, so each path has a cursor below which
 * nothing waits, and a packet that is not lost yet ends the search: none after it is. The exception is a black hole: where the
 * search finds one, everything out that is larger than the path carries now is lost with it, and waits for no threshold.
 */
export class LossDetector {
  readonly #ledger: SentLedger;
  readonly #sink: ContentsSink;
  readonly #scratch: RecoveryScratch;

  constructor(ledger: SentLedger, sink: ContentsSink, scratch: RecoveryScratch) {
    this.#ledger = ledger;
    this.#sink = sink;
    this.#scratch = scratch;
  }

  /** RFC 9002 A.10: declares what is lost on the path, and sets when the next packet would be. Whether any was. */
  detect(path: RecoveryPath, now: Instant): boolean {
    const anyLost = this.#declare(path, now);
    if (path.mtuSearch.mtu >= path.mtu) return anyLost;
    this.#giveUpTooLarge(path, now);
    path.followMtu();
    // The time of the next loss may have been that of one given up.
    this.#declare(path, now);
    return true;
  }

  #declare(path: RecoveryPath, now: Instant): boolean {
    const ledger = this.#ledger;
    const { sentAt, sequence, flags, path: paths } = ledger.columns;
    const delay = path.lossDelay;
    const lostUpTo = path.largestAckedSequence - path.reordering.packets;
    let anyLost = false;
    path.lossTime = NEVER;
    let number = Math.max(path.cursor, ledger.oldest);
    for (; ; number++) {
      number = ledger.nextPending(number, path.largestAcked);
      if (number > path.largestAcked) break;
      const slot = ledger.slot(number);
      if (paths[slot] !== path.index || (flags[slot]! & SENT_OUTSTANDING) === 0) continue;
      const dueAt = after(sentAt[slot]! as Instant, delay);
      if (sequence[slot]! > lostUpTo && dueAt > now) {
        path.lossTime = dueAt;
        break;
      }
      this.#lose(path, number, slot, now);
      anyLost = true;
    }
    path.cursor = Math.max(path.cursor, number);
    if (path.lostPackets > 0) this.#tellController(path, now);
    return anyLost;
  }

  /** Lost for its contents, without a word to the congestion controller. */
  loseQuietly(path: RecoveryPath, slot: number, now: Instant): void {
    const flags = this.#withdraw(path, slot, now);
    if ((flags & SENT_MTU_PROBE) !== 0) path.mtuSearch.onProbeLost(this.#ledger.columns.bytes[slot]!, now);
    this.#ledger.columns.flags[slot]! |= SENT_LOST_QUIETLY;
    this.#tellLost(slot);
  }

  /**
   * RFC 8899 §4.3: a black hole has been found. Nothing that is larger than the MTU now will arrive, so what it carried goes again
   * at once; and it went for its size, so the congestion controller hears nothing (RFC 9000 §14.4).
   */
  #giveUpTooLarge(path: RecoveryPath, now: Instant): void {
    const ledger = this.#ledger;
    const { bytes, flags, path: paths } = ledger.columns;
    const last = ledger.next - 1;
    let number = ledger.nextPending(Math.max(path.cursor, ledger.oldest), last);
    for (; number <= last; number = ledger.nextPending(number + 1, last)) {
      const slot = ledger.slot(number);
      const isOurs = paths[slot] === path.index && (flags[slot]! & SENT_OUTSTANDING) !== 0;
      if (isOurs && bytes[slot]! > path.mtuSearch.mtu) this.loseQuietly(path, slot, now);
    }
  }

  /** RFC 9002 §6.2.4: what the oldest packets carried is said again in the probes. They may still arrive, and are in flight. */
  repeatOldest(path: RecoveryPath, packets: number): void {
    const { flags, path: paths, contentsCount } = this.#ledger.columns;
    const last = this.#ledger.next - 1;
    let found = 0;
    let skipped = 0;
    let number = Math.max(path.cursor, this.#ledger.oldest);
    for (let looks = 0; looks < REPEAT_LOOKS_MAX && found < packets; looks++, number++) {
      number = this.#ledger.nextPending(number, last);
      if (number > last) return;
      const slot = this.#ledger.slot(number);
      const isOurs = paths[slot] === path.index && (flags[slot]! & SENT_OUTSTANDING) !== 0;
      if ((flags[slot]! & SENT_ASKS_FOR_ACK) === 0) {
        // ACKs alone are never repeated, and there may be any number of them before what is: they do not use up the search.
        if (skipped++ < REPEAT_SKIPS_MAX) looks -= 1;
        continue;
      }
      if (!isOurs || contentsCount[slot] === 0 || (flags[slot]! & SENT_REPORTED_LOST) !== 0) continue;
      // An ACK beside a PING is lost without a successor: another packet takes its place in the probe.
      if (this.#tellLost(slot)) found += 1;
    }
  }

  tellAcked(slot: number): void {
    const { told } = this.#scratch;
    this.#ledger.loadContents(slot, told);
    for (let index = 0; index < told.count; index++) this.#sink.acked(told, index);
  }

  #lose(path: RecoveryPath, number: number, slot: number, now: Instant): void {
    const { columns } = this.#ledger;
    const bytes = columns.bytes[slot]!;
    const sentAt = columns.sentAt[slot]! as Instant;
    const flags = this.#withdraw(path, slot, now);
    const asksForAck = (flags & SENT_ASKS_FOR_ACK) !== 0;
    const isMtuProbe = (flags & SENT_MTU_PROBE) !== 0;
    if (isMtuProbe) path.mtuSearch.onProbeLost(bytes, now);
    else if (asksForAck) path.mtuSearch.onPacketLost(bytes, sentAt, now);
    // RFC 9000 §14.4: too large is not congested. That is a probe, or a packet that shows or follows a black hole.
    const isTooLarge = isMtuProbe || bytes > path.mtuSearch.mtu;
    const isCongestion = asksForAck && !isTooLarge;
    // RFC 9002 §7.6.2: only a stretch that began after the first RTT sample counts.
    path.lostRun.onLost(columns.sequence[slot]!, sentAt, isCongestion && sentAt > path.sampledAt);
    if (isTooLarge) columns.flags[slot]! |= SENT_LOST_QUIETLY;
    if (isCongestion) {
      path.lostBytes += bytes;
      path.lostPackets += 1;
      path.newestLost = number;
    }
    this.#tellLost(slot);
  }

  /** Takes it out of flight. One that asked for an ACK is remembered, for the ACK may come late. Returns its flags from before. */
  #withdraw(path: RecoveryPath, slot: number, now: Instant): number {
    const { columns } = this.#ledger;
    const flags = columns.flags[slot]!;
    if ((flags & SENT_ASKS_FOR_ACK) === 0) {
      this.#ledger.markDone(slot);
      return flags;
    }
    path.packetsInFlight -= 1;
    path.bytesInFlight -= columns.bytes[slot]!;
    if ((flags & SENT_MTU_PROBE) === 0) path.everLost += 1;
    columns.flags[slot] = (flags & ~SENT_OUTSTANDING) | SENT_LOST;
    columns.lostAt[slot] = now;
    return flags;
  }

  /** Whether there was anything that had not been told, and that can be said again. */
  #tellLost(slot: number): boolean {
    const { flags, contentsCount } = this.#ledger.columns;
    if (contentsCount[slot] === 0 || (flags[slot]! & SENT_REPORTED_LOST) !== 0) return false;
    flags[slot]! |= SENT_REPORTED_LOST;
    const { told } = this.#scratch;
    this.#ledger.loadContents(slot, told);
    let isSaidAgain = false;
    for (let index = 0; index < told.count; index++) {
      isSaidAgain ||= told.kind(index) !== CONTENT_ACK;
      this.#sink.lost(told, index);
    }
    return isSaidAgain;
  }

  #tellController(path: RecoveryPath, now: Instant): void {
    const { columns } = this.#ledger;
    const slot = this.#ledger.slot(path.newestLost);
    const sentAt = columns.sentAt[slot]! as Instant;
    path.sampler.onLost(path.lostBytes);
    if (sentAt > path.lossRoundStart) {
      path.lossRoundStart = now;
      path.reordering.onRoundWithLoss();
    }
    const isPersistent = path.lostRun.takeLongest() > PERSISTENT_CONGESTION_THRESHOLD * path.rtt.probeTimeout;
    if (isPersistent) {
      path.lostRun.reset();
      path.rtt.restartMinimum();
    }
    const sample = this.#scratch.lost;
    sample.bytes = path.lostBytes;
    sample.packets = path.lostPackets;
    sample.largestNumber = path.newestLost;
    sample.largestSentAt = sentAt;
    sample.nextNumber = this.#ledger.next;
    sample.bytesInFlight = path.bytesInFlight;
    sample.sentInFlight = columns.delivery.sentInFlight[slot]!;
    sample.lostSinceSent = path.sampler.lostSince(columns.delivery, slot);
    sample.isAppLimited = columns.delivery.isAppLimited[slot] === 1;
    sample.isPersistent = isPersistent;
    path.lostBytes = 0;
    path.lostPackets = 0;
    path.controller.onLoss(sample, now);
  }
}
