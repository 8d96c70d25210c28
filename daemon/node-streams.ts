import { WarrenError } from '../base/errors.ts';
import { MILLISECOND } from '../base/time.ts';
import type {
  Binding,
  DialTarget,
  IncomingStream,
  ListenOptions,
  PeerName,
  StreamEnd,
  StreamListener,
} from '../ipc/host.ts';
import type { Standing } from '../ipc/shared-quota.ts';
import { isSpanWithin, PEER_TIMEOUT_MS, type SpanBounds, TIMEOUT_MS } from '../ipc/value-bounds.ts';
import type { ControllerName } from '../transport/congestion/controller.ts';
import type { PeerStreamEvent } from '../transport/endpoint.ts';
import { BACKLOG_DEFAULT, BACKLOG_NODE_MAX } from '../transport/listeners.ts';
import type { TunnelChoices } from '../transport/tunnel-node.ts';
import { PRIORITY_NORMAL, type Priority } from '../wire/frames.ts';
import { PortListener } from './listening.ts';
import type { Peer } from './peer-book.ts';
import { type LinkContext, PeerLink } from './peer-link.ts';
import { noFreePort, type PortTable, requireLocalPort, requirePort } from './ports.ts';
import { SelfStreams } from './self-streams.ts';
import { dialTimeout, shutdown } from './stream-errors.ts';
import { TunnelStream, type TunnelStreamOptions } from './tunnel-stream.ts';

/** Where the dial names no span of its own: longer than a silent peer is waited for, so that its silence is what is reported. */
export const DIAL_TIMEOUT_MS = 60_000;

/**
 * The streams of a node: dials go out by the peer's link, what the endpoint tells comes in by the peer's key and the stream's id,
 * two look-ups for each piece of news and nothing at all for a stream that is idle.
 */
export class NodeStreams {
  readonly #context: LinkContext;
  readonly #ports: PortTable<PortListener>;
  readonly #self: SelfStreams;
  /** By key; one for each peer of the book that was ever asked for or heard of. */
  readonly #links: Map<string, PeerLink> = new Map();

  constructor(self: PeerName, context: LinkContext) {
    this.#context = context;
    this.#ports = context.ports;
    this.#self = new SelfStreams(self, context.notices, context.ports);
  }

  get listening(): readonly number[] {
    return this.#ports.bound;
  }

