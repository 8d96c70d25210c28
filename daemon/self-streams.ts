import type { WarrenError } from '../base/errors.ts';
import type { PeerName, StreamEnd, StreamListener } from '../ipc/host.ts';
import { SharedQuota, type Standing } from '../ipc/shared-quota.ts';
import { WRITABLE_SHARE } from '../transport/streams/constants.ts';
import { CLOSE_CODES } from '../wire/close-codes.ts';
import type { Priority } from '../wire/frames.ts';
import { ByteQueue } from './byte-queue.ts';
import { type PortListener, WaitingStream } from './listening.ts';
import type { Notices } from './notices.ts';
import { noFreePort, type PortTable } from './ports.ts';
import {
  StreamEndBase,
  type StreamEndOptions,
  TELL_ACKNOWLEDGED,
  TELL_FINISHED,
  TELL_READABLE,
  TELL_WRITABLE,
} from './stream-end.ts';
import { localLimit, refusal, resetError } from './stream-errors.ts';

/** Streams of a node to itself; with `SELF_WINDOW_BYTES` in each direction they hold 128 MiB at the most, in twice as much memory. */
export const SELF_STREAMS_MAX = 1_024;
/** Of these, those that programs on `app.sock` leave to the owner. */
export const SELF_STREAMS_KEPT = 16;
/** What one end may have written and the other not yet read. */
export const SELF_WINDOW_BYTES: number = 64 * 1_024;

/**
 * Streams from a node to itself. There is no tunnel to oneself, and no need of one: both ends lie here, and what one writes the
 * other reads. In everything a program can see they are as streams over a tunnel: backlog, refusal, backpressure, half-close,
 * giving up.
 */
export class SelfStreams {
  readonly #self: PeerName;
  readonly #notices: Notices;
  readonly #ports: PortTable<PortListener>;
  /** Those that dialled, and for whom, until they are over. */
  readonly #dialled: Map<SelfStream, Standing> = new Map();
  readonly #quota: SharedQuota = new SharedQuota(SELF_STREAMS_MAX, SELF_STREAMS_KEPT);
  /** The other ends. */
  readonly #taken: Set<SelfStream> = new Set();

  constructor(self: PeerName, notices: Notices, ports: PortTable<PortListener>) {
    this.#self = self;
    this.#notices = notices;
    this.#ports = ports;
  }

  get count(): number {
    return this.#dialled.size + this.#taken.size;
  }

  get all(): readonly SelfStream[] {
    return [...this.#dialled.keys(), ...this.#taken];
  }

  dial(port: number, priority: Priority, listener: StreamListener, standing: Standing): SelfStream {
    const localPort = this.#ports.lend(standing);
    const near = this.#end({ peer: this.#self, localPort: localPort ?? 0, remotePort: port, listener, taken: false });
    const error = localPort === undefined ? noFreePort() : this.#refusal(port, standing);
    this.#dialled.set(near, standing);
    this.#quota.add(standing);
    const far = this.#end({ peer: this.#self, localPort: port, remotePort: near.localPort, taken: true });
    near.join(far);
    far.join(near);
    if (error !== undefined) near.fail(error);
    else this.#arrive(near, far, priority);
    return near;
  }

  #arrive(near: SelfStream, far: SelfStream, priority: Priority): void {
    const onTaken = (): void => {
      // Its dialler may have given it up meanwhile; then there is only that to tell.
      if (!far.isOver) this.#taken.add(far);
    };
    new IncomingSelfStream({ near, far, priority, onTaken }, this.#ports.get(near.remotePort)!, this.#notices);
  }

  #refusal(port: number, standing: Standing): WarrenError | undefined {
    if (!this.#quota.hasRoom(standing)) return localLimit('streams to itself', this.#quota.maxFor(standing));
    const listener = this.#ports.get(port);
    if (listener === undefined) return refusal(this.#self, port, CLOSE_CODES.NO_LISTENER);
    if (listener.waitingCount >= listener.backlog) return refusal(this.#self, port, CLOSE_CODES.BACKLOG_FULL);
    return undefined;
  }

  #end(options: StreamEndOptions): SelfStream {
    return new SelfStream(options, this.#notices, (end) => {
      this.#taken.delete(end);
      const standing = this.#dialled.get(end);
      if (standing === undefined) return;
      this.#dialled.delete(end);
      this.#quota.remove(standing);
      this.#ports.giveBack(end.localPort);
    });
  }
}

/** One end. What lies in it was written by the other and waits to be read. */
export class SelfStream extends StreamEndBase {
  readonly #onOver: (end: SelfStream) => void;
  #other: SelfStream | undefined;
  readonly #inbox: ByteQueue = new ByteQueue();
  /** Nothing more will come than what lies here. */
  #isEnding = false;
  #isReading = true;
  #isWriting = true;
  #userWaits = false;
  #givenUpBy: WarrenError | undefined;

