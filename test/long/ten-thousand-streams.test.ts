import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { after, MILLISECOND, SECOND } from '../../base/time.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { connected } from '../../sim/bulk.ts';
import { World } from '../../sim/world.ts';
import type { PeerStreamEvent } from '../../transport/endpoint.ts';
import { DEFAULT_STREAM_CONFIG } from '../../transport/streams/constants.ts';

const STREAMS = 10_000;
const PORT = 7;
const BYTES = 1_024;
const IDLE_STREAM_BYTES_MAX = 10 * 1_024;

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

function heldBytes(): number {
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** A tunnel on which one side echoes, and the other opens all streams as fast as it is allowed. */
class Echo {
  readonly world: World;
  readonly a;
  readonly b;
  readonly open: Map<number, { echoed: number; isOver: boolean }> = new Map();
  echoed = 0;
  closed = 0;

  constructor() {
    const streams = { ...DEFAULT_STREAM_CONFIG, peerStreamsMax: STREAMS };
    this.world = new World({
      seed: 1,
      crypto: opensslBackend,
      link: { delay: 5 * MILLISECOND },
      config: { streams, congestion: 'CUBIC' },
    });
    this.a = this.world.addPeer('a');
    this.b = this.world.addPeer('b');
    connected(this.world, this.a, this.b);
    this.b.node.endpoint.listen(PORT, 1_024);
    this.a.onStream = (event) => this.#client(event);
    this.b.onStream = (event) => this.#server(event);
  }

  openMore(): void {
    const { endpoint } = this.a.node;
    const { now } = this.world.network;
    while (this.open.size < STREAMS) {
      const id = endpoint.openStream(this.b.key, { source: 50_000, destination: PORT }, 1, now);
      if (typeof id !== 'number') return;
      this.open.set(id, { echoed: 0, isOver: false });
      expect(endpoint.writeStream(this.b.key, id, new Uint8Array(BYTES).fill(id & 0xff), now)).toBe(BYTES);
    }
  }

  finishAll(): void {
    for (const id of this.open.keys()) this.a.node.endpoint.finishStream(this.b.key, id, this.world.network.now);
    this.world.network.touch('a');
  }

  run(condition: () => boolean, seconds: number): boolean {
    const { network } = this.world;
    return network.runUntilTrue(condition, after(network.now, seconds * SECOND));
  }

  #client(event: PeerStreamEvent): void {
    if (event.kind === 'streams-available') this.openMore();
    if (event.kind === 'closed') this.closed += 1;
    if (event.kind !== 'readable') return;
    const { endpoint } = this.a.node;
    for (;;) {
      const bytes = endpoint.readStream(this.b.key, event.stream, this.world.network.now);
      if (bytes === undefined) return;
      expect(bytes.every((byte) => byte === (event.stream & 0xff))).toBe(true);
      this.echoed += bytes.length;
    }
  }

  #server(event: PeerStreamEvent): void {
    const { endpoint } = this.b.node;
    const { now } = this.world.network;
    if (event.kind === 'opened') endpoint.acceptStream(event.peer, event.stream, PORT, now);
    if (event.kind === 'finished') endpoint.finishStream(event.peer, event.stream, now);
    if (event.kind !== 'readable') return;
    for (;;) {
      const bytes = endpoint.readStream(event.peer, event.stream, now);
      if (bytes === undefined) return;
      expect(endpoint.writeStream(event.peer, event.stream, bytes, now)).toBe(bytes.length);
    }
  }
}

it('ten thousand streams of one tunnel each echo a kibibyte, idle cheaply, and leave nothing behind', () => {
  const echo = new Echo();
  // The first two rounds warm up what grows once: code, the ledger of sent packets, the simulator's own tables.
  const rounds = [1, 2, 3].map(() => {
    const before = heldBytes();
    const closedBefore = echo.closed;
    const echoedBefore = echo.echoed;
    echo.openMore();
    echo.world.network.touch('a');
    expect(echo.run(() => echo.echoed - echoedBefore === STREAMS * BYTES, 60)).toBe(true);
    expect(echo.open.size).toBe(STREAMS);
    echo.run(() => false, 5);
    // Both ends are in this process, and so is the test's own bookkeeping.
    const perStream = (heldBytes() - before) / STREAMS / 2;
    echo.finishAll();
    expect(echo.run(() => echo.closed - closedBefore === STREAMS, 60)).toBe(true);
    echo.open.clear();
    echo.run(() => false, 60);
    return { before, perStream, afterwards: heldBytes() };
  });
  const { before, perStream, afterwards } = rounds.at(-1)!;
  expect(perStream).toBeLessThanOrEqual(IDLE_STREAM_BYTES_MAX);
  expect(afterwards).toBeLessThanOrEqual(1.05 * before);
  console.log(`FIGURE S14-idle-stream-bytes ${Math.round(perStream)} ${IDLE_STREAM_BYTES_MAX}`);
});
