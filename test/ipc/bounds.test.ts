import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { PeerStatus } from '../../ipc/host.ts';
import { encodeReply } from '../../ipc/messages.ts';
import { type FakeHost, SILENT_PEER } from './fake-host.ts';
import { bare, farDial, framed, HandMade, Program, patterned, stage, takeAll, turns, until } from './support.ts';

/** Every row of "Of a socket" in ipc/PROTOCOL.md, filled. Most of them are made smaller here. */

const LIMIT = { code: 'ERR_WARREN_LIMIT' };

/** Calls back once a turn of the event loop. */
function watchTurns(nextTurn: () => void): { stop: () => void } {
  let isWatching = true;
  const next = (): void => {
    nextTurn();
    if (isWatching) setImmediate(next);
  };
  next();
  return {
    stop: () => {
      isWatching = false;
    },
  };
}

describe('the bounds on connections', () => {
  it('control connections per socket: one more is told so and closed; it is free again when one goes', async () => {
    const { paths } = await stage({ controlConnections: 4 });
    const programs = await Promise.all(Array.from({ length: 4 }, () => Program.connect(paths.app)));
    await expect(Program.connect(paths.app)).rejects.toMatchObject(LIMIT);
    await Program.connect(paths.admin);
    await programs[0]!.client.request('peers', {});
    programs[1]!.client.close();
    await until('room for another', () => true);
    await turns();
    await Program.connect(paths.app);
  });

  it('streams of one client: one more is refused, other clients are not', async () => {
    const { paths, bob } = await stage({ streamsPerClient: 5 });
    takeAll(bob, 80);
    const [greedy, modest] = [await Program.connect(paths.app), await Program.connect(paths.app)];
    const streams = await Promise.all(Array.from({ length: 5 }, () => greedy.dial('bob:80')));
    await expect(greedy.dial('bob:80')).rejects.toMatchObject(LIMIT);
    await modest.dial('bob:80');
    greedy.client.notify('reset', { stream: streams[0]!.id, code: 1 });
    streams[0]!.socket.destroy();
    await greedy.ending(streams[0]!.id, 'closed');
    await turns();
    await greedy.dial('bob:80');
  });

  it('streams without a client: one more is refused, clients are not', async () => {
    const { paths, bob } = await stage({ streamsWithoutClient: 5 });
    takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    for (let i = 0; i < 5; i++) await program.dial('bob:80', false);
    await expect(program.dial('bob:80', false)).rejects.toMatchObject(LIMIT);
    await program.dial('bob:80');
  });

  it('streams of one socket: one more is refused, those of the other socket are not', async () => {
    const { paths, bob } = await stage({ streams: 6 });
    takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    for (let i = 0; i < 6; i++) await program.dial('bob:80', i % 2 === 0);
    await expect(program.dial('bob:80')).rejects.toMatchObject(LIMIT);
    await expect(program.dial('bob:80', false)).rejects.toMatchObject(LIMIT);
    const owner = await Program.connect(paths.admin);
    for (let i = 0; i < 6; i++) await owner.dial('bob:80', i % 2 === 0);
    await expect(owner.dial('bob:80')).rejects.toMatchObject(LIMIT);
  });

  it('streams without a client, of one socket: those of the other are not refused', async () => {
    const { paths, bob } = await stage({ streamsWithoutClient: 3, dials: 3 });
    takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    for (let i = 0; i < 3; i++) program.dial(`${SILENT_PEER}:80`, false).catch(() => {});
    await expect(program.dial('bob:80', false)).rejects.toMatchObject(LIMIT);
    const owner = await Program.connect(paths.admin);
    await owner.dial('bob:80', false);
  });

  it('connections to both sockets: app.sock leaves admin.sock an eighth, and who has not said what it is gives way', async () => {
    const warnings: string[] = [];
    const warn = (kind: string, fields: object): void => void warnings.push(`${kind} ${JSON.stringify(fields)}`);
    // 64 are not for connections, which leaves 32 of them.
    const { paths, bob } = await stage({}, { openFilesMax: 96, warn });
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const streams = await Promise.all(Array.from({ length: 25 }, () => program.dial('bob:80')));
    const idle = [await bare(paths.app), await bare(paths.app)];
    expect(warnings).toEqual([]);

    const last = await program.dial('bob:80');
    await until('the oldest that is idle to be closed', () => idle[0]!.bytes.isOver);
    expect(idle[1]!.bytes.isOver).toBe(false);
    await program.dial('bob:80');
    await until('the other one too', () => idle[1]!.bytes.isOver);
    await expect(program.dial('bob:80')).rejects.toThrow();
    expect(warnings).toEqual(['local-socket-full {"socket":"app.sock","most":28}']);

    const owner = await Program.connect(paths.admin);
    expect(await owner.client.request('status', {})).toMatchObject({ name: 'alice' });
    await owner.dial('bob:80');
    // Those that were there are none the worse for it.
    last.socket.write('still here');
    await until('what it wrote to arrive', () => taken[25]!.text === 'still here');
    const [first] = streams;
    program.client.notify('reset', { stream: first!.id, code: 14 });
    first!.socket.destroy();
    await program.ending(first!.id, 'closed');
    await turns();
    await program.dial('bob:80');
  });

  it('connections that do not say what they are: the oldest gives way', async () => {
    const { paths } = await stage({ unsorted: 8 });
    const idle = await Promise.all(Array.from({ length: 8 }, () => bare(paths.app)));
    await turns();
    expect(idle.some(({ bytes }) => bytes.isOver)).toBe(false);
    const { client } = await Program.connect(paths.app);
    expect(await client.request('resolve', { peer: 'bob' })).toMatchObject({ name: 'bob' });
    await until('the first to be closed', () => idle[0]!.bytes.isOver);
    expect(idle.slice(1).some(({ bytes }) => bytes.isOver)).toBe(false);
  });

  it('the first byte, and the first line, come in time', async () => {
    const { paths, alice } = await stage({ firstLineMs: 40 });
    const silent = await bare(paths.app);
    const slow = await bare(paths.app);
    const drip = setInterval(() => slow.socket.write('d'), 5);
    await until('both to be closed', () => silent.bytes.isOver && slow.bytes.isOver);
    clearInterval(drip);
    expect(alice.dials).toEqual([]);
  });

  it('the first line has at most 512 bytes', async () => {
    const { paths, alice, bob } = await stage();
    takeAll(bob, 80);
    const dial = (bytes: number): string => `dial bob:80 congestion=${'x'.repeat(bytes - 24)}\n`;
    const fits = await bare(paths.app);
    fits.socket.write(dial(512));
    await fits.bytes.reaches(1);
    expect(JSON.parse(fits.bytes.text)).toMatchObject({ ok: true });
    for (const line of [dial(513), 'x'.repeat(600), 'd'.repeat(2_000_000)]) {
      const { socket, bytes } = await bare(paths.app);
      socket.write(line);
      await bytes.end();
      expect(JSON.parse(bytes.text)).toMatchObject({ ok: false, error: { code: 'ERR_WARREN_ARGUMENT' } });
    }
    expect(alice.dials).toHaveLength(1);
  });

  it('a line that is none is refused with what a line looks like', async () => {
    const { paths } = await stage();
    for (const line of [
      'GET / HTTP/1.1\r\n',
      '\n',
      'dial bob\n',
      'dial bob:0\n',
      'dial  bob:80\n',
      'dial bob:80 \n',
      'dial b\u00fcb:80\n',
    ]) {
      const { socket, bytes } = await bare(paths.app);
      socket.write(line);
      await bytes.end();
      expect(JSON.parse(bytes.text)).toMatchObject({ ok: false, error: { code: 'ERR_WARREN_ARGUMENT' } });
    }
  });
});

