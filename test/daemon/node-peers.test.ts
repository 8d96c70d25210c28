import { createSocket as createUdpSocket, type Socket, type SocketOptions } from 'node:dgram';
import { afterEach, describe, expect, it } from 'vitest';
import { WarrenError } from '../../base/errors.ts';
import { SECOND } from '../../base/time.ts';
import { quoteText } from '../../daemon/escape.ts';
import { Node, type NodeEvent } from '../../daemon/node.ts';
import { EARLY_BYTES_MAX } from '../../daemon/tunnel-stream.ts';
import { PEER_DIALS_WAITING_MAX } from '../../daemon/tunnel-streams.ts';
import {
  closeAll,
  dial,
  introduce,
  LOOPBACK,
  MemoryStore,
  newIdentity,
  openNode,
  pair,
  serve,
  take,
  text,
  User,
  until,
} from './node-support.ts';

afterEach(closeAll);

describe('names', () => {
  const taken = expect.objectContaining({ code: 'ERR_WARREN_NAME_TAKEN', hint: expect.stringContaining('--as NAME') });
  const unknown = expect.objectContaining({ code: 'ERR_WARREN_UNKNOWN_PEER' });

  it('of the node itself mean itself, and no peer can have them', async () => {
    const node = await openNode('alice');
    const other = await openNode('alice');
    const entry = { record: other.record(), endpoints: [] };
    expect(() => node.addPeer(entry)).toThrow(taken);
    expect(() => node.addPeer({ ...entry, petname: 'alice' })).toThrow(taken);
    expect(node.listPeers()).toEqual([]);
    node.addPeer({ ...entry, petname: 'other' });
    expect(node.resolve('alice')).toEqual(node.self);
    expect(node.resolve(node.self.address)).toBe(node.self);
    expect(node.resolve(other.self.address)).toEqual({ ...other.self, name: 'other' });
    for (const own of ['alice', node.self.address, node.self.key]) expect(() => node.removePeer(own)).toThrow(unknown);
    expect(() => node.addPeer({ record: node.record(), endpoints: [] })).toThrow(
      expect.objectContaining({ code: 'ERR_WARREN_OWN_RECORD' }),
    );
  });

  it('are had by one peer only: the second is refused until it is given another', async () => {
    const { alice, bob } = await pair();
    const entry = { record: (await openNode('bob')).record(), endpoints: [] };
    expect(() => alice.addPeer(entry)).toThrow(taken);
    expect(() => alice.addPeer({ ...entry, petname: 'bob' })).toThrow(taken);
    expect(alice.resolve('bob')).toEqual(bob.self);
    expect(alice.addPeer({ ...entry, petname: 'other-bob' }).name).toBe('other-bob');
  });

  it('that we give lead to a peer wherever one is asked for, and its own does not', async () => {
    const { alice, bob } = await pair();
    alice.addPeer({ record: bob.record(), endpoints: [], petname: 'friend' });
    const friend = { ...bob.self, name: 'friend' };
    const taken = serve(bob, 80);
    const near = dial(alice, 'friend', 80);
    await near.word('connected');
    expect(near.end.peer).toEqual(friend);
    expect((await alice.ping('friend', { timeout: 5_000 })).route).toBe(`${LOOPBACK}:${bob.localPort}`);
    expect(alice.why('friend')).toMatchObject({ ...friend, callsItself: 'bob' });
    expect(alice.status().tunnels).toMatchObject([friend]);
    expect(alice.listPeers()).toMatchObject([{ ...friend, callsItself: 'bob' }]);
    expect(() => alice.resolve('bob')).toThrow(unknown);
    expect(() => alice.dial({ peer: 'bob', port: 80 }, new User())).toThrow(unknown);
    expect(() => alice.why('bob')).toThrow(unknown);
    expect(() => alice.removePeer('bob')).toThrow(unknown);
    await expect(alice.ping('bob', { timeout: 100 })).rejects.toEqual(unknown);
    near.end.finish();
    taken[0]!.end.finish();
    expect(alice.removePeer('friend')).toEqual(friend);
  });

  it('are nobody’s any more once their peer has left, though its tunnel may still be there', async () => {
    const { alice, bob } = await pair();
    await alice.ping('bob', { timeout: 5_000 });
    alice.removePeer('bob');
    expect(alice.status().tunnels).toMatchObject([{ name: '', key: bob.self.key, address: bob.self.address }]);
  });

  it('that this node has taken since from a peer in its book keep it from opening', async () => {
    const store = new MemoryStore();
    const identity = newIdentity();
    const first = await openNode('alice', { identity, peers: store });
    first.addPeer({ record: (await openNode('bob')).record(), endpoints: [] });
    await first.close();
    await expect(openNode('bob', { identity, peers: store })).rejects.toMatchObject({ code: 'ERR_WARREN_NAME_TAKEN' });
    const again = await openNode('alice', { identity, peers: store });
    expect(again.listPeers()).toMatchObject([{ name: 'bob' }]);
  });

  it('that nobody has are an error, and so are wrong arguments', async () => {
    const node = await openNode('alice');
    const codeOf = (target: object): string => {
      try {
        node.dial({ peer: 'alice', port: 80, ...target }, new User());
      } catch (error) {
        return (error as { code: string }).code;
      }
      return '';
    };
    expect(codeOf({ peer: 'nobody' })).toBe('ERR_WARREN_UNKNOWN_PEER');
    expect(codeOf({ port: 0 })).toBe('ERR_WARREN_ARGUMENT');
    expect(codeOf({ port: 65_536 })).toBe('ERR_WARREN_ARGUMENT');
    expect(codeOf({ timeout: 0 })).toBe('ERR_WARREN_ARGUMENT');
    expect(codeOf({ timeout: 86_400_001 })).toBe('ERR_WARREN_ARGUMENT');
    for (const peerTimeout of [-1, 999, 3_600_001, 1_500.5]) {
      expect(codeOf({ peerTimeout })).toBe('ERR_WARREN_ARGUMENT');
    }
    expect(codeOf({ congestion: 'reno' })).toBe('ERR_WARREN_ARGUMENT');
    for (const backlog of [0, 1_025, 1.5]) {
      expect(() => node.listen({ port: 90, backlog }, () => undefined)).toThrow(
        expect.objectContaining({ code: 'ERR_WARREN_ARGUMENT' }),
      );
    }
    expect(node.status().streams).toBe(0);
  });
});

