import { WarrenError } from '../base/errors.ts';
import type { Handover, PeerName, StreamEnd, StreamListener } from '../ipc/host.ts';
import { CLOSE_CODES } from '../wire/close-codes.ts';
import type { Notice, Notices } from './notices.ts';
import { APPLICATION_CODE_FIRST } from './stream-errors.ts';

/** Bits of what is to be told, the lowest first. */
export const TELL_CONNECTED = 1;
export const TELL_READABLE = 2;
export const TELL_WRITABLE = 4;
export const TELL_FINISHED = 8;
export const TELL_ACKNOWLEDGED = 16;
export const TELL_RESET = 32;
export const TELL_STOPPED = 64;
export const TELL_CLOSED = 128;
const TELL_HIGHEST = TELL_CLOSED;

/** What the user of an end hears no more of once it has given that half up. */
const ABOUT_READING = TELL_READABLE | TELL_FINISHED | TELL_RESET;
const ABOUT_WRITING = TELL_WRITABLE | TELL_ACKNOWLEDGED | TELL_STOPPED;

/**
 * What both kinds of stream ends have in common, those over a tunnel and those to oneself: what is told to their user, in which
 * order and when. Each kind of news is one bit, so a slow user holds up nothing and costs nothing.
 *
 * The order: `connected`, then `readable` as often as there is something, then `finished` or `reset`, last `closed`. An end whose
 * user has given up both halves is over for it at once; seeing that through with the far side is the machinery's.
 */
export abstract class StreamEndBase implements StreamEnd, Notice {
  readonly peer: PeerName;
  readonly localPort: number;
  readonly remotePort: number;
  readonly #notices: Notices;
  #listener: StreamListener | undefined;
  #due = 0;
  #resetCode = 0;
  #stoppedCode = 0;
  #error: WarrenError | undefined;
  /** `closed` has been told, or is the last that will be. */
  #isOver = false;
  #hasReset = false;
  #hasStopped = false;
  #isConnected: boolean;
  #dialTimer: NodeJS.Timeout | undefined;

  protected constructor(options: StreamEndOptions, notices: Notices) {
    this.peer = options.peer;
    this.localPort = options.localPort;
    this.remotePort = options.remotePort;
    this.#listener = options.listener;
    this.#isConnected = options.taken;
    this.#notices = notices;
  }

  abstract read(givesBack?: boolean): Uint8Array | undefined;
  abstract write(data: Uint8Array, handover?: Handover): number | 'ended';
  abstract finish(): void;
  protected abstract giveUpWriting(code: number): void;
  protected abstract giveUpReading(code: number): void;
  /** It is over for its user: what it holds may go. */
  protected abstract release(): void;
  /** Nobody wants it any more: over for its user, with that error, and the far side is told. */
  abstract fail(error: WarrenError): void;

  reset(code: number): void {
    requireCode(code);
    if (this.#isOver || this.#hasReset) return;
    this.#hasReset = true;
    this.#due &= ~ABOUT_WRITING;
    this.giveUpWriting(code);
    if (this.#hasStopped) this.over(undefined);
  }

  stop(code: number): void {
    requireCode(code);
    if (this.#isOver || this.#hasStopped) return;
    this.#hasStopped = true;
    this.#due &= ~ABOUT_READING;
    this.giveUpReading(code);
    if (this.#hasReset) this.over(undefined);
  }

  /** Kept by nobody: only what comes through a tunnel has memory that is worth it. */
  giveBack(_bytes: Uint8Array): void {}

  get isOver(): boolean {
    return this.#isOver;
  }

  /** A program at the far side has it; of a stream that was taken here, always. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Until somebody has taken it. */
  limitDial(milliseconds: number, error: () => WarrenError): void {
    if (!this.#isOver) this.#dialTimer = setTimeout(() => this.fail(error()), milliseconds);
  }

  protected connected(): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    clearTimeout(this.#dialTimer);
    this.note(TELL_CONNECTED);
  }

  /** An end that waited to be taken has got its user. */
  protected attach(listener: StreamListener): void {
    this.#listener = listener;
    if (this.#due !== 0) this.#notices.add(this);
  }

  protected note(news: number): void {
    if (this.#isOver) return;
    if (this.#hasStopped) news &= ~ABOUT_READING;
    if (this.#hasReset) news &= ~ABOUT_WRITING;
    if (news === 0) return;
    this.#due |= news;
    if (this.#listener !== undefined) this.#notices.add(this);
  }

  /** What was not read is gone. */
  protected noteReset(code: number): void {
    this.#due &= ~(TELL_READABLE | TELL_FINISHED);
    this.#resetCode = code;
    this.note(TELL_RESET);
  }

  protected noteStopped(code: number): void {
    this.#due &= ~TELL_WRITABLE;
    this.#stoppedCode = code;
    this.note(TELL_STOPPED);
  }

  /** The last word. With an error nothing else is worth telling but how it came to it. */
  protected over(error: WarrenError | undefined): void {
    if (this.#isOver) return;
    this.#error = error;
    if (error !== undefined) this.#due &= ~(TELL_READABLE | TELL_WRITABLE);
    clearTimeout(this.#dialTimer);
    this.note(TELL_CLOSED);
    this.#isOver = true;
    this.release();
  }

  /** Everything due by now, in order; what its user brings about meanwhile has another turn. */
  tell(): void {
    const due = this.#due;
    this.#due = 0;
    for (let news = TELL_CONNECTED; news <= TELL_HIGHEST; news <<= 1) {
      if ((due & news) !== 0) this.#tell(news);
    }
  }

  #tell(news: number): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    // Given up by an earlier word of this turn.
    if (this.#hasStopped && (news & ABOUT_READING) !== 0) return;
    if (this.#hasReset && (news & ABOUT_WRITING) !== 0) return;
    switch (news) {
      case TELL_CONNECTED:
        listener.connected();
        return;
      case TELL_READABLE:
        listener.readable();
        return;
      case TELL_WRITABLE:
        listener.writable();
        return;
      case TELL_FINISHED:
        listener.finished();
        return;
      case TELL_ACKNOWLEDGED:
        listener.acknowledged();
        return;
      case TELL_RESET:
        listener.reset(this.#resetCode);
        return;
      case TELL_STOPPED:
        listener.stopped(this.#stoppedCode);
        return;
      default:
        this.#listener = undefined;
        listener.closed(this.#error);
    }
  }
}

export interface StreamEndOptions {
  readonly peer: PeerName;
  readonly localPort: number;
  readonly remotePort: number;
  /** Left out until somebody takes the stream. */
  readonly listener?: StreamListener;
  /** Here, by a listener's program; else it was dialled. */
  readonly taken: boolean;
}

/** Of the system's codes those that say why an end was given up. */
const OWN_CODES: ReadonlySet<number> = new Set([CLOSE_CODES.NO_ERROR, CLOSE_CODES.SHUTDOWN, CLOSE_CODES.CANCELLED]);

/**
 * Codes that say why the system refused a stream are not for programs: whoever dialled could not tell the two apart.
 */
function requireCode(code: number): void {
  if (OWN_CODES.has(code) || (Number.isSafeInteger(code) && code >= APPLICATION_CODE_FIRST)) return;
  throw new WarrenError(
    'ERR_WARREN_ARGUMENT',
    `a stream cannot be given up with code ${code}`,
    `use ${CLOSE_CODES.CANCELLED}, or one of your own from ${APPLICATION_CODE_FIRST} on`,
  );
}
