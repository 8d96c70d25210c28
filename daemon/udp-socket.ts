import { createSocket, type RemoteInfo, type Socket, type SocketOptions } from 'node:dgram';
import { isIPv4 } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { assert } from '../base/assert.ts';
import { WarrenError } from '../base/errors.ts';
import type { Ffi } from '../crypto/ffi.ts';
import { codeOf } from '../ipc/file-trouble.ts';
import { freeRead, WORTHWHILE_BYTES } from '../ipc/free-memory.ts';
import type { Transmit } from '../transport/transmit.ts';
import type { IpEndpoint } from '../wire/ip-endpoint.ts';
import { isFull, NativeBindError, type OffloadSocket, openOffloadSocket } from './offload-socket.ts';
import { UdpRoute, UdpRouteTable } from './udp-route.ts';

/**
 * One UDP socket as the machines want it: IPv4 and IPv6 in one where the system can, routes in place of addresses, and batches
 * in place of datagrams. Nothing that goes wrong with a datagram ends it: what the kernel refuses is counted by its error code,
 * and a lost datagram is for the layer above to notice.
 *
 * Where the system can (`OffloadSocket`), a batch goes out in one call and the kernel cuts it, and a read brings as many packets as
 * came in a row. Where a batch turns out to be refused, its like is sent one by one from then on.
 *
 * Sending is synchronous as long as the kernel takes the bytes. When it does not, `isBusy` says so: the buffer must then be left
 * alone, and nothing more sent, until the listener is told that it is `writable`.
 */
export class UdpSocket {
  readonly index: number;
  /** As bound, which may be IPv4 where every address was asked for. */
  readonly localHost: string;
  readonly localPort: number;
  readonly #socket: Socket;
  readonly #listener: UdpListener;
  readonly #routes: UdpRouteTable;
  readonly #offload: OffloadSocket | undefined;
  /** The kernel is asked to cut batches. */
  #cutsBatches: boolean;
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
  /** Of what this turn may read besides `dgram`. */
  #drainLeft = DRAIN_BYTES_PER_TURN;
  #isClosed = false;
  #closing: Promise<void> | undefined;
  #onDrained: (() => void)[] = [];

  private constructor(socket: Socket, isDualStack: boolean, options: UdpSocketOptions, offload?: OffloadSocket) {
    this.index = options.index;
    const { address, port } = socket.address();
    this.localHost = address;
    this.localPort = port;
    this.#socket = socket;
    this.#listener = options.listener;
    this.#offload = offload;
    this.#cutsBatches = offload?.sendsSegments === true;
    const carriesLarge = offload?.forbidsFragments === true;
    this.#routes = new UdpRouteTable({ socket: options.index, isDualStack, carriesLarge });
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
    if (route.port === 0) {
      // A peer may name such a place; the system would throw.
      this.#countError('EINVAL');
      return 0;
    }
    const datagrams = Math.ceil(length / segmentSize);
    const maySegment = datagrams > 1 && this.#cutsBatches && segmentSize <= route.segmentMax;
    if (maySegment && this.#offload?.setSegment(segmentSize)) {
      this.#sendPiece(route, buffer, 0, length, segmentSize);
    } else {
      this.#offload?.setSegment(0);
      for (let offset = 0; offset < length; offset += segmentSize) {
        const bytes = Math.min(segmentSize, length - offset);
        this.#sendPiece(route, buffer, offset, bytes, bytes);
      }
    }
    return datagrams;
  }

