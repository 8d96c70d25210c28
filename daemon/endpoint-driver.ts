import type { Instant } from '../base/time.ts';
import { NEVER } from '../base/time.ts';
import { systemNow } from '../ipc/clock.ts';
import { freeMemory } from '../ipc/free-memory.ts';
import type { EndpointOptions, PeerStreamEvent } from '../transport/endpoint.ts';
import { Endpoint } from '../transport/endpoint.ts';
import type { ReceivedDatagram, TunnelEvent } from '../transport/events.ts';
import type { IpEndpoint } from '../wire/ip-endpoint.ts';
import { GivenMemory } from './given-memory.ts';
import { KeptMemory } from './kept-memory.ts';
import { SystemRng } from './system-rng.ts';
import { DATAGRAM_BYTES_MAX, type UdpRoute } from './udp-route.ts';
import type { UdpCounts, UdpOffload, UdpSocketOptions } from './udp-socket.ts';
import { UdpSocket } from './udp-socket.ts';

/**
 * A node's endpoint in the real world: a socket, a clock and one timer around it.
 *
 * Reads go into the endpoint as they come. Everything else waits for the end of the burst, so that one acknowledgement answers
 * many packets, one piece of a stream holds what many brought, and both leave with what the program says to them: a turn of the
 * event loop reads at most 32 times (libuv) and a mebibyte besides (`UdpSocket`), then tells its listener, then sends at most `DATAGRAMS_PER_TURN`, then lets the
 * rest of the process have its turn.
 *
 * Whatever the owner asks of the endpoint goes through `use`, which sees to it that it is sent.
 */
