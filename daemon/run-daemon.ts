import type { WallMs } from '../base/time.ts';
import { systemNow } from '../ipc/clock.ts';
import type { DaemonConfig } from './config.ts';
import { type StartReport, startDaemon } from './daemon.ts';
import { isDetached, tellParent } from './detach.ts';
import { fileError } from './file-errors.ts';
import { Log, type LogOutput } from './log.ts';
import { FileOutput, standardError } from './log-outputs.ts';

/**
 * The daemon as a process: its log, signals, and what nobody caught. Gives the exit code; rejects where the daemon did not start.
 *
 * SIGTERM, SIGINT and SIGHUP end it in order, a second one at once: whoever sends it has waited long enough. After an error that
 * nobody caught nothing can be relied on, so the process ends as it stands. Its files are whole at every moment, and the next
 * start finds a lock and sockets that nobody holds.
 */
export async function runDaemon(config: DaemonConfig, options: RunOptions): Promise<number> {
  const log = openLog(config);
  const forgetCrashes = onCrash(log);
  const signals = new Signals();
  try {
    const daemon = await startDaemon(config, { log, version: options.version });
    // All paths are absolute by now, and nobody's directory is to be kept busy by what runs in the background.
    if (isDetached()) process.chdir('/');
    tellParent({ started: daemon.report });
    options.onStarted?.(daemon.report);
    signals.onFirst((signal) => {
      log.info('signal', { signal });
      void daemon.stop();
    });
    return (await daemon.stopped) === undefined ? 0 : 1;
  } catch (error) {
    // On standard error whoever called says it, and better.
    if (config.logFile !== undefined) log.error('not-started', { error: asError(error) });
    tellParent({ failed: asError(error) });
    throw error;
  } finally {
    signals.forget();
    forgetCrashes();
    await log.flush();
  }
}

export interface RunOptions {
  readonly version: string;
  readonly onStarted?: ((report: StartReport) => void) | undefined;
}

function openLog(config: DaemonConfig): Log {
  return new Log({
    level: config.logLevel,
    format: config.logFormat,
    output: openLogOutput(config),
    clock: { now: systemNow, wall: () => Date.now() as WallMs },
  });
}

function openLogOutput({ logFile }: DaemonConfig): LogOutput {
  if (logFile === undefined) return standardError();
  const output = new FileOutput(logFile);
  try {
    output.open();
  } catch (error) {
    throw fileError('open the log', logFile, error);
  }
  return output;
}

/** Hears every signal from the first moment on, so that one that comes during the start is not lost. */
class Signals {
  #first: NodeJS.Signals | undefined;
  #firstAt = 0;
  #stop: ((signal: NodeJS.Signals) => void) | undefined;

  constructor() {
    for (const signal of ENDING.keys()) process.on(signal, this.#hear);
  }

  /** At once, where one has come already. */
  onFirst(stop: (signal: NodeJS.Signals) => void): void {
    this.#stop = stop;
    if (this.#first !== undefined) stop(this.#first);
  }

  forget(): void {
    for (const signal of ENDING.keys()) process.off(signal, this.#hear);
  }

  readonly #hear = (signal: NodeJS.Signals): void => {
    if (this.#first !== undefined) {
      // A terminal tells Ctrl-C to everybody in the foreground, and npm passes on what it heard: one wish, heard twice.
      if (signal === this.#first && performance.now() - this.#firstAt < ECHO_MS_MAX) return;
      process.exit(SIGNALLED + ENDING.get(signal)!);
    }
    this.#first = signal;
    this.#firstAt = performance.now();
    this.#stop?.(signal);
  };
}

/** With their numbers, which shells make exit codes of. */
const ENDING: ReadonlyMap<NodeJS.Signals, number> = new Map([
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
]);
const SIGNALLED = 128;
/** Quicker than anybody asks twice, slower than npm on a busy machine. */
const ECHO_MS_MAX = 500;

function onCrash(log: Log): () => void {
  let hasCrashed = false;
  const crash = (thrown: unknown): void => {
    // What fails on the way out has its cause in what failed before.
    if (hasCrashed) return;
    hasCrashed = true;
    const error = asError(thrown);
    log.error('crashed', { error, stack: stackOf(error) });
    tellParent({ failed: error });
    void log.flush().finally(() => process.exit(1));
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  return () => {
    process.off('uncaughtException', crash);
    process.off('unhandledRejection', crash);
  };
}

function stackOf(error: Error): readonly string[] {
  const lines = error.stack?.split('\n') ?? [];
  // The message, which may be of several lines, is told beside it.
  return lines.map((line) => line.trim()).filter((line) => line.startsWith('at '));
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
