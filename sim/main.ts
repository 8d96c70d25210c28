import { parseArgs } from 'node:util';
import { opensslBackend } from '../crypto/openssl.ts';
import { Misuse, runCommand, wholeNumber } from '../report/command.ts';
import { CAMPAIGNS, type Campaign, campaignNames } from './campaigns/index.ts';
import { runGrid } from './grid-command.ts';
import { parseSeeds, runRange } from './range.ts';

/** `npm run sim`: one seed with its trace, or a range of seeds of one campaign on every core. */
const USAGE = `npm run sim -- [CAMPAIGN] --seed N [--trace]              one seed; the same seed gives the same digest
npm run sim -- CAMPAIGN --seeds A..B [--jobs N] [--resume FILE]
                                                          a range of seeds, ends with "N passed, M failed"
npm run sim -- grid [--only TEXT] [--check | --write] [--json] [--jobs N]
                                                          tables of goodput, loss and fairness for each congestion controller;
                                                          1 where a figure that is demanded is missed

  --trace        every event, packet by packet
  --jobs N       on so many cores (all of them)
  --resume FILE  keeps what is done in that file, and goes on from it
  --only TEXT    only the rows with that in their name
  --check        compares with sim/tables/grid.md; 1 where a row is another
  --write        makes that file anew
  --json         one JSON object on the last line of standard output

campaigns:
${campaignNames()
  .map((name) => `  ${name.padEnd(10)} ${CAMPAIGNS[name]!.about}`)
  .join('\n')}`;

const JOBS_MAX = 64;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      jobs: { type: 'string' },
      trace: { type: 'boolean' },
      json: { type: 'boolean' },
      resume: { type: 'string' },
      only: { type: 'string' },
      check: { type: 'boolean' },
      write: { type: 'boolean' },
    },
  });
  const [name = 'swarm', ...more] = positionals;
  if (more.length > 0) throw new Misuse(`one campaign at a time, and not ${more.join(' ')} as well`);
  const jobs = values.jobs === undefined ? undefined : wholeNumber('--jobs', values.jobs, 1, JOBS_MAX);
  const refuse = (where: string, ...options: readonly (keyof typeof values)[]): void => {
    const given = options.find((option) => values[option] !== undefined);
    if (given !== undefined) throw new Misuse(`--${given} means nothing ${where}`);
  };
  if (name === 'grid') {
    refuse('to the grid', 'seed', 'seeds', 'trace', 'resume');
    if (values.write) refuse('with --write', 'check', 'only');
    if (values.only === '') throw new Misuse("--only names a part of a row's name");
    const committed = values.write ? 'write' : values.check ? 'check' : 'ignore';
    return await runGrid({ only: values.only, asJson: values.json ?? false, jobs, committed });
  }
  const campaign = CAMPAIGNS[name];
  if (campaign === undefined) throw new Misuse(`there is no campaign ${name}`);
  refuse('to a campaign', 'json', 'only', 'check', 'write');
  if (values.seeds !== undefined) {
    refuse('with a range of seeds', 'seed', 'trace');
    const range = parseSeeds(values.seeds);
    if (range === undefined) throw new Misuse(`--seeds is A..B with A ≤ B, and not ${JSON.stringify(values.seeds)}`);
    if (values.resume === '') throw new Misuse('--resume names a file');
    return await runRange(name, range, jobs, values.resume);
  }
  if (values.seed === undefined) throw new Misuse('name a seed: --seed N, or CAMPAIGN --seeds A..B');
  refuse('with one seed', 'jobs', 'resume');
  const seed = wholeNumber('--seed', values.seed);
  const isTraced = values.trace ?? false;
  // A campaign that can be traced takes where to as its third parameter.
  if (isTraced && campaign.run.length < 3) throw new Misuse(`${name} cannot be traced`);
  return runOne(name, campaign, seed, isTraced);
}

function runOne(name: string, campaign: Campaign, seed: number, isTraced: boolean): number {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  try {
    const result = campaign.run(seed, opensslBackend, isTraced ? print : undefined);
    print(`${name} seed ${seed} passed: ${JSON.stringify(result)}`);
    return 0;
  } catch (error) {
    if (!isTraced && error instanceof Error && 'trace' in error)
      for (const line of error.trace as string[]) print(line);
    print(`${name} seed ${seed} FAILED: ${error instanceof Error ? error.stack : String(error)}`);
    return 1;
  }
}

await runCommand(USAGE, main);
