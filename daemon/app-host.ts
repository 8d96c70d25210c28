import type {
  Binding,
  DatagramBinding,
  DialTarget,
  Host,
  HostDatagram,
  IncomingStream,
  ListenOptions,
  NodeStatus,
  PeerName,
  PeerReport,
  PeerStatus,
  PingOptions,
  PingReply,
  StreamEnd,
  StreamListener,
} from '../ipc/host.ts';
import type { Node } from './node.ts';

/** The node as programs on `app.sock` have it: what they take of what all share is counted as theirs, and some of it is not theirs. */
export class AppHost implements Host {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  get self(): PeerName {
    return this.#node.self;
  }

  dial(target: DialTarget, listener: StreamListener): StreamEnd {
    return this.#node.dial(target, listener, 'app');
  }

  listen(options: ListenOptions, incoming: (stream: IncomingStream) => void): Binding {
    return this.#node.listen(options, incoming, 'app');
  }

  bind(port: number, receive: (datagram: HostDatagram) => void): DatagramBinding {
    return this.#node.bind(port, receive, 'app');
  }

  ping(peer: string, options: PingOptions): Promise<PingReply> {
    return this.#node.ping(peer, options, 'app');
  }

  resolve(peer: string): PeerName {
    return this.#node.resolve(peer);
  }

  status(): NodeStatus {
    return this.#node.status();
  }

  peers(): readonly PeerStatus[] {
    return this.#node.peers();
  }

  why(peer: string): PeerReport {
    return this.#node.why(peer);
  }
}
