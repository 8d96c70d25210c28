import type { Duplex } from 'node:stream';
import { connect } from '../../sdk/connect.ts';
import type { Carrier } from './carrier.ts';

/** Streams of a daemon, as any program has them. The peers have been introduced already. */
export interface DaemonCarrierOptions {
  readonly kind: 'daemon';
  /** The directory of its sockets. */
  readonly socket: string;
  /** What the other node calls itself. */
  readonly peer: string;
}

export const APP_PORT = 1_000;

export async function daemonCarrier({ socket, peer }: DaemonCarrierOptions): Promise<Carrier> {
  const node = await connect({ socket });
  return {
    contact: {},
    meet: async () => undefined,
    dial: (): Promise<Duplex> => node.dial(peer, APP_PORT),
    async listen(taken) {
      const server = await node.listen(APP_PORT, { backlog: 512 });
      server.on('connection', taken);
    },
    async mtu() {
      const { tunnels } = await node.status();
      return tunnels.find(({ name }) => name === peer)?.mtu ?? 0;
    },
  };
}
