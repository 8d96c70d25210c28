import { cancelled } from '../../base/errors.ts';
import type { Command } from '../command.ts';
import { type DemoFigures, type Narrator, play } from '../demo/script.ts';
import { Stage } from '../demo/stage.ts';
import type { Output } from '../output.ts';
import { programName } from '../program-name.ts';
import { ProgressBar } from '../progress.ts';
import { parseSize } from '../values.ts';

const SIZE_MAX = 1e10;

export const demo: Command = {
  options: {
    size: { type: 'string', describe: 'SIZE: of the file, as 500KB, 64MB, 1GiB', defaultDescription: '32MB' },
  },
  notes:
    'Two daemons in a temporary directory, which end with it; nothing of yours is touched. Ctrl-C ends it at any time.',
  async run({ args, output }) {
    const size = parseSize('size', args.text('size') ?? '32MB', SIZE_MAX);
    const stage = new Stage();
    const signals = new Interruption();
    const playing = play(stage, size, narratorFor(output));
    // Where it was interrupted, what it fails with is of no interest any more.
    playing.catch(() => undefined);
    let figures: DemoFigures | undefined;
    try {
      figures = await Promise.race([playing, signals.first]);
    } finally {
      await stage.clear();
      signals.forget();
    }
    if (figures === undefined) {
      if (output.isJson) output.failure(cancelled('the demonstration was interrupted', 'warren demo shows it anew'));
      return signals.exitCode;
    }
    output.result(figures, () => `\nBoth have ended, and nothing is left of them. Now your own: ${programName()} up`);
    return 0;
  },
};

function narratorFor(output: Output): Narrator {
  let steps = 0;
  return {
    step: (text) => {
      steps += 1;
      output.say(`${steps === 1 ? '' : '\n'}${output.style.bold(`${steps}.`)} ${text}`);
    },
    tell: (text) => output.say(`   ${text}`),
    progress: (label, total) => {
      const bar = new ProgressBar(`   ${label}`, total, !output.isJson);
      return (done) => (done === undefined ? bar.clear() : bar.update(done));
    },
  };
}

/** Ctrl-C and its like, told once: what is left of the time is for clearing up. */
class Interruption {
  readonly first: Promise<undefined>;
  #tell!: () => void;
  #signal: keyof typeof EXIT_CODES | undefined;

  constructor() {
    this.first = new Promise((resolve) => {
      this.#tell = () => resolve(undefined);
    });
    for (const signal of SIGNALS) process.on(signal, this.#hear);
  }

  get exitCode(): number {
    return this.#signal === undefined ? 0 : EXIT_CODES[this.#signal];
  }

  forget(): void {
    for (const signal of SIGNALS) process.off(signal, this.#hear);
  }

  readonly #hear = (signal: NodeJS.Signals): void => {
    this.#signal ??= signal as keyof typeof EXIT_CODES;
    this.#tell();
  };
}

/** As a shell reports them. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const SIGNALS = Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[];
