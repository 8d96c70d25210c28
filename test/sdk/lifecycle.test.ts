import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { instant, type WallMs } from '../../base/time.ts';
import { loadConfig } from '../../daemon/config.ts';
import { type RunningDaemon, startDaemon } from '../../daemon/daemon.ts';
import { Log } from '../../daemon/log.ts';
import { connect, createNode, type WarrenNode, type WarrenStream } from '../../sdk/index.ts';
import { Daemon, event, introduce, LOOPBACK, type Pair, streamPair, textOf, until, WAYS } from './support.ts';

/** For a daemon whose words nobody reads. */
const SILENT: Log = new Log({
  level: 'error',
  format: 'json',
  output: { isTerminal: false, write: () => true, flush: () => Promise.resolve() },
  clock: { now: () => instant(0), wall: () => 0 as WallMs },
});

describe.each(WAYS)('closing a node $way', ({ open }) => {
  let pair: Pair;
  beforeEach(async () => {
    pair = await open();
  });
  afterEach(() => pair.close());

  it('lets what has been ended arrive', async () => {
    const { near, far } = await streamPair(pair);
    const text = 'x'.repeat(3_000_000);
    const read = textOf(far);
    near.end(text);
    await pair.alice.close();
    expect((await read).length).toBe(text.length);
    expect(near.destroyed).toBe(true);
  });

  it('never makes an end of what has not been ended', async () => {
    const { near, far } = await streamPair(pair);
    const failed = event(far, 'error');
    near.write('not yet all');
    await pair.alice.close();
    expect((await failed)[0]).toMatchObject({ code: expect.stringMatching(/^ERR_WARREN_(RESET|PEER_CLOSED)$/) });
    expect([near.destroyed, near.errored]).toEqual([true, null]);
  });

  it('is told once, and can be asked for often', async () => {
    let count = 0;
    pair.alice.on('close', (error) => {
      count += 1;
      expect(error).toBeUndefined();
    });
    await Promise.all([pair.alice.close(), pair.alice.close()]);
    await pair.alice.close();
    expect(count).toBe(1);
  });

  it('comes at the end of `await using`', async () => {
    await pair.alice[Symbol.asyncDispose]();
    await expect(pair.alice.listen(80)).rejects.toMatchObject({ code: 'ERR_WARREN_CLOSED' });
  });
});

