import { describe, expect, it } from 'vitest';
import { WarrenError } from '../../base/errors.ts';
import { ControlClient } from '../../ipc/client.ts';
import { codeOf, farDial, HandMade, Program, stage, takeAll, turns, until } from './support.ts';

describe('requests', () => {
  it('are answered by their ids, in whatever order they are done', async () => {
    const { paths, alice } = await stage();
    const { client } = await Program.connect(paths.app);
    const order: string[] = [];
    const slow = client.request('ping', { peer: 'bob', timeoutMs: 5_000 }).then((reply) => {
      order.push('slow');
      return reply;
    });
    const quick = client.request('ping', { peer: 'alice', timeoutMs: 5_000 }).then((reply) => {
      order.push('quick');
      return reply;
    });
    await until('both to be asked', () => alice.pings.length === 2);
    await client.request('resolve', { peer: 'bob' }).then(() => order.push('at once'));
    alice.pings[1]!.answer({ roundTrip: 20, route: 'b' });
    await quick;
    alice.pings[0]!.answer({ roundTrip: 10, route: 'a' });
    expect(await slow).toEqual({ roundTrip: 10, route: 'a' });
    expect(await quick).toEqual({ roundTrip: 20, route: 'b' });
    expect(order).toEqual(['at once', 'quick', 'slow']);
  });

  it('that fail carry code, message and hint, to whom they belong', async () => {
    const { paths } = await stage();
    const { client } = await Program.connect(paths.app);
    const results = await Promise.allSettled([
      client.request('resolve', { peer: 'bob' }),
      client.request('resolve', { peer: 'carol' }),
      client.request('ping', { peer: 'dave', timeoutMs: 100 }),
      client.request('resolve', { peer: 'alice' }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    const { reason } = results[1] as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(WarrenError);
    expect(reason).toMatchObject({
      code: 'ERR_WARREN_UNKNOWN_PEER',
      message: 'there is no peer carol',
      hint: 'Add it first.',
    });
  });

  it('are cancelled by their signal: the caller is told at once, the node too, and the id stays out of use', async () => {
    const { paths, alice } = await stage();
    const { client } = await Program.connect(paths.app);
    const controller = new AbortController();
    const asked = client.request('ping', { peer: 'bob', timeoutMs: 5_000 }, controller.signal);
    await until('the ping', () => alice.pings.length === 1);
    controller.abort();
    await expect(asked).rejects.toMatchObject({ code: 'ERR_WARREN_CANCELLED' });
    await until('the node to hear of it', () => alice.pings[0]!.options.signal!.aborted);
    alice.pings[0]!.answer({ roundTrip: 1, route: 'too late' });
    expect(await client.request('resolve', { peer: 'bob' })).toMatchObject({ name: 'bob' });
    await expect(client.request('resolve', { peer: 'bob' }, AbortSignal.abort())).rejects.toMatchObject({
      code: 'ERR_WARREN_CANCELLED',
    });
  });

  it('cancelled by hand get nothing more but that, and the cancelling its own reply', async () => {
    const { paths, alice } = await stage();
    const made = await HandMade.connect(paths.app);
    await made.hello();
    made.say({ id: 2, do: 'ping', peer: 'bob', timeoutMs: 1_000 });
    await until('the ping', () => alice.pings.length === 1);
    made.say({ id: 3, do: 'cancel', request: 2 });
    made.say({ id: 4, do: 'cancel', request: 77 });
    await made.reply(4);
    alice.pings[0]!.answer({ roundTrip: 1, route: 'x' });
    await turns();
    const about = made.messages.filter((message) => message.get('re') === 2);
    expect(about).toHaveLength(1);
    expect(codeOf(about[0]!)).toBe('ERR_WARREN_CANCELLED');
    expect((await made.reply(3)).get('ok')).toBe(true);
  });

  it('without an id are notices: done, and not answered', async () => {
    const { paths, alice } = await stage();
    const made = await HandMade.connect(paths.app);
    await made.hello();
    made.say({ do: 'listen', port: 99 });
    made.say({ do: 'listen', port: 99 });
    made.say({ do: 'no such thing' });
    made.say({ do: 'ping', peer: 'bob', timeoutMs: 1_000 });
    made.say({ id: 5, do: 'resolve', peer: 'bob' });
    await made.reply(5);
    expect(made.messages).toHaveLength(2);
    expect(alice.listeners.has(99)).toBe(true);
    // One that nobody hears of does not go on.
    expect(alice.pings[0]!.options.signal!.aborted).toBe(true);
  });

  it('with an id that still waits, or none that is one, end the connection', async () => {
    const { paths } = await stage();
    const twice = await HandMade.connect(paths.app);
    await twice.hello();
    twice.say({ id: 2, do: 'ping', peer: 'bob', timeoutMs: 1_000 });
    twice.say({ id: 2, do: 'resolve', peer: 'bob' });
    await twice.closed();
    expect(twice.error).toBe('ERR_WARREN_PROTOCOL');
    for (const id of [0, -1, 'one']) {
      const odd = await HandMade.connect(paths.app);
      await odd.hello();
      odd.say({ id, do: 'peers' });
      await odd.closed();
      expect(odd.error).toBe('ERR_WARREN_PROTOCOL');
    }
  });

  it('that nobody knows, or with fields that do not fit, are refused and change nothing', async () => {
    const { paths, alice } = await stage();
    const made = await HandMade.connect(paths.app);
    await made.hello();
    const refusals: Record<string, object> = {
      ERR_WARREN_UNKNOWN_COMMAND: { do: '__proto__' },
      'port has to be a whole number from 0 to 65535': { do: 'listen', port: 70_000 },
      'peer has to be a text of 1 to 128 bytes': { do: 'resolve' },
      'data has to be at most 16000 bytes': { do: 'send', from: 1, peer: 'bob', port: 2, data: 'text' },
    };
    let id = 2;
    for (const [expected, request] of Object.entries(refusals)) {
      made.say({ id, ...request } as never);
      const error = (await made.reply(id)).get('error') as ReadonlyMap<string, string>;
      expect(`${error.get('code')} ${error.get('message')}`).toContain(expected);
      id += 1;
    }
    expect(alice.listeners.size).toBe(0);
    made.say({ id: 100, do: 'resolve', peer: 'bob', unheardOf: [1, 2, 3] });
    expect((await made.reply(100)).get('ok')).toBe(true);
  });

  it('begin with hello, in a version that both speak', async () => {
    const { paths } = await stage();
    const made = await HandMade.connect(paths.app);
    made.say({ id: 1, do: 'peers' });
    expect(codeOf(await made.reply(1))).toBe('ERR_WARREN_HELLO');
    made.say({ id: 2, do: 'hello', version: 2 });
    expect(codeOf(await made.reply(2))).toBe('ERR_WARREN_VERSION');
    expect((await made.hello(3)).get('ok')).toBe(true);
  });
});

describe('what a node tells', () => {
  it('arrives as it is, whatever it is called', async () => {
    const { paths, alice } = await stage();
    const { client } = await Program.connect(paths.app);
    const { version: _, ...status } = alice.status();
    expect(await client.request('status', {})).toEqual({ ...status, version: '0.1.0', uptime: 12 });
    expect(await client.request('peers', {})).toEqual({ peers: alice.peers() });
    const report = alice.why('bob');
    expect(await client.request('why', { peer: 'bob' })).toEqual({ ...report, advice: 'x'.repeat(1_000) });
    expect(client.hello).toEqual({
      ...alice.self,
      version: 1,
      daemon: '0.1.0',
      client: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  it('arrives whole where it is longer than a message', async () => {
    const { paths, alice } = await stage();
    alice.tunnels = 3_000;
    const { client } = await Program.connect(paths.app);
    const { tunnels } = await client.request('status', {});
    expect(tunnels).toEqual(alice.status().tunnels);
    expect((await client.request('peers', {})).peers).toEqual(alice.peers());
    const made = await HandMade.connect(paths.app);
    await made.hello();
    made.say({ id: 2, do: 'peers' });
    await until('the last part', () => made.messages.some((one) => one.get('re') === 2 && !one.has('more')));
    const parts = made.messages.filter((message) => message.get('re') === 2);
    expect(parts.length).toBeGreaterThan(10);
    expect(parts.slice(0, -1).every((part) => part.get('more') === true)).toBe(true);
  });

  it('is text where it is text: no name of a peer means anything', async () => {
    const { paths, alice } = await stage();
    const evil = '\u001b]0;owned\u0007"},{"ok":true\n__proto__';
    Object.assign(alice.self, { name: evil });
    const { client } = await Program.connect(paths.app);
    expect(client.hello.name).toBe(evil);
    takeAll(alice, 80);
    const stream = await (await Program.connect(paths.app)).dial(`${alice.self.address}:80`);
    expect(stream.opened.peer.name).toBe(evil);
  });
});

describe('ports', () => {
  it('are taken, refused to a second, and free again', async () => {
    const { paths, alice } = await stage();
    const [one, two] = [await Program.connect(paths.app), await Program.connect(paths.app)];
    expect(await one.client.request('listen', { port: 80, backlog: 5 })).toEqual({ port: 80 });
    expect(alice.listeners.get(80)!.backlog).toBe(5);
    await expect(two.client.request('listen', { port: 80 })).rejects.toMatchObject({ code: 'ERR_WARREN_PORT_TAKEN' });
    const { port } = await two.client.request('listen', { port: 0 });
    expect(port).toBeGreaterThan(0);
    await one.client.request('unlisten', { port: 80 });
    await two.client.request('listen', { port: 80 });
  });

  it('carry datagrams both ways, with who sent them', async () => {
    const { paths, bob } = await stage();
    const program = await Program.connect(paths.app);
    const { port } = await program.client.request('bind', { port: 53 });
    const answers: string[] = [];
    const far = bob.bind(54, ({ peer, port: from, data }) => {
      answers.push(`${peer.name}:${from} ${Buffer.from(data)}`);
      far.send('alice', 53, Buffer.from('pong'));
    });
    await program.client.request('send', { from: port, peer: 'bob', port: 54, data: Buffer.from('ping') });
    const { data, from, peer } = await program.event('datagram');
    expect(answers).toEqual(['alice:53 ping']);
    expect({ text: Buffer.from(data).toString(), from, peer }).toEqual({ text: 'pong', from: 54, peer: bob.self });
    await program.client.request('unbind', { port });
    far.send('alice', 53, Buffer.from('lost'));
    await turns();
    expect(program.events).toHaveLength(1);
  });

  it('carry datagrams as long as a message may hold, and no longer', async () => {
    const { paths, alice, bob } = await stage();
    const program = await Program.connect(paths.app);
    await program.client.request('bind', { port: 53 });
    const most = new Uint8Array(16_000).fill(7);
    await program.client.request('send', { from: 53, peer: 'bob', port: 54, data: most });
    expect(alice.sent[0]!.data).toEqual(most);
    await expect(
      program.client.request('send', { from: 53, peer: 'bob', port: 54, data: new Uint8Array(16_001) }),
    ).rejects.toMatchObject({ code: 'ERR_WARREN_ARGUMENT' });
    const far = bob.bind(54, () => {});
    far.send('alice', 53, new Uint8Array(16_001));
    far.send('alice', 53, most);
    expect((await program.event('datagram')).data).toEqual(most);
    expect(program.events).toHaveLength(1);
  });
});

describe('incoming streams', () => {
  it('that are refused are refused at once', async () => {
    const { paths, bob } = await stage();
    const program = await Program.connect(paths.app);
    await program.client.request('listen', { port: 80 });
    const far = farDial(bob, 'alice', 80);
    const { token } = await program.event('incoming');
    await program.client.request('refuse', { token });
    await far.when('closed');
    expect(far.error?.code).toBe('ERR_WARREN_REFUSED');
    await expect(program.accept(token)).rejects.toMatchObject({ code: 'ERR_WARREN_STREAM_GONE' });
  });

  it('that nobody takes in time are refused, and their tokens gone', async () => {
    const { paths, bob } = await stage({ acceptMs: 30 });
    const program = await Program.connect(paths.app);
    await program.client.request('listen', { port: 80 });
    const far = farDial(bob, 'alice', 80);
    const { token } = await program.event('incoming');
    expect(await program.event('gone')).toEqual({ event: 'gone', token });
    await far.when('closed');
    await expect(program.accept(token)).rejects.toMatchObject({ code: 'ERR_WARREN_STREAM_GONE' });
  });

  it('are taken once, and then are not gone', async () => {
    const { paths, bob } = await stage({ acceptMs: 30 });
    const program = await Program.connect(paths.app);
    await program.client.request('listen', { port: 80 });
    farDial(bob, 'alice', 80);
    const { token } = await program.event('incoming');
    await program.accept(token);
    await expect(program.accept(token)).rejects.toMatchObject({ code: 'ERR_WARREN_STREAM_GONE' });
    await turns(60);
    expect(program.events.map(({ event }) => event)).toEqual(['incoming']);
  });

  it('that ended while they waited are gone', async () => {
    const { paths, bob } = await stage();
    const program = await Program.connect(paths.app);
    await program.client.request('listen', { port: 80 });
    farDial(bob, 'alice', 80);
    const { token } = await program.event('incoming');
    bob.cut();
    expect(await program.event('gone')).toEqual({ event: 'gone', token });
    await expect(program.accept(token)).rejects.toMatchObject({ code: 'ERR_WARREN_STREAM_GONE' });
  });
});

describe('a client', () => {
  it('cannot touch another’s ports, tokens and streams, whatever it knows of them', async () => {
    const { paths, alice, bob } = await stage();
    const taken = takeAll(bob, 7);
    const [owner, thief] = [await Program.connect(paths.app), await Program.connect(paths.admin)];
    await owner.client.request('listen', { port: 80 });
    await owner.client.request('bind', { port: 81 });
    farDial(bob, 'alice', 80);
    const { token } = await owner.event('incoming');
    const stream = await owner.dial('bob:7');

    const isNotFound = expect.objectContaining({ code: 'ERR_WARREN_NOT_YOUR_PORT' });
    await expect(thief.client.request('unlisten', { port: 80 })).rejects.toEqual(isNotFound);
    await expect(thief.client.request('unbind', { port: 81 })).rejects.toEqual(isNotFound);
    const data = Buffer.from('as if from the owner');
    await expect(thief.client.request('send', { from: 81, peer: 'bob', port: 7, data })).rejects.toEqual(isNotFound);
    await expect(thief.accept(token)).rejects.toMatchObject({ code: 'ERR_WARREN_STREAM_GONE' });
    await thief.client.request('refuse', { token });
    await thief.client.request('reset', { stream: stream.id, code: 1 });
    await thief.client.request('finish', { stream: stream.id });
    expect(alice.listeners.has(80) && alice.datagramPorts.has(81)).toBe(true);
    expect(alice.sent).toEqual([]);

    stream.socket.write('mine');
    await owner.accept(token);
    await until('the stream to work', () => taken[0]!.text === 'mine');
    expect(thief.events).toEqual([]);
  });

  it('that makes up another’s token or an id in use gets nothing', async () => {
    const { paths, bob } = await stage();
    takeAll(bob, 7);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:7');
    const { client } = program.client.hello;
    const dial = { kind: 'dial', peer: 'bob', port: 7 } as const;
    await expect(program.open({ ...dial, owner: { client: 'f'.repeat(32), id: 9 } }, 9)).rejects.toMatchObject({
      code: 'ERR_WARREN_CLIENT',
    });
    await expect(program.open({ ...dial, owner: { client, id: stream.id } }, stream.id)).rejects.toMatchObject({
      code: 'ERR_WARREN_ARGUMENT',
    });
    stream.socket.write('untouched');
  });
});

describe('the two sockets', () => {
  it('differ in what only the owner may do', async () => {
    const { paths, alice } = await stage();
    const app = await Program.connect(paths.app);
    const entry = { record: 'wrr1AAAA', endpoints: ['192.0.2.1:4440'], petname: 'carol' };
    const notAllowed = expect.objectContaining({ code: 'ERR_WARREN_NOT_ALLOWED' });
    await expect(app.client.request('record', {})).rejects.toEqual(notAllowed);
    await expect(app.client.request('add-peer', entry)).rejects.toEqual(notAllowed);
    await expect(app.client.request('remove-peer', { peer: 'bob' })).rejects.toEqual(notAllowed);
    await expect(app.client.request('shutdown', {})).rejects.toEqual(notAllowed);
    await turns();
    expect([alice.added, alice.removed, alice.shutdowns]).toEqual([[], [], 0]);

    const admin = await Program.connect(paths.admin);
    expect(await admin.client.request('record', {})).toEqual({ record: 'wrr1AAAA' });
    expect(await admin.client.request('add-peer', entry)).toMatchObject({ name: 'carol' });
    expect(await admin.client.request('remove-peer', { peer: 'bob' })).toMatchObject({ name: 'bob' });
    await admin.client.request('shutdown', {});
    await until('the shutdown', () => alice.shutdowns === 1);
    expect(alice.added).toMatchObject([entry]);
    expect(alice.removed).toEqual(['bob']);
    await admin.client.request('listen', { port: 80 });
  });
});

describe('a daemon that stops', () => {
  it('says so before it does, to those who are there and to those who come meanwhile', async () => {
    const { paths, server } = await stage();
    const program = await Program.connect(paths.app);
    server.announceStop();
    await program.event('stopping');
    const late = await Program.connect(paths.admin);
    await late.event('stopping');
    // Until it has stopped it goes on.
    await program.client.request('peers', {});
    expect([program.closed, late.closed]).toEqual([undefined, undefined]);
    await server.close();
    await until('the end', () => program.closed !== undefined && late.closed !== undefined);
    for (const { events } of [program, late]) expect(events).toEqual([{ event: 'stopping' }]);
  });

  it('tells its clients, ends their calls, and leaves no socket behind', async () => {
    const { paths, server, alice, bob } = await stage();
    takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const stream = await program.dial('bob:80');
    const waits = program.client.request('ping', { peer: 'bob', timeoutMs: 60_000 });
    waits.catch(() => {});
    await until('the ping', () => alice.pings.length === 1);
    await server.close();
    const gone = { code: 'ERR_WARREN_DAEMON_STOPPED' };
    await expect(waits).rejects.toMatchObject(gone);
    await expect(program.client.request('peers', {})).rejects.toMatchObject(gone);
    await until('the listener to be told', () => program.closed !== undefined);
    expect(program.closed).toMatchObject(gone);
    await stream.bytes.end();
    const listener = { event: () => {}, closed: () => {} };
    await expect(ControlClient.connect({ path: paths.app, listener })).rejects.toMatchObject({
      code: 'ERR_WARREN_DAEMON_NOT_RUNNING',
    });
    expect(alice.ends.size).toBe(0);
  });
});
