import { parseArgs } from 'node:util';
import { Misuse, runCommand } from '../report/command.ts';
import type { Bench } from '../report/report.ts';
import { formatForPeople, reportOf } from '../report/report.ts';
import { handshakeBench } from './handshake.ts';
import { handshakeFloodBench } from './handshake-flood.ts';
import { hostileClientBench } from './hostile-client.ts';

const BENCHES: readonly Bench[] = [handshakeBench, handshakeFloodBench, hostileClientBench];

const USAGE = `npm run bench -- NAME [--json] [--seconds N]

${BENCHES.map(({ name, summary, seconds }) => `  ${name.padEnd(18)}${summary} (${seconds} s)`).join('\n')}

  --json       one JSON object on the last line of standard output
  --seconds N  how long to measure each case, up to an hour

A figure that is missed is marked OVER or BELOW in the table and does not change the exit status, which is 0 for every run
that came to its end: how fast a machine is, is no defect.`;

const SECONDS_MAX = 3_600;

interface Choice {
  readonly bench: Bench;
  readonly seconds: number;
  readonly isJson: boolean;
}

function choose(): Choice {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean' }, seconds: { type: 'string' } },
  });
  const [name, ...more] = positionals;
  if (name === undefined) throw new Misuse('name a benchmark');
  const bench = BENCHES.find((one) => one.name === name);
  if (bench === undefined) throw new Misuse(`there is no benchmark ${name}`);
  if (more.length > 0) throw new Misuse(`one benchmark at a time, and not ${more.join(' ')} as well`);
  const seconds = values.seconds === undefined ? bench.seconds : Number(values.seconds);
  if (!(seconds > 0 && seconds <= SECONDS_MAX)) {
    throw new Misuse(`--seconds is a number above 0, up to ${SECONDS_MAX}, and not ${JSON.stringify(values.seconds)}`);
  }
  return { bench, seconds, isJson: values.json ?? false };
}

function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function main(): Promise<number> {
  const { bench, seconds, isJson } = choose();
  const measurements = await bench.run({ seconds, progress: (text) => showProgress(`${bench.name}: ${text}`) });
  showProgress('');
  const output = isJson
    ? `${JSON.stringify(reportOf(bench.name, measurements))}\n`
    : formatForPeople(bench.name, measurements);
  process.stdout.write(output);
  return 0;
}

await runCommand(USAGE, main);
