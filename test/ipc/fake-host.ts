import { WarrenError } from '../../base/errors.ts';
import type {
  AdminHost,
  Binding,
  DatagramBinding,
  DialTarget,
  HostDatagram,
  IncomingStream,
  ListenOptions,
  NodeStatus,
  PeerEntry,
  PeerName,
  PeerReport,
  PeerStatus,
  PingOptions,
  PingReply,
  StreamEnd,
  StreamListener,
} from '../../ipc/host.ts';

/**
 * Nodes in memory that are connected to one another: what the local socket needs of a node, and nothing of a network. Streams
 * have a window, halves of their own, and tell what happened on a later turn, as the real ones do.
 */

export const WINDOW_BYTES: number = 256 * 1024;

/** A peer that exists and never answers. */
export const SILENT_PEER = 'nowhere';

export class FakeNetwork {
  /** What one end may have written and the other not read. */
  window: number = WINDOW_BYTES;
  readonly nodes: Map<string, FakeHost> = new Map();

  add(name: string): FakeHost {
    const host = new FakeHost(this, name, this.nodes.size + 1);
    this.nodes.set(name, host);
    return host;
  }

  find(peer: string): FakeHost {
    for (const host of this.nodes.values()) if (host.self.name === peer || host.self.address === peer) return host;
    throw new WarrenError('ERR_WARREN_UNKNOWN_PEER', `there is no peer ${peer}`, 'Add it first.');
  }
}

const FIRST_FREE_PORT = 49_152;

export class FakeHost implements AdminHost {
  readonly self: PeerName;
  readonly apps: FakeHost = this;
  readonly network: FakeNetwork;
  readonly listeners: Map<
    number,
    { backlog: number; waiting: Set<Waiting>; incoming: (stream: IncomingStream) => void }
  > = new Map();
  readonly datagramPorts: Map<number, (datagram: HostDatagram) => void> = new Map();
  readonly ends: Set<FakeEnd> = new Set();
  readonly sent: { from: number; peer: string; port: number; data: Uint8Array }[] = [];
  readonly added: PeerEntry[] = [];
  readonly removed: string[] = [];
  readonly dials: DialTarget[] = [];
  readonly pings: { peer: string; options: PingOptions; answer: (reply: PingReply) => void }[] = [];
  /** For `status`, `peers` and `why`. */
  tunnels = 1;
  shutdowns = 0;
  #nextPort = FIRST_FREE_PORT;

  constructor(network: FakeNetwork, name: string, node: number) {
    this.network = network;
    const digits = node.toString(16).toUpperCase().padStart(4, '0');
    this.self = { address: `0:0000.00FF.${digits}`, name, key: digits.repeat(16).toLowerCase() };
  }

  dial(target: DialTarget, listener: StreamListener): FakeEnd {
    this.dials.push(target);
    const localPort = this.#nextPort++;
    if (target.peer === SILENT_PEER)
      return new FakeEnd(this, { ...this.self, name: SILENT_PEER }, localPort, target.port, listener);
    const far = this.network.find(target.peer);
    const near = new FakeEnd(this, far.self, localPort, target.port, listener);
    const waiting = new Waiting(near, far, this.self, localPort, target.port);
    later(() => {
      const door = far.listeners.get(target.port);
      if (door === undefined) near.fail(refused(`nobody listens on port ${target.port} of ${far.self.name}`));
      else if (door.waiting.size >= door.backlog) near.fail(refused('too many wait there'));
      else {
        waiting.queue = door.waiting;
        door.waiting.add(waiting);
        door.incoming(waiting);
      }
    });
    return near;
  }

  listen({ port, backlog = 128 }: ListenOptions, incoming: (stream: IncomingStream) => void): Binding {
    const taken = port === 0 ? this.#nextPort++ : port;
    if (this.listeners.has(taken)) throw inUse(taken);
    this.listeners.set(taken, { backlog, waiting: new Set(), incoming });
    return { port: taken, close: () => this.listeners.delete(taken) };
  }

  bind(port: number, receive: (datagram: HostDatagram) => void): DatagramBinding {
    const taken = port === 0 ? this.#nextPort++ : port;
    if (this.datagramPorts.has(taken)) throw inUse(taken);
    this.datagramPorts.set(taken, receive);
    return {
      port: taken,
      close: () => this.datagramPorts.delete(taken),
      send: (peer, to, data) => {
        const far = this.network.find(peer);
        const copy = data.slice();
        this.sent.push({ from: taken, peer, port: to, data: copy });
        later(() => far.datagramPorts.get(to)?.({ peer: this.self, port: taken, data: copy }));
      },
    };
  }

  resolve(peer: string): PeerName {
    return this.network.find(peer).self;
  }

