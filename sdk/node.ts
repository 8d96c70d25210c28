import { EventEmitter } from 'node:events';
import type { AgentOptions, Agent as HttpAgent } from 'node:http';
import type { Agent as UndiciAgent } from 'undici';
import type { WarrenError } from '../base/errors.ts';
import { PRIORITIES } from '../ipc/messages.ts';
import { WarrenDatagrams } from './datagrams.ts';
import { misuse, nodeClosed } from './errors.ts';
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
    const stream = this.createConnection(peer, port, options);
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
    const { signal, priority, timeout, congestion, peerTimeout } = options;
    const target = {
      peer,
      port,
      priority: priority === undefined ? undefined : PRIORITIES[priority],
      timeout,
      congestion,
      peerTimeout,
    };
    if (priority !== undefined && target.priority === undefined) {
      throw misuse('there is no such priority', 'choose one of high, normal, low');
    }
    return this.#open(this.#access.dial(target), options, { signal });
  }

  /** Takes the streams that come for a port; 0 is any free one. */
  async listen(port: number, options: ListenOptions = {}): Promise<WarrenServer> {
    const serving = { access: this.#access, adopt: (taken: Taken) => this.#open(taken.carrier, options, taken) };
    return this.#keep(await WarrenServer.open(serving, port, options.backlog));
  }

  /**
   * Hands every stream that comes for a port to a server of another kind, as if it were a TCP connection. That one is not closed
   * with the port, nor the port with it.
   */
  async serve(server: ConnectionTaker, port: number, options: ListenOptions = {}): Promise<WarrenServer> {
    // As the server would ask it of its own sockets.
    const allowHalfOpen = 'allowHalfOpen' in server && server.allowHalfOpen === true;
    const taking = await this.listen(port, { allowHalfOpen, ...options });
    return taking.on('connection', (stream) => server.emit('connection', stream));
  }

  /** A port for datagrams; 0 is any free one. */
  async bind(port: number): Promise<WarrenDatagrams> {
    return this.#keep(await WarrenDatagrams.open(this.#access, port));
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
  resolve(peer: string): Promise<PeerName> {
    return this.#access.resolve(peer);
  }

  /** How long the echo of a few bytes takes, from node to node. */
  async ping(peer: string, options: PingOptions = {}): Promise<PingReply> {
    const { timeout = PING_TIMEOUT_MS, signal } = options;
    return this.#access.liveness.during(this.#access.ping(peer, { timeout, signal }));
  }

  status(): Promise<NodeStatus> {
    return this.#access.status();
  }

  peers(): Promise<readonly PeerStatus[]> {
    return this.#access.peers();
  }

  /** What was tried to reach a peer. */
  why(peer: string): Promise<PeerReport> {
    return this.#access.why(peer);
  }

  /** This node's identity record as one line of text, for others to add it by. Of a daemon: with `admin` only, as the next two. */
  record(): Promise<string> {
    return this.#access.record();
  }

  /** From now on that peer and this node can reach each other, if that peer adds this node too. */
  async addPeer(peer: NewPeer): Promise<PeerName> {
    const { record, endpoints = [], petname } = peer;
    return this.#access.addPeer({ record, endpoints, petname });
  }

  /** Ends all that there is with that peer. */
  removePeer(peer: string): Promise<PeerName> {
    return this.#access.removePeer(peer);
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
   * to the far side are reset. Of a node in this process nothing is left then; a daemon goes on.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  lost(error: WarrenError): void {
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

  #keep<T extends WarrenServer | WarrenDatagrams>(port: T): T {
    this.#ports.add(port);
    // As an emitter, because a union of two cannot be called.
    (port as EventEmitter).once('close', () => this.#ports.delete(port));
    return port;
  }
}

/**
 * What a `WarrenNode` emits.
 *
 * @example
 * const carol = await createNode();
 * carol.on('close', (error) => console.log(error)); // undefined
 * await carol.close();
 */
export interface WarrenNodeEvents {
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
