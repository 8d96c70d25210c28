import type { Duplex } from 'node:stream';
import { type CreateNodeOptions, createNode } from '../../sdk/create-node.ts';
import type { WarrenNode } from '../../sdk/node.ts';
import { Unavailable } from '../rig/unavailable.ts';
import type { Carrier } from './carrier.ts';
import { APP_PORT } from './daemon.ts';

/** Streams of a node in the application's own process. */
export interface EmbeddedCarrierOptions {
  readonly kind: 'embedded';
  /** What this node calls itself, and what the other one does. */
  readonly name: string;
  readonly peer: string;
  readonly path: PathOptions;
}

/** What both ways to run a node may be told about their paths; left out, it is the node's to find. */
export interface PathOptions {
  readonly mtu?: number | undefined;
  readonly offload?: boolean | undefined;
}

export async function embeddedCarrier({ name, peer, path }: EmbeddedCarrierOptions): Promise<Carrier> {
  const { mtu, offload } = path;
  const options: CreateNodeOptions & PathOptions = {
    name,
    listen: '127.0.0.1:0',
    ...(mtu === undefined ? {} : { mtu }),
    ...(offload === undefined ? {} : { offload }),
  };
  const node = await open(options);
  const { udp } = await node.status();
  return {
    contact: { record: await node.record(), endpoint: `127.0.0.1:${udp.port}` },
    async meet({ record, endpoint }) {
      await node.addPeer({ record: String(record), endpoints: [String(endpoint)] });
    },
    dial: (): Promise<Duplex> => node.dial(peer, APP_PORT),
    async listen(taken) {
      const server = await node.listen(APP_PORT, { backlog: 512 });
      server.on('connection', taken);
    },
    async mtu() {
      const { tunnels } = await node.status();
      return tunnels.find((tunnel) => tunnel.name === peer)?.mtu ?? 0;
    },
  };
}

async function open(options: CreateNodeOptions): Promise<WarrenNode> {
  try {
    return await createNode(options);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code === 'ERR_WARREN_ARGUMENT' ? new Unavailable(message) : error;
  }
}
