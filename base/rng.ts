/** Randomness is an argument: the edge hands in the system's generator, the simulator a seeded one. */
export interface Rng {
  fill(bytes: Uint8Array): void;
}

export function randomBytes(rng: Rng, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  rng.fill(bytes);
  return bytes;
}

export function randomU32(rng: Rng): number {
  const b = randomBytes(rng, 4);
  return ((b[0]! << 24) | (b[1]! << 16) | (b[2]! << 8) | b[3]!) >>> 0;
}

/** A whole number below `bound` (≤ 2^32); the bias is below 2^-20 for every bound this code uses. */
export function randomBelow(rng: Rng, bound: number): number {
  const high = randomU32(rng) & 0xfffff;
  return Math.floor(((high * 2 ** 32 + randomU32(rng)) / 2 ** 52) * bound);
}
