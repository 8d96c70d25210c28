import { expect } from 'vitest';
import type { SeededRng } from '../../sim/rng.ts';
import type { PeerStreamEvent } from '../../transport/endpoint.ts';
import { byteAt, bytesAt, type Life } from './authenticated-peer.ts';
import { EDGES } from './authenticated-peer-tricks.ts';

/** Programs without sense, with a temper of their own. Whatever they are given is held against what the peer may have sent. */
export class Programs {
  readonly life: Life;
  readonly rng: SeededRng;
  readonly #waiting: { readonly stream: number; readonly port: number }[] = [];
  readonly #mine: number[] = [];
  readonly #written: Map<number, number> = new Map();
  readonly #read: Map<number, number> = new Map();
  readonly #closed: Set<number> = new Set();
  readonly #told: Set<number> = new Set();
  readonly #diligence: number;
  readonly #reads: number;
  readonly #writes: number;

  constructor(life: Life) {
    this.life = life;
    this.rng = life.rng.fork('programs');
    this.#diligence = this.rng.pick([0.05, 0.5, 1]);
    this.#reads = this.rng.pick([0, 0.1, 1]);
    this.#writes = this.rng.pick([0, 0.3, 1]);
    life.endpoint.listen(80);
    life.endpoint.listen(81, 3);
  }

  act(): void {
    const { life, rng } = this;
    const { endpoint, key } = life;
    if (rng.chance(this.#diligence)) this.#listenToEvents();
    if (rng.chance(this.#diligence)) this.#answerOpens();
    if (rng.chance(0.2)) {
      const port = rng.below(100);
      const id = endpoint.openStream(key, { source: 1, destination: port }, rng.pick([0, 1, 2]), life.now);
      if (typeof id === 'number') this.#mine.push(id);
    }
    for (const stream of this.#mine) {
      if (rng.chance(this.#reads * 0.5)) this.#readSome(stream, rng.pick([1, Number.POSITIVE_INFINITY]));
      if (rng.chance(this.#writes * 0.2)) this.#write(stream, rng.below(rng.pick([50, 5_000, 100_000])));
      if (rng.chance(0.01)) endpoint.finishStream(key, stream, life.now);
      if (rng.chance(0.01)) endpoint.resetStream(key, stream, rng.pick(EDGES), life.now);
      if (rng.chance(0.01)) endpoint.stopStream(key, stream, rng.pick(EDGES), life.now);
    }
    if (rng.chance(0.05))
      endpoint.sendDatagram(key, { source: 1, destination: 2 }, bytesAt(0, rng.below(1_300)), life.now);
    if (rng.chance(0.3)) while (endpoint.pollDatagram() !== undefined);
    if (rng.chance(0.3)) while (endpoint.pollEvent() !== undefined);
    life.take();
  }

  #answerOpens(): void {
    const { endpoint, key, now } = this.life;
    for (const { stream, port } of this.#waiting.splice(0)) {
      if (this.rng.chance(0.2)) endpoint.refuseStream(key, stream, port, now);
      else {
        endpoint.acceptStream(key, stream, port, now);
        this.#mine.push(stream);
      }
    }
  }

  #write(stream: number, length: number): void {
    const from = this.#written.get(stream) ?? 0;
    const taken = this.life.endpoint.writeStream(this.life.key, stream, bytesAt(from, length), this.life.now);
    if (taken !== 'ended') this.#written.set(stream, from + taken);
  }

  #readSome(stream: number, most: number): void {
    const { endpoint, key, now } = this.life;
    for (let i = 0; i < most; i++) {
      const bytes = endpoint.readStream(key, stream, now);
      if (bytes === undefined) return;
      const from = this.#read.get(stream) ?? 0;
      this.#read.set(stream, from + bytes.length);
      // The top bit is free for another version of the same byte.
      const wrong = bytes.findIndex((byte, i) => (byte & 0x7f) !== byteAt(from + i));
      if (wrong >= 0) expect.fail(`stream ${stream}: a byte at ${from + wrong} that the peer never sent`);
    }
  }

  #listenToEvents(): void {
    const { endpoint } = this.life;
    for (let event = endpoint.pollStreamEvent(); event !== undefined; event = endpoint.pollStreamEvent()) {
      this.#hear(event);
    }
  }

  #hear(event: PeerStreamEvent): void {
    if (event.kind === 'streams-available') return;
    const { stream } = event;
    if (this.#closed.has(stream)) expect.fail(`stream ${stream}: ${event.kind} after closed`);
    if (event.kind === 'closed') this.#closed.add(stream);
    if (event.kind !== 'opened') return;
    if (this.#told.has(stream)) expect.fail(`stream ${stream} is told twice`);
    this.#told.add(stream);
    this.#waiting.push({ stream, port: event.destinationPort });
  }
}
