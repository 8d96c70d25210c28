import type { Socket } from 'node:net';
import { WarrenError } from '../base/errors.ts';
import { type Place, Row } from '../base/row.ts';
import { MILLISECOND } from '../base/time.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import type { Ffi } from '../crypto/ffi.ts';
import { CLOSE_CODES } from '../wire/close-codes.ts';
import { BOUNDS, type Bounds, CONNECTIONS_KEPT_SHARE, CONNECTIONS_MIN, FILES_RESERVED } from './bounds.ts';
import { ClientRegistry, overLimit, type StreamSlot } from './client-registry.ts';
import { systemNow } from './clock.ts';
import { closeGently } from './close-gently.ts';
import type { DoorHosts } from './control-commands.ts';
import { ControlConnection } from './control-connection.ts';
import { type DialLine, decodeStreamLine, encodeStreamAnswer, LINE_BYTES_MAX, lineMisuse } from './first-line.ts';
import type { AdminHost, DialTarget } from './host.ts';
import { ListenSocket, type ListenSocketUser } from './listen-socket.ts';
import { MessageWriter } from './message-writer.ts';
import { encodeEvent, type ServerEvent } from './messages.ts';
import { openFilesMax } from './open-files.ts';
import { SharedQuota, type Standing } from './shared-quota.ts';
import {
  ADMIN_SOCKET,
  APP_SOCKET,
  prepareSocketDirectory,
  SOCKET_FS,
  type SocketFs,
  type SocketPaths,
} from './socket-path.ts';
import { StreamConnection } from './stream-connection.ts';
import { Turns } from './turns.ts';

export interface LocalServerOptions {
  readonly host: AdminHost;
  /** Of both sockets: `socketPaths` finds them. */
  readonly paths: SocketPaths;
  readonly bounds?: Partial<Bounds> | undefined;
  readonly fs?: SocketFs | undefined;
  /** Lent by a system where those who come can be made to wait. */
  readonly ffi?: Ffi | undefined;
  /** As the system has it, where left out. */
  readonly openFilesMax?: number | undefined;
  /** Whoever writes it down sees to it that this is not too often. */
  readonly warn?: ((kind: LocalServerWarning, fields: Readonly<Record<string, string | number>>) => void) | undefined;
}

