import { parseArgs } from 'node:util';
import { fromHex } from '../base/bytes.ts';
import { Misuse, runCommand, wholeNumber } from '../report/command.ts';
import { FuzzFinding, faultsOf, formatReport, fuzz } from './run.ts';
import type { FuzzTarget } from './target.ts';
import { TARGETS } from './targets/index.ts';

const USAGE = `npm run fuzz -- [TARGET …] [--inputs N] [--seed N]   mutated inputs for every decoder, or for those named
npm run fuzz -- TARGET --input HEX                   one input again

  --inputs N   how many for each target (1,000,000)
  --seed N     the inputs of another run (1)

targets: ${TARGETS.map(({ name }) => name).join(' ')}`;

function chosen(names: readonly string[]): readonly FuzzTarget[] {
  if (names.length === 0) return TARGETS;
  return names.map((name) => {
    const target = TARGETS.find((one) => one.name === name);
    if (target === undefined) throw new Misuse(`there is no target ${name}`);
    return target;
  });
}

function bytesOf(hex: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/i.test(hex)) throw new Misuse(`--input is hex, two digits a byte, and not ${hex}`);
  return fromHex(hex.toLowerCase());
}

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { inputs: { type: 'string' }, seed: { type: 'string' }, input: { type: 'string' } },
  });
  const targets = chosen(positionals);
  if (values.input !== undefined) {
    if (targets.length !== 1) throw new Misuse('--input takes one target');
    if (values.inputs !== undefined || values.seed !== undefined) throw new Misuse('--input is all there is to run');
    console.log(targets[0]!.check(bytesOf(values.input)));
    return 0;
  }
  const inputs = wholeNumber('--inputs', values.inputs ?? '1000000', 1);
  const seed = wholeNumber('--seed', values.seed ?? '1');
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

await runCommand(USAGE, main);
