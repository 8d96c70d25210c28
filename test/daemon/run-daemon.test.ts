import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as nodeFs from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StartReport } from '../../daemon/daemon.ts';
import { ControlClient } from '../../ipc/client.ts';
import { frameMessage } from '../../ipc/framing.ts';
import { CONTROL_VERSION, encodeRequest } from '../../ipc/messages.ts';

/** Real processes, from the compiled sources. */
const compiled = new URL('../../dist/', import.meta.url);
const isCompiled = nodeFs.existsSync(new URL('daemon/run-daemon.js', compiled));

let base: string;
let program: string;
const children: Running[] = [];
/** Those in the background, which are nobody's children. */
const detached: number[] = [];

beforeEach(() => {
  base = nodeFs.mkdtempSync(join(tmpdir(), 'warren-run-'));
  program = join(base, 'warren.mjs');
  // As little of a command line as there can be.
  nodeFs.writeFileSync(
    program,
    `
      import { loadConfig } from '${new URL('daemon/config.js', compiled)}';
      import { isDetached, startDetached } from '${new URL('daemon/detach.js', compiled)}';
      import { runDaemon } from '${new URL('daemon/run-daemon.js', compiled)}';
      const { flags, detach, crash, slow } = JSON.parse(process.argv[2]);
      const say = (what) => process.stdout.write(JSON.stringify(what) + '\\n');
      try {
        const config = loadConfig({ flags, env: process.env, home: '/nonexistent', workingDirectory: process.cwd() });
        if (detach && !isDetached()) {
          const command = [process.execPath, ...process.argv.slice(1)];
          say({ started: await startDetached(config, { command, env: process.env, waitMs: slow }) });
        } else {
          if (slow) await new Promise((resolve) => setTimeout(resolve, 60000));
          const onStarted = (started) => {
            say({ started });
            if (crash === 'exception') setTimeout(() => { throw new TypeError('a bug\\nof ours'); });
            if (crash === 'rejection') Promise.reject(new RangeError('another'));
          };
          process.exitCode = await runDaemon(config, { version: '1.2.3', onStarted });
        }
      } catch ({ code, message, hint }) {
        say({ failed: { code, message, hint } });
        process.exitCode = 1;
      }
    `,
  );
});

afterEach(async () => {
  for (const { child } of children.splice(0)) child.kill('SIGKILL');
  for (const pid of detached.splice(0)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended, as it should.
    }
  }
  nodeFs.rmSync(base, { recursive: true, force: true, maxRetries: 5 });
});

interface Options {
  readonly flags?: Record<string, string | undefined>;
  readonly detach?: boolean;
  readonly crash?: string;
  readonly slow?: number;
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

class Running {
  readonly child: ChildProcess;
  readonly exit: Promise<[number | null, NodeJS.Signals | null]>;
  #stdout = '';
  #stderr = '';

