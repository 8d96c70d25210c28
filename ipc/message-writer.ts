import type { Socket } from 'node:net';
import { frameMessage } from './framing.ts';

/** Messages to a socket: those of one turn in one system call. */
export class MessageWriter {
  readonly #socket: Socket;
  #isCorked = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** `taken` is called when the kernel has taken this one. */
  write(body: Uint8Array, taken?: () => void): void {
    const frame = frameMessage(body);
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(this.#uncork);
    }
    this.#socket.write(frame, taken);
  }

  /** Bytes that the other end has not read, those that the kernel holds for it left out. */
  get unreadBytes(): number {
    return this.#socket.writableLength;
  }

  readonly #uncork = (): void => {
    this.#isCorked = false;
    this.#socket.uncork();
  };
}