describe('the bounds on what a client has', () => {
  it('dials under way: one more is refused, until one of them is answered', async () => {
    const { paths, alice, bob } = await stage({ dials: 3 });
    takeAll(bob, 80);
    const [greedy, modest] = [await Program.connect(paths.app), await Program.connect(paths.app)];
    const dials = Array.from({ length: 3 }, () => greedy.dial(`${SILENT_PEER}:80`));
    for (const dial of dials) dial.catch(() => {});
    await until('the dials', () => alice.dials.length === 3);
    await expect(greedy.dial('bob:80')).rejects.toMatchObject(LIMIT);
    await modest.dial('bob:80');
    greedy.client.notify('reset', { stream: 1, code: 14 });
    await expect(dials[0]).rejects.toMatchObject({ code: 'ERR_WARREN_CANCELLED' });
    // Those that are answered do not count.
    for (let i = 0; i < 5; i++) await greedy.dial('bob:80');
  });

  it('pings are dials too', async () => {
    const { paths, alice, bob } = await stage({ dials: 3 });
    takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const ping = (): Promise<unknown> => program.client.request('ping', { peer: 'bob', timeoutMs: 1_000 });
    const pings = Array.from({ length: 3 }, ping);
    await until('the pings', () => alice.pings.length === 3);
    await expect(ping()).rejects.toMatchObject(LIMIT);
    await expect(program.dial('bob:80')).rejects.toMatchObject(LIMIT);
    for (const { answer } of alice.pings) answer({ roundTrip: 1, route: 'x' });
    await Promise.all(pings);
    await program.dial('bob:80');
  });

  it('ports, of both kinds', async () => {
    const { paths } = await stage({ ports: 4 });
    const { client } = await Program.connect(paths.app);
    for (let i = 0; i < 2; i++) {
      await client.request('listen', { port: 0 });
      await client.request('bind', { port: 1_000 + i });
    }
    await expect(client.request('listen', { port: 0 })).rejects.toMatchObject(LIMIT);
    await expect(client.request('bind', { port: 0 })).rejects.toMatchObject(LIMIT);
    await client.request('unbind', { port: 1_000 });
    await client.request('listen', { port: 0 });
  });

  it('streams that wait to be taken: one more is refused', async () => {
    const { paths, bob } = await stage({ waiting: 3 });
    const program = await Program.connect(paths.app);
    await program.client.request('listen', { port: 80 });
    const fars = Array.from({ length: 4 }, () => farDial(bob, 'alice', 80));
    await fars[3]!.when('closed');
    expect(fars.slice(0, 3).some((far) => far.is('closed'))).toBe(false);
    const { token } = await program.event('incoming');
    await program.accept(token);
    farDial(bob, 'alice', 80);
    await program.event('incoming', 3);
  });

  it('streams that wait to be taken: one that is gone makes room at once', async () => {
    const { paths, bob } = await stage({ waiting: 3 });
    const program = await Program.connect(paths.app);
    await program.client.request('listen', { port: 80 });
    for (let i = 0; i < 3; i++) farDial(bob, 'alice', 80);
    const { token } = await program.event('incoming', 2);
    bob.cut();
    expect(await program.event('gone', 2)).toEqual({ event: 'gone', token });
    for (let i = 0; i < 3; i++) farDial(bob, 'alice', 80);
    const next = await program.event('incoming', 5);
    await program.accept(next.token);
  });

  it('requests that wait: the daemon stops reading until some are done', async () => {
    const { paths, alice } = await stage({ requests: 5 });
    const made = await HandMade.connect(paths.app);
    await made.hello();
    for (let id = 2; id < 12; id++) made.say({ id, do: 'ping', peer: 'bob', timeoutMs: 1_000 });
    made.say({ id: 50, do: 'resolve', peer: 'bob' });
    await until('five pings', () => alice.pings.length === 5);
    await turns();
    expect(alice.pings).toHaveLength(5);
    for (let i = 0; i < 10; i++) {
      await until('the next ping', () => alice.pings.length > i);
      alice.pings[i]!.answer({ roundTrip: 1, route: 'x' });
    }
    expect((await made.reply(50)).get('ok')).toBe(true);
    expect((await made.reply(11)).get('ok')).toBe(true);
  });

  it('a program’s own end refuses to wait for more', async () => {
    const { paths } = await stage();
    const { client } = await Program.connect(paths.app);
    for (let i = 0; i < 1_024; i++) client.request('ping', { peer: 'bob', timeoutMs: 1_000 }).catch(() => {});
    await expect(client.request('peers', {})).rejects.toMatchObject(LIMIT);
  });

  it('notices for streams that have not come: the oldest is forgotten', async () => {
    const { paths, bob } = await stage({ earlyNotices: 3 });
    const taken = takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    const { client } = program.client.hello;
    for (let stream = 1; stream <= 4; stream++) program.client.notify('finish', { stream });
    await program.client.request('peers', {});
    const dial = { kind: 'dial', peer: 'bob', port: 80 } as const;
    for (const id of [1, 4]) {
      const { socket } = await program.open({ ...dial, owner: { client, id } }, id);
      socket.end(`stream ${id}`);
    }
    await until('the fourth to end', () => taken[1]?.is('finished') === true);
    await turns();
    expect(taken[0]!.text).toBe('stream 1');
    expect(taken[0]!.is('finished')).toBe(false);
  });

  it('a message is complete in time: neither silence nor a byte now and then helps', async () => {
    const { paths } = await stage({ messageMs: 60 });
    const [silent, slow, patient] = await Promise.all([1, 2, 3].map(() => HandMade.connect(paths.app)));
    for (const made of [silent!, slow!, patient!]) await made.hello();
    silent!.socket.write(Uint8Array.of(0, 0));
    const message = framed({ id: 9, do: 'resolve', peer: 'x'.repeat(100) });
    let at = 0;
    const drip = setInterval(() => slow!.socket.write(message.subarray(at, ++at)), 5);
    await Promise.all([silent!.closed(), slow!.closed()]);
    clearInterval(drip);
    expect([silent!.error, slow!.error]).toEqual(['ERR_WARREN_PROTOCOL', 'ERR_WARREN_PROTOCOL']);
    // In time, and between messages, there is no hurry.
    const late = framed({ id: 3, do: 'resolve', peer: 'bob' });
    patient!.socket.write(late.subarray(0, 9));
    await turns(10);
    patient!.socket.write(late.subarray(9));
    await patient!.reply(3);
    await turns(80);
    patient!.say({ id: 2, do: 'resolve', peer: 'bob' });
    expect((await patient!.reply(2)).get('ok')).toBe(true);
  });
});

