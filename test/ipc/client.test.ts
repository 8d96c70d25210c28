import { mkdirSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ControlClient } from '../../ipc/client.ts';
import { frameMessage } from '../../ipc/framing.ts';
import { encodeReply } from '../../ipc/messages.ts';
import { SOCKET_FS, type SocketPaths } from '../../ipc/socket-path.ts';
import { openStream } from '../../ipc/stream-client.ts';
import { framed, Program, temporaryPaths, until } from './support.ts';

/** Something at the daemon's place that does as a test says. */
async function impostor(
  serve: (socket: Socket) => void,
): Promise<{ paths: SocketPaths; sockets: Socket[]; server: Server }> {
  const paths = temporaryPaths();
  mkdirSync(paths.directory, { mode: 0o700 });
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(paths.app, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { paths, sockets, server };
}

const HELLO = [
  ...encodeReply(1, 'hello', {
    version: 1,
    client: 'c'.repeat(32),
    daemon: '0.1.0',
    address: '0:0000.0001.0002',
    name: 'x',
    key: 'ab',
  }),
];

/** Greets, and then is silent. */
function greets(socket: Socket): void {
  for (const body of HELLO) socket.write(frameMessage(body));
  socket.resume();
}

const GONE = { code: 'ERR_WARREN_DAEMON_GONE', hint: expect.stringContaining('warren up') };

describe('a program whose daemon is gone', () => {
  it('has all its calls fail at once, those that wait and those that come', async () => {
    const { paths, sockets } = await impostor(greets);
    const program = await Program.connect(paths.app);
    const waiting = [1, 2, 3].map(() => program.client.request('ping', { peer: 'bob', timeoutMs: 60_000 }));
    const failed = Promise.allSettled(waiting);
    const start = performance.now();
    sockets[0]!.destroy();
    for (const result of await failed) expect(result).toMatchObject({ status: 'rejected', reason: GONE });
    expect(performance.now() - start).toBeLessThan(1_000);
    await expect(program.client.request('peers', {})).rejects.toMatchObject(GONE);
    program.client.notify('finish', { stream: 1 });
    expect(program.closed).toMatchObject(GONE);
  });

  it('holds on to nothing, however often it says whether to keep the process alive', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error): unknown => warnings.push(warning);
    process.on('warning', warned);
    onTestFinished(() => {
      process.off('warning', warned);
    });
    const { paths, sockets } = await impostor(greets);
    const program = await Program.connect(paths.app);
    sockets[0]!.destroy();
    await until('it is gone', () => program.closed !== undefined);
    for (let i = 0; i < 20; i++) {
      program.client.unref();
      program.client.ref();
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  });

  it('has its dials fail, before and after the line is written', async () => {
    const line = { kind: 'dial', peer: 'bob', port: 80 } as const;
    const { paths, sockets, server } = await impostor(() => {});
    const { answer, socket } = await openStream({ path: paths.app, line });
    await until('the connection', () => sockets.length === 1);
    sockets[0]!.destroy();
    await expect(answer).rejects.toMatchObject(GONE);
    expect(socket.destroyed).toBe(true);
    await new Promise((resolve) => server.close(resolve));
    await expect(openStream({ path: paths.app, line })).rejects.toMatchObject({
      code: 'ERR_WARREN_DAEMON_NOT_RUNNING',
    });
  });

  it('looks at the socket before its first connection, and for its streams only at whose its directory is', async () => {
    const { paths } = await impostor((socket) => socket.resume());
    const line = { kind: 'dial', peer: 'bob', port: 80 } as const;
    const looked: string[] = [];
    const lstat: typeof SOCKET_FS.lstat = (path) => {
      looked.push(path);
      return SOCKET_FS.lstat(path);
    };
    const { socket } = await openStream({ path: paths.app, line, fs: { ...SOCKET_FS, lstat }, isChecked: true });
    socket.destroy();
    expect(looked).toEqual([paths.directory]);
    const fs = { ...SOCKET_FS, effectiveUser: () => process.geteuid!() + 1 };
    for (const isChecked of [false, true]) {
      await expect(openStream({ path: paths.app, line, fs, isChecked })).rejects.toMatchObject({
        code: 'ERR_WARREN_SOCKET_UNSAFE',
      });
    }
  });

  it('is told so by a connection that is refused', async () => {
    const paths = temporaryPaths();
    await expect(Program.connect(paths.app)).rejects.toMatchObject({
      code: 'ERR_WARREN_DAEMON_NOT_RUNNING',
      hint: 'start one with: warren up',
    });
  });
});

