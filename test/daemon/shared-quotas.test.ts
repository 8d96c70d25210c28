import { afterEach, describe, expect, it } from 'vitest';
import { SECOND } from '../../base/time.ts';
import type { Node } from '../../daemon/node.ts';
import { APP_EPHEMERAL_MAX } from '../../daemon/ports.ts';
import { SELF_STREAMS_KEPT, SELF_STREAMS_MAX } from '../../daemon/self-streams.ts';
import { EARLY_BYTES_MAX } from '../../daemon/tunnel-stream.ts';
import {
  APP_PLACES_MAX,
  DIALS_WAITING_KEPT,
  DIALS_WAITING_MAX,
  PEER_DIALS_WAITING_KEPT,
  PEER_DIALS_WAITING_MAX,
} from '../../daemon/tunnel-streams.ts';
import type { Host, IncomingStream } from '../../ipc/host.ts';
import { DEFAULT_STREAM_CONFIG } from '../../transport/streams/constants.ts';
import {
  closeAll,
  dial,
  introduce,
  newIdentity,
  openNode,
  pair,
  serve,
  silence,
  take,
  text,
  User,
  until,
} from './node-support.ts';

afterEach(closeAll);

/** What all programs of a node share, used up by those on `app.sock`: the owner goes on, and so do they where they take nothing. */

const LIMIT = { code: 'ERR_WARREN_LIMIT' };
const NO_FREE_PORT = expect.objectContaining({ code: 'ERR_WARREN_NO_FREE_PORT' });
const PEER_APP_DIALS = PEER_DIALS_WAITING_MAX - PEER_DIALS_WAITING_KEPT;
const APP_DIALS = DIALS_WAITING_MAX - DIALS_WAITING_KEPT;

/** A node that looks names up for ever, so that a dial to a peer with a name for an endpoint waits. */
function openSearching(name: string): Promise<Node> {
  return openNode(name, { lookup: () => new Promise(() => undefined) });
}

async function addHidden(node: Node, name: string): Promise<void> {
  const peer = await openNode(name);
  node.addPeer({ record: peer.record(), endpoints: [`${name}.example:4440`] });
  await peer.close();
}

function dials(host: Host, peer: string, count: number): User[] {
  return Array.from({ length: count }, () => dial(host, peer, 80));
}

function connected(user: User): () => boolean {
  return () => user.told.includes('connected');
}

/** Whether it goes on to wait, which nothing but silence would tell. */
async function staysOpen(user: User): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(user.told).toEqual([]);
}

describe('tunnels', () => {
  it('are used up by programs but for what the owner keeps', async () => {
    const alice = await openNode('alice', { config: { tunnelsMax: 3, tunnelsKept: 1 } });
    const peers = await Promise.all(['bob', 'carol', 'dave', 'erin'].map((name) => openNode(name)));
    for (const peer of peers) introduce(alice, peer);
    for (const peer of peers) serve(peer, 80);
    for (const name of ['bob', 'carol']) await until(name, connected(dial(alice.apps, name, 80)));
    expect(await dial(alice.apps, 'dave', 80).ended()).toMatchObject(LIMIT);
    await until('dave, by the owner', connected(dial(alice, 'dave', 80)));
    // It is there now, for all.
    await until('dave', connected(dial(alice.apps, 'dave', 80)));
    expect(await dial(alice, 'erin', 80).ended()).toMatchObject(LIMIT);
  });

  it('that the owner keeps begin with a datagram of theirs too, and with none of a program’s', async () => {
    const alice = await openNode('alice', { config: { tunnelsMax: 3, tunnelsKept: 1 } });
    const peers = await Promise.all(['bob', 'carol', 'dave'].map((name) => openNode(name)));
    for (const peer of peers) introduce(alice, peer);
    for (const peer of peers) serve(peer, 80);
    const came: string[] = [];
    peers[2]!.bind(1_000, ({ data }) => came.push(Buffer.from(data).toString()));
    for (const name of ['bob', 'carol']) await until(name, connected(dial(alice.apps, name, 80)));
    alice.apps.bind(0, () => undefined).send('dave', 1_000, text('of a program'));
    expect(alice.why('dave').lastError).toContain('tunnels in use');
    alice.bind(0, () => undefined).send('dave', 1_000, text('of the owner'));
    await until('it has come', () => came.length > 0);
    expect(came).toEqual(['of the owner']);
  });
});

