import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Daemon, filesBelow, isCompiled, PROGRAM, recordOf, Sandbox, until } from './support.ts';

const sandbox = new Sandbox();
afterAll(() => sandbox.clear());

describe.runIf(isCompiled)('two daemons, as two users have them (needs `npm run build`)', () => {
  let alice: Daemon;
  let bob: Daemon;

  beforeAll(async () => {
    [alice, bob] = await Promise.all([sandbox.up('alice'), sandbox.up('bob')]);
  });

  it('come up with one line that says where they are, and a log of JSON beside it', async () => {
    expect(alice.report).toMatchObject({
      name: 'alice',
      created: true,
      state: sandbox.path('alice'),
      socket: sandbox.path('alice', 'run'),
      listen: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      pid: alice.running.child.pid,
    });
    await alice.running.said('"kind":"started"');
    expect(JSON.parse(alice.running.stderr.split('\n')[0]!)).toMatchObject({ kind: 'started' });
  });

  it('are not reached by whom they do not know', async () => {
    const { status, error } = await alice.json('ping', 'bob');
    // What is to be typed is for this daemon, of the two there are.
    expect(error.hint).toContain(`${PROGRAM} --socket ${alice.report.socket} peer list shows`);
    expect([status, error.code]).toEqual([1, 'ERR_WARREN_UNKNOWN_PEER']);
    expect((await alice.run('peer', 'list')).stdout).toBe(`no peers yet: ${PROGRAM} peer add --help\n`);
    expect((await alice.run('peers')).stdout).toBe(`no peers yet: ${PROGRAM} peer add --help\n`);
  });

  it('exchange records through a file, a pipe, or as they are', async () => {
    const { stdout: record } = await bob.run('record');
    expect(record).toMatch(/^wrr1\.[A-Za-z0-9_-]+\n$/);
    writeFileSync(sandbox.path('bob.record'), record);
    const added = await alice.run('peer', 'add', 'bob.record', '--endpoint', '192.0.2.1:1', '--as', 'bobby');
    expect(added).toMatchObject({ status: 0, stderr: '' });
    expect(added.stdout).toMatch(/^added bobby \(0:0000\..*\); when it has added this node too: .*\n$/);
    expect(added.stdout).toContain(`: ${PROGRAM} --socket ${alice.report.socket} ping bobby\n`);

    // What is given again takes the place of what was.
    const again = await alice.json('peer', 'add', record.trim(), '--endpoint', bob.report.listen, '--as', 'bob');
    expect(again).toMatchObject({ ok: true, data: { address: bob.report.address, name: 'bob', key: bob.report.key } });
    const piped = await sandbox.run(
      ['--socket', bob.report.socket, 'peer', 'add', '-', '--endpoint', alice.report.listen],
      { input: `\n${(await alice.json('record')).data.record}\n` },
    );
    expect(piped).toMatchObject({ status: 0, stderr: '' });
    expect((await bob.json('peer', 'list')).data.peers).toEqual([
      {
        address: alice.report.address,
        name: 'alice',
        callsItself: 'alice',
        key: alice.report.key,
        endpoints: [alice.report.listen],
        connected: false,
      },
    ]);
    expect((await bob.run('peer', 'list')).stdout).toMatch(
      /^PEER .*\nalice +0:0000\.[^ ]+ +127\.0\.0\.1:\d+ +[0-9a-f]{64}\n$/,
    );
  });

  it('say what is no record', async () => {
    writeFileSync(sandbox.path('other.txt'), 'x'.repeat(100_000));
    for (const given of ['other.txt', 'wrr1.AAAA']) {
      expect(await alice.json('peer', 'add', given)).toMatchObject({ status: 1, error: { code: 'ERR_WARREN_RECORD' } });
    }
    const missing = await alice.json('peer', 'add', 'nowhere.record');
    expect(missing).toMatchObject({ status: 1, error: { code: 'ERR_WARREN_FILE_MISSING' } });
  });

  it('answer pings', async () => {
    const { status, data } = await alice.json('ping', 'bob', '--count', '3', '--interval', '10ms');
    expect(status).toBe(0);
    expect(data).toMatchObject({ peer: { name: 'bob' }, sent: 3, received: 3 });
    const times = data.results.map(({ roundTripMs }: { roundTripMs: number }) => roundTripMs);
    expect([data.minMs, data.maxMs]).toEqual([Math.min(...times), Math.max(...times)]);
    expect(data.avgMs).toBeCloseTo((times[0] + times[1] + times[2]) / 3, 2);
    const { stdout } = await bob.run('ping', alice.report.address, '--count', '2', '--interval', '0s');
    expect(stdout).toMatch(
      /^1: [\d.]+ ms by 127\.0\.0\.1:\d+\n2: .*\nalice \(.*\): 2 of 2 came back, min .*, avg .*, max .* ms\n$/,
    );
    expect((await alice.json('ping', 'alice', '--count', '1')).data.results[0].route).toBe('self');
  });

  it('end an endless ping with its figures at Ctrl-C', async () => {
    const ping = alice.spawn('ping', 'bob', '--count', '1000000', '--interval', '20ms');
    await ping.line();
    ping.child.kill('SIGINT');
    const { status, stdout } = await ping.finished;
    expect(status).toBe(0);
    expect(stdout).toMatch(/\nbob \(.*\): (\d+) of \1 came back, min .*\n$/);
  });

  it('say how they are', async () => {
    const { data } = await alice.json('status');
    expect(data).toMatchObject({ address: alice.report.address, name: 'alice', pid: alice.report.pid, peers: 1 });
    expect(data.tunnels).toMatchObject([{ name: 'bob', state: 'open', congestion: 'AIMD' }]);
    const { stdout } = await alice.run('status');
    expect(stdout).toContain(`alice  ${alice.report.address}\n`);
    expect(stdout).toMatch(/\n {2}peers +1 known, 1 connected/);
    expect(stdout).toMatch(/\nPEER +ADDRESS +STATE .*\nbob +.* open /);
  });

  it('show their peers with how they are reached', async () => {
    const { data } = await alice.json('peers');
    expect(data.peers).toMatchObject([{ name: 'bob', connected: true, tunnel: { route: bob.report.listen } }]);
    expect((await alice.run('peers')).stdout).toMatch(/^PEER +.*\nbob +\S+ +yes +127\.0\.0\.1:\d+ +[\d.]+ ms +\d+\n$/);
  });

  it('say why a peer is reached or not', async () => {
    const { data } = await alice.json('why', 'bob');
    expect(data).toMatchObject({ name: 'bob', tunnel: { state: 'open' }, routes: [{ route: bob.report.listen }] });
    const { stdout } = await alice.run('why', 'bob');
    expect(stdout).toMatch(/\n {2}tunnel +open\n[\s\S]*\nROUTE +HOW IT WENT\n127\.0\.0\.1:\d+ +in use\n/);
  });

  it('may be asked through the environment, through one socket, and through the file in the state directory', async () => {
    const { socket, address } = alice.report;
    const asked = [
      await sandbox.json(['status'], { env: { WARREN_SOCKET: socket } }),
      await sandbox.json(['status', '--socket', join(socket, 'app.sock')]),
    ];
    writeFileSync(sandbox.path('alice', 'config.json'), JSON.stringify({ socket: 'run' }), { mode: 0o600 });
    asked.push(await sandbox.json(['status', '--state', sandbox.path('alice')]));
    asked.push(await sandbox.json(['status'], { env: { WARREN_STATE: sandbox.path('alice') } }));
    expect(asked.map(({ data }) => data.address)).toEqual([address, address, address, address]);
    const refused = await sandbox.json(['record', '--socket', join(socket, 'app.sock')]);
    expect(refused).toMatchObject({ status: 1, error: { code: 'ERR_WARREN_NOT_ALLOWED' } });
  });

  it('are alone in their directories', async () => {
    const second = await sandbox.json(['up', '--state', sandbox.path('alice'), '--socket', sandbox.path('other')]);
    expect(second).toMatchObject({ status: 1, error: { code: 'ERR_WARREN_ALREADY_RUNNING' } });
    const places = `--socket ${sandbox.path('other')} --state ${sandbox.path('alice')}`;
    expect(second.error.hint).toContain(`${PROGRAM} ${places} status asks it and ${PROGRAM} ${places} down ends it`);
    expect(filesBelow(sandbox.directory)).not.toContain('other');
  });

  it('say where a peer cannot be, before anybody is asked', async () => {
    for (const endpoint of ['0.0.0.0:4440', '[::]:4440', '[fe80::1%eth0]:4440', '224.0.0.1:1', '192.0.2.1:0']) {
      const { status, error } = await alice.json('peer', 'add', 'nowhere.record', '--endpoint', endpoint);
      expect([endpoint, status, error.code]).toEqual([endpoint, 2, 'ERR_WARREN_ENDPOINT']);
      expect(error.message).toContain(JSON.stringify(endpoint));
    }
  });

  it('let a peer in no longer', async () => {
    const { stdout } = await bob.run('peer', 'remove', 'alice');
    expect(stdout).toBe(`removed alice (${alice.report.address})\n`);
    expect((await bob.json('peer', 'remove', 'alice')).error.code).toBe('ERR_WARREN_UNKNOWN_PEER');
    const { status, stderr } = await alice.run('ping', 'bob', '--count', '1', '--timeout', '300ms');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^warren: .*\(ERR_WARREN_[A-Z_]+\)\n {2}\S/);
  });

  it('end when they are told to, and leave nothing but their state', async () => {
    const { status, data } = await alice.json('down');
    expect([status, data.pid]).toEqual([0, alice.report.pid]);
    expect(await alice.running.finished).toMatchObject({ status: 0 });
    expect(filesBelow(sandbox.path('alice', 'run'))).toEqual([]);
    bob.running.child.kill('SIGTERM');
    expect(await bob.running.finished).toMatchObject({ status: 0, signal: null });
    expect(filesBelow(sandbox.path('bob', 'run'))).toEqual([]);
    expect((await alice.json('down')).error.code).toBe('ERR_WARREN_DAEMON_NOT_RUNNING');
  });
});

