import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/**
 * A long way between two UDP sockets of this machine: what comes in leaves so many milliseconds later, in both directions. It
 * keeps the time to a fraction of a millisecond, for which a timer of Node's is too coarse: the last stretch is waited out.
 */

export interface DelayOptions {
  /** Where the way leads, on loopback. */
  readonly to: number;
  /** One way. */
  readonly milliseconds: number;
}

export interface DelayReply {
  readonly kind: 'ready';
  /** Where it begins. */
  readonly port: number;
}

const LOOPBACK = '127.0.0.1';
const { to, milliseconds } = JSON.parse(process.argv[2] ?? '{}') as DelayOptions;
/** In the order of their leaving, since the delay is the same for all. */
const waiting: { readonly at: number; readonly leave: () => void }[] = [];
let isWaking = false;

const entrance = await open();
const exit = await open();
let near = 0;
entrance.on('message', (bytes, from) => {
  near = from.port;
  delay(() => exit.send(bytes, to, LOOPBACK));
});
exit.on('message', (bytes) => delay(() => entrance.send(bytes, near, LOOPBACK)));

async function open(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, LOOPBACK);
  await once(socket, 'listening');
  return socket;
}

function delay(leave: () => void): void {
  waiting.push({ at: performance.now() + milliseconds, leave });
  wake();
}

function wake(): void {
  if (isWaking || waiting.length === 0) return;
  isWaking = true;
  const left = waiting[0]!.at - performance.now();
  if (left > 2) setTimeout(work, left - 2);
  else setImmediate(work);
}

function work(): void {
  isWaking = false;
  const now = performance.now();
  while (waiting.length > 0 && waiting[0]!.at <= now) waiting.shift()!.leave();
  wake();
}

process.send?.({ kind: 'ready', port: entrance.address().port } satisfies DelayReply);
