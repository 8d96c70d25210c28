import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Place, pinned } from './rig/cores.ts';
import { type Leftover, leaveNothing } from './rig/leftovers.ts';
import type { ProbeRequest, Usage } from './rig/probe.ts';
import { Unavailable } from './rig/unavailable.ts';

export interface ChildOptions {
  /** Anywhere where it is left out. */
  readonly place?: Place;
  /** Has `rig/probe.ts` in it, and a process group of its own, so that Ctrl-C is ours to pass on. */
  readonly isProbed?: boolean;
  /** Whether its standard output is ours to read. */
  readonly speaks?: boolean;
}

/** A process of our own that answers requests. It ends by itself when we do, for the channel between us is then gone. */
export class Child<Request extends object, Reply extends { readonly kind: string }> {
  readonly #process: ChildProcess;
  readonly #exit: Promise<unknown>;
  readonly #isProbed: boolean;
  readonly #leftover: Leftover | undefined;

  constructor(file: string, args: readonly string[], options: ChildOptions = {}) {
    const { place, isProbed = false, speaks = false } = options;
    const flags = isProbed ? ['--expose-gc', '--import', new URL('rig/probe.js', import.meta.url).href] : [];
    const words = [
      ...(place === undefined ? [] : pinned(place)),
      process.execPath,
      ...flags,
      fileURLToPath(new URL(file, import.meta.url)),
      ...args,
    ];
    this.#process = spawn(words[0]!, words.slice(1), {
      detached: isProbed,
      stdio: ['ignore', speaks ? 'pipe' : 'inherit', 'inherit', 'ipc'],
    });
    this.#isProbed = isProbed;
    this.#exit = once(this.#process, 'exit');
    // Where it cannot be started: whoever waits for it hears of it.
    this.#exit.catch(() => undefined);
    if (isProbed) this.#leftover = leaveNothing(() => this.#kill());
  }

  /** Standard output, of one that speaks. */
  get output(): Readable {
    return this.#process.stdout!;
  }

  async ask<K extends Reply['kind']>(
    request: Request,
    kind: K,
    patienceMs?: number,
  ): Promise<Extract<Reply, { kind: K }>> {
    const reply = this.next(kind, patienceMs);
    this.#process.send(request);
    return reply;
  }

  /** What it has cost so far, after a collection where that is asked for; of one that is probed. */
  async usage(collects = false): Promise<Usage> {
    const probe = this as unknown as Child<ProbeRequest, Usage>;
    return probe.ask({ probe: 'usage', collects }, 'usage');
  }

  async next<K extends Reply['kind']>(kind: K, patienceMs: number = PATIENCE_MS): Promise<Extract<Reply, { kind: K }>> {
    const patience = new AbortController();
    const gone = this.ended.then(() => {
      throw new Error(`a process of the benchmark ended early, with ${this.#process.exitCode}`);
    });
    const late = sleep(patienceMs, undefined, { signal: patience.signal }).then(() => {
      throw new Error(`a process of the benchmark did not say "${kind}" in ${patienceMs / 1_000} s`);
    });
    for (const end of [gone, late]) end.catch(() => undefined);
    try {
      for (;;) {
        const [reply] = (await Promise.race([once(this.#process, 'message'), gone, late])) as [Reply];
        if (reply.kind === kind) return reply as Extract<Reply, { kind: K }>;
        if (isFailure(reply)) throw reply.isUnavailable ? new Unavailable(reply.message) : new Error(reply.message);
      }
    } finally {
      patience.abort();
    }
  }

  /** Resolves when it is over. */
  get ended(): Promise<unknown> {
    return this.#exit;
  }

  async end(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect();
    const patience = new AbortController();
    const isStubborn = sleep(END_MS, true, { signal: patience.signal }).catch(() => false);
    if (await Promise.race([this.#exit.then(() => false), isStubborn])) this.#kill();
    await this.#exit.catch(() => undefined);
    patience.abort();
    this.#leftover?.forget();
  }

  #kill(): void {
    const { pid } = this.#process;
    if (pid === undefined) return;
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    process.kill(this.#isProbed ? -pid : pid, 'SIGKILL');
  }
}

/** What any of them may say instead of what it was asked. */
interface Failure {
  readonly kind: 'failed';
  readonly message: string;
  readonly isUnavailable?: boolean;
}

function isFailure(reply: { readonly kind: string }): reply is Failure {
  return reply.kind === 'failed';
}

/** More than anything asked of one takes, so that nothing waits for ever. */
const PATIENCE_MS = 60_000;
const END_MS = 2_000;
