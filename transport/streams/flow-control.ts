import { assert } from '../../base/assert.ts';
import type { Instant } from '../../base/time.ts';
import { ChunkPool } from './chunk-pool.ts';
import {
  CHUNK_SLACK_MAX,
  CREDIT_SHARE,
  GROWTH_SHARE,
  NODE_BUDGET_BYTES,
  READY_ALLOWANCE,
  STREAM_WINDOW_INITIAL,
  TUNNEL_WINDOW_INITIAL,
  WINDOW_HALF_LIFE,
  WINDOW_ROUND_TRIPS,
} from './constants.ts';

/**
 * Credit, given and received (RFC 9000 §4). Every limit is an absolute offset, or a sum of offsets, and only rises.
 *
 * A window is how far a limit runs ahead of what readers have taken. It begins with what the protocol gives without asking, and
 * doubles when it was used up within four smoothed round trips: then it, and not the reader or the network, may be what holds the
 * sender back.
 *
 * A reader that stalls must not starve its neighbours. Two rules see to it:
 *
 * 1. A tunnel's limit is what readers have taken, plus its window, plus the bytes that lie in order and wait for a reader: of
 *    these at most READY_ALLOWANCE, and in all never more than the largest window beyond what was taken. What is left lying is
 *    thus held against the stream that it lies in, whose own limit stands still, and not against the tunnel. Bytes behind a hole
 *    count as on their way: the peer is what they wait for.
 * 2. The windows of all streams of a tunnel together may have grown, beyond their first 256 KiB, by three quarters of the
 *    tunnel's window, and each step takes at most half of what is left of that. Streams that once were fast and then stall,
 *    however many, leave at least a quarter to the others.
 *
 * So a stalled reader cannot close the tunnel, nor can fewer than 64 of them. The node's budget backs all growth and all of the
 * allowance; where it is used up, every tunnel still has the window it has, a mebibyte at least, and only rule 2 holds.
 *
 * What was fast once must not hold the budget for ever: a window of which less than half was used in a minute is halved, and what
 * it had borrowed goes back. Credit stays given (RFC 9000 §4.1: limits only rise), so no more is given until readers have come
 * within the smaller window of the limit, and until then the peer may send more than is backed. For bytes that do not fit, the
 * windows grow back by the rules above; where they cannot, the bytes are not taken, and their packet, which nobody acknowledges,
 * comes again. So memory stays within the budget, and old credit of many peers, called in at once, is no way around it.
 */

/** How far a limit may run ahead of what has been taken. */
export class ReceiveWindow {
  #limit: number;
  #size: number;
  #epochStart: Instant;
  #epochTaken = 0;

  constructor(size: number, now: Instant) {
    this.#limit = size;
    this.#size = size;
    this.#epochStart = now;
  }

  get limit(): number {
    return this.#limit;
  }

  get size(): number {
    return this.#size;
  }

