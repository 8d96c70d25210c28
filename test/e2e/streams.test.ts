import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type Daemon,
  ECHO_PORT,
  isBuilt,
  isLong,
  joinPrograms,
  type Program,
  until,
  untilNoStreams,
  World,
} from './support.ts';

const MB = 1_000_000;

/**
 * Two daemons and programs of theirs, over both kinds of address: what two machines with warren on them do, on one.
 */
describe.runIf(isBuilt).each([
  ['IPv4', '127.0.0.1:0'],
  ['IPv6', '[::1]:0'],
])('two programs over %s (needs `npm run build`)', (family, listen) => {
  let world: World;
  let alice: Daemon;
  let bob: Daemon;
  /** At alice's daemon, and at bob's. */
  let near: Program;
  let far: Program;

  beforeAll(async () => {
    world = new World();
    [alice, bob] = await world.pair({ listen });
    [near, far] = await Promise.all([world.program(alice), world.program(bob)]);
  });
  afterEach(() => untilNoStreams(alice, bob));
  afterAll(() => world.clear());

  it('meet at the address that was asked for', async () => {
    const { stream, peer } = await near.do('dial', { peer: 'bob', port: ECHO_PORT });
    expect(peer.address).toBe(bob.report.address);
    const [tunnel] = (await alice.status()).tunnels;
    expect(tunnel!.route).toBe(bob.report.listen);
    await near.do('destroy', { stream });
  });

  it('hear the echo of what they say, up to its end', async () => {
    const { stream } = await near.do('dial', { peer: 'bob', port: ECHO_PORT });
    await near.do('end', { stream, text: 'hello' });
    expect(await near.do('read', { stream })).toEqual({ text: 'hello' });
    expect(await near.do('outcome', { stream })).toMatchObject({ hasEnded: true });
  });

  it('talk through their own daemon too', async () => {
    const { port } = await far.do('listen', { how: 'echo' });
    const { stream, peer } = await far.do('dial', { peer: 'bob', port });
    expect(peer.address).toBe(bob.report.address);
    await far.do('end', { stream, text: 'to myself' });
    expect(await far.do('read', { stream })).toEqual({ text: 'to myself' });
    await far.do('unlisten', { port });
  });

  it('write a hundred numbered blocks each way at the same time, and read those of the other in order', async () => {
    const { port } = await far.do('listen', {});
    const ends = await joinPrograms(near, far, 'bob', port);
    const block = (who: string, i: number): string => `${who} ${i} `.padEnd(1_024, who);
    const all = (who: string): string => Array.from({ length: 100 }, (_, i) => block(who, i)).join('');
    for (let i = 0; i < 100; i++) {
      void near.do('write', { stream: ends.near, text: block('a', i) });
      void far.do('write', { stream: ends.far, text: block('b', i) });
    }
    await Promise.all([near.do('end', { stream: ends.near }), far.do('end', { stream: ends.far })]);
    const [atFar, atNear] = await Promise.all([
      far.do('read', { stream: ends.far }),
      near.do('read', { stream: ends.near }),
    ]);
    expect(atFar.text).toBe(all('a'));
    expect(atNear.text).toBe(all('b'));
    await far.do('unlisten', { port });
  });

  it('exchange a question and an answer a hundred times over one stream', async () => {
    const { port } = await far.do('listen', { how: 'echo' });
    const { stream } = await near.do('dial', { peer: 'bob', port });
    for (let i = 0; i < 100; i++) {
      const text = `question ${i}`;
      await near.do('write', { stream, text });
      expect(await near.do('read', { stream, length: text.length })).toEqual({ text });
    }
    await near.do('end', { stream });
    await far.do('unlisten', { port });
  });

  it('meet at many ports, each of which takes its own', async () => {
    const ports = await Promise.all(Array.from({ length: 16 }, () => far.do('listen', {})));
    const dialled = await Promise.all(ports.map(({ port }) => joinPrograms(near, far, 'bob', port)));
    for (const [i, ends] of dialled.entries()) {
      await near.do('end', { stream: ends.near, text: `for port ${ports[i]!.port}` });
      expect(await far.do('read', { stream: ends.far })).toEqual({ text: `for port ${ports[i]!.port}` });
      await far.do('end', { stream: ends.far });
    }
    for (const { port } of ports) await far.do('unlisten', { port });
  });

  it('are refused at a port where nobody listens, by a peer as by themselves', async () => {
    for (const peer of ['bob', 'alice']) {
      await expect(near.do('dial', { peer, port: 4_999 })).rejects.toMatchObject({
        code: 'ERR_WARREN_REFUSED',
        message: `nobody listens on port 4999 of ${peer}`,
        hint: expect.stringMatching(/./),
      });
    }
  });

  it('are refused once the listener has closed, while streams it has taken go on', async () => {
    const { port } = await far.do('listen', {});
    const ends = await joinPrograms(near, far, 'bob', port);
    await far.do('unlisten', { port });
    await expect(near.do('dial', { peer: 'bob', port })).rejects.toMatchObject({ code: 'ERR_WARREN_REFUSED' });
    await near.do('end', { stream: ends.near, text: 'still there?' });
    expect(await far.do('read', { stream: ends.far })).toEqual({ text: 'still there?' });
    await far.do('end', { stream: ends.far, text: 'yes' });
    expect(await near.do('read', { stream: ends.near })).toEqual({ text: 'yes' });
    // The port is another's, if they like.
    expect(await far.do('listen', { port })).toEqual({ port });
    await far.do('unlisten', { port });
  });

  it('read the end when the far side has ended', async () => {
    const { port } = await far.do('listen', {});
    const ends = await joinPrograms(near, far, 'bob', port);
    await far.do('end', { stream: ends.far, text: 'last words' });
    expect(await near.do('read', { stream: ends.near })).toEqual({ text: 'last words' });
    await near.do('end', { stream: ends.near });
    expect(await near.do('outcome', { stream: ends.near })).toMatchObject({ hasEnded: true });
    await far.do('read', { stream: ends.far });
    await far.do('unlisten', { port });
  });

  it('close at both ends at once, and both read the end', async () => {
    const { port } = await far.do('listen', {});
    const ends = await joinPrograms(near, far, 'bob', port);
    await Promise.all([near.do('end', { stream: ends.near }), far.do('end', { stream: ends.far })]);
    await Promise.all([near.do('read', { stream: ends.near }), far.do('read', { stream: ends.far })]);
    const outcomes = [near.do('outcome', { stream: ends.near }), far.do('outcome', { stream: ends.far })];
    for (const outcome of await Promise.all(outcomes)) expect(outcome).toEqual({ hasEnded: true, at: outcome.at });
    await far.do('unlisten', { port });
  });

  it.each([
    ['the dialler', 'near', 'far'],
    ['the listener', 'far', 'near'],
  ] as const)(
    'end in halves: after %s has ended it still reads what the other side writes',
    async (_, first, second) => {
      const { port } = await far.do('listen', {});
      const ends = await joinPrograms(near, far, 'bob', port);
      const programs = { near, far };
      await programs[first].do('end', { stream: ends[first], text: 'that was all' });
      expect(await programs[second].do('read', { stream: ends[second] })).toEqual({ text: 'that was all' });
      // More than any window, so that it needs the side that has ended to go on reading.
      const sent = programs[second].do('send', { stream: ends[second], bytes: 4 * MB, seed: `${family} ${first}` });
      const received = await programs[first].do('receive', { stream: ends[first] });
      expect(received).toEqual(await sent);
      expect(await programs[first].do('outcome', { stream: ends[first] })).toMatchObject({ hasEnded: true });
      await far.do('unlisten', { port });
    },
  );

  it('stop writing when the reader pauses, and have lost nothing when it goes on', async () => {
    const { port } = await far.do('listen', {});
    const ends = await joinPrograms(near, far, 'bob', port);
    const sent = near.do('send', { stream: ends.near, bytes: 24 * MB, seed: `${family} pause` });
    // It stands still once every window and buffer on the way is full: for a while nothing more leaves the program.
    let before = -1;
    let still = 0;
    await until('the writer stands still', async () => {
      const { bytesWritten } = await near.do('moved', { stream: ends.near });
      still = bytesWritten === before ? still + 1 : 0;
      before = bytesWritten;
      return still >= 50 && bytesWritten > 0;
    });
    expect(before).toBeLessThan(24 * MB);
    // Its neighbours do not.
    const neighbour = await near.do('dial', { peer: 'bob', port: ECHO_PORT });
    await near.do('end', { stream: neighbour.stream, text: 'and I?' });
    expect(await near.do('read', { stream: neighbour.stream })).toEqual({ text: 'and I?' });
    const received = await far.do('receive', { stream: ends.far });
    expect(received).toEqual(await sent);
    await far.do('end', { stream: ends.far });
    await far.do('unlisten', { port });
  });

  it('cancel a dial that nobody answers, and nothing of it is left', async () => {
    const peer = await world.ghost(alice);
    const { port } = await far.do('listen', { how: 'nothing' });
    const dials = [
      near.do('dial', { peer, port: 80, name: 'to nobody' }),
      near.do('dial', { peer: 'bob', port, name: 'to who does not take it' }),
    ];
    await until('both are on their way', async () => {
      return (await alice.status()).streams === 2 && (await bob.status()).streams === 1;
    });
    await near.do('abort', { name: 'to nobody' });
    await near.do('abort', { name: 'to who does not take it' });
    for (const dial of dials) await expect(dial).rejects.toMatchObject({ code: 'ERR_WARREN_CANCELLED' });
    await untilNoStreams(alice);
    // At the far side it waits for its program, as an aborted TCP connection waits for `accept`: until that is gone, at the latest.
    await far.do('unlisten', { port });
    await untilNoStreams(bob);
    expect((await bob.status()).listening).toEqual([ECHO_PORT]);
    await alice.admin.removePeer(peer);
    expect((await alice.status()).tunnels.map(({ name }) => name)).not.toContain('ghost');
  });

  it('overflow a backlog: those too many are refused, those that wait are taken, and no stream is left over', async () => {
    const { port } = await far.do('listen', { how: 'nothing', backlog: 4 });
    const dials = Array.from({ length: 12 }, (_, i) => near.do('dial', { peer: 'bob', port, name: `backlog ${i}` }));
    const codes = dials.map((dial) => dial.then(() => 'taken').catch(({ code }) => code as string));
    let refused = 0;
    for (const code of codes) void code.then((one) => (refused += one === 'ERR_WARREN_BACKLOG_FULL' ? 1 : 0));
    await until('eight are refused', () => refused === 8);
    await until('four wait', async () => (await bob.status()).streams === 4);
    await far.do('unlisten', { port });
    expect((await Promise.all(codes)).sort()).toEqual([
      ...Array.from({ length: 8 }, () => 'ERR_WARREN_BACKLOG_FULL'),
      ...Array.from({ length: 4 }, () => 'ERR_WARREN_REFUSED'),
    ]);
  });

  it('send datagrams to each other’s ports, in order, and nobody else hears them', async () => {
    const [to, other, from] = await Promise.all([
      far.do('bind', { port: 6_000 }),
      far.do('bind', { port: 6_001 }),
      near.do('bind', {}),
    ]);
    const heard = far.do('datagrams', { port: to.port, count: 50 });
    for (let i = 0; i < 50; i++) {
      await near.do('sendDatagram', { from: from.port, peer: 'bob', port: to.port, text: `number ${i}` });
    }
    expect((await heard).all).toEqual(
      Array.from({ length: 50 }, (_, i) => ({ peer: 'alice', from: from.port, text: `number ${i}` })),
    );
    // What the other port hears first is what was sent to it, after all of those; and the sender hears an answer, no echo.
    const answer = near.do('datagrams', { port: from.port, count: 1 });
    const atOther = far.do('datagrams', { port: other.port, count: 1 });
    await near.do('sendDatagram', { from: from.port, peer: 'bob', port: other.port, text: 'for the other' });
    expect((await atOther).all.map(({ text }) => text)).toEqual(['for the other']);
    await far.do('sendDatagram', { from: other.port, peer: 'alice', port: from.port, text: 'heard' });
    expect((await answer).all).toEqual([{ peer: 'bob', from: other.port, text: 'heard' }]);
  });

  it('carry megabytes both ways at once, byte for byte', { timeout: 600_000 }, async () => {
    const bytes = isLong ? 1_000 * MB : family === 'IPv4' ? 64 * MB : 8 * MB;
    const { port } = await far.do('listen', {});
    const ends = await joinPrograms(near, far, 'bob', port);
    const [sentNear, sentFar, atNear, atFar] = await Promise.all([
      near.do('send', { stream: ends.near, bytes, seed: `${family} there` }),
      far.do('send', { stream: ends.far, bytes, seed: `${family} back` }),
      near.do('receive', { stream: ends.near }),
      far.do('receive', { stream: ends.far }),
    ]);
    expect(sentNear.bytes).toBe(bytes);
    expect(sentNear.sha256).not.toBe(sentFar.sha256);
    expect(atFar).toEqual(sentNear);
    expect(atNear).toEqual(sentFar);
    await far.do('unlisten', { port });
  });
});

describe.runIf(isBuilt)('twenty programs (needs `npm run build`)', () => {
  const PROGRAMS = 20;
  const STREAMS = 50;
  const BYTES = 10_000;
  let world: World;

  afterAll(() => world.clear());

  it('have a thousand streams open at once, each with its own bytes', async () => {
    world = new World();
    const [alice, bob] = await world.pair();
    const server = await world.program(bob);
    // As many as may wait at once, and more.
    const { port } = await server.do('listen', { how: 'echo', backlog: 1_024 });
    const programs = await Promise.all(Array.from({ length: PROGRAMS }, () => world.program(alice)));
    await Promise.all(programs.map((program) => program.do('dialMany', { peer: 'bob', port, count: STREAMS })));
    expect([(await alice.status()).streams, (await bob.status()).streams]).toEqual([1_000, 1_000]);
    const echoed = await Promise.all(
      programs.map((program, i) => program.do('echoInMany', { bytes: BYTES, seed: `program ${i}` })),
    );
    expect(echoed).toEqual(Array.from({ length: PROGRAMS }, () => ({ right: STREAMS })));
    await untilNoStreams(alice, bob);
  });
});
