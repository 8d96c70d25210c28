import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SmallDisk } from './small-disk.ts';
import { ECHO_PORT, isBuilt, ordinaryUser, World } from './support.ts';
import { Transfers } from './transfer.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.clear());

describe.runIf(isBuilt)('a second daemon on one state directory (needs `npm run build`)', () => {
  it('refuses and says which runs there, and the first goes on with what it was doing', async () => {
    const transfers = await Transfers.open();
    try {
      const [end] = await transfers.begin(0);
      const { report, files } = end.daemon;
      const moved = await end.program.do('moved', end);
      const second = transfers.world.spawnDaemon('mallory', { state: report.state, socket: world.path('elsewhere') });
      expect(await second.failed()).toEqual({
        status: 1,
        code: 'ERR_WARREN_ALREADY_RUNNING',
        message: `a daemon is at work in the state directory ${report.state} already (pid ${report.pid})`,
        hint: expect.stringMatching(/ status asks it .*; a second daemon needs its own --state and --socket$/),
      });
      // Nor where only the sockets are the same.
      const third = transfers.world.spawnDaemon('mallory', { socket: report.socket });
      expect(await third.failed()).toMatchObject({
        status: 1,
        code: 'ERR_WARREN_ALREADY_RUNNING',
        message: expect.stringContaining(`socket directory ${report.socket}`),
      });
      expect(end.daemon.files).toEqual(files);
      while ((await end.program.do('moved', end)).read === moved.read);
      expect(await end.daemon.status()).toMatchObject({ name: 'alice', pid: report.pid, streams: 1 });
    } finally {
      await transfers.close();
    }
  });
});

describe.runIf(isBuilt)('identity (needs `npm run build`)', () => {
  it('lasts as long as its file does: with it the node is the same, without it another', async () => {
    const alice = await world.daemon('alice');
    const { address, key, created } = alice.report;
    expect(created).toBe(true);
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      alice.signal(signal);
      await alice.exit;
      await alice.start();
      expect(alice.report).toMatchObject({ address, key, created: false });
    }
    const other = await world.daemon('bob');
    expect(other.report.key).not.toBe(key);
    expect(other.report.address).not.toBe(address);
  });
});

describe.runIf(isBuilt)('a full disk (needs `npm run build`)', () => {
  it('keeps a daemon from starting with a clear word and nothing half made, and one that runs from nothing but saving', async (context) => {
    const state = world.path('disk');
    const disk = await SmallDisk.mount(state);
    if (disk === undefined) {
      context.skip('this system lets us mount no small file system');
      return;
    }
    try {
      const options = { state, socket: world.path('run'), under: disk.entering };
      const full = { code: 'ERR_WARREN_DISK_FULL', hint: 'free some space' };
      // A new node.
      disk.fill();
      expect(await world.spawnDaemon('alice', options).failed()).toMatchObject({ status: 1, ...full });
      expect(readdirSync(disk.path()).filter((name) => !name.startsWith('filler'))).toEqual([]);
      disk.empty();

      // One that runs, and has something to lose.
      const bob = await world.daemon('bob');
      const record = { record: await bob.admin.record(), endpoints: [bob.report.listen] };
      const alice = await world.daemon('alice', options);
      const { address, key } = alice.report;
      await alice.admin.addPeer(record);
      await bob.admin.addPeer({ record: await alice.admin.record() });
      const book = readFileSync(disk.path('peers.json'));
      const names = readdirSync(disk.path()).sort();
      disk.fill();
      await expect(world.ghost(alice)).rejects.toMatchObject(full);
      await expect(alice.admin.removePeer('bob')).rejects.toMatchObject(full);
      expect(readFileSync(disk.path('peers.json'))).toEqual(book);
      expect(
        readdirSync(disk.path())
          .filter((name) => !name.startsWith('filler'))
          .sort(),
      ).toEqual(names);
      expect((await alice.status()).peers).toBe(1);
      const program = await world.program(alice);
      const { stream } = await program.do('dial', { peer: 'bob', port: ECHO_PORT });
      await program.do('end', { stream, text: 'as ever' });
      expect(await program.do('read', { stream })).toEqual({ text: 'as ever' });

      // It is killed, and cannot start where it cannot lock; nothing of what it had is touched.
      await alice.kill();
      disk.fill();
      expect(await world.spawnDaemon('alice', options).failed()).toMatchObject({ status: 1, ...full });
      expect(readFileSync(disk.path('peers.json'))).toEqual(book);
      disk.empty();
      await alice.start();
      expect(alice.report).toMatchObject({ address, key, created: false });
      expect((await alice.admin.peers()).map(({ name }) => name)).toEqual(['bob']);
      expect(await world.ghost(alice)).toBe('ghost');
    } finally {
      await disk.unmount();
    }
  });
});

describe.runIf(isBuilt)('directories that cannot be written (need `npm run build`)', () => {
  // Root writes anyway.
  const user = ordinaryUser();

  it.runIf(user !== undefined)('are said to be so, and nothing is made beside them', async () => {
    const own = world.home('own', user);
    const state = world.home('state', user, 0o500);
    const refused = world.spawnDaemon('alice', { state, socket: `${own}/run`, as: user! });
    expect(await refused.failed()).toMatchObject({
      status: 1,
      code: 'ERR_WARREN_FILE_ACCESS',
      message: expect.stringContaining(state),
      hint: expect.stringContaining('ls -ld'),
    });
    expect(readdirSync(state)).toEqual([]);

    const closed = world.home('closed', user, 0o500);
    const places = [
      { state: `${closed}/state`, socket: `${own}/run2`, code: 'ERR_WARREN_FILE_ACCESS' },
      { state: `${own}/state`, socket: `${closed}/run`, code: 'ERR_WARREN_FILE_ACCESS' },
    ];
    for (const { state, socket, code } of places) {
      const failure = await world.spawnDaemon('alice', { state, socket, as: user! }).failed();
      expect(failure).toMatchObject({ status: 1, code, message: expect.stringContaining(closed) });
      expect(failure.hint).not.toBe('');
    }
    expect(readdirSync(closed)).toEqual([]);
  });

  it.runIf(user !== undefined)('while the daemon runs keep it from saving and from nothing else', async () => {
    const bob = await world.daemon('bob');
    const home = world.home('home-of-alice', user);
    const state = `${home}/state`;
    const socket = `${home}/run`;
    const alice = await world.daemon('alice', { state, socket, as: user! });
    const asked = (...words: string[]): ReturnType<World['command']> =>
      world.command([...words, '--socket', socket], user);
    const record = await bob.admin.record();
    expect(asked('peer', 'add', record, '--endpoint', bob.report.listen)).toMatchObject({ ok: true });
    const book = readFileSync(`${state}/peers.json`);
    chmodSync(state, 0o500);
    expect(asked('peer', 'remove', 'bob')).toMatchObject({
      ok: false,
      error: { code: 'ERR_WARREN_FILE_ACCESS', message: expect.stringContaining(state) },
    });
    expect(readFileSync(`${state}/peers.json`)).toEqual(book);
    expect(asked('status')).toMatchObject({ ok: true, data: { pid: alice.pid, peers: 1 } });
    chmodSync(state, 0o700);
    expect(asked('peer', 'remove', 'bob')).toMatchObject({ ok: true });
    expect(asked('status').data.peers).toBe(0);
    alice.signal('SIGTERM');
    expect(await alice.exit).toMatchObject({ status: 0 });
  });
});