describe('a node in this process', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'warren-sdk-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it.each(WAYS)('leaves to its peer’s readers, $way, what had arrived and its end', async ({ open }) => {
    const alice = await createNode({ listen: `${LOOPBACK}:0` });
    const { bob, close } = await open();
    await introduce(alice, bob);
    const { near, far } = await streamPair({ alice, bob }, { allowHalfOpen: true }, { allowHalfOpen: true });
    const text = 'x'.repeat(100_000);
    near.end(text);
    await until('it to have come', () => far.bytesRead === text.length);
    await alice.close();
    await until('bob to have heard of it', async () => (await bob.status()).streams === 0);
    expect(await textOf(far)).toBe(text);
    // Nobody is there any more to be answered. As with a broken pipe, the first words may have left before that is known; and
    // whether alice is heard to read no more before she is heard to be gone, nobody can say.
    const failed = event(far, 'error');
    const writing = setInterval(() => far.write('too late'), 2);
    const [error] = await failed;
    clearInterval(writing);
    expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_WARREN_(PEER_CLOSED|RESET)$/) });
    await close();
  });

  it('is the same the next time, with the same peers, where it has a state directory', async () => {
    const state = join(directory, 'state');
    const friend = await createNode({ name: 'friend', listen: `${LOOPBACK}:0` });
    const peers = [{ record: await friend.record(), petname: 'pal' }];
    const first = await createNode({ name: 'me', state, peers, listen: `${LOOPBACK}:0` });
    const { address, key } = first;
    await first.close();
    const second = await createNode({ state, listen: `${LOOPBACK}:0` });
    expect(second).toMatchObject({ address, key, name: 'me' });
    expect((await second.resolve('pal')).key).toBe(friend.key);
    await second.close();
    await friend.close();
  });

  it('seals its identity where it is given a passphrase, as text or in a file as a daemon is', async () => {
    const state = join(directory, 'state');
    const listen = `${LOOPBACK}:0`;
    const passphraseFile = join(directory, 'passphrase');
    // One spelling of two, which a keyboard and a file may not share.
    writeFileSync(passphraseFile, 'cafe\u0301 au lait\nand a second line\n', { mode: 0o600 });
    const first = await createNode({ state, listen, passphrase: 'caf\u00e9 au lait' });
    await first.close();
    expect(readFileSync(join(state, 'identity.json'), 'utf8')).toContain('scrypt');
    const second = await createNode({ state, listen, passphraseFile });
    expect(second.key).toBe(first.key);
    await second.close();
    for (const [options, code] of [
      [{}, 'ERR_WARREN_KEY_FILE_SEALED'],
      [{ passphrase: 'tea' }, 'ERR_WARREN_KEY_FILE_PASSPHRASE'],
      [{ passphraseFile: join(directory, 'none') }, 'ERR_WARREN_FILE_MISSING'],
    ] as const) {
      await expect(createNode({ state, listen, ...options })).rejects.toMatchObject({ code });
    }
    expect(readdirSync(state).sort()).toEqual(['identity.json', 'udp-port']);
  });

  it('has the port of the last time where it may choose, and another where somebody else has that', async () => {
    const state = join(directory, 'state');
    const portOf = async (node: WarrenNode): Promise<number> => (await node.status()).udp.port;
    const first = await createNode({ state });
    const port = await portOf(first);
    await first.close();
    const second = await createNode({ state });
    expect(await portOf(second)).toBe(port);
    await second.close();

    const other = await createNode({ listen: `[::]:${port}` });
    const third = await createNode({ state });
    const next = await portOf(third);
    expect(next).not.toBe(port);
    await third.close();
    await other.close();
    const fourth = await createNode({ state });
    expect(await portOf(fourth)).toBe(next);
    await fourth.close();
  });

  it('has another port, and says so in a warning, where the last one can neither be read nor written down', async () => {
    const state = join(directory, 'state');
    mkdirSync(join(state, 'udp-port', 'not a file'), { recursive: true, mode: 0o700 });
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    try {
      await (await createNode({ state })).close();
      await until('both to be said', () => warnings.length === 2);
    } finally {
      process.off('warning', warned);
    }
    expect(warnings.map(({ name }) => name)).toEqual(['WarrenWarning', 'WarrenWarning']);
    expect(warnings[0]).toMatchObject({ code: 'ERR_WARREN_NOT_A_FILE', detail: expect.any(String) });
  });

  it('says which version it is', async () => {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    const node = await createNode({ listen: `${LOOPBACK}:0` });
    expect((await node.status()).version).toBe(JSON.parse(text).version);
    await node.close();
  });

  it('goes on in a daemon’s state directory, and the daemon in its', async () => {
    const state = join(directory, 'state');
    const passphraseFile = join(directory, 'passphrase');
    writeFileSync(passphraseFile, 'open sesame\n', { mode: 0o600 });
    const settings = {
      state,
      'passphrase-file': passphraseFile,
      socket: join(directory, 'run'),
      listen: `${LOOPBACK}:0`,
      name: 'carol',
    };
    const friend = await createNode({ name: 'friend', listen: `${LOOPBACK}:0` });
    const peer = { record: await friend.record(), petname: 'pal' };
    const start = async (): Promise<RunningDaemon> => {
      const config = loadConfig({ flags: settings, env: {}, home: directory, workingDirectory: directory });
      return startDaemon(config, { log: SILENT, version: '1.2.3' });
    };
    const daemon = await start();
    const { key } = daemon.report;
    const owner = await connect({ socket: daemon.report.socket, admin: true });
    await owner.addPeer(peer);
    await owner.close();
    await expect(createNode({ state, passphraseFile })).rejects.toMatchObject({ code: 'ERR_WARREN_ALREADY_RUNNING' });
    await daemon.stop();

    const embedded = await createNode({ state, passphraseFile, name: 'carol', listen: `${LOOPBACK}:0` });
    expect([embedded.key, (await embedded.resolve('pal')).key]).toEqual([key, friend.key]);
    await embedded.removePeer('pal');
    await embedded.close();

    const again = await start();
    expect(again.report.key).toBe(key);
    const program = await connect({ socket: again.report.socket });
    expect(await program.peers()).toEqual([]);
    await program.close();
    await again.stop();
    await friend.close();
  });

  it('has its state directory to itself', async () => {
    const state = join(directory, 'state');
    const first = await createNode({ state, listen: `${LOOPBACK}:0` });
    const second = createNode({ state, listen: `${LOOPBACK}:0` });
    await expect(second).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_WARREN_/),
      hint: expect.any(String),
    });
    await first.close();
    await (await createNode({ state, listen: `${LOOPBACK}:0` })).close();
  });

  it('leaves nothing behind where it cannot begin', async () => {
    const state = join(directory, 'state');
    for (const wrong of [{ listen: 'nowhere' }, { name: 'Not A Name' }, { peers: [{ record: '' }] }]) {
      await expect(createNode({ state, ...wrong })).rejects.toMatchObject({ code: 'ERR_WARREN_ARGUMENT' });
    }
    expect(existsSync(state)).toBe(false);
    const peers = [{ record: 'not a record' }];
    await expect(createNode({ state, peers })).rejects.toMatchObject({ code: 'ERR_WARREN_RECORD' });
    const passphraseFile = join(directory, 'none');
    await expect(createNode({ state, passphraseFile })).rejects.toMatchObject({ code: 'ERR_WARREN_FILE_MISSING' });
    // An identity that nobody has been told of has not lived.
    expect(readdirSync(directory)).toEqual([]);
    // The lock is free.
    await (await createNode({ state, listen: `${LOOPBACK}:0` })).close();
  });

  it('says which addresses it cannot have', async () => {
    const first = await createNode({ listen: `${LOOPBACK}:0` });
    const { udp } = await first.status();
    const second = createNode({ listen: `${LOOPBACK}:${udp.port}` });
    await expect(second).rejects.toMatchObject({ code: 'ERR_WARREN_UDP_PORT_IN_USE' });
    await first.close();
  });
});

