import { type HeapProfiler, Session } from 'node:inspector';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { toHex } from '../../../base/bytes.ts';
import { after, earliest, type Instant, instant } from '../../../base/time.ts';
import { opensslBackend } from '../../../crypto/openssl.ts';
import { hollowBackend } from '../../../sim/hollow-backend.ts';
import { SeededRng } from '../../../sim/rng.ts';
import { Endpoint } from '../../../transport/endpoint.ts';
import { type DirectRoute, directRoute } from '../../../transport/route.ts';
import { makeSelf } from '../../security/hostile.ts';

/**
 * Two views a packet, of about 100 bytes each, are what it takes to copy bytes from one array to another: out of the send buffer
 * into the packet, and out of the packet into the receive buffer. The rest goes by batch, by ACK and by chunk.
 */
const BYTES_PER_PACKET_MAX = 480;
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PRODUCT = ['base', 'wire', 'crypto', 'transport'].map((folder) => `${ROOT}${folder}/`);
const MTU = 1_200;
const WARM_UP = 16 * 2 ** 20;
const MEASURED = 48 * 2 ** 20;
const DELAY = 50;
const PORT = 80;

interface Side {
  readonly endpoint: Endpoint;
  readonly key: string;
  readonly route: DirectRoute;
}

interface Datagram {
  readonly at: Instant;
  readonly to: Side;
  readonly route: DirectRoute;
  readonly bytes: Uint8Array;
}

/** One side sends to the other as fast as it is let, over a link that does nothing but take its time. */
class Transfer {
  readonly #a: Side;
  readonly #b: Side;
  readonly #stream: number;
  readonly #buffer = new Uint8Array(65_536);
  readonly #piece = new Uint8Array(65_536);
  readonly #underWay: Datagram[] = [];
  #now = instant(10_000_000);
  #received = 0;
  packets = 0;

  constructor() {
    const make = (seed: number): Side => {
      const { identity, record } = makeSelf(new SeededRng(10 + seed));
      const options = { crypto: hollowBackend(opensslBackend), identity, record, admit: () => true };
      const endpoint = new Endpoint({ ...options, rng: new SeededRng(seed), config: { mtuMax: MTU } }, this.#now);
      const address = { family: 4, address: Uint8Array.of(192, 0, 2, seed), port: seed } as const;
      return { endpoint, key: toHex(identity.signing.publicKey), route: directRoute(0, address) };
    };
    this.#a = make(1);
    this.#b = make(2);
    this.#b.endpoint.listen(PORT);
    const { signing, exchange } = makeSelf(new SeededRng(12)).identity;
    const peer = { identityKey: signing.publicKey, staticKey: exchange.publicKey };
    this.#a.endpoint.connect(peer, [this.#b.route], this.#now);
    while (this.#a.endpoint.tunnel(this.#b.key)?.state !== 'open') this.#step();
    const stream = this.#a.endpoint.openStream(this.#b.key, { source: 1, destination: PORT }, 1, this.#now);
    if (typeof stream !== 'number') expect.fail(stream);
    this.#stream = stream;
    this.#write();
  }

  run(bytes: number): void {
    this.packets = 0;
    for (const end = this.#received + bytes; this.#received < end; ) this.#step();
  }

  #step(): void {
    this.#send(this.#a, this.#b);
    this.#send(this.#b, this.#a);
    const [a, b] = [this.#a.endpoint, this.#b.endpoint];
    const due = earliest(a.nextTimeout(), b.nextTimeout());
    const first = this.#underWay[0];
    this.#now = Math.max(this.#now, first === undefined ? due : earliest(first.at, due)) as Instant;
    for (let next = this.#underWay[0]; next !== undefined && next.at <= this.#now; next = this.#underWay[0]) {
      next.to.endpoint.handleDatagram(next.route, next.bytes, this.#now);
      this.#underWay.shift();
    }
    for (const endpoint of [a, b]) if (endpoint.nextTimeout() <= this.#now) endpoint.handleTimeout(this.#now);
    this.#follow();
  }

  #send(from: Side, to: Side): void {
    for (;;) {
      const transmit = from.endpoint.pollTransmit(this.#buffer, this.#now);
      if (transmit === undefined) return;
      if (from === this.#a) this.packets += Math.ceil(transmit.length / transmit.segmentSize);
      const bytes = this.#buffer.slice(0, transmit.length);
      this.#underWay.push({ at: after(this.#now, DELAY), to, route: from.route, bytes });
    }
  }

  #follow(): void {
    for (const { endpoint } of [this.#a, this.#b]) while (endpoint.pollEvent() !== undefined);
    const { endpoint } = this.#b;
    for (let event = endpoint.pollStreamEvent(); event !== undefined; event = endpoint.pollStreamEvent()) {
      if (event.kind === 'opened') endpoint.acceptStream(this.#a.key, event.stream, PORT, this.#now);
      if (event.kind !== 'readable') continue;
      for (;;) {
        const bytes = endpoint.readStream(this.#a.key, event.stream, this.#now);
        if (bytes === undefined) break;
        this.#received += bytes.length;
      }
    }
    for (let event = this.#a.endpoint.pollStreamEvent(); event; event = this.#a.endpoint.pollStreamEvent()) {
      if (event.kind === 'writable') this.#write();
    }
  }

  #write(): void {
    const { endpoint } = this.#a;
    while (endpoint.writeStream(this.#b.key, this.#stream, this.#piece, this.#now) === this.#piece.length);
  }
}

/** What `work` allocates in the folders of the product, sampled. */
async function allocatedBy(work: () => void): Promise<number> {
  const session = new Session();
  session.connect();
  const post = <Result>(method: string, parameters = {}): Promise<Result> =>
    new Promise((resolve, reject) => {
      session.post(method, parameters, (error, result) => (error ? reject(error) : resolve(result as Result)));
    });
  const collected = { includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true };
  await post('HeapProfiler.startSampling', { samplingInterval: 4_096, ...collected });
  work();
  const { profile } = await post<HeapProfiler.StopSamplingReturnType>('HeapProfiler.stopSampling');
  session.disconnect();
  return sumOf(profile.head, false);
}

/** Built-in functions count where the product called them. */
function sumOf(node: HeapProfiler.SamplingHeapProfileNode, isBelow: boolean): number {
  const file = node.callFrame.url.replace(/^file:\/\//, '');
  const counts = file === '' ? isBelow : PRODUCT.some((folder) => file.startsWith(folder));
  return node.children.reduce((sum, child) => sum + sumOf(child, counts), counts ? node.selfSize : 0);
}

it('a packet of a long transfer costs its sender and receiver together little more than two views', async () => {
  const transfer = new Transfer();
  transfer.run(WARM_UP);
  const bytes = await allocatedBy(() => transfer.run(MEASURED));
  expect(transfer.packets).toBeGreaterThan(MEASURED / MTU);
  expect(bytes / transfer.packets).toBeGreaterThan(50);
  expect(bytes / transfer.packets).toBeLessThan(BYTES_PER_PACKET_MAX);
});
