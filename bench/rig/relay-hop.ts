import { once } from 'node:events';
import { createServer } from 'node:net';
import { openUnix } from './unix-socket.ts';

/** The process between two bare Unix sockets: each connection to the first becomes one to the second, and no more than that. */

export interface RelayOptions {
  readonly path: string;
  readonly to: string;
}

export interface RelayReply {
  readonly kind: 'ready';
}

const { path, to } = JSON.parse(process.argv[2] ?? '{}') as RelayOptions;
const server = createServer((near) => {
  const far = openUnix(to);
  near.pipe(far).pipe(near);
  near.on('error', () => far.destroy());
  far.on('error', () => near.destroy());
});
server.listen({ path, backlog: 512 });
await once(server, 'listening');
process.send?.({ kind: 'ready' } satisfies RelayReply);
