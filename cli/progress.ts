import { formatBytes, formatRate } from './format.ts';

const BAR_WIDTH = 30;
const PERIOD_MS = 100;
const COLUMNS = 80;

/** A bar on standard error while somebody sees it: on a terminal, and not for programs. */
export class ProgressBar {
  readonly #label: string;
  readonly #total: number;
  readonly #isShown: boolean;
  readonly #startedAt: number = performance.now();
  #shownAt = 0;

  constructor(label: string, total: number, isWanted: boolean) {
    this.#label = label;
    this.#total = total;
    const { TERM } = process.env;
    this.#isShown = isWanted && process.stderr.isTTY === true && TERM !== 'dumb';
  }

  update(done: number): void {
    if (!this.#isShown) return;
    const now = performance.now();
    if (now - this.#shownAt < PERIOD_MS) return;
    this.#shownAt = now;
    const share = Math.min(1, done / this.#total);
    const filled = Math.round(share * BAR_WIDTH);
    const bar = '#'.repeat(filled).padEnd(BAR_WIDTH, '.');
    const seconds = (now - this.#startedAt) / 1_000;
    const amount = `${formatBytes(done)} of ${formatBytes(this.#total)}`;
    const percent = `${Math.floor(share * 100)}%`.padStart(4);
    const line = `${this.#label} [${bar}]${percent}  ${amount}  ${formatRate(done / seconds)}`;
    // A line that wraps could not be taken back.
    process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns || COLUMNS) - 1)}`);
  }

  /** Leaves nothing of it. */
  clear(): void {
    if (this.#isShown && this.#shownAt > 0) process.stderr.write('\r\x1b[K');
  }
}
