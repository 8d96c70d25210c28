import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { StartReport } from '../../daemon/daemon.ts';
import { ControlClient } from '../../ipc/client.ts';
import { closeAll, openNode, until } from './node-support.ts';

/** A real process, from the compiled sources, that may have only 256 files open. */
const compiled = new URL('../../dist/', import.meta.url);
const canRun = existsSync(new URL('daemon/run-daemon.js', compiled)) && existsSync('/proc/self/limits');

const OPEN_FILES = 256;
/** Seven eighths of what is left when the daemon has its own. */
const APP_CONNECTIONS = ((OPEN_FILES - 64) * 7) / 8;
const CONTROL = Uint8Array.of(0x00);

const directories: string[] = [];
const children: ChildProcess[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  await closeAll();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});

interface Running {
  readonly report: StartReport;
  readonly state: string;
  readonly log: () => string;
}

async function startDaemon(): Promise<Running> {
  const base = mkdtempSync(join(tmpdir(), 'warren-files-'));
  directories.push(base);
  const state = join(base, 'state');
  const flags = { state, socket: join(base, 'run'), listen: '127.0.0.1:0', name: 'bob', 'log-format': 'json' };
  const program = `
    const { loadConfig } = await import('${new URL('daemon/config.js', compiled)}');
    const { runDaemon } = await import('${new URL('daemon/run-daemon.js', compiled)}');
    const config = loadConfig({ flags: ${JSON.stringify(flags)}, env: {}, home: '/nonexistent', workingDirectory: '/' });
    process.exitCode = await runDaemon(config, { version: '0', onStarted: (report) => console.log(JSON.stringify(report)) });
  `;
  const child = spawn(
    '/bin/sh',
    ['-c', `ulimit -n ${OPEN_FILES}; exec "$0" --input-type=module -e "$1"`, process.execPath, program],
    { stdio: ['ignore', 'pipe', 'pipe'], env: {} },
  );
  children.push(child);
  let out = '';
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk;
  });
  await until(`the daemon to start: ${log}`, () => out.includes('\n') || child.exitCode !== null);
  if (child.exitCode !== null) throw new Error(log);
  return { report: JSON.parse(out), state, log: () => log };
}

/** As many control connections as are asked for, and which of them the daemon has closed. */
function flood(path: string, count: number): { readonly all: Socket[]; readonly closed: () => number } {
  let closed = 0;
  const all = Array.from({ length: count }, () => {
    const socket = connect(path);
    socket.on('error', () => {});
    socket.on('close', () => {
      closed += 1;
    });
    socket.resume();
    socket.write(CONTROL);
    sockets.push(socket);
    return socket;
  });
  return { all, closed: () => closed };
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Of all its threads, in hundredths of a second: proc_pid_stat(5), utime and stime. */
function processorTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function control(path: string): Promise<ControlClient> {
  return ControlClient.connect({ path, listener: { event: () => {}, closed: () => {} } });
}

describe.skipIf(!canRun)('a daemon that may have few files open', () => {
  it('keeps what it needs: its owner, its tunnels and its files go on while app.sock is full, and so does app.sock then', async () => {
    const { report, state, log } = await startDaemon();
    const app = join(report.socket, 'app.sock');
    const { all, closed } = flood(app, 300);
    await until('those that are too many to be closed', () => closed() === 300 - APP_CONNECTIONS);
    expect(openFiles(report.pid)).toBeLessThan(OPEN_FILES - 24);
    const before = processorTime(report.pid);
    await sleep(500);
    expect(processorTime(report.pid) - before).toBeLessThan(25);

    // The owner, and what is written to the disk for it.
    const alice = await openNode('alice');
    const owner = await control(join(report.socket, 'admin.sock'));
    await owner.request('add-peer', { record: alice.record(), endpoints: [`127.0.0.1:${alice.localPort}`] });
    expect(readFileSync(join(state, 'peers.json'), 'utf8')).not.toBe('');
    // The network, in both directions.
    const { record } = await owner.request('record', {});
    alice.addPeer({ record, endpoints: [report.listen] });
    await alice.ping('bob', { timeout: 5_000 });
    await owner.request('ping', { peer: 'alice', timeoutMs: 5_000 });

    expect(log().match(/"local-socket-full"/g)).toHaveLength(1);

    for (const socket of all) socket.destroy();
    await until('its files to be closed', () => openFiles(report.pid) < OPEN_FILES - APP_CONNECTIONS);
    const program = await control(app);
    expect(await program.request('status', {})).toMatchObject({ name: 'bob' });
    program.close();
    owner.close();
  });
});
