import { BoundedQueue } from '../base/bounded.ts';
import { REPLIES_QUEUED_MAX } from './constants.ts';
import type { Route } from './route.ts';
import type { Transmit } from './transmit.ts';

export interface Reply {
  readonly route: Route;
  readonly bytes: Uint8Array;
}

/** What goes out without a tunnel: answers to strangers, and the last word of a tunnel that is forgotten. The oldest gives way. */
export class Replies {
  readonly #queue: BoundedQueue<Reply> = new BoundedQueue(REPLIES_QUEUED_MAX);

  get length(): number {
    return this.#queue.length;
  }

  push(reply: Reply): void {
    this.#queue.push(reply);
  }

  write(buffer: Uint8Array): Transmit | undefined {
    const reply = this.#queue.shift();
    if (reply === undefined) return undefined;
    buffer.set(reply.bytes);
    return { route: reply.route, length: reply.bytes.length, segmentSize: reply.bytes.length };
  }
}
