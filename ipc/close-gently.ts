import type { Socket } from 'node:net';

/**
 * Ends a connection so that what was written to it is read. Closing a Unix socket with bytes unread in it makes the other end's
 * writes fail, and many programs then never look at what there was to read; so the rest of what comes is thrown away until the
 * other end closes too, or its time is up.
 */
export function closeGently(socket: Socket, withinMs: number): void {
  if (socket.destroyed) return;
  socket.removeAllListeners('data');
  socket.resume();
  socket.end();
  const timer = setTimeout(() => socket.destroy(), withinMs);
  socket.once('close', () => clearTimeout(timer));
}
