import type {
  AdminHost,
  DialTarget,
  IncomingStream,
  ListenOptions,
  NodeStatus,
  PeerEntry,
  PeerName,
  PeerReport,
  PeerStatus,
  PingOptions,
  PingReply,
} from '../ipc/host.ts';
import type { Carrier } from './carrier.ts';
import { HostCarrier } from './host-carrier.ts';
import type { Liveness } from './liveness.ts';
import type { DatagramPort, DatagramPortUser, Incoming, NodeAccess, Port, PortUser, Taken } from './node-access.ts';

/** The node in this process. */
export class HostAccess implements NodeAccess {
  readonly liveness: Liveness;
  readonly #host: AdminHost;
  readonly #close: () => Promise<void>;

  constructor(host: AdminHost, liveness: Liveness, close: () => Promise<void>) {
    this.#host = host;
    this.liveness = liveness;
    this.#close = close;
  }

  get self(): PeerName {
    return this.#host.self;
  }

  dial(target: DialTarget): Carrier {
    return HostCarrier.dialled(this.liveness, (listener) => this.#host.dial(target, listener));
  }

  async listen(options: ListenOptions, user: PortUser): Promise<Port> {
    const binding = this.#host.listen(options, (stream) => user.incoming(new HostIncoming(stream, this.liveness)));
    return { port: binding.port, close: async () => binding.close() };
  }

  async bind(port: number, user: DatagramPortUser): Promise<DatagramPort> {
    const binding = this.#host.bind(port, (datagram) => user.received(datagram));
    return {
      port: binding.port,
      send: async (peer, to, data) => binding.send(peer, to, data),
      close: async () => binding.close(),
    };
  }

  async resolve(peer: string): Promise<PeerName> {
    return this.#host.resolve(peer);
  }

  ping(peer: string, options: PingOptions): Promise<PingReply> {
    return this.#host.ping(peer, options);
  }

  async status(): Promise<NodeStatus> {
    return this.#host.status();
  }

  async peers(): Promise<readonly PeerStatus[]> {
    return this.#host.peers();
  }

  async why(peer: string): Promise<PeerReport> {
    return this.#host.why(peer);
  }

  async record(): Promise<string> {
    return this.#host.record();
  }

  async addPeer(entry: PeerEntry): Promise<PeerName> {
    return this.#host.addPeer(entry);
  }

  async removePeer(peer: string): Promise<PeerName> {
    return this.#host.removePeer(peer);
  }

  close(): Promise<void> {
    return this.#close();
  }
}

class HostIncoming implements Incoming {
  readonly #stream: IncomingStream;
  readonly #liveness: Liveness;

  constructor(stream: IncomingStream, liveness: Liveness) {
    this.#stream = stream;
    this.#liveness = liveness;
  }

  take(done: (taken: Taken | undefined) => void): void {
    const carrier = HostCarrier.taken(this.#liveness, (listener) => this.#stream.accept(listener));
    done(carrier === undefined ? undefined : { carrier, ends: carrier.ends });
  }

  refuse(): void {
    this.#stream.refuse();
  }
}
