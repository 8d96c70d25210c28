import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SILENT_PEER, WINDOW_BYTES } from './fake-host.ts';
import { bare, farDial, Program, patterned, stage, takeAll, tornForWriters, turns, until } from './support.ts';

const MIB = 1024 * 1024;

describe('a stream connection', () => {
  it('carries bytes both ways, and each half ends by itself, in order and after all bytes', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:80');
    expect(stream.opened).toMatchObject({ ok: true, id: stream.id, remotePort: 80, peer: { name: 'bob' } });

    stream.socket.write('question');
    program.finish(stream);
    const far = taken[0]!;
    await far.when('finished');
    expect(far.text).toBe('question');
    expect(stream.bytes.hasEnded).toBe(false);

    far.write('answer');
    far.finish();
    await stream.bytes.end();
    expect(stream.bytes.text).toBe('answer');
    await program.ending(stream.id, 'closed');
    expect(program.endings(stream.id).map(({ how, error }) => [how, error])).toEqual([
      ['acknowledged', undefined],
      ['fin', undefined],
      ['closed', undefined],
    ]);
    await far.when('closed');
    expect(far.error).toBeUndefined();
  });

  it('hands over bytes that came with the answer, and those that were written behind the line', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 80, (far) => {
      far.write('early bird');
    });
    const { socket, bytes } = await bare(paths.app);
    socket.write('dial bob:80\nworm');
    await until('the answer and what follows', () => bytes.text.endsWith('early bird'));
    expect(bytes.text).toMatch(/^\{"ok":true,.*\}\nearly bird$/);
    await until('the bytes behind the line', () => taken[0]!.text === 'worm');
  });

  it('carries 32 MiB each way at once, byte for byte', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:80');
    const there = patterned(32 * MIB);
    const back = patterned(32 * MIB).reverse();
    const far = taken[0]!;
    far.write(back);
    far.finish();
    for (let at = 0; at < there.length; at += 100_000) stream.socket.write(there.subarray(at, at + 100_000));
    program.finish(stream);
    await far.when('finished');
    expect(far.bytes.equals(there)).toBe(true);
    await program.ending(stream.id, 'closed');
    expect((await stream.bytes.end()).equals(back)).toBe(true);
  });

  it('that is accepted carries what the dialler wrote first', async () => {
    const { paths, bob } = await stage();
    const program = await Program.connect(paths.app);
    const { port } = await program.client.request('listen', { port: 80 });
    expect(port).toBe(80);
    const far = farDial(bob, 'alice', 80);
    far.write('hello');
    const incoming = await program.event('incoming');
    expect(incoming).toMatchObject({ port: 80, peer: bob.self, remotePort: far.end.localPort, priority: 1 });
    const stream = await program.accept(incoming.token);
    expect(stream.opened).toMatchObject({ peer: bob.self, localPort: 80, remotePort: far.end.localPort });
    expect((await stream.bytes.reaches(5)).toString()).toBe('hello');
    stream.socket.write('welcome');
    program.finish(stream);
    await far.when('finished');
    expect(far.text).toBe('welcome');
  });

  it('that is accepted has what was written by then in one piece with the answer', async () => {
    const { paths, bob } = await stage();
    const program = await Program.connect(paths.app);
    await program.client.request('listen', { port: 80 });
    farDial(bob, 'alice', 80).write('hello');
    const { token } = await program.event('incoming');
    const { opened } = await program.accept(token);
    expect(Buffer.from(opened.rest).toString()).toBe('hello');
  });

  it('that is refused answers with the node’s code, message and hint, and closes', async () => {
    const { paths } = await stage();
    const { socket, bytes } = await bare(paths.app);
    socket.write(`dial bob:81\n${'x'.repeat(100_000)}`);
    await bytes.end();
    expect(JSON.parse(bytes.text)).toEqual({
      ok: false,
      error: {
        code: 'ERR_WARREN_REFUSED',
        message: 'nobody listens on port 81 of bob',
        hint: 'Look at what listens there.',
      },
    });
    await tornForWriters(socket, bytes);
  });

  it('to a peer that nobody knows is refused at once', async () => {
    const { paths } = await stage();
    const program = await Program.connect(paths.app);
    await expect(program.dial('carol:80')).rejects.toMatchObject({
      code: 'ERR_WARREN_UNKNOWN_PEER',
      hint: 'Add it first.',
    });
  });

  it('hands the options of its line to the node, and nothing else', async () => {
    const { paths, alice, bob } = await stage();
    takeAll(bob, 80);
    const { socket, bytes } = await bare(paths.app);
    socket.write('dial bob:80 priority=low timeout=5000 congestion=bbr peer-timeout=60000\n');
    await bytes.reaches(1);
    expect(alice.dials).toEqual([
      { peer: 'bob', port: 80, priority: 2, timeout: 5_000, congestion: 'bbr', peerTimeout: 60_000 },
    ]);
  });
});

