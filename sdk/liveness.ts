/**
 * Whether a node keeps its process alive, which is the one socket it has towards the outside: it does while something of its
 * own does, as a listening server or an open stream do in `node:net`.
 */
export class Liveness {
  readonly #handle: ProcessHandle;
  #count = 0;
  #isAllowed = true;
  #isHeld = false;

  constructor(handle: ProcessHandle) {
    this.#handle = handle;
    handle.unref();
  }

  /** From now on, until it is released or let go of. */
  hold(): Hold {
    return new Hold((change) => {
      this.#count += change;
      this.#apply();
    });
  }

  /** For as long as some work lasts. */
  async during<T>(work: Promise<T>): Promise<T> {
    const hold = this.hold();
    try {
      return await work;
    } finally {
      hold.release();
    }
  }

  ref(): void {
    this.#isAllowed = true;
    this.#apply();
  }

  unref(): void {
    this.#isAllowed = false;
    this.#apply();
  }

  #apply(): void {
    const isHeld = this.#isAllowed && this.#count > 0;
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (isHeld) this.#handle.ref();
    else this.#handle.unref();
  }
}

/** What `node:net` and `node:dgram` call it too. */
export interface ProcessHandle {
  ref(): unknown;
  unref(): unknown;
}

/** One reason for a process to live on. */
export class Hold {
  readonly #change: (by: 1 | -1) => void;
  #isHeld = false;
  #isReleased = false;

  constructor(change: (by: 1 | -1) => void) {
    this.#change = change;
    this.ref();
  }

  ref(): void {
    if (this.#isHeld || this.#isReleased) return;
    this.#isHeld = true;
    this.#change(1);
  }

  unref(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#change(-1);
  }

  /** For good. */
  release(): void {
    this.unref();
    this.#isReleased = true;
  }
}
