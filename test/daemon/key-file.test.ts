import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as nodeFs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createKeyFile,
  type KeyFileFs,
  loadOrCreateIdentity,
  REAL_FS,
  readKeyFile,
  replaceKeyFile,
} from '../../daemon/key-file.ts';
import {
  CONTENT,
  codeOf,
  errno,
  hooked,
  makePlace,
  modeOf,
  OTHER,
  options,
  removePlace,
  withUmask,
} from './key-file-support.ts';
import { refusal } from './refusal.ts';

let base: string;
let path: string;

beforeEach(() => {
  ({ base, path } = makePlace());
});

afterEach(() => removePlace(base));

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
