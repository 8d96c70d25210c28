import { randomBytes } from 'node:crypto';
import * as nodeFs from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../base/bytes.ts';
import { WarrenError } from '../base/errors.ts';
import { errnoOf, fileError, quietly, shellWord } from './file-errors.ts';
import { isAlive, ownMark, type ProcessMark } from './process-mark.ts';

/**
 * One process at a time in a directory. Node has no flock(2), so the lock is a file that says whose it is, written whole before
 * link(2) gives it its name; link never replaces, so of two at once one is first.
 *
 * A process that is killed leaves its lock behind. Whoever finds it *stale* may replace it, but a replacement cannot say "only if
 * it is still that one": between looking and replacing, somebody quicker may have put a live lock there. So the right to replace
 * is itself a lock, the *guard*, and its name holds the nonce of the stale lock: `lock.NONCE`. A nonce never comes back. Who
 * holds the guard looks again: while the stale lock is there nobody else can have the guard, so it stays until they replace it;
 * and when it is gone, somebody has been quicker. A guard whose owner was killed is stale itself, and replaced in the same way,
 * under the guard `lock.NONCE.NONCE`.
 */
export class DirectoryLock {
  readonly directory: string;
  readonly #path: string;
  /** Open for as long as we hold it: while it is, no other file can get its inode number. */
  readonly #fd: number;
  #isReleased = false;

  private constructor(directory: string, fd: number) {
    this.directory = directory;
    this.#path = join(directory, LOCK_NAME);
    this.#fd = fd;
  }

  /** Rejects with an `AlreadyRunningError` where another process, or this one, holds it. `what` names the directory to people. */
  static async acquire(directory: string, what: string): Promise<DirectoryLock> {
    try {
      const claim = new Claim(directory, what);
      try {
        await claim.takeLock();
      } catch (error) {
        nodeFs.closeSync(claim.fd);
        throw error;
      } finally {
        quietly(() => nodeFs.unlinkSync(claim.path));
      }
      const lock = new DirectoryLock(directory, claim.fd);
      claim.sweep();
      return lock;
    } catch (error) {
      throw fileError(`lock the ${what}`, directory, error);
    }
  }

