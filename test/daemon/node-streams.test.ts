import { afterEach, describe, expect, it } from 'vitest';
import { SECOND } from '../../base/time.ts';
import { CLOSE_GRACE_MS } from '../../daemon/node.ts';
import type { IncomingStream } from '../../ipc/host.ts';
import { DEFAULT_STREAM_CONFIG } from '../../transport/streams/constants.ts';
import {
  afterEachDatagram,
  closeAll,
  dial,
  hasIpv6,
  introduce,
  newIdentity,
  openNode,
  pair,
  pattern,
  serve,
  silence,
  take,
  text,
  User,
  until,
} from './node-support.ts';

afterEach(closeAll);

describe('a stream between two nodes', () => {
  const loopbacks = [
    ['127.0.0.1', '127.0.0.1', true],
    ['::1', '[::1]', hasIpv6],
    [undefined, '127.0.0.1', true],
    [undefined, '[::1]', hasIpv6],
  ] as const;
  for (const [host, shown, isThere] of loopbacks) {
    const bound = host ?? 'every address';
    it.runIf(isThere)(`carries bytes both ways over ${shown}, bound to ${bound}, and ends in order`, async () => {
      const alice = await openNode('alice', { udp: { host } });
      const bob = await openNode('bob', { udp: { host } });
      introduce(alice, bob, shown);
      const taken = serve(bob, 80);
      const near = dial(alice, 'bob', 80);
      near.send(text('there'));
      await until('bob has it', () => taken[0]?.has('finished') === true);
      const far = taken[0]!;
      expect(far.text).toBe('there');
      far.send(text('and back'));
      expect([await near.ended(), await far.ended()]).toEqual([undefined, undefined]);
      expect(near.text).toBe('and back');
      expect(near.order[0]).toBe('connected');
      expect(near.order.at(-1)).toBe('closed');
      expect(near.order.indexOf('readable')).toBeLessThan(near.order.indexOf('finished'));
      expect([near.end.peer, far.end.peer]).toEqual([bob.self, alice.self]);
      expect([near.end.remotePort, far.end.localPort]).toEqual([80, 80]);
      expect(near.end.localPort).toBe(far.end.remotePort);
      expect(near.end.localPort).toBeGreaterThanOrEqual(49_152);
      await until('nothing is left', () => alice.status().streams + bob.status().streams === 0);
    });
  }

  it('tells nobody anything before the call that asked has returned', async () => {
    const { alice, bob } = await pair();
    serve(bob, 80);
    const user = new User();
    const end = alice.dial({ peer: 'bob', port: 80 }, user);
    expect(user.told).toEqual([]);
    user.end = end;
    end.reset(14);
    end.stop(14);
    expect(user.told).toEqual([]);
    await user.ended();
    expect(user.told).toEqual(['closed']);
  });

  it('takes writes before it is connected, and they ride with its opening', async () => {
    const { alice, bob } = await pair();
    const waiting: IncomingStream[] = [];
    bob.listen({ port: 80 }, (stream) => waiting.push(stream));
    const near = dial(alice, 'bob', 80);
    expect(near.end.write(text('early'))).toBe(5);
    await until('it has come', () => waiting.length === 1);
    expect(near.told).toEqual([]);
    const far = take(waiting[0]!);
    await until('the early bytes are there', () => far.text === 'early');
    await near.word('connected');
  });

  it('is refused at a port where nobody listens', async () => {
    const { alice } = await pair();
    const near = dial(alice, 'bob', 81);
    near.end.write(text('nobody hears this'));
    const error = await near.ended();
    expect(error).toMatchObject({ code: 'ERR_WARREN_REFUSED', message: 'nobody listens on port 81 of bob' });
    expect(near.told).toEqual(['closed']);
    expect(near.end.write(text('x'))).toBe('ended');
  });

  it('is refused by a program that turns it away, and by one that stops listening', async () => {
    const { alice, bob } = await pair();
    bob.listen({ port: 80 }, (stream) => stream.refuse());
    expect(await dial(alice, 'bob', 80).ended()).toMatchObject({ code: 'ERR_WARREN_REFUSED' });
    const waiting: IncomingStream[] = [];
    const binding = bob.listen({ port: 82 }, (stream) => waiting.push(stream));
    const near = dial(alice, 'bob', 82);
    await until('it waits', () => waiting.length === 1);
    binding.close();
    expect(await near.ended()).toMatchObject({ code: 'ERR_WARREN_REFUSED' });
    expect(waiting[0]!.accept(new User())).toBeUndefined();
    expect(bob.status().listening).not.toContain(82);
    expect(() => bob.listen({ port: 80 }, () => undefined)).toThrow(
      expect.objectContaining({ code: 'ERR_WARREN_PORT_TAKEN' }),
    );
    bob.listen({ port: 82 }, () => undefined).close();
  });

  it('is refused when too many wait, and those that wait are not', async () => {
    const { alice, bob } = await pair();
    const waiting: IncomingStream[] = [];
    bob.listen({ port: 80, backlog: 2 }, (stream) => waiting.push(stream));
    const dials = Array.from({ length: 3 }, () => dial(alice, 'bob', 80));
    expect(await dials[2]!.ended()).toMatchObject({ code: 'ERR_WARREN_BACKLOG_FULL' });
    await until('two wait', () => waiting.length === 2);
    for (const stream of waiting) take(stream);
    for (const near of dials.slice(0, 2)) await near.word('connected');
    const fourth = dial(alice, 'bob', 80);
    await until('there is room again', () => waiting.length === 3);
    take(waiting[2]!);
    await fourth.word('connected');
    // The one that was refused has left nothing, at either end.
    expect([alice.status().streams, bob.status().streams]).toEqual([3, 3]);
  });

  it('is given up when nobody takes it in time', async () => {
    const { alice, bob } = await pair();
    const waiting: IncomingStream[] = [];
    bob.listen({ port: 80 }, (stream) => waiting.push(stream));
    const near = dial(alice, 'bob', 80, new User(), { timeout: 200 });
    const error = await near.ended();
    expect(error).toMatchObject({ code: 'ERR_WARREN_TIMEOUT' });
    expect(error?.hint).toContain('warren why bob');
    const far = take(waiting[0]!);
    expect(await far.ended()).toMatchObject({ code: 'ERR_WARREN_RESET' });
    expect(far.order).toEqual(['reset 14', 'stopped 14', 'closed']);
  });

  it('closes at both ends at once', async () => {
    const { alice, bob } = await pair();
    const taken = serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    await near.word('connected');
    near.end.finish();
    taken[0]!.end.finish();
    expect([await near.ended(), await taken[0]!.ended()]).toEqual([undefined, undefined]);
  });

  it('is half closed either way: the other half goes on', async () => {
    const { alice, bob } = await pair();
    const taken = serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    await near.word('connected');
    const far = taken[0]!;
    near.end.finish();
    await far.word('finished');
    expect(near.end.write(text('x'))).toBe('ended');
    for (let i = 0; i < 100; i++) {
      far.end.write(text(`${i} `));
      await until('it arrives', () => near.text.endsWith(`${i} `));
    }
    expect(near.isClosed).toBe(false);
    far.end.finish();
    expect(await near.ended()).toBeUndefined();
    expect(near.order.filter((word) => word !== 'readable' && word !== 'acknowledged')).toEqual([
      'connected',
      'finished',
      'closed',
    ]);
  });

  it('tells the far reader of a reset and the far writer of a stop, and ends with an error there', async () => {
    const { alice, bob } = await pair();
    const taken = serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    await near.word('connected');
    const far = taken[0]!;
    near.end.reset(4_711);
    await far.word('reset 4711');
    expect(far.isClosed).toBe(false);
    expect(near.end.write(text('x'))).toBe('ended');
    far.end.write(text('still there'));
    await until('the other half goes on', () => near.text === 'still there');
    near.end.stop(300);
    await far.word('stopped 300');
    expect(far.end.write(text('x'))).toBe('ended');
    expect(await far.ended()).toMatchObject({ code: 'ERR_WARREN_RESET' });
    expect(await near.ended()).toBeUndefined();
    expect(near.order).toEqual(['connected', 'readable', 'closed']);
  });

  it('was taken where the far program gives it up at once, whatever it says', async () => {
    const { alice, bob } = await pair();
    bob.listen({ port: 80 }, (stream) => {
      const far = take(stream);
      far.end.reset(999);
      far.end.stop(999);
    });
    const near = dial(alice, 'bob', 80);
    expect(await near.ended()).toMatchObject({ code: 'ERR_WARREN_RESET' });
    expect(near.order).toEqual(['connected', 'reset 999', 'stopped 999', 'closed']);
  });

  it('is not given up with a code that means a refusal', async () => {
    const { alice, bob } = await pair();
    serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    await near.word('connected');
    for (const code of [10, 13, 255, -1, 1.5, Number.NaN]) {
      expect(() => near.end.reset(code)).toThrow(expect.objectContaining({ code: 'ERR_WARREN_ARGUMENT' }));
      expect(() => near.end.stop(code)).toThrow(expect.objectContaining({ code: 'ERR_WARREN_ARGUMENT' }));
    }
  });

  it('carries a megabyte each way at once, whole', async () => {
    const { alice, bob } = await pair();
    const there = pattern(1_000_003, 1);
    const back = pattern(999_983, 2);
    const taken = serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    near.send(there);
    await near.word('connected');
    taken[0]!.send(back);
    await Promise.all([near.ended(), taken[0]!.ended()]);
    expect(Buffer.compare(taken[0]!.bytes, there)).toBe(0);
    expect(Buffer.compare(near.bytes, back)).toBe(0);
  });

  it('writes many small pieces, each of which arrives', async () => {
    const { alice, bob } = await pair();
    const taken = serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    let said = '';
    for (let i = 0; i < 2_000; i++) {
      said += `${i},`;
      expect(near.end.write(text(`${i},`))).toBe(`${i},`.length);
    }
    near.end.finish();
    await until('it is all there', () => taken[0]?.has('finished') === true);
    expect(taken[0]!.text).toBe(said);
  });
});

