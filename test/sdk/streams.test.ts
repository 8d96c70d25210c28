import { createHash } from 'node:crypto';
import { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type WarrenError, WarrenResetError, type WarrenStream } from '../../sdk/index.ts';
import { bytesOf, event, hashOf, type Pair, patterned, streamPair, textOf, until, WAYS } from './support.ts';

const MIB = 1_024 * 1_024;

describe.each(WAYS)('a stream of a node $way', ({ open, aheadMax }) => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await open();
  });
  afterAll(() => pair.close());

  it('has what libraries look for in a socket', async () => {
    const { near, far, server } = await streamPair(pair);
    const { alice, bob } = pair;
    expect(near).toBeInstanceOf(Duplex);
    expect(near.remoteAddress).toBe(bob.address);
    expect(near.remotePort).toBe(server.port);
    expect(near.remoteFamily).toBe('warren');
    expect(near.localAddress).toBe(alice.address);
    expect(near.address()).toEqual({ address: alice.address, family: 'warren', port: near.localPort });
    expect(far.remotePort).toBe(near.localPort);
    expect(far.localPort).toBe(server.port);
    expect(far.peer).toEqual({ address: alice.address, name: 'alice', key: alice.key });
    expect(near.peer).toEqual({ address: bob.address, name: 'bob', key: bob.key });
    expect(near.setNoDelay(true)).toBe(near);
    expect(near.setKeepAlive(true, 1_000)).toBe(near);
    expect(near.ref()).toBe(near);
    expect(near.unref()).toBe(near);
    expect([near.connecting, near.pending, near.readyState]).toEqual([false, false, 'open']);

    near.write('12345');
    near.write('67890');
    expect(near.bytesWritten).toBe(10);
    await until('ten bytes', () => far.bytesRead === 10);
    expect(far.read().toString()).toBe('1234567890');
    near.destroy();
    far.on('error', () => {}).destroy();
    expect(near.readyState).toBe('closed');
    await server.close();
  });

  it('can be written to while it is being dialled', async () => {
    const server = await pair.bob.listen(0, { allowHalfOpen: true });
    server.on('connection', (stream) => stream.pipe(stream));
    const stream = pair.alice.createConnection('bob', server.port);
    expect([stream.connecting, stream.pending, stream.readyState]).toEqual([true, true, 'opening']);
    expect(stream.remoteAddress).toBeUndefined();
    stream.end('early');
    await event(stream, 'connect');
    expect(stream.remoteAddress).toBe(pair.bob.address);
    expect(await textOf(stream)).toBe('early');
    await server.close();
  });

  it('carries 64 MB each way at once, and every byte of them', { timeout: 300_000 }, async () => {
    const { near, far, server } = await streamPair(pair, { allowHalfOpen: true }, { allowHalfOpen: true });
    const length = 64 * MIB;
    const there = createHash('sha256');
    const back = createHash('sha256');
    await Promise.all([
      pipeline(patterned(length, 1), near),
      pipeline(patterned(length, 2), far),
      pipeline(far, there),
      pipeline(near, back),
    ]);
    expect(there.digest('hex')).toBe(hashOf(length, 1));
    expect(back.digest('hex')).toBe(hashOf(length, 2));
    await server.close();
  });

  it('may be used by its program as soon as a write has called back: the bytes are its own again', async () => {
    const { near, far, server } = await streamPair(pair);
    const buffer = Buffer.alloc(40_000);
    const count = 100;
    const received = bytesOf(far);
    for (let i = 0; i < count; i++) {
      buffer.fill(i);
      await new Promise((resolve) => near.write(buffer, resolve));
    }
    near.end();
    const bytes = await received;
    expect(bytes.length).toBe(count * buffer.length);
    for (let i = 0; i < bytes.length; i += 1_000) expect(bytes[i]).toBe(Math.floor(i / buffer.length));
    await server.close();
  });

  it('ends in halves: whoever has ended can still be answered', async () => {
    const { near, far, server } = await streamPair(pair, { allowHalfOpen: true }, { allowHalfOpen: true });
    near.end('question');
    let question = '';
    far.on('data', (chunk) => {
      question += chunk;
    });
    await event(far, 'end');
    expect(question).toBe('question');
    expect([far.readable, far.writable, far.readyState]).toEqual([false, true, 'writeOnly']);
    expect([near.readable, near.writable, near.readyState]).toEqual([true, false, 'readOnly']);
    far.end('answer');
    expect(await textOf(near)).toBe('answer');
    await until('both to be closed', () => near.closed && far.closed);
    expect([near.errored, far.errored]).toEqual([null, null]);
    await server.close();
  });

  it('can be answered after it was read in a loop, where it may be half open', async () => {
    const { near, far, server } = await streamPair(pair, {}, { allowHalfOpen: true });
    near.end('question');
    expect(await textOf(far)).toBe('question');
    far.end('answer');
    expect(await textOf(near)).toBe('answer');
    await until('both to be closed', () => near.closed && far.closed);
    expect([near.errored, far.errored]).toEqual([null, null]);
    await server.close();
  });

  it('is given up by leaving the loop that reads it', async () => {
    const { near, far, server } = await streamPair(pair);
    far.write('first');
    for await (const chunk of near) {
      expect(chunk.toString()).toBe('first');
      break;
    }
    expect(near.destroyed).toBe(true);
    expect((await event(far, 'error'))[0]).toMatchObject({ code: 'ERR_WARREN_RESET' });
    await server.close();
  });

  it('ends in order where it is destroyed after the far side was heard out', async () => {
    const { near, far, server } = await streamPair(pair, {}, { allowHalfOpen: true });
    far.resume().on('end', () => far.destroy());
    near.end('all');
    await event(near.resume(), 'close');
    expect([near.readableEnded, near.errored]).toEqual([true, null]);
    await server.close();
  });

  it('ends at this end too, once the far side has ended, where half-open is not asked for', async () => {
    const { near, far, server } = await streamPair(pair);
    near.resume();
    far.end('all');
    await event(near, 'close');
    far.resume();
    await until('the far side to be closed', () => far.closed);
    expect([near.writableFinished, far.readableEnded, near.errored, far.errored]).toEqual([true, true, null, null]);
    await server.close();
  });

  it('notices the far end without being read from', async () => {
    const { near, far, server } = await streamPair(pair);
    far.end();
    await event(near, 'close');
    expect(near.errored).toBeNull();
    far.destroy();
    await server.close();
  });

  it('that is destroyed is reset: the far side gets an error, not an end', async () => {
    const { near, far, server } = await streamPair(pair);
    near.write('half of some');
    const [error] = await Promise.all([
      event(far, 'error'),
      near.destroy(new Error('program trouble')).on('error', () => {}),
    ]);
    expect(error[0]).toBeInstanceOf(WarrenResetError);
    expect(error[0]).toMatchObject({ code: 'ERR_WARREN_RESET', streamCode: 14 });
    expect((error[0] as WarrenError).hint).not.toBe('');
    expect(near.errored?.message).toBe('program trouble');
    await server.close();
  });

  it('carries the code with which it is given up', async () => {
    const { near, far, server } = await streamPair(pair);
    expect(() => near.resetAndDestroy(10)).toThrow(/code is 10/);
    near.resetAndDestroy(1_234);
    expect((await event(far, 'error'))[0]).toMatchObject({ code: 'ERR_WARREN_RESET', streamCode: 1_234 });
    expect(near.closed).toBe(true);
    expect(near.errored).toBeNull();
    await server.close();
  });

  it('that is destroyed soon ends when all is written', async () => {
    const { near, far, server } = await streamPair(pair);
    near.write(Buffer.alloc(MIB, 'x'));
    near.destroySoon();
    const bytes = await bytesOf(far);
    expect(bytes.length).toBe(MIB);
    await until('it to be destroyed', () => near.destroyed);
    await server.close();
  });

  it('that has ended and is then destroyed still arrives, though it reads no more', async () => {
    const { near, far, server } = await streamPair(pair, {}, { allowHalfOpen: true });
    const length = 3 * MIB;
    let received = 0;
    far.on('data', (chunk) => {
      received += chunk.length;
    });
    near.end(Buffer.alloc(length, 'y'), () => near.destroy());
    await event(far, 'end');
    expect([received, near.destroyed]).toEqual([length, true]);
    // What nobody reads is a broken pipe to whoever writes it.
    far.on('error', () => {});
    await until('writing to fail', () => far.destroyed || !far.write('more'));
    await until('it to be destroyed', () => far.destroyed);
    expect(far.errored).toMatchObject({ code: 'ERR_WARREN_RESET' });
    await server.close();
  });

  it('lets a writer run ahead of a reader that stalls by so much and no more', async () => {
    const highWaterMark = 64 * 1_024;
    const { near, far, server } = await streamPair(pair, { highWaterMark }, { highWaterMark });
    const chunk = Buffer.alloc(16 * 1_024);
    let written = 0;
    let isBlocked = false;
    for (let quiet = 0; quiet < 60; quiet++) {
      while (!near.writableNeedDrain) {
        near.write(chunk);
        written += chunk.length;
        quiet = 0;
      }
      isBlocked = true;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(isBlocked).toBe(true);
    // Both ends' buffers, the stream's first windows in the tunnel, what a kernel and a daemon hold of a connection.
    expect(written).toBeGreaterThan(4 * chunk.length);
    expect(written).toBeLessThan(aheadMax);
    near.end();
    let read = 0;
    for await (const piece of far) read += piece.length;
    expect(read).toBe(written);
    await server.close();
  });

  it('says when nothing has moved for a while, as often as something moves in between', async () => {
    const { near, far, server } = await streamPair(pair);
    let count = 0;
    near.setTimeout(40, () => {
      count += 1;
    });
    near.on('timeout', () => {
      count += 100;
    });
    expect(near.timeout).toBe(40);
    await until('the first timeout', () => count === 101);
    far.write('x');
    await until('the second', () => count === 201);
    near.setTimeout(0);
    expect(near.timeout).toBeUndefined();
    near.destroy();
    far.on('error', () => {}).destroy();
    await server.close();
  });

  it('comes a thousand times over one tunnel', { timeout: 120_000 }, async () => {
    const server = await pair.bob.listen(0, { allowHalfOpen: true, backlog: 1_024 });
    server.on('connection', (stream) => stream.pipe(stream));
    const one = async (i: number): Promise<void> => {
      const stream = await pair.alice.dial('bob', server.port);
      stream.end(`number ${i}`);
      expect(await textOf(stream)).toBe(`number ${i}`);
    };
    const waves = 5;
    for (let wave = 0; wave < waves; wave++) {
      await Promise.all(Array.from({ length: 200 }, (_, i) => one(wave * 200 + i)));
    }
    await server.close();
    await until('nothing to be left', async () => (await pair.streams()).every((count) => count === 0));
  });

  it('of a thousand that are open at once each is its own', { timeout: 120_000 }, async () => {
    const server = await pair.bob.listen(0, { allowHalfOpen: true, backlog: 1_024 });
    server.on('connection', (stream) => stream.pipe(stream));
    const dial = (): Promise<WarrenStream> => pair.alice.dial('bob', server.port);
    const streams: WarrenStream[] = [];
    while (streams.length < 1_000) streams.push(...(await Promise.all(Array.from({ length: 100 }, dial))));
    const echoes = streams.map((stream, i) => {
      stream.end(`number ${i}`);
      return textOf(stream);
    });
    expect(await Promise.all(echoes)).toEqual(streams.map((_, i) => `number ${i}`));
    await server.close();
    await until('nothing to be left', async () => (await pair.streams()).every((count) => count === 0));
  });
});
