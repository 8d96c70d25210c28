import { lstatSync, realpathSync, type Stats } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { WarrenError } from '../base/errors.ts';
import { codeOf, fileTrouble } from './file-trouble.ts';
import { makeDirectories } from './make-directories.ts';

/**
 * Where the local sockets are, and whether nobody else could have put them there. A Unix socket authenticates nobody, so the
 * directory around it has to: it is ours, no symbolic link, and closed to all others. That is looked at before binding and before
 * connecting, because either would otherwise trust whoever got there first.
 */

export const APP_SOCKET = 'app.sock';
export const ADMIN_SOCKET = 'admin.sock';

/** `sun_path` has 104 bytes on some systems and 108 on others; what is longer is silently cut and names another file. */
export const SOCKET_PATH_BYTES_MAX = 100;

const DIRECTORY_MODE = 0o700;
const ACCESS_BITS = 0o777;
const WRITABLE_BY_ALL = 0o002;
const STICKY = 0o1000;

/** The file system as these checks see it; tests hand in others. */
export interface SocketFs {
  lstat(path: string): SocketFileStatus | undefined;
  realpath(path: string): string;
  makeDirectory(path: string, mode: number): void;
  effectiveUser(): number;
}

export type SocketFileStatus = Pick<
  Stats,
  'dev' | 'ino' | 'uid' | 'mode' | 'isDirectory' | 'isSocket' | 'isSymbolicLink'
>;

export const SOCKET_FS: SocketFs = {
  lstat: (path) => lstatSync(path, { throwIfNoEntry: false }),
  realpath: (path) => realpathSync(path),
  makeDirectory: (path, mode) => {
    makeDirectories(path, mode);
  },
  effectiveUser: () => process.geteuid!(),
};

export interface SocketPaths {
  readonly directory: string;
  readonly app: string;
  readonly admin: string;
}

/** What tells where to look: the environment, or the like of it. */
export interface SocketEnvironment {
  readonly WARREN_SOCKET?: string | undefined;
  readonly XDG_RUNTIME_DIR?: string | undefined;
}

/** The directory for a daemon's sockets, which need not exist. `WARREN_SOCKET` may name one socket: then it is its directory. */
export function socketPaths(environment: SocketEnvironment, home: string = homedir()): SocketPaths {
  const { WARREN_SOCKET: given, XDG_RUNTIME_DIR: runtime } = environment;
  if (given !== undefined && given !== '') return pathsIn(namesSocket(given) ? dirname(resolve(given)) : given);
  if (runtime !== undefined && runtime !== '') return pathsIn(join(runtime, 'warren'));
  return pathsIn(join(home, '.warren', 'run'));
}

/**
 * The socket that a program connects to. Where `WARREN_SOCKET` names one socket it is that one, whatever is asked of it: whoever was
 * handed `app.sock` is not to look for the other beside it, and is told by the daemon what it does not do.
 */
export function socketToUse(environment: SocketEnvironment, which: 'app' | 'admin', home: string = homedir()): string {
  const { WARREN_SOCKET: given } = environment;
  const paths = socketPaths(environment, home);
  return given !== undefined && namesSocket(given) ? resolve(given) : paths[which];
}

/** Sockets may be named before they exist, so it is the name that tells. */
function namesSocket(path: string): boolean {
  return basename(path).endsWith('.sock');
}

function pathsIn(path: string): SocketPaths {
  const directory = resolve(path);
  const paths = { directory, app: join(directory, APP_SOCKET), admin: join(directory, ADMIN_SOCKET) };
  // The longest name that is ever bound there.
  if (path.includes('\0') || Buffer.byteLength(paths.admin) > SOCKET_PATH_BYTES_MAX) {
    throw new WarrenError(
      'ERR_WARREN_SOCKET_PATH',
      `the path ${quote(paths.admin)} is no path for a socket: it has more than ${SOCKET_PATH_BYTES_MAX} bytes, or a zero byte`,
      'Set WARREN_SOCKET to a directory with a shorter name.',
    );
  }
  return paths;
}

