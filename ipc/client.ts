import type { Socket } from 'node:net';
import { cancelled, WarrenError } from '../base/errors.ts';
import type { ControlMap } from '../wire/cbor.ts';
import { BOUNDS } from './bounds.ts';
import { daemonGone, throwIfAborted, unreadable } from './client-errors.ts';
import { closeGently } from './close-gently.ts';
import { type ConnectOptions, connectSocket } from './connect-socket.ts';
import { FrameReader } from './framing.ts';
import { MessageWriter } from './message-writer.ts';
import {
  argumentError,
  CONTROL_VERSION,
  type Command,
  decodeReply,
  decodeServerMessage,
  encodeRequest,
  type Hello,
  type Replies,
  type Request,
  type Requests,
  type ServerEvent,
} from './messages.ts';
import { Invalid } from './shape.ts';

/** `error` ends the connection, and `closed` says so. */
export type ToldEvent = Exclude<ServerEvent, { readonly event: 'error' }>;

/** What a control connection tells besides its replies. */
export interface ControlListener {
  /** In the order in which the daemon sent them. */
  event(event: ToldEvent): void;
  /** Once, last, and not after `close()`: the connection is over, for this reason. All that waited has failed. */
  closed(error: WarrenError): void;
}

export interface ControlClientOptions extends ConnectOptions {
  readonly listener: ControlListener;
  /** How long a daemon that has taken the connection may be silent. */
  readonly helloMs?: number | undefined;
}

const HELLO_MS = 10_000;

interface Waiting {
  readonly command: Command;
  readonly parts: ControlMap[];
  resolve(reply: Replies[Command]): void;
  reject(error: WarrenError): void;
  /** The caller has its error; the daemon's reply is still to come, and its id in use until then. */
  isCancelled: boolean;
}

/**
 * A program's end of the control connection. It does not connect again: once the daemon is gone, all calls under way and all later
 * ones fail with what it said before it ended the connection, as `ERR_WARREN_DAEMON_STOPPED`, or else `ERR_WARREN_DAEMON_GONE`.
 */
export class ControlClient {
  readonly #socket: Socket;
  readonly #writer: MessageWriter;
  readonly #listener: ControlListener;
  readonly #reader: FrameReader = new FrameReader();
  readonly #waiting: Map<number, Waiting> = new Map();
  #lastId = 0;
  #hello: Hello | undefined;
  /** Why there is no connection any more. */
  #over: WarrenError | undefined;

  private constructor(socket: Socket, listener: ControlListener) {
    this.#socket = socket;
    this.#writer = new MessageWriter(socket);
    this.#listener = listener;
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('end', () => this.#end(daemonGone()));
    socket.on('error', () => this.#end(daemonGone()));
    socket.on('close', () => this.#end(daemonGone()));
    socket.write(CONTROL_FIRST_BYTE);
  }

  /** Connects, and asks who the daemon is. */
  static async connect(options: ControlClientOptions): Promise<ControlClient> {
    const socket = await connectSocket(options);
    const client = new ControlClient(socket, options.listener);
    const timer = setTimeout(() => client.#end(silent()), options.helloMs ?? HELLO_MS);
    try {
      client.#hello = await client.request('hello', { version: CONTROL_VERSION }, options.signal);
      return client;
    } catch (error) {
      client.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Who the daemon is, and the token that stream connections give. */
  get hello(): Hello {
    return this.#hello!;
  }

  /** `undefined` while the connection lasts. */
  get over(): WarrenError | undefined {
    return this.#over;
  }

  /** Asks for something. Where `signal` aborts, it fails at once with `ERR_WARREN_CANCELLED`, and the daemon is told to stop. */
  async request<K extends Command>(command: K, fields: Requests[K], signal?: AbortSignal): Promise<Replies[K]> {
    throwIfAborted(signal);
    if (this.#over !== undefined) throw this.#over;
    if (this.#waiting.size >= BOUNDS.requests) throw tooMany();
    const id = ++this.#lastId;
    this.#write(id, command, fields);
    const onAbort = (): void => this.#cancel(id);
    try {
      return await new Promise<Replies[K]>((resolve, reject) => {
        const settle = resolve as (reply: Replies[Command]) => void;
        this.#waiting.set(id, { command, parts: [], resolve: settle, reject, isCancelled: false });
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Says something that gets no reply; nothing happens where the daemon is gone. */
  notify<K extends Command>(command: K, fields: Requests[K]): void {
    if (this.#over === undefined) this.#write(undefined, command, fields);
  }

  /** As of a `net.Socket`: whether this connection keeps the process alive. One that is over cannot, and would wait to be connected. */
  ref(): void {
    if (this.#over === undefined) this.#socket.ref();
  }

  unref(): void {
    if (this.#over === undefined) this.#socket.unref();
  }

  /** Gives up all that belongs to this connection. What was sent before still arrives. */
  close(): void {
    if (this.#over !== undefined) return;
    this.#fail(new WarrenError('ERR_WARREN_CLOSED', 'this program has closed the connection', 'Connect anew.'));
    closeGently(this.#socket, BOUNDS.lingerMs);
  }

  #write(id: number | undefined, command: Command, fields: Requests[Command]): void {
    const body = encodeRequest(id, { do: command, ...fields } as Request);
    if (body instanceof Invalid) throw argumentError(command, body);
    this.#writer.write(body);
  }

  #cancel(id: number): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined || waiting.isCancelled) return;
    waiting.isCancelled = true;
    waiting.reject(cancelled());
    this.notify('cancel', { request: id });
  }

  #received(chunk: Uint8Array): void {
    this.#reader.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    // A listener may close the connection in between.
    while (this.#over === undefined) {
      const body = this.#reader.next();
      if (body === undefined) return;
      if (typeof body === 'string' || !this.#handle(body)) {
        this.#end(unreadable());
        return;
      }
    }
  }

  #handle(body: Uint8Array): boolean {
    const message = decodeServerMessage(body);
    switch (message.kind) {
      case 'event':
        if (message.event.event === 'error') this.#end(message.event.error);
        else this.#listener.event(message.event);
        return true;
      case 'unknown-event':
        return true;
      case 'reply':
        return this.#reply(message.re, message.part, message.more);
      case 'refusal':
        this.#take(message.re)?.reject(message.error);
        return true;
      default:
        return false;
    }
  }

  #reply(id: number, part: ControlMap, more: boolean): boolean {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return false;
    waiting.parts.push(part);
    if (more) return true;
    this.#waiting.delete(id);
    const reply = decodeReply(waiting.command, waiting.parts);
    if (reply === undefined) {
      waiting.reject(unreadable());
      return false;
    }
    waiting.resolve(reply);
    return true;
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #end(error: WarrenError): void {
    if (this.#over !== undefined) return;
    this.#fail(error);
    this.#socket.destroy();
    if (this.#hello !== undefined) this.#listener.closed(error);
  }

  #fail(error: WarrenError): void {
    this.#over = error;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

const CONTROL_FIRST_BYTE: Uint8Array = Uint8Array.of(0);

function silent(): WarrenError {
  return new WarrenError(
    'ERR_WARREN_TIMEOUT',
    'the daemon does not answer',
    'Restart it: warren down, then warren up.',
  );
}

function tooMany(): WarrenError {
  return new WarrenError(
    'ERR_WARREN_LIMIT',
    `${BOUNDS.requests} requests wait already`,
    'Wait for some of them before asking for more.',
  );
}
