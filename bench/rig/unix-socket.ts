import { once } from 'node:events';
import { Socket } from 'node:net';
import { BUFFER_BYTES } from '../carriers/carrier.ts';

/** Connected, with buffers as large as those of a daemon's connections. */
export async function connectUnix(path: string): Promise<Socket> {
  const socket = openUnix(path);
  await once(socket, 'connect');
  return socket;
}

/** At once; what is written meanwhile waits. */
export function openUnix(path: string): Socket {
  // What the constructor hands on to the stream stands in no type.
  const options: object = { readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES };
  return new Socket(options).connect(path);
}
