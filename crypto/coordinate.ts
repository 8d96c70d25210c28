/** Points of Curve25519 as bytes: 255 bits of a coordinate, little-endian, and one bit above them that is no part of it. */

/** 32 bytes that are alike but for the ends. */
export function filled(first: number, between: number, last: number): Uint8Array {
  const bytes = new Uint8Array(32).fill(between);
  bytes[0] = first;
  bytes[31] = last;
  return bytes;
}

export function isAmong(encoded: Uint8Array, coordinates: readonly Uint8Array[]): boolean {
  return coordinates.some((coordinate) => isSame(encoded, coordinate));
}

function isSame(encoded: Uint8Array, coordinate: Uint8Array): boolean {
  for (let i = 0; i < 31; i++) if (encoded[i] !== coordinate[i]) return false;
  return (encoded[31]! & 0x7f) === coordinate[31];
}
