import { describe, expect, it } from 'vitest';
import { WarrenError } from '../../../base/errors.ts';
import {
  checkSocket,
  checkSocketDirectory,
  prepareSocketDirectory,
  type SocketFileStatus,
  type SocketFs,
  socketPaths,
  socketToUse,
} from '../../../ipc/socket-path.ts';

const ME = 1_000;

interface File {
  readonly kind?: 'directory' | 'socket' | 'link' | 'file';
  readonly uid?: number;
  readonly mode?: number;
  readonly error?: string;
}

/** A file system of these files. */
function fsOf(files: Record<string, File>): SocketFs & { readonly made: string[] } {
  const made: string[] = [];
  const lstat = (path: string): SocketFileStatus | undefined => {
    const file = files[path];
    if (file === undefined) return undefined;
    if (file.error !== undefined) throw Object.assign(new Error(file.error), { code: file.error });
    const { kind = 'directory', uid = ME, mode = 0o700 } = file;
    return {
      dev: 1,
      ino: 1,
      uid,
      mode,
      isDirectory: () => kind === 'directory',
      isSocket: () => kind === 'socket',
      isSymbolicLink: () => kind === 'link',
    };
  };
  return {
    made,
    lstat,
    realpath: (path) => path,
    makeDirectory(path, mode) {
      made.push(`${path} ${mode.toString(8)}`);
      files[path] = { mode };
    },
    effectiveUser: () => ME,
  };
}

const ROOT = { '/': { uid: 0, mode: 0o755 }, '/run': { uid: 0, mode: 0o755 }, '/run/me': { mode: 0o700 } };
const SAFE = { ...ROOT, '/run/me/warren': {}, '/run/me/warren/app.sock': { kind: 'socket' } } as const;

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(WarrenError);
    expect((error as WarrenError).hint).not.toBe('');
    return (error as WarrenError).code;
  }
  return 'nothing thrown';
}

describe('where the sockets are', () => {
  it('WARREN_SOCKET first, then the runtime directory, then the home', () => {
    const all = { WARREN_SOCKET: '/s', XDG_RUNTIME_DIR: '/run/user/1000' };
    expect(socketPaths(all, '/home/me')).toEqual({ directory: '/s', app: '/s/app.sock', admin: '/s/admin.sock' });
    expect(socketPaths({ ...all, WARREN_SOCKET: undefined }, '/home/me').directory).toBe('/run/user/1000/warren');
    expect(socketPaths({ WARREN_SOCKET: '', XDG_RUNTIME_DIR: '' }, '/home/me').directory).toBe('/home/me/.warren/run');
  });

  it('WARREN_SOCKET may name one socket: a program then uses that and looks for no other', () => {
    const handed = { WARREN_SOCKET: '/sandbox/app.sock' };
    expect(socketToUse(handed, 'app')).toBe('/sandbox/app.sock');
    expect(socketToUse(handed, 'admin')).toBe('/sandbox/app.sock');
    expect(socketToUse({ WARREN_SOCKET: '/sandbox/admin.sock' }, 'admin')).toBe('/sandbox/admin.sock');
    expect(socketToUse({ WARREN_SOCKET: '/sandbox' }, 'admin')).toBe('/sandbox/admin.sock');
    expect(socketPaths(handed).directory).toBe('/sandbox');
  });

  it('a path of more than 100 bytes is refused, in bytes and not in characters, and so is a zero byte', () => {
    const longest = `/${'x'.repeat(100 - '//admin.sock'.length)}`;
    expect(socketPaths({ WARREN_SOCKET: longest }).admin).toHaveLength(100);
    expect(codeOf(() => socketPaths({ WARREN_SOCKET: `${longest}x` }))).toBe('ERR_WARREN_SOCKET_PATH');
    expect(codeOf(() => socketPaths({ WARREN_SOCKET: `/${'ü'.repeat(60)}` }))).toBe('ERR_WARREN_SOCKET_PATH');
    expect(codeOf(() => socketPaths({ WARREN_SOCKET: '/a\0b' }))).toBe('ERR_WARREN_SOCKET_PATH');
    expect(codeOf(() => checkSocket(`/${'x'.repeat(100)}`, fsOf({})))).toBe('ERR_WARREN_SOCKET_PATH');
  });
});

