import { randomUUID } from 'node:crypto';
import { WarrenError } from '../base/errors.ts';
import { CLOSE_CODES } from '../wire/close-codes.ts';
import type { Bounds } from './bounds.ts';
import type { StreamLine, StreamOwnership } from './first-line.ts';
import type {
  Binding,
  DatagramBinding,
  HostDatagram,
  IncomingStream,
  PingReply,
  StreamEnd,
  StreamListener,
} from './host.ts';
import { DATAGRAM_BYTES_MAX, type ServerEvent, type StreamEnding } from './messages.ts';

/**
 * Who owns what, of the clients of one socket: what those of the other use up is no concern of theirs. Ports, the tokens of incoming streams and streams are found only through the client they belong to, so there is
 * no way to name another's; and when a client goes, what it owned goes with it.
 */

/** A client's control connection, as what it owns sees it. */
export interface ClientSink {
  event(event: ServerEvent): void;
}

/** A stream's connection, as its client's control connection sees it. */
export interface ClientStream {
  /** What is in the connection up to its end of writing is all. */
  declareFinished(): void;
  /** Both halves are given up. */
  giveUp(code: number): void;
  /** Its client is gone. */
  abandon(): void;
}

type Notice = { readonly how: 'finish' } | { readonly how: 'reset'; readonly code: number };

