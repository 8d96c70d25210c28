import { randomFillSync } from 'node:crypto';
import type { Rng } from '../base/rng.ts';

/** Enough for a few hundred session ids and nonces. */
const POOL_BYTES = 4_096;
/** Above this the generator's own work outweighs the call. */
const DIRECT_FROM_BYTES = 1_024;

/**
 * The operating system's randomness. A call into OpenSSL costs more than the few bytes that most callers want, so small draws
 * come out of a pool; what has been handed out is wiped there, so that memory read later tells nothing about keys drawn before.
 */
export class SystemRng implements Rng {
  readonly #pool: Uint8Array = new Uint8Array(POOL_BYTES);
  #used = POOL_BYTES;

  fill(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length >= DIRECT_FROM_BYTES) {
      randomFillSync(bytes);
      return;
    }
    if (length > POOL_BYTES - this.#used) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const drawn = this.#pool.subarray(this.#used, this.#used + length);
    bytes.set(drawn);
    drawn.fill(0);
    this.#used += length;
  }
}
