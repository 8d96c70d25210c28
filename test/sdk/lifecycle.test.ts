import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, createNode, type WarrenNode, type WarrenStream } from '../../sdk/index.ts';
import { Daemon, event, introduce, LOOPBACK, type Pair, streamPair, textOf, until, WAYS } from './support.ts';

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
    await expect(pair.alice.listen(80)).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_WARREN_/) });
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
    // Nobody is there any more to be answered.
    const failed = event(far, 'error');
    far.write('too late');
    expect((await failed)[0]).toMatchObject({ code: 'ERR_WARREN_PEER_CLOSED' });
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
    expect(second).toMatchObject({ address, key });
    expect((await second.resolve('pal')).key).toBe(friend.key);
    await second.close();
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
    await expect(createNode({ listen: 'nowhere' })).rejects.toMatchObject({ code: 'ERR_WARREN_ARGUMENT' });
    expect(existsSync(state)).toBe(false);
    const peers = [{ record: 'not a record' }];
    await expect(createNode({ state, peers })).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_WARREN_/) });
    await expect(createNode({ state, name: 'Not A Name' })).rejects.toMatchObject({ code: 'ERR_WARREN_RECORD' });
    // The lock is free.
    await (await createNode({ state, listen: `${LOOPBACK}:0` })).close();
  });

  it('says which addresses it cannot have', async () => {
    const first = await createNode({ listen: `${LOOPBACK}:0` });
    const { udp } = await first.status();
    const second = createNode({ listen: `${LOOPBACK}:${udp.port}` });
    await expect(second).rejects.toMatchObject({ code: 'ERR_WARREN_PORT_IN_USE' });
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
    const loopFailed = expect(loop).rejects.toMatchObject({ code: 'ERR_WARREN_DAEMON_GONE' });
    await daemon.stop();
    expect((await told.stream)[0]).toMatchObject({
      code: expect.stringMatching(/^ERR_WARREN_(SHUTDOWN|RESET|DAEMON_GONE)$/),
    });
    expect((await told.serverError)[0]).toMatchObject({ code: 'ERR_WARREN_DAEMON_GONE' });
    await told.server;
    await told.datagrams;
    expect((await told.node)[0]).toMatchObject({ code: 'ERR_WARREN_DAEMON_GONE' });
    await loopFailed;
    await server.close();
    await datagrams.close();
    for (const asked of [node.dial('alice', 7), node.listen(81), node.status(), node.ping('alice')]) {
      await expect(asked).rejects.toMatchObject({ code: 'ERR_WARREN_DAEMON_GONE' });
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
