import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeDirectories } from '../../ipc/make-directories.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'warren-directories-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('making directories', () => {
  it('makes those that are missing, and says which was the first', () => {
    expect(makeDirectories(join(folder, 'a/b/c'), 0o700)).toBe(join(folder, 'a'));
    expect(statSync(join(folder, 'a/b/c')).mode & 0o777).toBe(0o700);
    expect(makeDirectories(join(folder, 'a/b/d'), 0o700)).toBe(join(folder, 'a/b/d'));
  });

  it('leaves those that are there', () => {
    mkdirSync(join(folder, 'a'), { mode: 0o755 });
    expect(makeDirectories(join(folder, 'a'), 0o700)).toBeUndefined();
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o755);
  });

  it('says so where a file is in the way', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => makeDirectories(join(folder, 'file'), 0o700)).toThrow('EEXIST');
    expect(() => makeDirectories(join(folder, 'file/a/b'), 0o700)).toThrow('ENOTDIR');
  });

  it.runIf(process.platform === 'linux')('says so where the system makes none, and does not try for ever', () => {
    expect(() => makeDirectories('/proc/warren/a', 0o700)).toThrow('ENOENT');
  });
});
