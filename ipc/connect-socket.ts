import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { WarrenError } from '../base/errors.ts';
import { SOCKET_BUFFER_BYTES } from './bounds.ts';
import { throwIfAborted } from './client-errors.ts';
import { codeOf } from './file-trouble.ts';
import { accessError, checkOwnDirectory, checkSocket, notRunning, SOCKET_FS, type SocketFs } from './socket-path.ts';

export interface ConnectOptions {
  /** Of the socket: `socketToUse` finds it. */
  readonly path: string;
  readonly signal?: AbortSignal | undefined;
  readonly fs?: SocketFs | undefined;
  /**
   * A connection of this program's to the same socket, which lasts, has looked at it. That the directory is still ours alone is seen
   * each time: then only we can have put there what is in it.
   */
  readonly isChecked?: boolean | undefined;
}

/** How long a daemon may be too busy to take connections. */
const BUSY_MS_MAX = 10_000;
const BUSY_PAUSE_MS = 10;

/**
 * A connection to a daemon of our own, both ways independent of each other. The bytes of a `Socket` without listeners wait in the
 * kernel.
 */
export async function connectSocket(options: ConnectOptions): Promise<Socket> {
  const { path, signal, fs = SOCKET_FS, isChecked = false } = options;
  if (isChecked) checkOwnDirectory(dirname(path), fs);
  else checkSocket(path, fs);
  for (const start = performance.now(); ; ) {
    throwIfAborted(signal);
    try {
      return await connectOnce(path);
    } catch (error) {
      const code = codeOf(error);
      // A Unix socket's full backlog refuses at once, where TCP would wait.
      const isBusy = code === 'EAGAIN' && performance.now() - start < BUSY_MS_MAX;
      if (!isBusy) throw connectError(path, code);
    }
    await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS));
  }
}

function connectOnce(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true, highWaterMark: SOCKET_BUFFER_BYTES } as never);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

function connectError(path: string, code: string): WarrenError {
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return notRunning(path);
  if (code === 'EACCES' || code === 'EPERM') return accessError(path, code);
  const hint = code === 'EAGAIN' ? 'The daemon takes no connections: try again, or restart it.' : 'See: warren status';
  return new WarrenError('ERR_WARREN_SOCKET', `cannot connect to ${JSON.stringify(path)}: ${code}`, hint);
}
