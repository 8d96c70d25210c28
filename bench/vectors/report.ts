import { toHex } from '../../base/bytes.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';

/** What running one set against one backend came to. */
export interface SetReport {
  readonly set: string;
  readonly backend: string;
  readonly passed: number;
  /** Each names set, backend and case. */
  readonly failures: readonly string[];
  /** What was left out, and why. */
  readonly note?: string | undefined;
  /** The set's file is not on this machine. */
  readonly isAbsent?: boolean | undefined;
}

/** Runs the set of that name. */
export type RunSet = (set: string, backend: CryptoBackend) => SetReport;

/** Counts the cases of one set; a case that throws has failed like any other. */
export class Tally {
  readonly #set: string;
  readonly #backend: string;
  readonly #failures: string[] = [];
  #passed = 0;

  constructor(set: string, backend: string) {
    this.#set = set;
    this.#backend = backend;
  }

  /** `run` gives what is wrong, or nothing. */
  check(caseId: string | number, run: () => string | undefined): void {
    let wrong: string | undefined;
    try {
      wrong = run();
    } catch (error) {
      wrong = `threw ${error instanceof Error ? error.message : String(error)}`;
    }
    if (wrong === undefined) this.#passed++;
    else this.#failures.push(`${this.#set} · ${this.#backend} · case ${caseId}: ${wrong}`);
  }

  /** Also fails where the set had another number of cases than it should. */
  reportOf(cases: number, note?: string): SetReport {
    const counted = this.#passed + this.#failures.length;
    if (counted !== cases) this.check('count', () => `${counted} cases instead of ${cases}`);
    return this.report(note);
  }

  report(note?: string): SetReport {
    return { set: this.#set, backend: this.#backend, passed: this.#passed, failures: this.#failures, note };
  }
}

/** What is wrong with a value, where it is not the expected one; `undefined` stands for a refusal. */
export function differs(
  what: string,
  actual: Uint8Array | undefined,
  expected: string | undefined,
): string | undefined {
  const got = actual === undefined ? undefined : toHex(actual);
  if (got === expected) return undefined;
  return `${what} is ${shown(got)} instead of ${shown(expected)}`;
}

function shown(hex: string | undefined): string {
  if (hex === undefined) return 'refused';
  return hex.length <= 64 ? `"${hex}"` : `"${hex.slice(0, 64)}…" (${hex.length / 2} bytes)`;
}