describe.runIf(isCompiled)('a start that fails (needs `npm run build`)', () => {
  const before = (): readonly string[] => filesBelow(sandbox.directory);
  const up = ['up', '--state', 'new/state', '--socket', 'new/run'];

  it.each<[string, readonly string[], string]>([
    ['a wrong flag', ['--lisen', '127.0.0.1:0'], 'ERR_WARREN_USAGE'],
    ['a wrong value', ['--listen', 'everywhere'], 'ERR_WARREN_CONFIG_VALUE'],
    ['an address that is not ours', ['--listen', '192.0.2.1:4440'], 'ERR_WARREN_BIND'],
    ['a missing passphrase file', ['--passphrase-file', 'none'], 'ERR_WARREN_FILE_MISSING'],
  ])('because of %s leaves nothing, in the foreground and in the background', async (_, words, code) => {
    const there = before();
    for (const how of [[], ['--detach']]) {
      expect((await sandbox.json([...up, ...how, ...words])).error.code).toBe(code);
      expect(before()).toEqual(there);
    }
  });

  it('because a directory cannot be made leaves nothing', async () => {
    writeFileSync(sandbox.path('file'), '');
    const there = before();
    for (const how of [[], ['--detach']]) {
      for (const places of [
        ['--state', 'new/state', '--socket', 'file/run'],
        ['--state', 'file/state', '--socket', 'new/run'],
      ]) {
        expect((await sandbox.json(['up', ...places, ...how])).status).toBe(1);
        expect(before()).toEqual(there);
      }
    }
  });

  it('because of a passphrase file that others may read says how to close it', async () => {
    const file = sandbox.path('open');
    writeFileSync(file, 'correct horse\n');
    chmodSync(file, 0o644);
    const { status, error } = await sandbox.json([...up, '--passphrase-file', 'open']);
    expect([status, error.code]).toEqual([1, 'ERR_WARREN_PASSPHRASE_FILE']);
    expect(error.hint).toContain(`chmod 600 ${file}`);
    expect(before()).not.toContain('new');
  });
});

