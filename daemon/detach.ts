import { type ChildProcess, spawn } from 'node:child_process';
import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import { type ToldError, WarrenError } from '../base/errors.ts';
import type { DaemonConfig } from './config.ts';
import type { StartReport } from './daemon.ts';
import { LOCK_NAME } from './directory-lock.ts';
import { fileError, quietly, shellWord } from './file-errors.ts';
import { openOwnDirectory } from './own-directory.ts';
import { StartTraces } from './start-traces.ts';

/**
 * A daemon in the background: the same command once more, in a session of its own, with its log in a file. It tells over a
 * channel how its start went, so that whoever asked for it hears what somebody in the foreground would have seen, and can rely on
 * the sockets the moment the command returns.
 */
export async function startDetached(config: DaemonConfig, options: DetachOptions): Promise<StartReport> {
  const traces = new StartTraces();
  traces.noteDirectory(config.state);
  try {
    const { path: state } = openOwnDirectory(config.state, 'state directory');
    const logFile = config.logFile ?? join(state, DETACHED_LOG_FILE);
    // A log that was asked for by name is to stay.
    if (config.logFile === undefined) traces.noteFile(logFile);
    return await spawnDaemon(logFile, options);
  } catch (error) {
    // Where the daemon could not say what was wrong, its log may. And another that is at work in there may have the log open.
    const isNeeded = error instanceof WarrenError && error.code === NOT_STARTED;
    if (!isNeeded && !nodeFs.existsSync(join(config.state, LOCK_NAME))) traces.removeFiles();
    traces.removeDirectories();
    throw error;
  }
}

async function spawnDaemon(logFile: string, options: DetachOptions): Promise<StartReport> {
  const log = openForAppending(logFile);
  let child: ChildProcess;
  try {
    const [file, ...parameters] = options.command;
    child = spawn(file!, parameters, {
      detached: true,
      // What a crash prints stands in the log too.
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...options.env, WARREN_LOG_FILE: logFile, [MARK]: '1' },
    });
  } finally {
    nodeFs.closeSync(log);
  }
  try {
    return await reportOf(child, logFile, options.waitMs ?? START_MS_MAX);
  } finally {
    if (child.connected) child.disconnect();
    child.unref();
  }
}

export interface DetachOptions {
  /** The program and its arguments: this very command. `isDetached` tells its second run that it is that. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly waitMs?: number | undefined;
}

/** Whether this process is the one in the background. */
export function isDetached(): boolean {
  return process.send !== undefined && process.env[MARK] === '1';
}

/** How the start went; to nobody where this process is not in the background, and only once. */
export function tellParent(news: { readonly started: StartReport } | { readonly failed: Error }): void {
  if (!isDetached() || !process.connected) return;
  const message = 'started' in news ? news : { failed: plain(news.failed) };
  // Whoever started us may have gone meanwhile; then nobody has to be told.
  process.send!(message, undefined, undefined, () => process.connected && process.disconnect());
}

const MARK = 'WARREN_DETACHED';
const DETACHED_LOG_FILE = 'daemon.log';
/** A start takes less than a second, most of it scrypt's. */
const START_MS_MAX = 30_000;

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = nodeFs.constants;

function openForAppending(path: string): number {
  try {
    return nodeFs.openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  } catch (error) {
    throw fileError('open the log', path, error);
  }
}

async function reportOf(child: ChildProcess, logFile: string, waitMs: number): Promise<StartReport> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<StartReport>((resolve, reject) => {
      timer = setTimeout(() => {
        // It leads a group of its own.
        quietly(() => process.kill(-child.pid!, 'SIGKILL'));
        reject(notStarted(`was not ready after ${waitMs / 1_000} s`, logFile));
      }, waitMs);
      child.on('error', (error) => reject(notStarted(`cannot be run: ${error.message}`, logFile)));
      child.on('exit', (code, signal) => {
        reject(notStarted(`ended before it was ready (${signal ?? `exit code ${code}`})`, logFile));
      });
      child.on('message', (message: News) => {
        if ('started' in message) resolve(message.started);
        else reject(WarrenError.told(message.failed));
      });
    });
  } finally {
    clearTimeout(timer);
    child.removeAllListeners();
  }
}

type News = { readonly started: StartReport } | { readonly failed: ToldError };

function plain(error: Error): ToldError {
  if (error instanceof WarrenError) return { code: error.code, message: error.message, hint: error.hint };
  return { code: NOT_STARTED, message: error.message, hint: 'the log says where it happened' };
}

function notStarted(what: string, logFile: string): WarrenError {
  return new WarrenError(NOT_STARTED, `the daemon ${what}`, `tail ${shellWord(logFile)}`);
}

const NOT_STARTED = 'ERR_WARREN_NOT_STARTED';
