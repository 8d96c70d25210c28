import type { WarrenError } from '../base/errors.ts';
import { ControlClient, type ControlListener } from '../ipc/client.ts';
import type { StreamLine, StreamOwnership } from '../ipc/first-line.ts';
import type {
  DialTarget,
  ListenOptions,
  NodeStatus,
  PeerEntry,
  PeerName,
  PeerReport,
  PeerStatus,
  PingOptions,
  PingReply,
} from '../ipc/host.ts';
import type { Command, Replies, Requests, ServerEvent } from '../ipc/messages.ts';
import { openStream } from '../ipc/stream-client.ts';
import type { Carrier } from './carrier.ts';
import { Liveness } from './liveness.ts';
import type { DatagramPort, DatagramPortUser, Incoming, NodeAccess, Port, PortUser, Taken } from './node-access.ts';
import { endsOf, SocketCarrier, type SocketWays } from './socket-carrier.ts';

/** The daemon's node, over its local socket: one control connection, and one connection for each stream. */
export class DaemonAccess implements NodeAccess, ControlListener {
  readonly #path: string;
  readonly #onStops: () => void;
  readonly #onLost: (error: WarrenError) => void;
  #client!: ControlClient;
  #liveness!: Liveness;
  #lastStream = 0;
  readonly #streams: Map<number, SocketCarrier> = new Map();
  readonly #ports: Map<number, PortUser> = new Map();
  readonly #datagramPorts: Map<number, DatagramPortUser> = new Map();
  /** Streams can come for a port before we have read the reply that says which port it is. */
  #listensWaiting = 0;
  #early: ServerEvent<'incoming'>[] = [];

  private constructor(path: string, { stops, lost }: DaemonAccessOptions) {
    this.#path = path;
    this.#onStops = stops;
    this.#onLost = lost;
  }

  static async connect(path: string, options: DaemonAccessOptions): Promise<DaemonAccess> {
    const access = new DaemonAccess(path, options);
    access.#client = await ControlClient.connect({ path, listener: access, signal: options.signal });
    access.#liveness = new Liveness(access.#client);
    return access;
  }

  get self(): PeerName {
    const { address, name, key } = this.#client.hello;
    return { address, name, key };
  }

  get liveness(): Liveness {
    return this.#liveness;
  }

