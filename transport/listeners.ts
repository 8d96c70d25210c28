import type { StreamRefusal } from './streams/constants.ts';

export const BACKLOG_DEFAULT = 128;
export const BACKLOG_NODE_MAX = 1_024;

interface Backlog {
  readonly max: number;
  /** How many streams of each peer wait here to be taken. */
  readonly waiting: Map<string, number>;
  count: number;
}

/** Who listens on which port of this node, and how many streams wait there to be taken. */
export class Listeners {
  readonly #backlogs: Map<number, Backlog> = new Map();
  #waiting = 0;

  /** False where somebody listens there already. */
  add(port: number, backlog: number): boolean {
    if (this.#backlogs.has(port)) return false;
    this.#backlogs.set(port, { max: backlog, waiting: new Map(), count: 0 });
    return true;
  }

  remove(port: number): void {
    this.#waiting -= this.#backlogs.get(port)?.count ?? 0;
    this.#backlogs.delete(port);
  }

  /** A peer's stream has come for the port: it waits from now on, or why it may not. */
  admit(peer: string, port: number): StreamRefusal | undefined {
    const backlog = this.#backlogs.get(port);
    if (backlog === undefined) return 'NO_LISTENER';
    if (backlog.count >= backlog.max || this.#waiting >= BACKLOG_NODE_MAX) return 'BACKLOG_FULL';
    backlog.waiting.set(peer, (backlog.waiting.get(peer) ?? 0) + 1);
    backlog.count += 1;
    this.#waiting += 1;
    return undefined;
  }

  /** One that waited has been taken, or turned away. */
  taken(peer: string, port: number): void {
    const backlog = this.#backlogs.get(port);
    const waiting = backlog?.waiting.get(peer);
    if (backlog === undefined || waiting === undefined) return;
    if (waiting === 1) backlog.waiting.delete(peer);
    else backlog.waiting.set(peer, waiting - 1);
    backlog.count -= 1;
    this.#waiting -= 1;
  }

  /** The peer's tunnel is gone, and with it whatever waited. */
  forget(peer: string): void {
    for (const backlog of this.#backlogs.values()) {
      const waiting = backlog.waiting.get(peer) ?? 0;
      backlog.waiting.delete(peer);
      backlog.count -= waiting;
      this.#waiting -= waiting;
    }
  }
}
