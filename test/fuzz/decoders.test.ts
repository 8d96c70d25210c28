import { describe, expect, it } from 'vitest';
import { fromHex } from '../../base/bytes.ts';
import { FuzzFinding, faultsOf, formatReport, fuzz, SLOWEST_MS_MAX } from '../../fuzz/run.ts';
import { ACCEPTED, decoderTarget, type FuzzTarget } from '../../fuzz/target.ts';
import { TARGETS } from '../../fuzz/targets/index.ts';

const INPUTS = 100_000;
const SEED = 20_260_701;

describe.each(TARGETS.map((target) => [target.name, target] as const))('the decoder of %s', (_name, target) => {
  it('accepts every entry of its corpus', () => {
    for (const entry of target.corpus()) expect(target.check(entry)).toBe(ACCEPTED);
  });

  it(`holds its properties over ${INPUTS} mutated inputs, in bounded time and memory`, () => {
    const report = fuzz(target, { inputs: INPUTS, seed: SEED });
    expect(faultsOf(report), formatReport(report)).toEqual([]);
  });
});

describe('the fuzzer', () => {
  const entry = fromHex('0102030405060708');
  const target = (decode: (input: Uint8Array) => { kind: 'value' }): FuzzTarget =>
    decoderTarget({ name: 'planted', corpus: () => [entry], decode, encode: () => entry });
  const run = (planted: FuzzTarget): FuzzFinding | undefined => {
    try {
      fuzz(planted, { inputs: 10_000, seed: 5 });
      return undefined;
    } catch (error) {
      if (error instanceof FuzzFinding) return error;
      throw error;
    }
  };

  it('finds a decoder that throws, and says how to see it again', () => {
    const planted = target((input) => {
      if (input[2] === 0xff) throw new RangeError('planted');
      return { kind: 'value' };
    });
    const strict: FuzzTarget = { ...planted, check: (input) => (input[2] === 0xff ? planted.check(input) : 'refused') };
    const finding = run(strict);
    expect(finding?.input[2]).toBe(0xff);
    expect(finding?.message).toMatch(
      /RangeError: planted\n {2}seed 5, input \d+\n {2}npm run fuzz -- planted --input [0-9a-f]+$/,
    );
  });

  it('finds a decoder that accepts what its encoder does not write', () => {
    expect(run(target(() => ({ kind: 'value' })))?.message).toContain(
      'accepted, but written again as 0102030405060708',
    );
  });

  it('finds a decoder that takes longer than a second over one input', () => {
    const slow: FuzzTarget = {
      name: 'planted',
      corpus: () => [entry],
      check: () => {
        const end = performance.now() + SLOWEST_MS_MAX + 1;
        while (performance.now() < end);
        return 'refused';
      },
    };
    expect(run(slow)?.message).toMatch(/^planted: one input took \d{4,} ms\n {2}seed 5, input 0\n.* 0102030405060708$/);
  });

  it('makes the same inputs from the same seed, and others from another', () => {
    const inputs = (seed: number): string => {
      const seen: string[] = [];
      const check = (input: Uint8Array): string => {
        seen.push(input.join());
        return 'refused';
      };
      const recorder: FuzzTarget = { name: 'recorder', corpus: () => [entry], check };
      fuzz(recorder, { inputs: 200, seed });
      return seen.join('\n');
    };
    expect(inputs(1)).toBe(inputs(1));
    expect(inputs(1)).not.toBe(inputs(2));
  });

  it('faults a run that accepts nothing, refuses nothing, is slow or keeps memory', () => {
    const report = { target: 'x', inputs: 1, seed: 1, reasons: new Map(), slowestUs: 1 };
    const good = { ...report, accepted: 1, refused: 1, meanUs: 1, heapGrowthBytes: 0 };
    expect(faultsOf(good)).toEqual([]);
    expect(faultsOf({ ...good, accepted: 0, refused: 0, meanUs: 51, heapGrowthBytes: 2 ** 27 })).toHaveLength(4);
  });
});
