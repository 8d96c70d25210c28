import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as nodeFs from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ascii, toHex } from '../../base/bytes.ts';
import { WarrenError } from '../../base/errors.ts';
import { createIdentity } from '../../crypto/identity.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { encodeClearKeyFile, passphraseFromText } from '../../crypto/sealed-identity.ts';
import {
  createKeyFile,
  type IdentityOptions,
  type KeyFileFs,
  loadOrCreateIdentity,
  REAL_FS,
  readKeyFile,
  replaceKeyFile,
} from '../../daemon/key-file.ts';
import { SeededRng } from '../../sim/rng.ts';
import { shows } from '../unit/crypto/fixtures.ts';

const CONTENT = ascii(`{"content": "${'old '.repeat(100)}"}`);
const OTHER = ascii(`{"content": "${'new '.repeat(120)}"}`);
const NOBODY = 65534;
const isRoot = process.geteuid?.() === 0;

let base: string;
let path: string;

beforeEach(() => {
  base = nodeFs.mkdtempSync(join(tmpdir(), 'warren-key-file-'));
  path = join(base, 'identity.json');
});

afterEach(() => {
  nodeFs.chmodSync(base, 0o700);
  nodeFs.rmSync(base, { recursive: true, force: true });
});

function modeOf(file: string): number {
  return nodeFs.lstatSync(file).mode & 0o7777;
}

function codeOf(step: () => unknown): string {
  return refusal(step).code;
}

