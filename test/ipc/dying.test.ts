import { type ChildProcess, spawn } from 'node:child_process';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { IncomingStream } from '../../ipc/host.ts';
import { openStream } from '../../ipc/stream-client.ts';
import { SILENT_PEER } from './fake-host.ts';
import { Far, farDial, HandMade, Program, stage, takeAll, turns, until } from './support.ts';

/**
 * A program in a process of its own, which knows nothing of our code: hello by hand-made bytes, then a stream with `client=`. It
 * writes 100,000 bytes and says "written"; then it dies, or ends in order, as it is told.
 */
const PROGRAM = `
const net = require('node:net');
const [path, target] = process.argv.slice(1);
const hello = Buffer.from('00' + '00000017' + 'a3' + '62646f' + '6568656c6c6f' + '626964' + '01' + '6776657273696f6e' + '01', 'hex');
const control = net.connect(path);
control.write(hello);
control.once('data', (reply) => {
  const at = reply.indexOf('client') + 'client'.length + 2;
  const client = reply.toString('latin1', at, at + reply[at - 1]);
  const stream = net.connect({ path, allowHalfOpen: true });
  stream.write('dial ' + target + ' client=' + client + ' id=7\\n');
  stream.write(Buffer.alloc(100000, 120), () => process.stdout.write('written\\n'));
  stream.resume();
  process.stdin.once('data', () => {
    // {"do":"finish","stream":7}
    const finish = Buffer.from('00000013' + 'a2' + '62646f' + '6666696e697368' + '6673747265616d' + '07', 'hex');
    stream.end(() => control.write(finish, () => process.exit(0)));
  });
});
`;

