import { concat, equal } from '../base/bytes.ts';
import type { Corruption } from './link-config.ts';
import type { SeededRng } from './rng.ts';

export interface CorruptionInput {
  /** Not empty, and free to be written to. */
  readonly bytes: Uint8Array;
  readonly kind: Corruption;
  /** Another datagram of the same link, for a splice. */
  readonly earlier: Uint8Array | undefined;
}

/**
 * The datagram broken in the asked way, and the way it was broken: always different from what it was. Where a splice has no
 * earlier datagram, or would give either of the two whole, one byte is changed in its place: what is called broken was never sent.
 */
export function corrupt(input: CorruptionInput, rng: SeededRng): { bytes: Uint8Array; corruption: Corruption } {
  const { bytes, kind, earlier } = input;
  switch (kind) {
    case 'bit':
      bytes[rng.below(bytes.length)]! ^= 1 << rng.below(8);
      return { bytes, corruption: 'bit' };
    case 'byte':
      return changeByte(bytes, rng);
    case 'truncation':
      return { bytes: bytes.slice(0, rng.below(bytes.length)), corruption: 'truncation' };
    case 'splice': {
      const cut = 1 + rng.below(Math.max(1, bytes.length - 1));
      if (earlier === undefined) return changeByte(bytes, rng);
      const spliced = concat(bytes.subarray(0, cut), earlier.subarray(cut));
      const isWhole = equal(spliced, bytes) || equal(spliced, earlier);
      return isWhole ? changeByte(bytes, rng) : { bytes: spliced, corruption: 'splice' };
    }
  }
}

function changeByte(bytes: Uint8Array, rng: SeededRng): { bytes: Uint8Array; corruption: Corruption } {
  bytes[rng.below(bytes.length)]! ^= 1 + rng.below(255);
  return { bytes, corruption: 'byte' };
}
