import { BoundedQueue } from '../base/bounded.ts';

/**
 * What comes for a program, until the program takes it: through an event listener where there is one, else through whoever asks
 * for the `next`. Nothing is lost between a port being opened and the program listening to it; what is not taken at all is
 * bounded, the oldest gives way.
 */
export class Inbox<T> {
  readonly #waiting: BoundedQueue<T>;
  readonly #user: InboxUser<T>;
  readonly #asking: ((item: T | undefined) => void)[] = [];
  #isClosed = false;

  constructor(max: number, user: InboxUser<T>) {
    this.#waiting = new BoundedQueue(max);
    this.#user = user;
  }

  add(item: T): void {
    if (this.#isClosed) {
      this.#user.drop(item);
      return;
    }
    const dropped = this.#waiting.push(item);
    if (dropped !== undefined) this.#user.drop(dropped);
    this.handOut();
  }

  /** Somebody listens now, perhaps. */
  handOut(): void {
    while (this.#waiting.length > 0) {
      if (this.#user.hasListener()) this.#user.give(this.#waiting.shift()!);
      else if (this.#asking.length > 0) this.#asking.shift()!(this.#waiting.shift()!);
      else return;
    }
  }

  /** `undefined` once nothing more comes. */
  next(): Promise<T | undefined> {
    return new Promise((resolve) => {
      if (this.#isClosed) {
        resolve(undefined);
        return;
      }
      this.#asking.push(resolve);
      this.handOut();
    });
  }

  /** Nobody gets what has not been taken by now. */
  close(): void {
    this.#isClosed = true;
    for (let item = this.#waiting.shift(); item !== undefined; item = this.#waiting.shift()) this.#user.drop(item);
    for (const resolve of this.#asking.splice(0)) resolve(undefined);
  }
}

export interface InboxUser<T> {
  hasListener(): boolean;
  /** To those who listen. */
  give(item: T): void;
  /** Nobody takes it. */
  drop(item: T): void;
}
