import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import { WarrenError } from '../base/errors.ts';
import { wipeIdentity } from '../crypto/identity.ts';
import type { Secret } from '../crypto/secret.ts';
import { LocalServer } from '../ipc/server.ts';
import { prepareSocketDirectory, socketPaths } from '../ipc/socket-path.ts';
import type { DaemonConfig } from './config.ts';
import { formatListenAddress } from './config-values.ts';
import { DirectoryLock } from './directory-lock.ts';
import { HOME_FILES, openHome, openNodeAt, type WhereToListen } from './home.ts';
import { portsToTry } from './listen-port.ts';
import type { Log } from './log.ts';
import { loadNative, PLAIN } from './native.ts';
import { openOwnDirectory } from './own-directory.ts';
import { readPassphrase } from './passphrase-file.ts';
import { selfTest } from './self-test.ts';
import { StartTraces } from './start-traces.ts';

/**
 * A daemon: a node with a state directory that is its own, an identity and a peer book that last, and the local socket. What is
 * process about it (signals, exit codes, standing in the background) is not here, so that a program can run one inside itself.
 *
 * Each step of the start leaves behind how it is undone. A start that fails undoes what was done, the last first, and leaves
 * nothing that was not there; a stop is the same, but that what lasts from one start to the next stays.
 */
export async function startDaemon(config: DaemonConfig, options: DaemonOptions): Promise<RunningDaemon> {
  const undo = new UndoList(options.log);
  try {
    return await start(config, options, undo);
  } catch (error) {
    await undo.run('failed');
    throw error;
  }
}

export interface DaemonOptions {
  readonly log: Log;
  /** Shown by `status`. */
  readonly version: string;
}

export interface RunningDaemon {
  readonly report: StartReport;
  /** Resolves once it has stopped, by whomever; to the error where it could not go on. */
  readonly stopped: Promise<Error | undefined>;
  /** What was written still arrives, in `Node.close`'s time; then tunnels, sockets and locks go. More than once is once. */
  stop(): Promise<void>;
}

/** What a started daemon tells whoever started it. */
export interface StartReport {
  readonly pid: number;
  /** `0:0000.7F3A.19C2`. */
  readonly address: string;
  /** Empty where it has none. */
  readonly name: string;
  /** Hex of the identity key. */
  readonly key: string;
  /** Whether this start made the identity. */
  readonly created: boolean;
  readonly state: string;
  /** The directory of `app.sock` and `admin.sock`. */
  readonly socket: string;
  /** `[::]:4440`, with the port as it was had. */
  readonly listen: string;
}

async function start(config: DaemonConfig, options: DaemonOptions, undo: UndoList): Promise<RunningDaemon> {
  const { log } = options;
  const paths = socketPaths({ WARREN_SOCKET: config.socket });
  const { directory: socket } = paths;
  const traces = new StartTraces();
  undo.addWhereFailed(() => traces.removeDirectories());
  traces.noteDirectory(config.state);
  traces.noteDirectory(socket);
  const { path: state } = openOwnDirectory(config.state, 'state directory');
  prepareSocketDirectory(socket);
  const locks = await lockDirectories(state, socket, undo);
  // After the locks, so that it is undone before them: an identity that nobody has been told of yet goes with its start.
  undo.addWhereFailed(() => traces.removeFiles());
  for (const name of HOME_FILES) traces.noteFile(join(state, name));
  const isHeld = (): boolean => locks.every((lock) => lock.isHeld());

  const { passphraseFile, listen } = config;
  const passphrase = (): Secret | undefined =>
    passphraseFile === undefined ? undefined : readPassphrase(passphraseFile);
  const home = openHome(state, { isHeld, passphrase });
  undo.add(() => wipeIdentity(home.identity));

  const { ffi, crypto } = config.offload ? await loadNative() : PLAIN;
  selfTest(crypto);
  const stopping = new Stopping(undo, log);
  const where: WhereToListen = { listen, portsToTry, warn: (kind, error) => log.warn(kind, { error }) };
  const node = await openNodeAt(home, where, {
    profile: config.name === undefined ? {} : { name: config.name },
    config: { congestion: config.congestion, peerTimeout: config.peerTimeout, mtuMax: config.mtu },
    offload: config.offload,
    version: options.version,
    log: ({ level, event, fields }) => log.event(level, event, fields),
    onShutdown: () => void stopping.stop(),
  });
  undo.add(() => node.close());
  const server = await LocalServer.open({ host: node, paths, ffi, warn: (kind, fields) => log.warn(kind, fields) });
  undo.add(async () => {
    server.announceStop();
    // First, so that what programs have written arrives: the server's end is the end of their streams.
    await node.close();
    await server.close();
  });

  const report: StartReport = {
    pid: process.pid,
    ...node.self,
    created: home.created,
    state,
    socket,
    listen: formatListenAddress({ host: node.localHost, port: node.localPort }),
  };
  undo.add(watchLocks(isHeld, stopping, log));
  log.info('started', { ...report });
  return { report, stopped: stopping.stopped, stop: () => stopping.stop() };
}

