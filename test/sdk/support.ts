import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createIdentity } from '../../crypto/identity.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { Node } from '../../daemon/node.ts';
import { SystemRng } from '../../daemon/system-rng.ts';
import { LocalServer } from '../../ipc/server.ts';
import { socketPaths } from '../../ipc/socket-path.ts';
import { connect, createNode, type WarrenNode, type WarrenServer, type WarrenStream } from '../../sdk/index.ts';

export const LOOPBACK = '127.0.0.1';

/** Two nodes that know each other, whatever they are behind. */
export interface Pair {
  readonly alice: WarrenNode;
  readonly bob: WarrenNode;
  /** Streams that each node still knows of. */
  streams(): Promise<readonly [number, number]>;
  close(): Promise<void>;
}

/** Both ways to have a node; everything a program sees has to be the same. */
export const WAYS: readonly Way[] = [
  { way: 'in this process', open: embeddedPair, aheadMax: 1_024 * 1_024 },
  // Two connections more, with what a kernel and a daemon hold of each.
  { way: 'over the local socket', open: daemonPair, aheadMax: 4 * 1_024 * 1_024 },
];

export interface Way {
  readonly way: string;
  readonly open: () => Promise<Pair>;
  /** What may be written to a stream of small buffers that nobody reads. */
  readonly aheadMax: number;
}

export async function embeddedPair(): Promise<Pair> {
  const alice = await createNode({ name: 'alice', listen: `${LOOPBACK}:0` });
  const bob = await createNode({ name: 'bob', listen: `${LOOPBACK}:0` });
  await introduce(alice, bob);
  return {
    alice,
    bob,
    streams: () => streamsOf([alice, bob]),
    close: async () => {
      await Promise.all([alice.close(), bob.close()]);
    },
  };
}

/** Two programs at the sockets of two daemons. */
export async function daemonPair(): Promise<Pair> {
  const daemons = [await Daemon.start('alice'), await Daemon.start('bob')];
  const [alice, bob] = (await Promise.all(daemons.map((daemon) => daemon.connect()))) as [WarrenNode, WarrenNode];
  await introduce(alice, bob);
  return {
    alice,
    bob,
    streams: () => streamsOf([alice, bob]),
    close: async () => {
      await Promise.all([alice.close(), bob.close()]);
      await Promise.all(daemons.map((daemon) => daemon.stop()));
    },
  };
}

/** A daemon's node and local socket, in this process. */
export class Daemon {
  readonly node: Node;
  readonly directory: string;
  readonly #server: LocalServer;
  #stopping: Promise<void> | undefined;

  private constructor(node: Node, server: LocalServer, directory: string) {
    this.node = node;
    this.#server = server;
    this.directory = directory;
  }

  static async start(name: string): Promise<Daemon> {
    const directory = mkdtempSync(join(tmpdir(), 'warren-sdk-'));
    const paths = socketPaths({ WARREN_SOCKET: join(directory, 'run') });
    const identity = createIdentity(opensslBackend, new SystemRng(), 0);
    const node = await Node.open({ identity, profile: { name }, udp: { host: LOOPBACK } });
    return new Daemon(node, await LocalServer.open({ host: node, paths }), directory);
  }

  get socket(): string {
    return this.#server.paths.directory;
  }

  connect(admin = true): Promise<WarrenNode> {
    return connect({ socket: this.socket, admin });
  }

  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      this.#server.announceStop();
      await this.node.close();
      await this.#server.close();
      rmSync(this.directory, { recursive: true, force: true });
    })();
    return this.#stopping;
  }
}

/** Each has the other in its book; both can dial. */
export async function introduce(a: WarrenNode, b: WarrenNode): Promise<void> {
  await a.addPeer({ record: await b.record(), endpoints: [`${LOOPBACK}:${(await b.status()).udp.port}`] });
  await b.addPeer({ record: await a.record(), endpoints: [`${LOOPBACK}:${(await a.status()).udp.port}`] });
}

async function streamsOf(nodes: readonly WarrenNode[]): Promise<[number, number]> {
  const [a, b] = await Promise.all(nodes.map(async (node) => (await node.status()).streams));
  return [a!, b!];
}

/** A dialled stream and the one that was taken for it. */
export async function streamPair(
  { alice, bob }: Pick<Pair, 'alice' | 'bob'>,
  near: Parameters<WarrenNode['dial']>[2] = {},
  far: Parameters<WarrenNode['listen']>[1] = {},
): Promise<{ near: WarrenStream; far: WarrenStream; server: WarrenServer }> {
  const server = await bob.listen(0, far);
  const taken = new Promise<WarrenStream>((resolve) => server.once('connection', resolve));
  const dialled = await alice.dial('bob', server.port, near);
  return { near: dialled, far: await taken, server };
}

export async function until(what: string, isTrue: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  for (const start = performance.now(); !(await isTrue()); ) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The next time something is emitted; unlike `once` of `node:events` it does not care about errors. */
export function event(emitter: NodeJS.EventEmitter, name: string): Promise<unknown[]> {
  return new Promise((resolve) => emitter.once(name, (...args) => resolve(args)));
}

export async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  return (await bytesOf(stream)).toString('utf8');
}

export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Bytes that differ wherever two pieces could be confused, in pieces of uneven length; and their hash. */
export function* patternedPieces(length: number, seed: number): Generator<Buffer> {
  let state = seed;
  for (let at = 0; at < length; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const piece = Buffer.alloc(Math.min(length - at, 1 + (state % 150_000)));
    for (let i = 0; i + 4 <= piece.length; i += 4) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      piece.writeUInt32LE(state, i);
    }
    at += piece.length;
    yield piece;
  }
}

export function patterned(length: number, seed: number): Readable {
  return Readable.from(patternedPieces(length, seed), { objectMode: false, highWaterMark: 256 * 1_024 });
}

export function hashOf(length: number, seed: number): string {
  const hash = createHash('sha256');
  for (const piece of patternedPieces(length, seed)) hash.update(piece);
  return hash.digest('hex');
}
