import { assert } from '../base/assert.ts';
import type { Instant } from '../base/time.ts';
import { after, NEVER, SECOND } from '../base/time.ts';
import { BASE_MTU } from './constants.ts';

// Specification.

/** RFC 8899 §5.1.2 MAX_PROBES: so many lost probes of one size, and the path does not carry it. */
export const MTU_PROBES_MAX = 3;
/** RFC 8899 §5.1.1 PMTU_RAISE_TIMER: the path may have come to carry more. */
export const MTU_RAISE_INTERVAL: number = 600 * SECOND;

// Implementation.

/** After a black hole the path is left alone this long. */
export const MTU_COOLDOWN: number = 60 * SECOND;
/** Large packets lost in a row that show a black hole where a probe timeout passed meanwhile, */
export const BLACK_HOLE_LOSSES = 4;
/** and where none did, because something small was answered all the time. Chance alone takes so many at 20 % loss once in 10^11. */
export const BLACK_HOLE_LOSSES_ANSWERED = 16;
/**
 * Sizes that real paths end at, the likeliest first, in bytes of UDP payload: Ethernet over IPv6 and IPv4, jumbo frames, a tunnel
 * or PPPoE in the way, WireGuard in the way, the smallest that IPv6 allows.
 */
const WELL_KNOWN: readonly number[] = [1_452, 1_472, 8_952, 1_280, 1_372, 1_392, 4_052, 1_232];
/** The search ends when less than this share of the size is left to gain. */
const GRANULARITY_SHIFT = 6;
/** Where it is the window that keeps a probe small, less than this share more is not worth one: the window will be wider. */
const STEP_SHIFT = 2;

/**
 * Looks for the largest packet one path carries (RFC 8899, packetisation layer path MTU discovery). A *probe* is a packet of the
 * size in question, PING and PADDING; its loss is no sign of congestion (RFC 9000 §14.4). The path is always taken to carry the
 * base of 1,200 bytes.
 *
 * Four states. *Waiting*: nobody has wanted more than a packet of the base holds. *Searching*: everything up to `mtu` has been seen
 * to pass, `#ceiling` has not; the next probe goes somewhere between them, to the maximum first, then to sizes that paths are known
 * to end at, then into the middle. It is the first of these that the congestion window has room for (RFC 9000 §14.4: probes count):
 * a search that waited for more might wait for ever, and every size that passes widens the window. One probe is under way at a
 * time. *Settled*: nothing worth a probe is left between them; may be searched again after 600 s. *Cooling*: a black hole was
 * found, `mtu` is back at the base; may be searched again after 60 s.
 *
 * Each search begins when more waits to be sent than a packet holds, and not before (RFC 8899 §5.1.1 lets probes wait for data): a
 * tunnel that carries small messages only has no use for large packets, and its peer none for probes of 64 KiB between them.
 *
 * A black hole is a path that has come to carry less than it did, and says nothing: large packets vanish, small ones pass. It is
 * taken for one when several packets above the base and of no other size in between were lost in a row, in two flights at least
 * (the second sent after the first was known to be lost), while a probe timeout passed and something small was acknowledged.
 * Congestion loses packets of every size, and hardly two whole flights. What is sent while a probe timeout is unanswered has the
 * size of the base (`RecoveryPath.sendMtu`): it is the something small, and the next flight of large ones follows its answer.
 * Where small packets go to and fro all the time no probe timeout comes; there more losses tell the same.
 *
 * It sends nothing, reads no clock and wants no timer: the next probe is offered to whoever sends anyway, if only a keepalive. What
 * became of packets is told to it, probes and others, in any order and as often as anybody likes.
 */
export class MtuSearch {
  readonly #maximum: number;
  #mtu: number = BASE_MTU;
  #state: 'waiting' | 'searching' | 'settled' | 'cooling';
  /** The smallest size taken not to pass. */
  #ceiling: number;
  /** Of the last probe, and how many of that size were lost. */
  #size = 0;
  #lostProbes = 0;
  #isUnderWay = false;
  /** Settled or cooling: another search may begin from here on. */
  #resumeAt: Instant = NEVER;

  // Evidence of a black hole.
  #lostInRow = 0;
  #smallestLost = 0;
  /** Packets sent from here on are another flight: the first one was known to be lost. */
  #lostAt: Instant = NEVER;
  #sawSecondFlight = false;
  #sawProbeTimeout = false;
  #sawSmallPass = false;

  /** `maximum` is what the local interface and socket can send at all. */
  constructor(maximum: number) {
    assert(maximum >= BASE_MTU, 'every path carries 1,200 bytes');
    this.#maximum = maximum;
    this.#ceiling = maximum + 1;
    this.#state = this.#isThrough() ? 'settled' : 'waiting';
  }

  /** The largest packet to send by this path. */
  get mtu(): number {
    return this.#mtu;
  }