describe('back-pressure', () => {
  it('from a program that does not read closes the window at the far writer, and nothing else slows', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stalled = await program.dial('bob:80');
    const other = await program.dial('bob:80');
    stalled.socket.pause();
    const [stalledFar, otherFar] = [taken[0]!, taken[1]!];
    stalledFar.write(patterned(8 * MIB));
    otherFar.write(patterned(8 * MIB));
    await other.bytes.reaches(8 * MIB);
    await turns();
    const held = 8 * MIB - stalledFar.unwritten;
    // The window, Node's buffers on both ends, and the kernel's.
    expect(held).toBeLessThan(WINDOW_BYTES + 3 * 256 * 1024 + 512 * 1024);
    const before = stalledFar.unwritten;
    await turns();
    expect(stalledFar.unwritten).toBe(before);

    stalled.socket.resume();
    expect((await stalled.bytes.reaches(8 * MIB)).equals(patterned(8 * MIB))).toBe(true);
  });

  it('leaves in the stream what the program does not take, however wide the window', async () => {
    const { paths, alice, bob } = await stage();
    alice.network.window = 32 * MIB;
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:80');
    stream.socket.pause();
    for (let i = 0; i < 256; i++) taken[0]!.write(patterned(32 * 1024));
    await turns();
    const [end] = alice.ends;
    expect(end!.unread).toBeGreaterThan(8 * MIB - 3 * 256 * 1024 - 512 * 1024);
    stream.socket.resume();
    await stream.bytes.reaches(8 * MIB);
  });

  it('from a far side that does not read stops the program’s writing, and nothing else slows', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 80, (far, incoming) => {
      far.reads = incoming.remotePort !== 49_152;
    });
    const program = await Program.connect(paths.app);
    const stalled = await program.dial('bob:80');
    const other = await program.dial('bob:80');
    stalled.socket.write(patterned(8 * MIB));
    other.socket.write(patterned(8 * MIB));
    await until('the other to have it all', () => taken[1]!.length === 8 * MIB);
    await turns();
    expect(stalled.socket.writableLength).toBeGreaterThan(8 * MIB - WINDOW_BYTES - 1024 * 1024);

    const far = taken[0]!;
    far.reads = true;
    far.read();
    program.finish(stalled);
    await far.when('finished');
    expect(far.bytes.equals(patterned(8 * MIB))).toBe(true);
  });

  it('holds for early data behind a dial that is not answered', async () => {
    const { paths } = await stage();
    const { socket } = await bare(paths.app);
    socket.write(`dial ${SILENT_PEER}:80\n`);
    socket.write(patterned(8 * MIB));
    await turns();
    expect(socket.writableLength).toBeGreaterThan(8 * MIB - WINDOW_BYTES - 1024 * 1024);
  });
});

