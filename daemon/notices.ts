/** Somebody with something to tell a program. */
export interface Notice {
  tell(): void;
}

/** Then the network and the other programs have their turn. */
const NOTICES_PER_TURN = 64;

/**
 * Everything that programs are called back for goes through here, so that nothing is told before the call that asked has returned,
 * and whoever is told has only the event loop below on the stack. Whoever waits stands here once, however much there is to tell:
 * it holds no more than there are streams, and streams that wait to be taken.
 */
export class Notices {
  readonly #waiting: Set<Notice> = new Set();
  #immediate: NodeJS.Immediate | undefined;

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  add(notice: Notice): void {
    this.#waiting.add(notice);
    this.#immediate ??= setImmediate(this.#ring);
  }

  remove(notice: Notice): void {
    this.#waiting.delete(notice);
  }

  /** From the event loop: first come, first served; the rest has another turn. */
  tellSome(): void {
    let count = 0;
    try {
      for (const notice of this.#waiting) {
        if (count === NOTICES_PER_TURN) break;
        count += 1;
        this.#waiting.delete(notice);
        notice.tell();
      }
    } finally {
      if (this.#waiting.size > 0) this.#immediate ??= setImmediate(this.#ring);
    }
  }

  readonly #ring = (): void => {
    this.#immediate = undefined;
    this.tellSome();
  };
}