describe('the directory of the sockets', () => {
  const check = (change: Record<string, File>): string =>
    codeOf(() => checkSocketDirectory('/run/me/warren', fsOf({ ...SAFE, ...change })));

  it('is one that only we can enter', () => {
    expect(check({})).toBe('nothing thrown');
    for (const mode of [0o755, 0o750, 0o711, 0o701, 0o1777, 0o777, 0o500]) {
      expect(check({ '/run/me/warren': { mode } })).toBe('ERR_WARREN_SOCKET_UNSAFE');
    }
    expect(check({ '/run/me/warren': { uid: 0 } })).toBe('ERR_WARREN_SOCKET_UNSAFE');
    expect(check({ '/run/me/warren': { kind: 'link' } })).toBe('ERR_WARREN_SOCKET_UNSAFE');
    expect(check({ '/run/me/warren': { kind: 'file' } })).toBe('ERR_WARREN_SOCKET_UNSAFE');
    expect(check({ '/run/me/warren': { error: 'EACCES' } })).toBe('ERR_WARREN_FILE_ACCESS');
  });

  it('is not below one where others may put another in its place', () => {
    expect(check({ '/run': { uid: 0, mode: 0o777 } })).toBe('ERR_WARREN_SOCKET_UNSAFE');
    expect(check({ '/run': { uid: 0, mode: 0o1777 } })).toBe('nothing thrown');
  });

  it('may be below what a group may write to or another owns, as homes are with umask 002 and in sandboxes', () => {
    expect(check({ '/run/me': { mode: 0o775 } })).toBe('nothing thrown');
    expect(check({ '/': { uid: 65_534, mode: 0o755 }, '/run': { uid: 65_534, mode: 0o755 } })).toBe('nothing thrown');
  });

  it('is made with mode 700 where it is missing, and checked in any case', () => {
    const fs = fsOf({ ...ROOT });
    prepareSocketDirectory('/run/me/warren', fs);
    expect(fs.made).toEqual(['/run/me/warren 700']);
    const open = fsOf({ ...SAFE, '/run/me/warren': { mode: 0o777 } });
    expect(codeOf(() => prepareSocketDirectory('/run/me/warren', open))).toBe('ERR_WARREN_SOCKET_UNSAFE');
    expect(open.made).toEqual([]);
    const full = {
      ...fsOf({ ...ROOT }),
      makeDirectory: () => {
        throw Object.assign(new Error(), { code: 'ENOSPC' });
      },
    };
    expect(codeOf(() => prepareSocketDirectory('/run/me/warren', full))).toBe('ERR_WARREN_DISK_FULL');
  });
});

describe('a socket to connect to', () => {
  const check = (change: Record<string, File>): string =>
    codeOf(() => checkSocket('/run/me/warren/app.sock', fsOf({ ...SAFE, ...change })));

  it('is a socket of ours, in a directory of ours', () => {
    expect(check({})).toBe('nothing thrown');
    expect(check({ '/run/me/warren': { mode: 0o770 } })).toBe('ERR_WARREN_SOCKET_UNSAFE');
    expect(check({ '/run/me/warren/app.sock': { kind: 'link' } })).toBe('ERR_WARREN_SOCKET_UNSAFE');
    expect(check({ '/run/me/warren/app.sock': { kind: 'file' } })).toBe('ERR_WARREN_SOCKET_UNSAFE');
    expect(check({ '/run/me/warren/app.sock': { kind: 'socket', uid: 65_534 } })).toBe('ERR_WARREN_SOCKET_UNSAFE');
  });

  it('that is not there means that no daemon runs', () => {
    expect(codeOf(() => checkSocket('/run/me/warren/app.sock', fsOf(ROOT)))).toBe('ERR_WARREN_DAEMON_NOT_RUNNING');
    const empty = fsOf({ ...ROOT, '/run/me/warren': {} });
    expect(codeOf(() => checkSocket('/run/me/warren/app.sock', empty))).toBe('ERR_WARREN_DAEMON_NOT_RUNNING');
  });
});
