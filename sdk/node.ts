import { EventEmitter } from 'node:events';
import type { AgentOptions, Agent as HttpAgent } from 'node:http';
import type { Agent as UndiciAgent } from 'undici';
import type { WarrenError } from '../base/errors.ts';
import { PRIORITIES } from '../ipc/value-bounds.ts';
import {
  CONNECTION_TAKER,
  check,
  checkNewPeer,
  checkOptions,
  DIAL_OPTIONS,
  LISTEN_OPTIONS,
  LOCAL_PORT,
  PEER,
  PING_OPTIONS,
  PORT,
} from './arguments.ts';
import { FailedCarrier } from './carrier.ts';
import { WarrenDatagrams } from './datagrams.ts';
import { cancellable, nodeClosed } from './errors.ts';
import { createDispatcher, type WarrenDispatcher, WarrenHttpAgent } from './http.ts';
import type { NodeAccess, Taken } from './node-access.ts';
import { WarrenServer } from './server.ts';
import { WarrenStream } from './stream.ts';
import type {
  ConnectionTaker,
  DialOptions,
  ListenOptions,
  NewPeer,
  NodeStatus,
  PeerName,
  PeerReport,
  PeerStatus,
  PingOptions,
  PingReply,
  StreamOptions,
} from './types.ts';

const PING_TIMEOUT_MS = 10_000;
/** How long what was written may take to leave when a node is closed; how long it may take to arrive is the node's to say. */
const FLUSH_MS_MAX = 5_000;

/**
 * A node of the network, as a program has it: `connect()` gives the daemon's, `createNode()` one in this process. Peers are called
 * by name, address or key; a node's own name is itself.
 *
 * What is wrong with what was asked rejects with a `WarrenError`. `close` is emitted once the node is closed, with an error where
 * that is the daemon's end.
 *
 * @example
 * import http from 'node:http';
 * await bob.serve(http.createServer((request, response) => response.end('hello over warren')), 80);
 *
 * const response = await fetch('http://bob/', { dispatcher: alice.dispatcher() });
 * console.log(await response.text()); // hello over warren
 */
export class WarrenNode extends EventEmitter<WarrenNodeEvents> {
  /** `0:0000.7F3A.19C2`. */
  readonly address: string;
  /** What it calls itself; empty where it has no name. */
  readonly name: string;
  /** Of its identity, in hexadecimal digits. */
  readonly key: string;
  readonly #access: NodeAccess;
  /** Until they are closed. */
  readonly #streams: Set<WarrenStream> = new Set();
  readonly #ports: Set<WarrenServer | WarrenDatagrams> = new Set();
  #closing: Promise<void> | undefined;
  /** Why nothing can be asked of it any more. */
  #over: WarrenError | undefined;

  private constructor(access: NodeAccess) {
    super();
    this.#access = access;
    ({ address: this.address, name: this.name, key: this.key } = access.self);
  }

  /** @internal */
  static over(access: NodeAccess): WarrenNode {
    return new WarrenNode(access);
  }

  // Streams.

  /** A stream to a port of a peer, once a program there has taken it. */
  async dial(peer: string, port: number, options: DialOptions = {}): Promise<WarrenStream> {
    const stream = this.#dial('dial', peer, port, options);
    // Until the program has it, nobody else would hear of an error.
    const ignore = (): void => {};
    stream.on('error', ignore);
    const isConnected = await new Promise<boolean>((resolve) =>
      stream.once('connect', () => resolve(true)).once('close', () => resolve(false)),
    );
    stream.off('error', ignore);
    if (!isConnected) throw stream.errored ?? nodeClosed();
    return stream;
  }

  /** The same, as `net.createConnection` does it: at once, to be written to while it is `connecting`; what goes wrong is its `error`. */
  createConnection(peer: string, port: number, options: DialOptions = {}): WarrenStream {
    return this.#dial('createConnection', peer, port, options);
  }

  /** Takes the streams that come for a port; 0 is any free one. */
  async listen(port: number, options: ListenOptions = {}): Promise<WarrenServer> {
    return this.#listen('listen', port, options);
  }

