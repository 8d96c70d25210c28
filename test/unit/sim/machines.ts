import { type Instant, instant, NEVER } from '../../../base/time.ts';
import type { SimAddress } from '../../../sim/address.ts';
import type { OutgoingDatagram, SimMachine } from '../../../sim/machine.ts';

export interface Received {
  readonly from: string;
  readonly local: string;
  readonly bytes: Uint8Array;
  readonly at: Instant;
}

/** Sends what it is told to, keeps what it gets, and fires at the times it is given. */
export class Recorder implements SimMachine {
  readonly received: Received[] = [];
  readonly fired: Instant[] = [];
  readonly outbox: OutgoingDatagram[] = [];
  readonly timers: Instant[] = [];

  send(to: SimAddress, ...bytes: number[]): void {
    this.outbox.push({ to, bytes: Uint8Array.from(bytes) });
  }

  handleDatagram(from: SimAddress, bytes: Uint8Array, now: Instant, local: SimAddress): void {
    this.received.push({ from: from.key, local: local.key, bytes, at: now });
  }

  handleTimeout(now: Instant): void {
    this.fired.push(now);
    while (this.timers[0] !== undefined && this.timers[0] <= now) this.timers.shift();
  }

  nextTimeout(): Instant {
    return this.timers[0] ?? NEVER;
  }

  pollDatagram(_now: Instant): OutgoingDatagram | undefined {
    return this.outbox.shift();
  }
}

/** Sends one datagram with a counter to a peer every so often, and answers others in kind. */
export class Chatter implements SimMachine {
  readonly #peer: SimAddress;
  readonly #period: number;
  readonly #outbox: OutgoingDatagram[] = [];
  #next: Instant = instant(0);
  #count = 0;

  constructor(peer: SimAddress, period: number) {
    this.#peer = peer;
    this.#period = period;
  }

  handleDatagram(from: SimAddress, bytes: Uint8Array, _now: Instant): void {
    if (bytes[0] !== 1) return;
    const answer = new Uint8Array(bytes);
    answer[0] = 2;
    this.#outbox.push({ to: from, bytes: answer });
  }

  handleTimeout(now: Instant): void {
    this.#next = instant(now + this.#period);
    const bytes = new Uint8Array(100);
    bytes[0] = 1;
    new DataView(bytes.buffer).setUint32(1, this.#count++);
    this.#outbox.push({ to: this.#peer, bytes });
  }

  nextTimeout(): Instant {
    return this.#next;
  }

  pollDatagram(_now: Instant): OutgoingDatagram | undefined {
    return this.#outbox.shift();
  }
}
