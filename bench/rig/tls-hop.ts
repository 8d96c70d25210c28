import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type SecureVersion, connect as tlsConnect } from 'node:tls';
import { BUFFER_BYTES } from '../carriers/carrier.ts';
import { openUnix } from './unix-socket.ts';

/**
 * The rival that everybody has: what comes from an application's Unix socket goes through Node's TLS over TCP to the other process
 * of this kind, and from there to the other application. A key known beforehand stands in for certificates (RFC 4279), with
 * AES-256-GCM as everywhere here; Node takes such keys up to TLS 1.2, whose records cost what those of 1.3 do.
 */

export interface TlsHopOptions {
  readonly side: 'near' | 'far';
  /** Where the near one listens for its application, and where the far one's application listens. */
  readonly path: string;
  /** Hex. */
  readonly key: string;
  /** Of the far one; the near one is told. */
  readonly port: number;
}

export interface TlsHopReply {
  readonly kind: 'ready';
  readonly port: number;
}

const LOOPBACK = '127.0.0.1';
const { side, path, key, port } = JSON.parse(process.argv[2] ?? '{}') as TlsHopOptions;
const psk = Buffer.from(key, 'hex');
const version: SecureVersion = 'TLSv1.2';
const common = { ciphers: 'PSK-AES256-GCM-SHA384', minVersion: version, maxVersion: version };

function joinBoth(one: Duplex, other: Duplex): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  }
}

async function listenNear(): Promise<number> {
  const server = createServer({ highWaterMark: BUFFER_BYTES }, (app: Socket) => {
    const pskCallback = () => ({ psk, identity: 'bench' });
    const far = tlsConnect({ ...common, host: LOOPBACK, port, pskCallback, checkServerIdentity: () => undefined });
    far.setNoDelay();
    joinBoth(app, far);
  });
  server.listen({ path });
  await once(server, 'listening');
  return 0;
}

async function listenFar(): Promise<number> {
  const options = { ...common, pskCallback: () => psk, pskIdentityHint: 'bench', noDelay: true };
  const server = createTlsServer(options, (near) => joinBoth(near, openUnix(path)));
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const bound = await (side === 'near' ? listenNear() : listenFar());
process.send?.({ kind: 'ready', port: bound } satisfies TlsHopReply);
