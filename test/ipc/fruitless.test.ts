import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadFfi } from '../../daemon/ffi.ts';
import { openLastingListener } from '../../ipc/lasting-listener.ts';
import { Program, stage, takeAll, temporaryPaths, turns, until } from './support.ts';

const ffi = await loadFfi();
const canRest = process.platform === 'linux' && ffi !== undefined;
/** One in more time than any of these tests takes. */
const SELDOM = 0.01;

/** A connection that says something, and how much it has been told. */
function say(path: string, line: string): { socket: Socket; told: () => string; isOver: () => boolean } {
  const socket = connect(path);
  let told = '';
  let isOver = false;
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => {
    told += bytes.toString();
  });
  socket.on('close', () => {
    isOver = true;
  });
  socket.write(`${line}\n`);
  onTestFinished(() => {
    socket.destroy();
  });
  return { socket, told: () => told, isOver: () => isOver };
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

describe.skipIf(!canRest)('connections that come to nothing (skipped where there is no Linux, or no koffi)', () => {
  it('wait once there were too many, while those that have become something go on', async () => {
    const bounds = { fruitless: 4, fruitlessPerSecond: SELDOM };
    const { paths, bob } = await stage(bounds, { ffi });
    takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:80');
    for (let i = 0; i < 4; i++) {
      const refused = say(paths.app, 'nonsense');
      await until('a refusal', () => refused.told().includes('ERR_WARREN_'));
    }
    const waiting = say(paths.app, 'nonsense');
    await turns();
    expect([waiting.told(), waiting.isOver()]).toEqual(['', false]);
    expect((await program.client.request('resolve', { peer: 'bob' })).name).toBe('bob');
    expect(stream.socket.destroyed).toBe(false);
    // The owner's door is another.
    const owner = await Program.connect(paths.admin);
    expect((await owner.client.request('resolve', { peer: 'bob' })).name).toBe('bob');
  });

  it('are taken again after a rest, and none is lost', async () => {
    const { paths } = await stage({ fruitless: 1, fruitlessPerSecond: 500 }, { ffi });
    const all = Array.from({ length: 50 }, () => say(paths.app, 'nonsense'));
    await until('all to be refused', () => all.every(({ told }) => told().includes('ERR_WARREN_')));
  });

  it('are not those of programs that keep to the rules, however many come', async () => {
    const { paths, bob } = await stage({ fruitless: 2, fruitlessPerSecond: SELDOM }, { ffi });
    takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    for (let i = 0; i < 20; i++) await program.dial('bob:80');
    await Program.connect(paths.app);
  });

  it('leave nothing open when the daemon ends while they wait', async () => {
    const before = openFiles();
    const { paths, server } = await stage({ fruitless: 2, fruitlessPerSecond: SELDOM }, { ffi });
    for (let i = 0; i < 2; i++) {
      const refused = say(paths.app, 'nonsense');
      await until('a refusal', () => refused.told().includes('ERR_WARREN_'));
    }
    const waiting = say(paths.app, 'nonsense');
    await turns();
    expect(waiting.isOver()).toBe(false);
    await server.close();
    await until('its connection to be closed', waiting.isOver);
    await until('all files to be closed', () => openFiles() <= before);
  });
});

it.skipIf(!canRest)(
  'a path that cannot be had leaves no descriptor (skipped where there is no Linux, or no koffi)',
  () => {
    const before = openFiles();
    expect(openLastingListener(ffi!, `${temporaryPaths().directory}/no/such/place`, 1)).toBeUndefined();
    expect(openFiles()).toBe(before);
  },
);
