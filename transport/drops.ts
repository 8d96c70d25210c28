import type { DecodeReason } from '../wire/decode-error.ts';
import type { HandshakeReason } from './handshake.ts';

/** Why received bytes had no effect. Closed, so that each is counted. */
export type DropReason =
  | DecodeReason
  | HandshakeReason
  /** Bytes at the end of a read that are no whole packet. */
  | 'unsplittable'
  | 'unknown-session'
  | 'replayed'
  | 'not-authentic'
  /** MAC1 does not show knowledge of our key. */
  | 'bad-mac1'
  | 'bad-cookie'
  | 'rate-limited'
  | 'cookie-demanded'
  | 'own-key'
  | 'not-admitted'
  | 'tables-full'
  | 'unexpected';

/** How many of each. Grows by the members of a closed union only. */
export class DropCounts {
  readonly #counts: Map<DropReason, number> = new Map();

  add(reason: DropReason): void {
    this.#counts.set(reason, this.count(reason) + 1);
  }

  count(reason: DropReason): number {
    return this.#counts.get(reason) ?? 0;
  }

  get total(): number {
    let total = 0;
    for (const count of this.#counts.values()) total += count;
    return total;
  }

  entries(): readonly (readonly [DropReason, number])[] {
    return [...this.#counts];
  }
}
