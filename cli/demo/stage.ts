import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WarrenError } from '../../base/errors.ts';
import type { StartReport } from '../../daemon/daemon.ts';

const DAEMON = fileURLToPath(new URL('./daemon.js', import.meta.url));
/** More than an end in order takes. */
const END_MS_MAX = 10_000;

/**
 * What a demonstration needs for a while: a directory, and daemons that are processes. Everything goes with `clear`; should this
 * process be killed before that, the daemons end by themselves.
 */
export class Stage {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'warren-demo-'));
  readonly #daemons: ChildProcess[] = [];

  constructor() {
    // Where the process ends in the middle, as when nobody reads on. What a daemon makes after that it removes itself.
    process.once('exit', this.#remove);
  }

  async startDaemon(name: string): Promise<StartReport> {
    const flags = {
      name,
      state: join(this.directory, name),
      socket: join(this.directory, name, 'run'),
      listen: '127.0.0.1:0',
      'log-level': 'warn',
      'log-file': join(this.directory, `${name}.log`),
    };
    const child = spawn(process.execPath, [DAEMON, JSON.stringify(flags)], {
      // A group of its own: Ctrl-C is for the demonstration, which ends its daemons itself.
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#daemons.push(child);
    const failed = once(child, 'exit').then(() => ({ failed: 'it ended before it was ready' }));
    const [news] = (await Promise.race([once(child, 'message'), failed.then((end) => [end])])) as [News];
    if (news.started !== undefined) return news.started;
    throw new WarrenError('ERR_WARREN_DEMO', `the daemon of ${name} did not start: ${news.failed}`, 'see warren up');
  }

  /** Also where only a part of it was set up; more than once is once. */
  async clear(): Promise<void> {
    await Promise.all(this.#daemons.splice(0).map(endDaemon));
    process.off('exit', this.#remove);
    this.#remove();
  }

  readonly #remove = (): void => rmSync(this.directory, { recursive: true, force: true });
}

interface News {
  readonly started?: StartReport;
  readonly failed?: string;
}

async function endDaemon(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS_MAX);
  child.kill('SIGTERM');
  await ended;
  clearTimeout(timer);
}
