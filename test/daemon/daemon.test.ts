import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import * as nodeFs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { instant, SECOND, type WallMs } from '../../base/time.ts';
import type { DaemonConfig } from '../../daemon/config.ts';
import { type RunningDaemon, startDaemon } from '../../daemon/daemon.ts';
import { DirectoryLock } from '../../daemon/directory-lock.ts';
import { Log } from '../../daemon/log.ts';
import { ControlClient } from '../../ipc/client.ts';
import type { ServerEvent } from '../../ipc/messages.ts';
import { type OpeningStream, openStream } from '../../ipc/stream-client.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

let base: string;
let logged: { level: string; kind: string; fields: Record<string, unknown> }[];
const daemons: RunningDaemon[] = [];
const sockets: Socket[] = [];

beforeEach(() => {
  base = nodeFs.mkdtempSync(join(tmpdir(), 'warren-daemon-'));
  logged = [];
});

afterEach(async () => {
  await Promise.all(daemons.splice(0).map((daemon) => daemon.stop()));
  for (const socket of sockets.splice(0)) socket.close();
  nodeFs.rmSync(base, { recursive: true, force: true });
});

async function start(more: Partial<DaemonConfig> = {}): Promise<RunningDaemon> {
  const config: DaemonConfig = {
    state: join(base, 'state'),
    socket: join(base, 'run'),
    listen: LOOPBACK,
    name: 'alice',
    passphraseFile: undefined,
    logLevel: 'info',
    logFormat: 'json',
    logFile: undefined,
    congestion: 'AIMD',
    peerTimeout: 30 * SECOND,
    mtu: 1_200,
    offload: true,
    ...more,
  };
  const output = {
    isTerminal: false,
    write: (line: string): boolean => {
      logged.push(JSON.parse(line));
      return true;
    },
    flush: () => Promise.resolve(),
  };
  const clock = { now: () => instant(0), wall: () => 0 as WallMs };
  const log = new Log({ level: 'info', format: 'json', output, clock });
  const daemon = await startDaemon(config, { log, version: '1.2.3' });
  daemons.push(daemon);
  return daemon;
}

const names = (directory: string): string[] => nodeFs.readdirSync(join(base, directory)).sort();
const kinds = (): string[] => logged.map(({ kind }) => kind);

async function occupy(port: number): Promise<number> {
  const socket = createSocket('udp6');
  sockets.push(socket);
  socket.bind({ port, exclusive: true });
  await once(socket, 'listening');
  return socket.address().port;
}

