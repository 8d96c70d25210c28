import { assert } from '../base/assert.ts';
import { after, type Instant } from '../base/time.ts';
import { corrupt } from './corruption.ts';
import { type Corruption, checkLinkConfig, type LinkConfig, PERFECT_LINK } from './link-config.ts';
import type { SeededRng } from './rng.ts';

/**
 * One direction between two attachment points. A pure machine: `send` says what arrives when, the caller keeps those deliveries
 * and hands each back to `land` at its time.
 *
 * A datagram meets, in this order: the cable (down takes nothing), the MTU, the drop-tail queue in front of the bandwidth, loss
 * on the wire, corruption, delay with jitter, a clog, duplication. Replays come beside it: any datagram sent may set free an older one.
 * What is lost on the wire has used bandwidth; duplicates and replays are made behind the bottleneck and use none.
 *
 * An envelope is whatever the caller wants back with a datagram and with all its copies, the addresses for instance.
 *
 * - Bytes are copied once at `send`; every delivery has bytes of its own, so a receiver may open a packet in place.
 * - A link that is down takes nothing in and lets nothing out: what was on its way is dropped where it would have landed.
 * - Each fault draws from its own stream, once per datagram: switching one off leaves the others' hits where they were.
 * - Nothing vanishes uncounted: sent + duplicated + replayed = delivered + dropped, by cause, + in flight.
 */
export class Link<Envelope> {
  #config: LinkConfig = PERFECT_LINK;
  readonly #streams: Streams;
  readonly #stats: Mutable<LinkStats> = { ...NO_STATS };
  readonly #bottleneck = new Bottleneck();
  readonly #memory: Remembered<Envelope>[] = [];
  #memoryNext = 0;
  #isBursting = false;
  #latestArrival = Number.NEGATIVE_INFINITY;

  constructor(rng: SeededRng, config: Partial<LinkConfig> = {}) {
    this.#streams = fork(rng);
    this.configure(config, 0 as Instant);
  }

  get config(): LinkConfig {
    return this.#config;
  }

