import { after, type Instant, NEVER } from '../../../../base/time.ts';
import { MAX_ACK_DELAY } from '../../../../transport/rtt.ts';

const LOG_SIZE = 2 ** 17;

/**
 * The receiving end of one flow. It keeps the order in which packets arrived; an ACK is how many of them it covers, so that a
 * lost ACK's contents come with the next. Segments are the payload: what is still missing before `contiguous` holds back credit.
 */
export class Receiver {
  /** Segments received at least once, and the first one missing. */
  unique = 0;
  contiguous = 0;
  ackAt: Instant = NEVER;

  readonly #log = new Float64Array(LOG_SIZE);
  readonly #arrivedAt = new Float64Array(LOG_SIZE);
  #received = 0;
  #largest = -1;
  #unacknowledged = 0;
  #segments = new Uint8Array(2 ** 16);

  /** True where an ACK is due at once: for every second packet, and for one out of order (RFC 9000 §13.2.1). */
  onPacket(number: number, segment: number, now: Instant): boolean {
    this.#log[this.#received % LOG_SIZE] = number;
    this.#arrivedAt[this.#received % LOG_SIZE] = now;
    this.#received++;
    const isInOrder = number === this.#largest + 1;
    if (number > this.#largest) this.#largest = number;
    this.#take(segment);
    this.#unacknowledged++;
    if (this.#unacknowledged >= 2 || !isInOrder) return true;
    this.ackAt = after(now, MAX_ACK_DELAY);
    return false;
  }

  takeAck(): number {
    this.#unacknowledged = 0;
    this.ackAt = NEVER;
    return this.#received;
  }

  /** The packet that arrived as number `index`. */
  at(index: number): number {
    return this.#log[index % LOG_SIZE]!;
  }

  arrivedAt(index: number): number {
    return this.#arrivedAt[index % LOG_SIZE]!;
  }

  #take(segment: number): void {
    if (segment >= this.#segments.length) {
      const grown = new Uint8Array(Math.max(2 * this.#segments.length, segment + 1));
      grown.set(this.#segments);
      this.#segments = grown;
    }
    if (this.#segments[segment] === 1) return;
    this.#segments[segment] = 1;
    this.unique++;
    while (this.#segments[this.contiguous] === 1) this.contiguous++;
  }
}