describe('how a stream ends', () => {
  it('fin is told only when all bytes are with the kernel, which is later than when the node has handed them over', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    // How much the kernel and this end take of it is the system's; in between is what is looked for.
    let wasHeldBack = false;
    for (let size = 256 * 1024; !wasHeldBack && size < 8 * MIB; size += 128 * 1024) {
      const stream = await program.dial('bob:80');
      stream.socket.pause();
      const far = taken.at(-1)!;
      for (let at = 0; at < size; at += 32 * 1024) far.write(patterned(size).subarray(at, at + 32 * 1024));
      far.finish();
      await turns(10);
      wasHeldBack = far.is('acknowledged') && program.endings(stream.id).length === 0;
      stream.socket.resume();
      await program.ending(stream.id, 'fin');
      expect((await stream.bytes.end()).equals(patterned(size))).toBe(true);
    }
    expect(wasHeldBack).toBe(true);
  });

  it('a reset of the far side has its code, and is no fin', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:80');
    taken[0]!.end.reset(300);
    expect(await program.ending(stream.id, 'reset')).toMatchObject({ code: 300 });
    await stream.bytes.end();
    expect(program.endings(stream.id).map(({ how }) => how)).toEqual(['reset']);
    // The other half goes on.
    stream.socket.write('still here');
    program.finish(stream);
    await program.ending(stream.id, 'closed');
    expect(taken[0]!.text).toBe('still here');
  });

  it('a far side that reads no more is told with its code; the bytes written after it go nowhere and block nobody', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:80');
    const far = taken[0]!;
    far.end.stop(301);
    expect(await program.ending(stream.id, 'stopped')).toMatchObject({ code: 301 });
    stream.socket.write(patterned(4 * MIB));
    await until('the bytes to be taken', () => stream.socket.writableLength === 0);
    far.write('and here is why');
    far.finish();
    await stream.bytes.end();
    expect(stream.bytes.text).toBe('and here is why');
    await program.ending(stream.id, 'closed');
    // Both halves are over: a writer that goes on is told so by the kernel.
    await tornForWriters(stream.socket, stream.bytes);
  });

  it('closed carries the error of a stream that was cut', async () => {
    const { paths, alice, bob } = await stage();
    takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:80');
    alice.cut();
    const { error } = await program.ending(stream.id, 'closed');
    expect(error).toMatchObject({ code: 'ERR_WARREN_PEER_TIMEOUT', message: 'the peer is gone', hint: 'Try again.' });
    await stream.bytes.end();
    expect(program.endings(stream.id).map(({ how }) => how)).toEqual(['closed']);
  });

  it('a program gives a stream up with its own code, and the id is free once it is closed', async () => {
    const { paths, alice, bob } = await stage();
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:80');
    stream.socket.write('half a sen');
    program.client.notify('reset', { stream: stream.id, code: 400 });
    const far = taken[0]!;
    await far.when('reset 400');
    expect(far.is('stopped 400')).toBe(true);
    expect(far.is('finished')).toBe(false);
    await program.ending(stream.id, 'closed');
    expect(alice.ends.size).toBe(0);
  });

  it('a dial is given up before its answer', async () => {
    const { paths, alice } = await stage();
    const program = await Program.connect(paths.app);
    const dialling = program.dial(`${SILENT_PEER}:80`);
    dialling.catch(() => {});
    await until('the node to dial', () => alice.ends.size === 1);
    program.client.notify('reset', { stream: 1, code: 14 });
    await expect(dialling).rejects.toMatchObject({ code: 'ERR_WARREN_CANCELLED' });
    await until('the node to have given up', () => alice.ends.size === 0);
  });

  it('a reset or a finish may overtake the line of its stream', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const { client } = program.client.hello;
    program.client.notify('reset', { stream: 70, code: 500 });
    program.client.notify('finish', { stream: 71 });
    await program.client.request('peers', {});
    const reset = await bare(paths.app);
    reset.socket.write(`dial bob:80 client=${client} id=70\n`);
    await reset.bytes.end();
    expect(JSON.parse(reset.bytes.text).error.code).toBe('ERR_WARREN_CANCELLED');

    const finished = await bare(paths.app);
    finished.socket.end(`dial bob:80 client=${client} id=71\nall there is`);
    await until('the far side', () => taken.some((far) => far.text === 'all there is' && far.is('finished')));
  });
});

