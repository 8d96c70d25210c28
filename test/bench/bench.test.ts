import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** The compiled program, as `npm run bench` starts it. What it measures is not looked at here, only that it says it. */
const main = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));

function bench(...args: string[]): { status: number | null; lines: string[]; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    timeout: 100_000,
  });
  return { status, lines: stdout.trimEnd().split('\n'), stderr };
}

interface Result {
  readonly case: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly vs: Record<string, number>;
}

function reportOf(name: string, seconds = '1'): Result[] {
  const { status, lines, stderr } = bench(name, '--json', '--seconds', seconds);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
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

describe.runIf(existsSync(main))('npm run bench (needs `npm run build`)', () => {
  it('handshake counts both sides with both backends', () => {
    const results = reportOf('handshake');
    expect(results.map(({ case: name, metric, unit }) => [name, metric, unit])).toEqual(
      ['responder openssl', 'responder noble', 'initiator openssl', 'initiator noble'].map((name) => [
        name,
        'handshakes',
        '1/s',
      ]),
    );
    for (const { value } of results) expect(value).toBeGreaterThan(0);
  });

  it('handshake-flood says what each kind of junk costs, and ends the processes it started', () => {
    const results = reportOf('handshake-flood');
    const metrics = [
      ['cpu', '% of a core'],
      ['received', '1/s'],
      ['sent', '1/s'],
      ['short of the rate', '%'],
      ['memory growth', 'MiB'],
      ['replies', ''],
      ['event loop delay p99', 'ms'],
      ['honest nodes connected', '%'],
      ['honest node connects in', 'ms'],
    ];
    expect(results.map(({ case: name, metric, unit }) => [name, metric, unit])).toEqual(
      ['bad MAC1', 'random bytes', 'valid MAC1, forged, no cookie'].flatMap((name) =>
        metrics.map((metric) => [name, ...metric]),
      ),
    );
    const figure = (name: string, metric: string) =>
      results.find((one) => one.case === name && one.metric === metric)?.value;
    // Whoever does not know our key gets no byte from us: no figure, but the protocol.
    expect([figure('bad MAC1', 'replies'), figure('random bytes', 'replies')]).toEqual([0, 0]);
    expect(figure('valid MAC1, forged, no cookie', 'replies')).toBeGreaterThan(0);
  });

  it('hostile-client says what each attack costs another program, which none of them cuts off', () => {
    const results = reportOf('hostile-client', '0.2');
    const metrics = [
      ['idle echo p99', 'ms'],
      ['echo p99', 'ms'],
      ['echo p99 against idle', ''],
      ['echoes', '1/s'],
      ['hostile connections', '1/s'],
      ['of which closed', '1/s'],
      ['memory growth', 'MiB'],
    ];
    const attacks = [
      'length 2³² − 1',
      'a million empty frames',
      'a byte a second',
      'never reads',
      'unknown commands',
      '10,000 dials',
    ];
    expect(results.map(({ case: name, metric, unit }) => [name, metric, unit])).toEqual(
      attacks.flatMap((name) => metrics.map((metric) => [name, ...metric])),
    );
    for (const { metric, value } of results) if (metric === 'echoes') expect(value).toBeGreaterThan(0);
  });

  it('shows people the machine and a table', () => {
    const { status, lines } = bench('handshake', '--seconds', '0.1');
    expect(status).toBe(0);
    expect(lines[0]).toMatch(/^handshake on .* cores, .* GiB, .*, Node .*, OpenSSL /);
    expect(lines.some((line) => /^responder openssl +handshakes +[\d,.]+ +1\/s +.* in 5 rounds/.test(line))).toBe(true);
  });
});
