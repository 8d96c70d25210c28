/**
 * Items in the order of their coming, each of which leaves when it likes. A `Set` keeps the same order, but what has left it is not
 * free: every so many additions it moves to a new table, and an old table that has lived through two collections holds on to all
 * that stood in it until the whole heap is collected. Where items come and go by the thousand a second, that is most of the work
 * of the collector. Here a place that has been left leads nowhere.
 */
export class Row<T> {
  /** Before the first and behind the last. */
  readonly #ends: Link<T> = new Link<T>(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#ends.next.item;
  }

  /** In their order, those that are there now. */
  items(): T[] {
    const items: T[] = [];
    for (let link = this.#ends.next; link !== this.#ends; link = link.next) items.push(link.item!);
    return items;
  }

  add(item: T): Place {
    const link = new Link<T>(item);
    link.standBefore(this.#ends);
    this.#size += 1;
    return {
      leave: () => {
        if (link.leave()) this.#size -= 1;
      },
    };
  }
}

/** Where one item stands. */
export interface Place {
  /** Said again, it means nothing. */
  leave(): void;
}

class Link<T> {
  readonly item: T | undefined;
  previous: Link<T> = this;
  next: Link<T> = this;

  constructor(item: T | undefined) {
    this.item = item;
  }

  standBefore(other: Link<T>): void {
    this.previous = other.previous;
    this.next = other;
    this.previous.next = this;
    other.previous = this;
  }

  /** False where it stands alone already. */
  leave(): boolean {
    if (this.next === this) return false;
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.previous = this;
    this.next = this;
    return true;
  }
}