  /** What has happened so far: a copy. */
  get stats(): LinkStats {
    return { ...this.#stats };
  }

  /** Takes effect for what is sent from now on, and for the queue; what is on the wire keeps its time of arrival. */
  configure(changes: Partial<LinkConfig>, now: Instant): void {
    const config = { ...this.#config, ...changes };
    checkLinkConfig(config);
    if (config.bandwidth !== this.#config.bandwidth) this.#bottleneck.setBandwidth(config.bandwidth, now);
    this.#config = config;
  }

  /** The datagram's deliveries and those of its copies, or why it has none. */
  send(bytes: Uint8Array, envelope: Envelope, now: Instant): SendResult<Envelope> {
    const config = this.#config;
    const stats = this.#stats;
    const number = ++stats.sent;
    // Drawn before anything else can happen, so that every datagram sent costs every stream the same.
    const isLost = this.#drawLoss();
    const isCorrupted = config.corrupt > 0 && this.#streams.corrupt.chance(config.corrupt);
    const isHeldBack = config.reorder > 0 && this.#streams.reorder.chance(config.reorder);
    const isDuplicated = config.duplicate > 0 && this.#streams.duplicate.chance(config.duplicate);
    const isReplaying = config.replay > 0 && this.#streams.replay.chance(config.replay);
    const jitter = this.#drawJitter(this.#streams.jitter);

    if (config.down) return this.#drop('down', []);
    const deliveries: Delivery<Envelope>[] = [];
    if (isReplaying) this.#replay(deliveries, now);
    if (bytes.length > config.mtu) return this.#drop('tooBig', deliveries);
    const departure = this.#bottleneck.pass(bytes.length, config.queue, now);
    if (departure === undefined) return this.#drop('queueDropped', deliveries);
    if (isLost) return this.#drop('lost', deliveries);

    const due = after(departure, config.delay + jitter + (isHeldBack ? config.reorderDelay : 0));
    const at = latest(due, config.heldUntil);
    const original: Mutable<Delivery<Envelope>> = {
      at,
      bytes: new Uint8Array(bytes),
      envelope,
      number,
      origin: 'original',
    };
    if (isHeldBack) stats.heldBack++;
    if (at < this.#latestArrival) stats.reordered++;
    else this.#latestArrival = at;
    if (isCorrupted) this.#corrupt(original);
    deliveries.unshift(original);
    if (isDuplicated) {
      const copyDue = after(departure, config.delay + this.#drawJitter(this.#streams.copyJitter));
      const copyAt = latest(copyDue, config.heldUntil);
      deliveries.push({ at: copyAt, bytes: new Uint8Array(bytes), envelope, number, origin: 'duplicate' });
      stats.duplicated++;
      stats.inFlight++;
    }
    stats.inFlight++;
    // Remembered only for a fault that has a use for it: without one, nothing is copied a second time.
    if (original.corruption === undefined && (config.replay > 0 || config.corrupt > 0)) {
      this.#memory[this.#memoryNext] = { number, envelope, bytes: new Uint8Array(bytes) };
      this.#memoryNext = (this.#memoryNext + 1) % LINK_MEMORY_MAX;
    }
    return { deliveries, dropped: undefined };
  }

  /** A delivery's time has come: `undefined` where it arrives, else why not. */
  land(delivery: Delivery<Envelope>): LinkDrop | undefined {
    assert(this.#stats.inFlight > 0, `datagram ${delivery.number} landed and was not in flight`);
    this.#stats.inFlight--;
    if (this.#config.down) {
      this.#stats.down++;
      return 'down';
    }
    this.#stats.delivered++;
    return undefined;
  }

  #drop(cause: LinkDrop, deliveries: readonly Delivery<Envelope>[]): SendResult<Envelope> {
    this.#stats[cause]++;
    return { deliveries, dropped: cause };
  }

  /**
   * The simple Gilbert model: a good state that loses nothing and a bad one that loses everything, left so that the mean rate is
   * `loss` and the mean run of losses is `burst`. Independent losses come in runs of 1 / (1 - loss) already; fewer are not made.
   */
  #drawLoss(): boolean {
    const { loss, burst } = this.#config;
    if (loss === 0) {
      this.#isBursting = false;
      return false;
    }
    if (loss === 1) return true;
    const meanBurst = Math.max(burst, 1 / (1 - loss));
    const becomesBad = this.#isBursting ? 1 - 1 / meanBurst : loss / (meanBurst * (1 - loss));
    this.#isBursting = this.#streams.loss.chance(becomesBad);
    return this.#isBursting;
  }

  #drawJitter(stream: SeededRng): number {
    const { jitter, jitterShape } = this.#config;
    if (jitter === 0) return 0;
    return jitterShape === 'uniform' ? stream.below(jitter + 1) : Math.round(stream.exponential(jitter));
  }

  #corrupt(delivery: Mutable<Delivery<Envelope>>): void {
    // An empty datagram has nothing to break.
    if (delivery.bytes.length === 0) return;
    const detail = this.#streams.corruption;
    const kind = detail.pick(this.#config.corruptions);
    const earlier = this.#memory.length === 0 ? undefined : detail.pick(this.#memory).bytes;
    const { bytes, corruption } = corrupt({ bytes: delivery.bytes, kind, earlier }, detail);
    delivery.bytes = bytes;
    delivery.corruption = corruption;
    this.#stats.corrupted++;
  }

  #replay(deliveries: Delivery<Envelope>[], now: Instant): void {
    if (this.#memory.length === 0) return;
    const detail = this.#streams.replayed;
    const old = detail.pick(this.#memory);
    const at = after(now, this.#config.delay + detail.below(this.#config.replayWithin + 1));
    deliveries.push({ ...old, at, bytes: new Uint8Array(old.bytes), origin: 'replay' });
    this.#stats.replayed++;
    this.#stats.inFlight++;
  }
}

/** Datagrams a link remembers for replays and splices; the oldest gives way. */
export const LINK_MEMORY_MAX = 256;

/** A datagram on the wire. Its bytes belong to whoever receives it. */
export interface Delivery<Envelope> {
  readonly at: Instant;
  readonly bytes: Uint8Array;
  readonly envelope: Envelope;
  /** Counts what was sent on this link, from 1; a copy has the number of its original. */
  readonly number: number;
  readonly origin: 'original' | 'duplicate' | 'replay';
  readonly corruption?: Corruption;
}

/** Why a link did not deliver: lost on the wire, no room in the queue, larger than the MTU, or the link was down. */
export type LinkDrop = 'lost' | 'queueDropped' | 'tooBig' | 'down';

export interface SendResult<Envelope> {
  /** The datagram itself first, then its copies; replays come even where the datagram is dropped. */
  readonly deliveries: readonly Delivery<Envelope>[];
  readonly dropped: LinkDrop | undefined;
}

export interface LinkStats {
  readonly sent: number;
  /** Copies and corrupted datagrams included. */
  readonly delivered: number;
  readonly lost: number;
  readonly queueDropped: number;
  readonly tooBig: number;
  /** Copies included, where the link went down while they were on their way. */
  readonly down: number;
  readonly duplicated: number;
  readonly replayed: number;
  readonly corrupted: number;
  /** Delayed by the reorder fault. */
  readonly heldBack: number;
  /** Due before one that was sent earlier, whatever the reason. */
  readonly reordered: number;
  /** Sent or copied, and not landed yet. */
  readonly inFlight: number;
}

const NO_STATS: LinkStats = {
  sent: 0,
  delivered: 0,
  lost: 0,
  queueDropped: 0,
  tooBig: 0,
  down: 0,
  duplicated: 0,
  replayed: 0,
  corrupted: 0,
  heldBack: 0,
  reordered: 0,
  inFlight: 0,
};

function latest(a: Instant, b: Instant): Instant {
  return Math.max(a, b) as Instant;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Remembered<Envelope> {
  readonly number: number;
  readonly envelope: Envelope;
  readonly bytes: Uint8Array;
}

interface Streams {
  readonly loss: SeededRng;
  readonly corrupt: SeededRng;
  readonly corruption: SeededRng;
  readonly reorder: SeededRng;
  readonly duplicate: SeededRng;
  readonly replay: SeededRng;
  readonly replayed: SeededRng;
  readonly jitter: SeededRng;
  readonly copyJitter: SeededRng;
}

/** Where a fault also draws details, in a number that depends on the datagram, these come from a second stream. */
function fork(rng: SeededRng): Streams {
  return {
    loss: rng.fork('loss'),
    corrupt: rng.fork('corrupt'),
    corruption: rng.fork('corruption'),
    reorder: rng.fork('reorder'),
    duplicate: rng.fork('duplicate'),
    replay: rng.fork('replay'),
    replayed: rng.fork('replayed'),
    jitter: rng.fork('jitter'),
    copyJitter: rng.fork('copy jitter'),
  };
}

/**
 * The serialiser and its drop-tail queue. Each datagram takes bits / bandwidth, one after the other. The time the serialiser is
 * busy until is exact, a whole microsecond and a remainder, so that a long train of short datagrams neither gains nor loses
 * time; a departure is rounded up.
 */
class Bottleneck {
  #bandwidth = Number.POSITIVE_INFINITY;
  #busyUntil = 0;
  /** In bit-microseconds: `#remainder` / bandwidth is the rest of a microsecond. */
  #remainder = 0;
  /** When each datagram that is still here leaves, from `#head` on. */
  #departures: number[] = [];
  #head = 0;

  /** The backlog goes on at the new rate. */
  setBandwidth(bandwidth: number, now: Instant): void {
    const factor = this.#bandwidth / bandwidth;
    const rescale = (time: number): number => (time <= now ? time : now + Math.ceil((time - now) * factor));
    const waiting = Number.isFinite(this.#bandwidth) && Number.isFinite(bandwidth);
    this.#departures = waiting ? this.#departures.slice(this.#head).map(rescale) : [];
    this.#head = 0;
    this.#busyUntil = waiting ? rescale(this.#busyUntil + (this.#remainder > 0 ? 1 : 0)) : now;
    this.#remainder = 0;
    this.#bandwidth = bandwidth;
  }

  /** When the last bit leaves; `undefined` where `room` datagrams are here already, the one being sent included. */
  pass(length: number, room: number, now: Instant): Instant | undefined {
    if (this.#bandwidth === Number.POSITIVE_INFINITY) return now;
    while (this.#head < this.#departures.length && this.#departures[this.#head]! <= now) this.#head++;
    if (this.#head > COMPACT_AT) {
      this.#departures = this.#departures.slice(this.#head);
      this.#head = 0;
    }
    if (this.#departures.length - this.#head >= room) return undefined;
    if (this.#busyUntil < now) {
      this.#busyUntil = now;
      this.#remainder = 0;
    }
    const work = this.#remainder + length * 8 * 1_000_000;
    this.#busyUntil += Math.floor(work / this.#bandwidth);
    this.#remainder = work % this.#bandwidth;
    const departure = this.#busyUntil + (this.#remainder > 0 ? 1 : 0);
    this.#departures.push(departure);
    return departure as Instant;
  }
}

const COMPACT_AT = 1_024;
