import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, type ChildOptions } from '../child.ts';
import { type Leftover, leaveNothing } from './leftovers.ts';

/** What one run needs for a while: a directory and processes, which all go with it. */
export class Workshop {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'warren-bench-'));
  readonly #leftover: Leftover = leaveNothing(() => rmSync(this.directory, { recursive: true, force: true }));
  readonly #steps: (() => Promise<unknown>)[] = [];

  /** A path of its own below the directory. */
  path(name: string): string {
    return join(this.directory, name);
  }

  /** `file` is relative to `bench/`. */
  start<Request extends object, Reply extends { readonly kind: string }>(
    file: string,
    args: readonly string[],
    options: ChildOptions,
  ): Child<Request, Reply> {
    const child = new Child<Request, Reply>(file, args, { isProbed: true, ...options });
    this.onClose(() => child.end());
    return child;
  }

  /** All at once, at the end. */
  onClose(step: () => Promise<unknown>): void {
    this.#steps.push(step);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#steps.splice(0).map((step) => step()));
    rmSync(this.directory, { recursive: true, force: true });
    this.#leftover.forget();
  }
}

/** Runs with a workshop that is gone afterwards, however it goes. */
export async function inWorkshop<T>(work: (workshop: Workshop) => Promise<T>): Promise<T> {
  const workshop = new Workshop();
  try {
    return await work(workshop);
  } finally {
    await workshop.close();
  }
}
