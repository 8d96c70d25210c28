import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { CryptoBackend } from '../../crypto/backend.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { createFastBackend } from '../../crypto/openssl-ffi.ts';
import { loadFfi } from '../../daemon/ffi.ts';
import { openOffloadSocket } from '../../daemon/offload-socket.ts';

/** What a node has where the system can: the roofline has the same, so that the two differ in the protocol alone. */

export interface UdpWay {
  readonly socket: Socket;
  /** Has the kernel cut what is sent into pieces of that many bytes; `undefined` where it cannot. */
  readonly setSegment: ((bytes: number) => boolean) | undefined;
}

const LOOPBACK = '127.0.0.1';
const BUFFER_BYTES = 4 * 2 ** 20;

export async function isFastPathThere(): Promise<boolean> {
  const udp = await openFastUdp();
  udp?.socket.close();
  return udp !== undefined && (await fastBackend()) !== undefined;
}

/** Each backend's AEAD through the same interface. */
export async function backendFor(isFast: boolean): Promise<CryptoBackend> {
  const backend = isFast ? await fastBackend() : opensslBackend;
  if (backend === undefined) throw new Error('OpenSSL cannot be called directly here');
  return backend;
}

export async function openUdp(isFast: boolean): Promise<UdpWay> {
  const way = isFast ? await openFastUdp() : await openPlainUdp();
  if (way === undefined) throw new Error('the kernel of this system does not cut batches into packets');
  return way;
}

async function fastBackend(): Promise<CryptoBackend | undefined> {
  const ffi = await loadFfi();
  return ffi && createFastBackend(opensslBackend, ffi);
}

async function openFastUdp(): Promise<UdpWay | undefined> {
  const ffi = await loadFfi();
  const offload = ffi && openOffloadSocket(ffi, { host: LOOPBACK, port: 0, bufferBytes: BUFFER_BYTES });
  if (offload === undefined) return undefined;
  const socket = createSocket('udp4');
  // Asked first: of a descriptor it is told at once.
  const isListening = once(socket, 'listening');
  socket.bind({ fd: offload.descriptor });
  await isListening;
  if (offload.sendsSegments && offload.joinsReceived) {
    return { socket, setSegment: (bytes) => offload.setSegment(bytes) };
  }
  socket.close();
  return undefined;
}

async function openPlainUdp(): Promise<UdpWay> {
  const socket = createSocket('udp4');
  socket.bind({ address: LOOPBACK, port: 0, exclusive: true });
  await once(socket, 'listening');
  for (const enlarge of [socket.setRecvBufferSize, socket.setSendBufferSize]) {
    try {
      enlarge.call(socket, BUFFER_BYTES);
    } catch {
      // What the system gives by itself, then.
    }
  }
  return { socket, setSegment: undefined };
}
