import type { Socket } from 'node:net';
import { WarrenError } from '../base/errors.ts';
import { CLOSE_CODES } from '../wire/close-codes.ts';
import { BOUNDS, type Bounds } from './bounds.ts';
import { ClientRegistry, overLimit, type StreamSlot } from './client-registry.ts';
import { closeGently } from './close-gently.ts';
import { ControlConnection } from './control-connection.ts';
import { type DialLine, decodeStreamLine, encodeStreamAnswer, LINE_BYTES_MAX, lineMisuse } from './first-line.ts';
import type { AdminHost, DialTarget } from './host.ts';
import { ListenSocket } from './listen-socket.ts';
import { MessageWriter } from './message-writer.ts';
import { encodeEvent } from './messages.ts';
import { prepareSocketDirectory, SOCKET_FS, type SocketFs, type SocketPaths } from './socket-path.ts';
import { StreamConnection } from './stream-connection.ts';
import { Turns } from './turns.ts';

export interface LocalServerOptions {
  readonly host: AdminHost;
  /** Of both sockets: `socketPaths` finds them. */
  readonly paths: SocketPaths;
  readonly bounds?: Partial<Bounds> | undefined;
  readonly fs?: SocketFs | undefined;
}

/** The daemon's end of the local socket: both sockets, and who is connected to them. */
export class LocalServer {
  readonly paths: SocketPaths;
  readonly #doors: readonly Door[];
  readonly #sockets: readonly ListenSocket[];

  private constructor(paths: SocketPaths, doors: readonly Door[], sockets: readonly ListenSocket[]) {
    this.paths = paths;
    this.#doors = doors;
    this.#sockets = sockets;
  }

  /** Thrown: the directory is not safe, or a daemon is running there. */
  static async open(options: LocalServerOptions): Promise<LocalServer> {
    const { host, paths } = options;
    const bounds = { ...BOUNDS, ...options.bounds };
    prepareSocketDirectory(paths.directory, options.fs ?? SOCKET_FS);
    const registry = new ClientRegistry(bounds);
    const turns = new Turns(bounds.turnMs);
    const app = new Door(host, false, registry, bounds, turns);
    const admin = new Door(host, true, registry, bounds, turns);
    // The admin socket first: whoever finds the other can count on both.
    const adminSocket = await ListenSocket.open(paths.admin, (socket) => admin.enter(socket));
    try {
      const appSocket = await ListenSocket.open(paths.app, (socket) => app.enter(socket));
      return new LocalServer(paths, [admin, app], [adminSocket, appSocket]);
    } catch (error) {
      adminSocket.close();
      throw error;
    }
  }

  /**
   * Takes no more connections, tells every client, and ends them all: what was written to them is read, if they read it soon.
   * Streams that have not ended are given up, so whoever wants theirs to end in order closes the node first.
   */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    await Promise.all(this.#doors.map((door) => door.close()));
  }
}

const CONTROL_BYTE = 0x00;
const LF = 0x0a;

/** One of the two sockets, from the inside. */
class Door {
  readonly #host: AdminHost;
  readonly #isAdmin: boolean;
  readonly #registry: ClientRegistry;
  readonly #bounds: Bounds;
  readonly #turns: Turns;
  /** The order is that of their coming. */
  readonly #unsorted: Set<Socket> = new Set();
  readonly #controls: Map<Socket, ControlConnection> = new Map();
  readonly #streams: Map<Socket, StreamConnection> = new Map();
  readonly #all: Set<Socket> = new Set();

  constructor(host: AdminHost, isAdmin: boolean, registry: ClientRegistry, bounds: Bounds, turns: Turns) {
    this.#host = host;
    this.#isAdmin = isAdmin;
    this.#registry = registry;
    this.#bounds = bounds;
    this.#turns = turns;
  }