function refusal(step: () => unknown): WarrenError {
  try {
    step();
  } catch (error) {
    if (error instanceof WarrenError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

function withUmask<T>(umask: number, step: () => T): T {
  const before = process.umask(umask);
  try {
    return step();
  } finally {
    process.umask(before);
  }
}

function options(seed: number, more: Partial<IdentityOptions> = {}): IdentityOptions {
  return { backend: opensslBackend, rng: new SeededRng(seed), network: 7, cost: { n: 16, r: 8, p: 1 }, ...more };
}

/** The real file system with something done before each of its calls. */
function hooked(before: (call: keyof KeyFileFs, args: readonly unknown[]) => void, writeMax?: number): KeyFileFs {
  const calls = Object.keys(REAL_FS) as (keyof KeyFileFs)[];
  const wrapped = calls.map((call) => [
    call,
    (...args: unknown[]): unknown => {
      if (call === 'effectiveUser' || call === 'wallMs') return REAL_FS[call]();
      before(call, args);
      if (call === 'write' && writeMax !== undefined) args[3] = Math.min(args[3] as number, writeMax);
      return (REAL_FS[call] as (...args: unknown[]) => unknown)(...args);
    },
  ]);
  return Object.fromEntries(wrapped) as KeyFileFs;
}

function errno(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code, syscall: 'injected' });
}

describe('a new key file', () => {
  it('holds what was given, for its owner alone', () => {
    createKeyFile(path, CONTENT);
    expect(modeOf(path)).toBe(0o600);
    expect(readKeyFile(path)).toEqual(CONTENT);
    expect(nodeFs.readdirSync(base)).toEqual(['identity.json']);
  });

  it.each([0, 0o022, 0o077, 0o277, 0o777])('has mode 0600 whatever the umask: %o', (umask) => {
    withUmask(umask, () => createKeyFile(path, CONTENT));
    expect(modeOf(path)).toBe(0o600);
  });

  it('is private from its first moment, before it holds a byte', () => {
    const modes: number[] = [];
    const fs = hooked((call) => {
      if (call !== 'fchmod') return;
      const names = nodeFs.readdirSync(base);
      modes.push(...names.map((name) => modeOf(join(base, name))));
      expect(names.map((name) => nodeFs.statSync(join(base, name)).size)).toEqual([0]);
    });
    withUmask(0, () => createKeyFile(path, CONTENT, fs));
    expect(modes).toEqual([0o600]);
  });

  it('brings its directories along, for their owner alone', () => {
    const deep = join(base, 'a', 'b', 'identity.json');
    withUmask(0, () => createKeyFile(deep, CONTENT));
    expect(modeOf(join(base, 'a'))).toBe(0o700);
    expect(modeOf(join(base, 'a', 'b'))).toBe(0o700);
    expect(readKeyFile(deep)).toEqual(CONTENT);
  });

  it('never takes the place of anything that is there', () => {
    const outside = join(base, 'outside');
    const inTheWay: [string, () => void][] = [
      ['a file', () => nodeFs.writeFileSync(path, 'mine')],
      ['a directory', () => nodeFs.mkdirSync(path)],
      ['a symbolic link', () => nodeFs.symlinkSync(outside, path)],
    ];
    for (const [what, put] of inTheWay) {
      put();
      const before = nodeFs.lstatSync(path).ino;
      expect(
        codeOf(() => createKeyFile(path, CONTENT)),
        what,
      ).toBe('ERR_WARREN_KEY_FILE_EXISTS');
      expect(nodeFs.lstatSync(path).ino).toBe(before);
      expect(nodeFs.existsSync(outside)).toBe(false);
      nodeFs.rmSync(path, { recursive: true });
    }
    expect(nodeFs.readdirSync(base)).toEqual([]);
  });

  it('that another wrote in the meantime wins over ours', () => {
    const fs = hooked((call) => {
      if (call === 'link') createKeyFile(path, OTHER);
    });
    expect(codeOf(() => createKeyFile(path, CONTENT, fs))).toBe('ERR_WARREN_KEY_FILE_EXISTS');
    expect(readKeyFile(path)).toEqual(OTHER);
    expect(nodeFs.readdirSync(base)).toEqual(['identity.json']);
  });

  it('is made durable before it gets its name, and its name before it is reported', () => {
    const calls: string[] = [];
    createKeyFile(
      path,
      CONTENT,
      hooked((call) => calls.push(call)),
    );
    const order = ['write', 'fsync', 'close', 'link', 'unlink', 'fsync', 'close'];
    expect(calls.slice(calls.indexOf('write'))).toEqual(order);
  });

  it('is written to the end where the system takes a little at a time', () => {
    createKeyFile(
      path,
      CONTENT,
      hooked(() => undefined, 7),
    );
    expect(readKeyFile(path)).toEqual(CONTENT);
  });

  it('is refused where the file system keeps no modes or has no hard links', () => {
    const noModes: KeyFileFs = {
      ...REAL_FS,
      fstat: (fd) => {
        const status = nodeFs.fstatSync(fd);
        if (status.isFile()) status.mode |= 0o066;
        return status;
      },
    };
    expect(codeOf(() => createKeyFile(path, CONTENT, noModes))).toBe('ERR_WARREN_KEY_FILE_NOT_PRIVATE');
    const noLinks = hooked((call) => {
      if (call === 'link') throw errno('EPERM');
    });
    expect(codeOf(() => createKeyFile(path, CONTENT, noLinks))).toBe('ERR_WARREN_NO_LINKS');
    expect(nodeFs.readdirSync(base)).toEqual([]);
  });
});

describe('a key file being replaced', () => {
  it('holds the new content, for its owner alone', () => {
    createKeyFile(path, CONTENT);
    withUmask(0, () => replaceKeyFile(path, OTHER));
    expect(readKeyFile(path)).toEqual(OTHER);
    expect(modeOf(path)).toBe(0o600);
    expect(nodeFs.readdirSync(base)).toEqual(['identity.json']);
  });

  it('has to be there', () => {
    expect(codeOf(() => replaceKeyFile(path, OTHER))).toBe('ERR_WARREN_FILE_MISSING');
    expect(codeOf(() => replaceKeyFile(join(base, 'no', 'where'), OTHER))).toBe('ERR_WARREN_FILE_MISSING');
    expect(nodeFs.readdirSync(base)).toEqual([]);
  });

  it('has to be one that would be read', () => {
    createKeyFile(path, CONTENT);
    nodeFs.chmodSync(path, 0o640);
    expect(codeOf(() => replaceKeyFile(path, OTHER))).toBe('ERR_WARREN_KEY_FILE_PERMISSIONS');
    nodeFs.chmodSync(path, 0o600);
    expect(readKeyFile(path)).toEqual(CONTENT);
  });
});

describe('a key file being read', () => {
  it.each([0o600, 0o400, 0o700])('may have mode %o', (mode) => {
    createKeyFile(path, CONTENT);
    nodeFs.chmodSync(path, mode);
    expect(readKeyFile(path)).toEqual(CONTENT);
  });

  it.each([0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o666, 0o777])('may not have mode %o', (mode) => {
    createKeyFile(path, CONTENT);
    nodeFs.chmodSync(path, mode);
    const error = refusal(() => readKeyFile(path));
    expect(error.code).toBe('ERR_WARREN_KEY_FILE_PERMISSIONS');
    expect(error.message).toContain(`0${mode.toString(8)}`);
    expect(error.hint).toContain(`chmod 600 ${path}`);
  });

  it.each([0o700, 0o750, 0o755, 0o711, 0o500])('may lie in a directory of mode %o', (mode) => {
    createKeyFile(path, CONTENT);
    nodeFs.chmodSync(base, mode);
    expect(readKeyFile(path)).toEqual(CONTENT);
  });

  it.each([0o770, 0o720, 0o702, 0o777, 0o1777])('may not lie in a directory of mode %o', (mode) => {
    createKeyFile(path, CONTENT);
    nodeFs.chmodSync(base, mode);
    for (const step of [() => readKeyFile(path), () => replaceKeyFile(path, OTHER), () => createKeyFile(path, OTHER)]) {
      const error = refusal(step);
      expect(error.code).toBe('ERR_WARREN_DIRECTORY_OPEN');
      expect(error.hint).toBe(mode === 0o1777 ? 'use a directory of your own inside it' : `chmod 700 ${base}`);
    }
  });

  it('has a hint that can be typed as it stands, even where the path has spaces and quotes', () => {
    const odd = join(base, "it's mine", 'identity.json');
    createKeyFile(odd, CONTENT);
    nodeFs.chmodSync(odd, 0o644);
    const { hint } = refusal(() => readKeyFile(odd));
    const typed = spawnSync('sh', ['-c', hint.slice(0, hint.indexOf(';'))]);
    expect(typed.status).toBe(0);
    expect(readKeyFile(odd)).toEqual(CONTENT);
  });

  it('is a file itself, and nothing that leads to one', async () => {
    const target = join(base, 'target');
    createKeyFile(target, CONTENT);
    const code = 'ERR_WARREN_NOT_A_FILE';

    nodeFs.symlinkSync(target, path);
    expect(refusal(() => readKeyFile(path))).toMatchObject({ code, message: expect.stringContaining('symbolic link') });
    nodeFs.rmSync(path);

    nodeFs.mkdirSync(path);
    expect(codeOf(() => readKeyFile(path))).toBe(code);
    nodeFs.rmdirSync(path);

    expect(spawnSync('mkfifo', ['-m', '600', path]).status).toBe(0);
    expect(codeOf(() => readKeyFile(path))).toBe(code);
    nodeFs.rmSync(path);

    const server = createServer().listen(path);
    await once(server, 'listening');
    expect(codeOf(() => readKeyFile(path))).toBe(code);
    server.close();
  });

  it('may lie behind a symbolic link to a directory of ours', () => {
    createKeyFile(path, CONTENT);
    const link = `${base}-link`;
    nodeFs.symlinkSync(base, link);
    try {
      expect(readKeyFile(join(link, 'identity.json'))).toEqual(CONTENT);
    } finally {
      nodeFs.unlinkSync(link);
    }
  });

  it('is not larger than 64 KiB', () => {
    createKeyFile(path, new Uint8Array(65_536));
    expect(readKeyFile(path).length).toBe(65_536);
    replaceKeyFile(path, new Uint8Array(65_537));
    expect(codeOf(() => readKeyFile(path))).toBe('ERR_WARREN_FILE_TOO_LARGE');
  });

  it('is missing where there is nothing, or no directory either', () => {
    expect(codeOf(() => readKeyFile(path))).toBe('ERR_WARREN_FILE_MISSING');
    expect(codeOf(() => readKeyFile(join(base, 'no', 'where')))).toBe('ERR_WARREN_FILE_MISSING');
  });

  it('has a path that a file can have', () => {
    for (const step of [() => readKeyFile('a\0b'), () => createKeyFile('a\0b', CONTENT)]) {
      expect(codeOf(step)).toBe('ERR_WARREN_ARGUMENT');
    }
    expect(codeOf(() => loadOrCreateIdentity('a\0b', options(1)))).toBe('ERR_WARREN_ARGUMENT');
  });

  it('does not lie in a file', () => {
    createKeyFile(path, CONTENT);
    const below = join(path, 'identity.json');
    expect(codeOf(() => readKeyFile(below))).toBe('ERR_WARREN_NOT_A_DIRECTORY');
    expect(codeOf(() => createKeyFile(below, CONTENT))).toBe('ERR_WARREN_NOT_A_DIRECTORY');
  });
});

describe('another user', () => {
  it('owns neither the key file nor its directory', () => {
    createKeyFile(path, CONTENT);
    const { uid } = nodeFs.statSync(path);
    const fileOfAnother: KeyFileFs = {
      ...REAL_FS,
      fstat: (fd) => {
        const status = nodeFs.fstatSync(fd);
        if (status.isFile()) status.uid = uid + 1;
        return status;
      },
    };
    expect(codeOf(() => readKeyFile(path, fileOfAnother))).toBe('ERR_WARREN_KEY_FILE_OWNER');
    const someoneElse: KeyFileFs = { ...REAL_FS, effectiveUser: () => uid + 1 };
    expect(codeOf(() => readKeyFile(path, someoneElse))).toBe('ERR_WARREN_DIRECTORY_OWNER');
    expect(codeOf(() => createKeyFile(join(base, 'x'), CONTENT, someoneElse))).toBe('ERR_WARREN_DIRECTORY_OWNER');
  });

  it.runIf(isRoot)('is told apart by the real file system (as root)', () => {
    createKeyFile(path, CONTENT);
    nodeFs.chownSync(path, NOBODY, NOBODY);
    expect(codeOf(() => readKeyFile(path))).toBe('ERR_WARREN_KEY_FILE_OWNER');
    nodeFs.chownSync(path, 0, 0);
    nodeFs.chownSync(base, NOBODY, NOBODY);
    expect(codeOf(() => readKeyFile(path))).toBe('ERR_WARREN_DIRECTORY_OWNER');
    expect(codeOf(() => createKeyFile(join(base, 'x'), CONTENT))).toBe('ERR_WARREN_DIRECTORY_OWNER');
  });

  it.runIf(isRoot)('cannot read it (as root)', () => {
    createKeyFile(path, CONTENT);
    nodeFs.chmodSync(base, 0o755);
    asNobody(() => expect(() => nodeFs.openSync(path, 'r')).toThrow('EACCES'));
  });

  it('is what we are to a directory that we may not write to', () => {
    if (isRoot) nodeFs.chownSync(base, NOBODY, NOBODY);
    nodeFs.chmodSync(base, 0o500);
    const step = (): string => codeOf(() => createKeyFile(path, CONTENT));
    expect(isRoot ? asNobody(step) : step()).toBe('ERR_WARREN_FILE_ACCESS');
    expect(nodeFs.readdirSync(base)).toEqual([]);
  });

  function asNobody<T>(step: () => T): T {
    process.seteuid!(NOBODY);
    try {
      return step();
    } finally {
      process.seteuid!(0);
    }
  }
});

/** Stops the program before one of its calls: neither that nor any later call is made, whatever it would have tidied up. */
class Crash extends Error {}

function crashingAt(step: number): { fs: KeyFileFs; calls: () => number; release: () => void } {
  let calls = 0;
  const opened = new Set<number>();
  const inner = hooked((call, args) => {
    if (calls === step) throw new Crash();
    calls++;
    if (call === 'close') opened.delete(args[0] as number);
  }, 100);
  const fs: KeyFileFs = {
    ...inner,
    open: (...args) => {
      const fd = inner.open(...args);
      opened.add(fd);
      return fd;
    },
  };
  const release = (): void => {
    for (const fd of opened) nodeFs.closeSync(fd);
  };
  return { fs, calls: () => calls, release };
}

describe('a crash', () => {
  const STEPS_MAX = 100;

  /** Runs a step with a crash before each of its calls in turn, until it gets through. */
  function atEveryCall(prepare: () => void, run: (fs: KeyFileFs) => void, check: (survived: boolean) => void): void {
    for (let step = 0; step < STEPS_MAX; step++) {
      nodeFs.rmSync(base, { recursive: true, force: true });
      nodeFs.mkdirSync(base, { mode: 0o700 });
      prepare();
      const { fs, calls, release } = crashingAt(step);
      let survived = true;
      try {
        run(fs);
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        survived = false;
      } finally {
        release();
      }
      check(survived);
      // Past the last call, nothing was cut off.
      if (calls() < step) return;
    }
    throw new Error('it never got through');
  }

  it('while a key file is made leaves none or a whole one', () => {
    const seen = new Set<string>();
    atEveryCall(
      () => undefined,
      (fs) => createKeyFile(join(base, 'sub', 'key'), CONTENT, fs),
      (survived) => {
        const file = join(base, 'sub', 'key');
        const present = nodeFs.existsSync(file);
        if (present) expect(readKeyFile(file)).toEqual(CONTENT);
        else expect(survived).toBe(false);
        seen.add(present ? 'whole' : 'none');
        if (!nodeFs.existsSync(join(base, 'sub'))) return;
        for (const name of nodeFs.readdirSync(join(base, 'sub'))) expect(modeOf(join(base, 'sub', name))).toBe(0o600);
      },
    );
    expect([...seen].sort()).toEqual(['none', 'whole']);
  });

  it('while a key file is replaced leaves the old one or the new one', () => {
    const seen = new Set<string>();
    atEveryCall(
      () => createKeyFile(path, CONTENT),
      (fs) => replaceKeyFile(path, OTHER, fs),
      (survived) => {
        const content = readKeyFile(path);
        const isNew = toHex(content) === toHex(OTHER);
        expect(content).toEqual(isNew ? OTHER : CONTENT);
        if (survived) expect(isNew).toBe(true);
        seen.add(isNew ? 'new' : 'old');
      },
    );
    expect([...seen].sort()).toEqual(['new', 'old']);
  });

  it('while an identity is made does not keep the next start from having one, nor leave anything behind', () => {
    atEveryCall(
      () => undefined,
      (fs) => loadOrCreateIdentity(path, options(1, { fs })),
      () => {
        for (const name of nodeFs.readdirSync(base)) nodeFs.utimesSync(join(base, name), 1000, 1000);
        const had = nodeFs.existsSync(path);
        const { identity, created } = loadOrCreateIdentity(path, options(2));
        expect(created).toBe(!had);
        expect(loadOrCreateIdentity(path, options(3)).identity.address).toEqual(identity.address);
        expect(nodeFs.readdirSync(base)).toEqual(['identity.json']);
      },
    );
  });

  it('leaves a temporary file, which is removed only once nobody can be writing it', () => {
    const fresh = join(base, '.identity.json.0123456789abcdef.tmp');
    const stale = join(base, '.identity.json.fedcba9876543210.tmp');
    const bystanders = [
      '.identity.json.tmp',
      '.other.json.0123456789abcdef.tmp',
      '.identity.json.0123456789abcdef.tmp~',
    ];
    for (const file of [fresh, stale, ...bystanders.map((name) => join(base, name))]) nodeFs.writeFileSync(file, '');
    for (const name of nodeFs.readdirSync(base)) {
      if (join(base, name) !== fresh) nodeFs.utimesSync(join(base, name), 1000, 1000);
    }
    createKeyFile(path, CONTENT);
    const left = [fresh, path, ...bystanders.map((name) => join(base, name))].sort();
    expect(
      nodeFs
        .readdirSync(base)
        .map((name) => join(base, name))
        .sort(),
    ).toEqual(left);
  });
});

describe('a failing file system', () => {
  const CODES: Readonly<Record<string, string>> = {
    ENOSPC: 'ERR_WARREN_DISK_FULL',
    EDQUOT: 'ERR_WARREN_DISK_FULL',
    EROFS: 'ERR_WARREN_READ_ONLY',
    EACCES: 'ERR_WARREN_FILE_ACCESS',
    EIO: 'ERR_WARREN_FILE_IO',
  };

  /** Fails one call and no other, so that tidying up succeeds; says which call it was. */
  function failingAt(step: number, code: string): { fs: KeyFileFs; failed: () => string | undefined } {
    let calls = 0;
    let failed: string | undefined;
    const fs = hooked((call, args) => {
      if (calls++ !== step) return;
      failed = call;
      // A close that fails has closed all the same.
      if (call === 'close') nodeFs.closeSync(args[0] as number);
      throw errno(code);
    }, 100);
    return { fs, failed: () => failed };
  }

  function openDescriptors(): number {
    return process.platform === 'linux' ? nodeFs.readdirSync('/proc/self/fd').length : 0;
  }

  it.each(Object.entries(CODES))('%s while a key file is made is %s, and does no damage', (errnoCode, code) => {
    for (let step = 0; ; step++) {
      nodeFs.rmSync(base, { recursive: true, force: true });
      nodeFs.mkdirSync(base, { mode: 0o700 });
      const { fs, failed } = failingAt(step, errnoCode);
      const descriptors = openDescriptors();
      let error: unknown;
      try {
        createKeyFile(join(base, 'sub', 'key'), CONTENT, fs);
      } catch (caught) {
        error = caught;
      }
      expect(openDescriptors()).toBe(descriptors);
      if (failed() === undefined) break;
      if (error !== undefined) {
        expect(error, failed()).toBeInstanceOf(WarrenError);
        expect(error, failed()).toMatchObject({ code, message: expect.stringContaining(errnoCode) });
      }
      const names = attempt(() => nodeFs.readdirSync(join(base, 'sub'))) ?? [];
      const files = failed() === 'unlink' ? names.filter((name) => !name.endsWith('.tmp')) : names;
      expect(files.filter((name) => name !== 'key')).toEqual([]);
      if (files.includes('key')) expect(readKeyFile(join(base, 'sub', 'key'))).toEqual(CONTENT);
      else expect(error).toBeDefined();
    }
  });

  it.each(Object.entries(CODES))('%s while a key file is replaced is %s, and does no damage', (errnoCode, code) => {
    createKeyFile(path, CONTENT);
    for (let step = 0; ; step++) {
      const before = readKeyFile(path);
      const next = step % 2 === 0 ? OTHER : CONTENT;
      const { fs, failed } = failingAt(step, errnoCode);
      let error: unknown;
      try {
        replaceKeyFile(path, next, fs);
      } catch (caught) {
        error = caught;
      }
      if (failed() === undefined) break;
      if (error !== undefined) expect(error, failed()).toMatchObject({ code });
      const content = readKeyFile(path);
      expect([toHex(before), toHex(next)]).toContain(toHex(content));
      if (error === undefined) expect(content).toEqual(next);
      expect(nodeFs.readdirSync(base)).toEqual(['identity.json']);
    }
  });

  it('that fails while a key file is read is reported', () => {
    createKeyFile(path, CONTENT);
    const fs = hooked((call) => {
      if (call === 'read') throw errno('EIO');
    });
    expect(codeOf(() => readKeyFile(path, fs))).toBe('ERR_WARREN_FILE_IO');
  });

  it('that cannot synchronise a directory has nothing to synchronise', () => {
    let syncs = 0;
    const fs = hooked((call) => {
      if (call === 'fsync' && ++syncs === 2) throw errno('EINVAL');
    });
    createKeyFile(path, CONTENT, fs);
    expect(syncs).toBe(2);
    expect(readKeyFile(path)).toEqual(CONTENT);
  });

  function attempt<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch {
      return undefined;
    }
  }
});

