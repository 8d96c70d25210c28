import { assert } from '../../base/assert.ts';
import type { Instant } from '../../base/time.ts';
import { earliest, NEVER } from '../../base/time.ts';
import type { AckRange } from '../../wire/frames.ts';
import { PATHS_MAX } from '../constants.ts';
import type { PacketContents } from '../packet-contents.ts';
import { AckProcessor } from './ack-processor.ts';
import type { ContentsSink } from './loss-detector.ts';
import { LossDetector } from './loss-detector.ts';
import type { PathParts } from './recovery-path.ts';
import { PROBES_PER_TIMEOUT, RecoveryPath } from './recovery-path.ts';
import type { RecoveryScratch } from './scratch.ts';
import { SENT_ASKS_FOR_ACK, SENT_LOST, SENT_MTU_PROBE, SENT_OUTSTANDING, SentLedger } from './sent-ledger.ts';

/** A packet declared lost is remembered for so many probe timeouts, unless the ledger is full. */
export const LOST_REMEMBERED_PTO = 3;
/** Deliberately skipped numbers that are remembered; an honest peer never names one, however old. */
export const SKIPPED_REMEMBERED_MAX = 16;

/** So many packets are remembered even where hardly any of them is in flight; beyond, one of `SPARSE_SHARE` must be. */
export const SPARSE_REMEMBERED_MAX = 2_048;
const SPARSE_SHARE = 16;

/** `never-sent` and `skipped` are the peer's fault (RFC 9000 §13.1, §21.4): the tunnel closes with PROTOCOL_VIOLATION. */
export type AckOutcome = 'ok' | 'never-sent' | 'skipped';

/** `probe`: `probesDue` of the active path says how many. `lost`: contents were handed to the sink, so there may be more to send. */
export type TimeoutOutcome = 'nothing' | 'lost' | 'probe';

/**
 * Which packets of one tunnel arrived and which are lost (RFC 9002), over one packet-number space and several paths.
 *
 * Life of a packet: sent → acknowledged; or sent → declared lost → acknowledged late or forgotten after three probe timeouts.
 * It is declared lost when later packets *of the same path* have been acknowledged and it is too far behind them, in packets or in
 * time (`Reordering`). RTT, window and probe timeout belong to the path. A probe timeout declares nothing lost (§6.2); it lets
 * two packets out beyond the window, and has the contents of the two oldest sent again, so that a lost tail costs one round
 * trip less. Nothing later will be acknowledged on a path that nothing is sent by any more, so there a probe timeout does declare
 * what is out as lost, without a word to the congestion controller.
 *
 * Who sends calls, in this order: `contents` is filled while a packet is written, `onSent` follows when it is sealed, and
 * `onBatchSent` once for all of a batch. Packet numbers come without gaps; one that is never used is told with `onSkipped`.
 *
 * It costs a few writes a packet and nothing is allocated: work per ACK frame is that of the newly acknowledged packets and the
 * frame's ranges (`SentLedger`), and each packet is looked at once more when its fate is decided.
 *
 * It never sends, never reads a clock, and never says what was in a packet twice.
 */
export class Recovery {
  readonly #ledger: SentLedger;
  readonly #losses: LossDetector;
  readonly #acks: AckProcessor;
  /** Most tunnels have one for all their lives, and this is an array of one. */
  readonly #paths: (RecoveryPath | undefined)[] = [undefined];
  #active: RecoveryPath | undefined;
  #dueSince: Instant | undefined;
  /** Descending. */
  readonly #skipped: number[] = [];
  readonly #contents: PacketContents;

  constructor(sink: ContentsSink, scratch: RecoveryScratch, firstPacketNumber = 0) {
    this.#contents = scratch.contents;
    this.#ledger = new SentLedger(firstPacketNumber);
    this.#losses = new LossDetector(this.#ledger, sink, scratch);
    this.#acks = new AckProcessor(this.#ledger, this.#losses, this.#paths, scratch);
  }

  // Questions.

  /** Empty at first; filled by who writes the next packet. `onSent` takes it over and empties it. */
  get contents(): PacketContents {
    return this.#contents;
  }

