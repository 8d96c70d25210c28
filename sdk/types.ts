import type {
  NodeStatus as HostNodeStatus,
  PeerName as HostPeerName,
  PeerReport as HostPeerReport,
  PeerStatus as HostPeerStatus,
  PingReply as HostPingReply,
} from '../ipc/host.ts';

/** What goes into a node and comes out of it, as its methods name it. Spans are milliseconds where a program gives them. */

/**
 * Who somebody is: the address, the name (empty where there is none), and the key in hexadecimal digits. Only the key is proof.
 *
 * @example
 * const bobsName = await alice.resolve('bob');
 * console.log(bobsName.address === bob.address, bobsName.key === bob.key); // true true
 */
export type PeerName = HostPeerName;

/**
 * A peer to add to a node's book: its record as `record()` gives it, where it may be asked for, and what to call it. A peer
 * without endpoints can dial this node, but not be dialled until it has.
 *
 * @example
 * const carol = await createNode({ name: 'carol', listen: '127.0.0.1:0' });
 * const { udp } = await carol.status();
 * await alice.addPeer({ record: await carol.record(), endpoints: [`127.0.0.1:${udp.port}`], petname: 'caz' });
 * console.log((await alice.resolve('caz')).address === carol.address); // true
 * await carol.close();
 */
export interface NewPeer {
  /** As `record()` gives it. */
  readonly record: string;
  /** `HOST:PORT`, names allowed. */
  readonly endpoints?: readonly string[] | undefined;
  /** What this node calls it. */
  readonly petname?: string | undefined;
}

/**
 * A peer in a node's book.
 *
 * @example
 * const peers = await alice.peers();
 * const found = peers.find((peer) => peer.name === 'bob');
 * console.log(found?.endpoints.length, typeof found?.connected); // 1 boolean
 */
export type PeerStatus = HostPeerStatus;

/**
 * What was tried to reach a peer, how that went, and what to do about it.
 *
 * @example
 * await alice.ping('bob');
 * const { tunnel, advice } = await alice.why('bob');
 * console.log(tunnel?.state, advice === ''); // open true
 */
export type PeerReport = HostPeerReport;

/**
 * How a ping went; the round trip is in microseconds.
 *
 * @example
 * const { roundTrip, route } = await alice.ping('bob');
 * console.log(roundTrip > 0, route.startsWith('127.0.0.1:')); // true true
 */
export type PingReply = HostPingReply;

/**
 * How a node does: its tunnels, what it listens on, what it has sent and received. Spans in it are in microseconds.
 *
 * @example
 * const server = await bob.listen(1238);
 * const { name, listening } = await bob.status();
 * console.log(name, listening.includes(1238)); // bob true
 * await server.close();
 */
export type NodeStatus = HostNodeStatus;

/**
 * How a stream is to be dialled. `timeout` lasts until it is connected, `signal` as long as the stream. `congestion` and
 * `peerTimeout` are for the tunnel, where this dial begins it.
 *
 * @example
 * const controller = new AbortController();
 * const dialling = alice.dial('bob', 1239, { timeout: 500, priority: 'high', signal: controller.signal });
 * controller.abort();
 * await dialling.catch((error) => console.log(error.code)); // ERR_WARREN_CANCELLED
 */
export interface DialOptions extends StreamOptions {
  readonly signal?: AbortSignal | undefined;
  /** In whole milliseconds, from 1 to 86,400,000 (a day); 60,000 where it is left out. */
  readonly timeout?: number | undefined;
  /** Against other streams to the same peer; `normal` where it is left out. */
  readonly priority?: 'high' | 'normal' | 'low' | undefined;
  /** `aimd`, `cubic` or `bbr`; the daemon's choice where it is left out. */
  readonly congestion?: string | undefined;
  /**
   * How long a silent peer is waited for: in whole milliseconds, from 1,000 to 3,600,000 (an hour); as the daemon is set, and 30,000
   * for a node in this process, where it is left out.
   */
  readonly peerTimeout?: number | undefined;
}

/**
 * What a stream is like at this end. `allowHalfOpen` is as in `node:net`: where it is not true, and by default it is not, the stream
 * ends at this end too once the far side has ended.
 *
 * @example
 * const server = await bob.listen(1240, { allowHalfOpen: true });
 * server.on('connection', (stream) => stream.on('end', () => setTimeout(() => stream.end('late'), 10)).resume());
 *
 * const stream = await alice.dial('bob', 1240, { highWaterMark: 64 * 1024 });
 * stream.end();
 * for await (const bytes of stream) console.log(bytes.toString()); // late
 * await server.close();
 */
export interface StreamOptions {
  /** Bytes buffered in each direction before it asks to wait; 256 KiB where it is left out. */
  readonly highWaterMark?: number | undefined;
  readonly allowHalfOpen?: boolean | undefined;
}

/**
 * How a port is to take streams. `backlog` is how many may wait to be taken, 128 where it is left out.
 *
 * @example
 * const server = await bob.listen(0, { backlog: 16 });
 * console.log(server.port >= 49152); // true
 * await server.close();
 */
export interface ListenOptions extends StreamOptions {
  readonly backlog?: number | undefined;
}

/**
 * How a peer is to be pinged.
 *
 * @example
 * const signal = AbortSignal.timeout(5_000);
 * console.log((await alice.ping('alice', { timeout: 1_000, signal })).route); // self
 */
export interface PingOptions {
  /** How long to wait: in whole milliseconds, from 1 to 86,400,000 (a day); 10,000 where it is left out. */
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Anything that serves connections it is handed by the event `connection`: an `http.Server`, an `http2` server, a `net.Server`.
 *
 * @example
 * import { createServer } from 'node:net';
 * const server = await bob.serve(createServer((socket) => socket.end('from net')), 1241);
 * const stream = await alice.dial('bob', 1241);
 * for await (const bytes of stream) console.log(bytes.toString()); // from net
 * await server.close();
 */
export interface ConnectionTaker {
  emit(event: 'connection', stream: unknown): boolean;
}
