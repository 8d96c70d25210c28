import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as nodeFs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ascii } from '../../base/bytes.ts';
import { WarrenError } from '../../base/errors.ts';
import { REAL_FS } from '../../daemon/key-file.ts';
import { loadPort, portsToTry, savePort } from '../../daemon/listen-port.ts';
import { openOwnDirectory } from '../../daemon/own-directory.ts';
import { readPassphrase } from '../../daemon/passphrase-file.ts';
import { StateFile, type StateFileFs, type StateFileOptions } from '../../daemon/state-file.ts';
import { refusal } from './refusal.ts';

const OLD = ascii('old '.repeat(100));
const NEW = ascii('new '.repeat(120));
const NOBODY = 65534;
const isRoot = process.geteuid?.() === 0;

let base: string;
let path: string;

beforeEach(() => {
  base = nodeFs.mkdtempSync(join(tmpdir(), 'warren-state-'));
  path = join(base, 'peers.json');
});

afterEach(() => {
  nodeFs.chmodSync(base, 0o700);
  nodeFs.rmSync(base, { recursive: true, force: true });
});

function open(more: Partial<StateFileOptions> = {}): StateFile {
  return new StateFile(base, 'peers.json', { bytesMax: 100_000, isHeld: () => true, ...more });
}

function asNobody<T>(step: () => T): T {
  if (isRoot) process.seteuid!(NOBODY);
  try {
    return step();
  } finally {
    if (isRoot) process.seteuid!(0);
  }
}

const CALLS = ['open', 'close', 'read', 'write', 'fsync', 'fstat', 'rename', 'unlink', 'list'] as const;

/** The real file system, which asks before each of its calls. */
function hooked(before: (call: keyof StateFileFs) => void, writeMax = Number.POSITIVE_INFINITY): StateFileFs {
  const wrapped = CALLS.map((call) => [
    call,
    (...args: unknown[]): unknown => {
      before(call);
      if (call === 'write') args[3] = Math.min(args[3] as number, writeMax);
      return (REAL_FS[call] as (...args: unknown[]) => unknown)(...args);
    },
  ]);
  return Object.fromEntries(wrapped) as StateFileFs;
}

function errno(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code, syscall: 'injected' });
}

describe('a state file', () => {
  it('is nothing, then what was saved last, for its owner alone', () => {
    const file = open();
    expect(file.load()).toBe(undefined);
    for (const content of [OLD, NEW, new Uint8Array(0), new Uint8Array(100_000).fill(7)]) {
      file.save(content);
      expect(open().load()).toEqual(content);
      expect(nodeFs.statSync(path).mode & 0o777).toBe(0o600);
    }
    expect(nodeFs.readdirSync(base)).toEqual(['peers.json']);
  });

  it('is written piece by piece where the system takes no more at once', () => {
    open({ fs: hooked(() => {}, 7) }).save(NEW);
    expect(open().load()).toEqual(NEW);
  });

  it('is durable before it has its name, and so is the name', () => {
    const calls: string[] = [];
    open({ fs: hooked((call) => calls.push(call)) }).save(NEW);
    expect(calls).toEqual(['open', 'write', 'fsync', 'close', 'rename', 'open', 'fsync', 'close']);
  });

  it('is not written by who has lost the lock', () => {
    open().save(OLD);
    let held = true;
    const file = open({ isHeld: () => held });
    file.save(NEW);
    held = false;
    expect(refusal(() => file.save(OLD))).toMatchObject({ code: 'ERR_WARREN_LOCK_LOST' });
    expect(file.load()).toEqual(NEW);
    expect(nodeFs.readdirSync(base)).toEqual(['peers.json']);
  });

  it('that is larger than ours can be is not read', () => {
    nodeFs.writeFileSync(path, new Uint8Array(100_001));
    expect(refusal(() => open().load()).code).toBe('ERR_WARREN_FILE_TOO_LARGE');
  });

  it('that is no file is not read, and holds nobody up', () => {
    nodeFs.mkdirSync(path);
    expect(refusal(() => open().load()).code).toBe('ERR_WARREN_NOT_A_FILE');
    nodeFs.rmdirSync(path);
    nodeFs.symlinkSync(join(base, 'elsewhere'), path);
    nodeFs.writeFileSync(join(base, 'elsewhere'), 'x');
    expect(refusal(() => open().load()).code).toBe('ERR_WARREN_NOT_A_FILE');
    nodeFs.unlinkSync(path);
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
    expect(refusal(() => open().load()).code).toBe('ERR_WARREN_NOT_A_FILE');
  });

  it('takes what crashes left away when it is loaded, and nothing else', () => {
    for (const name of ['.peers.json.0123456789abcdef.tmp', '.peers.json.0123.tmp', '.other.0123456789abcdef.tmp']) {
      nodeFs.writeFileSync(join(base, name), 'x');
    }
    open().load();
    expect(nodeFs.readdirSync(base).sort()).toEqual(['.other.0123456789abcdef.tmp', '.peers.json.0123.tmp']);
  });
});