/** How often a node is asked who somebody is. */
function countResolved(host: FakeHost): () => number {
  let resolved = 0;
  const resolve = host.resolve.bind(host);
  host.resolve = (peer) => {
    resolved += 1;
    return resolve(peer);
  };
  return () => resolved;
}

/** How many requests came through before the others had to wait. */
async function whereHeldUp(resolved: () => number): Promise<number> {
  await until('requests to be held up', () => resolved() > 100);
  for (let before = -1; before !== resolved(); ) {
    before = resolved();
    await turns();
  }
  return resolved();
}

describe('a control client that does not read', () => {
  it('has its requests wait, loses datagrams, and is closed when events pile up', async () => {
    const { paths, alice, bob } = await stage({ unreadBytes: 64 * 1024, unreadBytesMax: 128 * 1024 });
    const resolved = countResolved(alice);
    const made = await HandMade.connect(paths.app);
    await made.hello();
    made.say({ id: 2, do: 'listen', port: 80, backlog: 1_000 });
    made.say({ id: 3, do: 'bind', port: 81 });
    await made.reply(3);
    made.socket.pause();
    for (let id = 4; id < 40_000; id++) made.say({ id, do: 'resolve', peer: 'bob' });
    const heldUp = await whereHeldUp(resolved);
    expect(heldUp).toBeLessThan(39_000);

    // Datagrams alone never close it.
    const far = bob.bind(82, () => {});
    for (let i = 0; i < 1_000; i++) far.send('alice', 81, patterned(10_000));
    await turns();
    const other = await Program.connect(paths.app);
    await expect(other.client.request('listen', { port: 80 })).rejects.toMatchObject({
      code: 'ERR_WARREN_PORT_TAKEN',
    });
    for (let i = 0; i < 1_000; i++) {
      farDial(bob, 'alice', 80);
      if (i % 100 === 0) await turns(2);
    }
    await until('its port to be free', () => !alice.listeners.has(80));
    await other.client.request('listen', { port: 80 });
  });

  it('has its requests wait long before it loses a datagram', async () => {
    const { paths, alice, bob } = await stage();
    const resolved = countResolved(alice);
    const made = await HandMade.connect(paths.app);
    await made.hello();
    made.say({ id: 2, do: 'bind', port: 81 });
    await made.reply(2);
    made.socket.pause();
    for (let id = 3; id < 20_000; id++) made.say({ id, do: 'resolve', peer: 'bob' });
    const heldUp = await whereHeldUp(resolved);
    // What the kernel holds besides is a few times as much, but not what waited before: a mebibyte.
    const [reply] = encodeReply(19_999, 'resolve', bob.self);
    expect(heldUp * reply!.length).toBeLessThan(512 * 1024);

    const far = bob.bind(82, () => {});
    for (let i = 0; i < 50; i++) far.send('alice', 81, patterned(10_000));
    await turns();
    expect(resolved()).toBe(heldUp);
    made.socket.resume();
    await until('all replies', () => made.messages.some((message) => message.get('re') === 19_999));
    expect(made.messages.filter((message) => message.get('event') === 'datagram')).toHaveLength(50);
  });

  it('can still say that it wants no more datagrams, however many it has not read', async () => {
    const { paths, alice, bob } = await stage();
    const made = await HandMade.connect(paths.app);
    await made.hello();
    made.say({ id: 2, do: 'bind', port: 81 });
    await made.reply(2);
    made.socket.pause();
    const far = bob.bind(82, () => {});
    for (let i = 0; i < 200; i++) far.send('alice', 81, patterned(10_000));
    await turns();
    made.say({ id: 3, do: 'unbind', port: 81 });
    // It is another's to have at once.
    let isFree = false;
    for (let i = 0; i < 100 && !isFree; i++) {
      await turns();
      try {
        alice.bind(81, () => {}).close();
        isFree = true;
      } catch {
        // Not yet.
      }
    }
    expect(isFree).toBe(true);
  });

  it('that reads again gets all replies', async () => {
    const { paths } = await stage({ unreadBytes: 64 * 1024, unreadBytesMax: 128 * 1024 });
    const made = await HandMade.connect(paths.app);
    await made.hello();
    made.socket.pause();
    for (let id = 2; id < 10_000; id++) made.say({ id, do: 'resolve', peer: 'bob' });
    await turns();
    made.socket.resume();
    await until('all replies', () => made.messages.length === 9_999);
  });
});

