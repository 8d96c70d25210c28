import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { filesBelow, isCompiled, Sandbox, until } from './support.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const sandbox = new Sandbox();
const groups: ChildProcess[] = [];

afterEach(() => {
  for (const { pid } of groups.splice(0)) {
    try {
      process.kill(-pid!, 'SIGKILL');
    } catch {
      // It has ended, as it should.
    }
  }
});
afterAll(() => sandbox.clear());

/** `npm start`, in a group of its own as a terminal gives it one. */
async function npmStart(name: string): Promise<ChildProcess> {
  const env = {
    ...sandbox.env,
    WARREN_STATE: sandbox.path(name),
    WARREN_SOCKET: sandbox.path(name, 'run'),
    WARREN_LISTEN: '127.0.0.1:0',
    npm_config_update_notifier: 'false',
  };
  const child = spawn('npm', ['start'], { cwd: ROOT, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  groups.push(child);
  let said = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  child.stderr!.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  await until('it is up', () => {
    if (child.exitCode !== null) throw new Error(`npm start ended: ${said}`);
    return said.includes('End it with Ctrl-C');
  });
  return child;
}

function isAnyoneLeft(group: ChildProcess): boolean {
  try {
    process.kill(-group.pid!, 0);
    return true;
  } catch {
    return false;
  }
}

/** A program that says nothing and does not leave: it holds the daemon's end up for a moment. */
async function holdUp(name: string): Promise<Socket> {
  const socket = connect({ path: sandbox.path(name, 'run', 'app.sock'), allowHalfOpen: true });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(Uint8Array.of(0));
  return socket;
}

describe.runIf(isCompiled)('npm start (needs `npm run build`)', () => {
  it('ends with everything it started when npm is told to', async () => {
    const npm = await npmStart('one');
    npm.kill('SIGTERM');
    expect(await once(npm, 'close')).toEqual([0, null]);
    expect(isAnyoneLeft(npm)).toBe(false);
    expect(filesBelow(sandbox.path('one', 'run'))).toEqual([]);
    expect(filesBelow(sandbox.path('one'))).toEqual(['identity.json', 'run', 'udp-port']);
  });

  it('ends in order at Ctrl-C, of which the daemon hears twice: from the terminal and from npm', async () => {
    const npm = await npmStart('two');
    const program = await holdUp('two');
    process.kill(-npm.pid!, 'SIGINT');
    const [status] = await once(npm, 'close');
    program.destroy();
    expect(status).toBe(0);
    expect(isAnyoneLeft(npm)).toBe(false);
    expect(filesBelow(sandbox.path('two', 'run'))).toEqual([]);
    expect(filesBelow(sandbox.path('two'))).toEqual(['identity.json', 'run', 'udp-port']);
  });
});

describe.runIf(isCompiled)('the file `warren` (needs `npm run build`)', () => {
  it('is the program, also through a link and from anywhere', () => {
    const link = sandbox.path('w');
    symlinkSync(`${ROOT}/warren`, link);
    for (const [program, cwd] of [
      ['./warren', ROOT],
      [link, sandbox.directory],
    ] as const) {
      const { status, stdout, stderr } = spawnSync(program, ['--version', '--json'], { cwd, encoding: 'utf8' });
      expect([status, JSON.parse(stdout).ok, stderr]).toEqual([0, true, '']);
    }
  });

  it('is what npm links as a command, too', () => {
    const program = `${ROOT}/dist/cli/main.js`;
    const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^\d/)]);
  });
});
