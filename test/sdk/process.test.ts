import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type WarrenNode } from '../../sdk/index.ts';
import { Daemon, event, LOOPBACK } from './support.ts';

/** Real processes, from the compiled sources. */
const compiled = new URL('../../dist/', import.meta.url);
const isCompiled = existsSync(new URL('sdk/index.js', compiled));

let base: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'warren-process-'));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(base, { recursive: true, force: true });
});

interface Program {
  readonly child: ChildProcess;
  /** With what it ended, and all that it has printed. */
  readonly end: Promise<{ readonly code: number | null; readonly printed: string }>;
  /** Its first line. */
  said(): Promise<string>;
}

/** A program of its own, with the SDK's functions at hand. */
function run(code: string): Program {
  const { PATH } = process.env;
  const source = `import { connect, createNode } from '${new URL('sdk/index.js', compiled)}';
    const listen = '${LOOPBACK}:0';
    ${code}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH, WARREN_SOCKET: join(base, 'run') },
  });
  children.push(child);
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    printed += chunk;
  });
  const end = once(child, 'close').then(([exitCode]) => ({ code: exitCode as number | null, printed }));
  const said = async (): Promise<string> => {
    while (!printed.includes('\n')) await Promise.race([once(child.stdout, 'data'), end]);
    return printed.split('\n')[0]!;
  };
  return { child, end, said };
}

/** That is how long a program is watched that is not to end. */
const WATCH_MS = 500;

async function livesOn(program: Program): Promise<boolean> {
  await program.said();
  const over = await Promise.race([program.end, new Promise((resolve) => setTimeout(resolve, WATCH_MS, 'alive'))]);
  return over === 'alive';
}

describe.runIf(isCompiled)('a process with a node in it (needs `npm run build`)', () => {
  it('ends by itself when nothing of the node is open, even if it never closed it', async () => {
    const idle = run(`await createNode({ listen }); console.log('idle');`);
    expect(await idle.end).toEqual({ code: 0, printed: 'idle\n' });
    const done = run(`
      const node = await createNode({ name: 'me', listen });
      const server = await node.listen(80);
      server.on('connection', (stream) => stream.end('answer'));
      const stream = await node.dial('me', 80);
      for await (const bytes of stream) console.log(bytes.toString());
      await (await node.bind(53)).close();
      await server.close();
    `);
    expect(await done.end).toEqual({ code: 0, printed: 'answer\n' });
  });

  it.each([
    ['a listening server', `await node.listen(80)`, 'unref'],
    ['a bound port', `await node.bind(53)`, 'unref'],
    ['an open stream', `await node.dial('me', 7)`, 'unref'],
  ])('lives on while there is %s, unless it lets go of that', async (_what, open) => {
    const begin = `const node = await createNode({ name: 'me', listen }); const it = ${open}; console.log('open');`;
    expect(await livesOn(run(begin))).toBe(true);
    expect(await run(`${begin} it.unref();`).end).toEqual({ code: 0, printed: 'open\n' });
    expect(await run(`${begin} node.unref();`).end).toEqual({ code: 0, printed: 'open\n' });
    expect(await livesOn(run(`${begin} it.unref(); it.ref(); node.unref(); node.ref();`))).toBe(true);
  });

  describe('that dials another', () => {
    let daemon: Daemon;
    let bob: WarrenNode;
    beforeEach(async () => {
      daemon = await Daemon.start('bob');
      bob = await daemon.connect();
    });
    afterEach(async () => {
      await bob.close();
      await daemon.stop();
    });

    /** A program whose node and bob know each other before it goes on. */
    async function runAtBob(code: string): Promise<Program> {
      const peer = { record: await bob.record(), endpoints: [`${LOOPBACK}:${(await bob.status()).udp.port}`] };
      const program = run(`
        const node = await createNode({ name: 'me', listen });
        console.log(await node.record());
        await node.addPeer(${JSON.stringify(peer)});
        while (!(await node.ping('bob', { timeout: 300 }).catch(() => false)));
        ${code}
      `);
      await bob.addPeer({ record: await program.said() });
      return program;
    }

    it('ends while its pool of connections is idle', async () => {
      const server = createServer({ keepAliveTimeout: 60_000 }, (_, response) => response.end('fine'));
      await bob.serve(server, 80);
      const program = await runAtBob(`
        const http = await import('node:http');
        http.get({ agent: node.agent(), host: 'bob' }, (response) => response.pipe(process.stdout));
      `);
      const { code, printed } = await program.end;
      expect([code, printed.split('\n')[1]]).toEqual([0, 'fine']);
    });

    it('stays until what it has ended has arrived', async () => {
      const server = await bob.listen(80);
      const program = await runAtBob(`
        const stream = await node.dial('bob', 80);
        stream.end(Buffer.alloc(2_000_000, 'z'), () => stream.destroy());
      `);
      let length = 0;
      for await (const stream of server) {
        for await (const bytes of stream) length += bytes.length;
        break;
      }
      expect(length).toBe(2_000_000);
      expect((await program.end).code).toBe(0);
    });
  });
});

describe.runIf(isCompiled)('a process at a daemon (needs `npm run build`)', () => {
  /** A daemon in a process of its own. */
  async function startDaemon(): Promise<Program> {
    const daemon = run(`
      const { startDaemon } = await import('${new URL('daemon/daemon.js', compiled)}');
      const { loadConfig } = await import('${new URL('daemon/config.js', compiled)}');
      const { Log } = await import('${new URL('daemon/log.js', compiled)}');
      const flags = { state: '${join(base, 'state')}', socket: '${join(base, 'run')}', listen, name: 'alice' };
      const config = loadConfig({ flags, env: {}, home: '/nonexistent', workingDirectory: '/' });
      const output = { isTerminal: false, write: () => true, flush: async () => {} };
      const clock = { now: () => 0, wall: () => 0 };
      await startDaemon(config, { version: '1', log: new Log({ level: 'error', format: 'json', output, clock }) });
      console.log('started');
    `);
    expect(await daemon.said()).toBe('started');
    return daemon;
  }

  it('hears at once that its daemon was killed', async () => {
    const daemon = await startDaemon();
    const node = await connect({ socket: join(base, 'run') });
    const streams = [await node.dial('alice', 7), await node.dial('alice', 7)];
    const server = await node.listen(80);
    for (const stream of streams) stream.write('before');
    await event(streams[1]!, 'data');
    const failures = streams.map((stream) => event(stream, 'error'));
    const closed = event(node, 'close');
    const serverClosed = event(server, 'close');
    const waiting = node.dial('alice', 80).catch((error) => error);
    await new Promise((resolve) => setTimeout(resolve, 20));
    daemon.child.kill('SIGKILL');
    const start = performance.now();
    for (const failure of failures) expect((await failure)[0]).toMatchObject({ code: 'ERR_WARREN_DAEMON_GONE' });
    expect(await waiting).toMatchObject({ code: 'ERR_WARREN_DAEMON_GONE' });
    expect((await closed)[0]).toMatchObject({ code: 'ERR_WARREN_DAEMON_GONE' });
    await serverClosed;
    expect(performance.now() - start).toBeLessThan(2_000);
    await expect(node.status()).rejects.toMatchObject({ code: 'ERR_WARREN_DAEMON_GONE' });
  });

  it('ends by itself when nothing is open, and lives on while something is', async () => {
    await startDaemon();
    const begin = `const node = await connect(); console.log('hello');`;
    expect(await run(begin).end).toEqual({ code: 0, printed: 'hello\n' });
    for (const open of [`await node.listen(80)`, `await node.bind(53)`, `await node.dial('alice', 7)`]) {
      const program = run(`${begin} const it = ${open};`);
      expect(await livesOn(program)).toBe(true);
      program.child.kill('SIGKILL');
      await program.end;
      expect(await run(`${begin} const it = ${open}; it.unref();`).end).toEqual({ code: 0, printed: 'hello\n' });
      expect(await run(`${begin} const it = ${open}; node.unref();`).end).toEqual({ code: 0, printed: 'hello\n' });
    }
  });

  it('that is killed has reset its streams, not ended them', async () => {
    await startDaemon();
    const program = run(`
      const node = await connect();
      const server = await node.listen(80);
      server.on('connection', (stream) => stream.write('half of'));
      console.log('listening');
    `);
    await program.said();
    const node = await connect({ socket: join(base, 'run') });
    const stream = await node.dial('alice', 80);
    expect(((await event(stream, 'data'))[0] as Buffer).toString()).toBe('half of');
    const failed = event(stream, 'error');
    program.child.kill('SIGKILL');
    expect((await failed)[0]).toMatchObject({ code: 'ERR_WARREN_RESET' });
    await node.close();
  });
});