  /**
   * Hands every stream that comes for a port to a server of another kind, as if it were a TCP connection. That one is not closed
   * with the port, nor the port with it.
   */
  async serve(server: ConnectionTaker, port: number, options: ListenOptions = {}): Promise<WarrenServer> {
    check('serve', 'server', server, CONNECTION_TAKER);
    checkOptions('serve', options, LISTEN_OPTIONS);
    // As the server would ask it of its own sockets.
    const { allowHalfOpen = 'allowHalfOpen' in server && server.allowHalfOpen === true } = options;
    const taking = await this.#listen('serve', port, { ...options, allowHalfOpen });
    return taking.on('connection', (stream) => server.emit('connection', stream));
  }

  /** A port for datagrams; 0 is any free one. */
  async bind(port: number): Promise<WarrenDatagrams> {
    check('bind', 'port', port, LOCAL_PORT);
    return this.#openPort((access) => WarrenDatagrams.open(access, port));
  }

  // HTTP.

  /** For requests of `node:http` to peers: `http.get({ agent, host: 'alice', path: '/' })`. Its connections are kept alive. */
  agent(options: AgentOptions = {}): HttpAgent {
    return new WarrenHttpAgent((peer, port) => this.createConnection(peer, port), options);
  }

  /** For `fetch` and undici: `fetch('http://alice/', { dispatcher })`. */
  dispatcher(options: UndiciAgent.Options = {}): WarrenDispatcher {
    return createDispatcher((peer, port) => this.createConnection(peer, port), options);
  }

  // The node and its peers.

  /** Who somebody is. */
  async resolve(peer: string): Promise<PeerName> {
    check('resolve', 'peer', peer, PEER);
    return this.#ask((access) => access.resolve(peer));
  }

  /** How long the echo of a few bytes takes, from node to node. */
  async ping(peer: string, options: PingOptions = {}): Promise<PingReply> {
    check('ping', 'peer', peer, PEER);
    checkOptions('ping', options, PING_OPTIONS);
    const { timeout = PING_TIMEOUT_MS, signal } = options;
    return cancellable(signal, () =>
      this.#ask((access) => access.liveness.during(access.ping(peer, { timeout, signal }))),
    );
  }

  status(): Promise<NodeStatus> {
    return this.#ask((access) => access.status());
  }

  peers(): Promise<readonly PeerStatus[]> {
    return this.#ask((access) => access.peers());
  }

  /** What was tried to reach a peer. */
  async why(peer: string): Promise<PeerReport> {
    check('why', 'peer', peer, PEER);
    return this.#ask((access) => access.why(peer));
  }

  /** This node's identity record as one line of text, for others to add it by. Of a daemon: with `admin` only, as the next two. */
  record(): Promise<string> {
    return this.#ask((access) => access.record());
  }

  /** From now on that peer and this node can reach each other, if that peer adds this node too. */
  async addPeer(peer: NewPeer): Promise<PeerName> {
    checkNewPeer('addPeer', 'peer', peer);
    const { record, endpoints = [], petname } = peer;
    return this.#ask((access) => access.addPeer({ record, endpoints, petname }));
  }

  /** Ends all that there is with that peer. */
  async removePeer(peer: string): Promise<PeerName> {
    check('removePeer', 'peer', peer, PEER);
    return this.#ask((access) => access.removePeer(peer));
  }

  // Life and death.

  /** The process lives on while a port or a stream of this node is open, or something is asked of it; that is how it begins. */
  ref(): this {
    this.#access.liveness.ref();
    return this;
  }

  /** The process may end whatever this node does. */
  unref(): this {
    this.#access.liveness.unref();
    return this;
  }