  enter(socket: Socket): void {
    // Whatever goes wrong with a connection, its end follows, and that is what counts.
    socket.on('error', () => {});
    this.#all.add(socket);
    socket.once('close', () => this.#left(socket));
    if (this.#unsorted.size >= this.#bounds.unsorted) this.#unsorted.values().next().value!.destroy();
    this.#unsorted.add(socket);
    this.#readFirst(socket);
  }

  async close(): Promise<void> {
    const gone = [...this.#all].map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())));
    for (const socket of this.#unsorted) socket.destroy();
    for (const stream of this.#streams.values()) stream.giveUp(CLOSE_CODES.SHUTDOWN);
    for (const control of this.#controls.values()) control.close(shutDown());
    await Promise.all(gone);
  }

  #left(socket: Socket): void {
    this.#all.delete(socket);
    this.#unsorted.delete(socket);
    this.#controls.delete(socket);
    this.#streams.delete(socket);
  }

  /** Up to the first byte, or the end of the first line. */
  #readFirst(socket: Socket): void {
    let line: Buffer | undefined;
    const timer = setTimeout(() => socket.destroy(), this.#bounds.firstLineMs);
    const onEnd = (): void => {
      socket.destroy();
    };
    const onData = (chunk: Buffer): void => {
      const read = line === undefined ? chunk : Buffer.concat([line, chunk]);
      line = read;
      const isControl = read[0] === CONTROL_BYTE;
      const end = isControl ? 0 : read.subarray(0, LINE_BYTES_MAX).indexOf(LF);
      if (end === -1 && read.length < LINE_BYTES_MAX) return;
      settle();
      socket.pause();
      const rest = plain(read.subarray(end + 1));
      const first = isControl ? undefined : read.toString('latin1', 0, end === -1 ? read.length : end);
      this.#turns.add({ step: () => this.#sort(socket, first, rest) });
    };
    const settle = (): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('end', onEnd).off('close', settle);
    };
    socket.on('data', onData).on('end', onEnd).on('close', settle);
  }

  /** `line` is `undefined` for a control connection. */
  #sort(socket: Socket, line: string | undefined, rest: Uint8Array): false {
    this.#unsorted.delete(socket);
    // It may have had to give way while it waited.
    if (socket.destroyed) return false;
    // From the next turn on, unless whoever has it now says otherwise.
    socket.resume();
    if (line === undefined) this.#control(socket, rest);
    else this.#stream(socket, decodeStreamLine(line), rest);
    return false;
  }

  #control(socket: Socket, rest: Uint8Array): void {
    const { controlConnections } = this.#bounds;
    if (this.#controls.size >= controlConnections) {
      const error = overLimit(controlConnections, 'control connections');
      new MessageWriter(socket).write(encodeEvent({ event: 'error', error }));
      closeGently(socket, this.#bounds.lingerMs);
      return;
    }
    this.#controls.set(
      socket,
      new ControlConnection(socket, rest, this.#host, this.#isAdmin, this.#registry, this.#bounds, this.#turns),
    );
  }

  #stream(socket: Socket, line: ReturnType<typeof decodeStreamLine>, rest: Uint8Array): void {
    let slot: StreamSlot | undefined;
    try {
      if (line.kind === 'line-error') throw lineMisuse(line);
      slot = this.#registry.admit(line);
      const connection = new StreamConnection(socket, slot, this.#bounds);
      const end =
        line.kind === 'dial' ? this.#host.dial(targetOf(line), connection) : slot.take(line.token, connection);
      this.#streams.set(socket, connection);
      connection.start(end, rest, line.kind === 'dial' ? 'dialled' : 'accepted');
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error;
      slot?.release();
      socket.write(encodeStreamAnswer({ ok: false, error }));
      closeGently(socket, this.#bounds.lingerMs);
    }
  }
}

/** What the node is to know of a line: the client's token is none of its business. */
function targetOf({ peer, port, priority, timeout, congestion, peerTimeout }: DialLine): DialTarget {
  return { peer, port, priority, timeout, congestion, peerTimeout };
}

function plain(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function shutDown(): WarrenError {
  return new WarrenError('ERR_WARREN_DAEMON_GONE', 'the daemon has been stopped', 'Start it again with: warren up');
}