describe.runIf(isCompiled)('a daemon (needs `npm run build`)', () => {
  const words = (name: string): string[] => [
    'up',
    ...['--state', sandbox.path(name), '--socket', sandbox.path(name, 'run'), '--listen', '127.0.0.1:0'],
  ];

  it('tells people what it is and what to type next', async () => {
    const daemon = sandbox.spawn(words('carol'));
    await until('it is up', () => daemon.stderr.includes('started'));
    const { data } = await sandbox.json(['status', '--socket', sandbox.path('carol', 'run')]);
    daemon.child.kill('SIGINT');
    const { status, stdout } = await daemon.finished;
    expect(status).toBe(0);
    expect(stdout).toContain(`address  ${data.address}\n`);
    expect(stdout).toContain(`state    ${sandbox.path('carol')}  (a new identity`);
    for (const command of ['record', 'peer add RECORD --endpoint', 'listen 1000', 'dial PEER:1000']) {
      expect(stdout).toContain(`warren --socket ${sandbox.path('carol', 'run')} ${command}`);
    }
  });

  it('goes on when nobody reads what it says', async () => {
    const daemon = await sandbox.up('frank');
    daemon.running.child.stdout.destroy();
    daemon.running.child.stderr.destroy();
    // Each of these is a line in its log.
    expect((await daemon.json('peer', 'add', recordOf('bob'))).ok).toBe(true);
    expect((await daemon.json('peer', 'remove', 'bob')).ok).toBe(true);
    expect((await daemon.json('status')).data.pid).toBe(daemon.report.pid);
    expect(await daemon.json('down')).toMatchObject({ status: 0 });
  });

  it('goes into the background, is there when the command returns, and has its log in a file', async () => {
    const { status, data } = await sandbox.json([...words('dave'), '--detach']);
    expect(status).toBe(0);
    const asked = await sandbox.json(['status', '--socket', data.socket]);
    expect(asked.data.address).toBe(data.address);
    const second = await sandbox.run([...words('dave'), '--detach']);
    expect(second).toMatchObject({ status: 1, stderr: expect.stringContaining('ERR_WARREN_ALREADY_RUNNING') });
    const down = await sandbox.run(['down', '--socket', data.socket]);
    expect(down).toMatchObject({ status: 0, stdout: `the daemon has ended (pid ${data.pid})\n` });
    expect(readFileSync(sandbox.path('dave', 'daemon.log'), 'utf8')).toContain('"kind":"stopped"');
  });

  it('opens a sealed identity with its passphrase only', async () => {
    writeFileSync(sandbox.path('passphrase'), 'correct horse\n', { mode: 0o600 });
    const first = await sandbox.json([...words('erin'), '--passphrase-file', 'passphrase', '--detach']);
    await sandbox.json(['down', '--socket', first.data.socket]);
    expect(await sandbox.json([...words('erin'), '--detach'])).toMatchObject({ ok: false, status: 1 });
    const again = await sandbox.json([...words('erin'), '--passphrase-file', 'passphrase', '--detach']);
    await sandbox.json(['down', '--socket', again.data.socket]);
    expect(again.data.address).toBe(first.data.address);
  });
});
