import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { measureEcho } from '../../cli/throughput.ts';
import { createIdentity } from '../../crypto/identity.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { Node } from '../../daemon/node.ts';
import { SystemRng } from '../../daemon/system-rng.ts';
import { HostAccess } from '../../sdk/host-access.ts';
import { Liveness } from '../../sdk/liveness.ts';
import { WarrenNode } from '../../sdk/node.ts';
import type { WarrenStream } from '../../sdk/stream.ts';
import { type Daemon, isCompiled, Sandbox, startPair, until } from './support.ts';

const MB = 1_000_000;

describe.runIf(isCompiled)('warren bench (needs `npm run build`)', () => {
  const sandbox = new Sandbox();
  let alice: Daemon;
  let bob: Daemon;

  beforeAll(async () => {
    [alice, bob] = await startPair(sandbox);
  });
  afterAll(() => sandbox.clear());

  it('refuses to measure under another controller than it was asked for', async () => {
    const first = await alice.json('bench', 'bob', '--size', '1MB', '--cc', 'bbr');
    expect(first.data).toMatchObject({ congestion: 'BBR', bytesReceived: MB });
    const other = await alice.json('bench', 'bob', '--size', '1MB', '--cc', 'cubic');
    expect(other).toMatchObject({ status: 1, error: { code: 'ERR_WARREN_CONGESTION_IN_USE' } });
  });

  it('gives figures that fit each other', async () => {
    const { data } = await alice.json('bench', 'bob', '--size', '3MiB', '--streams', '5');
    expect(data).toMatchObject({ peer: 'bob', address: bob.report.address, streams: 5 });
    expect([data.bytesSent, data.bytesReceived]).toEqual([3 * 2 ** 20, 3 * 2 ** 20]);
    expect(data.megabytesPerSecond).toBeCloseTo(data.bytesReceived / 1e6 / data.seconds, 0);
    const { stdout, stderr } = await alice.run('bench', 'bob', '--size', '500KB');
    expect(stdout).toMatch(/^500 kB to bob and back over one stream in [\d.]+ s: [\d.]+ MB\/s each way, BBR; every/);
    // The bar is for terminals.
    expect(stderr).toBe('');
  });

  it('measures the way to ourselves too', async () => {
    const { data } = await alice.json('bench', 'alice', '--size', '4MB');
    expect(data).toMatchObject({ peer: 'alice', bytesReceived: 4 * MB, congestion: '' });
  });

  it('gives none where it did not come to its end, and ends with 1', async () => {
    const bench = alice.spawn('bench', 'bob', '--size', '100GB', '--json');
    await until('it has begun', async () => (await alice.json('status')).data.traffic.bytesOut > 20 * MB);
    await bob.json('peer', 'remove', 'alice');
    const { status, stdout } = await bench.finished;
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'ERR_WARREN_NOT_TRUSTED' } });
    expect(stdout).not.toContain('PerSecond');
  });
});

describe('what is measured through an echo', () => {
  const open: Node[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((node) => node.close()));
  });

  /** A node whose port 7 does what we say. */
  async function nodeWith(serve: (stream: WarrenStream) => void): Promise<WarrenNode> {
    const identity = createIdentity(opensslBackend, new SystemRng(), 0);
    const node = await Node.open({ identity, echo: false, udp: { host: '127.0.0.1', port: 0 } });
    open.push(node);
    const access = new HostAccess(node, new Liveness({ ref: () => {}, unref: () => {} }), () => node.close());
    const warren = WarrenNode.over(access);
    const server = await warren.listen(7, { allowHalfOpen: true });
    server.on('connection', (stream) => serve(stream.on('error', () => undefined)));
    return warren;
  }

  const measure = async (node: WarrenNode): Promise<unknown> =>
    measureEcho(node, { peer: node.address, size: MB, streams: 2, progress: () => {} }).catch((error) => error.code);

  it('counts where every byte comes back', async () => {
    const node = await nodeWith((stream) => stream.pipe(stream));
    expect(await measure(node)).toMatchObject({ bytesSent: MB, bytesReceived: MB });
  });

  it.each<[string, (chunk: Buffer, at: number) => Buffer]>([
    [
      'is wrong',
      (chunk, at) => (at > 500_000 ? chunk : Buffer.from(chunk.map((byte) => byte ^ (at > 400_000 ? 1 : 0)))),
    ],
    ['is left out', (chunk, at) => (at > 100_000 && at < 200_000 ? chunk.subarray(1) : chunk)],
    ['comes twice', (chunk, at) => (at > 100_000 && at < 200_000 ? Buffer.concat([chunk, chunk.subarray(-1)]) : chunk)],
  ])('does not count where a byte %s', async (_, spoil) => {
    const node = await nodeWith((stream) => {
      let at = 0;
      stream.on('data', (chunk: Buffer) => {
        at += chunk.length;
        stream.write(spoil(chunk, at));
      });
      stream.on('end', () => stream.end());
    });
    expect(await measure(node)).toBe('ERR_WARREN_WRONG_ECHO');
  });

  it('does not count where the echo ends early, nor where it says more', async () => {
    const early = await nodeWith((stream) => stream.once('data', () => stream.end('')).resume());
    expect(await measure(early)).toBe('ERR_WARREN_NOT_AN_ECHO');
    const late = await nodeWith((stream) => {
      stream.pipe(stream, { end: false });
      stream.on('end', () => stream.end('x'));
    });
    expect(await measure(late)).toBe('ERR_WARREN_WRONG_ECHO');
  });

  it('does not count where a stream is given up', async () => {
    const node = await nodeWith(async (stream) => {
      stream.resume();
      await sleep(20);
      stream.resetAndDestroy(4242);
    });
    expect(await measure(node)).toBe('ERR_WARREN_RESET');
  });
});