describe('a reply of many pages', () => {
  it('is made as fast as it is read, while others are served, and arrives whole', async () => {
    const { paths, alice } = await stage({ unreadBytes: 64 * 1024, unreadBytesMax: 128 * 1024 });
    let inTurn = 0;
    let most = 0;
    const told = {
      ...alice.self,
      callsItself: '',
      endpoints: ['192.0.2.1:4440', '[2001:db8::1]:4440'],
      get connected() {
        inTurn += 1;
        most = Math.max(most, inTurn);
        return true;
      },
    };
    alice.peers = () => Array<PeerStatus>(20_000).fill(told);
    const watch = watchTurns(() => {
      inTurn = 0;
    });
    const made = await HandMade.connect(paths.app);
    await made.hello();
    made.socket.pause();
    made.say({ id: 2, do: 'peers' });
    made.say({ id: 3, do: 'resolve', peer: 'bob' });
    const other = await Program.connect(paths.app);
    for (let i = 0; i < 50; i++) await other.client.request('resolve', { peer: 'bob' });
    made.socket.resume();
    await made.reply(3);
    const pages = made.messages.filter((message) => message.get('re') === 2);
    expect(pages.flatMap((page) => page.get('peers') as object[])).toHaveLength(20_000);
    // More than would have been kept for a client that does not read.
    expect(pages.length * 15_000).toBeGreaterThan(2_000_000);
    expect(made.messages.at(-1)!.get('re')).toBe(3);
    watch.stop();
    // A page, and where it ended.
    expect(most).toBeLessThan(2.5 * (20_000 / pages.length));
  });
});

