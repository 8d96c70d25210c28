import type { Job } from './jobs.ts';
import type { SetReport } from './report.ts';

/** Joins the jobs of a line and gives the lines out in their order, each as soon as it and all before it are complete. */
export class Lines {
  readonly #names: readonly string[];
  readonly #left = new Map<string, number>();
  readonly #joined = new Map<string, SetReport>();
  readonly #onLine: (report: SetReport) => void;
  #shown = 0;
  done = 0;

  constructor(jobs: readonly Job[], onLine: (report: SetReport) => void) {
    this.#onLine = onLine;
    for (const { line } of jobs) this.#left.set(line, (this.#left.get(line) ?? 0) + 1);
    this.#names = [...this.#left.keys()];
  }

  get reports(): SetReport[] {
    return this.#names.map((name) => this.#joined.get(name)!);
  }

  add(job: Job, report: SetReport): void {
    const before = this.#joined.get(job.line);
    this.#joined.set(job.line, before === undefined ? report : join(before, report));
    this.#left.set(job.line, this.#left.get(job.line)! - 1);
    this.done++;
    for (; this.#left.get(this.#names[this.#shown] ?? '') === 0; this.#shown++) {
      this.#onLine(this.#joined.get(this.#names[this.#shown]!)!);
    }
  }
}

function join(a: SetReport, b: SetReport): SetReport {
  return { ...a, passed: a.passed + b.passed, failures: [...a.failures, ...b.failures] };
}