  /** Raises the limit to `limit` where that gives a meaningful part of the window; true if it did. */
  raise(limit: number): boolean {
    if (limit - this.#limit < this.#size * CREDIT_SHARE) return false;
    this.#limit = limit;
    return true;
  }

  /** Told where readers are whenever data comes; true where the window was used up so fast that it should double. */
  measure(taken: number, smoothedRtt: number, now: Instant): boolean {
    const used = taken - this.#epochTaken;
    // Half a window is the shortest stretch to judge by: a limit moves in quarters.
    if (used < this.#size / 2) return false;
    const elapsed = now - this.#epochStart;
    this.#epochTaken = taken;
    this.#epochStart = now;
    return elapsed * this.#size <= WINDOW_ROUND_TRIPS * smoothedRtt * used;
  }

  /** Looked at now and then: true where less than half was used for so long that it should be halved. */
  isUnused(taken: number, now: Instant): boolean {
    const isUnused = taken - this.#epochTaken < this.#size / 2;
    if (isUnused && now - this.#epochStart < WINDOW_HALF_LIFE) return false;
    this.#epochTaken = taken;
    this.#epochStart = now;
    return isUnused;
  }

  /** The limit stays: one above what the size gives now only has to be caught up with. */
  resize(size: number): void {
    this.#size = size;
  }
}

/** What all streams of a tunnel together may be sent, and how the tunnel's share of memory is divided among them. */
export class TunnelWindow {
  readonly #window: ReceiveWindow;
  readonly #budget: NodeBudget;
  readonly #max: number;
  /** Sums over all streams there ever were: highest offset received, offset taken; and of those alive, bytes ready for readers. */
  #received = 0;
  #taken = 0;
  #ready = 0;
  /** Memory of received bytes that no credit covers. */
  #slack = 0;
  /** By how much the windows of streams have grown. */
  #streamGrowth = 0;
  /** What the budget has lent for bytes that wait for readers. */
  #allowance = 0;
  #isReleased = false;

  constructor(options: { readonly max: number; readonly budget: NodeBudget }, now: Instant) {
    this.#max = Math.max(options.max, TUNNEL_WINDOW_INITIAL);
    this.#budget = options.budget;
    this.#window = new ReceiveWindow(TUNNEL_WINDOW_INITIAL, now);
  }

  get limit(): number {
    return this.#window.limit;
  }

  get size(): number {
    return this.#window.size;
  }

  get received(): number {
    return this.#received;
  }

  get taken(): number {
    return this.#taken;
  }

  get ready(): number {
    return this.#ready;
  }

  get slack(): number {
    return this.#slack;
  }

  /** How much more the buffers of streams may hold beyond what credit covers; not positive where that is too much already. */
  get slackLeft(): number {
    return CHUNK_SLACK_MAX - this.#slack;
  }

  /** Holds, or may come to hold, more than the mebibyte that every tunnel has. */
  get isBeyondFirst(): boolean {
    return this.#window.size > TUNNEL_WINDOW_INITIAL || this.#allowance > 0;
  }

  /** Credit that the peer still has. */
  get open(): number {
    return this.#window.limit - this.#received;
  }

  /** A stream's offsets moved, each by so much. */
  moved(received: number, taken: number, ready: number): void {
    this.#received += received;
    this.#taken += taken;
    this.#ready += ready;
    assert(this.#received <= this.#window.limit && this.#taken <= this.#received, 'no more is taken than came');
  }

  /** The slack of a stream changed by so much. */
  noteSlack(change: number): void {
    this.#slack += change;
    assert(this.#slack >= 0, 'slack that goes had come');
  }

  /**
   * True where there is room for `bytes` beyond the highest received. There always is for what the present window gave; what comes
   * by credit from before it shrank has to be backed anew.
   */
  makeRoom(bytes: number): boolean {
    const held = this.#received - this.#taken;
    while (held + bytes > this.#window.size + this.#allowance) if (!this.#grow()) return false;
    return true;
  }

  /** True where the limit rose, and the peer is to be told. */
  raise(): boolean {
    const { size, limit } = this.#window;
    const wanted = Math.min(this.#ready, READY_ALLOWANCE, this.#max - size);
    // What was given as credit for bytes that lay ready is covered as long as they do: taken, they move the limit themselves.
    if (wanted < this.#allowance) this.#giveBack(this.#allowance - wanted);
    // Most calls end here: nothing worth a frame has come free.
    if (this.#taken + size + wanted - limit < size * CREDIT_SHARE) return false;
    this.#allowance += this.#budget.takeUpTo(wanted - this.#allowance);
    return this.#window.raise(this.#taken + size + this.#allowance);
  }

  /** Doubles the tunnel's window if it was used up fast. */
  measure(smoothedRtt: number, now: Instant): void {
    if (this.#window.measure(this.#taken, smoothedRtt, now)) this.#grow();
  }

  /** Halves the tunnel's window where it was not used, as far as it is not needed for what lies in it or for its streams (rule 2). */
  shrinkUnused(now: Instant): void {
    if (!this.#window.isUnused(this.#taken, now)) return;
    const size = Math.max(Math.floor(this.#window.size / 2), TUNNEL_WINDOW_INITIAL);
    const held = this.#received - this.#taken;
    if (held > size + this.#allowance || this.#streamGrowth > size * GROWTH_SHARE) return;
    this.#budget.giveBack(this.#window.size - size);
    this.#window.resize(size);
  }

  /** A stream's window is to grow by `bytes`: whether there is room (rule 2), for which the tunnel's window grows if it can. */
  growStream(bytes: number): boolean {
    while (2 * bytes > this.#window.size * GROWTH_SHARE - this.#streamGrowth) if (!this.#grow()) return false;
    this.#streamGrowth += bytes;
    return true;
  }

  /** A stream's window has shrunk by so much, or the stream has ended. */
  shrinkStream(bytes: number): void {
    this.#streamGrowth -= bytes;
    assert(this.#streamGrowth >= 0, 'a window gives back what it grew by');
  }

  /** The tunnel has ended; nothing else is asked of this window any more. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#budget.giveBack(this.#window.size - TUNNEL_WINDOW_INITIAL + this.#allowance);
  }

  #grow(): boolean {
    const size = Math.min(2 * this.#window.size, this.#max);
    const growth = size - this.#window.size;
    if (growth === 0 || !this.#budget.take(growth)) return false;
    this.#window.resize(size);
    return true;
  }

  #giveBack(bytes: number): void {
    this.#allowance -= bytes;
    this.#budget.giveBack(bytes);
  }
}

/** What the peer lets us send: on one stream, or on all together. */
export class SendCredit {
  #limit: number;
  #used: number;

  constructor(limit: number, used = 0) {
    this.#limit = limit;
    this.#used = used;
  }

  get limit(): number {
    return this.#limit;
  }

  get used(): number {
    return this.#used;
  }

  get available(): number {
    return this.#limit - this.#used;
  }

  /** RFC 9000 §4.1: a limit that does not rise is ignored: frames may come out of order. True where it rose. */
  raise(limit: number): boolean {
    if (limit <= this.#limit) return false;
    this.#limit = limit;
    return true;
  }

  use(bytes: number): void {
    this.#used += bytes;
    assert(this.#used <= this.#limit, 'nothing goes out beyond the credit');
  }
}

/**
 * What the buffers of a whole node may grow to, shared by its tunnels. Nobody is lent more than half of what is left, so that
 * whoever comes late finds something too, and more once the windows of those before are no longer used, and shrink. First windows
 * and first send buffers are not counted: the protocol has given them away already, and they are bounded by how many tunnels and
 * streams there may be.
 */
export class NodeBudget {
  readonly max: number;
  /** Of the memory itself, what was given back for the next. */
  readonly chunks: ChunkPool = new ChunkPool();
  /** Is told of each piece that was written, kept as it was, and need not be kept any more. */
  pieceDone: ((piece: Uint8Array) => void) | undefined = undefined;
  #used = 0;

  constructor(max: number = NODE_BUDGET_BYTES) {
    this.max = max;
  }

  get used(): number {
    return this.#used;
  }

  /** Not even the window of one more stream could double. */
  get isExhausted(): boolean {
    return this.max - this.#used < 2 * STREAM_WINDOW_INITIAL;
  }

  /** All of it or nothing. */
  take(bytes: number): boolean {
    if (bytes > (this.max - this.#used) / 2) return false;
    this.#used += bytes;
    return true;
  }

  /** As much as there is to lend; how much that was. */
  takeUpTo(bytes: number): number {
    const taken = Math.min(bytes, Math.floor((this.max - this.#used) / 2));
    this.#used += taken;
    return taken;
  }

  giveBack(bytes: number): void {
    this.#used -= bytes;
    assert(this.#used >= 0 && bytes >= 0, 'what is given back was taken');
  }
}
