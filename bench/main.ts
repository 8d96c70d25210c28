import { parseArgs } from 'node:util';
import type { Bench } from '../report/report.ts';
import { formatForPeople, reportOf } from '../report/report.ts';
import { handshakeBench } from './handshake.ts';
import { handshakeFloodBench } from './handshake-flood.ts';

/** `npm run bench -- NAME [--json] [--seconds N]` */

const BENCHES: readonly Bench[] = [handshakeBench, handshakeFloodBench];

const USAGE = `npm run bench -- NAME [--json] [--seconds N]

${BENCHES.map(({ name, summary, seconds }) => `  ${name.padEnd(18)}${summary} (${seconds} s)`).join('\n')}

  --json       one JSON object on the last line of standard output
  --seconds N  how long to measure each case`;

interface Choice {
  readonly bench: Bench;
  readonly seconds: number;
  readonly isJson: boolean;
}

function choose(): Choice | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean' }, seconds: { type: 'string' } },
    });
    const bench = BENCHES.find(({ name }) => name === positionals[0]);
    if (bench === undefined || positionals.length !== 1) return undefined;
    const seconds = values.seconds === undefined ? bench.seconds : Number(values.seconds);
    return seconds > 0 && seconds <= 3_600 ? { bench, seconds, isJson: values.json ?? false } : undefined;
  } catch {
    return undefined;
  }
}

function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function main(): Promise<number> {
  const choice = choose();
  if (choice === undefined) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const { bench, seconds, isJson } = choice;
  const measurements = await bench.run({ seconds, progress: (text) => showProgress(`${bench.name}: ${text}`) });
  showProgress('');
  const output = isJson
    ? `${JSON.stringify(reportOf(bench.name, measurements))}\n`
    : formatForPeople(bench.name, measurements);
  process.stdout.write(output);
  return 0;
}

process.exitCode = await main();