describe('the bounds on a turn', () => {
  it('so long for all clients together, however many ask for much; and who asks for little is not behind them', async () => {
    const { paths, alice } = await stage({ turnMs: 5 });
    const floods = await Promise.all(Array.from({ length: 8 }, () => HandMade.connect(paths.app)));
    const modest = await HandMade.connect(paths.app);
    for (const made of [...floods, modest]) await made.hello();
    let inTurn = 0;
    let most = 0;
    let served = 0;
    let before = 0;
    const resolve = alice.resolve.bind(alice);
    alice.resolve = (peer) => {
      if (peer === 'alice') before = served;
      served += 1;
      inTurn += 1;
      most = Math.max(most, inTurn);
      for (const end = performance.now() + 1; performance.now() < end; );
      return resolve(peer);
    };
    const watch = watchTurns(() => {
      inTurn = 0;
    });
    const asked = Buffer.concat(
      Array.from({ length: 100 }, (_, i) => framed({ id: 2 + i, do: 'resolve', peer: 'bob' })),
    );
    for (const flood of floods) flood.socket.write(asked);
    await until('all of them wait', () => served > 0);
    const behind = served;
    modest.say({ id: 2, do: 'resolve', peer: 'alice' });
    await modest.reply(2);
    await Promise.all(floods.map((flood) => flood.reply(101)));
    watch.stop();
    expect(served).toBe(801);
    // Of the turn in which somebody is first heard of, and of the one that follows in the same round of the loop.
    expect(most).toBeLessThanOrEqual(12);
    expect(before - behind).toBeLessThan(100);
  });

  it('so many bytes of one stream connection', async () => {
    const { paths, alice, bob } = await stage({ bytesPerTurn: 1_024 });
    const taken = takeAll(bob, 80);
    const dial = alice.dial.bind(alice);
    let inTurn = 0;
    let most = 0;
    alice.dial = (target, listener) => {
      const end = dial(target, listener);
      const write = end.write.bind(end);
      end.write = (bytes) => {
        const written = write(bytes);
        inTurn += Number(written);
        most = Math.max(most, inTurn);
        return written;
      };
      return end;
    };
    const { socket, bytes } = await bare(paths.app);
    socket.write('dial bob:80\n');
    await bytes.reaches(1);
    const watch = watchTurns(() => {
      inTurn = 0;
    });
    socket.end(patterned(1024 * 1024));
    await until('all to arrive', () => taken[0]!.is('finished'));
    watch.stop();
    expect(taken[0]!.bytes.equals(patterned(1024 * 1024))).toBe(true);
    // One read is not split.
    expect(most).toBeLessThanOrEqual(64 * 1024);
  });
});

