import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { isFastPathThere } from '../../bench/rig/fast-path.ts';
import { main, type Result, reportOf } from './reports.ts';

/** Long enough to show that everything works: no figure of so short a run means anything. */
const SECONDS = '0.03';
const PATHS = ['default', 'mtu 1200', 'no-offload', 'mtu 1200 no-offload'];
const FLOWS = ['one-way', 'both-ways', 'echo'];

/** As many at once as have something to do while others wait. */
const AT_ONCE = 2;
let running = 0;
const waiting: (() => void)[] = [];

async function run(name: string, ...flags: string[]): Promise<Result[]> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return await reportOf(name, SECONDS, ...flags);
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

const find = (results: readonly Result[], name: string, metric: string): Result => {
  const found = results.find((one) => one.case === name && one.metric === metric);
  expect(found, `${name}, ${metric}`).toBeDefined();
  return found!;
};
/** `case, metric, unit`. */
const rowsOf = (results: readonly Result[]): string[] =>
  results.map(({ case: name, metric, unit }) => `${name}, ${metric}, ${unit}`);
const expectRows = (results: readonly Result[], rows: readonly string[]): void =>
  expect(rowsOf(results).sort()).toEqual([...rows].sort());

describe.runIf(existsSync(main)).concurrent('npm run bench, of nodes (needs `npm run build`)', () => {
  it('roofline says for every size of datagram what the pieces allow, plain and fast', async () => {
    const results = await run('roofline');
    const ways = (await isFastPathThere()) ? ['plain', 'fast'] : ['plain'];
    const rows = [1_200, 8_192, 32_768, 65_507].flatMap((size) =>
      ways.flatMap((way) => [
        `${way} ${size}, throughput, MB/s`,
        ...['p50', 'p99'].flatMap((quantile) => [
          `${way} ${size}, idle echo ${quantile}, µs`,
          `${way} ${size}, echo ${quantile} under bulk, µs`,
        ]),
      ]),
    );
    expectRows(results, [...rows, 'two bare Unix-socket hops, connect + reply + close, 1/s']);
    for (const { value } of results) expect(value).toBeGreaterThan(0);
    if (ways.includes('fast')) expect(find(results, 'fast 1200', 'throughput').vs).toHaveProperty('plain');
  });

  it('loopback measures every case, and each flow against the roofline with packets of its size', async () => {
    const results = await run('loopback');
    const rows = PATHS.flatMap((path) => [
      `${path}, packet size, B`,
      ...FLOWS.flatMap((flow) => [
        `${flow} ${path}, throughput, MB/s`,
        `roofline for ${flow} ${path}, throughput, MB/s`,
      ]),
    ]);
    const held = ['one-way default', 'one-way mtu 1200', 'one-way mtu 1200 no-offload'];
    expectRows(results, [...rows, ...held.map((name) => `${name}, throughput ÷ roofline, `)]);
    for (const name of held) expect(find(results, name, 'throughput').vs).toHaveProperty('roofline');
    for (const path of PATHS.filter((one) => one.includes('1200'))) {
      expect(find(results, path, 'packet size').value).toBe(1_200);
    }
  });

  it('loopback with flags measures what they say, and with --gigabytes a transfer that arrives whole', async () => {
    const flagged = await run('loopback', '--mtu', '1400', '--no-offload');
    expect(rowsOf(flagged)).toContain('one-way mtu 1400 no-offload, throughput, MB/s');
    const results = await run('loopback', '--gigabytes', '1');
    expectRows(results, [
      '1 GB default, throughput, MB/s',
      '1 GB default, arrived, %',
      '1 GB default, spurious resets, ',
      '1 GB default, sent beyond the payload, %',
      '1 GB default, packet size, B',
    ]);
    expect(find(results, '1 GB default', 'arrived').value).toBe(100);
    expect(find(results, '1 GB default', 'spurious resets').value).toBe(0);
  });

  it('embedded holds nodes in the programs against daemons', async () => {
    const results = await run('embedded');
    for (const path of PATHS) {
      for (const flow of FLOWS) expect(find(results, `${flow} ${path}`, 'throughput').unit).toBe('MB/s');
      expect(Object.keys(find(results, `one-way ${path}`, 'throughput').vs)).toEqual(['loopback', 'roofline']);
    }
    expect(find(results, 'mtu 1200', 'packet size').value).toBe(1_200);
  });

  it('peers holds nodes against others, and leaves out those that it cannot have', async () => {
    const results = await run('peers');
    const daemons = find(results, 'loopback default', 'throughput');
    expect(find(results, 'TLS over TCP', 'throughput').value).toBeGreaterThan(0);
    expect(daemons.vs).toHaveProperty('TLS');
    const nodes = find(results, 'embedded mtu 1200', 'throughput');
    for (const rival of ['udx-native', 'hyperdht']) {
      const isThere = results.some((one) => one.case.startsWith(rival));
      expect(Object.keys(nodes.vs).includes(rival)).toBe(isThere);
    }
  });

  it('latency gives quantiles, idle and under load, of nodes and of the roofline', async () => {
    const results = await run('latency');
    const rows = ['idle', 'under bulk'].flatMap((load) =>
      ['p50', 'p99', 'p99.9'].flatMap((quantile) => [`${load}, ${quantile}, µs`, `roofline ${load}, ${quantile}, µs`]),
    );
    expectRows(results, [...rows, 'idle, p50 ÷ roofline, ', 'under bulk, p99 ÷ roofline, ']);
    expect(find(results, 'idle', 'p99.9').vs).toHaveProperty('roofline');
  });

  it('dial counts round trips over a delay, and milliseconds without one', async () => {
    const results = await run('dial');
    expectRows(results, [
      '40 ms away, round trip, ms',
      'warm, 40 ms away, dial, ms',
      'warm, 40 ms away, beyond a round trip, ms',
      'cold, 40 ms away, dial, ms',
      'cold, 40 ms away, beyond 2 round trips, ms',
      'warm, on loopback, dial, ms',
      'warm, on loopback, dials, one after the other, 1/s',
      'cold, on loopback, dial, ms',
      'two bare Unix-socket hops, dial, ms',
    ]);
    // The delay is there, and a handshake takes a round trip more than none.
    expect(find(results, '40 ms away', 'round trip').value).toBeGreaterThan(40);
    expect(find(results, 'warm, 40 ms away', 'dial').value).toBeGreaterThan(40);
    expect(find(results, 'cold, 40 ms away', 'dial').value).toBeGreaterThan(80);
  });

  it('streams counts opens and closes of one to ten thousand', async () => {
    const results = await run('streams');
    const counts = ['1', '10', '100', '1,000', '10,000'];
    const rows = ['embedded', 'daemons', 'bare hops'].flatMap((layout) =>
      counts.map((count) => `${layout}, ${count}, opens + closes, 1/s`),
    );
    expectRows(results, [...rows, 'daemons, 10,000, opens + closes ÷ bare hops, ']);
    for (const { value } of results) expect(value).toBeGreaterThan(0);
  });

  it('memory weighs a tunnel and a stream', async () => {
    const results = await run('memory');
    const names = [
      'tunnel in a daemon',
      'stream in the daemon that dialled',
      'stream in the daemon that was dialled',
      'stream in a program with a node that dialled',
      'stream in a program with a node that was dialled',
    ];
    expectRows(
      results,
      names.flatMap((name) => [`${name}, held, KiB`, `${name}, resident, KiB`]),
    );
  });

  it('idle says what peers cost that say nothing', async () => {
    const results = await run('idle');
    const rows = ['1 peer', '100 peers', '1,000 peers'].flatMap((name) => [
      `${name}, cpu, % of a core`,
      `${name}, sent, B/s`,
      `${name}, received, B/s`,
    ]);
    expectRows(results, rows);
  });

  it('scale gives a curve over streams and one over idle peers', async () => {
    const results = await run('scale');
    const counts = ['10', '100', '1,000'];
    const names = [
      '1 stream',
      ...counts.map((count) => `${count} streams`),
      '1 idle peer',
      ...counts.map((count) => `${count} idle peers`),
    ];
    expectRows(
      results,
      names.flatMap((name) => [`${name}, cpu, s/GB`, `${name}, throughput, MB/s`]),
    );
    expect(find(results, '1,000 streams', 'cpu').vs).toHaveProperty('1 stream');
  });

  it('cc computes every controller over every link', async () => {
    const results = await run('cc');
    const links = ['100 Mbit/s, 30 ms', '100 Mbit/s, 100 ms, 1 % loss', '10 Mbit/s, 30 ms, 25-packet queue'];
    const rows = links.flatMap((link) => ['AIMD', 'CUBIC', 'BBR'].map((name) => `${link} / ${name}, goodput, Mbit/s`));
    expectRows(results, rows);
    for (const { vs } of results) expect(vs['the link']).toBeLessThanOrEqual(1);
  });
});

describe.runIf(existsSync(main) && process.platform !== 'win32')('a benchmark that is interrupted', () => {
  it('leaves no directory and no process behind', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'bench-test-'));
    const env = { ...process.env, TMPDIR: directory };
    const child = spawn(process.execPath, [main, 'loopback', '--seconds', '60'], { stdio: 'ignore', env });
    // Both daemons are at work.
    while (!readdirSync(directory, { recursive: true }).join().includes('far-run')) await sleep(20);
    child.kill('SIGINT');
    const [status] = await once(child, 'exit');
    expect({ status, left: readdirSync(directory) }).toEqual({ status: 130, left: [] });
    const processes = (): string => spawnSync('ps', ['-A', '-o', 'args'], { encoding: 'utf8' }).stdout;
    // Each was told in its command line where its sockets are; the kernel may still be clearing up after them.
    await expect.poll(processes, { timeout: 5_000 }).not.toContain(directory);
    rmdirSync(directory);
  });
});
