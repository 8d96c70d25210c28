import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WarrenError, type WarrenStream } from '../../sdk/index.ts';
import { event, type Pair, streamPair, textOf, until, WAYS } from './support.ts';

describe.each(WAYS)('a dial of a node $way', ({ open }) => {
  let pair: Pair;
  beforeEach(async () => {
    pair = await open();
  });
  afterEach(() => pair.close());

  const nothingLeft = (): Promise<void> =>
    until('nothing to be left', async () => (await pair.streams()).every((count) => count === 0));

  it('reaches a peer by name, address and key, and this node itself', async () => {
    const { alice, bob } = pair;
    for (const node of [alice, bob]) {
      const server = await node.listen(4_000);
      server.on('connection', (stream) => stream.end(`${node.name} here, ${stream.peer?.name}`));
    }
    for (const peer of ['bob', bob.address, bob.key]) {
      expect(await textOf(await alice.dial(peer, 4_000))).toBe('bob here, alice');
    }
    for (const peer of ['alice', alice.address, alice.key]) {
      expect(await textOf(await alice.dial(peer, 4_000))).toBe('alice here, alice');
    }
  });

  it('succeeds where the far side has nothing to say, and ends at once', async () => {
    const server = await pair.bob.listen(4_004);
    server.on('connection', (stream) => stream.end());
    for (let i = 0; i < 20; i++) {
      const stream = await pair.alice.dial('bob', 4_004);
      await event(stream.resume(), 'end');
    }
    for (let i = 0; i < 20; i++) expect(await textOf(await pair.alice.dial('bob', 4_004))).toBe('');
    await nothingLeft();
  });

  it('says why nobody took it', async () => {
    const { alice, bob } = pair;
    const failure = (peer: string, port: number, options = {}): Promise<WarrenError> =>
      alice.dial(peer, port, options).then(
        () => expect.unreachable(),
        (error) => error,
      );
    await bob.listen(4_001, { backlog: 1 });
    const waiting = alice.createConnection('bob', 4_001).on('error', () => {});
    await until('it to wait', async () => (await bob.status()).streams === 1);
    const errors = {
      ERR_WARREN_REFUSED: await failure('bob', 4_002),
      ERR_WARREN_BACKLOG_FULL: await failure('bob', 4_001),
      ERR_WARREN_UNKNOWN_PEER: await failure('nobody', 80),
    };
    for (const [code, error] of Object.entries(errors)) {
      expect(error).toBeInstanceOf(WarrenError);
      expect(error).toMatchObject({ code, name: 'WarrenError' });
      expect(error.message).not.toBe('');
      expect(error.hint).not.toBe('');
    }
    waiting.destroy();
  });

  it('gives up after its time', async () => {
    const server = await pair.bob.listen(4_003);
    const error = await pair.alice.dial('bob', 4_003, { timeout: 50 }).catch((caught) => caught);
    expect(error).toMatchObject({ code: 'ERR_WARREN_TIMEOUT' });
    await server.close();
    await nothingLeft();
  });

  it('that was cancelled before it began asks for nothing', async () => {
    const reason = new Error('not needed');
    const error = await pair.alice.dial('bob', 80, { signal: AbortSignal.abort(reason) }).catch((caught) => caught);
    expect(error).toMatchObject({ code: 'ERR_WARREN_CANCELLED', cause: reason });
    expect((await pair.alice.status()).tunnels).toEqual([]);
    expect(await pair.streams()).toEqual([0, 0]);
  });

  it('that is cancelled on its way, at any moment, leaves nothing in either node', async () => {
    // Nobody takes what comes: some of these wait in the backlog when they are cancelled, some are not yet opened.
    const server = await pair.bob.listen(4_004);
    for (const delay of [0, 0, 1, 2, 5, 20]) {
      const controller = new AbortController();
      const dialling = pair.alice.dial('bob', 4_004, { signal: controller.signal }).catch((caught) => caught);
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
      controller.abort();
      expect(await dialling).toMatchObject({ code: 'ERR_WARREN_CANCELLED' });
    }
    await until('nothing to be left here', async () => (await pair.streams())[0] === 0);
    // As with TCP, whoever takes what was given up while it waited finds out then.
    server.on('connection', (stream) => stream.on('error', () => {}));
    await nothingLeft();
  });

  it('that is cancelled when it is connected ends its stream', async () => {
    const controller = new AbortController();
    const { near, far } = await streamPair(pair, { signal: controller.signal });
    const failed = event(near, 'error');
    const reset = event(far, 'error');
    controller.abort();
    expect((await failed)[0]).toMatchObject({ code: 'ERR_WARREN_CANCELLED' });
    expect((await reset)[0]).toMatchObject({ code: 'ERR_WARREN_RESET' });
    await nothingLeft();
  });

  it('lets go of its signal when its stream has ended', async () => {
    const { signal } = new AbortController();
    const { near, far } = await streamPair(pair, { signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    near.resume();
    far.resume().end();
    await event(near, 'close');
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('that is destroyed while it is connecting is no error to anybody', async () => {
    const taken: WarrenStream[] = [];
    const server = await pair.bob.listen(4_005);
    server.on('connection', (stream) => taken.push(stream.on('error', () => {})));
    for (let i = 0; i < 20; i++) {
      const stream = pair.alice.createConnection('bob', 4_005);
      stream.write('early');
      if (i % 2 === 1) await new Promise((resolve) => setImmediate(resolve));
      stream.destroy();
      await event(stream, 'close');
      expect(stream.errored).toBeNull();
    }
    await nothingLeft();
  });

  it('ends with its node', async () => {
    await pair.bob.listen(4_006);
    const dialling = pair.alice.dial('bob', 4_006).catch((caught) => caught);
    await until('it to wait', async () => (await pair.bob.status()).streams === 1);
    await pair.alice.close();
    expect(await dialling).toMatchObject({ code: 'ERR_WARREN_CLOSED' });
  });
});