  get nextPacketNumber(): number {
    return this.#ledger.next;
  }

  get active(): RecoveryPath | undefined {
    return this.#active;
  }

  /** Packets on all paths that ask for an ACK and have neither been acknowledged nor given up. */
  get packetsInFlight(): number {
    let packets = 0;
    for (const path of this.#paths) if (path !== undefined) packets += path.packetsInFlight;
    return packets;
  }

  /** Since when the peer owes an answer: the first packet that waits, or the last acknowledgement while others wait. */
  get dueSince(): Instant | undefined {
    // Where all that was out has been given up nothing is due: a challenge to a dead address, or a packet too large for the path,
    // says nothing about the peer.
    return this.packetsInFlight > 0 ? this.#dueSince : undefined;
  }

  /** Packet numbers that are remembered, from the oldest whose fate is open. */
  get remembered(): number {
    return this.#ledger.next - this.#ledger.oldest;
  }

  /**
   * Bytes that may go out by the path, beside the probes that `probesDue` allows. Nothing while the ledger is full and its oldest
   * packet in flight: so much is unanswered, or answered in so odd an order, that more would only make it worse. Its answer, or its
   * loss, comes; an oldest packet that is not in flight gives way to the next one that is sent.
   */
  room(path: RecoveryPath): number {
    if (this.#ledger.isFull && this.#isOldestInFlight()) return 0;
    return Math.max(0, path.controller.window - path.bytesInFlight);
  }

  nextTimeout(): Instant {
    let next = NEVER;
    for (const path of this.#paths) {
      if (path === undefined) continue;
      next = earliest(next, earliest(path.lossTime, path.probeDeadline(path === this.#active)));
    }
    return next;
  }

  // Paths.

  /** The first path is the active one until another is made so. */
  addPath(parts: PathParts, now: Instant): RecoveryPath {
    let index = this.#paths.indexOf(undefined);
    if (index < 0) index = this.#paths.length;
    assert(index < PATHS_MAX, 'a tunnel has at most eight paths');
    const path = new RecoveryPath(index, parts, this.#ledger.next, now);
    this.#paths[index] = path;
    this.#active ??= path;
    return path;
  }

  /** Where data goes from here on: probes too. */
  setActive(path: RecoveryPath): void {
    this.#active = path;
  }

  /** The path is gone: what was sent by it counts as lost, and no controller is left to be told. */
  removePath(path: RecoveryPath, now: Instant): void {
    this.abandon(path, now);
    const { columns } = this.#ledger;
    for (let number = Math.max(path.firstNumber, this.#ledger.oldest); number < this.#ledger.next; number++) {
      const slot = this.#ledger.slot(number);
      if (columns.path[slot] === path.index) this.#ledger.markDone(slot);
    }
    this.#ledger.advance();
    this.#paths[path.index] = undefined;
    if (this.#active === path) this.#active = undefined;
  }

  /** Everything out on the path counts as lost for its contents; the congestion controller hears nothing. */
  abandon(path: RecoveryPath, now: Instant): void {
    this.#tellSent(path, now);
    const { flags, path: paths } = this.#ledger.columns;
    for (let number = Math.max(path.cursor, this.#ledger.oldest); number < this.#ledger.next; number++) {
      const slot = this.#ledger.slot(number);
      const isOurs = paths[slot] === path.index && (flags[slot]! & SENT_OUTSTANDING) !== 0;
      if (isOurs) this.#losses.loseQuietly(path, slot, now);
    }
    path.cursor = this.#ledger.next;
    path.lossTime = NEVER;
    path.probesDue = 0;
  }

  // Sending.

  /** The packet with the next number, sealed and on its way. */
  onSent(path: RecoveryPath, packetNumber: number, bytes: number, asksForAck: boolean, now: Instant): void {
    this.#record(path, packetNumber, bytes, asksForAck ? SENT_ASKS_FOR_ACK : 0, now);
  }

  onMtuProbeSent(path: RecoveryPath, packetNumber: number, bytes: number, now: Instant): void {
    this.#record(path, packetNumber, bytes, SENT_ASKS_FOR_ACK | SENT_MTU_PROBE, now);
    path.mtuSearch.onProbeSent(bytes);
  }

  /** This number is passed over, to catch a peer that acknowledges what it has not received (`NumberSkipper`). */
  onSkipped(packetNumber: number, now: Instant): void {
    assert(packetNumber === this.#ledger.next, 'packet numbers come in order');
    this.#makeRoom(now);
    assert(this.#contents.count === 0, 'no packet is being written');
    const slot = this.#ledger.add(this.#contents);
    this.#ledger.columns.flags[slot] = 0;
    this.#ledger.advance();
    this.#skipped.unshift(packetNumber);
    if (this.#skipped.length > SKIPPED_REMEMBERED_MAX) this.#skipped.pop();
  }

  /** All packets of a batch have been told. */
  onBatchSent(path: RecoveryPath, now: Instant): void {
    this.#tellSent(path, now);
  }

  /** There is room in the window, and nothing to fill it with. */
  onAppLimited(path: RecoveryPath, now: Instant): void {
    path.sampler.onAppLimited(path.bytesInFlight);
    path.controller.onAppLimited(path.bytesInFlight, now);
  }

  /** There is room in the window and something to fill it with, which the pacer has wait. */
  onPaced(path: RecoveryPath): void {
    path.controller.onPaced();
  }

  #record(path: RecoveryPath, packetNumber: number, bytes: number, flags: number, now: Instant): void {
    assert(packetNumber === this.#ledger.next, 'packet numbers come in order');
    this.#makeRoom(now);
    const slot = this.#ledger.add(this.#contents);
    this.#contents.clear();
    const { columns } = this.#ledger;
    columns.sentAt[slot] = now;
    columns.sequence[slot] = path.sequence++;
    columns.bytes[slot] = bytes;
    columns.flags[slot] = flags | SENT_OUTSTANDING;
    columns.path[slot] = path.index;
    // RFC 9002 §2: a packet that asks for no ACK, and is not padded either, is not in flight.
    if ((flags & SENT_ASKS_FOR_ACK) === 0) return;
    if (path.packetsInFlight === 0) path.ptoStart = now;
    if (this.packetsInFlight === 0) this.#dueSince = now;
    path.packetsInFlight += 1;
    path.bytesInFlight += bytes;
    path.bytesUntold += bytes;
    // An MTU probe asks another question, and is likelier to be lost.
    if (path.probesDue > 0 && (flags & SENT_MTU_PROBE) === 0) path.probesDue -= 1;
    path.sampler.onSent(columns.delivery, slot, bytes, path.bytesInFlight, now);
  }

  #tellSent(path: RecoveryPath, now: Instant): void {
    if (path.bytesUntold === 0) return;
    path.controller.onSent(path.bytesUntold, path.bytesInFlight, now);
    path.bytesUntold = 0;
  }

  /** Slots double while they are of use; where they are not, and at the bound, the oldest packet is given up for the new one. */
  #makeRoom(now: Instant): void {
    if (this.#ledger.hasSlot && !this.#ledger.isFull) return;
    this.#forgetOldest(now, false);
    while (!this.#ledger.hasSlot && !(this.#isDense() && this.#ledger.grow())) this.#giveUpOldest(now);
  }

  /**
   * A peer that leaves one packet unacknowledged keeps all after it remembered, and need only make us send ACKs to have a great
   * many of those.
   */
  #isDense(): boolean {
    const { remembered } = this;
    return remembered < SPARSE_REMEMBERED_MAX || SPARSE_SHARE * this.packetsInFlight >= remembered;
  }

  // Acknowledgements.

  /** An ACK frame that came by whichever path; `ranges` descend. After a fault nothing has changed. */
  onAckFrame(ranges: readonly AckRange[], delayUs: number, now: Instant): AckOutcome {
    const fault = this.#findFault(ranges);
    if (fault !== undefined) return fault;
    for (const path of this.#paths) if (path !== undefined) this.#tellSent(path, now);
    const answered = this.#acks.process(ranges, delayUs, now);
    if (answered) this.#dueSince = now;
    this.#ledger.advance();
    this.#forgetOldest(now, true);
    return 'ok';
  }

  #findFault(ranges: readonly AckRange[]): AckOutcome | undefined {
    let next = 0;
    for (const { smallest, largest } of ranges) {
      // RFC 9000 §13.1: an acknowledgement of what was never sent.
      if (largest >= this.#ledger.next) return 'never-sent';
      while (next < this.#skipped.length && this.#skipped[next]! > largest) next += 1;
      if (next < this.#skipped.length && this.#skipped[next]! >= smallest) return 'skipped';
    }
    return undefined;
  }

  // Time.

  handleTimeout(now: Instant): TimeoutOutcome {
    let outcome: TimeoutOutcome = 'nothing';
    for (const path of this.#paths) {
      if (path === undefined) continue;
      this.#tellSent(path, now);
      const isActive = path === this.#active;
      if (path.lossTime <= now && this.#losses.detect(path, now) && outcome === 'nothing') outcome = 'lost';
      if (path.probeDeadline(isActive) > now) continue;
      if (isActive) {
        this.#probe(path, now);
        outcome = 'probe';
      } else {
        this.abandon(path, now);
        if (outcome === 'nothing') outcome = 'lost';
      }
    }
    return outcome;
  }

  #probe(path: RecoveryPath, now: Instant): void {
    // RFC 9002 §6.2.1: each timeout without an answer doubles the next.
    path.ptoCount += 1;
    path.ptoStart = now;
    path.probesDue = PROBES_PER_TIMEOUT;
    path.mtuSearch.onProbeTimeout();
    this.#losses.repeatOldest(path, PROBES_PER_TIMEOUT);
  }

  // Memory.

  /** For a tunnel that has fallen silent: where nothing is in flight, everything is forgotten and the memory given back. */
  trim(now: Instant): void {
    if (this.packetsInFlight > 0) return;
    while (this.#ledger.oldest < this.#ledger.next) this.#giveUpOldest(now);
    this.#ledger.trim();
  }

  #isOldestInFlight(): boolean {
    const { columns, oldest } = this.#ledger;
    const flags = columns.flags[this.#ledger.slot(oldest)]!;
    return (flags & SENT_OUTSTANDING) !== 0 && (flags & SENT_ASKS_FOR_ACK) !== 0;
  }

  /**
   * Lets go, at the old end, of packets lost long enough ago, and where there is need, of those that asked for no ACK. A late answer
   * to a lost packet is waited for only while the ledger is not full: nobody could send until then, and nothing would end it.
   */
  #forgetOldest(now: Instant, onlyLost: boolean): void {
    const { columns } = this.#ledger;
    while (this.#ledger.oldest < this.#ledger.next) {
      const slot = this.#ledger.slot(this.#ledger.oldest);
      const path = this.#paths[columns.path[slot]!]!;
      if ((columns.flags[slot]! & SENT_LOST) !== 0) {
        const forgetAt = columns.lostAt[slot]! + LOST_REMEMBERED_PTO * path.rtt.probeTimeout;
        if (now < forgetAt && !this.#ledger.isFull) return;
        this.#ledger.markDone(slot);
      } else {
        if (onlyLost || (columns.flags[slot]! & SENT_ASKS_FOR_ACK) !== 0) return;
        this.#losses.loseQuietly(path, slot, now);
      }
      this.#ledger.advance();
    }
  }

  #giveUpOldest(now: Instant): void {
    assert(this.#ledger.oldest < this.#ledger.next, 'an empty ledger has room');
    const { columns } = this.#ledger;
    const slot = this.#ledger.slot(this.#ledger.oldest);
    const path = this.#paths[columns.path[slot]!]!;
    if ((columns.flags[slot]! & SENT_OUTSTANDING) !== 0) this.#losses.loseQuietly(path, slot, now);
    this.#ledger.markDone(slot);
    this.#ledger.advance();
  }
}
