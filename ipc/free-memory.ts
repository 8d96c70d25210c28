import { MessageChannel, type MessagePort } from 'node:worker_threads';

/** Less is not worth the call. */
export const WORTHWHILE_BYTES = 4_096;

/**
 * Frees memory that was read from a socket: every view of it has length 0 afterwards. The collector would free it too, but memory
 * outside its heap makes it collect all of the heap every 64 MiB.
 */
export function freeMemory(buffer: ArrayBufferLike): void {
  if (!(buffer instanceof ArrayBuffer)) return;
  // Node 22 has a call for it. Before, what is handed to a port that nobody listens on is gone.
  if ('transfer' in buffer) (buffer as TransferableBuffer).transfer(0);
  else nobody().postMessage(undefined, [buffer]);
}

/** For bytes that nobody needs any more: where they are all that there is in their memory, and are worth it. */
export function freeRead({ buffer, length }: Uint8Array): void {
  if (length >= WORTHWHILE_BYTES && length === buffer.byteLength) freeMemory(buffer);
}

interface TransferableBuffer {
  transfer(length: number): ArrayBuffer;
}

let closedPort: MessagePort | undefined;

function nobody(): MessagePort {
  if (closedPort === undefined) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    port1.unref();
    closedPort = port1;
  }
  return closedPort;
}
