import type { Rng } from '../base/rng.ts';
import { randomU32 } from '../base/rng.ts';

/** Whose session id it is: a tunnel's, in one of its sessions or attempts, or a provisional session's. No two share one. */
export class SessionOwners<Owner> {
  readonly #rng: Rng;
  readonly #owners: Map<number, Owner> = new Map();

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  get size(): number {
    return this.#owners.size;
  }

  get(id: number): Owner | undefined {
    return this.#owners.get(id);
  }

  /** An id that is free, and stays so until `set`. Zero is no session, so that a header of zeros is never one. */
  draw(): number {
    for (;;) {
      const id = randomU32(this.#rng);
      if (id !== 0 && !this.#owners.has(id)) return id;
    }
  }

  claim(owner: Owner): number {
    const id = this.draw();
    this.set(id, owner);
    return id;
  }

  set(id: number, owner: Owner): void {
    this.#owners.set(id, owner);
  }

  release(id: number): void {
    this.#owners.delete(id);
  }
}