  constructor(options: Options) {
    const flags = { state: join(base, 'state'), socket: join(base, 'run'), listen: '127.0.0.1:0', ...options.flags };
    const { PATH } = process.env;
    this.child = spawn(process.execPath, [program, JSON.stringify({ ...options, flags })], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: base,
      env: { PATH },
    });
    children.push(this);
    this.exit = once(this.child, 'close') as typeof this.exit;
    this.child.stdout!.on('data', (chunk: Buffer) => {
      this.#stdout += chunk;
    });
    this.child.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr += chunk;
    });
  }

  async started(): Promise<StartReport> {
    const said = await this.#said();
    if (said.started === undefined) throw new Error(`not started: ${JSON.stringify(said)} ${this.#stderr}`);
    return said.started;
  }

  async failed(): Promise<Failure> {
    return (await this.#said()).failed!;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get events(): { level: string; kind: string; fields: Record<string, unknown> }[] {
    return events(this.#stderr);
  }

  async #said(): Promise<{ started?: StartReport; failed?: Failure }> {
    while (!this.#stdout.includes('\n')) {
      const ended = await Promise.race([once(this.child.stdout!, 'data'), this.exit.then(() => 'ended')]);
      if (ended === 'ended' && !this.#stdout.includes('\n')) throw new Error(`it said nothing, but: ${this.#stderr}`);
    }
    return JSON.parse(this.#stdout);
  }
}

function events(text: string): { level: string; kind: string; fields: Record<string, unknown> }[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

async function answers(report: StartReport): Promise<boolean> {
  try {
    const listener = { event: () => {}, closed: () => {} };
    const client = await ControlClient.connect({ path: join(report.socket, 'app.sock'), listener });
    const { address } = client.hello;
    client.close();
    return address === report.address;
  } catch {
    return false;
  }
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 20_000; waited += 20) {
    if (await isSo()) return;
    await sleep(20);
  }
  throw new Error(`not in 20 s: ${what}`);
}

const names = (directory: string): string[] => nodeFs.readdirSync(join(base, directory)).sort();

describe.runIf(isCompiled)('a daemon process (needs `npm run build`)', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'ends in order at %s: exit code 0, nothing left',
    async (signal) => {
      const daemon = new Running({});
      const report = await daemon.started();
      expect(report.pid).toBe(daemon.child.pid);
      expect(await answers(report)).toBe(true);
      daemon.child.kill(signal);
      expect(await daemon.exit).toEqual([0, null]);
      expect(names('run')).toEqual([]);
      expect(names('state')).toEqual(['identity.json', 'udp-port']);
      expect(daemon.events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['started', 'signal', 'stopped']));
    },
  );

  it('hears a signal that comes while it starts', async () => {
    const daemon = new Running({});
    // From then on it listens; it has neither node nor sockets yet.
    await until('it has begun', () => nodeFs.existsSync(join(base, 'state')));
    daemon.child.kill('SIGTERM');
    expect(await daemon.exit).toEqual([0, null]);
    expect(names('run')).toEqual([]);
    expect(names('state')).toEqual(['identity.json', 'udp-port']);
  });

  it('ends at once at the second signal', async () => {
    const daemon = new Running({});
    const report = await daemon.started();
    // A program that says nothing and does not leave holds the end up for a while.
    const program = connect({ path: join(report.socket, 'app.sock'), allowHalfOpen: true });
    program.on('error', () => undefined);
    await once(program, 'connect');
    program.write(Uint8Array.of(0));
    program.write(frameMessage(encodeRequest(1, { do: 'hello', version: CONTROL_VERSION }) as Uint8Array));
    await once(program, 'data');
    daemon.child.kill('SIGTERM');
    await until('it ends', () => daemon.events.some(({ kind }) => kind === 'closed'));
    daemon.child.kill('SIGINT');
    expect(await daemon.exit).toEqual([128 + 2, null]);
    program.destroy();
    // What it left behind is no obstacle.
    expect(names('state')).toContain('lock');
    const next = new Running({});
    expect(await answers(await next.started())).toBe(true);
  });

  it.each([
    ['exception', 'TypeError: a bug\\nof ours'],
    ['rejection', 'RangeError: another'],
  ])('ends with 1 and a line in the log after an error that nobody caught: %s', async (crash, shown) => {
    const daemon = new Running({ crash });
    const { address } = await daemon.started();
    expect(await daemon.exit).toEqual([1, null]);
    const crashed = daemon.events.find(({ kind }) => kind === 'crashed');
    expect(crashed).toMatchObject({ level: 'error', fields: { error: shown } });
    expect(JSON.stringify(crashed)).toMatch(/"stack":\["at .*warren\.mjs/);
    const next = new Running({});
    expect((await next.started()).address).toBe(address);
  });

  it('that is killed again and again starts again each time, as the same node, on the same port', async () => {
    const addresses = new Set<string>();
    const ports = new Set<string>();
    for (let i = 0; i < 8; i++) {
      // The first time it takes any port, after that the one it had.
      const daemon = new Running(i === 0 ? {} : { flags: { listen: undefined } });
      const report = await daemon.started();
      addresses.add(report.address);
      ports.add(report.listen.split(':').at(-1)!);
      expect(await answers(report)).toBe(true);
      daemon.child.kill('SIGKILL');
      await daemon.exit;
    }
    expect(addresses.size).toBe(1);
    expect(ports.size).toBe(1);
    expect(names('state')).toEqual(['identity.json', 'lock', 'udp-port']);
  });

  it('of which many start at once: one runs, the others say which', async () => {
    const all = Array.from({ length: 6 }, () => new Running({}));
    const winner = await Promise.any(all.map(async (one) => ({ one, report: await one.started() })));
    for (const loser of all.filter((one) => one !== winner.one)) {
      const failure = await loser.failed();
      expect(failure.code).toBe('ERR_WARREN_ALREADY_RUNNING');
      expect(failure.message).toContain(`(pid ${winner.report.pid})`);
      expect(failure.hint).toContain('warren status');
      expect(await loser.exit).toEqual([1, null]);
    }
    expect(await answers(winner.report)).toBe(true);
  });

  it('whose state directory is taken away ends with 1', async () => {
    const daemon = new Running({});
    await daemon.started();
    nodeFs.renameSync(join(base, 'state'), join(base, 'moved'));
    expect(await daemon.exit).toEqual([1, null]);
    expect(daemon.events.map(({ kind }) => kind)).toContain('lock-lost');
    expect(names('run')).toEqual([]);
  });

  it('writes its log to a file if told to, in the form and from the level it was told', async () => {
    const daemon = new Running({ flags: { 'log-file': 'the.log', 'log-format': 'human', 'log-level': 'error' } });
    await daemon.started();
    daemon.child.kill('SIGTERM');
    await daemon.exit;
    expect(daemon.stderr).toBe('');
    expect(nodeFs.readFileSync(join(base, 'the.log'), 'utf8')).toBe('');
    const failing = new Running({ flags: { 'log-file': 'the.log', 'log-format': 'human', 'passphrase-file': 'none' } });
    expect((await failing.failed()).code).toBe('ERR_WARREN_FILE_MISSING');
    expect(await failing.exit).toEqual([1, null]);
    expect(nodeFs.readFileSync(join(base, 'the.log'), 'utf8')).toMatch(
      / error not-started error="ERR_WARREN_FILE_MISSING/,
    );
  });

  it('that cannot write its log does not start', async () => {
    const daemon = new Running({ flags: { 'log-file': join(base, 'none', 'the.log') } });
    expect((await daemon.failed()).code).toBe('ERR_WARREN_FILE_MISSING');
    expect(await daemon.exit).toEqual([1, null]);
  });
});

describe.runIf(isCompiled)('a daemon in the background (needs `npm run build`)', () => {
  it('is there when the command that asked for it returns, and ends in order', async () => {
    const command = new Running({ detach: true });
    const report = await command.started();
    detached.push(report.pid);
    expect(await command.exit).toEqual([0, null]);
    expect(report.pid).not.toBe(command.child.pid);
    expect(await answers(report)).toBe(true);
    if (process.platform === 'linux') expect(nodeFs.readlinkSync(`/proc/${report.pid}/cwd`)).toBe('/');
    const log = join(base, 'state', 'daemon.log');
    expect(nodeFs.statSync(log).mode & 0o777).toBe(0o600);
    process.kill(report.pid, 'SIGTERM');
    await until('it has ended', () => !names('state').includes('lock'));
    expect(names('run')).toEqual([]);
    await until('it has said so', () => nodeFs.readFileSync(log, 'utf8').includes('"stopped"'));
    expect(events(nodeFs.readFileSync(log, 'utf8')).map(({ kind }) => kind)).toContain('started');
  });

  it.runIf(process.platform === 'linux')('is in a session of its own', async () => {
    const command = new Running({ detach: true });
    const report = await command.started();
    detached.push(report.pid);
    await command.exit;
    const [, , , group, session] = nodeFs.readFileSync(`/proc/${report.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    expect([Number(group), Number(session)]).not.toContain(command.child.pid);
    expect(await answers(report)).toBe(true);
  });

  it('that cannot start says why to whoever asked for it, and to the log', async () => {
    const running = new Running({});
    const { pid } = await running.started();
    const command = new Running({ detach: true });
    expect(await command.failed()).toMatchObject({
      code: 'ERR_WARREN_ALREADY_RUNNING',
      message: expect.stringContaining(`(pid ${pid})`),
      hint: expect.stringContaining('warren status'),
    });
    expect(await command.exit).toEqual([1, null]);
    const log = nodeFs.readFileSync(join(base, 'state', 'daemon.log'), 'utf8');
    expect(log).toContain('"kind":"not-started"');
  });

  it('that cannot start leaves nothing behind; but a log that was asked for by name says why', async () => {
    const flags = { state: join(base, 'new', 'state'), listen: '192.0.2.1:4440' };
    const quiet = new Running({ detach: true, flags });
    expect(await quiet.failed()).toMatchObject({ code: 'ERR_WARREN_BIND' });
    await quiet.exit;
    expect(nodeFs.readdirSync(base)).toEqual(['warren.mjs']);
    const logged = new Running({ detach: true, flags: { ...flags, 'log-file': join(base, 'log') } });
    expect(await logged.failed()).toMatchObject({ code: 'ERR_WARREN_BIND' });
    await logged.exit;
    expect(nodeFs.readdirSync(base).sort()).toEqual(['log', 'warren.mjs']);
    expect(nodeFs.readFileSync(join(base, 'log'), 'utf8')).toContain('"kind":"not-started"');
  });

  it('that dies before it is ready is not taken for one that runs', async () => {
    nodeFs.writeFileSync(join(base, 'die.cjs'), 'process.kill(process.pid, "SIGKILL");');
    const flags = { state: join(base, 'state'), socket: join(base, 'run') };
    const text = nodeFs.readFileSync(program, 'utf8').replace('...process.argv.slice(1)', `'${join(base, 'die.cjs')}'`);
    nodeFs.writeFileSync(program, text);
    const command = new Running({ detach: true, flags });
    expect(await command.failed()).toMatchObject({
      code: 'ERR_WARREN_NOT_STARTED',
      message: 'the daemon ended before it was ready (SIGKILL)',
      hint: `tail ${join(base, 'state', 'daemon.log')}`,
    });
    expect(await command.exit).toEqual([1, null]);
  });

  it('that is never ready is ended', async () => {
    const command = new Running({ detach: true, slow: 500 });
    expect((await command.failed()).message).toBe('the daemon was not ready after 0.5 s');
    expect(await command.exit).toEqual([1, null]);
  });
});