describe('backpressure', () => {
  it('stops the writer of a stream that nobody reads, lets its neighbours flow, and ends when it is read', async () => {
    const { alice, bob } = await pair();
    const taken = serve(bob, 80, () => new User(false));
    const stalled = dial(alice, 'bob', 80);
    await stalled.word('connected');
    const content = pattern(4_000_000);
    stalled.send(content);
    const swift = serve(bob, 81);
    for (let i = 0; i < 5; i++) {
      const neighbour = dial(alice, 'bob', 81);
      neighbour.send(pattern(500_000, i));
      await until('the neighbour has all', () => swift[i]?.has('finished') === true);
      expect(swift[i]!.length).toBe(500_000);
    }
    expect(stalled.has('acknowledged')).toBe(false);
    const far = taken[0]!;
    expect(far.told).toEqual(['readable']);
    far.isReading = true;
    far.read();
    await far.word('finished');
    expect(Buffer.compare(far.bytes, content)).toBe(0);
    expect(stalled.has('writable')).toBe(true);
  });
});

describe('many streams', () => {
  it('a thousand at once, each with its own bytes', async () => {
    const { alice, bob } = await pair();
    bob.listen({ port: 80, backlog: 1_024 }, (stream) => {
      const far = new User();
      take(stream, far);
      far.finished = () => far.send(far.bytes);
    });
    const dials = Array.from({ length: 1_000 }, (_, i) => {
      const near = dial(alice, 'bob', 80);
      near.send(pattern(1_000, i));
      return near;
    });
    const errors = await Promise.all(dials.map((near) => near.ended()));
    expect(errors.filter((error) => error !== undefined)).toEqual([]);
    for (const [i, near] of dials.entries()) {
      expect(near.order[0]).toBe('connected');
      expect(Buffer.compare(near.bytes, pattern(1_000, i))).toBe(0);
    }
    await until('none is left', () => alice.status().streams + bob.status().streams === 0);
  });

  it('more than the peer has places for wait their turn, and the patience of each dial is its own', async () => {
    const { alice, bob } = await pair({ config: { streams: { ...DEFAULT_STREAM_CONFIG, peerStreamsMax: 128 } } });
    const waiting: IncomingStream[] = [];
    bob.listen({ port: 80, backlog: 1_024 }, (stream) => waiting.push(stream));
    const first = Array.from({ length: 128 }, () => dial(alice, 'bob', 80));
    await until('all have come', () => waiting.length === 128);
    const hasty = dial(alice, 'bob', 80, new User(), { timeout: 50 });
    const patient = dial(alice, 'bob', 80);
    expect(patient.end.write(text('kept'))).toBe(4);
    expect(await hasty.ended()).toMatchObject({ code: 'ERR_WARREN_TIMEOUT' });
    for (const stream of waiting.splice(0)) take(stream).end.finish();
    for (const near of first) near.end.finish();
    await until('the patient one has come', () => waiting.length === 1);
    const far = take(waiting[0]!);
    await until('with what it said', () => far.text === 'kept');
  });

  it('more than there are ports to go out from, one after the other', async () => {
    const { alice } = await pair();
    const codes = new Set<string | undefined>();
    for (let round = 0; round < 130; round++) {
      const dials = Array.from({ length: 128 }, () => dial(alice, 'bob', 81));
      for (const near of dials) codes.add((await near.ended())?.code);
    }
    expect([...codes]).toEqual(['ERR_WARREN_REFUSED']);
  });

  it('on many ports, each of which hears its own', async () => {
    const { alice, bob } = await pair();
    const ports = Array.from({ length: 200 }, (_, i) => 1_000 + i);
    const taken = new Map(ports.map((port) => [port, serve(bob, port)]));
    for (const port of ports) dial(alice, 'bob', port).send(text(`for ${port}`));
    for (const port of ports) {
      await until(`${port} has heard`, () => taken.get(port)?.[0]?.has('finished') === true);
      expect(taken.get(port)!.map((user) => user.text)).toEqual([`for ${port}`]);
    }
    expect(bob.status().listening).toEqual([7, ...ports]);
  });
});

