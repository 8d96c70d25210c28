import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Daemon, isCompiled, Sandbox, startPair, until } from './support.ts';

const sandbox = new Sandbox();
afterAll(() => sandbox.clear());

const MB = 1_000_000;

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe.runIf(isCompiled)('listen and dial, between two daemons (needs `npm run build`)', () => {
  let alice: Daemon;
  let bob: Daemon;

  beforeAll(async () => {
    [alice, bob] = await startPair(sandbox);
  });

  it('carry 64 MB of random bytes one way and 8 MB the other, every one of them', async () => {
    const [there, back] = [randomBytes(64 * MB), randomBytes(8 * MB)];
    const listener = await bob.listening('1000');
    listener.child.stdin.end(back);
    const dialler = alice.spawn('dial', 'bob:1000');
    dialler.child.stdin.end(there);
    const [heard, answered] = await Promise.all([listener.finished, dialler.finished]);
    expect(heard).toMatchObject({ status: 0, bytes: there.length, sha256: sha256(there) });
    expect(answered).toMatchObject({ status: 0, bytes: back.length, sha256: sha256(back), stderr: '' });
    expect(heard.stderr).toBe('listening on port 1000\nstream from alice\n');
  });

  it('carry a file that is longer than all windows to a listener whose own way ended at once', async () => {
    const bytes = randomBytes(24 * MB);
    const listener = await bob.listening('1000');
    listener.child.stdin.end();
    const dialler = alice.spawn('dial', bob.report.address, '1000');
    dialler.child.stdin.end(bytes);
    expect(await listener.finished).toMatchObject({ status: 0, sha256: sha256(bytes) });
    expect(await dialler.finished).toMatchObject({ status: 0, bytes: 0 });
  });

  it('bring a question and, after its end, the answer', async () => {
    const listener = await bob.listening('1001');
    const dialler = alice.spawn('dial', 'bob:1001');
    dialler.child.stdin.end('what time is it?');
    await until('the question has come', () => listener.bytes === 16);
    listener.child.stdin.end('late\n');
    expect(await dialler.finished).toMatchObject({ status: 0, stdout: 'late\n' });
    expect(await listener.finished).toMatchObject({ status: 0, stdout: 'what time is it?' });
  });

  it('go on writing after the far side has said its last', async () => {
    const listener = await bob.listening('1001');
    listener.child.stdin.end('first and last');
    const dialler = alice.spawn('dial', 'bob:1001');
    await until('the far side has spoken', () => dialler.bytes === 14);
    dialler.child.stdin.end(`and ${randomBytes(16).toString('hex')}`);
    expect(await dialler.finished).toMatchObject({ status: 0 });
    expect((await listener.finished).stdout).toMatch(/^and [0-9a-f]{32}$/);
  });

  it('change no byte', async () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    const echo = alice.spawn('dial', 'bob:7');
    echo.child.stdin.end(all);
    expect(await echo.finished).toMatchObject({ status: 0, bytes: 256, sha256: sha256(all) });
  });

  it('stop reading standard input when nobody takes the bytes, and lose none of them', async () => {
    const listener = await bob.listening('1002');
    listener.child.stdin.end();
    listener.child.stdout.pause();
    const piece = randomBytes(64 * 1024);
    const total = 1_024;
    let given = 0;
    const source = Readable.from(
      (function* () {
        for (; given < total; given++) yield piece;
      })(),
    );
    const dialler = alice.spawn('dial', 'bob:1002');
    source.pipe(dialler.child.stdin);
    let last = -1;
    await until('it takes no more', async () => {
      const before = last;
      last = given;
      await sleep(300);
      return given > 0 && given === before;
    });
    expect(given).toBeLessThan(total);
    listener.child.stdout.resume();
    const hash = createHash('sha256');
    for (let i = 0; i < total; i++) hash.update(piece);
    expect(await listener.finished).toMatchObject({
      status: 0,
      bytes: total * piece.length,
      sha256: hash.digest('hex'),
    });
    expect(await dialler.finished).toMatchObject({ status: 0 });
  });

  it('say with 1, a code and a hint that nobody listens', async () => {
    const refused = await alice.run('dial', 'bob:99');
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toBe(
      'warren: nobody listens on port 99 of bob (ERR_WARREN_REFUSED)\n  start the program that serves port 99 there\n',
    );
    const asJson = await alice.run('dial', 'bob:99', '--json');
    expect([asJson.status, asJson.stdout]).toEqual([1, '']);
    expect(JSON.parse(asJson.stderr)).toMatchObject({ ok: false, error: { code: 'ERR_WARREN_REFUSED' } });
    const taken = await alice.run('listen', '7');
    expect(taken).toMatchObject({ status: 1, stdout: '' });
    expect(taken.stderr).toContain('ERR_WARREN_PORT_TAKEN');
  });

  it('tell programs what happens on standard error', async () => {
    const listener = bob.spawn('listen', '0', '--json');
    await listener.said('\n');
    const { data } = JSON.parse(listener.stderr);
    expect(data).toMatchObject({ event: 'listening', port: expect.any(Number) });
    listener.child.stdin.end();
    const dialler = alice.spawn('dial', `bob:${data.port}`, '--json');
    dialler.child.stdin.end('twelve bytes');
    const [heard, said] = [await listener.finished, await dialler.finished];
    expect(heard.stdout).toBe('twelve bytes');
    expect(JSON.parse(heard.stderr.split('\n')[1]!)).toMatchObject({
      ok: true,
      data: { event: 'ended', peer: { name: 'alice' }, bytesRead: 12, bytesWritten: 0 },
    });
    expect(JSON.parse(said.stderr)).toMatchObject({
      ok: true,
      data: { peer: { name: 'bob' }, port: data.port, bytesRead: 0, bytesWritten: 12 },
    });
  });

  it('take one stream only, or with --keep one after the other', async () => {
    const one = await bob.listening('1003');
    const first = alice.spawn('dial', 'bob:1003');
    first.child.stdin.write('here');
    await until('it is served', () => one.bytes === 4);
    expect((await alice.run('dial', 'bob:1003')).stderr).toContain('ERR_WARREN_REFUSED');
    one.child.stdin.end();
    first.child.stdin.end();
    expect(await one.finished).toMatchObject({ status: 0, stdout: 'here' });

    const kept = await bob.listening('1003', '--keep');
    kept.child.stdin.end('for whoever is first');
    const dial = async (text: string): Promise<string> => {
      const dialler = alice.spawn('dial', 'bob:1003');
      dialler.child.stdin.end(text);
      return (await dialler.finished).stdout;
    };
    expect(await dial('a')).toBe('for whoever is first');
    expect(await Promise.all(['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'].map(dial))).toEqual(
      Array(11).fill(''),
    );
    await until('all have been heard', () => kept.bytes === 12);
    kept.child.kill('SIGINT');
    const { stdout, stderr, signal } = await kept.finished;
    expect([[...stdout].sort().join(''), signal]).toEqual(['abcdefghijkl', 'SIGINT']);
    // Nothing was left over from the streams before.
    expect(stderr).not.toContain('Warning');
  });

  it('end without a word when nobody reads on, and the far side is told', async () => {
    const listener = await bob.listening('1004');
    listener.child.stdin.end(randomBytes(16 * MB));
    const dialler = alice.spawn('dial', 'bob:1004');
    await once(dialler.child.stdout, 'data');
    dialler.child.stdout.destroy();
    expect(await dialler.finished).toMatchObject({ status: 0, signal: null, stderr: '' });
    const told = await listener.finished;
    expect([told.status, told.stderr]).toEqual([1, expect.stringContaining('(ERR_WARREN_RESET)')]);
  });

  it('fail where the far program is killed, instead of ending as if that was all', async () => {
    const listener = await bob.listening('1005');
    listener.child.stdin.write('half of');
    const dialler = alice.spawn('dial', 'bob:1005');
    await until('it has come', () => dialler.bytes === 7);
    listener.child.kill('SIGKILL');
    const { status, stdout, stderr } = await dialler.finished;
    expect([status, stdout, stderr]).toEqual([1, 'half of', expect.stringContaining('(ERR_WARREN_RESET)')]);
  });

  it('fail where the peer is removed, on both sides', async () => {
    const listener = await bob.listening('1006');
    const dialler = alice.spawn('dial', 'bob:1006');
    dialler.child.stdin.write('x');
    await until('it is open', () => listener.bytes === 1);
    await bob.json('peer', 'remove', 'alice');
    expect(await listener.finished).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('ERR_WARREN_PEER_REMOVED'),
    });
    expect(await dialler.finished).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('ERR_WARREN_NOT_TRUSTED'),
    });
  });

  it('fail where the daemon ends', async () => {
    const listener = await bob.listening('1007');
    await bob.json('down');
    expect(await listener.finished).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('ERR_WARREN_DAEMON_STOPPED'),
    });
  });
});
