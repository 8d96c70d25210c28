import { createSocket, type RemoteInfo, type Socket, type SocketOptions } from 'node:dgram';
import { isIPv4 } from 'node:net';
import { assert } from '../base/assert.ts';
import { WarrenError } from '../base/errors.ts';
import type { Transmit } from '../transport/transmit.ts';
import type { IpEndpoint } from '../wire/ip-endpoint.ts';
import { UdpRoute, UdpRouteTable } from './udp-route.ts';

/**
 * One UDP socket as the machines want it: IPv4 and IPv6 in one where the system can, routes in place of addresses, and batches
 * in place of datagrams. Nothing that goes wrong with a datagram ends it: what the kernel refuses is counted by its error code,
 * and a lost datagram is for the layer above to notice.
 *
 * Sending is synchronous as long as the kernel takes the bytes. When it does not, `isBusy` says so: the buffer must then be left
 * alone, and nothing more sent, until the listener is told that it is `writable`.
 */
export class UdpSocket {
  readonly index: number;
  readonly localPort: number;
  readonly #socket: Socket;
  readonly #listener: UdpListener;
  readonly #routes: UdpRouteTable;
  readonly #counts: Mutable<UdpCounts> = {
    datagramsReceived: 0,
    bytesReceived: 0,
    datagramsSent: 0,
    bytesSent: 0,
    unanswerable: 0,
  };
  /** By error code, of which there are as many as the system has. */
  readonly #errors: Map<string, number> = new Map();
  /** Sends whose callback has not come. */
  #pending = 0;
  #isBusy = false;
  #isClosed = false;
  #closing: Promise<void> | undefined;
  #onDrained: (() => void)[] = [];

  private constructor(socket: Socket, isDualStack: boolean, options: UdpSocketOptions) {
    this.index = options.index;
    this.localPort = socket.address().port;
    this.#socket = socket;
    this.#listener = options.listener;
    this.#routes = new UdpRouteTable(options.index, isDualStack);
    socket.on('message', (message, from) => this.#read(message, from));
    socket.on('error', (error) => this.#noteError(error));
  }

  static async open(options: UdpSocketOptions): Promise<UdpSocket> {
    const { host } = options;
    if (host !== undefined) return UdpSocket.#bind(isIPv4(host) ? 'udp4' : 'udp6', host, options);
    try {
      return await UdpSocket.#bind('udp6', '::', options);
    } catch (error) {
      if (!(error instanceof BindError) || !NO_IPV6.has(error.systemCode)) throw error;
      return UdpSocket.#bind('udp4', '0.0.0.0', options);
    }
  }

  get counts(): UdpCounts {
    return { ...this.#counts };
  }

  /** How often the kernel refused something, by error code. */
  get errors(): ReadonlyMap<string, number> {
    return this.#errors;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  routeTo(remote: IpEndpoint): UdpRoute {
    return this.#routes.to(remote);
  }

  /** Sends what `pollTransmit` wrote to the start of `buffer`, and gives the number of datagrams. */
  send({ route, length, segmentSize }: Transmit, buffer: Uint8Array): number {
    assert(route instanceof UdpRoute && route.socket === this.index, 'a route leaves through the socket that made it');
    assert(!this.#isBusy, 'a busy socket is left alone');
    if (this.#isClosed) return 0;
    const { host, port } = route;
    if (port === 0) {
      // A peer may name such a place; the system would throw.
      this.#countError('EINVAL');
      return 0;
    }
    // Whole batches come here so that the kernel may one day be the one to cut them.
    let datagrams = 0;
    for (let offset = 0; offset < length; offset += segmentSize) {
      this.#socket.send(buffer, offset, Math.min(segmentSize, length - offset), port, host, this.#onSent);
      datagrams += 1;
    }
    this.#pending += datagrams;
    // Callbacks come later even for what the kernel has already taken; only its queue tells the two apart.
    this.#isBusy = this.#socket.getSendQueueCount() > 0;
    return datagrams;
  }

  /** Resolves once the kernel has taken or refused everything sent, or does not for `DRAIN_MS_MAX`. */
  async drained(): Promise<void> {
    if (this.#pending === 0) return;
    const { promise, resolve } = withResolvers();
    const timer = setTimeout(resolve, DRAIN_MS_MAX);
    this.#onDrained.push(resolve);
    await promise;
    clearTimeout(timer);
  }

  /** No datagram is handed on from here on; what was sent before still goes out. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  static async #bind(type: 'udp4' | 'udp6', address: string, options: UdpSocketOptions): Promise<UdpSocket> {
    const create = options.createSocket ?? createSocket;
    // Every host is an address already: answering at once keeps `send` synchronous, and no name is ever looked up.
    const socket = create({ type, lookup: (host, _options, done) => done(null, host, type === 'udp6' ? 6 : 4) });
    const port = options.port ?? 0;
    const { promise, resolve, reject } = withResolvers();
    socket.once('listening', resolve);
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true });
    try {
      await promise;
    } catch (error) {
      socket.close();
      throw new BindError(codeOf(error), address, port);
    } finally {
      socket.off('listening', resolve);
      socket.off('error', reject);
    }
    enlargeBuffers(socket);
    return new UdpSocket(socket, type === 'udp6', options);
  }

  #read(message: Buffer, from: RemoteInfo): void {
    if (this.#isClosed) return;
    this.#counts.datagramsReceived += 1;
    this.#counts.bytesReceived += message.length;
    if (from.port === 0) {
      this.#counts.unanswerable += 1;
      return;
    }
    // A plain array: the machines copy with `slice`, which on a Buffer does not copy.
    const bytes = new Uint8Array(message.buffer, message.byteOffset, message.length);
    this.#listener.datagram(this.#routes.from(from.address, from.port), bytes);
  }

  readonly #onSent = (error: Error | null, bytes: number): void => {
    this.#pending -= 1;
    if (error === null) {
      this.#counts.datagramsSent += 1;
      this.#counts.bytesSent += bytes;
    } else {
      this.#noteError(error);
    }
    if (this.#pending > 0) return;
    for (const resolve of this.#onDrained.splice(0)) resolve();
    if (!this.#isBusy) return;
    this.#isBusy = false;
    if (!this.#isClosed) this.#listener.writable();
  };

  #noteError(error: unknown): void {
    this.#countError(codeOf(error));
  }

  #countError(code: string): void {
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
  }

  async #close(): Promise<void> {
    await this.drained();
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }
}

export interface UdpListener {
  /** One read, possibly of several packets. The bytes are the listener's. */
  datagram(route: UdpRoute, bytes: Uint8Array): void;
  /** After `isBusy`: sending may go on. */
  writable(): void;
}

export interface UdpSocketOptions {
  /** Which of the process's sockets this is: routes name it. */
  readonly index: number;
  /** An address to bind to; every address of both families where it is left out. */
  readonly host?: string | undefined;
  /** 0, the default, takes any free one. */
  readonly port?: number | undefined;
  readonly listener: UdpListener;
  /** For tests, which need a system that refuses. */
  readonly createSocket?: ((options: SocketOptions) => Socket) | undefined;
}

export interface UdpCounts {
  readonly datagramsReceived: number;
  readonly bytesReceived: number;
  readonly datagramsSent: number;
  readonly bytesSent: number;
  /** Received from where nothing can be sent to, port 0, and dropped. */
  readonly unanswerable: number;
}

/** The port cannot be had. */
export class BindError extends WarrenError {
  /** As the system named it. */
  readonly systemCode: string;

  constructor(systemCode: string, address: string, port: number) {
    const inUse = systemCode === 'EADDRINUSE';
    super(
      inUse ? 'ERR_WARREN_PORT_IN_USE' : 'ERR_WARREN_BIND',
      `cannot bind UDP ${address} port ${port}: ${systemCode}`,
      inUse
        ? 'Choose another port, or 0 for any free one.'
        : 'Choose an address of this machine, and a port above 1023.',
    );
    this.systemCode = systemCode;
  }
}

/** What the kernel buffers while this process is busy with something else: 3 ms at full speed. */
const SOCKET_BUFFER_BYTES = 4 * 2 ** 20;
const SOCKET_BUFFER_BYTES_MIN = 256 * 2 ** 10;
const DRAIN_MS_MAX = 200;
/** How systems without IPv6, or with it switched off, refuse to bind to it. */
const NO_IPV6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EPROTONOSUPPORT', 'EADDRNOTAVAIL']);

/** As large as the system permits: Linux cuts the wish down to its limit, others refuse what is above it. */
function enlargeBuffers(socket: Socket): void {
  for (const set of [socket.setRecvBufferSize, socket.setSendBufferSize]) {
    for (let bytes = SOCKET_BUFFER_BYTES; bytes >= SOCKET_BUFFER_BYTES_MIN; bytes /= 2) {
      try {
        set.call(socket, bytes);
        break;
      } catch {
        // Half of it, then.
      }
    }
  }
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'unknown';
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
