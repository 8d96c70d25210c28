import { Duplex } from 'node:stream';
import type { WarrenError } from '../base/errors.ts';
import type { PeerName } from '../ipc/host.ts';
import { CLOSE_CODES } from '../wire/close-codes.ts';
import { CALLBACK, check, IDLE_MILLISECONDS, OWN_CODE } from './arguments.ts';
import type { Carrier, CarrierUser, StreamEnds } from './carrier.ts';
import { cancelledBy, WarrenResetError } from './errors.ts';
import type { Hold } from './liveness.ts';

/** What a stream buffers in each direction before it asks to wait, where a program does not say. */
export const HIGH_WATER_MARK: number = 256 * 1_024;
/** Above this Node's timers ring at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/**
 * A stream between two programs, over warren. It is a `Duplex`, and has what libraries look for in a `net.Socket`, so that what
 * works over TCP works over it.
 *
 * Where it differs from TCP: a stream that is destroyed in the middle is *reset*, and the far side gets an error in place of an end,
 * so that nobody takes half of something for the whole.
 *
 * @example
 * const server = await bob.listen(1234);
 * server.on('connection', (stream) => {
 *   console.log(stream.peer?.name); // alice
 *   stream.pipe(stream);
 * });
 *
 * const stream = await alice.dial('bob', 1234);
 * stream.setEncoding('utf8');
 * stream.end('hello');
 * for await (const text of stream) console.log(text); // hello
 */