describe('abuse', () => {
  it('a length of 2³² − 1, of 0, a million empty frames, garbage and a bomb: an error, and the connection is over', async () => {
    const { paths } = await stage();
    const healthy = await Program.connect(paths.app);
    const inputs = [
      Buffer.from([0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x00, 0x00, 0x40, 0x01]),
      Buffer.alloc(4),
      Buffer.alloc(4_000_000),
      // A message of one byte that is no map; a half map; arrays in arrays.
      Buffer.from('0000000100', 'hex'),
      Buffer.from('00000001bf', 'hex'),
      Buffer.concat([Buffer.from('00004000', 'hex'), Buffer.alloc(16_384, 0x81)]),
    ];
    for (const input of inputs) {
      const made = await HandMade.connect(paths.app);
      await made.hello();
      made.socket.write(input);
      await made.closed();
      expect(made.error).toBe('ERR_WARREN_PROTOCOL');
      expect(await healthy.client.request('resolve', { peer: 'bob' })).toMatchObject({ name: 'bob' });
    }
  });

  it('who is told that it is over and goes on writing is read slowly, and not for long', async () => {
    const { paths } = await stage();
    for (const first of ['\0\xff\xff\xff\xff', 'nonsense\n', 'dial nobody:80\n']) {
      const socket = connect({ path: paths.app, allowHalfOpen: true });
      socket.on('error', () => {});
      const junk = Buffer.alloc(1024 * 1024);
      const flood = (): void => {
        while (!socket.destroyed && socket.write(junk));
      };
      socket.on('drain', flood);
      socket.write(first, 'latin1');
      flood();
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk.toString('latin1');
      });
      await until('the end', () => socket.destroyed);
      expect(answer).toContain('ERR_WARREN_');
      // Of 64 KiB a time, and what the kernel holds; at full speed it would be hundreds.
      expect(socket.bytesWritten - socket.writableLength).toBeLessThan(16 * 2 ** 20);
    }
  });

  it('two hundred clients at a byte now and then, and a healthy one that does not notice', async () => {
    const { paths } = await stage();
    const message = framed({ id: 2, do: 'resolve', peer: 'bob' });
    const slow = await Promise.all(Array.from({ length: 200 }, () => HandMade.connect(paths.app)));
    await Promise.all(slow.map((made) => made.hello()));
    let at = 0;
    const drip = setInterval(() => {
      for (const made of slow) made.socket.write(message.subarray(at, at + 1));
      at += 1;
    }, 10);
    const { client } = await Program.connect(paths.app);
    const times: number[] = [];
    for (let i = 0; i < 100; i++) {
      const start = performance.now();
      await client.request('resolve', { peer: 'bob' });
      times.push(performance.now() - start);
    }
    clearInterval(drip);
    times.sort((a, b) => a - b);
    expect(times[98]).toBeLessThan(500);
  });

  it('ten thousand dials at once: refused beyond the bound, and another client is served', async () => {
    const { paths, alice, bob } = await stage({ streamsWithoutClient: 100, dials: 100 });
    takeAll(bob, 80);
    const program = await Program.connect(paths.app);
    let open = 0;
    let refused = 0;
    let underWay = 0;
    const flood = async (): Promise<void> => {
      for (let i = 0; i < 10_000; i++) {
        await until('room for another', () => underWay < 300);
        underWay += 1;
        const socket = connect(paths.app);
        socket.write(`dial ${SILENT_PEER}:80\n`);
        socket.once('data', (chunk) => {
          if (chunk.includes('ERR_WARREN_LIMIT')) refused += 1;
        });
        open += 1;
        socket.on('error', () => {});
        socket.once('close', () => {
          underWay -= 1;
        });
        // Those that are taken stay, and hold their place.
      }
    };
    let isFlooding = true;
    const flooding = flood().finally(() => {
      isFlooding = false;
    });
    let served = 0;
    while (isFlooding) {
      const stream = await program.dial('bob:80');
      program.client.notify('reset', { stream: stream.id, code: 1 });
      stream.socket.destroy();
      served += 1;
    }
    await flooding;
    await until('the refusals', () => refused >= 9_800);
    expect(open).toBe(10_000);
    expect(alice.dials.filter(({ peer }) => peer === SILENT_PEER)).toHaveLength(100);
    expect(served).toBeGreaterThan(10);
  });
});