describe('only peers in the book', () => {
  it('get a session: a stranger hears nothing', async () => {
    const alice = await openNode('alice', { config: { peerTimeout: SECOND / 2 } });
    const bob = await openNode('bob');
    alice.addPeer({ record: bob.record(), endpoints: [`${LOOPBACK}:${bob.localPort}`] });
    serve(bob, 80);
    expect(await dial(alice, 'bob', 80).ended()).toMatchObject({ code: 'ERR_WARREN_UNREACHABLE' });
    const { drops, tunnels, traffic } = bob.status();
    expect(drops['not-admitted']).toBeGreaterThan(0);
    expect([tunnels, traffic.packetsOut]).toEqual([[], 0]);
    expect(alice.why('bob').advice).toContain('does not answer strangers');
    bob.addPeer({ record: alice.record(), endpoints: [] });
    await dial(alice, 'bob', 80).word('connected');
  });

  it('keep it: one that is removed loses its streams, and is a stranger again', async () => {
    const { alice, bob } = await pair({ config: { peerTimeout: SECOND / 2 } });
    const taken = serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    await near.word('connected');
    expect(bob.removePeer('alice')).toEqual(alice.self);
    expect(await near.ended()).toMatchObject({ code: 'ERR_WARREN_NOT_TRUSTED' });
    expect(await taken[0]!.ended()).toMatchObject({ code: 'ERR_WARREN_PEER_REMOVED' });
    expect(() => bob.resolve('alice')).toThrow(expect.objectContaining({ code: 'ERR_WARREN_UNKNOWN_PEER' }));
    expect(await dial(alice, 'bob', 80).ended()).toMatchObject({ code: 'ERR_WARREN_UNREACHABLE' });
    expect(bob.status().peers).toBe(0);
  });
});

describe('a peer that is removed while it is looked for', () => {
  it('takes the dials that wait for it with it', async () => {
    const alice = await openNode('alice', { lookup: () => new Promise(() => undefined) });
    const bob = await openNode('bob');
    alice.addPeer({ record: bob.record(), endpoints: ['bob.example:4440'] });
    const near = dial(alice, 'bob', 80);
    alice.removePeer('bob');
    expect(near.told).toEqual([]);
    expect(await near.ended()).toMatchObject({ code: 'ERR_WARREN_PEER_REMOVED' });
    expect(alice.status().streams).toBe(0);
  });
});

