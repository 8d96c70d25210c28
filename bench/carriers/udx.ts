import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';
import type { Carrier } from './carrier.ts';

/** A stream of `udx-native`: reliable over UDP, written in C, not encrypted. Both sides know beforehand what it is called. */
export interface UdxCarrierOptions {
  readonly kind: 'udx';
  /** Where `require` finds it from. */
  readonly from: string;
}

interface Udx {
  createSocket(): { bind(port: number, host: string): void; address(): { readonly port: number } };
  createStream(id: number): Duplex & {
    readonly mtu: number;
    connect(socket: unknown, id: number, port: number, host: string): void;
  };
}

/** One stream of each side, under the same number: they are told apart by their sockets. */
const STREAM_ID = 1;
const LOOPBACK = '127.0.0.1';

export async function udxCarrier({ from }: UdxCarrierOptions): Promise<Carrier> {
  const UdxClass = createRequire(from)('udx-native') as new () => Udx;
  const udx = new UdxClass();
  const socket = udx.createSocket();
  socket.bind(0, LOOPBACK);
  const stream = udx.createStream(STREAM_ID);
  return {
    contact: { port: socket.address().port },
    async meet({ port }) {
      stream.connect(socket, STREAM_ID, Number(port), LOOPBACK);
    },
    dial: async () => stream,
    listen: async (taken) => taken(stream),
    mtu: async () => stream.mtu,
  };
}
