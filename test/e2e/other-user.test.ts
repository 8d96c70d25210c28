import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canBeTwoUsers, type Daemon, isBuilt, ONE_USER, OTHER_USER, World } from './support.ts';

/**
 * Two accounts on one machine: one has a daemon, the other wants its keys, its sockets, or to be taken for it. Only root can be both.
 */
describe.runIf(isBuilt && canBeTwoUsers())('another user of this machine (needs root and `npm run build`)', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.clear());

  /** As on a machine where homes are open to all, and everything below them is up to us. */
  async function victim(): Promise<Daemon> {
    const home = world.home('victim', ONE_USER, 0o755);
    return await world.daemon('alice', { state: `${home}/state`, socket: `${home}/run`, as: ONE_USER });
  }

  /** What came of it, as the other user: the error's code, or what was returned. */
  function tried(code: string, ...args: string[]): unknown {
    const program = `
      const fs = require('node:fs');
      const { once } = require('node:events');
      const { connect } = require('node:net');
      const [, ...args] = process.argv;
      (async () => { ${code} })().then((value) => value ?? 'done', ({ code }) => code)
        .then((value) => { console.log(JSON.stringify(value)); process.exit(); });
    `;
    return JSON.parse(world.node(['-e', program, ...args], OTHER_USER).stdout);
  }

  it('does not get a connection, nor any answer by the command line', async () => {
    const { report } = await victim();
    for (const name of ['app.sock', 'admin.sock']) {
      const path = `${report.socket}/${name}`;
      expect(tried(`await once(connect(args[0]), 'connect')`, path)).toBe('EACCES');
      // Its owner does.
      expect(world.command(['status', '--socket', path], ONE_USER)).toMatchObject({ ok: true });
    }
    expect(world.command(['status', '--socket', report.socket], OTHER_USER)).toMatchObject({
      ok: false,
      error: { code: expect.stringMatching(/^ERR_WARREN_SOCKET_(ACCESS|UNSAFE)$/) },
    });
  });

  it('reads neither the keys nor anything else, and cannot even see what there is', async () => {
    const { report, files } = await victim();
    expect(files).toContain('identity.json');
    for (const name of files) {
      expect(tried('return fs.readFileSync(args[0], "utf8")', `${report.state}/${name}`)).toBe('EACCES');
    }
    for (const directory of [report.state, report.socket]) {
      expect(tried('return fs.readdirSync(args[0])', directory)).toBe('EACCES');
      expect(tried('return fs.writeFileSync(args[0] + "/mine", "")', directory)).toBe('EACCES');
    }
  });

  it('who is first at the path gets neither a daemon nor a program to use it', async () => {
    // As /tmp is: everybody makes what they like, and nobody removes what is another's.
    const shared = world.home('shared', {}, 0o1777);
    const mine = world.home('mine', ONE_USER);
    const places = [
      [`${shared}/closed`, 'fs.mkdirSync(args[0], { mode: 0o700 })'],
      [`${shared}/open`, 'fs.mkdirSync(args[0]); fs.chmodSync(args[0], 0o777)'],
      [`${shared}/link`, 'fs.symlinkSync(args[1], args[0])'],
      [`${shared}/link-away`, 'fs.symlinkSync(args[2], args[0])'],
      [`${shared}/file`, 'fs.writeFileSync(args[0], "")'],
    ] as const;
    for (const [path, squat] of places) {
      expect(tried(squat, path, mine, `${shared}/open`)).toBe('done');
      for (const directories of [
        { state: path, socket: `${mine}/run` },
        { state: `${mine}/state`, socket: path },
      ]) {
        const refused = await world.spawnDaemon('alice', { ...directories, as: ONE_USER }).failed();
        expect([path, refused.status, refused.code]).toEqual([
          path,
          1,
          // A configuration that may not be read is the first thing found in another's directory.
          expect.stringMatching(/^ERR_WARREN_(CONFIG_FILE|DIRECTORY_OWNER|NOT_A_DIRECTORY|FILE_ACCESS|SOCKET_UNSAFE)$/),
        ]);
        expect(refused.hint).not.toBe('');
      }
    }
    expect(readdirSync(`${shared}/open`)).toEqual([]);
    expect(readdirSync(`${shared}/closed`)).toEqual([]);
  });

  it('who listens at the path is not connected to', async () => {
    const shared = world.home('shared', {}, 0o1777);
    // A daemon of their own, with its door wide open.
    const socket = `${shared}/run`;
    await world.daemon('mallory', { state: `${world.home('theirs', OTHER_USER)}/state`, socket, as: OTHER_USER });
    expect(
      tried('for (const path of args) fs.chmodSync(path, 0o777)', socket, `${socket}/app.sock`, `${socket}/admin.sock`),
    ).toBe('done');
    for (const place of [socket, `${socket}/app.sock`, `${socket}/admin.sock`]) {
      expect(world.command(['status', '--socket', place], ONE_USER)).toMatchObject({
        ok: false,
        error: { code: 'ERR_WARREN_SOCKET_UNSAFE' },
      });
    }
  });

  it('cannot take the directory from below a daemon in a place that all share', async () => {
    const shared = world.home('shared', {}, 0o1777);
    const home = world.home('victim', ONE_USER);
    const socket = `${shared}/run`;
    await world.daemon('alice', { state: `${home}/state`, socket, as: ONE_USER });
    for (const attack of [
      'fs.renameSync(args[0], args[0] + "-away")',
      'fs.rmSync(args[0], { recursive: true })',
      'fs.rmdirSync(args[0])',
      'fs.chmodSync(args[0], 0o777)',
    ]) {
      expect([attack, tried(attack, socket)]).toEqual([attack, expect.stringMatching(/^E(ACCES|PERM|NOTEMPTY)$/)]);
    }
    expect(world.command(['status', '--socket', socket], ONE_USER)).toMatchObject({
      ok: true,
      data: { name: 'alice' },
    });
  });
});

describe.runIf(isBuilt && !canBeTwoUsers())('another user of this machine', () => {
  it('is looked at where the tests run as root', (context) => context.skip('only root can be two users'));
});