describe('the peer book of a node', () => {
  it('lasts where it is given a place to', async () => {
    const store = new MemoryStore();
    const identity = newIdentity();
    const first = await openNode('alice', { identity, peers: store });
    const bob = await openNode('bob');
    first.addPeer({ record: bob.record(), endpoints: [`${LOOPBACK}:${bob.localPort}`], petname: 'robert' });
    bob.addPeer({ record: first.record(), endpoints: [] });
    await first.close();
    const again = await openNode('alice', { identity, peers: store });
    expect(again.listPeers()).toEqual([
      {
        ...bob.self,
        name: 'robert',
        callsItself: 'bob',
        endpoints: [`${LOOPBACK}:${bob.localPort}`],
        connected: false,
      },
    ]);
    serve(bob, 80);
    await dial(again, 'robert', 80).word('connected');
    expect(again.listPeers()[0]?.connected).toBe(true);
    expect(bob.listPeers()[0]?.connected).toBe(true);
  });

  it('takes a newer record from a handshake, and keeps it under the name that its owner knows', async () => {
    const store = new MemoryStore();
    const events: NodeEvent[] = [];
    const own = { identity: newIdentity(), peers: store };
    const alice = await openNode('alice', { ...own, log: (event) => events.push(event) });
    const identity = newIdentity();
    const old = await openNode('bob', { identity, profile: { name: 'bob', sequence: 1 } });
    introduce(alice, old);
    await old.close();
    const bob = await openNode('robert', { identity, profile: { name: 'robert', sequence: 2 } });
    bob.addPeer({ record: alice.record(), endpoints: [`${LOOPBACK}:${alice.localPort}`] });
    const saves = store.saves;
    await bob.ping('alice', { timeout: 5_000 });
    await until('alice has learned it', () => alice.why('bob').callsItself === 'robert');
    expect(store.saves).toBe(saves + 1);
    expect(alice.resolve('bob')).toEqual({ ...bob.self, name: 'bob' });
    expect(() => alice.resolve('robert')).toThrow(expect.objectContaining({ code: 'ERR_WARREN_UNKNOWN_PEER' }));
    expect(alice.listPeers()).toMatchObject([{ name: 'bob', callsItself: 'robert' }]);
    expect(events.find(({ event }) => event === 'record-learned')?.fields).toEqual({
      peer: bob.self.address,
      name: 'bob',
      callsItself: 'robert',
      sequence: 2,
    });
    expect(new TextDecoder().decode(store.bytes)).toContain(bob.record());

    await alice.close();
    const again = await openNode('alice', own);
    expect(again.resolve('bob')).toEqual({ ...bob.self, name: 'bob' });
    // Its owner takes the new name by adding it again.
    expect(again.addPeer({ record: bob.record(), endpoints: [] })).toEqual(bob.self);
    expect(again.resolve('robert')).toEqual(bob.self);
    expect(() => again.resolve('bob')).toThrow(expect.objectContaining({ code: 'ERR_WARREN_UNKNOWN_PEER' }));
  });

  it('that cannot take the newer record keeps the old one; the log has the error itself, whose quotes are escaped once', async () => {
    const store = new MemoryStore();
    const events: NodeEvent[] = [];
    const alice = await openNode('alice', { peers: store, log: (event) => events.push(event) });
    const identity = newIdentity();
    const old = await openNode('bob', { identity, profile: { name: 'bob', sequence: 1 } });
    introduce(alice, old);
    await old.close();
    const full = new WarrenError('ERR_WARREN_DISK_FULL', `cannot write ${quoteText('a\\b')}: the disk is full`, '');
    store.save = () => {
      throw full;
    };
    const bob = await openNode('bob', { identity, profile: { name: 'robert', sequence: 2 } });
    bob.addPeer({ record: alice.record(), endpoints: [`${LOOPBACK}:${alice.localPort}`] });
    await bob.ping('alice', { timeout: 5_000 });
    await until('it was tried', () => events.some(({ event }) => event === 'record-not-saved'));
    expect(alice.why('bob').callsItself).toBe('bob');
    await bob.close();
    await until('the tunnel is down', () => events.some(({ event }) => event === 'tunnel-down'));
    const errors = events.flatMap(({ event, fields: { error } }) => (error === undefined ? [] : [[event, error]]));
    const closed = expect.objectContaining({ code: 'ERR_WARREN_PEER_CLOSED' });
    expect(errors).toEqual([
      ['record-not-saved', full],
      ['tunnel-down', closed],
    ]);
  });

  it('saved with an endpoint that is refused today is read without it, and the log names the peer', async () => {
    const store = new MemoryStore();
    const identity = newIdentity();
    const bob = await openNode('bob');
    const first = await openNode('alice', { identity, peers: store });
    const endpoint = `${LOOPBACK}:${bob.localPort}`;
    first.addPeer({ record: bob.record(), endpoints: [endpoint, '192.0.2.1:4440'] });
    await first.close();
    store.bytes = text(new TextDecoder().decode(store.bytes).replace('192.0.2.1:4440', '255.255.255.255:4440'));
    const log: NodeEvent[] = [];
    const again = await openNode('alice', { identity, peers: store, log: (event) => log.push(event) });
    expect(again.listPeers()).toMatchObject([{ name: 'bob', endpoints: [endpoint] }]);
    expect(log.filter(({ level }) => level === 'warn')).toEqual([
      {
        level: 'warn',
        event: 'endpoint-left-out',
        fields: {
          peer: bob.self.address,
          name: 'bob',
          error: expect.objectContaining({ code: 'ERR_WARREN_ENDPOINT' }),
        },
      },
    ]);
  });

  it('that is damaged stops the node from opening', async () => {
    const store = new MemoryStore();
    store.bytes = text('{}');
    await expect(openNode('alice', { peers: store })).rejects.toMatchObject({ code: 'ERR_WARREN_PEER_BOOK' });
  });
});