async function lockDirectories(state: string, socket: string, undo: UndoList): Promise<readonly DirectoryLock[]> {
  const locks: DirectoryLock[] = [];
  const places = [
    [state, 'state directory'],
    // Somebody may keep both in one place, which is locked once.
    ...(nodeFs.realpathSync(state) === nodeFs.realpathSync(socket) ? [] : [[socket, 'socket directory']]),
  ] as const;
  for (const [directory, what] of places) {
    const lock = await DirectoryLock.acquire(directory!, what!);
    undo.add(() => lock.release());
    locks.push(lock);
  }
  return locks;
}

/** Not to be asked for by a removed file; and soon enough that two daemons of one identity do not live side by side. */
function watchLocks(isHeld: () => boolean, stopping: Stopping, log: Log): () => void {
  const timer = setInterval(() => {
    if (isHeld()) return;
    clearInterval(timer);
    const error = new WarrenError(
      'ERR_WARREN_LOCK_LOST',
      'the lock of the state directory or of the socket directory is gone, or another daemon has taken it',
      'leave these directories to the daemon while it runs; start it again',
    );
    log.error('lock-lost', { error });
    void stopping.stop(error);
  }, LOCK_WATCH_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Stops once, whoever asks, and tells everybody who waits for that. */
class Stopping {
  readonly stopped: Promise<Error | undefined>;
  readonly #undo: UndoList;
  readonly #log: Log;
  #resolve!: (error: Error | undefined) => void;
  #isStopping = false;

  constructor(undo: UndoList, log: Log) {
    this.#undo = undo;
    this.#log = log;
    this.stopped = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  async stop(error?: Error): Promise<void> {
    if (!this.#isStopping) {
      this.#isStopping = true;
      await this.#undo.run('stopped');
      this.#log.info('stopped', {});
      this.#resolve(error);
    }
    await this.stopped;
  }
}

/** How to take back what was done, the last first. A step that fails or hangs does not keep the others from being taken. */
class UndoList {
  readonly #steps: { readonly step: () => unknown; readonly isForFailure: boolean }[] = [];
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  add(step: () => unknown): void {
    this.#steps.push({ step, isForFailure: false });
  }

  addWhereFailed(step: () => unknown): void {
    this.#steps.push({ step, isForFailure: true });
  }

  async run(why: 'failed' | 'stopped'): Promise<void> {
    for (let next = this.#steps.pop(); next !== undefined; next = this.#steps.pop()) {
      if (next.isForFailure && why === 'stopped') continue;
      try {
        await withLimit(next.step());
      } catch (error) {
        this.#log.warn('stop-incomplete', { error: error instanceof Error ? error : String(error) });
      }
    }
  }
}

async function withLimit(work: unknown): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`a step took more than ${STEP_MS_MAX} ms`)), STEP_MS_MAX);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

const LOCK_WATCH_MS = 5_000;
/** More than node and server together take by themselves. */
const STEP_MS_MAX = 10_000;