describe('a daemon', () => {
  it('says who and where it is, and is there', async () => {
    const { report } = await start();
    expect(report).toEqual({
      pid: process.pid,
      address: expect.stringMatching(/^0:[0-9A-F]{4}\.[0-9A-F]{4}\.[0-9A-F]{4}$/),
      name: 'alice',
      key: expect.stringMatching(/^[0-9a-f]{64}$/),
      created: true,
      state: join(base, 'state'),
      socket: join(base, 'run'),
      listen: expect.stringMatching(/^127\.0\.0\.1:[1-9]\d+$/),
    });
    expect(names('state')).toEqual(['identity.json', 'lock', 'name', 'udp-port']);
    expect(names('run')).toEqual(['admin.sock', 'app.sock', 'lock']);
    for (const directory of ['state', 'run']) expect(nodeFs.statSync(join(base, directory)).mode & 0o777).toBe(0o700);
    expect(logged.find(({ kind }) => kind === 'started')?.fields).toMatchObject({ address: report.address });
  });

  it('answers on both sockets, as what it was configured to be', async () => {
    const { report } = await start();
    for (const name of ['app.sock', 'admin.sock']) {
      const listener = { event: () => {}, closed: () => {} };
      const client = await ControlClient.connect({ path: join(report.socket, name), listener });
      expect(client.hello).toMatchObject({ address: report.address, name: 'alice', key: report.key, daemon: '1.2.3' });
      client.close();
    }
  });

  it('leaves its state and nothing else behind, and is the same node the next time', async () => {
    const first = await start();
    await first.stop();
    expect(await first.stopped).toBe(undefined);
    expect(names('state')).toEqual(['identity.json', 'name', 'udp-port']);
    expect(names('run')).toEqual([]);
    expect(kinds().at(-1)).toBe('stopped');
    const again = await start();
    expect(again.report).toMatchObject({ address: first.report.address, key: first.report.key, created: false });
  });

  it('ends in order when a program asks it to over the admin socket', async () => {
    const daemon = await start();
    const listener = { event: () => {}, closed: () => {} };
    const client = await ControlClient.connect({ path: join(daemon.report.socket, 'admin.sock'), listener });
    await client.request('shutdown', {});
    expect(await daemon.stopped).toBe(undefined);
    expect(names('run')).toEqual([]);
    expect(names('state')).toEqual(['identity.json', 'name', 'udp-port']);
  });

  it('may be stopped by several at once', async () => {
    const daemon = await start();
    await Promise.all([daemon.stop(), daemon.stop(), daemon.stop()]);
    expect(kinds().filter((kind) => kind === 'stopped').length).toBe(1);
  });

  it('keeps state and sockets in one directory if told to', async () => {
    const one = join(base, 'one');
    const daemon = await start({ state: one, socket: one });
    expect(names('one')).toEqual(['admin.sock', 'app.sock', 'identity.json', 'lock', 'name', 'udp-port']);
    await daemon.stop();
    expect(names('one')).toEqual(['identity.json', 'name', 'udp-port']);
  });

  it('seals its identity with a passphrase, and opens it with the same one only', async () => {
    const passphraseFile = join(base, 'secret');
    nodeFs.writeFileSync(passphraseFile, 'correct horse\n', { mode: 0o600 });
    const first = await start({ passphraseFile });
    await first.stop();
    expect(nodeFs.readFileSync(join(base, 'state', 'identity.json'), 'utf8')).not.toContain('signingSeed');
    await expect(start()).rejects.toMatchObject({ code: 'ERR_WARREN_KEY_FILE_SEALED' });
    nodeFs.writeFileSync(passphraseFile, 'battery staple\n');
    await expect(start({ passphraseFile })).rejects.toMatchObject({ code: 'ERR_WARREN_KEY_FILE_PASSPHRASE' });
    nodeFs.writeFileSync(passphraseFile, 'correct horse\n');
    expect((await start({ passphraseFile })).report.address).toBe(first.report.address);
    expect(JSON.stringify(logged)).not.toMatch(/correct horse|battery staple/);
  });
});

describe('a second daemon', () => {
  it('in the same state directory is refused, and the first is none the worse', async () => {
    const first = await start();
    await expect(start({ socket: join(base, 'run-2') })).rejects.toMatchObject({
      code: 'ERR_WARREN_ALREADY_RUNNING',
      pid: process.pid,
      message: expect.stringContaining(`state directory ${join(base, 'state')}`),
    });
    expect(names('run')).toEqual(['admin.sock', 'app.sock', 'lock']);
    expect(names('.')).toEqual(['run', 'state']);
    const listener = { event: () => {}, closed: () => {} };
    (await ControlClient.connect({ path: join(first.report.socket, 'app.sock'), listener })).close();
  });

  it('in the same socket directory is refused before it has an identity', async () => {
    await start();
    await expect(start({ state: join(base, 'state-2') })).rejects.toMatchObject({
      code: 'ERR_WARREN_ALREADY_RUNNING',
      message: expect.stringContaining(`socket directory ${join(base, 'run')}`),
    });
    expect(names('.')).toEqual(['run', 'state']);
    expect(names('run')).toEqual(['admin.sock', 'app.sock', 'lock']);
  });

  it('with directories of its own lives beside it', async () => {
    const [a, b] = [await start(), await start({ state: join(base, 'state-2'), socket: join(base, 'run-2') })];
    expect(a.report.address).not.toBe(b.report.address);
  });
});

