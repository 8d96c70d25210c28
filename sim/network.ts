import { assert, assertNever } from '../base/assert.ts';
import { after, type Instant, instant, NEVER } from '../base/time.ts';
import { type SimAddress, simAddress } from './address.ts';
import { RunningDigest } from './digest.ts';
import { EventQueue } from './event-queue.ts';
import { locate, SimFailure } from './failure.ts';
import { Host } from './host.ts';
import { type Delivery, Link, type LinkStats } from './link.ts';
import { type Corruption, type LinkConfig, PERFECT_LINK } from './link-config.ts';
import type { OutgoingDatagram, SimMachine } from './machine.ts';
import { SeededRng } from './rng.ts';
import {
  ADVERSARY,
  type Adversary,
  type DropCause,
  NOBODY,
  type Observer,
  type Origin,
  type WireEvent,
} from './wire-event.ts';

/**
 * Hosts, the links between them, one clock and one queue of events. Time moves only from event to event, every draw comes from
 * the seed, and nothing depends on the world outside: a seed replays exactly, which `digest` shows.
 *
 * A host has a name, addresses and, while it runs, a machine. Links belong to ordered pairs of host names, so they outlive a
 * crash and follow a host that changes its addresses. The life of a host:
 *
 *   addHost ─ attach ─┬─ crash (the machine is gone, the addresses stay) ─ attach (a restart) …
 *                     ├─ pause (nothing reaches it, its timers wait) ─ resume (timers due since then fire at once)
 *                     └─ removeHost (the addresses are gone too)
 *
 * After every input a machine is polled until it gives no datagram, then asked for its next timeout. It is woken once for each
 * timeout it still wants when that comes, never for one it has given up.
 *
 * A datagram is routed by its destination when it is sent, to know its link, and again when it lands: an address may have moved.
 * Anything that breaks a rule, an error thrown by a machine included, ends the run as a `SimFailure` with seed, time and host.
 */
export class Network {
  readonly seed: number;
  readonly #rng: SeededRng;
  readonly #queue: EventQueue<SimEvent>;
  readonly #eventsMax: number;
  readonly #digest = new RunningDigest();
  readonly #hosts = new Map<string, Host>();
  readonly #routes = new Map<string, Host>();
  readonly #links = new Map<string, Map<string, Edge>>();
  readonly #drops: Record<DropCause, number> = { ...NO_DROPS };
  readonly #observers: Observer[] = [];
  #adversary: Adversary | undefined;
  #defaultLink: Partial<LinkConfig>;
  #now: Instant = instant(0);
  #eventsAtThisInstant = 0;
  #eventsDone = 0;
  #hostsMade = 0;
  /** The last number given to a datagram. */
  #datagrams = 0;
  /** Events in the queue that are not wakes. */
  #eventsPending = 0;

  constructor(options: NetworkOptions) {
    this.seed = options.seed;
    this.#rng = new SeededRng(options.seed);
    this.#defaultLink = options.link ?? {};
    this.#eventsMax = options.eventsMax ?? EVENTS_MAX;
    this.#queue = new EventQueue(this.#eventsMax);
  }

  get now(): Instant {
    return this.#now;
  }

  /** Events done since the start. */
  get eventsDone(): number {
    return this.#eventsDone;
  }