  get count(): number {
    let count = this.#self.count;
    for (const link of this.#links.values()) count += link.streams.count;
    return count;
  }

  link(key: string): PeerLink | undefined {
    return this.#links.get(key);
  }

  linkTo(peer: Peer): PeerLink {
    let link = this.#links.get(peer.key);
    if (link === undefined) {
      link = new PeerLink(peer, this.#context);
      this.#links.set(peer.key, link);
    }
    return link;
  }

  /** The tunnel has been closed, and with it everything of the peer's. */
  drop(key: string): void {
    this.#links.get(key)?.drop();
    this.#links.delete(key);
  }

  /** `peer` is `undefined` for this node itself. */
  dial(peer: Peer | undefined, target: DialTarget, listener: StreamListener, standing: Standing): StreamEnd {
    const { port, priority = PRIORITY_NORMAL, timeout = DIAL_TIMEOUT_MS } = target;
    requirePort(port);
    requireSpan(timeout, 'timeout', TIMEOUT_MS);
    const choices = choicesOf(target);
    const end =
      peer === undefined
        ? this.#self.dial(port, priority, listener, standing)
        : this.#dialPeer(peer, port, { priority, listener, standing }, choices);
    end.limitDial(timeout, () => dialTimeout(end.peer, port, timeout));
    return end;
  }

  listen(options: ListenOptions, incoming: (stream: IncomingStream) => void, standing: Standing): Binding {
    const { driver } = this.#context;
    const backlog = requireBacklog(options.backlog ?? BACKLOG_DEFAULT);
    const listener = new PortListener(backlog, incoming);
    const port = this.#ports.bind(requireLocalPort(options.port), listener, standing);
    driver.use((endpoint) => endpoint.listen(port, backlog));
    return { port, close: () => this.#unlisten(port, listener) };
  }

  handle(event: PeerStreamEvent): void {
    const link = this.#links.get(event.peer);
    link?.streams.handle(event, link.name);
  }

  // The end of the node.

  /**
   * Nothing new comes in. What is open is left as it is: to finish it here would tell the far side that its writer had nothing more
   * to say. It ends with the tunnel instead.
   */
  refuseNew(): void {
    for (const port of this.#ports.bound) this.#unlisten(port, this.#ports.get(port)!);
    for (const link of this.#links.values()) link.streams.failWaiting(shutdown());
  }

  /** Whether everything that was written has arrived, as far as there is somebody for it to arrive at. */
  get isDelivered(): boolean {
    const { driver } = this.#context;
    for (const [key, { isUp }] of this.#links) {
      if (isUp && driver.use((endpoint) => endpoint.tunnel(key)?.streams.isDelivered) === false) return false;
    }
    return true;
  }

  /** After the endpoint, whose end has ended the others but for what was left to read. */
  endRest(): void {
    for (const link of this.#links.values()) link.streams.endLingering();
    for (const stream of this.#self.all) stream.fail(shutdown());
  }

  #dialPeer(peer: Peer, port: number, dialler: Dialler, choices: TunnelChoices): TunnelStream {
    const link = this.linkTo(peer);
    const localPort = this.#ports.lend(dialler.standing);
    const { priority, listener, standing } = dialler;
    const options: TunnelStreamOptions = {
      peer: peer.name,
      localPort: localPort ?? 0,
      remotePort: port,
      priority,
      listener,
      taken: false,
      standing,
    };
    const stream = new TunnelStream(link.streams, options, this.#context.notices);
    if (localPort === undefined) stream.fail(noFreePort());
    else link.dial(stream, choices);
    return stream;
  }

  #unlisten(port: number, listener: PortListener): void {
    if (this.#ports.get(port) !== listener) return;
    // Those that wait are turned away before the port is another's.
    listener.close();
    this.#ports.unbind(port);
    this.#context.driver.use((endpoint) => endpoint.unlisten(port));
  }
}

interface Dialler {
  readonly priority: Priority;
  readonly listener: StreamListener;
  readonly standing: Standing;
}

const CONTROLLERS: readonly ControllerName[] = ['AIMD', 'CUBIC', 'BBR'];

function choicesOf({ congestion, peerTimeout }: DialTarget): TunnelChoices {
  const controller = CONTROLLERS.find((name) => name === congestion?.toUpperCase());
  if (congestion !== undefined && controller === undefined) {
    throw new WarrenError(
      'ERR_WARREN_ARGUMENT',
      'there is no such congestion control',
      `choose one of ${CONTROLLERS.join(', ').toLowerCase()}`,
    );
  }
  if (peerTimeout !== undefined) requireSpan(peerTimeout, 'peer timeout', PEER_TIMEOUT_MS);
  return {
    ...(controller === undefined ? {} : { congestion: controller }),
    ...(peerTimeout === undefined ? {} : { peerTimeout: peerTimeout * MILLISECOND }),
  };
}

function requireSpan(milliseconds: number, what: string, bounds: SpanBounds): void {
  if (isSpanWithin(milliseconds, bounds)) return;
  throw new WarrenError(
    'ERR_WARREN_ARGUMENT',
    `that is no ${what}`,
    `a ${what} is a whole number of milliseconds from ${bounds.least} to ${bounds.most}`,
  );
}

function requireBacklog(backlog: number): number {
  if (Number.isInteger(backlog) && backlog >= 1 && backlog <= BACKLOG_NODE_MAX) return backlog;
  throw new WarrenError(
    'ERR_WARREN_ARGUMENT',
    'that is no backlog',
    `a backlog is a whole number from 1 to ${BACKLOG_NODE_MAX}`,
  );
}