  dial(target: DialTarget): Carrier {
    const id = ++this.#lastStream;
    const carrier = new SocketCarrier(this.#waysOf(id), () => {
      this.#streams.set(id, carrier);
      return this.#open({ kind: 'dial', owner: this.#owner(id), ...target });
    });
    return carrier;
  }

  async listen(options: ListenOptions, user: PortUser): Promise<Port> {
    this.#listensWaiting += 1;
    let port: number;
    try {
      ({ port } = await this.#request('listen', options));
      this.#ports.set(port, user);
    } finally {
      this.#listensWaiting -= 1;
      this.#sortEarly();
    }
    const close = async (): Promise<void> => {
      this.#ports.delete(port);
      await this.#unlessGone(() => this.#request('unlisten', { port }));
    };
    return { port, close };
  }

  async bind(wanted: number, user: DatagramPortUser): Promise<DatagramPort> {
    const { port } = await this.#request('bind', { port: wanted });
    this.#datagramPorts.set(port, user);
    const send = async (peer: string, to: number, data: Uint8Array): Promise<void> => {
      await this.#request('send', { from: port, peer, port: to, data });
    };
    const close = async (): Promise<void> => {
      this.#datagramPorts.delete(port);
      await this.#unlessGone(() => this.#request('unbind', { port }));
    };
    return { port, send, close };
  }

  resolve(peer: string): Promise<PeerName> {
    return this.#request('resolve', { peer });
  }

  ping(peer: string, { timeout, signal }: PingOptions): Promise<PingReply> {
    return this.#request('ping', { peer, timeoutMs: timeout }, signal);
  }

  status(): Promise<NodeStatus> {
    return this.#request('status', {});
  }

  async peers(): Promise<readonly PeerStatus[]> {
    return (await this.#request('peers', {})).peers;
  }

  why(peer: string): Promise<PeerReport> {
    return this.#request('why', { peer });
  }

  async record(): Promise<string> {
    return (await this.#request('record', {})).record;
  }

  addPeer(entry: PeerEntry): Promise<PeerName> {
    return this.#request('add-peer', entry);
  }

  removePeer(peer: string): Promise<PeerName> {
    return this.#request('remove-peer', { peer });
  }

  /** What the program has finished the daemon sees through; every stream has been given up or finished by now. */
  async close(): Promise<void> {
    this.#client.close();
    this.#streams.clear();
  }

  // What the daemon tells.

  event(event: ServerEvent): void {
    switch (event.event) {
      case 'incoming':
        this.#incoming(event);
        return;
      case 'datagram': {
        const { peer, from, data } = event;
        this.#datagramPorts.get(event.port)?.received({ peer, port: from, data });
        return;
      }
      case 'end':
        this.#streams.get(event.stream)?.ended(event);
        return;
      case 'stopping':
        this.#onStops();
        return;
      default:
        // `gone` is noticed where the stream is taken, `error` is followed by the end.
        return;
    }
  }

  closed(error: WarrenError): void {
    for (const carrier of [...this.#streams.values()]) carrier.gone(error);
    for (const user of [...this.#ports.values(), ...this.#datagramPorts.values()]) user.lost(error);
    this.#streams.clear();
    this.#ports.clear();
    this.#datagramPorts.clear();
    this.#onLost(error);
  }

  #incoming(event: ServerEvent<'incoming'>): void {
    const user = this.#ports.get(event.port);
    if (user !== undefined) user.incoming(new DaemonIncoming(event, this.#taking));
    else if (this.#listensWaiting > 0) this.#early.push(event);
    else this.#taking.refuse(event.token);
  }

  /** Those for a port that is known by now, and where no other can become known, nobody's. */
  #sortEarly(): void {
    for (const event of this.#early.splice(0)) this.#incoming(event);
  }

  readonly #taking: Taking = {
    take: async (token) => {
      const id = ++this.#lastStream;
      const carrier = new SocketCarrier(this.#waysOf(id));
      this.#streams.set(id, carrier);
      try {
        const { socket, answer } = await this.#open({ kind: 'accept', token, owner: this.#owner(id) });
        const opened = await answer;
        return { carrier, ends: endsOf(opened), begin: () => carrier.accepted(socket, opened) };
      } catch {
        // It ended while it waited, or this client has all the streams it may have; then it is somebody else's turn.
        this.#streams.delete(id);
        this.#taking.refuse(token);
        return undefined;
      }
    },
    refuse: (token) => {
      this.#client.notify('refuse', { token });
    },
  };

  #owner(id: number): StreamOwnership {
    return { client: this.#client.hello.client, id };
  }

  #waysOf(id: number): SocketWays {
    return {
      notifyFinish: () => this.#client.notify('finish', { stream: id }),
      notifyReset: (code) => this.#client.notify('reset', { stream: id, code }),
      forget: () => this.#streams.delete(id),
    };
  }

  #open(line: StreamLine): ReturnType<typeof openStream> {
    const { over } = this.#client;
    return over === undefined ? openStream({ path: this.#path, line, isChecked: true }) : Promise.reject(over);
  }

  #request<K extends Command>(command: K, fields: Requests[K], signal?: AbortSignal): Promise<Replies[K]> {
    return this.#liveness.during(this.#client.request(command, fields, signal));
  }

  /** With the connection, what belongs to it has ended. */
  async #unlessGone(work: () => Promise<unknown>): Promise<void> {
    try {
      if (this.#client.over === undefined) await work();
    } catch (error) {
      if (this.#client.over === undefined) throw error;
    }
  }
}

export interface DaemonAccessOptions {
  readonly signal?: AbortSignal | undefined;
  /** The daemon has begun to stop. */
  readonly stops: () => void;
  /** The daemon is gone, and everybody has been told. */
  readonly lost: (error: WarrenError) => void;
}

interface Taking {
  take(token: string): Promise<(Taken & { begin(): void }) | undefined>;
  refuse(token: string): void;
}

class DaemonIncoming implements Incoming {
  readonly #event: ServerEvent<'incoming'>;
  readonly #taking: Taking;

  constructor(event: ServerEvent<'incoming'>, taking: Taking) {
    this.#event = event;
    this.#taking = taking;
  }

  take(done: (taken: Taken | undefined) => void): void {
    void this.#taking.take(this.#event.token).then((taken) => {
      done(taken);
      taken?.begin();
    });
  }

  refuse(): void {
    this.#taking.refuse(this.#event.token);
  }
}