  /** Datagrams dropped so far, those of all links included. */
  get drops(): Readonly<Record<DropCause, number>> {
    return { ...this.#drops };
  }

  /** Over every datagram sent, injected and delivered, with its time and addresses, and every note. */
  digest(): string {
    return this.#digest.hex();
  }

  /** A stream of the run's seed for whoever scripts the run. The network's own labels start with `network`. */
  rng(label: string): SeededRng {
    return this.#rng.fork(label);
  }

  // Hosts

  addHost(options: HostOptions): void {
    const { name, addresses, machine, timerLateness = 0 } = options;
    assert(!this.#hosts.has(name), `host ${name} exists`);
    assert(this.#hosts.size < HOSTS_MAX, 'hosts are bounded');
    const host = new Host(name, this.#rng.fork(`network host ${++this.#hostsMade} ${name}`));
    this.#hosts.set(name, host);
    this.#setAddresses(host, addresses);
    this.setTimerLateness(name, timerLateness);
    if (machine !== undefined) this.attach(name, machine);
  }

  /** Starts or restarts a host. */
  attach(name: string, machine: SimMachine): void {
    const host = this.#host(name);
    assert(host.machine === undefined, `host ${name} runs`);
    host.machine = machine;
    host.spins = 0;
    this.#settle(host);
  }

  /** The machine is gone without a word; datagrams to its addresses are dropped as `unattached`. */
  crash(name: string): void {
    const host = this.#host(name);
    host.machine = undefined;
    this.#settle(host);
  }

  removeHost(name: string): void {
    const host = this.#host(name);
    host.machine = undefined;
    host.disarm();
    this.#setAddresses(host, []);
    this.#hosts.delete(name);
  }

  /** A suspended host: what reaches it is dropped, its timers do not fire. */
  pause(name: string): void {
    const host = this.#host(name);
    host.isPaused = true;
    host.disarm();
  }

  resume(name: string): void {
    const host = this.#host(name);
    host.isPaused = false;
    this.#settle(host);
  }

  /** From now on it sends from and receives at these, and no others; with none it is offline. The machine is not told. */
  rebind(name: string, addresses: readonly SimAddress[]): void {
    this.#setAddresses(this.#host(name), addresses);
  }

  /** Each of its timers fires late by a uniform 0 to `most`, drawn when the timer is set. */
  setTimerLateness(name: string, most: number): void {
    assert(Number.isSafeInteger(most) && most >= 0, 'lateness is whole microseconds');
    this.#host(name).timerLateness = most;
  }

  /** After calling a machine from outside an event: sends what it has and looks at its timer. */
  touch(name: string): void {
    this.#settle(this.#host(name));
  }

  /** How often its timer has fired, restarts included. */
  timeouts(name: string): number {
    return this.#host(name).timeouts;
  }

  // Links

  linkStats(from: string, to: string): LinkStats {
    return this.#edge(from, to).link.stats;
  }

  linkConfig(from: string, to: string): LinkConfig {
    return this.#edge(from, to).link.config;
  }

  /** What differs from the default on this link; replaces what was set for it before. */
  setLink(from: string, to: string, config: Partial<LinkConfig>): void {
    const edge = this.#edge(from, to);
    edge.config = config;
    this.#configure(edge);
  }

  /** For every link, except for what `setLink` set on it. */
  setDefaultLink(config: Partial<LinkConfig>): void {
    this.#defaultLink = config;
    for (const row of this.#links.values()) for (const edge of row.values()) this.#configure(edge);
  }

  /** Every link as the default: what `setLink` set is gone. */
  resetLinks(): void {
    for (const row of this.#links.values()) for (const edge of row.values()) edge.config = {};
    this.setDefaultLink(this.#defaultLink);
  }

  // Scripts and witnesses

  /**
   * Runs the action at that time, not before now. It may do anything, calling machines included: afterwards the host named is
   * settled as after any input, or every host where none is named.
   */
  at(time: Instant, action: () => void, host?: string): void {
    this.#schedule(time < this.#now ? this.#now : time, { kind: 'action', action, host });
  }

  observe(observer: Observer): void {
    this.#observers.push(observer);
  }

  /** Sees each datagram a host sends before its link does, and may drop it; `inject` is its voice. */
  setAdversary(adversary: Adversary | undefined): void {
    this.#adversary = adversary;
  }

  /** A forged datagram: straight to its destination, past all links. */
  inject(datagram: Injection): void {
    const { from, to, delay = 0, copyOf, corruption } = datagram;
    const bytes = new Uint8Array(datagram.bytes);
    this.#mix('injected', from, to, bytes);
    const id = copyOf ?? ++this.#datagrams;
    const envelope: Envelope = { id, fromHost: ADVERSARY, toHost: NOBODY, from, to };
    const copy: Copy = { envelope, bytes, origin: 'injected', ...(corruption === undefined ? {} : { corruption }) };
    this.#schedule(after(this.#now, delay), { kind: 'injection', copy });
  }

  /** Something an application saw: part of the digest, and told to the observers. */
  note(host: string, text: string): void {
    this.#digest.text('note');
    this.#digest.number(this.#now);
    this.#digest.text(host);
    this.#digest.text(text);
    for (const observer of this.#observers) observer.note?.({ time: this.#now, host, text });
  }

  /** A failure at this place of the run, for checkers to throw. */
  failure(reason: string, host?: string): SimFailure {
    return new SimFailure(reason, { seed: this.seed, time: this.#now, host });
  }

  // Running

  /** Does everything that is due up to `time`; the clock then stands there. */
  runUntil(time: Instant): void {
    while (this.#queue.nextTime() <= time) this.#step();
    if (this.#now < time) this.#moveClock(time);
  }

  /** Until no datagram is on its way, no timer set and no action left; false where `limit` came first. */
  runUntilIdle(limit: Instant): boolean {
    return this.runUntilTrue(() => this.#isIdle(), limit);
  }

  /** Until the condition holds, which is asked after every event; false where it does not by `limit`. */
  runUntilTrue(condition: () => boolean, limit: Instant): boolean {
    while (!condition()) {
      if (this.#queue.size === 0) return false;
      if (this.#queue.nextTime() > limit) {
        if (this.#now < limit) this.#moveClock(limit);
        return false;
      }
      this.#step();
    }
    return true;
  }

  #isIdle(): boolean {
    if (this.#eventsPending > 0) return false;
    for (const host of this.#hosts.values()) if (host.fireAt !== NEVER) return false;
    return true;
  }

  #step(): void {
    const time = this.#queue.nextTime();
    const event = this.#queue.pop()!;
    if (time > this.#now) this.#moveClock(time);
    this.#eventsDone++;
    if (event.kind !== 'wake') this.#eventsPending--;
    // Two machines that answer each other over a link without delay would keep time from ever moving on.
    if (++this.#eventsAtThisInstant > this.#eventsMax) throw this.failure('time stands still');
    try {
      this.#perform(event);
    } catch (error) {
      throw locate(error, { seed: this.seed, time: this.#now, host: undefined });
    }
  }

  #perform(event: SimEvent): void {
    switch (event.kind) {
      case 'arrival':
        this.#arrive(event.edge, event.delivery);
        return;
      case 'injection':
        this.#receive(event.copy);
        return;
      case 'wake':
        this.#wake(event.host);
        return;
      case 'action':
        event.action();
        if (event.host === undefined) for (const host of this.#hosts.values()) this.#settle(host);
        else if (this.#hosts.has(event.host)) this.touch(event.host);
        return;
      default:
        assertNever(event);
    }
  }

  #moveClock(time: Instant): void {
    this.#now = time;
    this.#eventsAtThisInstant = 0;
  }

  #schedule(time: Instant, event: SimEvent): void {
    if (!this.#queue.push(time, event)) throw this.failure(`more than ${this.#eventsMax} events are queued`);
    if (event.kind !== 'wake') this.#eventsPending++;
  }

  // Datagrams

  #transmit(host: Host, outgoing: OutgoingDatagram): void {
    const { to, bytes } = outgoing;
    const wanted = outgoing.from;
    const first = host.addresses[0];
    const from = wanted !== undefined && this.#routes.get(wanted.key) === host ? wanted : (first ?? NO_ADDRESS);
    // A host without an address has no network: what it sends goes nowhere.
    const target = first === undefined ? undefined : this.#routes.get(to.key);
    const toHost = target?.name ?? NOBODY;
    const envelope: Envelope = { id: ++this.#datagrams, fromHost: host.name, toHost, from, to };
    const copy: Copy = { envelope, bytes, origin: 'original' };
    this.#mix('sent', from, to, bytes);
    this.#report('sent', copy);
    const isTaken = this.#adversary?.({ time: this.#now, ...envelope, bytes }) === 'drop';
    if (isTaken || target === undefined) {
      this.#drop(copy, isTaken ? 'adversary' : 'unroutable');
      return;
    }
    const edge = this.#edge(host.name, toHost);
    const { deliveries, dropped } = edge.link.send(bytes, envelope, this.#now);
    if (dropped !== undefined) this.#drop(copy, dropped);
    for (const delivery of deliveries) this.#schedule(delivery.at, { kind: 'arrival', edge, delivery });
  }

  #arrive(edge: Edge, delivery: Delivery<Envelope>): void {
    const drop = edge.link.land(delivery);
    if (drop === undefined) this.#receive(delivery);
    else this.#drop(delivery, drop);
  }

  #receive(copy: Copy): void {
    const { from, to } = copy.envelope;
    const host = this.#routes.get(to.key);
    if (host === undefined || !host.isRunning) {
      this.#drop(copy, host === undefined ? 'unroutable' : host.isPaused ? 'paused' : 'unattached', host?.name);
      return;
    }
    this.#mix('delivered', from, to, copy.bytes);
    this.#report('delivered', copy, undefined, host.name);
    host.spins = 0;
    this.#feed(host, (machine) => machine.handleDatagram(from, copy.bytes, this.#now, to));
  }

  #drop(copy: Copy, cause: DropCause, at?: string): void {
    this.#drops[cause]++;
    this.#report('dropped', copy, cause, at);
  }

  /** `at` is the host where it landed; on the wire that is not known yet, and the one it was sent to stands in. */
  #report(fate: WireEvent['fate'], copy: Copy, cause?: DropCause, at?: string): void {
    if (this.#observers.length === 0) return;
    const { envelope, bytes, origin, corruption } = copy;
    const { id, fromHost, from, to } = envelope;
    const toHost = at ?? envelope.toHost;
    const time = this.#now;
    const event: WireEvent = { time, fate, cause, id, fromHost, toHost, from, to, bytes, origin, corruption };
    for (const observer of this.#observers) observer.datagram?.(event);
  }

  #mix(fate: string, from: SimAddress, to: SimAddress, bytes: Uint8Array): void {
    const digest = this.#digest;
    digest.text(fate);
    digest.number(this.#now);
    digest.text(from.key);
    digest.text(to.key);
    digest.bytes(bytes);
  }

  // Machines

  /** One input to a machine: afterwards it sends all it has to send, then its timer is set. */
  #feed(host: Host, input: (machine: SimMachine) => void): void {
    assert(!host.isBusy, `host ${host.name} is fed inside of another input`);
    host.isBusy = true;
    try {
      if (host.isRunning) input(host.machine!);
      for (let sent = 0; host.isRunning; sent++) {
        const outgoing = host.machine!.pollDatagram(this.#now);
        if (outgoing === undefined) break;
        if (sent === DRAIN_MAX) throw this.failure(`gives more than ${DRAIN_MAX} datagrams at one input`, host.name);
        this.#transmit(host, outgoing);
      }
      this.#arm(host);
    } catch (error) {
      throw locate(error, { seed: this.seed, time: this.#now, host: host.name });
    } finally {
      host.isBusy = false;
    }
  }

  /** A host that touches itself while it is being fed gets its turn anyway. */
  #settle(host: Host): void {
    if (!host.isBusy) this.#feed(host, NO_INPUT);
  }

  #arm(host: Host): void {
    const machine = host.machine;
    if (machine === undefined || host.isPaused) {
      host.disarm();
      return;
    }
    const wanted = machine.nextTimeout();
    if (wanted !== NEVER && !Number.isSafeInteger(wanted)) {
      throw this.failure(`wants a timeout at ${wanted}, no whole microsecond`, host.name);
    }
    host.arm(wanted, this.#now);
    this.#queueWake(host);
  }

  /**
   * The wakes of a host that are queued form a stack, the earliest on top: one is added only where it comes before all others,
   * so a timer that is put off again and again, or set early and late in turn, does not fill the queue.
   */
  #queueWake(host: Host): void {
    const { fireAt, wakes } = host;
    if (fireAt === NEVER || (wakes.length > 0 && wakes[wakes.length - 1]! <= fireAt)) return;
    wakes.push(fireAt);
    this.#schedule(fireAt, { kind: 'wake', host });
  }

  #wake(host: Host): void {
    const due = host.wakes.pop();
    assert(due === this.#now, 'wakes come in the order of their stack');
    if (host.fireAt > this.#now) {
      this.#queueWake(host);
      return;
    }
    host.disarm();
    host.timeouts++;
    this.#feed(host, (machine) => machine.handleTimeout(this.#now));
    // Invariant I8: a timer that is served and still wants to fire.
    host.spins = host.timerAt <= this.#now ? host.spins + 1 : 0;
    if (host.spins > SPINS_MAX) {
      throw this.failure(`nextTimeout stays at ${host.timerAt} after ${SPINS_MAX} calls of handleTimeout`, host.name);
    }
  }

  // Tables

  #host(name: string): Host {
    const host = this.#hosts.get(name);
    assert(host !== undefined, `no host ${name}`);
    return host;
  }

  #setAddresses(host: Host, addresses: readonly SimAddress[]): void {
    for (const address of host.addresses) this.#routes.delete(address.key);
    for (const address of addresses) {
      assert(!this.#routes.has(address.key), `address ${address.key} is taken`);
      this.#routes.set(address.key, host);
    }
    host.addresses = [...addresses];
  }

  #edge(from: string, to: string): Edge {
    let row = this.#links.get(from);
    if (row === undefined) {
      row = new Map();
      this.#links.set(from, row);
    }
    let edge = row.get(to);
    if (edge === undefined) {
      const rng = this.#rng.fork(`network link from ${from}`).fork(`to ${to}`);
      edge = { link: new Link(rng, this.#defaultLink), config: {} };
      row.set(to, edge);
    }
    return edge;
  }

  #configure(edge: Edge): void {
    edge.link.configure({ ...PERFECT_LINK, ...this.#defaultLink, ...edge.config }, this.#now);
  }
}

/** Events queued, and events at one instant. */
export const EVENTS_MAX = 1_000_000;
export const HOSTS_MAX = 4_096;
/** Datagrams a machine may give at one input. */
export const DRAIN_MAX = 100_000;
/** Calls of `handleTimeout` in a row, without an input, that leave the timer due. */
export const SPINS_MAX = 100;

export interface NetworkOptions {
  readonly seed: number;
  /** What differs from `PERFECT_LINK` on every link. */
  readonly link?: Partial<LinkConfig>;
  readonly eventsMax?: number;
}

export interface HostOptions {
  readonly name: string;
  /** The first is the one it sends from. */
  readonly addresses: readonly SimAddress[];
  readonly machine?: SimMachine | undefined;
  readonly timerLateness?: number;
}

const NO_ADDRESS = simAddress('none', 0);

const NO_INPUT = (): void => {};

const NO_DROPS: Record<DropCause, number> = {
  lost: 0,
  queueDropped: 0,
  tooBig: 0,
  down: 0,
  adversary: 0,
  unroutable: 0,
  unattached: 0,
  paused: 0,
};

export interface Injection {
  /** Any address, its own or not. */
  readonly from: SimAddress;
  readonly to: SimAddress;
  readonly bytes: Uint8Array;
  readonly delay?: number;
  /** The number of the datagram it was made from, and what was done to it. */
  readonly copyOf?: number;
  readonly corruption?: Corruption;
}

interface Envelope {
  readonly id: number;
  readonly fromHost: string;
  /** Where the address led when it was sent. */
  readonly toHost: string;
  readonly from: SimAddress;
  readonly to: SimAddress;
}

/** A datagram or a copy of it, on the wire or at its end. */
interface Copy {
  readonly envelope: Envelope;
  readonly bytes: Uint8Array;
  readonly origin: Origin;
  readonly corruption?: Corruption;
}

interface Edge {
  readonly link: Link<Envelope>;
  config: Partial<LinkConfig>;
}

type SimEvent =
  | { readonly kind: 'arrival'; readonly edge: Edge; readonly delivery: Delivery<Envelope> }
  | { readonly kind: 'injection'; readonly copy: Copy }
  | { readonly kind: 'wake'; readonly host: Host }
  | { readonly kind: 'action'; readonly action: () => void; readonly host: string | undefined };