describe('reaching a peer', () => {
  it('without an endpoint is impossible, unless it has come by itself', async () => {
    const { alice, bob } = await pair();
    serve(alice, 80);
    const before = dial(bob, 'alice', 80);
    const error = await before.ended();
    expect(error).toMatchObject({ code: 'ERR_WARREN_NO_ROUTE' });
    expect(error?.hint).toContain('warren peer add … --endpoint HOST:PORT');
    expect(bob.why('alice').advice).toContain('--endpoint HOST:PORT');
    await alice.ping('bob', { timeout: 5_000 });
    await dial(bob, 'alice', 80).word('connected');
    expect(bob.why('alice').advice).toBe('');
  });

  it('looks names up when it is dialled, and asks at all addresses', async () => {
    const asked: string[] = [];
    const alice = await openNode('alice', {
      lookup: (host) => {
        asked.push(host);
        return Promise.resolve(['127.0.0.2', LOOPBACK]);
      },
    });
    const bob = await openNode('bob');
    alice.addPeer({ record: bob.record(), endpoints: [`bob.example:${bob.localPort}`] });
    bob.addPeer({ record: alice.record(), endpoints: [] });
    const taken = serve(bob, 80);
    expect(asked).toEqual([]);
    const users = [dial(alice, 'bob', 80), dial(alice, 'bob', 80)];
    expect(users[0]!.end.write(text('early'))).toBe(5);
    for (const user of users) await user.word('connected');
    expect(asked).toEqual(['bob.example']);
    await until('the early bytes are there', () => taken[0]?.text === 'early');
    expect(alice.why('bob').routes).toEqual([
      { route: `127.0.0.2:${bob.localPort}`, state: 'asked' },
      { route: `${LOOPBACK}:${bob.localPort}`, state: 'in use' },
    ]);
  });

  it('goes on at the place its owner names while others are still looked up', async () => {
    const alice = await openNode('alice', { lookup: () => new Promise(() => undefined) });
    const bob = await openNode('bob');
    alice.addPeer({ record: bob.record(), endpoints: ['bob.example:4440'] });
    bob.addPeer({ record: alice.record(), endpoints: [] });
    serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    expect(alice.why('bob').advice).toContain('looked up');
    alice.addPeer({ record: bob.record(), endpoints: [`${LOOPBACK}:${bob.localPort}`] });
    await near.word('connected');
  });

  it('does not go where a name led whose place another has taken meanwhile', async () => {
    const answers: ((addresses: readonly string[]) => void)[] = [];
    const alice = await openNode('alice', { lookup: () => new Promise((resolve) => answers.push(resolve)) });
    const bob = await openNode('bob');
    alice.addPeer({ record: bob.record(), endpoints: ['old.example:1'] });
    bob.addPeer({ record: alice.record(), endpoints: [] });
    serve(bob, 80);
    const near = dial(alice, 'bob', 80);
    alice.addPeer({ record: bob.record(), endpoints: [`new.example:${bob.localPort}`] });
    answers[0]!(['127.0.0.2']);
    await until('the new name is looked up', () => answers.length === 2);
    answers[1]!([LOOPBACK]);
    await near.word('connected');
    expect(alice.why('bob').routes.map(({ route }) => route)).toEqual([`${LOOPBACK}:${bob.localPort}`]);
  });

  it('fails with the reason where no name has an address', async () => {
    const alice = await openNode('alice', {
      lookup: () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })),
    });
    const bob = await openNode('bob');
    alice.addPeer({ record: bob.record(), endpoints: ['bob.example:4440'] });
    const error = await dial(alice, 'bob', 80).ended();
    expect(error).toMatchObject({ code: 'ERR_WARREN_UNREACHABLE' });
    expect(error?.message).toContain('bob.example (ENOTFOUND)');
    expect(alice.why('bob').routes).toEqual([{ route: 'bob.example (ENOTFOUND)', state: 'no address' }]);
  });

  it('is bounded: so many dials wait, each with so many bytes, and no look-up that hangs holds them longer than they wish', async () => {
    const alice = await openNode('alice', { lookup: () => new Promise(() => undefined) });
    const bob = await openNode('bob');
    alice.addPeer({ record: bob.record(), endpoints: ['bob.example:4440'] });
    const dials = Array.from({ length: PEER_DIALS_WAITING_MAX }, () =>
      dial(alice, 'bob', 80, new User(), { timeout: 500 }),
    );
    expect(await dial(alice, 'bob', 80).ended()).toMatchObject({ code: 'ERR_WARREN_LIMIT' });
    expect(dials[0]!.end.write(new Uint8Array(EARLY_BYTES_MAX + 1))).toBe(EARLY_BYTES_MAX);
    expect(dials[0]!.end.write(new Uint8Array(1))).toBe(0);
    const errors = await Promise.all(dials.map((user) => user.ended()));
    expect(new Set(errors.map((error) => error?.code))).toEqual(new Set(['ERR_WARREN_TIMEOUT']));
    expect(alice.status().streams).toBe(0);
  });

  it('lets the dial that begins the tunnel choose its congestion control and patience', async () => {
    const { alice, bob } = await pair();
    serve(bob, 80);
    await dial(alice, 'bob', 80, new User(), { congestion: 'bbr', peerTimeout: 1_000 }).word('connected');
    expect(alice.status().tunnels[0]?.congestion).toBe('BBR');
    const carol = await openNode('carol');
    introduce(alice, carol);
    await carol.close();
    const start = performance.now();
    expect(await dial(alice, 'carol', 80, new User(), { peerTimeout: 1_000 }).ended()).toMatchObject({
      code: 'ERR_WARREN_UNREACHABLE',
    });
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

describe('a ping', () => {
  it('measures the way to the far program and back', async () => {
    const { alice, bob } = await pair();
    for (let i = 0; i < 5; i++) {
      const { roundTrip, route } = await alice.ping('bob', { timeout: 5_000 });
      expect(roundTrip).toBeGreaterThan(0);
      expect(Number.isInteger(roundTrip)).toBe(true);
      expect(roundTrip).toBeLessThan(5_000_000);
      expect(route).toBe(`${LOOPBACK}:${bob.localPort}`);
    }
    await until('nothing is left of it', () => alice.status().streams + bob.status().streams === 0);
  });

  it('fails with the reason', async () => {
    const alice = await openNode('alice', { config: { peerTimeout: SECOND / 2 } });
    const bob = await openNode('bob', { echo: false });
    introduce(alice, bob);
    await expect(alice.ping('bob', { timeout: 5_000 })).rejects.toMatchObject({ code: 'ERR_WARREN_REFUSED' });
    const liar = bob.listen({ port: 7 }, (stream) => {
      take(stream).end.write(text('sixteen bytes ok'));
    });
    await expect(alice.ping('bob', { timeout: 5_000 })).rejects.toMatchObject({ code: 'ERR_WARREN_NOT_AN_ECHO' });
    liar.close();
    const mute = bob.listen({ port: 7 }, (stream) => take(stream));
    await expect(alice.ping('bob', { timeout: 200 })).rejects.toMatchObject({ code: 'ERR_WARREN_TIMEOUT' });
    const controller = new AbortController();
    const pinging = alice.ping('bob', { timeout: 5_000, signal: controller.signal });
    controller.abort();
    await expect(pinging).rejects.toMatchObject({ code: 'ERR_WARREN_CANCELLED' });
    await expect(alice.ping('bob', { timeout: 5_000, signal: controller.signal })).rejects.toMatchObject({
      code: 'ERR_WARREN_CANCELLED',
    });
    mute.close();
    await bob.close();
    await until('bob has gone', () => alice.listPeers()[0]?.connected === false);
    await expect(alice.ping('bob', { timeout: 5_000 })).rejects.toMatchObject({ code: 'ERR_WARREN_UNREACHABLE' });
  });
});

describe('what a node shows', () => {
  it('is complete', async () => {
    const events: NodeEvent[] = [];
    const { alice, bob } = await pair({ version: '1.2.3', log: (event) => events.push(event) });
    serve(bob, 80);
    await dial(alice, 'bob', 80).word('connected');
    const status = alice.status();
    expect(status).toMatchObject({
      ...alice.self,
      version: '1.2.3',
      pid: process.pid,
      udp: { host: LOOPBACK, port: alice.localPort },
      listening: [7],
      streams: 1,
      peers: 1,
      socketErrors: {},
    });
    expect(status.uptime).toBeGreaterThan(0);
    expect(status.tunnels).toHaveLength(1);
    expect(status.tunnels[0]).toMatchObject({
      ...bob.self,
      state: 'open',
      route: `${LOOPBACK}:${bob.localPort}`,
      congestion: 'AIMD',
      streams: 1,
    });
    const { roundTrip, window, mtu } = status.tunnels[0]!;
    expect(Math.min(roundTrip, window)).toBeGreaterThan(0);
    expect(mtu).toBeGreaterThanOrEqual(1_200);
    const { bytesIn, bytesOut, packetsIn, packetsOut } = status.traffic;
    expect(Math.min(bytesIn, bytesOut)).toBeGreaterThanOrEqual(1_200);
    expect(Math.min(packetsIn, packetsOut)).toBeGreaterThan(1);
    const report = alice.why('bob');
    expect(report).toMatchObject({ ...bob.self, lastError: '', advice: '' });
    expect(report.tunnel).toMatchObject({ state: 'open' });
    expect(alice.why('alice')).toMatchObject({ ...alice.self, routes: [], advice: '' });
    expect(events.map(({ event }) => event)).toEqual(['peer-added', 'peer-added', 'tunnel-up', 'tunnel-up']);
  });

  it('and where it is bound, which is IPv4 where the system has no IPv6', async () => {
    const createSocket = (options: SocketOptions): Socket => {
      const socket = createUdpSocket(options);
      if (options.type === 'udp6') {
        socket.bind = () => {
          queueMicrotask(() => socket.emit('error', Object.assign(new Error('refused'), { code: 'EAFNOSUPPORT' })));
          return socket;
        };
      }
      return socket;
    };
    const fallen = await openNode('alice', { udp: { host: undefined, createSocket } });
    expect(fallen.status().udp).toMatchObject({ host: '0.0.0.0', port: fallen.localPort });
    const both = await openNode('bob', { udp: { host: undefined } });
    expect(both.status().udp).toMatchObject({ host: '::', port: both.localPort });
  });

  it('and whom it asks when its owner shuts it down', async () => {
    let asked = 0;
    const node = await openNode('alice', { onShutdown: () => asked++ });
    node.shutdown();
    expect(asked).toBe(1);
    const other = await openNode('bob');
    other.shutdown();
    expect(() => other.bind(0, () => undefined)).toThrow(expect.objectContaining({ code: 'ERR_WARREN_SHUTDOWN' }));
    await other.close();
    const again = await Node.open({ identity: newIdentity(), udp: { host: LOOPBACK, port: other.localPort } });
    await again.close();
  });
});
