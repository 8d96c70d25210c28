import type { WarrenError } from '../base/errors.ts';
import type { Handover, StreamListener } from '../ipc/host.ts';
import type { Standing } from '../ipc/shared-quota.ts';
import type { PeerStreamEvent } from '../transport/endpoint.ts';
import type { UnreadStream } from '../transport/streams/streams.ts';
import type { Priority } from '../wire/frames.ts';
import { ByteQueue } from './byte-queue.ts';
import type { EndpointDriver } from './endpoint-driver.ts';
import type { Notices } from './notices.ts';
import {
  StreamEndBase,
  type StreamEndOptions,
  TELL_ACKNOWLEDGED,
  TELL_FINISHED,
  TELL_READABLE,
  TELL_WRITABLE,
} from './stream-end.ts';
import { refusal, resetError } from './stream-errors.ts';

/** What a stream takes before it has a place in a tunnel: the beginning of a request, not a file. */
export const EARLY_BYTES_MAX: number = 16 * 1_024;

/**
 * A stream to another node, as its user has it.
 *
 *   waiting ──a tunnel has a place──▸ placed ──taken, or refused──▸ … ──▸ over
 *      ▴                                 │
 *      └── the peer had restarted, nothing was written ──┘
 *
 * While it waits it keeps what is written, finished and given up, and says it to the tunnel once there is one. A dial that ran
 * into a peer's restart goes on in the new tunnel where nothing had been written: nobody can have got it twice.
 */
export class TunnelStream extends StreamEndBase {
  readonly priority: Priority;
  /** Here, by a listener's program; the far side dialled. */
  readonly wasTaken: boolean;
  readonly standing: Standing;
  readonly #table: StreamTable;
  /** -1 while it waits. */
  #id = -1;
  /** Written, and not yet taken by the tunnel. */
  #early: ByteQueue | undefined;
  /** Something has gone into a tunnel: dialling anew might say it twice. */
  #hasSaid = false;
  #userWaits = false;
  #isFinishing = false;
  #writingGivenUp: number | undefined;
  #readingGivenUp: number | undefined;
  /** Its tunnel is gone; so much is left to read. */
  #left: { readonly data: Uint8Array[]; readonly isWhole: boolean; readonly error: WarrenError } | undefined;
  /** By the far program; the first one counts. */
  #givenUpBy: WarrenError | undefined;
  #isDelivered = false;

  constructor(table: StreamTable, options: TunnelStreamOptions, notices: Notices) {
    super(options, notices);
    this.#table = table;
    this.priority = options.priority;
    this.wasTaken = options.taken;
    this.standing = options.standing;
  }

  get id(): number {
    return this.#id;
  }

  /** Whether it may be dialled anew as if it had never been. */
  get isUntouched(): boolean {
    return !this.isConnected && !this.#hasSaid;
  }

  /** Nothing of what was written is still under way. */
  get isDelivered(): boolean {
    return this.#isDelivered || this.isOver || this.#writingGivenUp !== undefined;
  }

  // What its user asks for.

