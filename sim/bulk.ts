import { after, type Instant, SECOND } from '../base/time.ts';
import type { PeerStreamEvent } from '../transport/endpoint.ts';
import { SimFailure } from './failure.ts';
import type { SimPeer, World } from './world.ts';

/**
 * One stream from one peer to another that carries so many bytes as fast as it may, and what of it has arrived when. The bytes
 * follow from their offsets, so a gap, a repetition or a mix-up shows (reliability I1).
 */
export class BulkTransfer {
  readonly bytes: number;
  readonly #world: World;
  readonly #from: SimPeer;
  readonly #to: SimPeer;
  readonly #port: number;
  #stream = -1;
  #written = 0;
  #received = 0;
  #finished = false;
  /** When each hundredth had arrived. */
  readonly arrivals: Instant[] = [];
  readonly startedAt: Instant;

  constructor(world: World, options: { from: SimPeer; to: SimPeer; bytes: number; port: number }) {
    this.#world = world;
    this.#from = options.from;
    this.#to = options.to;
    this.bytes = options.bytes;
    this.#port = options.port;
    this.startedAt = world.network.now;
  }

  get received(): number {
    return this.#received;
  }

  get isDone(): boolean {
    return this.#finished;
  }

  get stream(): number {
    return this.#stream;
  }

  /** False where the peer's limit of streams is reached. */
  start(): boolean {
    const { network } = this.#world;
    this.#to.node.endpoint.listen(this.#port);
    const ports = { source: 50_000, destination: this.#port };
    const id = this.#from.node.endpoint.openStream(this.#to.key, ports, 1, network.now);
    if (typeof id !== 'number') return false;
    this.#stream = id;
    this.#write();
    network.touch(this.#from.host);
    return true;
  }

  /** Both peers' stream events; those of other streams are left alone. */
  handle(peer: SimPeer, event: PeerStreamEvent): void {
    const { now } = this.#world.network;
    if (peer === this.#from && event.kind === 'writable' && event.stream === this.#stream) this.#write();
    if (peer !== this.#to) return;
    if (event.kind === 'opened' && event.destinationPort === this.#port) {
      if (event.stream !== this.#stream) throw new SimFailure('I2: a stream that nobody opened');
      peer.node.endpoint.acceptStream(event.peer, event.stream, this.#port, now);
    }
    if (event.kind === 'readable' && event.stream === this.#stream) this.#read();
    if (event.kind === 'finished' && event.stream === this.#stream) this.#finish();
  }

  /** Writes what there is room for, without being told that there is. */
  pump(): void {
    if (this.#written < this.bytes) this.#write();
  }

  #write(): void {
    const { endpoint } = this.#from.node;
    const { now } = this.#world.network;
    while (this.#written < this.bytes) {
      const offset = this.#written % PATTERN_PERIOD;
      const length = Math.min(CHUNK, this.bytes - this.#written);
      const taken = endpoint.writeStream(this.#to.key, this.#stream, PATTERN.subarray(offset, offset + length), now);
      if (taken === 'ended') throw new SimFailure('the stream ended while it was written');
      this.#written += taken;
      if (taken < length) return;
    }
    endpoint.finishStream(this.#to.key, this.#stream, now);
  }

  #read(): void {
    const { endpoint } = this.#to.node;
    const { now } = this.#world.network;
    for (;;) {
      const bytes = endpoint.readStream(this.#from.key, this.#stream, now);
      if (bytes === undefined) return;
      const offset = this.#received % PATTERN_PERIOD;
      for (let i = 0; i < bytes.length; i++) {
        if (bytes[i] !== PATTERN[offset + i]) throw new SimFailure(`I1: byte ${this.#received + i} is another`);
      }
      this.#received += bytes.length;
      endpoint.giveBack(bytes);
      while (this.#received >= ((this.arrivals.length + 1) * this.bytes) / 100) this.arrivals.push(now);
    }
  }

  #finish(): void {
    if (this.#received !== this.bytes) throw new SimFailure(`I1: FIN after ${this.#received} of ${this.bytes} bytes`);
    if (this.#finished) throw new SimFailure('I1: FIN was delivered twice');
    this.#finished = true;
  }
}

export function connected(world: World, a: SimPeer, b: SimPeer): void {
  world.connect(a, b);
  if (!world.network.runUntilTrue(() => world.hasConverged(a, b), after(world.network.now, 60 * SECOND))) {
    throw world.fail('no tunnel in 60 s');
  }
}

const CHUNK = 65_536;
/** Prime, so that no power of two lines up with it. */
const PATTERN_PERIOD = 65_521;
const PATTERN: Uint8Array = Uint8Array.from(
  { length: PATTERN_PERIOD + CHUNK + 65_536 },
  (_, i) => ((i % PATTERN_PERIOD) * 31 + ((i % PATTERN_PERIOD) >> 8) * 7) & 0xff,
);
