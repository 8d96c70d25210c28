import { afterEach, expect, it, onTestFinished } from 'vitest';
import type { Node } from '../../daemon/node.ts';
import { BOUNDS } from '../../ipc/bounds.ts';
import { LocalServer } from '../../ipc/server.ts';
import { closeAll, introduce, openNode, serve } from '../daemon/node-support.ts';
import { bare, Program, temporaryPaths, until } from '../ipc/support.ts';

/**
 * Programs on app.sock take all that they can get, of everything; whoever is on admin.sock does not notice. Smaller bounds than a
 * daemon's: each of them is filled in its own size elsewhere (`test/ipc/bounds`, `test/daemon/shared-quotas`).
 */

afterEach(closeAll);

const SMALL = {
  ...BOUNDS,
  connections: 600,
  controlConnections: 8,
  unsorted: 20,
  streamsPerClient: 40,
  streamsWithoutClient: 40,
  streams: 300,
  dials: 30,
  ports: 20,
  requests: 50,
};
const GHOSTS = ['ghost-a', 'ghost-b', 'ghost-c'];

async function stage(): Promise<{ alice: Node; app: string; admin: string }> {
  const alice = await openNode('alice', { lookup: () => new Promise(() => undefined) });
  const bob = await openNode('bob');
  introduce(alice, bob);
  serve(bob, 80);
  for (const name of GHOSTS) {
    const ghost = await openNode(name);
    alice.addPeer({ record: ghost.record(), endpoints: [`${name}.example:4440`] });
  }
  const paths = temporaryPaths();
  const server = await LocalServer.open({ host: alice, paths, bounds: SMALL });
  onTestFinished(() => server.close());
  return { alice, app: paths.app, admin: paths.admin };
}

async function refusals(attempts: readonly Promise<unknown>[]): Promise<Set<string>> {
  const settled = await Promise.allSettled(attempts);
  return new Set(settled.flatMap((one) => (one.status === 'rejected' ? [one.reason.code as string] : [])));
}

it('programs on app.sock use up everything they may have, and the owner has status, peers, ports, pings and dials', async () => {
  const { alice, app, admin } = await stage();
  const greedy = await Promise.all(Array.from({ length: SMALL.controlConnections }, () => Program.connect(app)));
  await expect(Program.connect(app)).rejects.toMatchObject({ code: 'ERR_WARREN_LIMIT' });

  // Streams that are open, of every client and of none; then dials that never end.
  const open = greedy.flatMap((program) => Array.from({ length: 10 }, () => program.dial('bob:80')));
  expect(await refusals(open)).toEqual(new Set());
  for (const [i, program] of greedy.entries()) {
    const ghost = GHOSTS[i % GHOSTS.length]!;
    for (let k = 0; k < SMALL.dials + 5; k++) program.dial(`${ghost}:80`, k % 4 > 0).catch(() => {});
  }
  await until('all streams they may have', () => alice.status().streams === SMALL.streams);

  // Ports of both kinds, and requests that wait.
  const ports = greedy.flatMap(({ client }) =>
    Array.from({ length: SMALL.ports + 1 }, (_, k) => client.request(k % 2 === 0 ? 'listen' : 'bind', { port: 0 })),
  );
  expect(await refusals(ports)).toEqual(new Set(['ERR_WARREN_LIMIT']));
  for (const { client } of greedy) {
    for (let k = 0; k < SMALL.requests + 5; k++) {
      client.request('ping', { peer: GHOSTS[0]!, timeoutMs: 60_000 }).catch(() => {});
    }
  }
  // Connections that say nothing.
  for (let i = 0; i < SMALL.unsorted + 5; i++) await bare(app);

  const owner = await Program.connect(admin);
  expect(await owner.client.request('status', {})).toMatchObject({ name: 'alice' });
  expect((await owner.client.request('peers', {})).peers).toHaveLength(1 + GHOSTS.length);
  await owner.client.request('listen', { port: 0 });
  await owner.client.request('bind', { port: 0 });
  expect((await owner.client.request('ping', { peer: 'bob', timeoutMs: 5_000 })).roundTrip).toBeGreaterThan(0);
  const stream = await owner.dial('bob:80');
  expect(stream.opened.peer.name).toBe('bob');
  const dave = await openNode('dave');
  await owner.client.request('add-peer', { record: dave.record(), endpoints: [`127.0.0.1:${dave.localPort}`] });
  dave.addPeer({ record: alice.record(), endpoints: [] });
  serve(dave, 80);
  await owner.dial('dave:80', false);
});