  read(givesBack?: boolean): Uint8Array | undefined {
    if (this.#left !== undefined) return this.#readLeft();
    if (this.#id < 0 || this.isOver) return undefined;
    const { driver, key } = this.#table;
    const bytes = driver.use((endpoint, now) => endpoint.readStream(key, this.#id, now, givesBack));
    if (bytes !== undefined && givesBack !== true) driver.handOut(bytes);
    return bytes;
  }

  override giveBack(bytes: Uint8Array): void {
    this.#table.driver.giveBack(bytes);
  }

  write(data: Uint8Array, handover: Handover = 'left'): number | 'ended' {
    if (this.#isClosedForWriting()) return 'ended';
    const mustWait = this.#id < 0 || this.#early !== undefined;
    if (handover === 'given' && !mustWait) this.#table.driver.give(data);
    const taken = mustWait ? this.#keep(data) : this.#send(data, handover !== 'copied');
    if (taken !== 'ended' && taken < data.length) this.#userWaits = true;
    return taken;
  }

  finish(): void {
    if (this.#isClosedForWriting()) return;
    this.#isFinishing = true;
    if (this.#id >= 0 && this.#early === undefined) this.#sendFinish();
  }

  protected giveUpWriting(code: number): void {
    this.#writingGivenUp = code;
    this.#dropEarly();
    if (this.#id >= 0) this.#sendReset(code);
  }

  protected giveUpReading(code: number): void {
    this.#readingGivenUp = code;
    if (this.#left !== undefined) this.over(this.#left.error);
    else if (this.#id >= 0) this.#sendStop(code);
  }

  protected release(): void {
    this.#dropEarly();
    this.#left = undefined;
    this.#table.remove(this);
  }

  // What its node does with it.

  /** It has a place in the tunnel; what was asked for meanwhile goes in at once, and rides with the opening. */
  place(id: number): void {
    this.#id = id;
    this.#sendEarly();
    if (this.#writingGivenUp !== undefined) this.#sendReset(this.#writingGivenUp);
    if (this.#readingGivenUp !== undefined) this.#sendStop(this.#readingGivenUp);
  }

  /** The tunnel is gone; it waits for another. */
  unplace(): void {
    this.#id = -1;
  }

  /** Its tunnel is gone. What had arrived can still be read, and then it is over. */
  lose(error: WarrenError, unread?: UnreadStream): void {
    this.#id = -1;
    if (unread === undefined || this.#readingGivenUp !== undefined) {
      this.over(error);
      return;
    }
    this.#left = { data: [...unread.data], isWhole: unread.isWhole, error };
    if (unread.data.length > 0) this.note(TELL_READABLE);
    else this.#endLeft();
  }

  /** Nobody is going to read what is left. */
  loseLeft(): void {
    if (this.#left !== undefined) this.over(this.#left.error);
  }

  get hasLeft(): boolean {
    return this.#left !== undefined && !this.isOver;
  }

  /** It is over for its user; the tunnel, where there is one, is told that nobody wants it any more. */
  fail(error: WarrenError): void {
    if (this.isOver) return;
    const id = this.#id;
    this.over(error);
    this.#table.giveUp(id);
  }

  handle(event: PeerStreamEvent): void {
    switch (event.kind) {
      case 'accepted':
        this.connected();
        return;
      case 'readable':
        this.note(TELL_READABLE);
        return;
      case 'writable':
        this.#writable();
        return;
      case 'finished':
        this.note(TELL_FINISHED);
        return;
      case 'acknowledged':
        this.#isDelivered = true;
        this.note(TELL_ACKNOWLEDGED);
        return;
      case 'reset':
        if (!this.#refusedBy(event.code)) this.noteReset(event.code);
        return;
      case 'stopped':
        this.#isDelivered = true;
        if (!this.#refusedBy(event.code)) this.noteStopped(event.code);
        return;
      case 'closed':
        this.over(this.#givenUpBy);
        return;
      default:
        return;
    }
  }

  /**
   * True where nobody took the stream. Any other code is a program's, which must have taken it, even if the word that said so is
   * still on its way.
   */
  #refusedBy(code: number): boolean {
    const refused = this.isConnected ? undefined : refusal(this.peer, this.remotePort, code);
    if (refused !== undefined) {
      this.fail(refused);
      return true;
    }
    this.connected();
    this.#givenUpBy ??= resetError(this.peer, code);
    return false;
  }

  #isClosedForWriting(): boolean {
    return this.isOver || this.#isFinishing || this.#writingGivenUp !== undefined || this.#left !== undefined;
  }

  #readLeft(): Uint8Array | undefined {
    const bytes = this.#left?.data.shift();
    if (this.#left?.data.length === 0) this.#endLeft();
    return bytes;
  }

  #endLeft(): void {
    if (this.#left === undefined) return;
    const { isWhole, error } = this.#left;
    if (isWhole) this.note(TELL_FINISHED);
    // Both halves had ended in order before the tunnel did.
    this.over(isWhole && this.isDelivered ? undefined : error);
  }

  #writable(): void {
    this.#sendEarly();
    if (this.#early !== undefined || !this.#userWaits) return;
    this.#userWaits = false;
    this.note(TELL_WRITABLE);
  }

  #keep(data: Uint8Array): number {
    this.#early ??= new ByteQueue();
    const taken = Math.min(data.length, EARLY_BYTES_MAX - this.#early.length);
    this.#early.append(data.subarray(0, taken));
    return taken;
  }

  #dropEarly(): void {
    this.#early = undefined;
  }

  #sendEarly(): void {
    const early = this.#early;
    if (early !== undefined) {
      for (let piece = early.peek(); piece !== undefined; piece = early.peek()) {
        const taken = this.#send(piece, true);
        if (taken === 'ended') break;
        early.drop(taken);
        if (taken < piece.length) return;
      }
      this.#dropEarly();
      if (this.#userWaits) {
        this.#userWaits = false;
        this.note(TELL_WRITABLE);
      }
    }
    if (this.#isFinishing) this.#sendFinish();
  }

  #send(data: Uint8Array, isLeftAlone: boolean): number | 'ended' {
    this.#hasSaid ||= data.length > 0;
    const { driver, key } = this.#table;
    return driver.use((endpoint, now) => endpoint.writeStream(key, this.#id, data, now, isLeftAlone));
  }

  #sendFinish(): void {
    this.#hasSaid = true;
    const { driver, key } = this.#table;
    driver.use((endpoint, now) => endpoint.finishStream(key, this.#id, now));
  }

  #sendReset(code: number): void {
    this.#hasSaid = true;
    const { driver, key } = this.#table;
    driver.use((endpoint, now) => endpoint.resetStream(key, this.#id, code, now));
  }

  #sendStop(code: number): void {
    this.#hasSaid = true;
    const { driver, key } = this.#table;
    driver.use((endpoint, now) => endpoint.stopStream(key, this.#id, code, now));
  }
}

/** The streams of one peer. */
export interface StreamTable {
  /** Hex of the peer's identity key. */
  readonly key: string;
  readonly driver: EndpointDriver;
  /** It is over for its user. */
  remove(stream: TunnelStream): void;
  /** Nobody wants the stream with this id any more; -1 is none. */
  giveUp(id: number): void;
}

export interface TunnelStreamOptions extends StreamEndOptions {
  readonly priority: Priority;
  readonly listener: StreamListener;
  /** Of whoever dialled; nothing is asked of it where the far side did. */
  readonly standing: Standing;
}
