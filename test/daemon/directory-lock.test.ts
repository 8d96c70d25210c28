import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as nodeFs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WarrenError } from '../../base/errors.ts';
import { AlreadyRunningError, DirectoryLock } from '../../daemon/directory-lock.ts';
import { isAlive, lookUpWithPs, ownMark, type ProcessMark } from '../../daemon/process-mark.ts';

const NONCE = '0123456789abcdef01234567';
const OTHER_NONCE = 'fedcba9876543210fedcba98';
/** Above what any system gives. */
const DEAD_PID = 2 ** 31 - 1;

let directory: string;
let path: string;
const held: DirectoryLock[] = [];

beforeEach(() => {
  directory = nodeFs.mkdtempSync(join(tmpdir(), 'warren-lock-'));
  path = join(directory, 'lock');
});

afterEach(() => {
  for (const lock of held.splice(0)) lock.release();
  nodeFs.rmSync(directory, { recursive: true, force: true });
});

async function acquire(): Promise<DirectoryLock> {
  const lock = await DirectoryLock.acquire(directory, 'state directory');
  held.push(lock);
  return lock;
}

async function refusal(): Promise<WarrenError> {
  try {
    await acquire();
  } catch (error) {
    if (error instanceof WarrenError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

function leave(name: string, owner: Partial<ProcessMark>, nonce: string = NONCE): void {
  const content = { ...ownMark(), ...owner, nonce };
  nodeFs.writeFileSync(join(directory, name), `${JSON.stringify(content)}\n`, { mode: 0o600 });
}

const names = (): string[] => nodeFs.readdirSync(directory).sort();

describe('a directory lock', () => {
  it('is held by one, and free again when it is released', async () => {
    const lock = await acquire();
    expect(lock.isHeld()).toBe(true);
    expect(names()).toEqual(['lock']);
    expect(nodeFs.statSync(path).mode & 0o777).toBe(0o600);
    lock.release();
    expect(lock.isHeld()).toBe(false);
    expect(names()).toEqual([]);
    expect((await acquire()).isHeld()).toBe(true);
  });

  it('is not had twice, by the same process neither, and says who has it', async () => {
    const lock = await acquire();
    const error = await refusal();
    expect(error).toBeInstanceOf(AlreadyRunningError);
    expect(error).toMatchObject({ code: 'ERR_WARREN_ALREADY_RUNNING', pid: process.pid });
    expect(error.message).toBe(`a daemon is at work in the state directory ${directory} already (pid ${process.pid})`);
    expect(error.hint).toContain('--state');
    expect(lock.isHeld()).toBe(true);
    expect(names()).toEqual(['lock']);
  });

  it('may be released more than once, and then harms no later owner', async () => {
    const first = await acquire();
    first.release();
    const second = await acquire();
    first.release();
    expect(second.isHeld()).toBe(true);
  });

  it('leaves no descriptor open', async () => {
    const count = (): number => nodeFs.readdirSync('/proc/self/fd').length;
    const before = count();
    for (let i = 0; i < 10; i++) {
      const lock = await acquire();
      await refusal();
      lock.release();
    }
    expect(count()).toBe(before);
  });

  it('knows when it was removed', async () => {
    const lock = await acquire();
    nodeFs.unlinkSync(path);
    expect(lock.isHeld()).toBe(false);
    const thief = await acquire();
    expect(lock.isHeld()).toBe(false);
    lock.release();
    expect(thief.isHeld()).toBe(true);
  });

  it('knows when its directory is gone, or another', async () => {
    const lock = await acquire();
    const moved = `${directory}-moved`;
    nodeFs.renameSync(directory, moved);
    expect(lock.isHeld()).toBe(false);
    nodeFs.mkdirSync(directory);
    nodeFs.copyFileSync(join(moved, 'lock'), path);
    expect(lock.isHeld()).toBe(false);
    nodeFs.rmSync(moved, { recursive: true });
  });

  it('in a directory that is missing, or that may not be written to, is an error that says so', async () => {
    nodeFs.rmSync(directory, { recursive: true });
    expect(await refusal()).toMatchObject({ code: 'ERR_WARREN_FILE_MISSING' });
    nodeFs.mkdirSync(directory);
  });
});

describe('a lock that was left behind', () => {
  it.each<[string, Partial<ProcessMark>]>([
    ['by a process that is gone', { pid: DEAD_PID }],
    ['by one whose number another process has now', { started: '1' }],
    ['before the machine was started again', { boot: 'another boot' }],
  ])('%s is taken over', async (_, owner) => {
    leave('lock', owner);
    const lock = await acquire();
    expect(lock.isHeld()).toBe(true);
    expect(JSON.parse(nodeFs.readFileSync(path, 'utf8'))).toMatchObject(ownMark());
    expect(names()).toEqual(['lock']);
  });

  it('by a process that lives is not', async () => {
    leave('lock', {});
    expect(await refusal()).toMatchObject({ code: 'ERR_WARREN_ALREADY_RUNNING', pid: process.pid });
    leave('lock', { started: '', boot: '' });
    expect((await refusal()).code).toBe('ERR_WARREN_ALREADY_RUNNING');
    expect(names()).toEqual(['lock']);
  });

  it('is taken over though whoever was about to do so was killed, and whoever came after', async () => {
    leave('lock', { pid: DEAD_PID });
    leave(`lock.${NONCE}`, { pid: DEAD_PID }, OTHER_NONCE);
    leave(`lock.${NONCE}.${OTHER_NONCE}`, { started: '1' }, NONCE);
    expect((await acquire()).isHeld()).toBe(true);
    expect(names()).toEqual(['lock']);
  });

  it('waits while a live process is about to take it over', async () => {
    leave('lock', { pid: DEAD_PID });
    leave(`lock.${NONCE}`, {}, OTHER_NONCE);
    const waiting = acquire();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(JSON.parse(nodeFs.readFileSync(path, 'utf8')).pid).toBe(DEAD_PID);
    // That process does what it was about to, and is the owner now.
    leave('new', {}, OTHER_NONCE);
    nodeFs.renameSync(join(directory, 'new'), path);
    nodeFs.unlinkSync(join(directory, `lock.${NONCE}`));
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_WARREN_ALREADY_RUNNING' });
    expect(names()).toEqual(['lock']);
  });

  it('and what crashes left beside it are cleared away, and nothing else', async () => {
    leave(`lock.${NONCE}`, { pid: DEAD_PID });
    leave(`.lock.${NONCE}.0.tmp`, { pid: DEAD_PID });
    leave(`.lock.${OTHER_NONCE}.1.tmp`, {});
    nodeFs.utimesSync(join(directory, `.lock.${NONCE}.0.tmp`), 1_000, 1_000);
    for (const name of ['lock.txt', 'peers.json', '.lock.swp']) nodeFs.writeFileSync(join(directory, name), '');
    await acquire();
    // The second claim is young: its owner may be about to find that it is too late.
    expect(names()).toEqual([`.lock.${OTHER_NONCE}.1.tmp`, '.lock.swp', 'lock', 'lock.txt', 'peers.json']);
  });

  it.each([
    ['nothing', ''],
    ['no JSON', '{"pid": 1'],
    ['another thing', '[1]'],
    ['a process that cannot be', '{"pid":0,"started":"","boot":"","nonce":"0123456789abcdef01234567"}'],
    ['a nonce that would lead elsewhere', '{"pid":1,"started":"","boot":"","nonce":"../../../../etc/passwd"}'],
    ['more than a lock can', 'x'.repeat(100_000)],
  ])('and holds %s is nobody’s to take', async (_, content) => {
    nodeFs.writeFileSync(path, content);
    const error = await refusal();
    expect(error).toMatchObject({
      code: 'ERR_WARREN_LOCK_UNREADABLE',
      hint: `where no daemon runs in there: rm ${path}`,
    });
    expect(nodeFs.readFileSync(path, 'utf8')).toBe(content);
    expect(names()).toEqual(['lock']);
  });

  it('and lost its content in a power cut is taken over: no process of this boot wrote it', async () => {
    nodeFs.writeFileSync(path, '');
    nodeFs.utimesSync(path, 1_000, 1_000);
    expect((await acquire()).isHeld()).toBe(true);
    expect(names()).toEqual(['lock']);
  });

  it('and is no file at all is nobody’s to take', async () => {
    nodeFs.mkdirSync(path);
    expect((await refusal()).code).toBe('ERR_WARREN_LOCK_UNREADABLE');
    nodeFs.rmdirSync(path);
    nodeFs.symlinkSync('nowhere', path);
    expect((await refusal()).code).toBe('ERR_WARREN_LOCK_UNREADABLE');
    nodeFs.unlinkSync(path);
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
    expect((await refusal()).code).toBe('ERR_WARREN_LOCK_UNREADABLE');
  });
});

describe('a process', () => {
  it('that runs is alive, under the boot and the beginning that are its own', () => {
    const mark = ownMark();
    expect(mark).toMatchObject({
      pid: process.pid,
      started: expect.stringMatching(/./),
      boot: expect.stringMatching(/./),
    });
    expect(isAlive(mark)).toBe(true);
    expect(isAlive({ ...mark, started: `${mark.started}1` })).toBe(false);
    expect(isAlive({ ...mark, boot: 'x' })).toBe(false);
  });

  it('of another user is alive', () => {
    // Process 1 belongs to root, and to nobody who may signal it where these tests do not run as root.
    expect(isAlive({ pid: 1, started: '', boot: '' })).toBe(true);
  });

  const hasPs = spawnSync('ps', ['-o', 'lstart=', '-p', String(process.pid)]).status === 0;

  it.runIf(hasPs)('that is dead and not yet buried is dead', async () => {
    // The shell becomes a program that never asks how its child went; the child ends with its input.
    const parent = spawn('sh', ['-c', 'exec 3<&0; cat <&3 & echo $!; exec sleep 60'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    try {
      const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
      const pid = Number(line);
      const name = (): string =>
        spawnSync('ps', ['-o', 'comm=', '-p', String(parent.pid)], { encoding: 'utf8' }).stdout;
      while (!name().includes('sleep'));
      expect(isAlive({ pid, started: '', boot: '' })).toBe(true);
      parent.stdin.end();
      for (let i = 0; isAlive({ pid, started: '', boot: '' }) && i < 500; i++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect(() => process.kill(pid, 0)).not.toThrow();
      expect(isAlive({ pid, started: '', boot: '' })).toBe(false);
    } finally {
      parent.kill('SIGKILL');
      await once(parent, 'exit');
    }
  });

  it.runIf(hasPs)('has a beginning without /proc too', () => {
    const found = lookUpWithPs(process.pid);
    expect(found?.isZombie).toBe(false);
    expect(Date.parse(`${found?.started} UTC`)).toBeGreaterThan(Date.now() - 86_400_000);
    expect(Date.parse(`${found?.started} UTC`)).toBeLessThan(Date.now() + 60_000);
    expect(lookUpWithPs(DEAD_PID)).toBe(undefined);
  });
});

/** Programs of their own, from the compiled sources. */
const compiled = new URL('../../dist/', import.meta.url);
const isCompiled = nodeFs.existsSync(new URL('daemon/directory-lock.js', compiled));

describe.runIf(isCompiled)('several processes (needs `npm run build`)', () => {
  const children: ChildProcess[] = [];

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  const PROGRAM = `
    import { DirectoryLock } from '${new URL('daemon/directory-lock.js', compiled)}';
    const say = (text) => process.stdout.write(text + '\\n');
    say('ready');
    let lock;
    process.stdin.setEncoding('utf8').on('data', async (words) => {
      for (const word of words.trim().split('\\n')) {
        if (word === 'release') { lock.release(); say('released'); continue; }
        try { lock = await DirectoryLock.acquire(process.argv[1], 'state directory'); say('held'); }
        catch (error) { say(error.code + ' ' + error.pid); }
      }
    });
  `;

  interface Racer {
    readonly child: ChildProcess;
    say(word: string): void;
    hear(): Promise<string>;
  }

  async function start(): Promise<Racer> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    const lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
    const racer: Racer = {
      child,
      say: (word) => void child.stdin!.write(`${word}\n`),
      hear: async () => (await lines.next()).value as string,
    };
    expect(await racer.hear()).toBe('ready');
    return racer;
  }

  async function kill({ child }: Racer): Promise<void> {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  it('of which one is killed: the next has the lock', async () => {
    const first = await start();
    first.say('acquire');
    expect(await first.hear()).toBe('held');
    expect((await refusal()).message).toContain(`(pid ${first.child.pid})`);
    await kill(first);
    expect((await acquire()).isHeld()).toBe(true);
    expect(names()).toEqual(['lock']);
  });

  it('of which one stands still: it keeps the lock', async () => {
    const first = await start();
    first.say('acquire');
    expect(await first.hear()).toBe('held');
    first.child.kill('SIGSTOP');
    expect(await refusal()).toMatchObject({ pid: first.child.pid });
  });

  it('twenty of them at once over a free, a stale and a twice stale lock: always exactly one', async () => {
    const racers = await Promise.all(Array.from({ length: 20 }, () => start()));
    for (let round = 0; round < 30; round++) {
      if (round % 3 > 0) leave('lock', { pid: DEAD_PID });
      if (round % 3 > 1) leave(`lock.${NONCE}`, { pid: DEAD_PID }, OTHER_NONCE);
      for (const racer of racers) racer.say('acquire');
      const said = await Promise.all(racers.map((racer) => racer.hear()));
      const winners = racers.filter((_, i) => said[i] === 'held');
      expect(winners.length, `round ${round}: ${said}`).toBe(1);
      expect(JSON.parse(nodeFs.readFileSync(path, 'utf8')).pid).toBe(winners[0]!.child.pid);
      for (const [i, words] of said.entries()) {
        if (racers[i] !== winners[0]) expect(words).toMatch(/^ERR_WARREN_ALREADY_RUNNING \d+$/);
      }
      winners[0]!.say('release');
      expect(await winners[0]!.hear()).toBe('released');
      expect(names(), `round ${round}`).toEqual([]);
    }
  });

  it('that are killed while they take it over leave a lock that can be taken over', async () => {
    leave('lock', { pid: DEAD_PID });
    for (let round = 0; round < 12; round++) {
      const racer = await start();
      racer.say('acquire');
      // From before it begins until after it has ended, in steps that no scheduler shares.
      const until = performance.now() + round * 0.7;
      while (performance.now() < until);
      await kill(racer);
      const lock = await acquire();
      expect(lock.isHeld()).toBe(true);
      lock.release();
      leave('lock', { pid: DEAD_PID });
    }
  });
});
