import { after, type Instant } from '../../base/time.ts';
import { STREAM_WINDOW_INITIAL, type StreamConfig, TUNNEL_WINDOW_INITIAL, WINDOW_HALF_LIFE } from './constants.ts';
import {
  EVENT_ACKNOWLEDGED,
  EVENT_CLOSED,
  EVENT_FINISHED,
  EVENT_OPENED,
  EVENT_READABLE,
  EVENT_RESET,
  EVENT_WRITABLE,
} from './events.ts';
import { type NodeBudget, SendCredit, TunnelWindow } from './flow-control.ts';
import { CONTROL_BIT, EVENTS_BIT, Ring, Scheduler } from './scheduler.ts';
import type { Stream } from './stream.ts';
import { LocalIds, PeerIds } from './stream-ids.ts';

/**
 * What the streams of a tunnel share, and what a change in one of them leads to: its place among those that have something to
 * send or to tell, the credit that comes back, its end. Whoever changes a stream says so here.
 */
export class StreamTable {
  readonly config: StreamConfig;
  readonly budget: NodeBudget;
  readonly admit: (destinationPort: number) => number | undefined;
  readonly streams: Map<number, Stream> = new Map();
  /** Of the ids that we open. */
  readonly parity: 0 | 1;
  readonly local: LocalIds = new LocalIds();
  readonly peer: PeerIds;
  readonly credit: SendCredit = new SendCredit(TUNNEL_WINDOW_INITIAL);
  readonly window: TunnelWindow;
  readonly scheduler: Scheduler<Stream> = new Scheduler();
  /** Streams with an OPEN, RESET, STOP or MAX_STREAM_DATA to say. */
  readonly control: Ring<Stream> = new Ring(CONTROL_BIT);
  /** Streams with something to tell the application. */
  readonly events: Ring<Stream> = new Ring(EVENTS_BIT);
  maxDataIsDue = false;
  maxStreamsIsDue = false;
  /** When windows are looked at next for whether they are used. */
  #looksAt: Instant;

  constructor(options: StreamsOptions, now: Instant) {
    this.config = options.config;
    this.budget = options.budget;
    this.admit = options.admit ?? (() => undefined);
    this.parity = options.opensEven ? 0 : 1;
    this.peer = new PeerIds(options.config.peerStreamsMax);
    this.window = new TunnelWindow({ max: options.config.tunnelWindowMax, budget: options.budget }, now);
    this.#looksAt = after(now, WINDOW_HALF_LIFE);
  }

  /** An OPEN was acknowledged, or the peer speaks about the stream: either way the OPEN need not stand in packets any more. */
  peerKnows(stream: Stream): void {
    if (stream.opening === 'known') return;
    stream.opening = 'known';
    this.control.set(stream, stream.hasControlDue);
  }

  dataAcknowledged(stream: Stream, offset: number, length: number, fin: boolean): void {
    const half = stream.sending;
    if (half.isTerminal) return;
    half.onAcknowledged(offset, length, fin, this.budget);
    this.place(stream);
    if (half.takeWritable({ max: this.config.sendBufferMax, budget: this.budget })) this.tell(stream, EVENT_WRITABLE);
    if (!half.isTerminal) return;
    this.tell(stream, EVENT_ACKNOWLEDGED);
    this.closeIfThrough(stream);
  }

  /** True where a RESET is due now. */
  resetSending(stream: Stream, code: number): boolean {
    if (!stream.sending.reset(code, this.budget)) return false;
    this.untell(stream, EVENT_WRITABLE);
    this.place(stream);
    this.control.set(stream, true);
    return true;
  }

  stopReceiving(stream: Stream, code: number): void {
    const half = stream.receiving;
    const { highest, taken, ready, slack } = half;
    half.stop(code);
    this.window.moved(half.highest - highest, half.taken - taken, half.ready - ready);
    this.window.noteSlack(half.slack - slack);
    this.untell(stream, EVENT_READABLE | EVENT_FINISHED | EVENT_RESET);
    this.returnCredit(stream);
    this.closeIfThrough(stream);
  }

  refuse(stream: Stream, code: number): void {
    stream.admission = 'refused';
    this.resetSending(stream, code);
    this.stopReceiving(stream, code);
  }

  /** What the stream has to send may have changed. */
  place(stream: Stream): void {
    const { sending } = stream;
    this.scheduler.place(stream, stream.priority, sending.hasResend, sending.fresh > 0);
  }

  /** Readers took bytes, or bytes came into order for them. */
  returnCredit(stream: Stream): void {
    stream.receiving.raiseLimit();
    this.control.set(stream, stream.hasControlDue);
    this.considerCredit();
  }

  tell(stream: Stream, flag: number): void {
    stream.events |= flag;
    this.events.set(stream, (stream.events & tellable(stream)) !== 0);
  }

  /** Overtaken before it was told. */
  untell(stream: Stream, flags: number): void {
    if ((stream.events & flags) === 0) return;
    stream.events &= ~flags;
    this.events.set(stream, (stream.events & tellable(stream)) !== 0);
  }

  closeIfThrough(stream: Stream): void {
    if (!stream.isThrough) return;
    if (stream.admission === 'refused') this.forget(stream);
    else this.tell(stream, EVENT_CLOSED);
  }

  forget(stream: Stream): void {
    if (!this.streams.delete(stream.id)) return;
    this.window.shrinkStream(stream.receiving.windowSize - STREAM_WINDOW_INITIAL);
    this.scheduler.place(stream, stream.priority, false, false);
    this.control.set(stream, false);
    this.events.set(stream, false);
    if (stream.isLocal) return;
    this.peer.end();
    this.considerStreams();
  }

  considerCredit(): void {
    if (this.window.raise()) this.maxDataIsDue = true;
  }

  /** Told with every packet: idle tunnels have theirs with each keepalive. Windows of streams first: they hold up the tunnel's. */
  shrinkUnused(now: Instant): void {
    if (now < this.#looksAt) return;
    this.#looksAt = after(now, WINDOW_HALF_LIFE);
    for (const stream of this.streams.values()) stream.receiving.shrinkUnused(this.window, now);
    this.window.shrinkUnused(now);
  }

  trim(): void {
    this.scheduler.trim();
    this.control.trim();
    this.events.trim();
  }

  /** The peer opened a stream, or one of its streams has ended. */
  considerStreams(): void {
    if (this.peer.raise()) this.maxStreamsIsDue = true;
  }
}

/** What of a stream may be told now: until it is accepted only its opening; of a refused one nothing. */
export function tellable(stream: Stream): number {
  if (stream.admission === 'accepted') return ~0;
  return stream.admission === 'waiting' ? EVENT_OPENED : 0;
}

export interface StreamsOptions {
  /** Whether ours is the lower identity key. */
  readonly opensEven: boolean;
  readonly config: StreamConfig;
  readonly budget: NodeBudget;
  /** Why a stream of the peer to that port is refused at once (REFUSALS); `undefined` lets it wait to be accepted. */
  readonly admit?: (destinationPort: number) => number | undefined;
}
