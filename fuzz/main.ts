import { parseArgs } from 'node:util';
import { fromHex } from '../base/bytes.ts';
import { FuzzFinding, faultsOf, formatReport, fuzz } from './run.ts';
import type { FuzzTarget } from './target.ts';
import { TARGETS } from './targets/index.ts';

/** `npm run fuzz -- [target …] [--inputs N] [--seed N]`, or `-- target --input HEX` to see one input again. */

const USAGE = `usage: fuzz [target …] [--inputs N] [--seed N] | fuzz target --input HEX
targets: ${TARGETS.map(({ name }) => name).join(' ')}`;

function usage(message: string): never {
  console.error(`${message}\n${USAGE}`);
  process.exit(2);
}

function wholeNumber(text: string, what: string): number {
  const value = Number(text.replaceAll('_', ''));
  return Number.isSafeInteger(value) && value >= 0 ? value : usage(`${what} is a whole number`);
}

function chosen(names: readonly string[]): readonly FuzzTarget[] {
  if (names.length === 0) return TARGETS;
  return names.map((name) => TARGETS.find((target) => target.name === name) ?? usage(`there is no target ${name}`));
}

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { inputs: { type: 'string' }, seed: { type: 'string' }, input: { type: 'string' } },
  });
  const targets = chosen(positionals);
  if (values.input !== undefined) {
    if (targets.length !== 1) usage('--input takes one target');
    console.log(targets[0]!.check(fromHex(values.input)));
    return 0;
  }
  const inputs = wholeNumber(values.inputs ?? '1000000', '--inputs');
  const seed = wholeNumber(values.seed ?? '1', '--seed');
  let failed = 0;
  for (const target of targets) {
    try {
      const report = fuzz(target, { inputs, seed });
      console.log(formatReport(report));
      for (const fault of faultsOf(report)) {
        console.error(`  FAILED: ${fault}`);
        failed++;
      }
    } catch (error) {
      if (!(error instanceof FuzzFinding)) throw error;
      console.error(`FAILED: ${error.message}`);
      failed++;
    }
  }
  return failed === 0 ? 0 : 1;
}

process.exitCode = main();