/** Makes the directory where it is missing, and checks it in any case. */
export function prepareSocketDirectory(directory: string, fs: SocketFs = SOCKET_FS): void {
  try {
    if (fs.lstat(directory) === undefined) fs.makeDirectory(directory, DIRECTORY_MODE);
  } catch (error) {
    const { code, what } = fileTrouble(codeOf(error));
    throw new WarrenError(
      code,
      `cannot make the directory ${quote(directory)}: ${what}`,
      'Set WARREN_SOCKET to a directory that you may write to.',
    );
  }
  checkSocketDirectory(directory, fs);
}

/** Throws unless only we can have put there what is in it. */
export function checkSocketDirectory(directory: string, fs: SocketFs = SOCKET_FS): void {
  checkOwnDirectory(directory, fs);
  checkParents(directory, fs);
}

/** The same at this moment: whether others may put another in its place is not asked. */
export function checkOwnDirectory(directory: string, fs: SocketFs): void {
  const status = lstat(directory, fs);
  if (status === undefined) throw notRunning(directory);
  if (status.isSymbolicLink()) throw unsafe(directory, 'is a symbolic link', 'Name the directory itself.');
  if (!status.isDirectory()) throw unsafe(directory, 'is no directory', 'Name a directory.');
  if (status.uid !== fs.effectiveUser()) {
    throw unsafe(directory, 'belongs to another user', 'Run this as the user whose daemon it is.');
  }
  if ((status.mode & ACCESS_BITS) !== DIRECTORY_MODE) {
    const mode = (status.mode & ACCESS_BITS).toString(8);
    throw unsafe(directory, `has mode ${mode}`, `Give it to yourself alone: chmod 700 ${quote(directory)}`);
  }
}

/**
 * Where all may write, and may also rename what is not theirs, another directory can take the place of ours at any time. What a group
 * may write to, or another owns, is left to whoever chose it: SECURITY.md says why.
 */
function checkParents(directory: string, fs: SocketFs): void {
  for (let at = dirname(fs.realpath(directory)); ; at = dirname(at)) {
    const status = fs.lstat(at);
    if (status !== undefined && (status.mode & WRITABLE_BY_ALL) !== 0 && (status.mode & STICKY) === 0) {
      throw unsafe(at, 'is open to everybody', 'Choose a directory that is not below one that everybody may write to.');
    }
    if (at === dirname(at)) return;
  }
}

/** Throws unless there is a socket of ours at the path, in a directory that is. */
export function checkSocket(path: string, fs: SocketFs = SOCKET_FS): void {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) pathsIn(path);
  checkSocketDirectory(dirname(path), fs);
  const status = lstat(path, fs);
  if (status === undefined) throw notRunning(path);
  if (!status.isSocket()) throw unsafe(path, 'is no socket', 'Remove it, and start the daemon again.');
  if (status.uid !== fs.effectiveUser()) {
    throw unsafe(path, 'belongs to another user', 'Run this as the user whose daemon it is.');
  }
}

export function notRunning(path: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_DAEMON_NOT_RUNNING',
    `no daemon answers at ${quote(path)}`,
    'start one with: warren up',
  );
}

/** `undefined` where there is nothing; a directory that we may not enter says so. */
function lstat(path: string, fs: SocketFs): SocketFileStatus | undefined {
  try {
    return fs.lstat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOTDIR') return undefined;
    throw accessError(path, codeOf(error));
  }
}

export function accessError(path: string, errno: string): WarrenError {
  const { code, what } = fileTrouble(errno);
  return new WarrenError(code, `cannot get to ${quote(path)}: ${what}`, 'Run this as the user whose daemon it is.');
}

function unsafe(path: string, what: string, hint: string): WarrenError {
  return new WarrenError('ERR_WARREN_SOCKET_UNSAFE', `${quote(path)} ${what}`, hint);
}

/** A path comes from the environment and ends up in terminals and logs. */
function quote(path: string): string {
  return JSON.stringify(path);
}