describe('the UDP port', () => {
  it('is the one that was asked for, or none', async () => {
    const taken = await occupy(0);
    await expect(start({ listen: { host: undefined, port: taken } })).rejects.toMatchObject({
      code: 'ERR_WARREN_UDP_PORT_IN_USE',
    });
    expect(names('.')).toEqual([]);
  });

  it('is the one of the last time where none is asked for', async () => {
    const first = await start();
    const port = first.report.listen.split(':').at(-1);
    await first.stop();
    expect((await start({ listen: undefined })).report.listen).toBe(`[::]:${port}`);
  });

  it('is another where somebody else has that, and the other is remembered', async () => {
    const taken = await occupy(0);
    nodeFs.mkdirSync(join(base, 'state'), { mode: 0o700 });
    nodeFs.writeFileSync(join(base, 'state', 'udp-port'), `${taken}\n`);
    const { report } = await start({ listen: undefined });
    const port = report.listen.split(':').at(-1);
    expect(port).not.toBe(String(taken));
    expect(nodeFs.readFileSync(join(base, 'state', 'udp-port'), 'utf8')).toBe(`${port}\n`);
  });

  it('that cannot be read or written down keeps nobody from starting', async () => {
    nodeFs.mkdirSync(join(base, 'state', 'udp-port'), { recursive: true });
    nodeFs.chmodSync(join(base, 'state'), 0o700);
    await start({ listen: undefined });
    expect(kinds()).toEqual(expect.arrayContaining(['port-forgotten', 'port-not-remembered', 'started']));
  });
});

describe('the name', () => {
  const path = (): string => join(base, 'state', 'name');

  async function nameAfter(name: string | undefined): Promise<string> {
    const daemon = await start({ name });
    await daemon.stop();
    return daemon.report.name;
  }

  it('is the one of the last time where none is given, until another or none at all is wanted', async () => {
    expect(await nameAfter(undefined)).toBe('');
    expect(nodeFs.existsSync(path())).toBe(false);
    expect(await nameAfter('alice')).toBe('alice');
    expect(await nameAfter(undefined)).toBe('alice');
    expect(await nameAfter('anna')).toBe('anna');
    expect(await nameAfter(undefined)).toBe('anna');
    expect(nodeFs.readFileSync(path(), 'utf8')).toBe('anna\n');
    expect(await nameAfter('')).toBe('');
    expect(await nameAfter(undefined)).toBe('');
  });

  it('of a start that failed is not remembered', async () => {
    await nameAfter('alice');
    const taken = await occupy(0);
    await expect(start({ name: 'anna', listen: { host: undefined, port: taken } })).rejects.toThrow();
    expect(await nameAfter(undefined)).toBe('alice');
  });

  it.each(['', '\n', 'alice', 'Alice\n', 'alice\nbob\n', `${'a'.repeat(64)}\n`, 'al\u0000ice\n'])(
    'that was written down as %j is none',
    async (content) => {
      nodeFs.mkdirSync(join(base, 'state'), { mode: 0o700 });
      nodeFs.writeFileSync(path(), content);
      expect(await nameAfter(undefined)).toBe('');
    },
  );

  it('that cannot be read or written down keeps nobody from starting', async () => {
    nodeFs.mkdirSync(path(), { recursive: true });
    nodeFs.chmodSync(join(base, 'state'), 0o700);
    expect(await nameAfter('alice')).toBe('alice');
    expect(kinds()).toEqual(expect.arrayContaining(['name-forgotten', 'name-not-remembered', 'started']));
  });

  it('that a peer in the book goes by is refused, and nothing is left of that start', async () => {
    const alice = await start({ name: 'alice' });
    const bob = await start({ state: join(base, 'state-2'), socket: join(base, 'run-2'), name: 'bob' });
    await introduce(alice, bob);
    await alice.stop();
    await expect(start({ name: 'bob' })).rejects.toMatchObject({
      code: 'ERR_WARREN_NAME_TAKEN',
      message: expect.stringContaining(bob.report.address),
      hint: expect.stringContaining('--name'),
    });
    expect(names('run')).toEqual([]);
    expect((await start({ name: undefined })).report.name).toBe('alice');
  });
});

