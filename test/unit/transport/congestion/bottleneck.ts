import { after, type Instant, instant, MILLISECOND, NEVER, SECOND } from '../../../../base/time.ts';
import { EventQueue } from '../../../../sim/event-queue.ts';
import { SeededRng } from '../../../../sim/rng.ts';
import type { CongestionController, ControllerName } from '../../../../transport/congestion/controller.ts';
import { createController } from '../../../../transport/congestion/create.ts';
import { Receiver } from './receiver.ts';
import { Sender } from './sender.ts';

/**
 * One link that several flows share: a first-in-first-out queue that drops what does not fit, a rate, a delay, and random loss
 * in both directions. Packets are sizes and numbers; the rest is real: controllers, pacer and rate sampler as the transport
 * will drive them, loss detection after RFC 9002, a receiver that acknowledges every second packet. Time is virtual, chance
 * seeded.
 */
export interface LinkOptions {
  /** Bytes a second. */
  readonly rate: number;
  /** The round trip of an empty link, in µs. */
  readonly rtt: number;
  /** Bytes the queue holds, beside the packet on the wire. */
  readonly queue: number;
  /** The share of packets lost, data and ACKs alike. */
  readonly loss?: number;
  readonly ackLoss?: number;
  readonly mtu?: number;
  readonly seed?: number;
}

export interface FlowOptions {
  readonly controller: ControllerName;
  /** Payload bytes in all; endless where missing. */
  readonly size?: number;
  /** The flow-control window in bytes; unlimited where missing. */
  readonly credit?: number;
  readonly startAt?: number;
}

/** What of a datagram is not payload: packet header, seal and frame header. */
export const OVERHEAD = 44;

export interface FlowResult {
  /** Payload delivered for the first time, in bytes. */
  readonly delivered: number;
  readonly finishedAt: number | undefined;
  /** Payload a second over the last three quarters of `size`. */
  readonly rate: number;
  readonly sent: number;
  readonly lost: number;
  readonly controller: CongestionController;
}

type Event = {
  readonly flow: Flow;
  readonly kind: 'data' | 'ack' | 'wake' | 'delayedAck';
  readonly a: number;
  b: number;
};

export class Flow {
  readonly options: FlowOptions;
  readonly sender: Sender;
  readonly receiver: Receiver;
  readonly payload: number;
  wakeAt: Instant = NEVER;
  quarterAt: number | undefined;
  finishedAt: number | undefined;

  constructor(options: FlowOptions, mtu: number, rng: SeededRng, now: Instant) {
    this.options = options;
    this.payload = mtu - OVERHEAD;
    const segments = options.size === undefined ? undefined : Math.ceil(options.size / this.payload);
    const controller = createController(options.controller, { mtu, rng, now });
    const credit = options.credit === undefined ? undefined : Math.floor(options.credit / this.payload);
    this.sender = new Sender(controller, mtu, segments, credit, now);
    this.receiver = new Receiver();
  }

  get delivered(): number {
    return this.receiver.unique * this.payload;
  }

  get isFinished(): boolean {
    return this.finishedAt !== undefined;
  }
}

export class Bottleneck {
  readonly flows: readonly Flow[];
  #link: LinkOptions;
  readonly #mtu: number;
  readonly #events: EventQueue<Event> = new EventQueue(4_000_000);
  readonly #dataLoss: SeededRng;
  readonly #ackLoss: SeededRng;
  #now: Instant = instant(0);
  /** When the link has sent all that is queued. */
  #freeAt = 0;
  dropped = 0;
  /** The most that was queued, in bytes, since `shares` began to count. */
  queuedMost = 0;