describe('a peer that goes', () => {
  it('in order: its streams end, with the reason', async () => {
    const { alice, bob } = await pair();
    serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    await near.word('connected');
    await bob.close();
    const error = await near.ended();
    expect(error).toMatchObject({ code: 'ERR_WARREN_PEER_CLOSED' });
    expect(near.order).toEqual(['connected', 'closed']);
  });

  it('without a word: its streams end after the peer timeout', async () => {
    const { alice, bob } = await pair({ offload: false, config: { peerTimeout: SECOND / 2 } });
    const taken = serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    await near.word('connected');
    await until('bob has it', () => taken.length === 1);
    silence(bob);
    near.end.write(text('anybody?'));
    expect(await near.ended()).toMatchObject({ code: 'ERR_WARREN_PEER_TIMEOUT' });
    expect(alice.why('bob').lastError).toBe('bob does not answer any more');
  });

  it('and comes back without its memory: streams end, what nobody had heard of goes on', async () => {
    const identity = newIdentity();
    const alice = await openNode('alice');
    const old = await openNode('bob', { identity, offload: false, config: { peerTimeout: SECOND / 4 } });
    introduce(alice, old);
    serve(old, 80);
    const before = dial(alice, 'bob', 80);
    await before.word('connected');
    silence(old);
    const bob = await openNode('bob', { identity });
    introduce(alice, bob);
    const taken = serve(bob, 80);
    const after = dial(alice, 'bob', 80);
    expect(await before.ended()).toMatchObject({ code: 'ERR_WARREN_PEER_RESTARTED' });
    await after.word('connected');
    after.send(text('hello again'));
    await until('the new bob has it', () => taken[0]?.text === 'hello again');
  });

  it('and comes back: what is written to its old streams never gets into new ones of the same number', async () => {
    const identity = newIdentity();
    const alice = await openNode('alice');
    const old = await openNode('bob', { identity, offload: false, config: { peerTimeout: SECOND / 4 } });
    introduce(old, alice);
    const taken = serve(alice, 80);
    const before = dial(old, 'alice', 80);
    before.end.write(text('old'));
    await until('alice has it', () => taken[0]?.text === 'old');
    silence(old);
    const stale = taken[0]!;
    afterEachDatagram(alice, () => stale.end.write(text('stale')));
    const bob = await openNode('bob', { identity });
    bob.addPeer({ record: alice.record(), endpoints: [`127.0.0.1:${alice.localPort}`] });
    for (let i = 0; i < 20; i++) {
      const after = dial(bob, 'alice', 80);
      after.send(text('new'));
      await until('alice has it', () => taken[i + 1]?.has('finished') === true);
      taken[i + 1]!.send(text('answer'));
      expect(await after.ended()).toBeUndefined();
      expect(after.text).toBe('answer');
    }
    expect(await stale.ended()).toMatchObject({ code: 'ERR_WARREN_PEER_RESTARTED' });
  });

  it('or never was there: unreachable, with what can be done about it', async () => {
    const alice = await openNode('alice', { config: { peerTimeout: SECOND / 2 } });
    const bob = await openNode('bob');
    introduce(alice, bob);
    await bob.close();
    const near = dial(alice, 'bob', 80);
    expect(await near.ended()).toMatchObject({ code: 'ERR_WARREN_UNREACHABLE', message: 'bob does not answer' });
    const report = alice.why('bob');
    expect(report.routes).toEqual([{ route: `127.0.0.1:${bob.localPort}`, state: 'asked' }]);
    expect(report.advice).toContain('peer book');
  });
});

