import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Daemon, isCompiled, MAIN, Sandbox, until } from './support.ts';

const sandbox = new Sandbox();
afterAll(() => sandbox.clear());

/** Takes nothing: every write to it fails as on a full disk. Linux and others have it. */
const FULL = '/dev/full';
const hasFull = existsSync(FULL);

interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Where = 'pipe' | 'full' | 'closed';

/** With standard output and standard error on a pipe, on a full disk, or on a pipe that nobody reads. */
async function run(
  words: readonly string[],
  stdout: Where,
  stderr: Where,
  input: string | Buffer = '',
  program: string = MAIN,
): Promise<Ended> {
  const full = [stdout, stderr].includes('full') ? openSync(FULL, 'w') : undefined;
  const of = (where: Where): number | 'pipe' => (where === 'full' ? full! : 'pipe');
  const child: ChildProcess = spawn(process.execPath, [program, ...words], {
    cwd: sandbox.directory,
    // What is left of anything is left in here.
    env: { ...sandbox.env, TMPDIR: sandbox.directory },
    stdio: ['pipe', of(stdout), of(stderr)],
  });
  if (full !== undefined) closeSync(full);
  // Long before it has started to say anything.
  if (stdout === 'closed') child.stdout!.destroy();
  if (stderr === 'closed') child.stderr!.destroy();
  const said = { stdout: '', stderr: '' };
  for (const which of ['stdout', 'stderr'] as const) {
    child[which]?.on('data', (chunk: Buffer) => {
      said[which] += chunk;
    });
  }
  child.stdin!.on('error', () => undefined).end(input);
  const [status, signal] = await once(child, 'close');
  return { status, signal, ...said };
}

const demonstrations = (): string[] => readdirSync(sandbox.directory).filter((name) => name.startsWith('warren-demo-'));

const FULL_TEXT =
  'warren: standard output cannot be written: the disk is full (ENOSPC) (ERR_WARREN_DISK_FULL)\n' +
  '  free some space, and run this again: what has been written is not whole\n';