  /** More waits to be sent than a packet of the present size holds. True where that begins a search. */
  onCrowded(now: Instant): boolean {
    if (this.#state === 'searching') return false;
    if (this.#state !== 'waiting' && now < this.#resumeAt) return false;
    this.#state = 'searching';
    this.#resumeAt = NEVER;
    this.#isUnderWay = false;
    this.#lostProbes = 0;
    this.#ceiling = this.#maximum + 1;
    return true;
  }

  /** The size of a probe of at most `room` bytes to send now, if one is wanted. Once it is sent, `onProbeSent`. */
  nextProbe(room: number = Number.POSITIVE_INFINITY): number | undefined {
    if (this.#state !== 'searching' || this.#isUnderWay) return undefined;
    // One that was lost goes again, unless the window does not take it any more.
    return this.#lostProbes > 0 && this.#size <= room ? this.#size : this.#choose(room);
  }

  onProbeSent(size: number): void {
    assert(size <= this.#maximum, 'a probe is no larger than the maximum');
    this.#isUnderWay = true;
    if (size === this.#size) return;
    this.#size = size;
    this.#lostProbes = 0;
  }

  onProbeAcked(size: number, now: Instant): void {
    // An answer from before a black hole says nothing about the path after it.
    if (this.#state === 'cooling') return;
    if (size === this.#size) this.#isUnderWay = false;
    if (size <= this.#mtu || size > this.#maximum) return;
    // A probe thought lost may be acknowledged late: what passed, passed.
    this.#mtu = size;
    if (size >= this.#ceiling) this.#ceiling = this.#maximum + 1;
    this.#forgetEvidence();
    this.#continue(now);
  }

  onProbeLost(size: number, now: Instant): void {
    if (this.#state !== 'searching' || size !== this.#size || !this.#isUnderWay) return;
    this.#isUnderWay = false;
    this.#lostProbes += 1;
    if (this.#lostProbes < MTU_PROBES_MAX) return;
    this.#ceiling = size;
    this.#continue(now);
  }

  /** An ordinary packet was acknowledged; of several at once, the largest is enough. */
  onPacketAcked(size: number): void {
    if (this.#lostInRow === 0) {
      // The timeout that begins a black hole comes before the first loss is known; an older one does not count.
      if (size > BASE_MTU) this.#sawProbeTimeout = false;
      return;
    }
    if (size >= this.#smallestLost) this.#forgetEvidence();
    else this.#sawSmallPass = true;
  }

  /** An ordinary packet was declared lost. */
  onPacketLost(size: number, sentAt: Instant, now: Instant): void {
    // One above the present MTU went out before a fall: it has been counted.
    if (size <= BASE_MTU || size > this.#mtu) return;
    if (this.#lostInRow === 0) {
      this.#smallestLost = size;
      this.#lostAt = now;
    }
    this.#lostInRow += 1;
    this.#smallestLost = Math.min(this.#smallestLost, size);
    if (sentAt >= this.#lostAt) this.#sawSecondFlight = true;
    this.#judge(now);
  }

  /** A probe timeout (RFC 9002 §6.2) passed on this path: nothing at all came back for a while. */
  onProbeTimeout(): void {
    this.#sawProbeTimeout = true;
  }

  #judge(now: Instant): void {
    if (!this.#sawSecondFlight || !this.#sawSmallPass) return;
    if (this.#lostInRow < (this.#sawProbeTimeout ? BLACK_HOLE_LOSSES : BLACK_HOLE_LOSSES_ANSWERED)) return;
    // RFC 8899 §5.2: back to the base at once.
    this.#mtu = BASE_MTU;
    this.#state = 'cooling';
    this.#isUnderWay = false;
    this.#resumeAt = after(now, MTU_COOLDOWN);
    this.#forgetEvidence();
  }

  #forgetEvidence(): void {
    this.#lostInRow = 0;
    this.#sawSecondFlight = false;
    this.#sawProbeTimeout = false;
    this.#sawSmallPass = false;
  }

  #continue(now: Instant): void {
    this.#isUnderWay = false;
    this.#lostProbes = 0;
    if (!this.#isThrough()) {
      this.#state = 'searching';
      this.#resumeAt = NEVER;
      return;
    }
    this.#state = 'settled';
    this.#resumeAt = this.#mtu < this.#maximum ? after(now, MTU_RAISE_INTERVAL) : NEVER;
  }

  /** However wide the window, no size is left that is worth a probe. */
  #isThrough(): boolean {
    return this.#choose(Number.POSITIVE_INFINITY) === undefined;
  }

  /** The next size to try that `room` allows, where one is worth it. */
  #choose(room: number): number | undefined {
    const isWanted = (size: number): boolean => size > this.#mtu && size < this.#ceiling && size <= room;
    if (isWanted(this.#maximum)) return this.#maximum;
    const known = WELL_KNOWN.find(isWanted);
    if (known !== undefined) return known;
    const gain = this.#ceiling - this.#mtu;
    if (gain <= this.#mtu >> GRANULARITY_SHIFT) return undefined;
    const middle = this.#mtu + (gain >> 1);
    if (middle <= room) return middle;
    const step = (room - this.#mtu) >> 1;
    return step > this.#mtu >> STEP_SHIFT ? this.#mtu + step : undefined;
  }
}