describe('a program whose daemon misbehaves', () => {
  it('gives up on one that does not answer', async () => {
    const { paths } = await impostor((socket) => socket.resume());
    const listener = { event: () => {}, closed: () => expect.unreachable('there was no connection yet') };
    const connecting = ControlClient.connect({ path: paths.app, listener, helloMs: 30 });
    await expect(connecting).rejects.toMatchObject({ code: 'ERR_WARREN_TIMEOUT' });
  });

  it('may give up connecting itself', async () => {
    const { paths } = await impostor((socket) => socket.resume());
    const listener = { event: () => {}, closed: () => {} };
    const connecting = ControlClient.connect({ path: paths.app, listener, signal: AbortSignal.timeout(30) });
    await expect(connecting).rejects.toMatchObject({ code: 'ERR_WARREN_CANCELLED' });
    const line = { kind: 'dial', peer: 'bob', port: 80 } as const;
    const { answer } = await openStream({ path: paths.app, line, signal: AbortSignal.timeout(30) });
    await expect(answer).rejects.toMatchObject({ code: 'ERR_WARREN_CANCELLED' });
  });

  it('ends the connection over what cannot be read', async () => {
    const inputs = [
      Buffer.alloc(4),
      Buffer.from([0xff, 0xff, 0xff, 0xff]),
      framed({ re: 77, ok: true }),
      framed({ re: 2, ok: true, roundTrip: 'fast', route: 'x' }),
      framed({ re: 2, ok: false, error: new Map([['code', 'E_OTHER']]) }),
      framed({ event: 'end', stream: 0, how: 'fin' }),
      frameMessage(Uint8Array.of(0x80)),
    ];
    for (const input of inputs) {
      const { paths, sockets } = await impostor(greets);
      const program = await Program.connect(paths.app);
      const waiting = program.client.request('ping', { peer: 'bob', timeoutMs: 60_000 });
      waiting.catch(() => {});
      sockets[0]!.write(input);
      await expect(waiting).rejects.toMatchObject({ code: 'ERR_WARREN_PROTOCOL' });
      await until('the end', () => program.closed?.code === 'ERR_WARREN_PROTOCOL');
    }
  });

  it('takes events it does not know for a newer daemon’s, and goes on', async () => {
    const { paths, sockets } = await impostor(greets);
    const program = await Program.connect(paths.app);
    sockets[0]!.write(framed({ event: 'weather', sun: true }));
    sockets[0]!.write(framed({ event: 'gone', token: 't', why: 'a newer daemon says more' }));
    expect(await program.event('gone')).toEqual({ event: 'gone', token: 't' });
    expect(program.events).toHaveLength(1);
  });

  it('hands on codes it does not know, a newer daemon’s', async () => {
    const error = { code: 'ERR_WARREN_OF_TOMORROW', message: 'it rains', hint: 'take an umbrella' };
    const said = new Map(Object.entries(error));
    const { paths, sockets } = await impostor(greets);
    const program = await Program.connect(paths.app);
    const asked = program.client.request('peers', {});
    sockets[0]!.write(framed({ re: 2, ok: false, error: said }));
    await expect(asked).rejects.toMatchObject(error);
    sockets[0]!.write(framed({ event: 'error', error: said }));
    await until('the end', () => program.closed !== undefined);
    expect(program.closed).toMatchObject(error);
    const answering = await impostor((socket) => void socket.end(`${JSON.stringify({ ok: false, error })}\n`));
    const line = { kind: 'dial', peer: 'bob', port: 80 } as const;
    const { answer } = await openStream({ path: answering.paths.app, line });
    await expect(answer).rejects.toMatchObject(error);
  });

  it('refuses an answer that is none, or never ends', async () => {
    const line = { kind: 'dial', peer: 'bob', port: 80 } as const;
    for (const answered of ['{"ok":true}\n', 'HTTP/1.1 400\r\n\r\n', '[]\n', 'null\n', 'x'.repeat(20_000)]) {
      const { paths } = await impostor((socket) => socket.write(answered));
      const { answer } = await openStream({ path: paths.app, line });
      await expect(answer).rejects.toMatchObject({ code: 'ERR_WARREN_PROTOCOL' });
    }
  });

  it('reads an answer that comes byte by byte, and what is behind it', async () => {
    const peer = { address: 'a', name: 'b', key: 'c' };
    const text = `${JSON.stringify({ ok: true, peer, localPort: 1, remotePort: 2, more: 'a newer daemon says more' })}\nrest\n`;
    const { paths } = await impostor((socket) => {
      socket.setNoDelay();
      let at = 0;
      const next = (): void => {
        if (at < text.length) socket.write(text[at++]!, () => setImmediate(next));
      };
      next();
    });
    const { answer, socket } = await openStream({ path: paths.app, line: { kind: 'dial', peer: 'bob', port: 80 } });
    const opened = await answer;
    expect(opened).toMatchObject({ ok: true, peer, localPort: 1, remotePort: 2 });
    let rest = Buffer.from(opened.rest).toString();
    socket.on('data', (chunk) => {
      rest += chunk;
    });
    socket.resume();
    await until('the rest', () => rest === 'rest\n');
  });
});

describe('what a program asks wrongly', () => {
  it('fails before anything is sent', async () => {
    const { paths } = await impostor(greets);
    const { client } = await Program.connect(paths.app);
    const wrong = { code: 'ERR_WARREN_ARGUMENT' };
    await expect(client.request('listen', { port: 70_000 })).rejects.toMatchObject(wrong);
    await expect(client.request('resolve', { peer: 'x'.repeat(1_000) })).rejects.toMatchObject(wrong);
    expect(() => client.notify('reset', { stream: 1.5, code: 0 })).toThrow(expect.objectContaining(wrong));
    for (const peer of ['two words', 'bob:80 id=3', '', 'b\u00fcb', 'x'.repeat(600), 'a\nb']) {
      await expect(openStream({ path: paths.app, line: { kind: 'dial', peer, port: 80 } })).rejects.toMatchObject(
        wrong,
      );
    }
  });

  it('closes its connection: later calls say so', async () => {
    const { paths } = await impostor(greets);
    const program = await Program.connect(paths.app);
    const waiting = program.client.request('peers', {});
    waiting.catch(() => {});
    program.client.close();
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_WARREN_CLOSED' });
    await expect(program.client.request('peers', {})).rejects.toMatchObject({ code: 'ERR_WARREN_CLOSED' });
    expect(program.closed).toBeUndefined();
  });
});
