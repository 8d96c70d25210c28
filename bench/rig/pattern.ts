/** The bytes that cross a benchmark: each follows from its offset in the stream, so what is lost, repeated or mixed up shows. */

/** Prime, so that no power of two lines up with it. */
const PERIOD = 65_521;
/** Written at once: where a Unix socket is fast. */
export const CHUNK_BYTES = 65_536;

const PATTERN: Buffer = Buffer.alloc(PERIOD + CHUNK_BYTES);
for (let i = 0; i < PATTERN.length; i++) PATTERN[i] = ((i % PERIOD) * 31 + ((i % PERIOD) >> 8) * 7) & 0xff;

/** What stands there in every stream; not to be changed. */
export function chunkAt(offset: number, length: number = CHUNK_BYTES): Buffer {
  const start = offset % PERIOD;
  return PATTERN.subarray(start, start + length);
}

/**
 * Throws where that is not what stands there. Looks at both ends of every piece, which finds whatever has moved; comparing every
 * byte would be a good part of the work of the program that reads, and is the tests' to do.
 */
export function checkAt(offset: number, bytes: Uint8Array): void {
  const last = bytes.length - 1;
  if (bytes[0] === PATTERN[offset % PERIOD] && bytes[last] === PATTERN[(offset + last) % PERIOD]) return;
  throw new Error(`the bytes at ${offset} of a stream are not those that were written`);
}
