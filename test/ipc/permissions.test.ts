import { spawn } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LocalServer } from '../../ipc/server.ts';
import { socketPaths } from '../../ipc/socket-path.ts';
import { FakeNetwork } from './fake-host.ts';
import { Program, stage, temporaryDirectory } from './support.ts';

const NOBODY = 65_534;
/** Says how connecting went. */
const CONNECT = `
const socket = require('node:net').connect(process.argv[1]);
socket.on('connect', () => { console.log('connected'); process.exit(); });
socket.on('error', (error) => console.log(error.code));
`;

function connectAs(uid: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', CONNECT, path], { uid, gid: uid, cwd: '/', env: {} });
    let output = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.once('error', reject);
    child.once('close', () => resolve(output.trim()));
  });
}

describe('the sockets', () => {
  it('and their directory are for their owner alone, whatever the umask', async () => {
    const umask = process.umask(0);
    const { paths } = await stage().finally(() => process.umask(umask));
    for (const path of [paths.directory, paths.app, paths.admin]) {
      expect([path, (lstatSync(path).mode & 0o777).toString(8)]).toEqual([path, '700']);
    }
    expect(process.umask()).toBe(umask);
  });

  it.skipIf(process.geteuid!() !== 0)(
    'are closed to another user by their directory, and also without it',
    async () => {
      const { paths } = await stage();
      // Whoever made the directory above has closed it too: out of the way.
      chmodSync(dirname(paths.directory), 0o755);
      expect(await connectAs(0, paths.app)).toBe('connected');
      expect(await connectAs(NOBODY, paths.app)).toBe('EACCES');
      expect(await connectAs(NOBODY, paths.admin)).toBe('EACCES');
      chmodSync(paths.directory, 0o755);
      expect(await connectAs(NOBODY, paths.app)).toBe('EACCES');
      expect(await connectAs(NOBODY, paths.admin)).toBe('EACCES');
    },
  );

  it('are not connected to where somebody else could have put them', async () => {
    const { paths } = await stage();
    const unsafe = { code: 'ERR_WARREN_SOCKET_UNSAFE' };
    chmodSync(paths.directory, 0o755);
    await expect(Program.connect(paths.app)).rejects.toMatchObject(unsafe);
    chmodSync(paths.directory, 0o700);
    renameSync(paths.app, `${paths.app}2`);
    symlinkSync(`${paths.app}2`, paths.app);
    await expect(Program.connect(paths.app)).rejects.toMatchObject(unsafe);
    renameSync(`${paths.app}2`, paths.app);
    await Program.connect(paths.app);
  });

  it('are not put where others may look or write, nor behind a symbolic link', async () => {
    const host = new FakeNetwork().add('alice');
    const unsafe = { code: 'ERR_WARREN_SOCKET_UNSAFE' };
    const open = temporaryDirectory();
    chmodSync(open, 0o777);
    const openAt = (directory: string): Promise<LocalServer> =>
      LocalServer.open({ host, paths: socketPaths({ WARREN_SOCKET: directory }) });
    await expect(openAt(open)).rejects.toMatchObject(unsafe);
    await expect(openAt(`${open}/below`)).rejects.toMatchObject(unsafe);
    const own = temporaryDirectory();
    mkdirSync(`${own}/real`, { mode: 0o700 });
    symlinkSync(`${own}/real`, `${own}/link`);
    await expect(openAt(`${own}/link`)).rejects.toMatchObject(unsafe);
    await expect(openAt('/tmp')).rejects.toMatchObject(unsafe);
  });
});