  /** One datagram, or several that the kernel cuts. */
  #sendPiece(route: UdpRoute, buffer: Uint8Array, offset: number, length: number, segmentSize: number): void {
    const sent = this.#sendNow(route, buffer, offset, length);
    if (sent === undefined) this.#sendByDgram(route, buffer, offset, length, segmentSize);
    else if (sent >= 0) this.#noteSent(sent, segmentSize);
    else this.#noteRefused(getSystemErrorName(sent), route, length, segmentSize);
  }

  /** `dgram` makes three objects for each send, and a turn of its own for its callback. `undefined` where it has to do. */
  #sendNow(route: UdpRoute, buffer: Uint8Array, offset: number, length: number): number | undefined {
    const { socketAddress } = route;
    // Behind what waits already, everything waits.
    if (this.#offload === undefined || this.#isBusy || socketAddress.length === 0) return undefined;
    const sent = this.#offload.send(buffer, offset, length, socketAddress);
    return isFull(sent) ? undefined : sent;
  }

  #sendByDgram(route: UdpRoute, buffer: Uint8Array, offset: number, length: number, segmentSize: number): void {
    this.#pending += 1;
    const onBatchSent = (error: Error | null, bytes: number): void => {
      if (error === null) this.#noteSent(bytes, segmentSize);
      else this.#noteRefused(codeOf(error), route, length, segmentSize);
      this.#settle();
    };
    const onSent = length > segmentSize ? onBatchSent : this.#onOneSent;
    this.#socket.send(buffer, offset, length, route.port, route.host, onSent);
    // Callbacks come later even for what the kernel has already taken; only its queue tells the two apart.
    this.#isBusy = this.#socket.getSendQueueCount() > 0;
  }

  /** What the system does for this socket, for status. */
  get offload(): UdpOffload {
    const isWhole = this.#offload?.forbidsFragments === true;
    return {
      cutsBatches: this.#cutsBatches,
      joinsPackets: this.#offload?.joinsReceived === true,
      searchesMtu: isWhole,
    };
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
    let offload: OffloadSocket | undefined;
    try {
      offload = openOffload(address, options);
      if (offload === undefined) socket.bind({ address, port, exclusive: true });
      else handOver(offload, socket);
      await promise;
      offload?.claim();
    } catch (error) {
      socket.close();
      throw error instanceof BindError ? error : new BindError(codeOf(error), address, port);
    } finally {
      socket.off('listening', resolve);
      socket.off('error', reject);
    }
    if (offload === undefined) enlargeBuffers(socket);
    return new UdpSocket(socket, type === 'udp6', options, offload);
  }

  #read(message: Buffer, from: RemoteInfo): void {
    if (this.#isClosed) return;
    // A plain array: the machines copy with `slice`, which on a Buffer does not copy.
    const bytes = new Uint8Array(message.buffer, message.byteOffset, message.length);
    this.#hand(this.#routes.from(from.address, from.port), bytes);
    // Behind something small there is mostly nothing, and to find that out costs as much as reading it.
    if (message.length < WORTHWHILE_BYTES) return;
    freeRead(message);
    this.#drain();
  }

  #hand(route: UdpRoute, bytes: Uint8Array): void {
    this.#counts.bytesReceived += bytes.length;
    if (route.port === 0) {
      this.#counts.datagramsReceived += 1;
      this.#counts.unanswerable += 1;
      return;
    }
    this.#counts.datagramsReceived += this.#listener.datagram(route, bytes);
  }

  /**
   * `dgram` gives every read a buffer of 64 KiB of its own, and at full speed the collector is mostly busy with those. So what waits
   * behind the first is read here, all into one buffer.
   *
   * Not for ever: so many bytes a turn, beside the 32 reads of libuv.
   */
  #drain(): void {
    const offload = this.#offload;
    if (offload === undefined) return;
    while (this.#drainLeft > 0 && !this.#isClosed) {
      const length = offload.receive();
      if (length < 0) return;
      if (this.#drainLeft === DRAIN_BYTES_PER_TURN) setImmediate(this.#renewDrain);
      this.#drainLeft -= Math.max(length, DRAIN_READ_BYTES_MIN);
      const route = this.#routes.ofSocketAddress(offload.sender);
      if (route !== undefined) this.#hand(route, offload.received.subarray(0, length));
    }
  }

  readonly #renewDrain = (): void => {
    this.#drainLeft = DRAIN_BYTES_PER_TURN;
  };

  readonly #onOneSent = (error: Error | null, bytes: number): void => {
    if (error === null) this.#noteSent(bytes, bytes);
    else this.#countError(codeOf(error));
    this.#settle();
  };

  #noteSent(bytes: number, segmentSize: number): void {
    this.#counts.datagramsSent += Math.ceil(bytes / segmentSize);
    this.#counts.bytesSent += bytes;
  }

  #noteRefused(code: string, route: UdpRoute, length: number, segmentSize: number): void {
    this.#countError(code);
    if (length > segmentSize) this.#noteRefusedBatch(code, route, segmentSize);
  }

  #settle(): void {
    this.#pending -= 1;
    if (this.#pending > 0) return;
    for (const resolve of this.#onDrained.splice(0)) resolve();
    if (!this.#isBusy) return;
    this.#isBusy = false;
    if (!this.#isClosed) this.#listener.writable();
  }

  /**
   * A kernel that fails to cut (EIO) is not asked again. One that refuses (EMSGSIZE or, for the same, EINVAL) does so because the way
   * there has come to carry less than this: only smaller pieces are tried in that direction, and these go one by one.
   */
  #noteRefusedBatch(code: string, route: UdpRoute, segmentSize: number): void {
    if (code === 'EIO') this.#cutsBatches = false;
    else if (code === 'EINVAL' || code === 'EMSGSIZE') route.segmentMax = Math.min(route.segmentMax, segmentSize - 1);
  }

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
  /** One read, possibly of several packets: gives how many. The bytes are the listener's. */
  datagram(route: UdpRoute, bytes: Uint8Array): number;
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
  /** Lent by a system where sockets can be had that do more than those of `dgram`. */
  readonly ffi?: Ffi | undefined;
  /** For tests, which need a system that refuses. */
  readonly createSocket?: ((options: SocketOptions) => Socket) | undefined;
}

/** What the kernel is asked to do. */
export interface UdpOffload {
  /** It cuts batches into packets. */
  readonly cutsBatches: boolean;
  /** It joins packets that come in a row. */
  readonly joinsPackets: boolean;
  /** It cuts nothing into fragments, so larger packets than every path carries may be tried. */
  readonly searchesMtu: boolean;
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
      inUse ? 'ERR_WARREN_UDP_PORT_IN_USE' : 'ERR_WARREN_BIND',
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
/** A millisecond's work or two. */
const DRAIN_BYTES_PER_TURN: number = 1_024 * 1_024;
/** A read costs as much as so many bytes. */
const DRAIN_READ_BYTES_MIN = 16_384;
/** How systems without IPv6, or with it switched off, refuse to bind to it. */
const NO_IPV6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EPROTONOSUPPORT', 'EADDRNOTAVAIL']);

/** `undefined` where `dgram` has to do. */
function openOffload(host: string, { port = 0, ffi }: UdpSocketOptions): OffloadSocket | undefined {
  if (ffi === undefined || host.includes('%')) return undefined;
  try {
    return openOffloadSocket(ffi, { host, port, bufferBytes: SOCKET_BUFFER_BYTES });
  } catch (error) {
    throw error instanceof NativeBindError ? new BindError(error.code, host, port) : error;
  }
}

/** `dgram` takes a descriptor at once or throws; from here on it is closed with the socket, or closed already. */
function handOver(offload: OffloadSocket, socket: Socket): void {
  try {
    socket.bind({ fd: offload.descriptor, exclusive: true });
  } catch (error) {
    offload.close();
    throw error;
  }
}

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
