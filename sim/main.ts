import { parseArgs } from 'node:util';
import { opensslBackend } from '../crypto/openssl.ts';
import { CAMPAIGNS, campaignNames } from './campaigns/index.ts';
import { runGrid } from './grid-command.ts';
import { parseSeeds, runRange } from './range.ts';

/** `npm run sim`: one seed with its trace, or a range of seeds of one campaign on every core. */
const USAGE = `usage:
  npm run sim -- --seed N [--trace]              one random world; the same seed gives the same digest
  npm run sim -- CAMPAIGN --seeds A..B [--jobs N] a range of seeds, ends with "N passed, M failed"
  npm run sim -- grid [--json] [--jobs N]         tables of goodput, loss and fairness for each congestion controller
campaigns:
${campaignNames()
  .map((name) => `  ${name.padEnd(10)} ${CAMPAIGNS[name]!.about}`)
  .join('\n')}
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      jobs: { type: 'string' },
      trace: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const name = positionals[0] ?? 'swarm';
  const jobs = values.jobs === undefined ? undefined : Number(values.jobs);
  if (jobs !== undefined && !(Number.isInteger(jobs) && jobs >= 1 && jobs <= 64)) return misuse('--jobs is 1 to 64');
  if (name === 'grid' && positionals.length === 1) return await runGrid(values.json, jobs);
  if (positionals.length > 1 || !campaignNames().includes(name))
    return misuse(`there is no campaign ${positionals.join(' ')}`);
  if (values.seeds !== undefined) {
    const range = parseSeeds(values.seeds);
    if (range === undefined) return misuse(`--seeds ${values.seeds} is not A..B with A ≤ B`);
    return await runRange(name, range, jobs);
  }
  if (values.seed === undefined) return misuse('name a seed: --seed N, or --seeds A..B');
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) return misuse(`--seed ${values.seed} is not a whole number`);
  return runOne(name, seed, values.trace);
}

function runOne(name: string, seed: number, trace: boolean): number {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  try {
    const result = CAMPAIGNS[name]!.run(seed, opensslBackend, trace ? print : undefined);
    print(`${name} seed ${seed} passed: ${JSON.stringify(result)}`);
    return 0;
  } catch (error) {
    if (!trace && error instanceof Error && 'trace' in error) for (const line of error.trace as string[]) print(line);
    print(`${name} seed ${seed} FAILED: ${error instanceof Error ? error.stack : String(error)}`);
    return 1;
  }
}

function misuse(why: string): number {
  process.stderr.write(`${why}\n${USAGE}`);
  return 2;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = misuse(error instanceof Error ? error.message : String(error));
}