  ping(peer: string, options: PingOptions): Promise<PingReply> {
    this.network.find(peer);
    return new Promise((resolve, reject) => {
      this.pings.push({ peer, options, answer: resolve });
      options.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
    });
  }

  status(): NodeStatus {
    return {
      ...this.self,
      version: '0.1.0',
      pid: 4711,
      // A clock gives fractions; whole milliseconds is what a message holds.
      uptime: 12.5,
      udp: { host: '::', port: 4440, cutsBatches: true, joinsPackets: true, searchesMtu: false },
      crypto: 'openssl',
      listening: [...this.listeners.keys()].sort((a, b) => a - b),
      tunnels: Array.from({ length: this.tunnels }, (_, i) => ({
        ...this.self,
        name: `peer-${i}`,
        state: 'open',
        route: '192.0.2.1:4440',
        roundTrip: 1_000 + i,
        congestion: 'aimd',
        window: 14_720,
        mtu: 1_452,
        packetsSent: 100 + i,
        packetsLost: 2,
        packetsLate: 1,
        streams: i,
      })),
      streams: this.ends.size,
      peers: this.network.nodes.size,
      traffic: { bytesIn: 1, bytesOut: 2, packetsIn: 3, packetsOut: 4 },
      drops: { 'bad-mac': 5, __proto__x: 6 },
      socketErrors: {},
    };
  }

  peers(): readonly PeerStatus[] {
    return Array.from({ length: this.tunnels }, (_, i) => ({
      ...this.self,
      name: `peer-${i}`,
      callsItself: `claim-${i}`,
      endpoints: ['192.0.2.1:4440', '[2001:db8::1]:4440'],
      connected: i % 2 === 0,
    }));
  }

  listPeers(): readonly PeerStatus[] {
    return this.peers();
  }

  why(peer: string): PeerReport {
    return {
      ...this.resolve(peer),
      callsItself: 'claim',
      endpoints: ['192.0.2.1:4440'],
      tunnel: undefined,
      routes: [{ route: '192.0.2.1:4440', state: 'silent' }],
      lastError: 'the peer did not answer',
      advice: 'x'.repeat(5_000),
    };
  }

  record(): string {
    return 'wrr1AAAA';
  }

  addPeer(entry: PeerEntry): PeerName {
    this.added.push(entry);
    return { ...this.self, name: entry.petname ?? 'new' };
  }

  removePeer(peer: string): PeerName {
    this.removed.push(peer);
    return this.resolve(peer);
  }

  shutdown(): void {
    this.shutdowns += 1;
  }

  /** Every stream of this node is cut, as by a peer that is gone. */
  cut(): void {
    for (const end of [...this.ends])
      end.fail(new WarrenError('ERR_WARREN_PEER_TIMEOUT', 'the peer is gone', 'Try again.'));
  }
}

class Waiting implements IncomingStream {
  readonly peer: PeerName;
  readonly localPort: number;
  readonly remotePort: number;
  readonly priority = 1;
  readonly #near: FakeEnd;
  readonly #host: FakeHost;
  queue: Set<Waiting> | undefined;
  #gone: (() => void) | undefined;

