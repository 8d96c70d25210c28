import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createKeyFile, type KeyFileFs, REAL_FS, readKeyFile } from '../../daemon/key-file.ts';
import { CONTENT, codeOf, isRoot, makePlace, NOBODY, removePlace } from './key-file-support.ts';

let base: string;
let path: string;

beforeEach(() => {
  ({ base, path } = makePlace());
});

afterEach(() => removePlace(base));

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
