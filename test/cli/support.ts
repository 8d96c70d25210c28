import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createIdentity } from '../../crypto/identity.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { isRecordError, signIdentityRecord } from '../../crypto/records.ts';
import type { StartReport } from '../../daemon/daemon.ts';
import { recordText } from '../../daemon/record-text.ts';
import { SystemRng } from '../../daemon/system-rng.ts';
import { encodeIdentityRecord } from '../../wire/records.ts';

/** The compiled program, as a shell starts it. */
export const MAIN: string = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
export const isCompiled: boolean = existsSync(MAIN);
/** How it calls itself in what it prints: by its path, since no shell here would find it by its name. */
export const PROGRAM: string = fileURLToPath(new URL('../../warren', import.meta.url));

/** A hint as the program prints it. */
export function typed(hint: string): string {
  return hint.replaceAll(/\bwarren (?=[a-z-])/g, `${PROGRAM} `);
}

export interface Finished {
  /** Of standard output, however long it was. */
  readonly sha256: string;
  readonly bytes: number;
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** The one line of JSON that a command says. */
// biome-ignore lint/suspicious/noExplicitAny: it is compared, not used
export type Said = { readonly ok: boolean; readonly data: any; readonly error: Failure };

/** A place of its own for the commands of one test file: home, state and sockets are below it, and go with it. */
export class Sandbox {
  /** Not before a test wants it: where all are skipped, nobody would clear it. */
  #directory: string | undefined;
  readonly #children: ChildProcess[] = [];

  get directory(): string {
    this.#directory ??= mkdtempSync(join(tmpdir(), 'warren-cli-'));
    return this.#directory;
  }

  path(...parts: readonly string[]): string {
    return join(this.directory, ...parts);
  }

  get env(): NodeJS.ProcessEnv {
    const { PATH } = process.env;
    return { PATH, HOME: this.directory, TERM: 'dumb' };
  }

  /** With pipes for all three streams. */
  spawn(words: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
    const child = spawn(process.execPath, [MAIN, ...words], { cwd: this.directory, env: { ...this.env, ...env } });
    this.#children.push(child);
    return new Running(child);
  }

  async run(words: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const running = this.spawn(words, options.env);
    running.child.stdin.end(options.input ?? '');
    return await running.finished;
  }

  async json(words: readonly string[], options: RunOptions = {}): Promise<Said & { readonly status: number | null }> {
    const { stdout, stderr, status } = await this.run([...words, '--json'], options);
    if (!/^\{.*\}\n$/.test(stdout)) throw new Error(`not one line of JSON: ${stdout}\n${stderr}`);
    return { ...JSON.parse(stdout), status };
  }

  /** In the foreground, on any port. */
  async up(name: string, ...more: readonly string[]): Promise<Daemon> {
    const socket = this.path(name, 'run');
    const words = ['up', '--name', name, '--state', this.path(name), '--socket', socket, '--listen', '127.0.0.1:0'];
    const running = this.spawn([...words, '--json', ...more]);
    const report = JSON.parse(await running.line()).data as StartReport;
    return new Daemon(this, running, report);
  }

  async clear(): Promise<void> {
    for (const child of this.#children) child.kill('SIGTERM');
    const late = setTimeout(() => {
      for (const child of this.#children) child.kill('SIGKILL');
    }, 8_000);
    await Promise.all(
      this.#children.map((child) => (child.exitCode === null && child.signalCode === null ? once(child, 'exit') : [])),
    );
    clearTimeout(late);
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
}

/** What is kept of an output as text. */
const TEXT_MAX = 1_000_000;

export class Running {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly finished: Promise<Finished>;
  readonly #hash: Hash = createHash('sha256');
  #bytes = 0;
  #stdout = '';
  #stderr = '';

  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.child = child;
    child.stdout.on('data', (chunk: Buffer) => {
      this.#hash.update(chunk);
      this.#bytes += chunk.length;
      if (this.#stdout.length < TEXT_MAX) this.#stdout += chunk.toString('latin1');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr += chunk;
    });
    // It may have ended before it has read everything.
    child.stdin.on('error', () => undefined);
    this.finished = once(child, 'close').then(([status, signal]) => ({
      sha256: this.#hash.digest('hex'),
      bytes: this.#bytes,
      status,
      signal,
      stdout: Buffer.from(this.#stdout, 'latin1').toString(),
      stderr: this.#stderr,
    }));
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Of standard output, so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The first on standard output. */
  async line(): Promise<string> {
    await this.#until(() => this.#stdout.includes('\n'), 'a line');
    return this.#stdout.slice(0, this.#stdout.indexOf('\n'));
  }

  async said(text: string): Promise<void> {
    await this.#until(() => this.#stderr.includes(text), text);
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    for (let waited = 0; !isSo(); waited += 10) {
      const { exitCode, signalCode } = this.child;
      if (exitCode !== null || signalCode !== null || waited > 60_000) {
        throw new Error(`it did not say ${what}: ${this.#stdout} ${this.#stderr}`);
      }
      await sleep(10);
    }
  }
}

/** A daemon, and the commands that ask it. */
export class Daemon {
  readonly report: StartReport;
  readonly running: Running;
  readonly #sandbox: Sandbox;

  constructor(sandbox: Sandbox, running: Running, report: StartReport) {
    this.#sandbox = sandbox;
    this.running = running;
    this.report = report;
  }

  spawn(...words: readonly string[]): Running {
    return this.#sandbox.spawn(this.#with(words));
  }

  run(...words: readonly string[]): Promise<Finished> {
    return this.#sandbox.run(this.#with(words));
  }

  json(...words: readonly string[]): Promise<Said & { readonly status: number | null }> {
    return this.#sandbox.json(this.#with(words));
  }

  /** A `warren listen` that listens. */
  async listening(...words: readonly string[]): Promise<Running> {
    const running = this.spawn('listen', ...words);
    await running.said('listening');
    return running;
  }

  #with(words: readonly string[]): readonly string[] {
    return ['--socket', this.report.socket, ...words];
  }
}

/** Two that know each other, and where they are. */
export async function startPair(sandbox: Sandbox, ...more: readonly string[]): Promise<[Daemon, Daemon]> {
  const pair = await Promise.all([sandbox.up('alice', ...more), sandbox.up('bob', ...more)]);
  const [alice, bob] = pair;
  for (const [one, other] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const { data } = await other.json('record');
    await one.json('peer', 'add', data.record, '--endpoint', other.report.listen);
  }
  return pair;
}

/** Of somebody who is not there. */
export function recordOf(name: string): string {
  const identity = createIdentity(opensslBackend, new SystemRng(), 0);
  const record = signIdentityRecord(identity, { sequence: 1, name, tags: [], capabilities: [], homes: [] });
  if (isRecordError(record)) throw new Error(record.reason);
  return recordText(encodeIdentityRecord(record));
}

export function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory).sort();
}

export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 30_000; waited += 20) {
    if (await isSo()) return;
    await sleep(20);
  }
  throw new Error(`not in 30 s: ${what}`);
}
