import type { IncomingStream, PeerName, StreamEnd, StreamListener } from '../ipc/host.ts';
import type { Priority } from '../wire/frames.ts';
import type { Notice, Notices } from './notices.ts';

/** A program that listens on a port, and the streams that wait there for it to take them. */
export class PortListener {
  /** As many may wait, from other nodes and from this one each. */
  readonly backlog: number;
  readonly incoming: (stream: IncomingStream) => void;
  readonly #waiting: Set<WaitingStream> = new Set();

  constructor(backlog: number, incoming: (stream: IncomingStream) => void) {
    this.backlog = backlog;
    this.incoming = incoming;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  add(stream: WaitingStream): void {
    this.#waiting.add(stream);
  }

  delete(stream: WaitingStream): void {
    this.#waiting.delete(stream);
  }

  /** Nobody listens any more. */
  close(): void {
    for (const stream of this.#waiting) stream.refuse();
  }
}

/** A stream that has come for a listener. It waits until it is taken, turned away, or gone. */
export abstract class WaitingStream implements IncomingStream, Notice {
  readonly peer: PeerName;
  readonly localPort: number;
  readonly remotePort: number;
  readonly priority: Priority;
  readonly #listener: PortListener;
  readonly #notices: Notices;
  #isWaiting = true;

  protected constructor(options: WaitingStreamOptions, listener: PortListener, notices: Notices) {
    this.peer = options.peer;
    this.localPort = options.localPort;
    this.remotePort = options.remotePort;
    this.priority = options.priority;
    this.#listener = listener;
    this.#notices = notices;
    listener.add(this);
    notices.add(this);
  }

  protected abstract take(listener: StreamListener): StreamEnd;
  protected abstract turnAway(): void;

  accept(listener: StreamListener): StreamEnd | undefined {
    return this.leave() ? this.take(listener) : undefined;
  }

  refuse(): void {
    if (this.leave()) this.turnAway();
  }

  tell(): void {
    if (this.#isWaiting) this.#listener.incoming(this);
  }

  /** False where it does not wait any more. Called alone where the stream is gone and nobody need be told. */
  leave(): boolean {
    if (!this.#isWaiting) return false;
    this.#isWaiting = false;
    this.#listener.delete(this);
    this.#notices.remove(this);
    return true;
  }
}

export interface WaitingStreamOptions {
  readonly peer: PeerName;
  readonly localPort: number;
  readonly remotePort: number;
  readonly priority: Priority;
}
