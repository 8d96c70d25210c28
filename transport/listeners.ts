import type { REFUSALS } from './streams/constants.ts';

/** Why a stream that a peer opened is turned away. */
export type StreamRefusal = keyof typeof REFUSALS;

export const BACKLOG_DEFAULT = 128;
export const BACKLOG_NODE_MAX = 1_024;

/** Who listens on which port of this node, and how many streams wait there to be taken. */
export class Listeners {
  readonly #backlogs: Map<number, { readonly max: number; waiting: number }> = new Map();
  #waiting = 0;

  /** False where somebody listens there already. */
  add(port: number, backlog: number): boolean {
    if (this.#backlogs.has(port)) return false;
    this.#backlogs.set(port, { max: backlog, waiting: 0 });
    return true;
  }

  remove(port: number): void {
    this.#waiting -= this.#backlogs.get(port)?.waiting ?? 0;
    this.#backlogs.delete(port);
  }

  /** A stream has come for the port: it waits from now on, or why it may not. */
  admit(port: number): StreamRefusal | undefined {
    const backlog = this.#backlogs.get(port);
    if (backlog === undefined) return 'NO_LISTENER';
    if (backlog.waiting >= backlog.max || this.#waiting >= BACKLOG_NODE_MAX) return 'BACKLOG_FULL';
    backlog.waiting += 1;
    this.#waiting += 1;
    return undefined;
  }

  /** One that waited has been taken, or is gone. */
  taken(port: number): void {
    const backlog = this.#backlogs.get(port);
    if (backlog === undefined || backlog.waiting === 0) return;
    backlog.waiting -= 1;
    this.#waiting -= 1;
  }
}
