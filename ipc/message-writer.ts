import type { Socket } from 'node:net';
import { frameMessage } from './framing.ts';

/** Messages to a socket: those of one turn in one system call. */
export class MessageWriter {
  readonly #socket: Socket;
  readonly #taken: (() => void) | undefined;
  #isCorked = false;

  /** `taken` is called when the kernel has taken the messages of a turn. */
  constructor(socket: Socket, taken?: () => void) {
    this.#socket = socket;
    this.#taken = taken;
  }

  write(body: Uint8Array): void {
    const frame = frameMessage(body);
    if (this.#isCorked) {
      this.#socket.write(frame);
      return;
    }
    this.#isCorked = true;
    this.#socket.cork();
    process.nextTick(this.#uncork);
    this.#socket.write(frame, this.#taken);
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
