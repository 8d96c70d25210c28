import { parseArgs } from 'node:util';
import { Misuse, runCommand, wholeNumber } from '../report/command.ts';
import type { Bench, Measurement } from '../report/report.ts';
import { formatForPeople, reportOf } from '../report/report.ts';
import { BENCHES, SPEED_BENCHES } from './benches.ts';
import type { BenchOptions, Flag, NodeBench } from './options.ts';
import { writeResults } from './results/page.ts';
import { clearAtExit } from './rig/leftovers.ts';

const USAGE = `npm run bench -- NAME [--json] [--seconds N] [flags]

${BENCHES.map(({ name, summary, seconds }) => `  ${name.padEnd(18)}${summary} (${seconds} s)`).join('\n')}
  all               from roofline to cc, one after the other

  --json          one JSON object on the last line of standard output
  --seconds N     how long to measure each case, up to an hour; below one second there is one run instead of three,
                  and of everything that is counted a smaller number
  --mtu BYTES     loopback, embedded, latency: the largest packet, from 1200 to 65507
  --no-offload    loopback, embedded, latency: plain sockets and ciphers
  --gigabytes N   loopback: one transfer of so many, to its end
  --write         all: writes bench/RESULTS.md and its plots

A figure that is missed is marked OVER or BELOW in the table and does not change the exit status, which is 0 for every run
that came to its end: how fast a machine is, is no defect. What cannot be had here is left out, and said on standard error.`;

const SECONDS_MAX = 3_600;
const GIGABYTES_MAX = 1_000;
const ALL = 'all';

interface Choice {
  readonly benches: readonly (Bench | NodeBench)[];
  readonly name: string;
  readonly seconds: number | undefined;
  readonly path: Pick<BenchOptions, 'mtu' | 'offload' | 'gigabytes'>;
  readonly isJson: boolean;
  readonly writes: boolean;
}

function choose(): Choice {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean' },
      seconds: { type: 'string' },
      mtu: { type: 'string' },
      'no-offload': { type: 'boolean' },
      gigabytes: { type: 'string' },
      write: { type: 'boolean' },
    },
  });
  const [name, ...more] = positionals;
  if (name === undefined) throw new Misuse('name a benchmark');
  const benches = name === ALL ? SPEED_BENCHES : BENCHES.filter((one) => one.name === name);
  if (benches.length === 0) throw new Misuse(`there is no benchmark ${name}`);
  if (more.length > 0) throw new Misuse(`one benchmark at a time, and not ${more.join(' ')} as well`);
  for (const flag of ['mtu', 'no-offload', 'gigabytes'] as const) {
    if (values[flag] !== undefined && !takes(benches, flag)) throw new Misuse(`--${flag} means nothing to ${name}`);
  }
  if (values.write && name !== ALL) throw new Misuse(`--write means nothing to ${name}`);
  const { mtu, gigabytes } = values;
  return {
    benches,
    name,
    seconds: values.seconds === undefined ? undefined : secondsOf(values.seconds),
    path: {
      mtu: mtu === undefined ? undefined : wholeNumber('--mtu', mtu, 1_200, 65_507),
      offload: values['no-offload'] ? false : undefined,
      gigabytes: gigabytes === undefined ? undefined : wholeNumber('--gigabytes', gigabytes, 1, GIGABYTES_MAX),
    },
    isJson: values.json ?? false,
    writes: values.write ?? false,
  };
}

function takes(benches: Choice['benches'], flag: Flag): boolean {
  return benches.every((bench) => 'flags' in bench && bench.flags?.includes(flag) === true);
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= SECONDS_MAX) return seconds;
  throw new Misuse(`--seconds is a number above 0, up to ${SECONDS_MAX}, and not ${JSON.stringify(text)}`);
}

function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

function note(text: string): void {
  showProgress('');
  process.stderr.write(`${text}\n`);
}

async function measure(bench: Bench | NodeBench, choice: Choice): Promise<readonly Measurement[]> {
  const { seconds = bench.seconds, path } = choice;
  const progress = (text: string): void => showProgress(`${bench.name}: ${text}`);
  const measurements = await bench.run({ ...path, seconds, progress, note: (text) => note(`${bench.name}: ${text}`) });
  showProgress('');
  return measurements;
}

async function main(): Promise<number> {
  const choice = choose();
  const { benches, name, isJson, writes } = choice;
  clearAtExit();
  const measured: { readonly bench: string; readonly measurements: readonly Measurement[] }[] = [];
  for (const bench of benches) {
    const measurements = await measure(bench, choice);
    measured.push({ bench: bench.name, measurements });
    if (!isJson) process.stdout.write(`${formatForPeople(bench.name, measurements)}${name === ALL ? '\n' : ''}`);
  }
  if (writes) writeResults(measured, { seconds: choice.seconds });
  if (isJson) process.stdout.write(`${JSON.stringify(reportOf(name, measured.flatMap(named(name))))}\n`);
  return 0;
}

/** Of several benchmarks a case says which one it is of. */
function named(name: string) {
  return ({ bench, measurements }: { readonly bench: string; readonly measurements: readonly Measurement[] }) =>
    name === ALL ? measurements.map((one) => ({ ...one, case: `${bench}: ${one.case}` })) : measurements;
}

await runCommand(USAGE, main);
