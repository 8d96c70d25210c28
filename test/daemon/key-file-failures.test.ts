import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toHex } from '../../base/bytes.ts';
import { WarrenError } from '../../base/errors.ts';
import {
  createKeyFile,
  type KeyFileFs,
  loadOrCreateIdentity,
  readKeyFile,
  replaceKeyFile,
} from '../../daemon/key-file.ts';
import { CONTENT, codeOf, errno, hooked, makePlace, modeOf, OTHER, options, removePlace } from './key-file-support.ts';

let base: string;
let path: string;

beforeEach(() => {
  ({ base, path } = makePlace());
});

afterEach(() => removePlace(base));

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