describe.runIf(isCompiled)('output that cannot be written (needs `npm run build`)', () => {
  let alice: Daemon;
  const at = (words: string): string[] => ['--socket', alice.report.socket, ...words.split(' ')];

  beforeAll(async () => {
    alice = await sandbox.up('alice');
  });

  /** All that write to standard output; the way to oneself stands for a peer. */
  const COMMANDS = [
    'status',
    'record',
    'peers',
    'peer list',
    'why alice',
    'ping alice --count 2 --interval 0s',
    'bench alice --size 100KB',
    'help',
    'ping --help',
    '--version',
    'completion bash',
    'service systemd',
  ];

  describe.runIf(hasFull)('for a full disk', () => {
    it.each(COMMANDS)('fails %s with a code and what to do, and no more', async (line) => {
      const ended = await run(at(line), 'full', 'pipe');
      // It says where its file belongs, beside its output.
      const beside = line === 'service systemd' ? expect.stringContaining(FULL_TEXT) : FULL_TEXT;
      expect(ended).toEqual({ status: 1, signal: null, stdout: '', stderr: beside });
    });

    it.each([...COMMANDS, 'ping nobody'])('fails %s with --json in JSON, where it can be read', async (line) => {
      const { status, stderr } = await run([...at(line), '--json'], 'full', 'pipe');
      expect(stderr).toMatch(/^\{.*\}\n(\nIt belongs|$)/);
      expect([status, JSON.parse(stderr.split('\n')[0]!)]).toMatchObject([
        1,
        { ok: false, error: { code: 'ERR_WARREN_DISK_FULL' } },
      ]);
    });

    it('fails a stream in the middle', async () => {
      const dialled = await run(at('dial alice:7'), 'full', 'pipe', 'hello');
      expect(dialled).toMatchObject({ status: 1, stderr: FULL_TEXT });
    });

    it('fails a demonstration, of which nothing is left', async () => {
      expect(await run(['demo', '--size', '1KB'], 'full', 'pipe')).toMatchObject({ status: 1, stderr: FULL_TEXT });
      await until('the last daemon has cleared up', () => demonstrations().length === 0);
    });

    it('changes nothing where it is only standard error', async () => {
      const dialled = await run([...at('dial alice:7'), '--json'], 'pipe', 'full', 'hello');
      expect(dialled).toMatchObject({ status: 0, stdout: 'hello' });
      expect(await run(at('ping nobody'), 'pipe', 'full')).toMatchObject({ status: 1, stdout: '' });
      expect(await run(['statsu'], 'pipe', 'full')).toMatchObject({ status: 2 });
    });

    it('does not end a daemon', async () => {
      const socket = sandbox.path('frank', 'run');
      const words = ['up', '--state', sandbox.path('frank'), '--socket', socket, '--listen', '127.0.0.1:0', '--json'];
      const running = run(words, 'full', 'full');
      await until('it is up', async () => (await sandbox.run(['status', '--socket', socket])).status === 0);
      expect((await sandbox.run(['down', '--socket', socket])).status).toBe(0);
      expect(await running).toMatchObject({ status: 0, signal: null });
    });
  });

  describe('for nobody who reads', () => {
    it.each(COMMANDS)('ends %s without a word', async (line) => {
      const ended = await run(at(line), 'closed', 'pipe');
      // What goes beside the output is said all the same.
      const beside = line === 'service systemd' ? expect.stringContaining('It belongs into') : '';
      expect(ended).toMatchObject({ status: 0, signal: null, stderr: beside });
    });

    it.each<[string, number]>([
      ['ping nobody --json', 1],
      ['status --json --socket nowhere', 1],
      ['statsu --json', 2],
      ['ping --json=true', 2],
    ])('is no success of %s', async (line, expected) => {
      expect((await run(line.includes('--socket') ? line.split(' ') : at(line), 'closed', 'closed')).status).toBe(
        expected,
      );
    });

    it('ends a stream without a word', async () => {
      expect(await run(at('dial alice:7'), 'closed', 'pipe', randomBytes(1_000_000))).toMatchObject({
        status: 0,
        signal: null,
        stderr: '',
      });
    });

    it('changes nothing where it is only standard error', async () => {
      const dialled = await run([...at('dial alice:7'), '--json'], 'pipe', 'closed', 'hello');
      expect(dialled).toMatchObject({ status: 0, stdout: 'hello' });
    });

    it('leaves nothing of a demonstration', async () => {
      expect(await run(['demo', '--size', '1KB'], 'closed', 'pipe')).toMatchObject({ status: 0, stderr: '' });
      await until('the last daemon has cleared up', () => demonstrations().length === 0);
    });
  });

  it.runIf(hasFull)('fails the commands beside warren as well', async () => {
    const bench = join(dirname(MAIN), '..', 'bench', 'main.js');
    const ended = await run(['--help'], 'full', 'pipe', '', bench);
    expect(ended).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^standard output cannot be written: ENOSPC.*\n$/),
    });
  });

  it('is not taken for written where there was room for a part of it only', async () => {
    const file = sandbox.path('cut');
    // Blocks of bash have a KiB; what is beyond the limit is not written, and the next write fails.
    const script = 'ulimit -f 64; exec "$0" "$@" > cut';
    const child = spawn('bash', ['-c', script, process.execPath, MAIN, ...at('dial alice:7')], {
      cwd: sandbox.directory,
      env: sandbox.env,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    const bytes = randomBytes(66_000);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    child.stdin.end(bytes);
    const [status] = await once(child, 'close');
    expect([status, stderr]).toEqual([1, expect.stringContaining('cannot be written: EFBIG (ERR_WARREN_OUTPUT)')]);
    expect(readFileSync(file).equals(bytes.subarray(0, 65_536))).toBe(true);
  });

  it('has its other side: input that cannot be read is no end of it', async () => {
    const unreadable = openSync(sandbox.path('unreadable'), 'w');
    const child = spawn(process.execPath, [MAIN, ...at('dial alice:7')], {
      cwd: sandbox.directory,
      env: sandbox.env,
      stdio: [unreadable, 'pipe', 'pipe'],
    });
    closeSync(unreadable);
    let stderr = '';
    child.stderr!.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    child.stdout!.resume();
    const [status] = await once(child, 'close');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^warren: cannot read 'standard input': EBADF/)]);
  });
});