describe('a client without a control connection', () => {
  it('has a plain pipe: its end of writing is the end', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 7, (far) => {
      far.write('got it');
    });
    const { socket, bytes } = await bare(paths.app);
    socket.end('dial bob:7\nhello\n');
    await until('the far side', () => taken.length === 1 && taken[0]!.is('finished'));
    expect(taken[0]!.text).toBe('hello\n');
    taken[0]!.finish();
    const [answer, ...rest] = (await bytes.end()).toString().split('\n');
    expect(JSON.parse(answer!)).toEqual({ ok: true, peer: bob.self, localPort: 49_152, remotePort: 7 });
    expect(rest.join('\n')).toBe('got it');
    await until('both to be closed', () => bytes.hasClosed && taken[0]!.is('closed'));
  });

  it.each([0, 1, 10_000, 70_000, 300_000])(
    'loses nothing of %i bytes beyond the window, written before its end',
    async (more) => {
      const { paths, bob } = await stage();
      const taken = takeAll(bob, 7, (far) => {
        far.reads = false;
      });
      const { socket, bytes } = await bare(paths.app);
      socket.write('dial bob:7\n');
      await bytes.reaches(1);
      const all = patterned(WINDOW_BYTES + more);
      socket.end(all);
      await until('all to be with the kernel', () => socket.writableFinished);
      await turns();
      const far = taken[0]!;
      far.reads = true;
      far.read();
      await far.when('finished');
      expect(far.bytes.equals(all)).toBe(true);
    },
  );

  it('that is torn with bytes unread does not look like one that has finished', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 7);
    const socket = connect({ path: paths.app, allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    socket.pause();
    socket.write('dial bob:7\nhalf a sen');
    await until('the bytes', () => taken[0]?.text === 'half a sen');
    // More than this end reads ahead: the rest stays in the kernel, which then tells of a torn connection.
    taken[0]!.write(patterned(WINDOW_BYTES));
    await turns();
    socket.destroy();
    const far = taken[0]!;
    await far.when('reset 14');
    expect(far.is('finished')).toBe(false);
  });

  it('that closes is noticed at the next byte for it, and the far writer told', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 7);
    const { socket, bytes } = await bare(paths.app);
    socket.write('dial bob:7\n');
    await bytes.reaches(1);
    socket.destroy();
    const far = taken[0]!;
    await far.when('finished');
    far.write('anybody there?');
    await far.when('stopped 14');
    await far.when('closed');
  });

  it('takes no stream that came for somebody else', async () => {
    const { paths, bob } = await stage();
    const program = await Program.connect(paths.app);
    await program.client.request('listen', { port: 80 });
    farDial(bob, 'alice', 80);
    const { token } = await program.event('incoming');
    const { socket, bytes } = await bare(paths.app);
    socket.write(`accept ${token}\n`);
    await bytes.end();
    expect(JSON.parse(bytes.text)).toMatchObject({ ok: false, error: { code: 'ERR_WARREN_ARGUMENT' } });
    await program.accept(token);
  });
});

it('nothing is left of a thousand short streams', async () => {
  const { paths, alice, bob } = await stage();
  takeAll(bob, 80, (far) => {
    far.write('x');
    far.finish();
  });
  const program = await Program.connect(paths.app);
  for (let round = 0; round < 20; round++) {
    const streams = await Promise.all(Array.from({ length: 50 }, () => program.dial('bob:80')));
    for (const stream of streams) program.finish(stream);
    await Promise.all(streams.map(({ bytes }) => bytes.end()));
    for (const { bytes } of streams) expect(bytes.text).toBe('x');
  }
  await until('the node to have none', () => alice.ends.size === 0 && bob.ends.size === 0);
  // More at once than one client may have, had the others left anything behind.
  const last = await Promise.all(Array.from({ length: 200 }, () => program.dial('bob:80')));
  expect(last).toHaveLength(200);
});