describe('the identity of a key file', () => {
  const passphrase = passphraseFromText('open sesame')!;

  it('is made once and the same from then on', () => {
    const first = loadOrCreateIdentity(path, options(1));
    const second = loadOrCreateIdentity(path, options(2));
    expect(first.created).toBe(true);
    expect(second.created).toBe(false);
    expect(second.identity.address).toEqual(first.identity.address);
    expect(second.identity.signing.publicKey).toEqual(first.identity.signing.publicKey);
    expect(second.identity.exchange.publicKey).toEqual(first.identity.exchange.publicKey);
    expect(modeOf(path)).toBe(0o600);
  });

  it('is sealed where a passphrase is given, and opens with that one', () => {
    const first = loadOrCreateIdentity(path, options(1, { passphrase }));
    const second = loadOrCreateIdentity(path, options(2, { passphrase }));
    expect(second.identity.address).toEqual(first.identity.address);
    const text = nodeFs.readFileSync(path, 'utf8');
    expect(text).not.toContain(toHex(first.identity.secrets.signingSeed.expose()));
    expect(text).not.toContain(toHex(first.identity.secrets.exchangeSecret.expose()));
  });

  it.each<[string, string | undefined, string | undefined]>([
    ['ERR_WARREN_KEY_FILE_SEALED', 'open sesame', undefined],
    ['ERR_WARREN_KEY_FILE_PASSPHRASE', 'open sesame', 'open barley'],
    ['ERR_WARREN_KEY_FILE_NOT_SEALED', undefined, 'open sesame'],
  ])('is refused with %s', (code, sealedUnder, openedWith) => {
    const under = (text: string | undefined): Partial<IdentityOptions> => {
      return text === undefined ? {} : { passphrase: passphraseFromText(text) };
    };
    loadOrCreateIdentity(path, options(1, under(sealedUnder)));
    expect(codeOf(() => loadOrCreateIdentity(path, options(1, under(openedWith))))).toBe(code);
  });

  it('is refused for another network', () => {
    loadOrCreateIdentity(path, options(1));
    expect(codeOf(() => loadOrCreateIdentity(path, options(1, { network: 8 })))).toBe('ERR_WARREN_KEY_FILE_NETWORK');
  });

  it.each([
    ['ERR_WARREN_KEY_FILE_DAMAGED', '{"format": "warren identity", "version": 1}'],
    ['ERR_WARREN_KEY_FILE_DAMAGED', ''],
    ['ERR_WARREN_KEY_FILE_VERSION', '{"format": "warren identity", "version": 2}'],
  ])('is refused with %s where the file says something else, and the file stays as it is', (code, text) => {
    createKeyFile(path, ascii(text));
    expect(codeOf(() => loadOrCreateIdentity(path, options(1)))).toBe(code);
    expect(nodeFs.readFileSync(path, 'utf8')).toBe(text);
  });

  it('is the first one where two start at once', () => {
    let winner: ReturnType<typeof loadOrCreateIdentity> | undefined;
    const fs = hooked((call) => {
      if (call === 'link') winner = loadOrCreateIdentity(path, options(1));
    });
    const loser = loadOrCreateIdentity(path, options(2, { fs }));
    expect(winner?.created).toBe(true);
    expect(loser.created).toBe(false);
    expect(loser.identity.address).toEqual(winner?.identity.address);
  });

  it('does not show its secrets in any error', () => {
    const { identity } = loadOrCreateIdentity(path, options(1));
    const { signingSeed } = identity.secrets;
    const text = nodeFs.readFileSync(path, 'utf8');
    const bends = [
      text.slice(0, -3),
      text.replace('"secrets"', '"secret"'),
      text.replace(/"counter": 0/, '"counter": 1'),
    ];
    for (const bent of bends) {
      replaceKeyFile(path, ascii(bent));
      expect(
        shows(
          refusal(() => loadOrCreateIdentity(path, options(1))),
          signingSeed.expose(),
        ),
      ).toBe(false);
    }
    replaceKeyFile(path, ascii(text));
    expect(
      shows(
        refusal(() => loadOrCreateIdentity(path, options(1, { network: 8 }))),
        signingSeed.expose(),
      ),
    ).toBe(false);
    const failing = hooked((call) => {
      if (call === 'fsync') throw errno('EIO');
    });
    const fresh = createIdentity(opensslBackend, new SeededRng(9), 7);
    const error = refusal(() => createKeyFile(join(base, 'x'), encodeClearKeyFile(fresh), failing));
    expect(shows(error, fresh.secrets.signingSeed.expose())).toBe(false);
  });
});