describe('dials that wait', () => {
  it('for one peer use up what it has, and neither the owner’s part of it nor the other peers’', async () => {
    const alice = await openSearching('alice');
    await addHidden(alice, 'ghost');
    await addHidden(alice, 'other');
    const waiting = dials(alice.apps, 'ghost', PEER_APP_DIALS);
    expect(await dial(alice.apps, 'ghost', 80).ended()).toMatchObject(LIMIT);
    await staysOpen(waiting.at(-1)!);
    await staysOpen(dial(alice.apps, 'other', 80));
    const own = dials(alice, 'ghost', PEER_DIALS_WAITING_KEPT);
    await staysOpen(own.at(-1)!);
    expect(await dial(alice, 'ghost', 80).ended()).toMatchObject(LIMIT);
    // A place that is given up is there for another at once.
    waiting[0]!.end.reset(14);
    waiting[0]!.end.stop(14);
    await staysOpen(dial(alice.apps, 'ghost', 80));
  });

  it('for many peers use up what apps have: the owner’s go on, and whoever need not wait is not asked for room', async () => {
    const alice = await openSearching('alice');
    const [bob, carol] = [await openNode('bob'), await openNode('carol')];
    introduce(alice, bob);
    introduce(alice, carol);
    const farBob = serve(bob, 80);
    serve(carol, 80);
    await dial(alice.apps, 'bob', 80).word('connected');
    const ghosts = ['ghost-a', 'ghost-b', 'ghost-c', 'ghost-d', 'ghost-e'];
    for (const ghost of ghosts) await addHidden(alice, ghost);
    const waiting: User[] = [];
    for (const ghost of ghosts) {
      const left = APP_DIALS - waiting.length;
      waiting.push(...dials(alice.apps, ghost, Math.min(left, PEER_APP_DIALS)));
    }
    expect(waiting).toHaveLength(APP_DIALS);
    expect(await dial(alice.apps, 'ghost-e', 80).ended()).toMatchObject(LIMIT);
    await staysOpen(waiting.at(-1)!);
    expect(waiting[0]!.end.write(new Uint8Array(EARLY_BYTES_MAX + 1))).toBe(EARLY_BYTES_MAX);
    await staysOpen(dial(alice, 'ghost-e', 80));

    // A tunnel that is open, and one that begins with the dial.
    const near = dial(alice.apps, 'bob', 80);
    near.end.write(text('early'));
    await near.word('connected');
    await until('what it said to arrive', () => farBob[1]?.text === 'early');
    await dial(alice.apps, 'carol', 80).word('connected');
    await alice.apps.ping('bob', { timeout: 5_000 });
  });

  it('are no more where a peer comes back without its memory: what has no room to wait for it again ends', async () => {
    const identity = newIdentity();
    const alice = await openNode('alice');
    const streams = { ...DEFAULT_STREAM_CONFIG, peerStreamsMax: 128 };
    const old = await openNode('bob', { identity, offload: false, config: { streams, peerTimeout: SECOND / 4 } });
    introduce(alice, old);
    let came = 0;
    old.listen({ port: 80, backlog: 1_024 }, () => {
      came += 1;
    });
    const placed = dials(alice.apps, 'bob', 128);
    await until('all places to be taken', () => came === 128);
    const waiting = dials(alice.apps, 'bob', PEER_APP_DIALS);
    await staysOpen(waiting.at(-1)!);
    silence(old);
    const bob = await openNode('bob', { identity });
    bob.listen({ port: 80, backlog: 1_024 }, (stream) => take(stream));
    introduce(alice, bob);
    // Whoever has nothing to say finds out with the next keepalive only.
    placed[0]!.end.write(text('is anybody there?'));
    for (const near of placed) expect(await near.ended()).toMatchObject({ code: 'ERR_WARREN_PEER_RESTARTED' });
    for (const near of waiting) await near.word('connected');
  });

  it('may hold 64 MiB, and no more', () => {
    expect(DIALS_WAITING_MAX * EARLY_BYTES_MAX).toBe(64 * 2 ** 20);
  });
});

describe('the places in a tunnel', () => {
  it('that apps use up leave the owner some; and one that is given back is the next app’s', async () => {
    const { alice, bob } = await pair();
    bob.listen({ port: 80, backlog: 1_024 }, (stream) => take(stream));
    const placed = dials(alice.apps, 'bob', APP_PLACES_MAX);
    for (const near of placed) await near.word('connected');
    const next = dial(alice.apps, 'bob', 80);
    for (let i = 0; i < 16; i++) await dial(alice, 'bob', 80).word('connected');
    await staysOpen(next);
    placed[0]!.end.reset(14);
    placed[0]!.end.stop(14);
    await next.word('connected');
  });

  it('go to the owner first where both wait', async () => {
    const alice = await openNode('alice', { lookup: (name) => (name === 'bob.example' ? found : Promise.reject()) });
    const bob = await openNode('bob');
    let answer!: (addresses: readonly string[]) => void;
    const found = new Promise<readonly string[]>((resolve) => {
      answer = resolve;
    });
    alice.addPeer({ record: bob.record(), endpoints: [`bob.example:${bob.localPort}`] });
    bob.addPeer({ record: alice.record(), endpoints: [] });
    const came: number[] = [];
    bob.listen({ port: 80, backlog: 1_024 }, (stream) => {
      came.push(stream.remotePort);
      take(stream);
    });
    const app = dials(alice.apps, 'bob', 200);
    const own = dial(alice, 'bob', 80);
    answer(['127.0.0.1']);
    await own.word('connected');
    for (const near of app) await near.word('connected');
    expect(came.indexOf(own.end.localPort)).toBe(0);
  });
});

