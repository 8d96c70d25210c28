/** For whom something is: the node's owner, by `admin.sock` or in the node's own process, or a program on `app.sock`. */
export type Standing = 'owner' | 'app';

/**
 * A bounded number of what all programs share. The last `kept` of them are for the owner alone: whatever programs on `app.sock` do,
 * they cannot keep the owner from its own node.
 */
export class SharedQuota {
  readonly #max: number;
  readonly #kept: number;
  readonly #used: Record<Standing, number> = { owner: 0, app: 0 };

  constructor(max: number, kept: number) {
    this.#max = max;
    this.#kept = kept;
  }

  maxFor(standing: Standing): number {
    return standing === 'owner' ? this.#max : this.#max - this.#kept;
  }

  hasRoom(standing: Standing): boolean {
    const { owner, app } = this.#used;
    return owner + app < this.#max && this.#used[standing] < this.maxFor(standing);
  }

  /** Asks nothing: whoever may find out only later that there was no need of room looks first, and takes it back then. */
  add(standing: Standing): void {
    this.#used[standing] += 1;
  }

  remove(standing: Standing): void {
    this.#used[standing] -= 1;
  }
}
