import type { Socket } from 'node:net';
import { freeRead } from './free-memory.ts';

/**
 * Ends a connection so that what was written to it is read. Closing a Unix socket with bytes unread in it makes the other end's
 * writes fail, and many programs then never look at what there was to read; so the rest of what comes is thrown away until the
 * other end closes too, or its time is up. Not faster than that takes: whoever goes on writing is not to be what we work for.
 */
export function closeGently(socket: Socket, withinMs: number): void {
  if (socket.destroyed) return;
  // To end twice is an error: nobody hears of it, and its stack costs more than all the rest.
  if (!socket.writableEnded) socket.end();
  let pause: NodeJS.Timeout | undefined;
  if (!socket.readableEnded) {
    socket.removeAllListeners('data');
    socket.on('data', (chunk: Buffer) => {
      // A few that go on writing would otherwise keep the collector at work.
      freeRead(chunk);
      socket.pause();
      pause = setTimeout(() => socket.resume(), PAUSE_MS);
    });
    socket.resume();
  }
  const timer = setTimeout(() => socket.destroy(), withinMs);
  socket.once('close', () => {
    clearTimeout(timer);
    clearTimeout(pause);
  });
}

/** Between two reads, of 64 KiB at the most. The kernel holds a few of them, so an honest end is noticed soon enough. */
const PAUSE_MS = 10;