describe('a node that closes', () => {
  it('leaves nothing behind: no socket and no timer', async () => {
    const held = (): string[] =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'UDPWRAP' || kind === 'Timeout');
    const before = held();
    const { alice, bob } = await pair();
    serve(bob, 80);
    const users = Array.from({ length: 100 }, () => dial(alice, 'bob', 80));
    await Promise.all(users.map((user) => user.word('connected')));
    dial(alice, 'bob', 81);
    await Promise.all([alice.close(), bob.close()]);
    expect(users.every((user) => user.isClosed)).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(held().length).toBeLessThanOrEqual(before.length);
  });

  for (const finishes of [true, false]) {
    it(`lets what was written arrive, ${finishes ? 'and its end' : 'but no end that nobody wrote'}, though nobody reads`, async () => {
      const { alice, bob } = await pair();
      const taken = serve(bob, 80, () => new User(false));
      const near = dial(alice, 'bob', 80);
      await near.word('connected');
      const content = pattern(200_000);
      expect(near.end.write(content)).toBe(200_000);
      if (finishes) near.end.finish();
      await alice.close();
      expect(near.error).toMatchObject({ code: 'ERR_WARREN_SHUTDOWN' });
      await until('bob has heard of it', () => !bob.status().tunnels.some((tunnel) => tunnel.state === 'open'));
      expect(taken[0]!.isClosed).toBe(false);
      taken[0]!.read();
      expect(await taken[0]!.ended()).toMatchObject({ code: 'ERR_WARREN_PEER_CLOSED' });
      expect(Buffer.compare(taken[0]!.bytes, content)).toBe(0);
      expect(taken[0]!.has('finished')).toBe(finishes);
    });
  }

  it('does not wait for streams on which nothing is under way', async () => {
    const { alice, bob } = await pair();
    serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    await near.word('connected');
    near.end.write(text('hello'));
    const start = performance.now();
    await alice.close();
    expect(performance.now() - start).toBeLessThan(CLOSE_GRACE_MS / 2);
  });

  it('takes nothing new, and has told everybody when it is closed', async () => {
    const { alice, bob } = await pair();
    serve(alice, 80);
    serve(bob, 80);
    const users = [dial(alice, 'bob', 80), dial(alice, 'alice', 80), dial(alice, 'bob', 80)];
    const closing = alice.close();
    expect(() => alice.dial({ peer: 'bob', port: 80 }, new User())).toThrow(
      expect.objectContaining({ code: 'ERR_WARREN_SHUTDOWN' }),
    );
    expect(() => alice.listen({ port: 90 }, () => undefined)).toThrow(
      expect.objectContaining({ code: 'ERR_WARREN_SHUTDOWN' }),
    );
    await closing;
    expect(users.map((user) => user.isClosed)).toEqual([true, true, true]);
    expect(alice.close()).toBe(alice.close());
  });

  it('does not wait for ever for a reader who has stopped', async () => {
    const { alice, bob } = await pair();
    serve(bob, 80, () => new User(false));
    const near = dial(alice, 'bob', 80);
    await near.word('connected');
    // More than the far side takes without a reader.
    near.send(pattern(3_000_000));
    await near.word('writable');
    const start = performance.now();
    await alice.close();
    expect(performance.now() - start).toBeGreaterThan(4_900);
    expect(performance.now() - start).toBeLessThan(7_000);
    expect(near.error).toMatchObject({ code: 'ERR_WARREN_SHUTDOWN' });
  });
});