describe('a program at a daemon', () => {
  let daemon: Daemon;
  let node: WarrenNode;
  beforeEach(async () => {
    daemon = await Daemon.start('alice');
    node = await daemon.connect(false);
  });
  afterEach(async () => {
    await node.close();
    await daemon.stop();
  });

  it('may do what its socket allows', async () => {
    for (const asked of [node.record(), node.addPeer({ record: 'x' }), node.removePeer('x')]) {
      await expect(asked).rejects.toMatchObject({
        code: 'ERR_WARREN_NOT_ALLOWED',
        hint: expect.stringContaining('admin'),
      });
    }
    const owner = await daemon.connect(true);
    expect(await owner.record()).toBe(daemon.node.record());
    await owner.close();
  });

  it('finds its daemon by the directory and by the socket; says where there is none', async () => {
    for (const socket of [daemon.socket, join(daemon.socket, 'app.sock')]) {
      const other = await connect({ socket });
      expect([other.address, other.name]).toEqual([node.address, 'alice']);
      await other.close();
    }
    const missing = connect({ socket: join(daemon.directory, 'elsewhere') });
    await expect(missing).rejects.toMatchObject({ code: 'ERR_WARREN_DAEMON_NOT_RUNNING' });
    const signal = AbortSignal.abort();
    await expect(connect({ socket: daemon.socket, signal })).rejects.toMatchObject({ code: 'ERR_WARREN_CANCELLED' });
  });

  it('leaves nothing at the daemon when it closes', async () => {
    await node.listen(80);
    await node.bind(53);
    const stream = await node.dial('alice', 7);
    stream.on('error', () => {});
    await node.close();
    await until('all to be gone', () => daemon.node.status().streams === 0);
    expect(daemon.node.status().listening).toEqual([7]);
    const again = await daemon.connect();
    await again.listen(80);
    await again.bind(53);
    await again.close();
  });

  it('hears of its daemon’s end in everything it has there', async () => {
    const stream = await node.dial('alice', 7);
    const server = await node.listen(80);
    const datagrams = await node.bind(53);
    const loop = (async () => {
      for await (const _ of server);
    })();
    const told = {
      stream: event(stream, 'error'),
      serverError: event(server, 'error'),
      server: event(server, 'close'),
      datagrams: event(datagrams, 'close'),
      node: event(node, 'close'),
    };
    const news: string[] = [];
    node.on('stopping', () => news.push('stopping')).on('close', () => news.push('close'));
    const loopFailed = expect(loop).rejects.toMatchObject({ code: 'ERR_WARREN_DAEMON_STOPPED' });
    await daemon.stop();
    expect((await told.stream)[0]).toMatchObject({
      code: expect.stringMatching(/^ERR_WARREN_(SHUTDOWN|RESET|DAEMON_STOPPED)$/),
    });
    expect((await told.serverError)[0]).toMatchObject({ code: 'ERR_WARREN_DAEMON_STOPPED' });
    await told.server;
    await told.datagrams;
    expect((await told.node)[0]).toMatchObject({ code: 'ERR_WARREN_DAEMON_STOPPED' });
    expect(news).toEqual(['stopping', 'close']);
    await loopFailed;
    await server.close();
    await datagrams.close();
    for (const asked of [node.dial('alice', 7), node.listen(81), node.status(), node.ping('alice')]) {
      await expect(asked).rejects.toMatchObject({ code: 'ERR_WARREN_DAEMON_STOPPED' });
    }
  });

  it('does not take one program’s ports and streams for another’s', async () => {
    const other = await daemon.connect(false);
    const server = await node.listen(80);
    await expect(other.listen(80)).rejects.toMatchObject({ code: 'ERR_WARREN_PORT_TAKEN' });
    const taken = event(server, 'connection') as Promise<[WarrenStream]>;
    const stream = await other.dial('alice', 80);
    const [far] = await taken;
    stream.end('from next door');
    expect(await textOf(far)).toBe('from next door');
    await other.close();
    expect(server.listening).toBe(true);
  });

  it('reaches a node that runs inside another program', async () => {
    const embedded = await createNode({ name: 'bob', listen: `${LOOPBACK}:0` });
    const owner = await daemon.connect(true);
    await introduce(owner, embedded);
    const server = await embedded.listen(80);
    server.on('connection', (stream) => stream.end('hello'));
    expect(await textOf(await node.dial('bob', 80))).toBe('hello');
    await embedded.close();
    await owner.close();
  });
});