export class EndpointDriver {
  readonly #endpoint: Endpoint;
  readonly #listener: EndpointListener;
  readonly #memory: GivenMemory = new GivenMemory();
  readonly #kept: KeptMemory = new KeptMemory();
  #socket!: UdpSocket;
  /** What `pollTransmit` writes into, and the socket sends from. */
  readonly #buffer: Uint8Array = new Uint8Array(TRANSMIT_BUFFER_BYTES);
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When it rings, in whole milliseconds: as it counts. */
  #timerAt: number = NEVER;
  #asksWaiting = 0;
  #isTelling = false;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  private constructor(options: EndpointDriverOptions) {
    const memory = this.#memory;
    this.#endpoint = new Endpoint(
      { ...endpointOptions(options), pieceDone: (piece) => memory.done(piece), allocate, free },
      systemNow(),
    );
    this.#listener = options.listener;
  }

  static async open(options: EndpointDriverOptions): Promise<EndpointDriver> {
    const driver = new EndpointDriver(options);
    const { host, port, ffi, createSocket } = options;
    driver.#socket = await UdpSocket.open({
      index: 0,
      host,
      port,
      ffi,
      createSocket,
      listener: {
        datagram: (route, bytes) => driver.#handleDatagram(route, bytes),
        writable: () => driver.#schedule(),
      },
    });
    return driver;
  }

  get localHost(): string {
    return this.#socket.localHost;
  }

  get localPort(): number {
    return this.#socket.localPort;
  }

  get counts(): UdpCounts {
    return this.#socket.counts;
  }

  get offload(): UdpOffload {
    return this.#socket.offload;
  }

  /** How often the kernel refused something, by error code. */
  get errors(): ReadonlyMap<string, number> {
    return this.#socket.errors;
  }

  /** The route to hand to `Endpoint.connect`. */
  routeTo(remote: IpEndpoint): UdpRoute {
    return this.#socket.routeTo(remote);
  }

  /** Asks something of the endpoint. What it has to send, and a changed timeout, are seen to in this turn or the next. */
  use<T>(work: (endpoint: Endpoint, now: Instant) => T): T {
    const result = work(this.#endpoint, systemNow());
    this.#tellTunnels();
    if (this.#isClosed) return result;
    // A tunnel keeps a bounded number of datagrams: an owner who sends many at once must not outrun the turn that takes them.
    if (++this.#asksWaiting >= ASKS_PER_TURN) this.#transmit();
    this.#schedule();
    return result;
  }

  /** What is about to be written is the driver's, with its memory. */
  give(bytes: Uint8Array): void {
    this.#memory.give(bytes);
  }

  /** What was read and is not going to be given back. */
  handOut(bytes: Uint8Array): void {
    this.#kept.handOut(bytes.length);
  }

  /** `Endpoint.giveBack`, of which nothing follows. */
  giveBack(bytes: Uint8Array): void {
    this.#endpoint.giveBack(bytes);
  }

  /** Tells every peer, then leaves nothing behind: no socket, no timer. What it ends is still reported, and nothing after that. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #handleDatagram(route: UdpRoute, bytes: Uint8Array): number {
    if (this.#isClosed) return 0;
    const packets = this.#endpoint.handleDatagram(route, bytes, systemNow());
    this.#tellTunnels();
    this.#schedule();
    return packets;
  }

  #schedule(): void {
    if (this.#isClosed) return;
    this.#immediate ??= setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#immediate = undefined;
    if (this.#isClosed) return;
    const now = systemNow();
    if (this.#endpoint.nextTimeout() <= now) this.#endpoint.handleTimeout(now);
    try {
      this.#deliver();
    } finally {
      // Whatever a listener throws: the tunnels of others go on. What programs were told is on its way to them first, and what they
      // answer at once, still in this turn, leaves with the rest.
      process.nextTick(this.#endTurn);
    }
  };

  readonly #endTurn = (): void => {
    if (this.#isClosed) return;
    if (this.#transmit() === 'more') this.#schedule();
    this.#armTimer();
  };

  #transmit(): SendState {
    this.#asksWaiting = 0;
    const state = this.#send();
    // A key that may seal no more ends its tunnel while sending.
    this.#tellTunnels();
    return state;
  }

  /** Sends until nothing waits, the kernel takes no more, or others should have their turn. */
  #send(): SendState {
    const now = systemNow();
    for (let datagrams = 0; datagrams < DATAGRAMS_PER_TURN; ) {
      // When the socket is writable again, a turn is scheduled.
      if (this.#socket.isBusy) return 'busy';
      const transmit = this.#endpoint.pollTransmit(this.#buffer, now);
      if (transmit === undefined) return 'idle';
      datagrams += Math.max(1, this.#socket.send(transmit, this.#buffer));
    }
    return 'more';
  }

  /**
   * At once, because the streams of two tunnels with one peer carry the same numbers: whoever keeps them must know that a tunnel
   * has taken another's place before anything is asked of a stream. One at a time: what is asked for meanwhile is told after it.
   */
  #tellTunnels(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    try {
      for (let next = this.#endpoint.pollEvent(); next !== undefined; next = this.#endpoint.pollEvent()) {
        this.#listener.event(next);
      }
    } finally {
      this.#isTelling = false;
    }
  }

  #deliver(): void {
    const endpoint = this.#endpoint;
    this.#tellTunnels();
    for (let next = endpoint.pollStreamEvent(); next !== undefined; next = endpoint.pollStreamEvent()) {
      this.#listener.stream?.(next);
    }
    for (let next = endpoint.pollDatagram(); next !== undefined; next = endpoint.pollDatagram()) {
      this.#listener.datagram(next);
    }
    this.#listener.told?.();
  }

  /**
   * A timer that rings too early is left alone, and armed anew when it has rung: what is due moves on with every packet, and under
   * traffic a new timer for each would cost as much as opening one.
   */
  #armTimer(): void {
    // Rounded up, so that nothing wakes just before something is due.
    const at = Math.ceil(this.#endpoint.nextTimeout() / 1_000);
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    // What has come due meanwhile is no negative time: Node 24 warns of those.
    const left = Math.max(0, Math.ceil(at - systemNow() / 1_000));
    this.#timer = setTimeout(this.#ring, Math.min(left, TIMER_MS_MAX));
    // Whether the process lives on is the socket's to say: an owner may have let go of it.
    this.#timer.unref();
  }

  readonly #ring = (): void => {
    this.#timerAt = NEVER;
    if (this.#endpoint.nextTimeout() <= systemNow()) this.#turn();
    else this.#armTimer();
  };

  async #close(): Promise<void> {
    const now = systemNow();
    this.#isClosed = true;
    for (const tunnel of this.#endpoint.tunnels) this.#endpoint.close(tunnel.key, 'SHUTDOWN', '', now);
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    // Nothing new comes in, so this ends; a kernel that takes nothing is given up on.
    for (let state = this.#transmit(); state !== 'idle'; state = this.#transmit()) {
      await this.#socket.drained();
      if (this.#socket.isBusy) break;
    }
    this.#deliver();
    await this.#socket.close();
  }
}

/** All but `event` are called from the event loop with nothing of the driver on the stack: anything may be asked of it. */
export interface EndpointListener {
  /** Told as it happens, even while something is asked of the endpoint: this one calls no program back. */
  event(event: TunnelEvent): void;
  /** Left out by a node without streams. */
  stream?(event: PeerStreamEvent): void;
  datagram(datagram: ReceivedDatagram): void;
  /** That was all of this turn; what is asked for now still leaves in it. */
  told?(): void;
}

export interface EndpointDriverOptions
  extends Omit<EndpointOptions, 'rng' | 'parts'>,
    Pick<UdpSocketOptions, 'host' | 'port' | 'ffi' | 'createSocket'> {
  /** The system's where it is left out. */
  readonly rng?: EndpointOptions['rng'];
  readonly listener: EndpointListener;
}

type SendState = 'idle' | 'busy' | 'more';

/** As much as `pollTransmit` may write. */
const TRANSMIT_BUFFER_BYTES = DATAGRAM_BYTES_MAX;
const DATAGRAMS_PER_TURN = 64;
/** Half of what a tunnel queues. */
const ASKS_PER_TURN = 32;
/** Above this Node's timers ring at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const ON_HEAP_BYTES_MAX = 64;

/** A whole one of its own, so that it can be lent and given back; but so few bytes V8 keeps in its heap, for a tenth of the time. */
function allocate(bytes: number): Uint8Array {
  return bytes <= ON_HEAP_BYTES_MAX ? new Uint8Array(bytes) : new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
}

function free({ buffer }: Uint8Array): void {
  freeMemory(buffer);
}

/** One by one, so that nothing else comes along: `parts` is the simulator's. */
function endpointOptions(options: EndpointDriverOptions): EndpointOptions {
  const { crypto, identity, record, admit, recall, admitStream, config } = options;
  return {
    crypto,
    identity,
    record,
    admit,
    recall,
    rng: options.rng ?? new SystemRng(),
    ...(admitStream === undefined ? {} : { admitStream }),
    ...(config === undefined ? {} : { config }),
  };
}
