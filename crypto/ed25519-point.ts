import { filled, isAmong } from './coordinate.ts';

/**
 * Whether 32 bytes may stand for a point in a signature or as a public key, as far as the bytes alone tell: for libraries that
 * decode more leniently than RFC 8032 §5.1.3. Points of small order are refused, in either place. No honest signer makes one,
 * under such a key anybody can sign, and versions of Node differ about them (nodejs/node #64026), so that two nodes would
 * disagree about a record.
 */
export function isAcceptablePoint(encoded: Uint8Array): boolean {
  if (encoded.length !== 32) return false;
  // RFC 8032 §5.1.3 step 1: y at or above p = 2^255 − 19 fails to decode. Only the lowest byte can make the difference.
  if ((encoded[31]! & 0x7f) === 0x7f && encoded[0]! >= 0xed && allOnes(encoded, 1, 31)) return false;
  return !isAmong(encoded, SMALL_ORDER_Y);
}

/**
 * The y of the eight points of order 1, 2, 4 and 8, little-endian. The sign bit is left out of the comparison, which also
 * refuses x = 0 with its sign set (RFC 8032 §5.1.3 step 4): only y = 1 and y = −1 have it.
 */
const SMALL_ORDER_Y: readonly Uint8Array[] = [
  filled(0x01, 0x00, 0x00),
  filled(0xec, 0xff, 0x7f),
  filled(0x00, 0x00, 0x00),
  Uint8Array.of(
    ...[0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0],
    ...[0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05],
  ),
  Uint8Array.of(
    ...[0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f],
    ...[0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a],
  ),
];

function allOnes(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0xff) return false;
  return true;
}