export class WarrenStream extends Duplex {
  /** This node's address. */
  readonly localAddress: string;
  readonly #carrier: Carrier;
  readonly #hold: Hold;
  readonly #signal: AbortSignal | undefined;
  #ends: StreamEnds | undefined;
  #isConnecting: boolean;
  /** The carrier has nothing more to tell, or was never begun. */
  #isOver = true;
  /** The program has written its last, and all of that was taken. */
  #hasFinished = false;
  /** The far side's last has come. */
  #hasReceivedEnd = false;
  /** Why nobody reads what is written any more: writing fails, as it does to a broken pipe, and reading goes on. */
  #broken: WarrenError | undefined;
  #resetCode: number | undefined;
  /** The write under way, and how much of it is not taken. */
  #onWritten: ((error?: Error | null) => void) | undefined;
  #writing = 0;
  #left = 0;
  #bytesWritten = 0;
  #bytesRead = 0;
  #timeoutMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(carrier: Carrier, settings: StreamSettings) {
    const { highWaterMark = HIGH_WATER_MARK, allowHalfOpen = false } = settings;
    super({ highWaterMark, allowHalfOpen });
    this.localAddress = settings.localAddress;
    this.#carrier = carrier;
    this.#hold = settings.hold;
    this.#ends = settings.ends;
    this.#isConnecting = settings.ends === undefined;
    this.#signal = settings.signal;
    if (this.#signal?.aborted) {
      this.#abort();
      return;
    }
    this.#signal?.addEventListener('abort', this.#abort, { once: true });
    this.#isOver = false;
    carrier.start(this.#user());
    // As a socket does it: what comes is taken in, up to the high-water mark, before anybody asks for it.
    if (!this.#isConnecting) this.read(0);
  }

  /** @internal */
  static open(carrier: Carrier, settings: StreamSettings): WarrenStream {
    return new WarrenStream(carrier, settings);
  }

  /** Who is at the far side; `undefined` while it is being dialled. */
  get peer(): PeerName | undefined {
    return this.#ends?.peer;
  }

  /** The peer's address, `0:0000.7F3A.19C2`. */
  get remoteAddress(): string | undefined {
    return this.#ends?.peer.address;
  }

  get remotePort(): number | undefined {
    return this.#ends?.remotePort;
  }

  get remoteFamily(): string | undefined {
    return this.#ends === undefined ? undefined : 'warren';
  }

  get localPort(): number | undefined {
    return this.#ends?.localPort;
  }

  get localFamily(): string {
    return 'warren';
  }

  /** Of this end. */
  address(): StreamAddress | Record<string, never> {
    const port = this.localPort;
    return port === undefined ? {} : { address: this.localAddress, family: 'warren', port };
  }

  /** It is being dialled. What is written meanwhile travels with the dial. */
  get connecting(): boolean {
    return this.#isConnecting && !this.destroyed;
  }

  get pending(): boolean {
    return this.#isConnecting;
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** With what waits to go. */
  get bytesWritten(): number {
    return this.#bytesWritten + this.writableLength;
  }

  /** In milliseconds; `undefined` where none is set. */
  get timeout(): number | undefined {
    return this.#timeoutMs;
  }

  /** After so long without a byte in either direction `timeout` is emitted, and nothing else happens; 0 for never. */
  setTimeout(milliseconds: number, callback?: () => void): this {
    check('setTimeout', 'milliseconds', milliseconds, IDLE_MILLISECONDS);
    if (callback !== undefined) check('setTimeout', 'callback', callback, CALLBACK);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.destroyed) return this;
    this.#timeoutMs = milliseconds === 0 ? undefined : milliseconds;
    if (milliseconds === 0) {
      if (callback !== undefined) this.off('timeout', callback);
      return this;
    }
    this.#timer = setTimeout(() => this.emit('timeout'), Math.min(milliseconds, TIMEOUT_MS_MAX));
    this.#timer.unref();
    if (callback !== undefined) this.once('timeout', callback);
    return this;
  }

  /** Nothing is ever held back here. */
  setNoDelay(_noDelay?: boolean): this {
    return this;
  }

  /** The tunnel sees to that, for all its streams. */
  setKeepAlive(_enable?: boolean, _initialDelay?: number): this {
    return this;
  }

  /** The process lives on while this stream is open; that is how it begins. */
  ref(): this {
    this.#hold.ref();
    return this;
  }

  /** The process may end while this stream is open. */
  unref(): this {
    this.#hold.unref();
    return this;
  }

  /** Ends it, and destroys it once everything that was written has gone. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Gives both halves up, whatever has been written; the far side is told so, with a code of the program's own from 256 on. */
  resetAndDestroy(code: number = CLOSE_CODES.CANCELLED): this {
    if (code !== CLOSE_CODES.CANCELLED) check('resetAndDestroy', 'code', code, OWN_CODE);
    this.#resetCode = code;
    return this.destroy();
  }

  /**
   * Everything that comes. Leaving the loop before the end destroys the stream, as in every `Readable`; but whoever has read to the
   * end may still write, where the stream may be half open.
   */
  override [Symbol.asyncIterator](): NodeJS.AsyncIterator<Buffer> {
    const chunks = this.iterator({ destroyOnReturn: false });
    return {
      next: () => chunks.next(),
      return: () => {
        this.destroy();
        return chunks.return!();
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** @internal */
  override _read(): void {
    if (!this.#isOver) this.#carrier.resume();
  }

  /** @internal */
  override _write(chunk: Uint8Array, _encoding: string, callback: (error?: Error | null) => void): void {
    this.#write([chunk], chunk.length, callback);
  }

  /** @internal */
  override _writev(chunks: readonly { chunk: Uint8Array }[], callback: (error?: Error | null) => void): void {
    const pieces: Uint8Array[] = [];
    let length = 0;
    for (const { chunk } of chunks) {
      pieces.push(chunk);
      length += chunk.length;
    }
    this.#write(pieces, length, callback);
  }

  /** @internal */
  override _final(callback: (error?: Error | null) => void): void {
    this.#hasFinished = true;
    // Where nobody reads, there is nobody to tell.
    if (!this.#isOver && this.#broken === undefined) this.#carrier.finish();
    callback();
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#abort);
    if (!this.#isOver) {
      this.#isOver = true;
      if (this.#resetCode !== undefined || !this.#endsInOrder(error)) {
        this.#carrier.giveUp(this.#resetCode ?? CLOSE_CODES.CANCELLED);
      } else {
        if (!this.#hasFinished) this.#carrier.finish();
        if (!this.#hasReceivedEnd) this.#carrier.leave();
      }
    }
    this.#hold.release();
    callback(error);
  }

  readonly #abort = (): void => {
    this.destroy(cancelledBy(this.#signal?.reason));
  };

  /**
   * It has ended; or it has heard the far side out, nothing that was written is still here, and nothing is said to be wrong.
   */
  #endsInOrder(error: Error | null): boolean {
    return this.#hasFinished || (error === null && this.readableEnded && this.writableLength === 0);
  }

  #write(pieces: readonly Uint8Array[], length: number, callback: (error?: Error | null) => void): void {
    if (this.#broken !== undefined || length === 0) {
      callback(this.#broken);
      return;
    }
    this.#onWritten = callback;
    this.#writing = length;
    this.#left = length;
    this.#timer?.refresh();
    this.#carrier.write(pieces);
  }

  #taken(bytes: number): void {
    this.#timer?.refresh();
    this.#left -= bytes;
    if (this.#left > 0) return;
    this.#bytesWritten += this.#writing;
    this.#endWrite(undefined);
  }

  #endWrite(error: WarrenError | undefined): void {
    const callback = this.#onWritten;
    this.#onWritten = undefined;
    callback?.(error);
  }

  #breakPipe(error: WarrenError): void {
    this.#broken ??= error;
    this.#endWrite(error);
  }

  #connected(ends: StreamEnds): void {
    this.#ends = ends;
    this.#isConnecting = false;
    this.read(0);
    this.emit('connect');
    this.emit('ready');
  }

  #received(bytes: Uint8Array): boolean {
    this.#timer?.refresh();
    this.#bytesRead += bytes.length;
    return this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  }

  #finished(): void {
    this.#hasReceivedEnd = true;
    // It may come with the word that the stream is connected: whoever has just dialled is to hear of its end too.
    setImmediate(() => {
      if (this.destroyed) return;
      this.push(null);
      // Whoever does not read has nothing left to read, perhaps: then this is the end for them too.
      this.read(0);
    });
  }

  #closed(error: WarrenError | undefined): void {
    this.#isOver = true;
    if (error === undefined) return;
    if (this.#hasReceivedEnd) {
      // Everything has come that was going to, and is still to be read; whoever writes is told then.
      this.#breakPipe(error);
      return;
    }
    this.destroy(error);
  }

  #user(): CarrierUser {
    return {
      connected: (ends) => {
        if (!this.destroyed) this.#connected(ends);
      },
      taken: (bytes) => {
        if (!this.destroyed) this.#taken(bytes);
      },
      received: (bytes) => !this.destroyed && this.#received(bytes),
      finished: () => {
        if (!this.destroyed) this.#finished();
      },
      reset: (code) => {
        if (!this.destroyed) this.destroy(this.#resetBy(code));
      },
      stopped: (code) => {
        if (!this.destroyed) this.#breakPipe(this.#resetBy(code));
      },
      closed: (error) => {
        if (!this.destroyed) this.#closed(error);
      },
    };
  }

  #resetBy(code: number): WarrenResetError {
    return new WarrenResetError(this.#ends!.peer, code);
  }
}

/** @internal */
export interface StreamSettings {
  readonly localAddress: string;
  readonly hold: Hold;
  /** Of one that was taken; one that is dialled gets them when it is connected. */
  readonly ends?: StreamEnds | undefined;
  readonly highWaterMark?: number | undefined;
  readonly allowHalfOpen?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One end of a stream, as `address()` of a stream or a server gives it.
 *
 * @example
 * const server = await bob.listen(1235);
 * const { family, port } = server.address();
 * console.log(family, port); // warren 1235
 */
export interface StreamAddress {
  readonly address: string;
  readonly family: 'warren';
  readonly port: number;
}