  /**
   * Whether the lock is still there and ours. It cannot be stolen from a live process; but somebody may have removed it, or the
   * whole directory, and then another daemon may be at work in it.
   */
  isHeld(): boolean {
    if (this.#isReleased) return false;
    try {
      const there = nodeFs.lstatSync(this.#path, { bigint: true });
      const ours = nodeFs.fstatSync(this.#fd, { bigint: true });
      return there.ino === ours.ino && there.dev === ours.dev;
    } catch {
      return false;
    }
  }

  /** Once is enough; what is not ours any more is left alone. */
  release(): void {
    if (this.#isReleased) return;
    quietly(() => {
      if (this.isHeld()) nodeFs.unlinkSync(this.#path);
    });
    this.#isReleased = true;
    quietly(() => nodeFs.closeSync(this.#fd));
  }
}

export class AlreadyRunningError extends WarrenError {
  readonly pid: number;

  constructor(directory: string, what: string, pid: number) {
    super(
      'ERR_WARREN_ALREADY_RUNNING',
      `a daemon is at work in the ${what} ${shellWord(directory)} already (pid ${pid})`,
      // Where its sockets are is not to be known from here.
      `warren status asks it and warren down ends it, given the --socket it was started with (or kill ${pid}); a second daemon needs its own --state and --socket`,
    );
    this.pid = pid;
  }
}

export const LOCK_NAME = 'lock';
const NONCE_BYTES = 12;
/** How long somebody else may take to replace a stale lock: three calls of the file system. */
const WAIT_MS_MAX = 5_000;
const WAIT_STEP_MS = 10;
/** Each level needs a process to be killed within those three calls. */
const GUARDS_MAX = 8;
const CLAIM = /^\.lock\.[0-9a-f]{24}\.\d\.tmp$/;
const GUARD = /^lock(\.[0-9a-f]{24}|\.\d+-\d+)+$/;
/** A claim lives as long as a start takes: an older one belongs to a process that is gone. */
const CLAIM_AGE_MAX_MS = 60_000;
const LOCK_BYTES_MAX = 1_024;
const PID_MAX: number = 2 ** 31 - 1;

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = nodeFs.constants;

/** What stands at a lock's path. */
interface Standing {
  /** Never that of another lock. */
  readonly nonce: string;
  readonly owner: ProcessMark;
  readonly isStale: boolean;
}

/** Our own lock file before it has its name, and the way to it. */
class Claim {
  readonly path: string;
  readonly fd: number;
  readonly #directory: string;
  readonly #what: string;
  readonly #nonce: string = toHex(randomBytes(NONCE_BYTES));
  readonly #waitUntil: number = performance.now() + WAIT_MS_MAX;

  constructor(directory: string, what: string) {
    this.#directory = directory;
    this.#what = what;
    this.path = this.#nameFor(0);
    this.fd = nodeFs.openSync(this.path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      nodeFs.writeSync(this.fd, `${JSON.stringify({ ...ownMark(), nonce: this.#nonce })}\n`);
      // A power cut must not leave a name without its content: nobody could tell whose it was.
      nodeFs.fsyncSync(this.fd);
    } catch (error) {
      quietly(() => nodeFs.unlinkSync(this.path));
      quietly(() => nodeFs.closeSync(this.fd));
      throw error;
    }
  }

  async takeLock(): Promise<void> {
    const path = join(this.#directory, LOCK_NAME);
    while (!this.#link(path)) {
      const standing = this.#read(path);
      if (standing === undefined) continue;
      if (!standing.isStale) throw new AlreadyRunningError(this.#directory, this.#what, standing.owner.pid);
      if (await this.#replace(path, standing, 1)) return;
    }
  }

  /** What crashes have left. We hold the lock, so a guard of another nonce can no longer let anybody replace it. */
  sweep(): void {
    quietly(() => {
      for (const name of nodeFs.readdirSync(this.#directory)) {
        const path = join(this.#directory, name);
        const isGuard = GUARD.test(name) && !name.startsWith(`${LOCK_NAME}.${this.#nonce}`);
        if (isGuard || (CLAIM.test(name) && isOld(path))) quietly(() => nodeFs.unlinkSync(path));
      }
    });
  }

  #nameFor(depth: number): string {
    return join(this.#directory, `.${LOCK_NAME}.${this.#nonce}.${depth}.tmp`);
  }

  /** Puts ours in the place of a stale lock or guard; `false` where somebody else has, or may be about to. */
  async #replace(path: string, stale: Standing, depth: number): Promise<boolean> {
    const guard = `${path}.${stale.nonce}`;
    if (!(await this.#takeGuard(guard, depth))) return false;
    try {
      if (this.#read(path)?.nonce !== stale.nonce) return false;
      // rename(2) does nothing where both names are of one file already, so it gets a name that nothing else has.
      const name = this.#nameFor(depth);
      nodeFs.linkSync(this.path, name);
      nodeFs.renameSync(name, path);
      return true;
    } finally {
      quietly(() => nodeFs.unlinkSync(guard));
    }
  }

  async #takeGuard(guard: string, depth: number): Promise<boolean> {
    if (this.#link(guard)) return true;
    const standing = this.#read(guard);
    if (standing === undefined) return false;
    if (standing.isStale && depth < GUARDS_MAX) return this.#replace(guard, standing, depth + 1);
    // A live process is about to replace what we wanted to. Soon there is a live lock.
    if (performance.now() > this.#waitUntil) {
      throw new AlreadyRunningError(this.#directory, this.#what, standing.owner.pid);
    }
    await sleep(WAIT_STEP_MS);
    return false;
  }

  #link(path: string): boolean {
    try {
      nodeFs.linkSync(this.path, path);
      return true;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'EEXIST') return false;
      if (errno === 'EPERM' || errno === 'ENOTSUP' || errno === 'EOPNOTSUPP' || errno === 'ENOSYS') {
        throw new WarrenError(
          'ERR_WARREN_NO_LINKS',
          `the file system of ${shellWord(this.#directory)} has no hard links, so the ${this.#what} cannot be locked`,
          'use a directory on a local file system',
        );
      }
      throw error;
    }
  }

  #read(path: string): Standing | undefined {
    let fd: number;
    try {
      fd = nodeFs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw this.#unreadable(path);
    }
    try {
      const status = nodeFs.fstatSync(fd);
      const bytes = new Uint8Array(LOCK_BYTES_MAX);
      const text = status.isFile() ? Buffer.from(bytes.subarray(0, nodeFs.readSync(fd, bytes))).toString('latin1') : '';
      const content = parse(text);
      if (content !== undefined) return { ...content, isStale: !isAlive(content.owner) };
      // No lock of ours is ever seen half written; but a power cut can take the content of one that fsync vouched for.
      if (!status.isFile() || status.mtimeMs > Date.now() - uptime() * 1_000) throw this.#unreadable(path);
      const nonce = `${status.ino}-${Math.floor(status.mtimeMs)}`;
      return { nonce, owner: { pid: 0, started: '', boot: '' }, isStale: true };
    } finally {
      quietly(() => nodeFs.closeSync(fd));
    }
  }

  #unreadable(path: string): WarrenError {
    return new WarrenError(
      'ERR_WARREN_LOCK_UNREADABLE',
      `the lock ${shellWord(path)} does not say whose it is`,
      `where no daemon runs in there: rm ${shellWord(path)}`,
    );
  }
}

function isOld(path: string): boolean {
  return Date.now() - nodeFs.lstatSync(path).mtimeMs > CLAIM_AGE_MAX_MS;
}

function parse(text: string): { readonly owner: ProcessMark; readonly nonce: string } | undefined {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof content !== 'object' || content === null) return undefined;
  const { pid, started, boot, nonce } = content as Record<string, unknown>;
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1 || pid > PID_MAX) return undefined;
  if (typeof started !== 'string' || typeof boot !== 'string') return undefined;
  // It becomes part of a file name.
  if (typeof nonce !== 'string' || !/^[0-9a-f]{24}$/.test(nonce)) return undefined;
  return { owner: { pid, started, boot }, nonce };
}
