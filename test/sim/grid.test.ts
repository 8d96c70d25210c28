import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** A few cheap rows by the compiled program, in a package folder of its own whose committed tables may be spoilt. */
const root = fileURLToPath(new URL('../..', import.meta.url));
const ROWS = '1 Mbit/s, 300 ms, 1 % loss, 250 kB';
const CONTROLLERS = ['AIMD', 'CUBIC', 'BBR'];

describe.runIf(existsSync(join(root, 'dist/sim/main.js')))('npm run sim -- grid (needs `npm run build`)', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'warren-grid-'));
    for (const built of ['base', 'wire', 'crypto', 'transport', 'report', 'sim']) {
      cpSync(join(root, 'dist', built), join(folder, 'dist', built), { recursive: true });
    }
    cpSync(join(root, 'package.json'), join(folder, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    mkdirSync(join(folder, 'sim/tables'), { recursive: true });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function wholeGrid(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    const program = join(folder, 'dist/sim/main.js');
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'grid', ...args], {
      encoding: 'utf8',
      timeout: 100_000,
    });
    return { status, stdout, stderr };
  }

  const grid = (...args: string[]): ReturnType<typeof wholeGrid> => wholeGrid('--only', ROWS, ...args);
  const committed = (): string => join(folder, 'sim/tables/grid.md');
  const commit = (text: string): void => writeFileSync(committed(), text);

  it('says that there is nothing to compare with', () => {
    const { status, stderr } = grid('--check');
    expect(status).toBe(2);
    expect(stderr).toMatch(/^there is no sim\/tables\/grid\.md; --write makes it\n\n/);
  });

  it('gives the same text however many cores it has, and finds it the same again', () => {
    const first = grid('--jobs', '1');
    expect(first).toMatchObject({ status: 0, stderr: '' });
    expect(first.stdout.match(/^\| 1 Mbit.*/gm)).toHaveLength(CONTROLLERS.length);
    expect(grid('--jobs', '3')).toEqual(first);
    commit(first.stdout);
    expect(grid('--check')).toEqual({ status: 0, stdout: '3 rows are as in sim/tables/grid.md\n', stderr: '' });
  });

  it('shows the row that is another, and fails', () => {
    const { stdout: text } = grid();
    const bbr = text.split('\n').find((line) => line.includes('/ BBR'))!;
    const spoilt = bbr.replace(/[\d.]+ \|$/, '9.9 |');
    commit(text.replace(bbr, spoilt));
    const { status, stdout, stderr } = grid('--check');
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    const lines = stdout.split('\n');
    expect(lines).toContain(`- ${spoilt}`);
    expect(lines).toContain(`+ ${bbr}`);
    expect(lines.filter((line) => /^[-+]/.test(line))).toHaveLength(2);
    expect(grid('--check', '--json')).toMatchObject({ status: 1, stderr: stdout });
  });

  it('prints as JSON what the benchmarks print, the time of each transfer beside its figure', () => {
    const { status, stdout, stderr } = grid('--json');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const report = JSON.parse(stdout);
    expect(Object.keys(report)).toEqual(['bench', 'machine', 'results']);
    expect(report.bench).toBe('grid');
    expect(report.results).toEqual(
      CONTROLLERS.flatMap((congestion) => [
        { case: `${ROWS} / ${congestion}`, metric: 'goodput', value: expect.any(Number), unit: 'Mbit/s', vs: {} },
        { case: `${ROWS} / ${congestion}`, metric: 'time', value: expect.any(Number), unit: 's', vs: {} },
      ]),
    );
  });

  it('names the runs that fail, and makes no tables with holes in them', () => {
    commit('as it was');
    const backend = 'export function hollowBackend() { throw new Error("planted"); }\n';
    writeFileSync(join(folder, 'dist/sim/hollow-backend.js'), backend);
    expect(grid()).toMatchObject({ status: 1, stderr: '' });
    expect(grid().stdout).toContain(`FAILED: ${ROWS} / BBR, seed 3: planted\n`);
    const { status, stdout } = wholeGrid('--write');
    expect(status).toBe(1);
    expect(stdout.match(/^FAILED: /gm)).toHaveLength(20);
    expect(stdout).toMatch(/^and \d+ more runs FAILED$/m);
    expect(readFileSync(committed(), 'utf8')).toBe('as it was');
  });
});
