import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { filesBelow, isCompiled, type Running, Sandbox, until } from './support.ts';

const sandbox = new Sandbox();
afterAll(() => sandbox.clear());

/** Command lines of whatever runs and has the directory in its arguments. */
function processesOf(directory: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(directory));
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

describe.runIf(isCompiled && process.platform === 'linux')('warren demo (needs `npm run build`)', () => {
  let count = 0;
  let tmp: string;

  beforeEach(() => {
    tmp = sandbox.path(`tmp${count++}`);
    mkdirSync(tmp);
  });

  const start = (...words: readonly string[]): Running => sandbox.spawn(['demo', ...words], { TMPDIR: tmp });

  const nothingIsLeft = (): void => {
    expect(filesBelow(tmp)).toEqual([]);
    expect(processesOf(tmp)).toEqual([]);
  };

  it('tells step by step what two nodes do, and leaves nothing', async () => {
    const { status, stdout, stderr } = await start('--size', '2MB').finished;
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout.match(/^\d\. /gm)).toEqual(['1. ', '2. ', '3. ', '4. ', '5. ']);
    expect(stdout).toContain('alice says "hello bob", bob answers "hello alice"\n');
    expect(stdout).toMatch(/SHA-256 on both sides: [0-9a-f]{64}\n/);
    nothingIsLeft();
  });

  it('gives its figures to programs', async () => {
    const { status, stdout } = await start('--size', '1MB', '--json').finished;
    expect(status).toBe(0);
    const { ok, data } = JSON.parse(stdout);
    expect(ok).toBe(true);
    expect(data.nodes.map(({ name }: { name: string }) => name)).toEqual(['alice', 'bob']);
    expect(data.file).toMatchObject({ bytes: 1_000_000, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(data.file.megabytesPerSecond).toBeCloseTo(1 / data.file.seconds, 0);
    expect(data.echo).toMatchObject({ bytesSent: 1_000_000, bytesReceived: 1_000_000 });
    nothingIsLeft();
  });

  it.each([
    [
      'SIGINT',
      130,
      'the file is on its way',
      () => sizeOf(join(tmp, filesBelow(tmp)[0] ?? '', 'received')) > 1_000_000,
    ],
    ['SIGTERM', 143, 'both daemons start', () => processesOf(tmp).length === 2],
  ] as const)('clears up at %s, with %i, when %s', async (signal, code, what, isSo) => {
    const demo = start('--size', '64MB');
    await until(what, isSo);
    demo.child.kill(signal);
    expect(await demo.finished).toMatchObject({ status: code, stderr: '' });
    nothingIsLeft();
  });

  it('does not outlive its being killed', async () => {
    const demo = start('--size', '64MB');
    await until('both daemons run', () => processesOf(tmp).length === 2);
    demo.child.kill('SIGKILL');
    await until('they have ended', () => processesOf(tmp).length === 0);
    // The last of them has cleared up.
    expect(filesBelow(tmp)).toEqual([]);
  });
});
