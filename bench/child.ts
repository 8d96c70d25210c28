import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process of our own that answers requests. It ends by itself when we do, for the channel between us is then gone. */
export class Child<Request extends object, Reply extends { readonly kind: string }> {
  readonly #process: ChildProcess;
  readonly #exit: Promise<unknown>;

  constructor(file: string, args: readonly string[]) {
    this.#process = fork(new URL(file, import.meta.url), args);
    this.#exit = once(this.#process, 'exit');
  }

  async ask<K extends Reply['kind']>(request: Request, kind: K): Promise<Extract<Reply, { kind: K }>> {
    const reply = this.next(kind);
    this.#process.send(request);
    return reply;
  }

  async next<K extends Reply['kind']>(kind: K): Promise<Extract<Reply, { kind: K }>> {
    const gone = this.#exit.then(() => {
      throw new Error(`a process of the benchmark ended early, with ${this.#process.exitCode}`);
    });
    for (;;) {
      const [reply] = (await Promise.race([once(this.#process, 'message'), gone])) as [Reply];
      if (reply.kind === kind) return reply as Extract<Reply, { kind: K }>;
    }
  }

  async end(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect();
    const patience = new AbortController();
    const isStubborn = sleep(2_000, true, { signal: patience.signal }).catch(() => false);
    if (await Promise.race([this.#exit.then(() => false), isStubborn])) this.#process.kill('SIGKILL');
    await this.#exit;
    patience.abort();
  }
}
