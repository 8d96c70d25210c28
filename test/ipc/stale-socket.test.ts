import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LocalServer } from '../../ipc/server.ts';
import type { SocketPaths } from '../../ipc/socket-path.ts';
import { FakeNetwork } from './fake-host.ts';
import { Program, temporaryPaths } from './support.ts';

async function open(paths: SocketPaths): Promise<LocalServer> {
  const server = await LocalServer.open({ host: new FakeNetwork().add('alice'), paths, bounds: { lingerMs: 100 } });
  onTestFinished(() => server.close());
  return server;
}

/** What a daemon leaves behind that is killed. */
async function leaveStale(path: string): Promise<void> {
  const listen = "require('node:net').createServer().listen(process.argv[1], () => console.log('listening'))";
  const child = spawn(process.execPath, ['-e', listen, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(lstatSync(path).isSocket()).toBe(true);
}

describe('a daemon that starts', () => {
  it('takes the place of one that was killed', async () => {
    const paths = temporaryPaths();
    mkdirSync(paths.directory, { mode: 0o700 });
    await leaveStale(paths.app);
    await leaveStale(paths.admin);
    await open(paths);
    await Program.connect(paths.app);
    await Program.connect(paths.admin);
    expect(readdirSync(paths.directory).sort()).toEqual(['admin.sock', 'app.sock']);
  });

  it('leaves one alone that runs, and everything as it was', async () => {
    const paths = temporaryPaths();
    await open(paths);
    const program = await Program.connect(paths.app);
    await expect(open(paths)).rejects.toMatchObject({ code: 'ERR_WARREN_ALREADY_RUNNING' });
    expect(await program.client.request('peers', {})).toBeDefined();
    await Program.connect(paths.admin);
    expect(readdirSync(paths.directory).sort()).toEqual(['admin.sock', 'app.sock']);
  });

  it('together with another, in the place of one that was killed, is alone in the end', async () => {
    const paths = temporaryPaths();
    mkdirSync(paths.directory, { mode: 0o700 });
    await leaveStale(paths.admin);
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => open(paths)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ERR_WARREN_ALREADY_RUNNING' });
    }
    await Program.connect(paths.app);
    expect(readdirSync(paths.directory).sort()).toEqual(['admin.sock', 'app.sock']);
  });

  it('removes nothing that is no socket', async () => {
    const paths = temporaryPaths();
    mkdirSync(paths.directory, { mode: 0o700 });
    writeFileSync(paths.app, 'precious');
    await expect(open(paths)).rejects.toMatchObject({ code: 'ERR_WARREN_SOCKET_UNSAFE' });
    expect(readdirSync(paths.directory)).toEqual(['app.sock']);
    unlinkSync(paths.app);
    symlinkSync('/nonexistent', paths.app);
    await expect(open(paths)).rejects.toMatchObject({ code: 'ERR_WARREN_SOCKET_UNSAFE' });
    expect(lstatSync(paths.app).isSymbolicLink()).toBe(true);
  });
});

describe('a daemon that stops', () => {
  it('removes its sockets', async () => {
    const paths = temporaryPaths();
    const server = await open(paths);
    await server.close();
    expect(readdirSync(paths.directory)).toEqual([]);
  });

  it('does not remove those of another that came after somebody had removed its own', async () => {
    const paths = temporaryPaths();
    const first = await open(paths);
    unlinkSync(paths.app);
    unlinkSync(paths.admin);
    await open(paths);
    await first.close();
    expect(existsSync(paths.app) && existsSync(paths.admin)).toBe(true);
    await Program.connect(paths.app);
  });
});