describe('a disk that fails', () => {
  const codes = [
    ['ENOSPC', 'ERR_WARREN_DISK_FULL'],
    ['EDQUOT', 'ERR_WARREN_DISK_FULL'],
    ['EROFS', 'ERR_WARREN_READ_ONLY'],
    ['EACCES', 'ERR_WARREN_FILE_ACCESS'],
    ['ENOENT', 'ERR_WARREN_FILE_MISSING'],
    ['EIO', 'ERR_WARREN_FILE_IO'],
  ] as const;

  it.each(codes)(
    'with %s in any step leaves the old content, or in the last the new, and no litter',
    (code, expected) => {
      const steps = 7;
      for (let failing = 1; failing <= steps; failing++) {
        open().save(OLD);
        let step = 0;
        const fs = hooked((call) => {
          // What is tidied up afterwards works again: the last close fails nobody.
          if (call !== 'unlink' && ++step === failing) throw errno(code);
        });
        const error = refusal(() => open({ fs }).save(NEW));
        expect(error.code, `step ${failing}`).toBe(expected);
        expect(error.message).toContain(path);
        expect(error.hint).not.toBe('');
        expect(open().load(), `step ${failing}`).toEqual(failing <= 5 ? OLD : NEW);
        expect(nodeFs.readdirSync(base)).toEqual(['peers.json']);
      }
    },
  );

  it('by taking nothing does not hang whoever saves', () => {
    open().save(OLD);
    const fs: StateFileFs = { ...REAL_FS, write: () => 0 };
    expect(refusal(() => open({ fs }).save(NEW)).code).toBe('ERR_WARREN_FILE_IO');
    expect(open().load()).toEqual(OLD);
  });

  it('to synchronise a directory, which some file systems never do, is not an error', () => {
    let syncs = 0;
    const fs = hooked((call) => {
      if (call === 'fsync' && ++syncs === 2) throw errno('EINVAL');
    });
    open({ fs }).save(NEW);
    expect(open().load()).toEqual(NEW);
  });

  it('by a mistake of ours is not explained away', () => {
    const fs = hooked(() => {
      throw new TypeError('oops');
    });
    expect(() => open({ fs }).save(NEW)).toThrow(TypeError);
  });

  it('because it is really full is said so, and harms nothing', (context) => {
    const disk = join(base, 'disk');
    nodeFs.mkdirSync(disk);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
    if (mounted.status !== 0) context.skip('mounting a small file system needs root');
    try {
      const file = new StateFile(disk, 'peers.json', { bytesMax: 100_000, isHeld: () => true });
      file.save(OLD);
      expect(refusal(() => file.save(new Uint8Array(90_000)))).toMatchObject({
        code: 'ERR_WARREN_DISK_FULL',
        hint: 'free some space',
      });
      expect(file.load()).toEqual(OLD);
      expect(nodeFs.readdirSync(disk)).toEqual(['peers.json']);
      file.save(NEW);
      expect(file.load()).toEqual(NEW);
    } finally {
      expect(spawnSync('umount', [disk]).status).toBe(0);
    }
  });

  it('because we may not write there is said so, and harms nothing', () => {
    open().save(OLD);
    if (isRoot) for (const at of [base, path]) nodeFs.chownSync(at, NOBODY, NOBODY);
    nodeFs.chmodSync(base, 0o500);
    expect(asNobody(() => refusal(() => open().save(NEW)))).toMatchObject({
      code: 'ERR_WARREN_FILE_ACCESS',
      hint: `ls -ld ${base} shows who may do so`,
    });
    expect(asNobody(() => open().load())).toEqual(OLD);
    nodeFs.chmodSync(base, 0o700);
    expect(nodeFs.readdirSync(base)).toEqual(['peers.json']);
  });
});

