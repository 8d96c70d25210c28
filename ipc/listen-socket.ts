import { randomBytes } from 'node:crypto';
import { linkSync, lstatSync, rmSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { toHex } from '../base/bytes.ts';
import { WarrenError } from '../base/errors.ts';
import type { Ffi } from '../crypto/ffi.ts';
import { SOCKET_BUFFER_BYTES } from './bounds.ts';
import { codeOf } from './file-trouble.ts';
import { type LastingListener, openLastingListener } from './lasting-listener.ts';

/**
 * A listening Unix socket at a path, which is ours alone. It is bound under a name that nobody knows and then linked to its own:
 * a link never replaces what is there, so of two daemons one gets the path; and Node, which removes what it has bound without
 * looking, finds nothing to remove, so that in the end only our own socket is.
 */
export class ListenSocket {
  readonly path: string;
  readonly #user: ListenSocketUser;
  /** Where the system can have one: else Node's is all there is. */
  readonly #lasting: LastingListener | undefined;
  #server: Server;
  #inode = '';
  #pause: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(path: string, user: ListenSocketUser, lasting: LastingListener | undefined) {
    this.path = path;
    this.#user = user;
    this.#lasting = lasting;
    this.#server = this.#createServer();
  }

  /** In a directory that has been checked. Thrown: a daemon is running there. */
  static async open(path: string, user: ListenSocketUser, ffi?: Ffi): Promise<ListenSocket> {
    const hidden = join(dirname(path), `.${toHex(randomBytes(3))}`);
    const lasting = ffi && privately(() => openLastingListener(ffi, hidden, CONNECTIONS_WAITING));
    const socket = new ListenSocket(path, user, lasting);
    try {
      await listening(socket.#server, hidden, () => socket.#listen(hidden));
      // A connection that the system does not hand over is lost to its program, and to nobody else.
      socket.#server.on('error', (error) => user.failed(codeOf(error)));
      await take(path, hidden);
      socket.#inode = inodeOf(path)!;
      return socket;
    } catch (error) {
      socket.#stop();
      throw error;
    } finally {
      rmSync(hidden, { force: true });
    }
  }

  /** Takes no connection for a moment: those who come wait in the kernel. Where it cannot, it goes on. */
  rest(milliseconds: number): void {
    if (this.#lasting === undefined || this.#pause !== undefined || this.#isClosed) return;
    this.#server.close();
    this.#pause = setTimeout(() => this.#goOn(milliseconds), milliseconds);
  }

  /** No new connections from here on. */
  close(): void {
    // Another daemon's socket may stand there by now, if somebody has removed ours.
    if (inodeOf(this.path) === this.#inode) unlinkSync(this.path);
    this.#stop();
  }

  #goOn(milliseconds: number): void {
    this.#pause = undefined;
    this.#server = this.#createServer();
    this.#server.on('error', (error) => this.#user.failed(codeOf(error)));
    // Without a descriptor to be had, a little later.
    if (!this.#listen('')) this.#pause = setTimeout(() => this.#goOn(milliseconds), milliseconds);
  }

  #createServer(): Server {
    const accept = (socket: Socket): void => this.#user.accept(socket, this);
    return createServer({ allowHalfOpen: true, highWaterMark: SOCKET_BUFFER_BYTES }, accept);
  }

  /** At the path, or on one more descriptor of what listens there; false where there is none. */
  #listen(path: string): boolean {
    const backlog = CONNECTIONS_WAITING;
    if (this.#lasting === undefined) {
      privately(() => this.#server.listen({ path, backlog }));
      return true;
    }
    const fd = this.#lasting.duplicate();
    if (fd < 0) return false;
    this.#server.listen({ fd, backlog });
    return true;
  }

  #stop(): void {
    this.#isClosed = true;
    clearTimeout(this.#pause);
    this.#server.close();
    this.#lasting?.close();
  }
}

export interface ListenSocketUser {
  readonly accept: (socket: Socket, from: ListenSocket) => void;
  /** By the system's code, why it did not hand a connection over. */
  readonly failed: (code: string) => void;
}

const CONNECTIONS_WAITING = 1_024;
/** Somebody may be faster each time; but not for long. */
const ATTEMPTS_MAX = 10;

function listening(server: Server, path: string, listen: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(bindError(path, codeOf(error))));
    server.once('listening', () => {
      server.removeAllListeners('error');
      resolve();
    });
    if (!listen()) reject(bindError(path, 'EMFILE'));
  });
}

/** The mode of a socket is fixed while it is bound, which is done when `work` returns. */
function privately<T>(work: () => T): T {
  const umask = process.umask(0o077);
  try {
    return work();
  } finally {
    process.umask(umask);
  }
}

async function take(path: string, hidden: string): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (link(hidden, path)) return;
    const found = inodeOf(path);
    if (found === undefined) continue;
    if (!lstatSync(path).isSocket()) throw inTheWay(path);
    if (await isAnswered(path)) break;
    // Nobody listens there any more. Only what has been asked is removed, not what another daemon has put there since.
    if (inodeOf(path) === found) unlinkSync(path);
  }
  throw new WarrenError(
    'ERR_WARREN_ALREADY_RUNNING',
    `a daemon is running at ${JSON.stringify(path)}`,
    'Use it, stop it with: warren down, or set WARREN_SOCKET to another directory.',
  );
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw bindError(to, codeOf(error));
  }
}

/** A socket whose process is gone refuses; anything else is a sign of life. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      const code = codeOf(error);
      resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT');
    });
  });
}

function inodeOf(path: string): string | undefined {
  const status = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  return status === undefined ? undefined : `${status.dev}:${status.ino}`;
}

function inTheWay(path: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_SOCKET_UNSAFE',
    `${JSON.stringify(path)} is no socket`,
    'Remove it, or set WARREN_SOCKET to another directory.',
  );
}

function bindError(path: string, code: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_SOCKET',
    `cannot listen at ${JSON.stringify(path)}: ${code}`,
    'Set WARREN_SOCKET to a directory of your own, on a local file system.',
  );
}