function program(path: string, target: string): { child: ChildProcess; written: () => boolean } {
  const child = spawn(process.execPath, ['-e', PROGRAM, path, target], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let output = '';
  child.stdout!.on('data', (text) => {
    output += text;
  });
  return { child, written: () => output.includes('written') };
}

describe('a program that is killed', () => {
  it('in the middle of writing does not look like one that has finished', async () => {
    const { paths, alice, bob } = await stage();
    const taken = takeAll(bob, 80);
    const { child, written } = program(paths.app, 'bob:80');
    await until('the bytes', () => written() && taken[0]?.length === 100_000);
    child.kill('SIGKILL');
    const far = taken[0]!;
    await far.when('closed');
    expect(far.told.filter((what) => what !== 'connected')).toEqual(['reset 14', 'stopped 14', 'closed']);
    expect(alice.ends.size).toBe(0);
  });

  it('after it has said that it finished loses nothing of what it wrote', async () => {
    const { paths, bob } = await stage();
    // The far side does not read at first, so most of it waits in the kernel while the program exits.
    const taken = takeAll(bob, 80, (far) => {
      far.reads = false;
    });
    const { child, written } = program(paths.app, 'bob:80');
    await until('the bytes to be written', written);
    child.stdin!.write('\n');
    await until('the program to exit', () => child.exitCode === 0);
    await turns();
    const far = taken[0]!;
    far.reads = true;
    far.read();
    await far.when('finished');
    expect(far.text).toBe('x'.repeat(100_000));
    expect(far.is('reset 14')).toBe(false);
    expect(far.is('stopped 14')).toBe(true);
  });
});

describe('when a control connection is gone', () => {
  it('its ports are free at once, waiting streams refused, streams reset, requests given up', async () => {
    const { paths, alice, bob } = await stage();
    const taken = takeAll(bob, 7);
    const [dying, living] = [await Program.connect(paths.app), await Program.connect(paths.app)];
    await dying.client.request('listen', { port: 80 });
    await dying.client.request('bind', { port: 81 });
    const waiting = farDial(bob, 'alice', 80);
    await dying.event('incoming');
    const stream = await dying.dial('bob:7');
    stream.socket.write('half');
    await until('the half', () => taken[0]!.text === 'half');
    dying.client.request('ping', { peer: 'bob', timeoutMs: 60_000 }).catch(() => {});
    const dialling = dying.dial(`${SILENT_PEER}:1`);
    dialling.catch(() => {});
    await until('the ping and the dial', () => alice.pings.length === 1 && alice.dials.length === 2);
    const others = await living.dial('bob:7');

    dying.client.close();
    await living.client.request('peers', {});
    await until('the ports', () => alice.listeners.size + alice.datagramPorts.size === 0);
    await living.client.request('listen', { port: 80 });
    await living.client.request('bind', { port: 81 });
    await waiting.when('closed');
    expect(waiting.error?.code).toBe('ERR_WARREN_REFUSED');
    await taken[0]!.when('reset 14');
    expect(taken[0]!.is('stopped 14')).toBe(true);
    await expect(dialling).rejects.toMatchObject({ code: 'ERR_WARREN_CANCELLED' });
    expect(alice.pings[0]!.options.signal!.aborted).toBe(true);

    others.socket.write('unharmed');
    await until('the other stream', () => taken[1]!.text === 'unharmed');
    // The other's stream only.
    expect(alice.ends.size).toBe(1);
  });

  it('a stream whose end was declared goes on to its end, however slowly it is taken', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 7, (far) => {
      far.reads = false;
    });
    const dying = await Program.connect(paths.app);
    const stream = await dying.dial('bob:7');
    const all = Buffer.alloc(400_000, 'y');
    stream.socket.end(all);
    dying.client.notify('finish', { stream: stream.id });
    await until('all to be with the kernel', () => stream.socket.writableFinished);
    dying.client.close();
    stream.socket.destroy();
    await turns();
    const far = taken[0]!;
    expect(far.is('finished')).toBe(false);
    far.reads = true;
    far.read();
    await far.when('finished');
    expect(far.bytes.equals(all)).toBe(true);
  });

  it('a dial whose end was declared goes on too: answered later, it carries all that was written', async () => {
    const { paths, bob } = await stage();
    const held: IncomingStream[] = [];
    bob.listen({ port: 7 }, (incoming) => held.push(incoming));
    const dying = await Program.connect(paths.app);
    const owner = { client: dying.client.hello.client, id: 1 };
    const { socket } = await openStream({ path: paths.app, line: { kind: 'dial', peer: 'bob', port: 7, owner } });
    const all = Buffer.alloc(400_000, 'z');
    socket.end(all);
    await until('all to be with the kernel', () => socket.writableFinished && held.length === 1);
    dying.client.notify('finish', { stream: 1 });
    dying.client.close();
    socket.destroy();
    await turns();
    const far = new Far();
    far.end = held[0]!.accept(far)!;
    await far.when('finished');
    expect(far.bytes.equals(all)).toBe(true);
  });

  it('its end of writing is its end: what it asked before is done first', async () => {
    const { paths, alice, bob } = await stage();
    const taken = takeAll(bob, 80);
    const made = await HandMade.connect(paths.app);
    const client = (await made.hello()).get('client') as string;
    // More than are handled in one turn.
    for (let id = 100; id < 600; id++) made.say({ id, do: 'resolve', peer: 'bob' });
    made.say({ do: 'finish', stream: 3 });
    const stream = await Program.connect(paths.app);
    const opened = await stream.open({ kind: 'dial', peer: 'bob', port: 80, owner: { client, id: 3 } }, 3);
    opened.socket.end('complete');
    made.socket.end();
    await made.closed();
    expect(made.messages.filter((message) => message.get('ok') === true)).toHaveLength(501);
    await taken[0]!.when('finished');
    expect(taken[0]!.text).toBe('complete');
    expect(alice.ends.size).toBe(0);
  });
});

describe('an end of writing without the notice', () => {
  it('waits for it: the far side hears of no end before', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:80');
    stream.socket.end('all');
    const far = taken[0]!;
    await until('the bytes', () => far.text === 'all');
    await turns();
    expect(far.is('finished')).toBe(false);
    program.client.notify('finish', { stream: stream.id });
    await far.when('finished');
  });

  it('given before the end of writing counts the bytes up to it', async () => {
    const { paths, bob } = await stage();
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:80');
    program.client.notify('finish', { stream: stream.id });
    await program.client.request('peers', {});
    stream.socket.write('one ');
    await until('one', () => taken[0]!.text === 'one ');
    expect(taken[0]!.is('finished')).toBe(false);
    stream.socket.end('two');
    await taken[0]!.when('finished');
    expect(taken[0]!.text).toBe('one two');
  });
});