describe('streams to oneself', () => {
  it('that apps use up leave the owner some', async () => {
    const node = await openNode('alice', { echo: false });
    node.listen({ port: 80, backlog: 1_024 }, (stream) => take(stream));
    const near = dials(node.apps, 'alice', SELF_STREAMS_MAX - SELF_STREAMS_KEPT);
    expect(await dial(node.apps, 'alice', 80).ended()).toMatchObject(LIMIT);
    for (let i = 0; i < SELF_STREAMS_KEPT; i++) await dial(node, 'alice', 80).word('connected');
    expect(await dial(node, 'alice', 80).ended()).toMatchObject(LIMIT);
    near[0]!.end.reset(14);
    near[0]!.end.stop(14);
    await dial(node.apps, 'alice', 80).word('connected');
  });
});

describe('dynamic ports', () => {
  it('of streams that apps use up leave the owner some', async () => {
    const { alice, bob } = await pair();
    serve(bob, 80);
    const incoming = (): void => undefined;
    const bound = Array.from({ length: APP_EPHEMERAL_MAX }, () => alice.apps.listen({ port: 0 }, incoming));
    expect(() => alice.apps.listen({ port: 0 }, incoming)).toThrow(NO_FREE_PORT);
    // By its number no more than as any.
    expect(() => alice.apps.listen({ port: 65_535 }, incoming)).toThrow(NO_FREE_PORT);
    alice.apps.listen({ port: 1_000 }, incoming);
    expect(await dial(alice.apps, 'bob', 80).ended()).toMatchObject({ code: 'ERR_WARREN_NO_FREE_PORT' });
    await expect(alice.apps.ping('bob', { timeout: 5_000 })).rejects.toThrow(NO_FREE_PORT);
    await dial(alice, 'bob', 80).word('connected');
    await alice.ping('bob', { timeout: 5_000 });
    alice.listen({ port: 0 }, incoming).close();
    bound[0]!.close();
    await dial(alice.apps, 'bob', 80).word('connected');
  });

  it('of datagrams likewise', async () => {
    const alice = await openNode('alice');
    const receive = (): void => undefined;
    const bound = Array.from({ length: APP_EPHEMERAL_MAX }, () => alice.apps.bind(0, receive));
    expect(() => alice.apps.bind(0, receive)).toThrow(NO_FREE_PORT);
    const came: string[] = [];
    const port = alice.bind(0, ({ data }) => came.push(Buffer.from(data).toString()));
    port.send('alice', port.port, text('hello'));
    await until('it has come', () => came[0] === 'hello');
    bound[0]!.close();
    alice.apps.bind(0, receive);
  });
});

describe('a stream that waits to be taken', () => {
  it('is gone as soon as its tunnel is, and whoever was told of it hears so', async () => {
    const { alice, bob } = await pair();
    const told: string[] = [];
    let waiting!: IncomingStream;
    bob.listen({ port: 80 }, (stream) => {
      waiting = stream;
      told.push('came');
      stream.onGone(() => told.push('gone'));
    });
    dial(alice, 'bob', 80);
    await until('it has come', () => told.length === 1);
    await alice.close();
    await until('it is gone', () => told.length === 2);
    expect(told).toEqual(['came', 'gone']);
    expect(waiting.accept(new User())).toBeUndefined();
  });

  it('is gone where its port is given back; one that was taken or refused is not', async () => {
    const { alice, bob } = await pair();
    const told: string[] = [];
    const port = bob.listen({ port: 80 }, (stream) => {
      const name = `stream ${told.length}`;
      told.push(name);
      stream.onGone(() => told.push(`${name} is gone`));
      if (name === 'stream 0') take(stream);
      if (name === 'stream 1') stream.refuse();
    });
    const near: User[] = [];
    for (let i = 0; i < 3; i++) {
      near.push(dial(alice, 'bob', 80));
      await until('it has come', () => told.length === i + 1);
    }
    port.close();
    expect(await near[2]!.ended()).toMatchObject({ code: 'ERR_WARREN_REFUSED' });
    await until('it is gone', () => told.length === 4);
    await alice.close();
    await bob.close();
    expect(told).toEqual(['stream 0', 'stream 1', 'stream 2', 'stream 2 is gone']);
  });
});
