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
    for (const stream of this.#waiting) stream.sendAway();
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
  #wasTold = false;
  #gone: (() => void) | undefined;

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
    return this.#stopWaiting() ? this.take(listener) : undefined;
  }

  refuse(): void {
    if (this.#stopWaiting()) this.turnAway();
  }

  onGone(gone: () => void): void {
    this.#gone = gone;
  }

  /** Nobody listens any more: its dialler is told, and who was told of it. */
  sendAway(): void {
    if (!this.#stopWaiting()) return;
    this.turnAway();
    this.#tellGone();
  }

  /** It is gone, and its dialler needs no answer. */
  leave(): void {
    if (this.#stopWaiting()) this.#tellGone();
  }

  tell(): void {
    if (this.#isWaiting) {
      this.#wasTold = true;
      this.#listener.incoming(this);
    } else {
      this.#gone?.();
    }
  }

  /** Who has not heard that it came need not hear that it went. */
  #tellGone(): void {
    if (this.#wasTold) this.#notices.add(this);
  }

  /** False where it does not wait any more. */
  #stopWaiting(): boolean {
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