  constructor(options: StreamEndOptions, notices: Notices, onOver: (end: SelfStream) => void) {
    super(options, notices);
    this.#onOver = onOver;
  }

  join(other: SelfStream): void {
    this.#other = other;
  }

  read(): Uint8Array | undefined {
    const bytes = this.#inbox.peek();
    if (bytes === undefined) return undefined;
    this.#inbox.drop(bytes.length);
    this.#other?.makeRoom(SELF_WINDOW_BYTES - this.#inbox.length);
    this.#finishReading();
    return bytes;
  }

  write(data: Uint8Array): number | 'ended' {
    if (this.isOver || !this.#isWriting) return 'ended';
    const taken = this.#other?.receive(data) ?? 0;
    if (taken < data.length) this.#userWaits = true;
    return taken;
  }

  finish(): void {
    if (this.isOver || !this.#isWriting) return;
    this.#isWriting = false;
    this.note(TELL_ACKNOWLEDGED);
    this.#other?.receiveEnd();
    this.#settle();
  }

  /** Nobody took it, or nobody can. */
  fail(error: WarrenError): void {
    if (this.isOver) return;
    this.#givenUpBy = error;
    this.giveUpWriting(CLOSE_CODES.CANCELLED);
    this.giveUpReading(CLOSE_CODES.CANCELLED);
    this.over(error);
  }

  accept(listener: StreamListener): void {
    this.attach(listener);
    this.#other?.connected();
  }

  protected giveUpWriting(code: number): void {
    if (!this.#isWriting) return;
    this.#isWriting = false;
    this.#other?.receiveReset(code);
    this.#settle();
  }

  protected giveUpReading(code: number): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    this.#empty();
    if (!this.#isEnding) this.#other?.receiveStop(code);
    this.#settle();
  }

  protected release(): void {
    this.#empty();
    this.#onOver(this);
  }

  // What the other end does to this one.

  /** How much was taken, as copies: the writer may not touch what the reader is handed, nor the reader what was written. */
  protected receive(data: Uint8Array): number {
    const taken = Math.min(data.length, SELF_WINDOW_BYTES - this.#inbox.length);
    if (taken === 0) return 0;
    if (this.#inbox.length === 0) this.note(TELL_READABLE);
    this.#inbox.append(data.subarray(0, taken));
    return taken;
  }

  protected receiveEnd(): void {
    this.#isEnding = true;
    this.#finishReading();
  }

  protected receiveReset(code: number): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    this.#empty();
    this.#givenUpBy ??= resetError(this.peer, code);
    this.noteReset(code);
    this.#settle();
  }

  protected receiveStop(code: number): void {
    if (!this.#isWriting) return;
    this.#isWriting = false;
    this.#givenUpBy ??= resetError(this.peer, code);
    this.noteStopped(code);
    this.#settle();
  }

  protected makeRoom(room: number): void {
    if (!this.#userWaits || room < WRITABLE_SHARE * SELF_WINDOW_BYTES) return;
    this.#userWaits = false;
    this.note(TELL_WRITABLE);
  }

  #finishReading(): void {
    if (!this.#isEnding || !this.#isReading || this.#inbox.length > 0) return;
    this.#isReading = false;
    this.note(TELL_FINISHED);
    this.#settle();
  }

  #empty(): void {
    this.#inbox.clear();
  }

  #settle(): void {
    if (!this.#isReading && !this.#isWriting) this.over(this.#givenUpBy);
  }
}

/** The far end, while it waits to be taken. */
class IncomingSelfStream extends WaitingStream {
  readonly #options: IncomingSelfOptions;

  constructor(options: IncomingSelfOptions, listener: PortListener, notices: Notices) {
    const { far, priority } = options;
    const { peer, localPort, remotePort } = far;
    super({ peer, localPort, remotePort, priority }, listener, notices);
    this.#options = options;
  }

  protected take(listener: StreamListener): StreamEnd {
    const { far, onTaken } = this.#options;
    onTaken();
    far.accept(listener);
    return far;
  }

  protected turnAway(): void {
    const { near } = this.#options;
    const error = refusal(near.peer, near.remotePort, CLOSE_CODES.NO_LISTENER);
    if (error !== undefined) near.fail(error);
  }
}

interface IncomingSelfOptions {
  readonly near: SelfStream;
  readonly far: SelfStream;
  readonly priority: Priority;
  readonly onTaken: () => void;
}