describe('a directory of ours', () => {
  const openBase = (name: string): ReturnType<typeof openOwnDirectory> =>
    openOwnDirectory(join(base, name), 'state directory');

  it('is made with all above it, for us alone whatever the umask', () => {
    for (const umask of [0, 0o022, 0o777]) {
      const before = process.umask(umask);
      try {
        // Above it the umask holds, as for everybody.
        if (umask !== 0o777) expect(openBase(`a${umask}/b/c`).created).toBe(true);
        expect(openBase(`d${umask}`)).toEqual({ path: join(base, `d${umask}`), created: true });
      } finally {
        process.umask(before);
      }
      expect(nodeFs.statSync(join(base, `d${umask}`)).mode & 0o7777).toBe(0o700);
    }
    expect(openBase('d0').created).toBe(false);
  });

  it.each([0o755, 0o770, 0o701, 0o710, 0o1777])('is not one that others may enter: %o', (mode) => {
    nodeFs.mkdirSync(join(base, 'd'));
    nodeFs.chmodSync(join(base, 'd'), mode);
    const error = refusal(() => openBase('d'));
    expect(error.code).toBe('ERR_WARREN_DIRECTORY_OPEN');
    expect(error.hint).toBe(mode === 0o1777 ? 'use a directory of your own inside it' : `chmod 700 ${join(base, 'd')}`);
    // It was not put right behind its owner's back.
    expect(nodeFs.statSync(join(base, 'd')).mode & 0o7777).toBe(mode);
  });

  it('is not a symbolic link, a file, or below a file', () => {
    nodeFs.mkdirSync(join(base, 'd'), { mode: 0o700 });
    nodeFs.symlinkSync('d', join(base, 'link'));
    expect(refusal(() => openBase('link'))).toMatchObject({
      code: 'ERR_WARREN_NOT_A_DIRECTORY',
      hint: `name the directory it points to: realpath ${join(base, 'link')}`,
    });
    nodeFs.symlinkSync('nowhere', join(base, 'dangling'));
    expect(refusal(() => openBase('dangling')).code).toMatch(/^ERR_WARREN_(NOT_A_DIRECTORY|FILE_MISSING)$/);
    expect(nodeFs.existsSync(join(base, 'nowhere'))).toBe(false);
    nodeFs.writeFileSync(join(base, 'file'), '');
    expect(refusal(() => openBase('file')).code).toBe('ERR_WARREN_NOT_A_DIRECTORY');
    expect(refusal(() => openBase('file/d'))).toBeInstanceOf(WarrenError);
  });

  it.runIf(isRoot)('is not another user’s (as root)', () => {
    nodeFs.mkdirSync(join(base, 'd'), { mode: 0o700 });
    nodeFs.chownSync(join(base, 'd'), NOBODY, NOBODY);
    expect(refusal(() => openBase('d')).code).toBe('ERR_WARREN_DIRECTORY_OWNER');
  });

  it('cannot be made where we may not', () => {
    if (isRoot) nodeFs.chownSync(base, NOBODY, NOBODY);
    nodeFs.chmodSync(base, 0o500);
    expect(asNobody(() => refusal(() => openBase('d'))).code).toBe('ERR_WARREN_FILE_ACCESS');
  });

  it('shows its name as a shell can read it, and a terminal may show it', () => {
    nodeFs.mkdirSync(join(base, "it's\x1b[2J"), { mode: 0o755 });
    expect(refusal(() => openBase("it's\x1b[2J")).hint).toBe(`chmod 700 '${base}/it'\\''s\\u{1b}[2J'`);
  });
});

describe('the port', () => {
  const file = (): StateFile => new StateFile(base, 'udp-port', { bytesMax: 16, isHeld: () => true });

  it('is remembered', () => {
    expect(loadPort(file())).toBe(undefined);
    savePort(file(), 50_000);
    expect(loadPort(file())).toBe(50_000);
    expect(nodeFs.readFileSync(join(base, 'udp-port'), 'utf8')).toBe('50000\n');
  });

  it.each(['', '0\n', '65536\n', '4440', 'x\n', '04440\n', '-1\n'])(
    'that was not ours to write is forgotten: %j',
    (text) => {
      nodeFs.writeFileSync(join(base, 'udp-port'), text);
      expect(loadPort(file())).toBe(undefined);
    },
  );

  it('that was had comes first, then the usual one, then those after it, then any', () => {
    const usual = Array.from({ length: 32 }, (_, i) => 4_440 + i);
    expect(portsToTry(undefined)).toEqual([...usual, 0]);
    expect(portsToTry(50_000)).toEqual([50_000, ...usual, 0]);
    expect(portsToTry(4_441)).toEqual([4_441, 4_440, ...usual.slice(2), 0]);
  });
});