describe('a start that fails', () => {
  it.each([
    ['a state directory that others may enter', () => nodeFs.chmodSync(join(base, 'state'), 0o755), 'DIRECTORY_OPEN'],
    ['a socket directory that others may enter', () => nodeFs.chmodSync(join(base, 'run'), 0o755), 'SOCKET_UNSAFE'],
    [
      'a damaged identity',
      () => nodeFs.writeFileSync(join(base, 'state', 'identity.json'), '{', { mode: 0o600 }),
      'KEY_FILE_DAMAGED',
    ],
    ['a damaged peer book', () => nodeFs.writeFileSync(join(base, 'state', 'peers.json'), '{'), 'PEER_BOOK'],
    ['something in a socket’s place', () => nodeFs.mkdirSync(join(base, 'run', 'app.sock')), 'SOCKET_UNSAFE'],
  ])('for %s leaves no lock and no socket, and can be tried again', async (_, spoil, code) => {
    for (const name of ['state', 'run']) nodeFs.mkdirSync(join(base, name), { mode: 0o700 });
    spoil();
    await expect(start()).rejects.toMatchObject({ code: `ERR_WARREN_${code}` });
    expect(names('state')).not.toContain('lock');
    expect(names('run')).not.toContain('lock');
    expect(names('run')).not.toContain('admin.sock');
    for (const name of ['state', 'run']) nodeFs.rmSync(join(base, name), { recursive: true });
    await start();
  });
});

describe('what a start that fails has made', () => {
  it('goes with it, as far up as there was nothing', async () => {
    const taken = await occupy(0);
    const where = { state: join(base, 'a', 'b', 'state'), socket: join(base, 'a', 'c', 'run') };
    const listen = { host: undefined, port: taken };
    await expect(start({ ...where, listen })).rejects.toMatchObject({ code: 'ERR_WARREN_UDP_PORT_IN_USE' });
    expect(names('.')).toEqual([]);
  });

  it('goes where the socket directory cannot be made', async () => {
    nodeFs.writeFileSync(join(base, 'file'), '');
    await expect(start({ socket: join(base, 'file', 'run') })).rejects.toMatchObject({
      code: 'ERR_WARREN_NOT_A_DIRECTORY',
    });
    expect(names('.')).toEqual(['file']);
  });

  it('goes where the passphrase file is refused, and the identity of before stays', async () => {
    const first = await start();
    await first.stop();
    const before = names('state');
    nodeFs.rmdirSync(join(base, 'run'));
    await expect(start({ passphraseFile: join(base, 'none') })).rejects.toMatchObject({
      code: 'ERR_WARREN_FILE_MISSING',
    });
    expect([names('.'), names('state')]).toEqual([['state'], before]);
    expect((await start()).report.address).toBe(first.report.address);
  });

  it('stays where somebody has put something into it', async () => {
    const taken = await occupy(0);
    const failing = start({ listen: { host: undefined, port: taken } });
    nodeFs.writeFileSync(join(base, 'state', 'config.json'), '{}', { mode: 0o600 });
    await expect(failing).rejects.toMatchObject({ code: 'ERR_WARREN_UDP_PORT_IN_USE' });
    expect(names('.')).toEqual(['state']);
    expect(names('state')).toEqual(['config.json']);
  });
});

describe('a lock that is lost', () => {
  it('ends the daemon: another may be at work in its place', async () => {
    const daemon = await start();
    nodeFs.unlinkSync(join(base, 'state', 'lock'));
    const thief = await DirectoryLock.acquire(join(base, 'state'), 'state directory');
    expect(await daemon.stopped).toMatchObject({ code: 'ERR_WARREN_LOCK_LOST' });
    expect(kinds()).toContain('lock-lost');
    expect(thief.isHeld()).toBe(true);
    thief.release();
  });
});