export class ClientRegistry {
  readonly #bounds: Bounds;
  readonly #clients: Map<string, Client> = new Map();
  readonly #streams: Quota;
  readonly #withoutClient: StreamQuotas;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#streams = new Quota(bounds.streams);
    this.#withoutClient = new StreamQuotas(bounds.streamsWithoutClient, bounds.dials);
  }

  /** A client from here on, until it is closed. */
  open(sink: ClientSink): Client {
    const client = new Client(sink, this.#bounds, () => this.#clients.delete(client.token));
    this.#clients.set(client.token, client);
    return client;
  }

  /** Room for the stream that a line asks for. Thrown: there is none, or the client is not one. */
  admit(line: StreamLine): StreamSlot {
    const { owner } = line;
    const client = owner === undefined ? undefined : this.#clients.get(owner.client);
    if (owner !== undefined && client === undefined) throw noClient();
    if (owner !== undefined && client?.holds(owner.id) === true) throw idInUse();
    const quotas = client?.quotas ?? this.#withoutClient;
    const wanted = [
      { quota: this.#streams, what: 'stream connections of this socket' },
      { quota: quotas.connections, what: client === undefined ? 'streams without a client' : 'streams of one client' },
    ];
    if (line.kind === 'dial') wanted.push({ quota: quotas.dials, what: 'dials under way' });
    for (const { quota, what } of wanted) if (quota.isFull) throw overLimit(quota.max, what);
    for (const { quota } of wanted) quota.take();
    return new StreamSlot(this.#streams, quotas, line.kind === 'dial', client, owner);
  }
}

/** How many there may be, and are. */
class Quota {
  readonly max: number;
  #used = 0;

  constructor(max: number) {
    this.max = max;
  }

  get isFull(): boolean {
    return this.#used >= this.max;
  }

  take(): void {
    this.#used += 1;
  }

  release(): void {
    this.#used -= 1;
  }
}

class StreamQuotas {
  readonly connections: Quota;
  readonly dials: Quota;

  constructor(connections: number, dials: number) {
    this.connections = new Quota(connections);
    this.dials = new Quota(dials);
  }
}

/** The room that one stream takes, and the way to whom it belongs. */
export class StreamSlot {
  readonly id: number | undefined;
  readonly #all: Quota;
  readonly #quotas: StreamQuotas;
  readonly #client: Client | undefined;
  #isDialling: boolean;

  constructor(
    all: Quota,
    quotas: StreamQuotas,
    isDialling: boolean,
    client: Client | undefined,
    owner: StreamOwnership | undefined,
  ) {
    this.#all = all;
    this.#quotas = quotas;
    this.#isDialling = isDialling;
    this.#client = client;
    this.id = owner?.id;
  }

  /** Without an owner, an end of writing is all there is to say that all was written. */
  get hasOwner(): boolean {
    return this.#client !== undefined;
  }

  /** The incoming stream that waits under a token. Thrown: none, of this client. */
  take(token: string, listener: StreamListener): StreamEnd {
    const stream = this.#client?.take(token)?.accept(listener);
    if (stream === undefined) throw nobodyWaits();
    return stream;
  }

  /** From here on the owner's notices and its end reach the stream; also those that came before its line. */
  hold(stream: ClientStream): void {
    if (this.id !== undefined) this.#client?.hold(this.id, stream);
  }

  report(how: StreamEnding['how'], detail: Pick<StreamEnding, 'code' | 'error'> = {}): void {
    if (this.id !== undefined) this.#client?.tell({ event: 'end', stream: this.id, how, ...detail });
  }

  /** The dial has been answered. */
  dialled(): void {
    if (!this.#isDialling) return;
    this.#isDialling = false;
    this.#quotas.dials.release();
  }

  release(): void {
    this.dialled();
    this.#all.release();
    this.#quotas.connections.release();
    if (this.id !== undefined) this.#client?.letGo(this.id);
  }
}

interface Waiting {
  readonly stream: IncomingStream;
  readonly timer: NodeJS.Timeout;
}

/** One control connection's belongings. */
export class Client {
  /** As all tokens a name that cannot be guessed: 122 random bits, which Node gets from the system for many of them at once. */
  readonly token: string = randomUUID();
  readonly quotas: StreamQuotas;
  readonly #bounds: Bounds;
  readonly #forget: () => void;
  #sink: ClientSink | undefined;
  readonly #ports: Map<number, Binding> = new Map();
  readonly #datagramPorts: Map<number, DatagramBinding> = new Map();
  readonly #waiting: Map<string, Waiting> = new Map();
  readonly #streams: Map<number, ClientStream> = new Map();
  /** A stream's line and a notice about it come by different connections, so either may be first. */
  readonly #early: Map<number, Notice> = new Map();

  constructor(sink: ClientSink, bounds: Bounds, forget: () => void) {
    this.#sink = sink;
    this.#bounds = bounds;
    this.#forget = forget;
    this.quotas = new StreamQuotas(bounds.streamsPerClient, bounds.dials);
  }

  tell(event: ServerEvent): void {
    this.#sink?.event(event);
  }

  /** `bind` gives the binding of a port for incoming streams. */
  listen(bind: (incoming: (stream: IncomingStream) => void) => Binding): number {
    this.#checkPorts();
    const binding = bind((stream) => this.#incoming(binding.port, stream));
    this.#ports.set(binding.port, binding);
    return binding.port;
  }

  unlisten(port: number): void {
    closeOwn(this.#ports, port);
  }

  /** `bind` gives the binding of a port for datagrams. */
  bind(bind: (receive: (datagram: HostDatagram) => void) => DatagramBinding): number {
    this.#checkPorts();
    const binding = bind((datagram) => this.#datagram(binding.port, datagram));
    this.#datagramPorts.set(binding.port, binding);
    return binding.port;
  }

  unbind(port: number): void {
    closeOwn(this.#datagramPorts, port);
  }

  datagramPort(port: number): DatagramBinding {
    return this.#datagramPorts.get(port) ?? notYours(port);
  }

  /** It dials, and counts as a dial as long as it lasts. */
  async ping(ping: () => Promise<PingReply>): Promise<PingReply> {
    const { dials } = this.quotas;
    if (dials.isFull) throw overLimit(dials.max, 'dials under way');
    dials.take();
    try {
      return await ping();
    } finally {
      dials.release();
    }
  }

  /** The stream that waits under a token, which is used up with this. */
  take(token: string): IncomingStream | undefined {
    const waiting = this.#waiting.get(token);
    clearTimeout(waiting?.timer);
    this.#waiting.delete(token);
    return waiting?.stream;
  }

  holds(id: number): boolean {
    return this.#streams.has(id);
  }

  hold(id: number, stream: ClientStream): void {
    this.#streams.set(id, stream);
    const notice = this.#early.get(id);
    if (notice === undefined) return;
    this.#early.delete(id);
    deliver(notice, stream);
  }

  letGo(id: number): void {
    this.#streams.delete(id);
  }

  notice(id: number, notice: Notice): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) {
      deliver(notice, stream);
      return;
    }
    this.#early.delete(id);
    if (this.#early.size >= this.#bounds.earlyNotices) this.#early.delete(this.#early.keys().next().value!);
    this.#early.set(id, notice);
  }

  /** The control connection is over. */
  close(): void {
    this.#sink = undefined;
    this.#forget();
    for (const binding of this.#ports.values()) binding.close();
    for (const binding of this.#datagramPorts.values()) binding.close();
    this.#ports.clear();
    this.#datagramPorts.clear();
    for (const token of [...this.#waiting.keys()]) this.take(token)?.refuse();
    for (const stream of [...this.#streams.values()]) stream.abandon();
    this.#early.clear();
  }

  #checkPorts(): void {
    const { ports } = this.#bounds;
    if (this.#ports.size + this.#datagramPorts.size >= ports) throw overLimit(ports, 'ports of one client');
  }

  #incoming(port: number, stream: IncomingStream): void {
    if (this.#waiting.size >= this.#bounds.waiting) {
      stream.refuse();
      return;
    }
    const token = randomUUID();
    const gone = (): void => {
      this.take(token)?.refuse();
      this.tell({ event: 'gone', token });
    };
    this.#waiting.set(token, { stream, timer: setTimeout(gone, this.#bounds.acceptMs) });
    stream.onGone(gone);
    const { peer, remotePort, priority } = stream;
    this.tell({ event: 'incoming', port, token, peer, remotePort, priority });
  }

  #datagram(port: number, { peer, port: from, data }: HostDatagram): void {
    // Whoever sends datagrams has to live with losing some.
    if (data.length <= DATAGRAM_BYTES_MAX) this.tell({ event: 'datagram', port, peer, from, data });
  }
}

function deliver(notice: Notice, stream: ClientStream): void {
  if (notice.how === 'finish') stream.declareFinished();
  else stream.giveUp(notice.code);
}

function closeOwn(bindings: Map<number, Binding>, port: number): void {
  (bindings.get(port) ?? notYours(port)).close();
  bindings.delete(port);
}

/** What a stream is given up with when its program goes: PROTOCOL.md §11. */
export const CANCELLED: number = CLOSE_CODES.CANCELLED;

function notYours(port: number): never {
  throw new WarrenError(
    'ERR_WARREN_NOT_YOUR_PORT',
    `port ${port} is not one of this client's`,
    'A port belongs to the control connection that asked for it.',
  );
}

function noClient(): WarrenError {
  return new WarrenError(
    'ERR_WARREN_CLIENT',
    'no control connection has this client token',
    'It comes with the reply to hello, is of use on the same socket, and ends with that connection.',
  );
}

function idInUse(): WarrenError {
  return new WarrenError(
    'ERR_WARREN_ARGUMENT',
    'this id is in use',
    'Count upwards: every stream of a client has its own.',
  );
}

function nobodyWaits(): WarrenError {
  return new WarrenError(
    'ERR_WARREN_STREAM_GONE',
    'no stream waits under this token',
    'It ended, was taken already, or waited longer than 10 s; only the client that it was announced to may take it.',
  );
}

export function overLimit(most: number, what: string): WarrenError {
  return new WarrenError('ERR_WARREN_LIMIT', `there are ${most} ${what}, and no more allowed`, 'Close some first.');
}