describe('a passphrase file', () => {
  function read(content: string | Uint8Array): string {
    nodeFs.writeFileSync(join(base, 'secret'), content, { mode: 0o600 });
    return Buffer.from(readPassphrase(join(base, 'secret')).expose()).toString();
  }

  it.each([
    ['correct horse', 'correct horse'],
    ['correct horse\n', 'correct horse'],
    ['correct horse\r\nsecond line', 'correct horse'],
    [' spaces stay ', ' spaces stay '],
    ['Pa\u0308sse\n', 'Pässe'],
    ['x'.repeat(1_024), 'x'.repeat(1_024)],
  ])('holds it in its first line: %j', (content, passphrase) => expect(read(content)).toBe(passphrase));

  it.each([
    ['', 'its first line is empty'],
    ['\nsecond', 'its first line is empty'],
    ['x'.repeat(1_025), 'more than 1024 bytes'],
    [Uint8Array.of(0xff, 0xfe), 'not UTF-8'],
  ])('that holds none is refused, without a word of it: %j', (content, why) => {
    const error = refusal(() => read(content));
    expect(error).toMatchObject({ code: 'ERR_WARREN_PASSPHRASE_FILE' });
    expect(error.message).toContain(why);
  });

  it('may be a pipe', async () => {
    const pipe = join(base, 'pipe');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    const words = `exec >'${pipe}'; printf 'correct '; sleep 0.05; printf 'horse\\n'`;
    const writer = spawn('sh', ['-c', words], { stdio: 'ignore' });
    const exit = once(writer, 'exit');
    expect(Buffer.from(readPassphrase(pipe).expose()).toString()).toBe('correct horse');
    await exit;
  });

  it.each([0o640, 0o604, 0o620, 0o666, 0o601])('of ours that others have access to is refused: mode %o', (mode) => {
    const file = join(base, 'se cret');
    nodeFs.writeFileSync(file, 'correct horse\n');
    nodeFs.chmodSync(file, mode);
    const error = refusal(() => readPassphrase(file));
    expect(error).toMatchObject({
      code: 'ERR_WARREN_PASSPHRASE_FILE',
      message: `other users have access to the passphrase file '${file}' (mode ${mode.toString(8)})`,
      hint: expect.stringContaining(`chmod 600 '${file}'`),
    });
    nodeFs.chmodSync(file, 0o400);
    expect(Buffer.from(readPassphrase(file).expose()).toString()).toBe('correct horse');
  });

  it.runIf(process.geteuid!() === 0)('of another user, who lets us read it, is that one’s affair', () => {
    const file = join(base, 'secret');
    nodeFs.writeFileSync(file, 'correct horse\n');
    nodeFs.chownSync(file, 65_534, 65_534);
    nodeFs.chmodSync(file, 0o444);
    expect(Buffer.from(readPassphrase(file).expose()).toString()).toBe('correct horse');
  });

  it('that cannot be read says why', () => {
    expect(refusal(() => readPassphrase(join(base, 'none'))).code).toBe('ERR_WARREN_FILE_MISSING');
    expect(refusal(() => readPassphrase(base)).code).toBe('ERR_WARREN_FILE_IO');
  });
});

/** Programs of their own, from the compiled sources. */
const compiled = new URL('../../dist/', import.meta.url);
const isCompiled = nodeFs.existsSync(new URL('daemon/state-file.js', compiled));

describe.runIf(isCompiled)('a process (needs `npm run build`)', () => {
  const children: ChildProcess[] = [];

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  it('that is killed while it saves leaves the old content or the new', async () => {
    for (let kill = 1; kill <= 15; kill++) {
      const program = `
        import { StateFile } from '${new URL('daemon/state-file.js', compiled)}';
        const file = new StateFile(process.argv[1], 'peers.json', { bytesMax: 100000, isHeld: () => true });
        for (let i = 0; ; i++) {
          file.save(new TextEncoder().encode('x'.repeat(1 + (i * 37) % 50000) + '.'));
          if (i % 3 === 0) process.stdout.write('.');
        }
      `;
      const child = spawn(process.execPath, ['--input-type=module', '-e', program, base], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.push(child);
      let seen = 0;
      for await (const chunk of child.stdout) {
        seen += (chunk as Buffer).length;
        if (seen >= kill) break;
      }
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(Buffer.from(open().load()!).toString()).toMatch(/^x+\.$/);
      expect(nodeFs.readdirSync(base)).toEqual(['peers.json']);
    }
  });
});