  /**
   * Closes every port; lets what has been ended with `end()` leave and arrive, for some seconds; destroys the other streams, which
   * to the far side are reset. Of a node in this process nothing is left then; a daemon goes on. Whatever is asked of the node from
   * here on, and what has not been answered, fails with `ERR_WARREN_CLOSED`.
   */
  close(): Promise<void> {
    this.#over ??= nodeClosed();
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  stops(): void {
    if (this.#over === undefined) this.emit('stopping');
  }

  /** @internal */
  lost(error: WarrenError): void {
    this.#over ??= error;
    this.#closing ??= Promise.resolve();
    this.emit('close', error);
  }

  async #close(): Promise<void> {
    const { liveness } = this.#access;
    const hold = liveness.hold();
    try {
      await Promise.all([...this.#ports].map((port) => port.close()));
      const ending = [...this.#streams].filter((stream) => stream.writableEnded);
      for (const stream of this.#streams) if (!stream.writableEnded) stream.destroy();
      await flushed(ending);
      for (const stream of this.#streams) stream.destroy();
      await this.#access.close();
    } finally {
      hold.release();
      this.emit('close');
    }
  }

  /** Where the node is over by the time it fails, that is why. */
  async #ask<T>(ask: (access: NodeAccess) => Promise<T>): Promise<T> {
    if (this.#over !== undefined) throw this.#over;
    try {
      return await ask(this.#access);
    } catch (error) {
      throw this.#over ?? error;
    }
  }

  #dial(call: string, peer: string, port: number, options: DialOptions): WarrenStream {
    check(call, 'peer', peer, PEER);
    check(call, 'port', port, PORT);
    checkOptions(call, options, DIAL_OPTIONS);
    const { signal, priority: word, timeout, congestion, peerTimeout } = options;
    const priority = word === undefined ? undefined : PRIORITIES[word];
    const carrier =
      this.#over === undefined
        ? this.#access.dial({ peer, port, priority, timeout, congestion, peerTimeout })
        : new FailedCarrier(this.#over);
    return this.#open(carrier, options, { signal });
  }

  #listen(call: string, port: number, options: ListenOptions): Promise<WarrenServer> {
    check(call, 'port', port, LOCAL_PORT);
    checkOptions(call, options, LISTEN_OPTIONS);
    const adopt = (taken: Taken): WarrenStream => this.#open(taken.carrier, options, taken);
    return this.#openPort((access) => WarrenServer.open({ access, adopt }, port, options.backlog));
  }

  async #openPort<T extends WarrenServer | WarrenDatagrams>(open: (access: NodeAccess) => Promise<T>): Promise<T> {
    const port = await this.#ask(open);
    if (this.#over !== undefined) {
      // It opened while the node was closed, which did not know of it.
      await port.close();
      throw this.#over;
    }
    this.#ports.add(port);
    // As an emitter, because a union of two cannot be called.
    (port as EventEmitter).once('close', () => this.#ports.delete(port));
    return port;
  }

  #open(
    carrier: Taken['carrier'],
    options: StreamOptions,
    more: Partial<Taken> & { signal?: AbortSignal | undefined },
  ): WarrenStream {
    const { highWaterMark, allowHalfOpen } = options;
    const { ends, signal } = more;
    const hold = this.#access.liveness.hold();
    const stream = WarrenStream.open(carrier, {
      localAddress: this.address,
      hold,
      ends,
      highWaterMark,
      allowHalfOpen,
      signal,
    });
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }
}

/**
 * What a `WarrenNode` emits: `stopping` where its daemon has begun to stop, for what a program would like to have done before;
 * `close` once it is closed. The error of `close` says how the daemon ended: `ERR_WARREN_DAEMON_STOPPED` in order,
 * `ERR_WARREN_DAEMON_GONE` not.
 *
 * @example
 * const carol = await createNode();
 * carol.on('close', (error) => console.log(error)); // undefined
 * await carol.close();
 */
export interface WarrenNodeEvents {
  stopping: [];
  close: [error?: WarrenError];
}

/** Resolves when what was written to each has left it, or after a while. */
async function flushed(streams: readonly WarrenStream[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, FLUSH_MS_MAX);
  });
  const all = streams.map((stream) => {
    if (stream.writableFinished || stream.destroyed) return undefined;
    return new Promise<void>((resolve) => stream.once('finish', resolve).once('close', resolve));
  });
  await Promise.race([Promise.all(all), late]);
  clearTimeout(timer);
}
