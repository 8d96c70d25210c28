import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../base/assert.ts';
import { concat, toHex } from '../base/bytes.ts';
import { WarrenError } from '../base/errors.ts';
import { errnoOf, fileError, quietly, shellWord } from './file-errors.ts';
import { type KeyFileFs, REAL_FS } from './key-file.ts';

/**
 * A small file of the state directory that is read at the start and replaced as a whole: written beside, made durable, and given
 * its name in one step. Whatever fails or is killed on the way, the old content stands until the new one does.
 *
 * For whoever holds the directory's lock, and only while they do: two daemons that both believe the directory is theirs must not
 * overwrite each other.
 */
export class StateFile {
  readonly #directory: string;
  readonly #name: string;
  readonly #path: string;
  readonly #options: StateFileOptions;
  readonly #fs: StateFileFs;

  constructor(directory: string, name: string, options: StateFileOptions) {
    this.#directory = directory;
    this.#name = name;
    this.#path = join(directory, name);
    this.#options = options;
    this.#fs = options.fs ?? REAL_FS;
  }

  /** `undefined` where nothing was ever saved. Takes what crashes have left away. */
  load(): Uint8Array | undefined {
    const fs = this.#fs;
    this.#removeTemporaries();
    let fd: number;
    try {
      // Without O_NONBLOCK, opening a named pipe would wait for somebody to write.
      fd = fs.open(this.#path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'ENOENT') return undefined;
      if (errno === 'ELOOP' || errno === 'ENXIO') throw this.#notAFile();
      throw fileError('open', this.#path, error);
    }
    try {
      if (!fs.fstat(fd).isFile()) throw this.#notAFile();
      return this.#read(fd);
    } catch (error) {
      throw fileError('read', this.#path, error);
    } finally {
      quietly(() => fs.close(fd));
    }
  }

  /** Durable when it returns. Where it throws, the file is as it was; only an error in the very last step leaves that open. */
  save(content: Uint8Array): void {
    const fs = this.#fs;
    assert(content.length <= this.#options.bytesMax, 'what is saved is bounded where it grows');
    if (!this.#options.isHeld()) {
      throw new WarrenError(
        'ERR_WARREN_LOCK_LOST',
        `the lock of ${shellWord(this.#directory)} is gone or another's, so ${shellWord(this.#path)} was left as it is`,
        'stop this daemon; another one may be at work in that directory',
      );
    }
    try {
      const temporary = this.#writeTemporary(content);
      try {
        fs.rename(temporary, this.#path);
      } catch (error) {
        quietly(() => fs.unlink(temporary));
        throw error;
      }
      this.#syncDirectory();
    } catch (error) {
      throw fileError('write', this.#path, error);
    }
  }

  #writeTemporary(content: Uint8Array): string {
    const fs = this.#fs;
    const temporary = join(this.#directory, `.${this.#name}.${toHex(randomBytes(8))}.tmp`);
    const fd = fs.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
    let isOpen = true;
    try {
      for (let offset = 0; offset < content.length; ) {
        const count = fs.write(fd, content, offset, content.length - offset);
        // Nothing taken and nothing wrong: trying for ever would hang the daemon.
        if (count === 0) throw Object.assign(new Error('short write'), { code: 'EIO', syscall: 'write' });
        offset += count;
      }
      fs.fsync(fd);
      isOpen = false;
      // Some file systems tell only now that the disk was full.
      fs.close(fd);
      return temporary;
    } catch (error) {
      if (isOpen) quietly(() => fs.close(fd));
      quietly(() => fs.unlink(temporary));
      throw error;
    }
  }

  #syncDirectory(): void {
    const fs = this.#fs;
    const fd = fs.open(this.#directory, O_RDONLY | O_DIRECTORY);
    try {
      fs.fsync(fd);
    } catch (error) {
      const errno = errnoOf(error);
      // Some file systems cannot synchronise a directory, and have nothing to synchronise.
      if (errno !== 'EINVAL' && errno !== 'ENOTSUP' && errno !== 'EOPNOTSUPP') throw error;
    } finally {
      quietly(() => fs.close(fd));
    }
  }

  #read(fd: number): Uint8Array {
    const chunks: Uint8Array[] = [];
    for (let length = 0; length <= this.#options.bytesMax; ) {
      const chunk = new Uint8Array(READ_BYTES);
      const count = this.#fs.read(fd, chunk, 0, chunk.length);
      if (count === 0) return concat(...chunks);
      chunks.push(chunk.subarray(0, count));
      length += count;
    }
    throw new WarrenError(
      'ERR_WARREN_FILE_TOO_LARGE',
      `${shellWord(this.#path)} is larger than ${this.#options.bytesMax} bytes, so it is not what warren wrote`,
      'restore it from a backup, or move it away',
    );
  }

  /** Nobody else writes here while we hold the lock, so none of them is in the making. */
  #removeTemporaries(): void {
    quietly(() => {
      const prefix = `.${this.#name}.`;
      for (const name of this.#fs.list(this.#directory)) {
        if (!name.startsWith(prefix) || !/^[0-9a-f]{16}\.tmp$/.test(name.slice(prefix.length))) continue;
        quietly(() => this.#fs.unlink(join(this.#directory, name)));
      }
    });
  }

  #notAFile(): WarrenError {
    return new WarrenError(
      'ERR_WARREN_NOT_A_FILE',
      `${shellWord(this.#path)} is not a regular file`,
      'move it away, and restore what stood there',
    );
  }
}

export type StateFileFs = Pick<
  KeyFileFs,
  'open' | 'close' | 'read' | 'write' | 'fsync' | 'fstat' | 'rename' | 'unlink' | 'list'
>;

export interface StateFileOptions {
  readonly bytesMax: number;
  /** Asked before each write. */
  readonly isHeld: () => boolean;
  /** For tests, which need a file system that fails. */
  readonly fs?: StateFileFs | undefined;
}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

const FILE_MODE = 0o600;
const READ_BYTES: number = 64 * 1024;
