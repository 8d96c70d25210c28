import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connectUnix } from '../rig/unix-socket.ts';
import { BUFFER_BYTES, type Carrier } from './carrier.ts';

/** Plain connections over a Unix socket to whatever stands between the applications. */
export interface UnixCarrierOptions {
  readonly kind: 'unix';
  /** Of the near side: where the first process in between listens. Of the far side: where it listens itself. */
  readonly path: string;
  /** Whether the far application says a byte to each connection, and a dial is one that has heard it. */
  readonly greets: boolean;
}

const GREETING: Buffer = Buffer.from('.');

export async function unixCarrier({ path, greets }: UnixCarrierOptions): Promise<Carrier> {
  return {
    contact: {},
    meet: async () => undefined,
    async dial(): Promise<Duplex> {
      const socket = await connectUnix(path);
      if (greets) await greeting(socket);
      return socket;
    },
    async listen(taken) {
      const server = createServer({ highWaterMark: BUFFER_BYTES }, (socket) => {
        if (greets) socket.write(GREETING);
        taken(socket);
      });
      server.listen({ path, backlog: 512 });
      await once(server, 'listening');
    },
    mtu: async () => 0,
  };
}

async function greeting(socket: Socket): Promise<void> {
  while ((socket.read(GREETING.length) as Buffer | null) === null) await once(socket, 'readable');
}
