import { randomBytes } from 'node:crypto';
import * as nodeFs from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { assert } from '../base/assert.ts';
import { toHex } from '../base/bytes.ts';
import { WarrenError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import type { CryptoBackend, ScryptCost } from '../crypto/backend.ts';
import type { Identity } from '../crypto/identity.ts';
import { createIdentity, wipeIdentity } from '../crypto/identity.ts';
import type { KeyFileError } from '../crypto/sealed-identity.ts';
import {
  decodeKeyFile,
  describeKeyFileError,
  encodeClearKeyFile,
  encodeSealedKeyFile,
  isKeyFileError,
  KEY_FILE_BYTES_MAX,
  openKeyFile,
} from '../crypto/sealed-identity.ts';
import type { Secret } from '../crypto/secret.ts';
import { makeDirectories } from '../ipc/make-directories.ts';
import { errnoOf, fileError, quietly, shellWord } from './file-errors.ts';

/**
 * The key file on disk. Whatever happens, at its path stands either nothing or one whole file: content is written to a temporary
 * file beside it, made durable, and only then given its name. A new file is named with link(2), which never replaces another; a
 * changed one with rename(2), which replaces it in one step. A crash leaves at most a temporary file, as private as the real one,
 * which a later run removes.
 *
 * Only its owner may have any access to it, or write access to its directory, and that is checked on the open descriptor before a
 * byte is read. Everything here blocks: it happens once, before there is anything to hold up.
 */

/** The file system as this file needs it; tests hand in one that fails. */
export interface KeyFileFs {
  open(path: string, flags: number, mode?: number): number;
  close(fd: number): void;
  read(fd: number, into: Uint8Array, offset: number, length: number): number;
  write(fd: number, from: Uint8Array, offset: number, length: number): number;
  fsync(fd: number): void;
  fstat(fd: number): FileStatus;
  fchmod(fd: number, mode: number): void;
  lstat(path: string): FileStatus;
  link(existing: string, path: string): void;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  list(directory: string): readonly string[];
  /** Makes missing parents too and gives the first directory it made, or `undefined` where all were there. */
  makeDirectory(path: string, mode: number): string | undefined;
  effectiveUser(): number;
  wallMs(): number;
}

export type FileStatus = Pick<nodeFs.Stats, 'dev' | 'ino' | 'uid' | 'mode' | 'mtimeMs' | 'isFile'>;

export const REAL_FS: KeyFileFs = {
  open: (path, flags, mode) => nodeFs.openSync(path, flags, mode),
  close: (fd) => nodeFs.closeSync(fd),
  read: (fd, into, offset, length) => nodeFs.readSync(fd, into, offset, length, null),
  write: (fd, from, offset, length) => nodeFs.writeSync(fd, from, offset, length),
  fsync: (fd) => nodeFs.fsyncSync(fd),
  fstat: (fd) => nodeFs.fstatSync(fd),
  fchmod: (fd, mode) => nodeFs.fchmodSync(fd, mode),
  lstat: (path) => nodeFs.lstatSync(path),
  link: (existing, path) => nodeFs.linkSync(existing, path),
  rename: (from, to) => nodeFs.renameSync(from, to),
  unlink: (path) => nodeFs.unlinkSync(path),
  list: (directory) => nodeFs.readdirSync(directory),
  makeDirectory: (path, mode) => makeDirectories(path, mode),
  effectiveUser: () => process.geteuid!(),
  wallMs: () => Date.now(),
};

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = nodeFs.constants;

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const OTHERS_ANY = 0o077;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
/** Writing one takes milliseconds: an older temporary belongs to a process that is gone. */
const TEMPORARY_AGE_MAX_MS = 60_000;

/** Writes a new key file, and the directory where it is missing. An existing file is never touched. */
export function createKeyFile(path: string, content: Uint8Array, fs: KeyFileFs = REAL_FS): void {
  const place = placeOf(path);
  const created = makeDirectory(fs, place.directory);
  const directory = openDirectory(fs, place, created);
  try {
    removeStaleTemporaries(fs, place);
    const temporary = writeTemporary(fs, place, content);
    try {
      fs.link(temporary, place.path);
    } catch (error) {
      quietly(() => fs.unlink(temporary));
      throw linkError(place, error);
    }
    quietly(() => fs.unlink(temporary));
    syncDirectory(fs, place.path, directory);
  } finally {
    quietly(() => fs.close(directory));
  }
}

/** Puts other content in the place of an existing key file, for a new passphrase or another address counter. */
export function replaceKeyFile(path: string, content: Uint8Array, fs: KeyFileFs = REAL_FS): void {
  const place = placeOf(path);
  const directory = openDirectory(fs, place, false);
  try {
    const existing = openChecked(fs, place);
    quietly(() => fs.close(existing));
    removeStaleTemporaries(fs, place);
    const temporary = writeTemporary(fs, place, content);
    try {
      fs.rename(temporary, place.path);
    } catch (error) {
      quietly(() => fs.unlink(temporary));
      throw fileError('replace', place.path, error);
    }
    syncDirectory(fs, place.path, directory);
  } finally {
    quietly(() => fs.close(directory));
  }
}

/** The content of a key file that nobody else could have read or written. The caller wipes it after use. */
export function readKeyFile(path: string, fs: KeyFileFs = REAL_FS): Uint8Array {
  const place = placeOf(path);
  const directory = openDirectory(fs, place, false);
  quietly(() => fs.close(directory));
  const fd = openChecked(fs, place);
  try {
    return readAll(fs, place, fd);
  } finally {
    quietly(() => fs.close(fd));
  }
}

export interface IdentityOptions {
  readonly backend: CryptoBackend;
  readonly rng: Rng;
  readonly network: number;
  /** Seals a new file, opens a sealed one. */
  readonly passphrase?: Secret | undefined;
  /** For a new file; what scrypt costs by default where it is left out. */
  readonly cost?: ScryptCost | undefined;
  readonly fs?: KeyFileFs | undefined;
}

/** The identity of a key file; a new one, written there, where there is none. Of two at once both get the one that was first. */
export function loadOrCreateIdentity(
  path: string,
  options: IdentityOptions,
): { readonly identity: Identity; readonly created: boolean } {
  const fs = options.fs ?? REAL_FS;
  assert(options.passphrase?.expose().length !== 0, 'where there is nothing to seal with there is no passphrase');
  quietly(() => removeStaleTemporaries(fs, placeOf(path)));
  const existing = loadIdentity(path, options, fs);
  if (existing !== undefined) return { identity: existing, created: false };

  const identity = createIdentity(options.backend, options.rng, options.network);
  const content = encodeIdentity(identity, options);
  try {
    createKeyFile(path, content, fs);
    return { identity, created: true };
  } catch (error) {
    wipeIdentity(identity);
    if (!(error instanceof WarrenError) || error.code !== 'ERR_WARREN_KEY_FILE_EXISTS') throw error;
  } finally {
    content.fill(0);
  }
  const winner = loadIdentity(path, options, fs);
  if (winner !== undefined) return { identity: winner, created: false };
  throw missing(path);
}

function encodeIdentity(identity: Identity, options: IdentityOptions): Uint8Array {
  const { backend, rng, passphrase, cost } = options;
  return passphrase === undefined
    ? encodeClearKeyFile(identity)
    : encodeSealedKeyFile(backend, rng, identity, passphrase, cost);
}

function loadIdentity(path: string, options: IdentityOptions, fs: KeyFileFs): Identity | undefined {
  const bytes = unlessMissing(() => readKeyFile(path, fs));
  if (bytes === undefined) return undefined;
  const file = decodeKeyFile(bytes);
  bytes.fill(0);
  if (isKeyFileError(file)) throw contentError(path, file);
  const identity = openKeyFile(options.backend, file, options.passphrase);
  if (isKeyFileError(identity)) throw contentError(path, identity);
  const { network } = identity.address;
  if (network === options.network) return identity;
  wipeIdentity(identity);
  throw new WarrenError(
    'ERR_WARREN_KEY_FILE_NETWORK',
    `the key file ${shellWord(path)} belongs to network ${network}, not to network ${options.network}`,
    'use another state directory for another network',
  );
}

interface Place {
  readonly path: string;
  readonly directory: string;
  readonly name: string;
}

function placeOf(path: string): Place {
  if (path.includes('\0')) {
    throw new WarrenError('ERR_WARREN_ARGUMENT', 'the path of the key file holds a zero byte', 'use another path');
  }
  const absolute = resolve(path);
  return { path: absolute, directory: dirname(absolute), name: basename(absolute) };
}

/** Says whether it made the directory; what it made is durable. */
function makeDirectory(fs: KeyFileFs, directory: string): boolean {
  let first: string | undefined;
  try {
    first = fs.makeDirectory(directory, DIRECTORY_MODE);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EEXIST' || errno === 'ENOTDIR') throw notADirectory(directory);
    throw fileError('make the directory of', directory, error);
  }
  if (first === undefined) return false;
  for (let at = directory; at !== dirname(first); at = dirname(at)) {
    syncParent(fs, dirname(at));
    if (at === dirname(at)) break;
  }
  return true;
}

function syncParent(fs: KeyFileFs, directory: string): void {
  let fd: number;
  try {
    fd = fs.open(directory, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    // A parent may let us make directories and not let us read it; then it cannot be synchronised.
    if (errnoOf(error) === 'EACCES') return;
    throw fileError('make durable', directory, error);
  }
  try {
    syncDirectory(fs, directory, fd);
  } finally {
    quietly(() => fs.close(fd));
  }
}

/** Whoever may write to the directory may put another file in the place of ours. */
function openDirectory(fs: KeyFileFs, place: Place, created: boolean): number {
  const { directory } = place;
  let fd: number;
  try {
    fd = fs.open(directory, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') throw missing(place.path);
    if (errno === 'ENOTDIR') throw notADirectory(directory);
    throw fileError('open the directory of', place.path, error);
  }
  try {
    // The umask may have taken bits away, never added any.
    if (created) fs.fchmod(fd, DIRECTORY_MODE);
    const status = fs.fstat(fd);
    if (status.uid !== fs.effectiveUser()) {
      throw new WarrenError(
        'ERR_WARREN_DIRECTORY_OWNER',
        `the directory ${shellWord(directory)} belongs to another user (uid ${status.uid})`,
        'keep the key file in a directory of your own, or run as that user',
      );
    }
    if ((status.mode & OTHERS_WRITE) !== 0) {
      throw new WarrenError(
        'ERR_WARREN_DIRECTORY_OPEN',
        `other users may write to the directory ${shellWord(directory)} (mode ${octal(status.mode)})`,
        // A sticky bit marks a directory that is meant to be shared, as /tmp is.
        (status.mode & STICKY) === 0 ? `chmod 700 ${shellWord(directory)}` : 'use a directory of your own inside it',
      );
    }
    return fd;
  } catch (error) {
    quietly(() => fs.close(fd));
    throw fileError('check the directory of', place.path, error);
  }
}

/** Opens an existing key file for reading, and refuses what is not a file that only we can have touched. */
function openChecked(fs: KeyFileFs, place: Place): number {
  const { path } = place;
  let fd: number;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for somebody to write.
    fd = fs.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') throw missing(path);
    if (errno === 'ELOOP') throw notAFile(path, 'is a symbolic link');
    // What open(2) says of a Unix socket.
    if (errno === 'ENXIO') throw notAFile(path, 'is not a regular file');
    throw fileError('open', path, error);
  }
  try {
    const status = fs.fstat(fd);
    if (!status.isFile()) throw notAFile(path, 'is not a regular file');
    if (status.uid !== fs.effectiveUser()) {
      throw new WarrenError(
        'ERR_WARREN_KEY_FILE_OWNER',
        `the key file ${shellWord(path)} belongs to another user (uid ${status.uid})`,
        'run as that user, or use another state directory',
      );
    }
    if ((status.mode & OTHERS_ANY) !== 0) {
      throw new WarrenError(
        'ERR_WARREN_KEY_FILE_PERMISSIONS',
        `other users have access to the key file ${shellWord(path)} (mode ${octal(status.mode)})`,
        `chmod 600 ${shellWord(path)}; if somebody may have read it, make a new identity`,
      );
    }
    return fd;
  } catch (error) {
    quietly(() => fs.close(fd));
    throw fileError('check', path, error);
  }
}

function readAll(fs: KeyFileFs, place: Place, fd: number): Uint8Array {
  const buffer = new Uint8Array(KEY_FILE_BYTES_MAX + 1);
  let length = 0;
  try {
    while (length < buffer.length) {
      const count = fs.read(fd, buffer, length, buffer.length - length);
      if (count === 0) return buffer.slice(0, length);
      length += count;
    }
  } catch (error) {
    throw fileError('read', place.path, error);
  } finally {
    buffer.fill(0);
  }
  throw new WarrenError(
    'ERR_WARREN_FILE_TOO_LARGE',
    `${shellWord(place.path)} is larger than ${KEY_FILE_BYTES_MAX} bytes, so it is not a key file`,
    'name the key file itself',
  );
}

/** Durable and private when this returns its path; gone again where it throws. */
function writeTemporary(fs: KeyFileFs, place: Place, content: Uint8Array): string {
  const temporary = join(place.directory, `.${place.name}.${toHex(randomBytes(8))}.tmp`);
  let fd: number;
  try {
    fd = fs.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
  } catch (error) {
    throw fileError('write', place.path, error);
  }
  let open = true;
  try {
    // The umask may have taken our own bits away. What remains is checked: some file systems keep no modes.
    fs.fchmod(fd, FILE_MODE);
    const status = fs.fstat(fd);
    if ((status.mode & 0o777) !== FILE_MODE || status.uid !== fs.effectiveUser()) throw notPrivate(place);
    for (let offset = 0; offset < content.length; ) {
      const count = fs.write(fd, content, offset, content.length - offset);
      // Nothing taken and nothing wrong: trying for ever would hang the start.
      if (count === 0) throw Object.assign(new Error('short write'), { code: 'EIO', syscall: 'write' });
      offset += count;
    }
    fs.fsync(fd);
    open = false;
    fs.close(fd);
    return temporary;
  } catch (error) {
    if (open) quietly(() => fs.close(fd));
    quietly(() => fs.unlink(temporary));
    throw fileError('write', place.path, error);
  }
}

function syncDirectory(fs: KeyFileFs, path: string, directory: number): void {
  try {
    fs.fsync(directory);
  } catch (error) {
    const errno = errnoOf(error);
    // Some file systems cannot synchronise a directory, and have nothing to synchronise.
    if (errno === 'EINVAL' || errno === 'ENOTSUP' || errno === 'EOPNOTSUPP') return;
    throw fileError('make durable', path, error);
  }
}

/** What a crash left behind: too old to be in the making, or a second name of the key file itself. */
function removeStaleTemporaries(fs: KeyFileFs, place: Place): void {
  const prefix = `.${place.name}.`;
  const names = attempt(() => fs.list(place.directory)) ?? [];
  const final = attempt(() => fs.lstat(place.path));
  for (const name of names) {
    if (!name.startsWith(prefix) || !/^[0-9a-f]{16}\.tmp$/.test(name.slice(prefix.length))) continue;
    const path = join(place.directory, name);
    const status = attempt(() => fs.lstat(path));
    if (status === undefined || !status.isFile()) continue;
    const isKeyFile = final !== undefined && final.dev === status.dev && final.ino === status.ino;
    if (isKeyFile || fs.wallMs() - status.mtimeMs > TEMPORARY_AGE_MAX_MS) quietly(() => fs.unlink(path));
  }
}

function contentError(path: string, error: KeyFileError): WarrenError {
  const message = `the key file ${shellWord(path)} cannot be used. ${describeKeyFileError(error)}`;
  switch (error.reason) {
    case 'passphrase-needed':
      return new WarrenError(
        'ERR_WARREN_KEY_FILE_SEALED',
        message,
        'give its passphrase: warren up --passphrase-file FILE, or createNode({ state, passphrase })',
      );
    case 'passphrase-wrong':
      return new WarrenError(
        'ERR_WARREN_KEY_FILE_PASSPHRASE',
        message,
        'try the passphrase again, or restore a backup',
      );
    case 'not-sealed':
      return new WarrenError('ERR_WARREN_KEY_FILE_NOT_SEALED', message, 'start without a passphrase');
    case 'unknown-version':
      return new WarrenError(
        'ERR_WARREN_KEY_FILE_VERSION',
        message,
        'use the version of warren that wrote it, or newer',
      );
    default:
      return new WarrenError('ERR_WARREN_KEY_FILE_DAMAGED', message, 'restore it from a backup, or move it away');
  }
}

function missing(path: string): WarrenError {
  return new WarrenError('ERR_WARREN_FILE_MISSING', `there is no key file ${shellWord(path)}`, 'start the daemon once');
}

function notAFile(path: string, why: string): WarrenError {
  return new WarrenError('ERR_WARREN_NOT_A_FILE', `${shellWord(path)} ${why}`, 'put the key file itself there');
}

function notADirectory(directory: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_NOT_A_DIRECTORY',
    `${shellWord(directory)} is not a directory`,
    'use another state directory',
  );
}

function notPrivate(place: Place): WarrenError {
  return new WarrenError(
    'ERR_WARREN_KEY_FILE_NOT_PRIVATE',
    `the file system of ${shellWord(place.directory)} does not keep files private`,
    'use a state directory on a file system with Unix permissions',
  );
}

function linkError(place: Place, error: unknown): unknown {
  switch (errnoOf(error)) {
    case 'EEXIST':
      return new WarrenError(
        'ERR_WARREN_KEY_FILE_EXISTS',
        `the key file ${shellWord(place.path)} exists and was left as it is`,
        'move it away to make a new identity',
      );
    case 'EPERM':
    case 'ENOTSUP':
    case 'EOPNOTSUPP':
    case 'ENOSYS':
      return new WarrenError(
        'ERR_WARREN_NO_LINKS',
        `the file system of ${shellWord(place.directory)} has no hard links, so a key file cannot be written safely`,
        'use a state directory on a local file system',
      );
    default:
      return fileError('write', place.path, error);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof WarrenError && error.code === 'ERR_WARREN_FILE_MISSING';
}

/** For questions that an answer only helps with. */
function attempt<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}

function unlessMissing<T>(step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
