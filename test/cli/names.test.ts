import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nameCell, otherClaim, table } from '../../cli/format.ts';
import { type Daemon, isCompiled, recordOf, Sandbox, until } from './support.ts';

describe('what a peer calls itself', () => {
  it('is shown beside its name where it is another', () => {
    expect(nameCell({ name: 'bob', callsItself: 'bob' })).toBe('bob');
    expect(nameCell({ name: 'bob', callsItself: '' })).toBe('bob');
    expect(nameCell({ name: 'bob', callsItself: 'alice' })).toBe('bob (calls itself alice)');
    expect(nameCell({ name: '', callsItself: 'alice' })).toBe('- (calls itself alice)');
    expect(nameCell({ name: '', callsItself: '' })).toBe('');
    expect(otherClaim({ name: 'bob', callsItself: 'bob' })).toBe('');
  });

  it('does nothing to a terminal', () => {
    const cell = nameCell({ name: 'bob', callsItself: '\u001b[2J\nalice' });
    expect(table(['PEER'], [[cell]])).toBe('PEER\nbob (calls itself \\u{1b}[2J\\nalice)');
  });
});

const sandbox = new Sandbox();
afterAll(() => sandbox.clear());

describe.runIf(isCompiled)('the names of peers (needs `npm run build`)', () => {
  let alice: Daemon;
  let bob: Daemon;

  beforeAll(async () => {
    [alice, bob] = await Promise.all([sandbox.up('alice'), sandbox.up('bob')]);
    for (const [one, other] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const { data } = await other.json('record');
      await one.json('peer', 'add', data.record, '--endpoint', other.report.listen);
    }
  });

  it('are had by one each: a second is refused, and told what to do', async () => {
    const refused = await alice.json('peer', 'add', recordOf('bob'));
    expect(refused).toMatchObject({
      status: 1,
      error: {
        code: 'ERR_WARREN_NAME_TAKEN',
        message: `that node calls itself bob, which is already what this node calls ${bob.report.address}`,
        hint: expect.stringMatching(/^give it a name of your own: .*warren.* peer add … --as NAME$/),
      },
    });
    expect((await alice.json('peer', 'add', recordOf('x'), '--as', 'bob')).error).toMatchObject({
      code: 'ERR_WARREN_NAME_TAKEN',
      message: `bob is already what this node calls ${bob.report.address}`,
    });
    const own = await alice.run('peer', 'add', recordOf('alice'));
    expect(own).toMatchObject({ status: 1, stdout: '' });
    expect(own.stderr).toMatch(
      /^warren: that node calls itself alice, which is already what this node calls itself \(ERR_WARREN_NAME_TAKEN\)\n {2}give it a name of your own: .* --as NAME\n$/,
    );
    expect((await alice.json('peer', 'list')).data.peers).toHaveLength(1);
    expect((await alice.json('peer', 'add', recordOf('bob'), '--as', 'bob-2')).data.name).toBe('bob-2');
    expect((await alice.json('peer', 'remove', 'bob-2')).ok).toBe(true);
  });

  it('are for others: its own record is refused', async () => {
    const { data } = await alice.json('record');
    expect(await alice.json('peer', 'add', data.record, '--as', 'self')).toMatchObject({
      status: 1,
      error: { code: 'ERR_WARREN_OWN_RECORD' },
    });
  });

  it('stay when a peer calls itself something else, which is shown beside them', async () => {
    await bob.json('down');
    await bob.running.finished;
    // It may not take the name of one it knows.
    const words = ['--state', sandbox.path('bob'), '--socket', bob.report.socket, '--listen', bob.report.listen];
    const taken = await sandbox.json(['up', '--name', 'alice', ...words]);
    expect(taken).toMatchObject({ status: 1, error: { code: 'ERR_WARREN_NAME_TAKEN' } });
    expect((await sandbox.json(['up', '--name', 'mallory', '--detach', ...words])).data.name).toBe('mallory');
    try {
      expect((await bob.json('ping', 'alice', '--count', '1')).status).toBe(0);
      await until('alice has heard of it', async () => {
        return (await alice.json('peers')).data.peers[0].callsItself === 'mallory';
      });
      const { address } = bob.report;
      expect((await alice.json('why', 'bob')).data).toMatchObject({ address, name: 'bob', callsItself: 'mallory' });
      expect((await alice.run('why', 'bob')).stdout).toMatch(/^bob {2}0:.*\n\n {2}calls itself {2}mallory\n/);
      for (const command of [['peers'], ['peer', 'list']]) {
        expect((await alice.run(...command)).stdout).toMatch(/\nbob \(calls itself mallory\) +0:/);
      }
      for (const command of [
        ['ping', 'mallory'],
        ['why', 'mallory'],
        ['peer', 'remove', 'mallory'],
      ]) {
        expect((await alice.json(...command)).error.code).toBe('ERR_WARREN_UNKNOWN_PEER');
      }
      expect((await alice.run('dial', 'mallory:7')).stderr).toContain('ERR_WARREN_UNKNOWN_PEER');
      expect((await alice.json('ping', 'bob', '--count', '1')).status).toBe(0);

      // Until its owner adds it again.
      const { data } = await bob.json('record');
      expect((await alice.json('peer', 'add', data.record)).data).toMatchObject({ address, name: 'mallory' });
      expect((await alice.json('why', 'bob')).error.code).toBe('ERR_WARREN_UNKNOWN_PEER');
    } finally {
      await bob.json('down');
    }
  });

  it('are the petnames alone where there are such', async () => {
    expect((await alice.json('peer', 'add', recordOf('carol'), '--as', 'caz')).data.name).toBe('caz');
    expect((await alice.json('why', 'caz')).data).toMatchObject({ name: 'caz', callsItself: 'carol' });
    expect((await alice.json('why', 'carol')).error.code).toBe('ERR_WARREN_UNKNOWN_PEER');
    expect((await alice.json('peer', 'remove', 'carol')).error.code).toBe('ERR_WARREN_UNKNOWN_PEER');
    expect((await alice.run('peer', 'remove', 'caz')).stdout).toMatch(/^removed caz \(0:/);
  });
});

describe.runIf(isCompiled)('the name of a node (needs `npm run build`)', () => {
  async function nameAfter(more: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const words = ['--state', sandbox.path('dave'), '--socket', sandbox.path('dave', 'run'), '--listen', '127.0.0.1:0'];
    const up = await sandbox.json(['up', '--detach', ...words, ...more], { env });
    const down = await sandbox.json(['down', '--socket', sandbox.path('dave', 'run')]);
    expect([up.status, down.status]).toEqual([0, 0]);
    return up.data.name;
  }

  it('is kept from one start to the next, until another is given or it is taken away', async () => {
    expect(await nameAfter(['--name', 'dave'])).toBe('dave');
    expect(await nameAfter([])).toBe('dave');
    expect(readFileSync(sandbox.path('dave', 'name'), 'utf8')).toBe('dave\n');
    writeFileSync(sandbox.path('dave', 'config.json'), '{"name": "filed"}', { mode: 0o600 });
    expect(await nameAfter([])).toBe('filed');
    expect(await nameAfter([], { WARREN_NAME: 'told' })).toBe('told');
    expect(await nameAfter(['--name', 'given'], { WARREN_NAME: 'told' })).toBe('given');
    writeFileSync(sandbox.path('dave', 'config.json'), '{}', { mode: 0o600 });
    expect(await nameAfter([])).toBe('given');
    expect(await nameAfter(['--name', ''])).toBe('');
    expect(await nameAfter([])).toBe('');
  });
});
