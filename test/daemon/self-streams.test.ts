import { afterEach, describe, expect, it } from 'vitest';
import { SELF_STREAMS_MAX, SELF_WINDOW_BYTES } from '../../daemon/self-streams.ts';
import type { IncomingStream } from '../../ipc/host.ts';
import { closeAll, dial, openNode, pattern, serve, take, text, User, until } from './node-support.ts';

afterEach(closeAll);

describe('a node that dials itself', () => {
  it('by name, address or key gets a stream like any other', async () => {
    const node = await openNode('alice');
    const taken = serve(node, 80);
    for (const [i, name] of ['alice', node.self.address, node.self.address.toLowerCase(), node.self.key].entries()) {
      const near = dial(node, name, 80);
      near.send(text('there'));
      await near.word('acknowledged');
      const far = taken[i]!;
      await far.word('finished');
      expect(far.text).toBe('there');
      far.send(text('and back'));
      expect([await near.ended(), await far.ended()]).toEqual([undefined, undefined]);
      expect(near.text).toBe('and back');
      expect(near.order[0]).toBe('connected');
      expect(near.order.at(-1)).toBe('closed');
      expect([near.end.peer, far.end.peer]).toEqual([node.self, node.self]);
      expect(near.end.localPort).toBe(far.end.remotePort);
    }
    expect(node.status().streams).toBe(0);
  });

  it('is told nothing before its call has returned', async () => {
    const node = await openNode('alice');
    serve(node, 80);
    const near = dial(node, 'alice', 80);
    near.end.write(text('x'));
    expect(near.told).toEqual([]);
    await near.word('connected');
  });

  it('is refused where nobody listens, where too many wait, and by the program', async () => {
    const node = await openNode('alice');
    expect(await dial(node, 'alice', 81).ended()).toMatchObject({ code: 'ERR_WARREN_REFUSED' });
    const waiting: IncomingStream[] = [];
    const binding = node.listen({ port: 80, backlog: 1 }, (stream) => waiting.push(stream));
    const first = dial(node, 'alice', 80);
    expect(await dial(node, 'alice', 80).ended()).toMatchObject({ code: 'ERR_WARREN_BACKLOG_FULL' });
    binding.close();
    expect(await first.ended()).toMatchObject({ code: 'ERR_WARREN_REFUSED' });
    expect(first.told).toEqual(['closed']);
    expect(waiting[0]?.accept(new User())).toBeUndefined();
  });

  it('is stopped by a reader that stalls, and goes on when it reads', async () => {
    const node = await openNode('alice');
    const taken = serve(node, 80, () => new User(false));
    const near = dial(node, 'alice', 80);
    await near.word('connected');
    expect(near.end.write(new Uint8Array(SELF_WINDOW_BYTES))).toBe(SELF_WINDOW_BYTES);
    expect(near.end.write(text('x'))).toBe(0);
    const far = taken[0]!;
    await far.word('readable');
    expect(near.has('writable')).toBe(false);
    far.isReading = true;
    far.read();
    await near.word('writable');
    const content = pattern(1_000_000);
    near.send(content);
    await far.word('finished');
    expect(Buffer.compare(far.bytes.subarray(SELF_WINDOW_BYTES), content)).toBe(0);
  });

  it('keeps what it wrote apart from what is read', async () => {
    const node = await openNode('alice');
    const taken = serve(node, 80);
    const near = dial(node, 'alice', 80);
    const written = text('mine');
    near.end.write(written);
    await until('it is read', () => taken[0]?.length === 4);
    taken[0]!.pieces[0]!.fill(0);
    expect(written).toEqual(text('mine'));
  });

  it('is half closed, reset and stopped as over a tunnel', async () => {
    const node = await openNode('alice');
    const taken = serve(node, 80);
    const near = dial(node, 'alice', 80);
    await near.word('connected');
    const far = taken[0]!;
    near.end.write(text('lost'));
    near.end.reset(4_711);
    await far.word('reset 4711');
    expect(far.text).toBe('');
    far.end.write(text('still there'));
    await until('the other half goes on', () => near.text === 'still there');
    near.end.stop(300);
    await far.word('stopped 300');
    expect(far.end.write(text('x'))).toBe('ended');
    expect(await far.ended()).toMatchObject({ code: 'ERR_WARREN_RESET' });
    expect(await near.ended()).toBeUndefined();
    expect(near.order).toEqual(['connected', 'readable', 'closed']);
    expect(far.order).toEqual(['reset 4711', 'stopped 300', 'closed']);
  });

  it('may give up before it is taken: whoever takes it then is told', async () => {
    const node = await openNode('alice');
    const waiting: IncomingStream[] = [];
    node.listen({ port: 80 }, (stream) => waiting.push(stream));
    const near = dial(node, 'alice', 80, new User(), { timeout: 50 });
    expect(await near.ended()).toMatchObject({ code: 'ERR_WARREN_TIMEOUT' });
    const far = take(waiting[0]!);
    expect(await far.ended()).toMatchObject({ code: 'ERR_WARREN_RESET' });
    expect(far.order).toEqual(['reset 14', 'stopped 14', 'closed']);
    expect(node.status().streams).toBe(0);
  });

  it('has so many streams to itself and no more, and its ports back afterwards', async () => {
    const node = await openNode('alice', { echo: false });
    const taken: User[] = [];
    node.listen({ port: 80, backlog: 1_024 }, (stream) => taken.push(take(stream)));
    const dials = Array.from({ length: SELF_STREAMS_MAX }, () => dial(node, 'alice', 80));
    expect(await dial(node, 'alice', 80).ended()).toMatchObject({ code: 'ERR_WARREN_LIMIT' });
    await until('all are taken', () => taken.length === SELF_STREAMS_MAX);
    expect(node.status().streams).toBe(2 * SELF_STREAMS_MAX);
    for (const near of dials) near.end.finish();
    for (const far of taken) far.end.finish();
    await Promise.all(dials.map((near) => near.ended()));
    expect(node.status().streams).toBe(0);
    await dial(node, 'alice', 80).word('connected');
  });

  it('gives every port back: it may dial more often than there are ports', async () => {
    const node = await openNode('alice');
    const codes = new Set<string | undefined>();
    const ports = new Set<number>();
    for (let round = 0; round < 33; round++) {
      const dials = Array.from({ length: 500 }, () => dial(node, 'alice', 81));
      for (const near of dials) ports.add(near.end.localPort);
      for (const near of dials) codes.add((await near.ended())?.code);
    }
    expect([...codes]).toEqual(['ERR_WARREN_REFUSED']);
    expect([Math.min(...ports), Math.max(...ports), ports.size]).toEqual([49_152, 65_535, 16_384]);
  });

  it('pings itself', async () => {
    const node = await openNode('alice');
    const { roundTrip, route } = await node.ping('alice', { timeout: 5_000 });
    expect(roundTrip).toBeGreaterThan(0);
    expect(roundTrip).toBeLessThan(5_000_000);
    expect(route).toBe('self');
  });
});