describe('a stop in the middle of a stream', () => {
  it('is told when it begins: what is there goes on for a while, and nothing new begins', async () => {
    const { alice, program, outgoing, incoming } = await stream();
    // More than every window and buffer: until somebody reads, the node has something that has not arrived.
    outgoing.socket.write(new Uint8Array(64 * 2 ** 20));
    const events = new Events();
    const client = await ControlClient.connect({ path: join(alice.report.socket, 'app.sock'), listener: events });
    let hasStopped = false;
    const stopped = alice.stop().then(() => {
      hasStopped = true;
    });
    await events.next('stopping');
    expect((await client.request('resolve', { peer: 'bob' })).name).toBe('bob');
    await expect(client.request('listen', { port: 81 })).rejects.toMatchObject({ code: 'ERR_WARREN_SHUTDOWN' });
    expect(hasStopped).toBe(false);
    incoming.socket.resume();
    await stopped;
    await expect(client.request('peers', {})).rejects.toMatchObject({ code: 'ERR_WARREN_DAEMON_STOPPED' });
    for (const { socket } of [outgoing, incoming]) socket.destroy();
    program.close();
  });

  it('is no end in order to the other side unless everything has arrived', async () => {
    const { alice, program, events, outgoing, incoming } = await stream();
    // Far more than is on the way at any time, and its end.
    const total = 64 * 2 ** 20;
    outgoing.socket.end(new Uint8Array(total));
    let received = (await incoming.answer).rest.length;
    incoming.socket.resume().on('data', (chunk: Uint8Array) => {
      received += chunk.length;
      if (received > 2 ** 20) void alice.stop();
    });
    const isOver = once(incoming.socket, 'end');
    const { how } = await events.next('end');
    await isOver;
    await alice.stop();
    // Either it all arrived in the time that a stop leaves, or the other side was told that it has not.
    expect(how === 'fin' ? received : total).toBe(total);
    expect(kinds()).not.toContain('stop-incomplete');
    outgoing.socket.destroy();
    incoming.socket.destroy();
    program.close();
  });
});

/** Between a program at alice's daemon and one at bob's. */
async function stream(): Promise<{
  readonly alice: RunningDaemon;
  readonly outgoing: OpeningStream;
  readonly incoming: OpeningStream;
  /** Of the program at bob's, and what it is told. */
  readonly program: ControlClient;
  readonly events: Events;
}> {
  const alice = await start();
  const bob = await start({ state: join(base, 'state-2'), socket: join(base, 'run-2'), name: 'bob' });
  await introduce(alice, bob);
  await introduce(bob, alice);
  const events = new Events();
  const program = await ControlClient.connect({ path: join(bob.report.socket, 'app.sock'), listener: events });
  await program.request('listen', { port: 80 });
  const outgoing = await openStream({
    path: join(alice.report.socket, 'app.sock'),
    line: { kind: 'dial', peer: 'bob', port: 80 },
  });
  const { token } = await events.next('incoming');
  const incoming = await openStream({
    path: join(bob.report.socket, 'app.sock'),
    line: { kind: 'accept', token, owner: { client: program.hello.client, id: 1 } },
  });
  await Promise.all([outgoing.answer, incoming.answer]);
  return { alice, outgoing, incoming, program, events };
}

async function introduce(to: RunningDaemon, who: RunningDaemon): Promise<void> {
  const [there, here] = await Promise.all([admin(who), admin(to)]);
  const { record } = await there.request('record', {});
  await here.request('add-peer', { record, endpoints: [who.report.listen], petname: undefined });
  for (const client of [there, here]) client.close();
}

function admin(daemon: RunningDaemon): Promise<ControlClient> {
  return ControlClient.connect({ path: join(daemon.report.socket, 'admin.sock'), listener: new Events() });
}

/** What a control connection tells, to be waited for. */
class Events {
  readonly #told: ServerEvent[] = [];
  #wake: (() => void) | undefined;

  event(event: ServerEvent): void {
    this.#told.push(event);
    this.#wake?.();
  }

  closed(): void {}

  async next<K extends ServerEvent['event']>(kind: K): Promise<Extract<ServerEvent, { event: K }>> {
    for (;;) {
      const index = this.#told.findIndex(({ event }) => event === kind);
      if (index !== -1) return this.#told.splice(index, 1)[0] as Extract<ServerEvent, { event: K }>;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