/** Programs of their own, from the compiled sources. */
const compiled = new URL('../../dist/', import.meta.url);
const isCompiled = nodeFs.existsSync(new URL('daemon/key-file.js', compiled));

describe.runIf(isCompiled)('several processes (needs `npm run build`)', () => {
  const children: ChildProcess[] = [];

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  function start(program: string): ChildProcess {
    const imports = `
      import { randomFillSync } from 'node:crypto';
      import { opensslBackend as backend } from '${new URL('crypto/openssl.js', compiled)}';
      import { loadOrCreateIdentity, replaceKeyFile } from '${new URL('daemon/key-file.js', compiled)}';
      const path = process.argv[1];
      const rng = { fill: (bytes) => void randomFillSync(bytes) };
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', imports + program, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    return child;
  }

  it('that start at once get one and the same identity', async () => {
    const racers = [1, 2, 3, 4].map(() =>
      start(`
        console.log('ready');
        process.stdin.once('data', () => {
          const { identity, created } = loadOrCreateIdentity(path, { backend, rng, network: 0 });
          console.log(JSON.stringify({ created, node: identity.address.node }));
          process.exit();
        });
      `),
    );
    const lines = racers.map((child) => createInterface(child.stdout!)[Symbol.asyncIterator]());
    for (const from of lines) expect((await from.next()).value).toBe('ready');
    for (const child of racers) child.stdin!.write('go\n');
    const results = [];
    for (const from of lines) results.push(JSON.parse((await from.next()).value as string));
    expect(results.filter(({ created }) => created).length).toBe(1);
    expect(new Set(results.map(({ node }) => node)).size).toBe(1);
    expect(nodeFs.readdirSync(base)).toEqual(['identity.json']);
  });

  it('that are killed while they replace a key file leave the old one or the new one', async () => {
    createKeyFile(path, CONTENT);
    for (let kill = 1; kill <= 10; kill++) {
      const child = start(`
        for (let i = 0; ; i++) {
          replaceKeyFile(path, new TextEncoder().encode('x'.repeat(1 + i % 5000) + '.'));
          if (i % 7 === 0) process.stdout.write('.');
        }
      `);
      let seen = 0;
      for await (const chunk of child.stdout!) {
        seen += (chunk as Buffer).length;
        if (seen >= kill) break;
      }
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(Buffer.from(readKeyFile(path)).toString()).toMatch(/^x+\.$/);
    }
    for (const name of nodeFs.readdirSync(base)) nodeFs.utimesSync(join(base, name), 1000, 1000);
    replaceKeyFile(path, OTHER);
    expect(nodeFs.readdirSync(base)).toEqual(['identity.json']);
  });
});
