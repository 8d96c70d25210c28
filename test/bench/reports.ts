import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

/** The compiled program, as `npm run bench` starts it. */
export const main: string = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly lines: string[];
  readonly stderr: string;
}

export async function bench(...args: string[]): Promise<Ended> {
  // What is to be fetched is taken from where it lies already, or left out: no test needs a network.
  const env = { ...process.env, npm_config_offline: 'true' };
  const child = spawn(process.execPath, [main, ...args], { env, timeout: 100_000 });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      said[stream] += text;
    });
  }
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, lines: said.stdout.trimEnd().split('\n'), stderr: said.stderr };
}

export interface Result {
  readonly case: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly vs: Record<string, number>;
}

/** What `--json` says, once it has the shape of a report. On standard error nothing stands but what was left out. */
export async function reportOf(name: string, seconds: string, ...flags: string[]): Promise<Result[]> {
  const { status, lines, stderr } = await bench(name, '--json', '--seconds', seconds, ...flags);
  const complaints = stderr.split('\n').filter((line) => !/^$|^[\w-]+: .* (is|are) left out/.test(line));
  expect({ status, complaints }).toEqual({ status: 0, complaints: [] });
  const report = JSON.parse(lines.at(-1)!);
  expect(Object.keys(report)).toEqual(['bench', 'machine', 'results']);
  expect(report.bench).toBe(name);
  expect(report.machine).toEqual({
    cpu: expect.any(String),
    cores: expect.any(Number),
    memoryGiB: expect.any(Number),
    kernel: expect.any(String),
    node: process.versions.node,
    openssl: process.versions.openssl,
  });
  for (const result of report.results as Result[]) {
    expect(Object.keys(result)).toEqual(['case', 'metric', 'value', 'unit', 'vs']);
    expect(result).toMatchObject({ case: expect.any(String), metric: expect.any(String), unit: expect.any(String) });
    expect(Number.isFinite(result.value)).toBe(true);
    for (const ratio of Object.values(result.vs)) expect(ratio).toBeGreaterThan(0);
  }
  return report.results;
}