  constructor(link: LinkOptions, flows: readonly FlowOptions[]) {
    this.#link = link;
    this.#mtu = link.mtu ?? 1_200;
    const rng = new SeededRng(link.seed ?? 1);
    this.#dataLoss = rng.fork('data');
    this.#ackLoss = rng.fork('ack');
    this.flows = flows.map((options, i) => {
      const flow = new Flow(options, this.#mtu, rng.fork(`flow ${i}`), instant(options.startAt ?? 0));
      this.#events.push(instant(options.startAt ?? 0), { flow, kind: 'wake', a: 0, b: 0 });
      return flow;
    });
  }

  get now(): number {
    return this.#now;
  }

  /** Until `end`, or until every flow with an end is finished. */
  run(end: number): void {
    let left = this.flows.filter((flow) => flow.options.size !== undefined && !flow.isFinished).length;
    const hasEnd = left > 0;
    while ((!hasEnd || left > 0) && this.#events.nextTime() <= end) {
      this.#now = this.#events.nextTime();
      const event = this.#events.pop()!;
      const { flow } = event;
      if (flow.isFinished) continue;
      this.#handle(event);
      if (flow.isFinished) left--;
    }
    if (!hasEnd || left > 0) this.#now = instant(end);
  }

  /** The link is another from now on. */
  change(link: Partial<LinkOptions>): void {
    this.#link = { ...this.#link, ...link };
  }

  /** The share of the link that each flow's payload took from `from` to `to`. */
  shares(from: number, to: number): number[] {
    this.run(from);
    const before = this.flows.map((flow) => flow.delivered);
    this.queuedMost = 0;
    this.run(to);
    const capacity = (this.#link.rate * (to - from)) / SECOND;
    return this.flows.map((flow, i) => (flow.delivered - before[i]!) / capacity);
  }

  result(index = 0): FlowResult {
    const flow = this.flows[index]!;
    const span = flow.finishedAt === undefined || flow.quarterAt === undefined ? 0 : flow.finishedAt - flow.quarterAt;
    return {
      delivered: flow.delivered,
      finishedAt: flow.finishedAt,
      rate: span === 0 ? 0 : (0.75 * flow.options.size! * SECOND) / span,
      sent: flow.sender.sent,
      lost: flow.sender.lost,
      controller: flow.sender.controller,
    };
  }

  #handle(event: Event): void {
    const { flow } = event;
    const { sender, receiver } = flow;
    switch (event.kind) {
      case 'data':
        if (receiver.onPacket(event.a, event.b, this.#now)) this.#acknowledge(flow);
        else if (receiver.ackAt !== NEVER) this.#push(receiver.ackAt, flow, 'delayedAck', 0, 0);
        this.#checkProgress(flow);
        return;
      case 'delayedAck':
        if (receiver.ackAt <= this.#now) this.#acknowledge(flow);
        return;
      case 'ack':
        sender.onAck(receiver, event.a, event.b, this.#now);
        break;
      case 'wake':
        if (flow.wakeAt > this.#now && flow.wakeAt !== NEVER) return;
        flow.wakeAt = NEVER;
        sender.onTimeout(this.#now);
        break;
    }
    sender.send(this.#now, (number, segment) => this.#enqueue(flow, number, segment));
    const wakeAt = sender.nextTimeout(this.#now);
    if (wakeAt === NEVER || flow.wakeAt === wakeAt) return;
    flow.wakeAt = wakeAt;
    this.#push(wakeAt, flow, 'wake', 0, 0);
  }

  #enqueue(flow: Flow, number: number, segment: number): void {
    const { rate, queue, rtt, loss = 0 } = this.#link;
    const queued = (Math.max(0, this.#freeAt - this.#now) * rate) / SECOND;
    if (queued > queue) {
      this.dropped++;
      return;
    }
    this.queuedMost = Math.max(this.queuedMost, queued);
    this.#freeAt = Math.max(this.#freeAt, this.#now) + (this.#mtu * SECOND) / rate;
    if (this.#dataLoss.chance(loss)) return;
    this.#push(instant(Math.ceil(this.#freeAt + rtt / 2)), flow, 'data', number, segment);
  }

  #acknowledge(flow: Flow): void {
    const count = flow.receiver.takeAck();
    if (this.#ackLoss.chance(this.#link.ackLoss ?? this.#link.loss ?? 0)) return;
    this.#push(after(this.#now, Math.floor(this.#link.rtt / 2)), flow, 'ack', count, flow.receiver.contiguous);
  }

  #checkProgress(flow: Flow): void {
    const { size } = flow.options;
    if (size === undefined) return;
    if (flow.quarterAt === undefined && flow.delivered >= size / 4) flow.quarterAt = this.#now;
    if (flow.delivered >= size) flow.finishedAt = this.#now;
  }

  #push(at: Instant, flow: Flow, kind: Event['kind'], a: number, b: number): void {
    this.#events.push(at, { flow, kind, a, b });
  }
}

/** (Σx)² / n Σx²: 1 where all get the same, 1/n where one gets everything. */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return squares === 0 ? 1 : (sum * sum) / (shares.length * squares);
}

export function mbit(n: number): number {
  return (n * 1_000_000) / 8;
}

export function ms(n: number): number {
  return n * MILLISECOND;
}
