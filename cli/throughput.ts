import { once } from 'node:events';
import { WarrenError } from '../base/errors.ts';
import type { WarrenNode } from '../sdk/node.ts';
import type { WarrenStream } from '../sdk/stream.ts';
import { formatBytes } from './format.ts';
import { TestData } from './test-data.ts';

/** RFC 862, on every node. */
const ECHO_PORT = 7;

export const CONTROLLERS: readonly ['aimd', 'cubic', 'bbr'] = ['aimd', 'cubic', 'bbr'];
export type Controller = (typeof CONTROLLERS)[number];

export interface EchoPlan {
  readonly peer: string;
  /** In all, over all streams. */
  readonly size: number;
  readonly streams: number;
  readonly congestion?: Controller | undefined;
  /** Of the bytes that have come back. */
  readonly progress: (bytes: number) => void;
}

export interface EchoFigures {
  readonly peer: string;
  readonly address: string;
  readonly streams: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** From the first byte written to the last that came back. */
  readonly seconds: number;
  /** What came back, in millions of bytes. As many went the other way at the same time. */
  readonly megabytesPerSecond: number;
  /** Of the tunnel; empty towards ourselves, where there is none. */
  readonly congestion: string;
}

/**
 * Sends through the echo service of a peer and looks at every byte that comes back. Gives figures only where all of it did, in
 * order and right; else it throws.
 */
export async function measureEcho(node: WarrenNode, plan: EchoPlan): Promise<EchoFigures> {
  const { peer, streams: count, size } = plan;
  const streams: WarrenStream[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const stream = await node.dial(peer, ECHO_PORT, { allowHalfOpen: true, congestion: plan.congestion });
      // What goes wrong before its run begins is found then.
      streams.push(stream.on('error', () => undefined));
    }
    const far = streams[0]!.peer!;
    const congestion = await controllerOf(node, far.key);
    refuseOtherController(plan, congestion);
    const start = performance.now();
    const runs = streams.map((stream, i) => new EchoRun(stream, i, share(size, count, i)));
    const onProgress = (): void => plan.progress(runs.reduce((sum, run) => sum + run.received, 0));
    await Promise.all(runs.map((run) => run.run(onProgress)));
    const seconds = (performance.now() - start) / 1_000;
    const bytesReceived = runs.reduce((sum, run) => sum + run.received, 0);
    return {
      peer: far.name,
      address: far.address,
      streams: count,
      bytesSent: size,
      bytesReceived,
      seconds: Number(seconds.toFixed(4)),
      megabytesPerSecond: Number((bytesReceived / 1e6 / seconds).toFixed(2)),
      congestion,
    };
  } finally {
    for (const stream of streams) stream.destroy();
  }
}

function share(size: number, count: number, index: number): number {
  return Math.floor(size / count) + (index < size % count ? 1 : 0);
}

async function controllerOf(node: WarrenNode, key: string): Promise<string> {
  const { tunnels } = await node.status();
  return tunnels.find((tunnel) => tunnel.key === key)?.congestion ?? '';
}

/** A figure under another controller's name would be worse than none. */
function refuseOtherController({ peer, congestion: wanted }: EchoPlan, found: string): void {
  if (wanted === undefined || found === '' || found.toLowerCase() === wanted) return;
  throw new WarrenError(
    'ERR_WARREN_CONGESTION_IN_USE',
    `there is a tunnel to ${peer} already, and it uses ${found}`,
    `restart the daemon with --congestion ${wanted}, or bench before anything else has dialled ${peer}`,
  );
}

class EchoRun {
  readonly #stream: WarrenStream;
  readonly #size: number;
  readonly #data: TestData;

  constructor(stream: WarrenStream, index: number, size: number) {
    this.#stream = stream;
    this.#size = size;
    this.#data = new TestData(index, size);
  }

  get received(): number {
    return this.#data.checked;
  }

  async run(onProgress: () => void): Promise<void> {
    const failed = once(this.#stream, 'error').then(([error]) => {
      throw error;
    });
    await Promise.race([Promise.all([this.#send(), this.#receive(onProgress)]), failed]);
  }

  async #send(): Promise<void> {
    for (const block of this.#data.blocks()) {
      if (!this.#stream.write(block)) await once(this.#stream, 'drain');
    }
    this.#stream.end();
  }

  async #receive(onProgress: () => void): Promise<void> {
    for await (const chunk of this.#stream) {
      if (!this.#data.check(chunk)) throw wrongEcho(this.received, this.#size);
      onProgress();
    }
    if (!this.#data.isComplete) throw shortEcho(this.received, this.#size);
  }
}

function wrongEcho(right: number, size: number): WarrenError {
  return new WarrenError(
    'ERR_WARREN_WRONG_ECHO',
    `what came back is not what was sent: the first ${formatBytes(right)} of ${formatBytes(size)} were right`,
    'whatever listens on port 7 there is no echo, or one of the two versions has a fault: please report it',
  );
}

function shortEcho(received: number, size: number): WarrenError {
  return new WarrenError(
    'ERR_WARREN_NOT_AN_ECHO',
    `only ${formatBytes(received)} of ${formatBytes(size)} came back`,
    'whatever listens on port 7 there is no echo',
  );
}