/** There are as many connections as may be, so others are closed; the system did not hand one over. */
export type LocalServerWarning = 'local-socket-full' | 'local-accept-failed';

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
    const { host, paths, ffi } = options;
    const bounds = { ...BOUNDS, ...options.bounds };
    prepareSocketDirectory(paths.directory, options.fs ?? SOCKET_FS);
    const shared = {
      bounds,
      turns: new Turns(bounds.turnMs),
      connections: connectionQuota(bounds.connections, options.openFilesMax ?? openFilesMax()),
      warn: options.warn ?? (() => {}),
    };
    const app = new Door({ host: host.apps, admin: undefined }, 'app', shared);
    const admin = new Door({ host, admin: host }, 'owner', shared);
    // The admin socket first: whoever finds the other can count on both.
    const adminSocket = await ListenSocket.open(paths.admin, admin, ffi);
    try {
      const appSocket = await ListenSocket.open(paths.app, app, ffi);
      return new LocalServer(paths, [admin, app], [adminSocket, appSocket]);
    } catch (error) {
      adminSocket.close();
      throw error;
    }
  }

  /** Tells every client, and those that still come, that the end is near: what is asked for from here on may be refused. */
  announceStop(): void {
    for (const door of this.#doors) door.announceStop();
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
const STOPPING: ServerEvent = { event: 'stopping' };
const SOCKET_NAMES: Readonly<Record<Standing, string>> = { app: APP_SOCKET, owner: ADMIN_SOCKET };

/** As many as there may be files open beside the daemon's own; an unlimited number of files is no reason for as many connections. */
function connectionQuota(most: number, openFiles: number): SharedQuota {
  const max = Math.max(CONNECTIONS_MIN, Math.min(most, openFiles - FILES_RESERVED));
  return new SharedQuota(max, Math.ceil(max * CONNECTIONS_KEPT_SHARE));
}

/** What both sockets share. */
interface Shared {
  readonly bounds: Bounds;
  readonly turns: Turns;
  /** Each is a file that the process has open, and it may not have many. */
  readonly connections: SharedQuota;
  readonly warn: NonNullable<LocalServerOptions['warn']>;
}

/** One of the two sockets, from the inside. */
class Door implements ListenSocketUser {
  readonly #hosts: DoorHosts;
  readonly #standing: Standing;
  readonly #shared: Shared;
  readonly #bounds: Bounds;
  readonly #turns: Turns;
  readonly #registry: ClientRegistry;
  readonly #all: Row<Socket> = new Row();
  readonly #unsorted: Row<Visitor> = new Row();
  readonly #controls: Row<ControlConnection> = new Row();
  readonly #streams: Row<StreamConnection> = new Row();
  readonly #fruitless: TokenBucket;
  /** There was no room for the last that came, which is said once. */
  #isFull = false;
  #isStopping = false;

  constructor(hosts: DoorHosts, standing: Standing, shared: Shared) {
    this.#hosts = hosts;
    this.#standing = standing;
    this.#shared = shared;
    this.#bounds = shared.bounds;
    this.#turns = shared.turns;
    this.#registry = new ClientRegistry(shared.bounds);
    const { fruitless, fruitlessPerSecond } = shared.bounds;
    this.#fruitless = new TokenBucket(fruitlessPerSecond, fruitless, systemNow());
  }

  readonly accept = (socket: Socket, from: ListenSocket): void => {
    // It counts as fruitless until it has become something. Streams go on while none is taken, which else had to wait for each.
    // On credit, because timers are early by up to a millisecond: what comes too soon makes the next wait longer.
    const wait = this.#fruitless.overdraw(systemNow());
    if (wait > 0) from.rest(Math.ceil(wait / MILLISECOND));
    // Whatever goes wrong with a connection, its end follows, and that is what counts.
    socket.on('error', () => {});
    if (!this.#makeRoom()) {
      // Nobody knows yet what kind it is, and so how it would want to be told.
      socket.destroy();
      return;
    }
    this.#shared.connections.add(this.#standing);
    const visitor = new Visitor(socket, this.#all.add(socket));
    visitor.moveTo(this.#unsorted.add(visitor));
    socket.once('close', () => this.#left(visitor));
    this.#readFirst(visitor);
  };

  readonly failed = (code: string): void => {
    this.#shared.warn('local-accept-failed', { socket: SOCKET_NAMES[this.#standing], code });
  };

  announceStop(): void {
    this.#isStopping = true;
    for (const control of this.#controls.items()) control.event(STOPPING);
  }

  async close(): Promise<void> {
    const sockets = this.#all.items();
    const gone = sockets.map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())));
    for (const { socket } of this.#unsorted.items()) socket.destroy();
    for (const stream of this.#streams.items()) stream.giveUp(CLOSE_CODES.SHUTDOWN);
    for (const control of this.#controls.items()) control.close(shutDown());
    await Promise.all(gone);
  }

  /** For one connection more; where there is none, the oldest that has not said what it is gives way. */
  #makeRoom(): boolean {
    const { connections, warn } = this.#shared;
    const hasRoom = connections.hasRoom(this.#standing);
    if (!hasRoom && !this.#isFull) {
      warn('local-socket-full', { socket: SOCKET_NAMES[this.#standing], most: connections.maxFor(this.#standing) });
    }
    this.#isFull = !hasRoom;
    if (hasRoom && this.#unsorted.size < this.#bounds.unsorted) return true;
    const oldest = this.#unsorted.first;
    if (oldest === undefined) return false;
    oldest.socket.destroy();
    this.#left(oldest);
    return true;
  }

  #left(visitor: Visitor): void {
    if (visitor.leave()) this.#shared.connections.remove(this.#standing);
  }

  /** Up to the first byte, or the end of the first line. */
  #readFirst(visitor: Visitor): void {
    const { socket } = visitor;
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
      this.#turns.add({ step: () => this.#sort(visitor, first, rest) });
    };
    const settle = (): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('end', onEnd).off('close', settle);
    };
    socket.on('data', onData).on('end', onEnd).on('close', settle);
  }

  /** `line` is `undefined` for a control connection. */
  #sort(visitor: Visitor, line: string | undefined, rest: Uint8Array): false {
    const { socket } = visitor;
    visitor.moveTo(undefined);
    // It may have had to give way while it waited.
    if (socket.destroyed) return false;
    // From the next turn on, unless whoever has it now says otherwise.
    socket.resume();
    if (line === undefined) this.#control(visitor, rest);
    else this.#stream(visitor, decodeStreamLine(line), rest);
    return false;
  }

  #control(visitor: Visitor, rest: Uint8Array): void {
    const { socket } = visitor;
    const { controlConnections } = this.#bounds;
    if (this.#controls.size >= controlConnections) {
      const error = overLimit(controlConnections, 'control connections');
      new MessageWriter(socket).write(encodeEvent({ event: 'error', error }));
      closeGently(socket, this.#bounds.lingerMs);
      return;
    }
    const control = new ControlConnection(socket, rest, this.#hosts, this.#registry, this.#bounds, this.#turns);
    visitor.moveTo(this.#controls.add(control));
    this.#fruitless.giveBack();
    if (this.#isStopping) control.event(STOPPING);
  }

  #stream(visitor: Visitor, line: ReturnType<typeof decodeStreamLine>, rest: Uint8Array): void {
    const { socket } = visitor;
    let slot: StreamSlot | undefined;
    try {
      if (line.kind === 'line-error') throw lineMisuse(line);
      slot = this.#registry.admit(line);
      const connection = new StreamConnection(socket, slot, this.#bounds);
      const end =
        line.kind === 'dial' ? this.#hosts.host.dial(targetOf(line), connection) : slot.take(line.token, connection);
      visitor.moveTo(this.#streams.add(connection));
      this.#fruitless.giveBack();
      connection.start(end, rest, line.kind === 'dial' ? 'dialled' : 'accepted');
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error;
      slot?.release();
      socket.write(encodeStreamAnswer({ ok: false, error }));
      closeGently(socket, this.#bounds.lingerMs);
    }
  }
}

/** One connection, and where it stands at its door. */
class Visitor {
  readonly socket: Socket;
  readonly #amongAll: Place;
  #amongItsKind: Place | undefined;
  #hasLeft = false;

  constructor(socket: Socket, amongAll: Place) {
    this.socket = socket;
    this.#amongAll = amongAll;
  }

  moveTo(place: Place | undefined): void {
    this.#amongItsKind?.leave();
    this.#amongItsKind = place;
  }

  /** False where it has left before: who gives way is gone at once, and closed a little later. */
  leave(): boolean {
    if (this.#hasLeft) return false;
    this.#hasLeft = true;
    this.#amongAll.leave();
    this.moveTo(undefined);
    return true;
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
  return new WarrenError('ERR_WARREN_DAEMON_STOPPED', 'the daemon has been stopped', 'Start it again with: warren up');
}
