import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BYTES = 64 * 1_024;
const isRoot = process.geteuid?.() === 0;
/** Root may mount; others may where they are root of a namespace of their own. */
const UNSHARE = ['--mount', ...(isRoot ? [] : ['--user', '--map-root-user'])];
const ENTER = ['--mount', ...(isRoot ? [] : ['--user', '--preserve-credentials'])];

/**
 * A real file system of 64 KiB that only those see who enter its namespace. It is gone with the process that holds it, however
 * that one ends.
 */
export class SmallDisk {
  readonly #holder: ChildProcess;
  readonly #directory: string;

  private constructor(holder: ChildProcess, directory: string) {
    this.#holder = holder;
    this.#directory = directory;
  }

  /** `undefined` where this system lets us mount nothing. */
  static async mount(directory: string): Promise<SmallDisk | undefined> {
    if (spawnSync('unshare', [...UNSHARE, 'true']).status !== 0) return undefined;
    mkdirSync(directory, { mode: 0o700 });
    const mount = `mount -t tmpfs -o size=${BYTES},mode=0700 warren "$0" && echo mounted && exec cat`;
    const holder = spawn('unshare', [...UNSHARE, 'sh', '-c', mount, directory], { stdio: ['pipe', 'pipe', 'ignore'] });
    const isMounted = await Promise.race([
      once(holder.stdout!, 'data').then(() => true),
      once(holder, 'exit').then(() => false),
    ]);
    return isMounted ? new SmallDisk(holder, directory) : undefined;
  }

  /** What stands before a command that is to see the disk. */
  get entering(): readonly string[] {
    return ['nsenter', '--target', String(this.#holder.pid), ...ENTER];
  }

  /** A path on it, as it is seen from outside. */
  path(...names: readonly string[]): string {
    return join(`/proc/${this.#holder.pid}/root`, this.#directory, ...names);
  }

  fill(): void {
    for (let i = 0; ; i++) {
      try {
        // The last page too.
        writeFileSync(this.path(`filler-${i}`), Buffer.alloc(4_096, 1));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        rmSync(this.path(`filler-${i}`), { force: true });
        this.#fillers = i;
        return;
      }
    }
  }

  empty(): void {
    for (let i = 0; i < this.#fillers; i++) rmSync(this.path(`filler-${i}`), { force: true });
    this.#fillers = 0;
  }

  #fillers = 0;

  async unmount(): Promise<void> {
    const gone = once(this.#holder, 'exit');
    this.#holder.stdin!.end();
    await gone;
  }
}