  constructor(near: FakeEnd, host: FakeHost, peer: PeerName, remotePort: number, localPort: number) {
    this.#near = near;
    this.#host = host;
    this.peer = peer;
    this.localPort = localPort;
    this.remotePort = remotePort;
    near.onFailed = () => {
      if (this.queue?.delete(this) === true) later(() => this.#gone?.());
    };
  }

  onGone(gone: () => void): void {
    this.#gone = gone;
  }

  accept(listener: StreamListener): StreamEnd | undefined {
    this.queue?.delete(this);
    const near = this.#near;
    if (near.isClosed) return undefined;
    const far = new FakeEnd(this.#host, this.peer, this.localPort, this.remotePort, listener);
    near.join(far);
    return far;
  }

  refuse(): void {
    this.queue?.delete(this);
    this.#near.fail(refused('it was refused'));
  }
}

/** What one end has written and the other has not read. */
class Pipe {
  readonly chunks: Uint8Array[] = [];
  held = 0;
  ending: 'no' | 'finished' | 'reset' | 'stopped' = 'no';
}

export class FakeEnd implements StreamEnd {
  readonly peer: PeerName;
  readonly localPort: number;
  readonly remotePort: number;
  readonly #host: FakeHost;
  readonly #listener: StreamListener;
  #out: Pipe = new Pipe();
  #in: Pipe = new Pipe();
  #far: FakeEnd | undefined;
  #isWritingOver = false;
  #isReadingOver = false;
  #wantsWritable = false;
  #wasFinishedTold = false;
  #early: (() => void)[] = [];
  isClosed = false;
  onFailed: (() => void) | undefined;
  /** The codes this end gave its halves up with. */
  readonly gaveUp: { half: 'writing' | 'reading'; code: number }[] = [];

  constructor(host: FakeHost, peer: PeerName, localPort: number, remotePort: number, listener: StreamListener) {
    this.#host = host;
    this.peer = peer;
    this.localPort = localPort;
    this.remotePort = remotePort;
    this.#listener = listener;
    host.ends.add(this);
  }

  /** What has come and has not been read. */
  get unread(): number {
    return this.#in.held;
  }

  join(far: FakeEnd): void {
    this.#far = far;
    far.#far = this;
    far.#in = this.#out;
    this.#in = far.#out;
    this.#tell((listener) => listener.connected());
    if (this.#out.held > 0) far.#tell((listener) => listener.readable());
    for (const act of this.#early.splice(0)) act();
  }

  giveBack(bytes: Uint8Array): void {
    // Whoever still reads it is found out.
    bytes.fill(0xdd);
  }

  read(): Uint8Array | undefined {
    if (this.isClosed || this.#isReadingOver) return undefined;
    const chunk = this.#in.chunks.shift();
    if (chunk === undefined) return undefined;
    this.#in.held -= chunk.length;
    if (this.#far !== undefined) this.#far.#taken();
    this.#tellIfFinished();
    return new Uint8Array(chunk);
  }

  write(data: Uint8Array): number | 'ended' {
    if (this.isClosed || this.#isWritingOver || this.#out.ending !== 'no') return 'ended';
    const room = Math.max(this.#host.network.window - this.#out.held, 0);
    const taken = data.subarray(0, room);
    if (taken.length < data.length) this.#wantsWritable = true;
    if (taken.length === 0) return 0;
    this.#out.chunks.push(taken);
    this.#out.held += taken.length;
    const far = this.#far;
    if (far !== undefined && this.#out.chunks.length === 1) far.#tell((listener) => listener.readable());
    return taken.length;
  }

  finish(): void {
    if (this.isClosed || this.#out.ending !== 'no') return;
    this.#out.ending = 'finished';
    this.#toFar((far) => far.#tellIfFinished());
  }

  reset(code: number): void {
    if (this.isClosed || this.#isWritingOver) return;
    this.gaveUp.push({ half: 'writing', code });
    this.#out.ending = 'reset';
    this.#isWritingOver = true;
    this.#toFar((far) => {
      far.#in.chunks.length = 0;
      if (!far.#isReadingOver) far.#tell((listener) => listener.reset(code));
      far.#isReadingOver = true;
      far.#closeIfOver();
    });
    this.#closeIfOver();
  }

  stop(code: number): void {
    if (this.isClosed || this.#isReadingOver) return;
    this.gaveUp.push({ half: 'reading', code });
    this.#isReadingOver = true;
    this.#toFar((far) => {
      if (!far.#isWritingOver) far.#tell((listener) => listener.stopped(code));
      far.#isWritingOver = true;
      far.#closeIfOver();
    });
    this.#closeIfOver();
  }

  fail(error: WarrenError): void {
    this.onFailed?.();
    this.#close(error);
    const far = this.#far;
    if (far !== undefined && !far.isClosed) far.fail(error);
  }

  /** At once, or as soon as there is a far end. */
  #toFar(act: (far: FakeEnd) => void): void {
    if (this.#far !== undefined) act(this.#far);
    else this.#early.push(() => act(this.#far!));
  }

  #taken(): void {
    if (!this.#wantsWritable || this.#out.held > this.#host.network.window / 2) return;
    this.#wantsWritable = false;
    this.#tell((listener) => listener.writable());
  }

  #tellIfFinished(): void {
    if (this.#in.ending !== 'finished' || this.#in.chunks.length > 0 || this.#wasFinishedTold || this.#isReadingOver)
      return;
    this.#wasFinishedTold = true;
    this.#isReadingOver = true;
    this.#tell((listener) => listener.finished());
    const far = this.#far!;
    far.#isWritingOver = true;
    far.#tell((listener) => listener.acknowledged());
    this.#closeIfOver();
    far.#closeIfOver();
  }

  #closeIfOver(): void {
    if (this.#isWritingOver && this.#isReadingOver) this.#close(undefined);
  }

  #close(error: WarrenError | undefined): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#host.ends.delete(this);
    later(() => this.#listener.closed(error));
  }

  #tell(tell: (listener: StreamListener) => void): void {
    later(() => tell(this.#listener));
  }
}

/** In the order of the calls. */
function later(act: () => void): void {
  setImmediate(act);
}

function refused(message: string): WarrenError {
  return new WarrenError('ERR_WARREN_REFUSED', message, 'Look at what listens there.');
}

function inUse(port: number): WarrenError {
  return new WarrenError('ERR_WARREN_PORT_TAKEN', `port ${port} is taken`, 'Choose another, or 0 for a free one.');
}
