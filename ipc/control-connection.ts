import type { Socket } from 'node:net';
import { cancelled, WarrenError } from '../base/errors.ts';
import type { Bounds } from './bounds.ts';
import type { Client, ClientRegistry, ClientSink } from './client-registry.ts';
import { closeGently } from './close-gently.ts';
import { ControlCommands, type DoorHosts } from './control-commands.ts';
import { FrameReader } from './framing.ts';
import { MessageWriter } from './message-writer.ts';
import {
  type Command,
  decodeClientMessage,
  encodeEvent,
  encodeRefusal,
  encodeReply,
  type Replies,
  type ReplyPages,
  type Request,
  type ServerEvent,
} from './messages.ts';
import type { Turns, Worker } from './turns.ts';

/**
 * The daemon's end of one control connection: one message after the other, in turn with the other clients, until this one is gone.
 * A client that does not read, or asks for more than it waits for, is not read from until it has caught up: it holds up itself.
 */
export class ControlConnection implements ClientSink, Worker {
  readonly #socket: Socket;
  readonly #bounds: Bounds;
  readonly #turns: Turns;
  readonly #reader: FrameReader = new FrameReader();
  readonly #writer: MessageWriter;
  readonly #client: Client;
  readonly #commands: ControlCommands;
  /** Requests that wait, by id. */
  readonly #waiting: Map<number, AbortController> = new Map();
  /** Of the reply that is too long for one message. Until all of it is written, no further request is looked at. */
  #pages: ReplyPages | undefined;
  /** No whole message is left in the reader. */
  #isExhausted = true;
  /** Nothing is read from the socket until it is. */
  #isPaused = false;
  #hasEnded = false;
  #isOver = false;
  /** Of what it has asked for, and the kernel has not taken yet. */
  #unreadReplyBytes = 0;
  #partialTimer: NodeJS.Timeout | undefined;

  /** `first` is what came behind the first byte. */
  constructor(
    socket: Socket,
    first: Uint8Array,
    hosts: DoorHosts,
    registry: ClientRegistry,
    bounds: Bounds,
    turns: Turns,
  ) {
    this.#socket = socket;
    this.#bounds = bounds;
    this.#turns = turns;
    this.#writer = new MessageWriter(socket);
    this.#client = registry.open(this);
    this.#commands = new ControlCommands(hosts, this.#client);
    const onEnd = (): void => {
      this.#hasEnded = true;
      this.#goOn();
    };
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('end', onEnd);
    socket.on('close', onEnd);
    this.#received(first);
  }

  event(event: ServerEvent): void {
    if (this.#isOver) return;
    if (event.event === 'datagram' && this.#writer.unreadBytes >= this.#bounds.unreadBytes) return;
    this.#write(encodeEvent(event));
  }

  /** Says why, and ends the connection. */
  close(error: WarrenError): void {
    if (this.#isOver) return;
    this.#write(encodeEvent({ event: 'error', error }));
    this.#end();
  }

  /** One message, or one page of a reply that has many. */
  step(): boolean {
    if (this.#isOver || this.#mustWait()) return false;
    if (this.#pages !== undefined) {
      this.#nextPage(this.#pages);
      return true;
    }
    const body = this.#reader.next();
    if (body === undefined) {
      this.#exhausted();
      return false;
    }
    if (typeof body === 'string') {
      this.close(unreadable(body === 'empty' ? 'a message of length 0' : 'a message longer than 16,384 bytes'));
      return false;
    }
    this.#stopPartialTimer();
    this.#handle(body);
    return true;
  }

  #received(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#reader.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    this.#isExhausted = false;
    this.#turns.add(this);
    if (this.#isExhausted || this.#isOver) return;
    this.#isPaused = true;
    // What we do not read is not late.
    this.#stopPartialTimer();
    this.#socket.pause();
  }

  /** What it waited for may have come. */
  #goOn(): void {
    if (this.#hasEnded || !this.#isExhausted) this.#turns.add(this);
  }

  #mustWait(): boolean {
    // Only by replies: what comes unasked, as datagrams do, must not keep a client from saying that it wants no more of it.
    if (!this.#socket.destroyed && this.#unreadReplyBytes >= this.#bounds.unreadWaitBytes) return true;
    // The end of a client is not put off by what it waits for.
    return !this.#hasEnded && this.#waiting.size >= this.#bounds.requests;
  }

  #nextPage(pages: ReplyPages): void {
    this.#answer(pages.next());
    if (pages.isDone) this.#pages = undefined;
  }

  #exhausted(): void {
    this.#isExhausted = true;
    if (this.#hasEnded) {
      this.#end();
      return;
    }
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#socket.resume();
    }
    if (this.#reader.isPartial && this.#partialTimer === undefined) {
      const late = (): void => this.close(unreadable('a message that was not complete in time'));
      this.#partialTimer = setTimeout(late, this.#bounds.messageMs);
    }
  }

  #stopPartialTimer(): void {
    clearTimeout(this.#partialTimer);
    this.#partialTimer = undefined;
  }

  #handle(body: Uint8Array): void {
    const message = decodeClientMessage(body);
    if (message.kind === 'unreadable') {
      this.close(unreadable(`a message that is none: ${message.reason}`));
      return;
    }
    const { id } = message;
    if (id !== undefined && this.#waiting.has(id)) this.close(unreadable('the id of a request that still waits'));
    else if (message.kind === 'misuse') this.#refuse(id, message.error);
    else if (message.request.do === 'cancel') this.#cancel(id, message.request.request);
    else this.#run(id, message.request);
  }

  #run(id: number | undefined, request: Request): void {
    // There is nobody left to answer.
    if (this.#socket.destroyed && QUESTIONS.has(request.do)) return;
    let controller: AbortController | undefined;
    const signal = (): AbortSignal => {
      controller ??= new AbortController();
      return controller.signal;
    };
    let result: Replies[Command] | Promise<Replies[Command]>;
    try {
      result = this.#commands.run(request, signal);
    } catch (error) {
      this.#refuse(id, ofHost(error));
      return;
    }
    if (result instanceof Promise) void this.#await(id, request.do, result, controller ?? new AbortController());
    else this.#reply(id, request.do, result);
  }

  async #await(
    id: number | undefined,
    command: Command,
    result: Promise<Replies[Command]>,
    controller: AbortController,
  ): Promise<void> {
    // Nobody would hear of it, and nothing count it.
    if (id === undefined) controller.abort();
    else this.#waiting.set(id, controller);
    try {
      const reply = await result;
      if (!controller.signal.aborted) this.#reply(id, command, reply);
    } catch (error) {
      if (controller.signal.aborted) return;
      this.#refuse(id, ofHost(error));
    }
    if (id === undefined || controller.signal.aborted) return;
    this.#waiting.delete(id);
    this.#goOn();
  }

  #cancel(id: number | undefined, request: number): void {
    const controller = this.#waiting.get(request);
    this.#waiting.delete(request);
    controller?.abort();
    if (controller !== undefined) this.#refuse(request, cancelled());
    this.#reply(id, 'cancel', {});
  }

  #reply(id: number | undefined, command: Command, reply: Replies[Command]): void {
    if (id === undefined) return;
    const pages = encodeReply(id, command, reply as never);
    this.#answer(pages.next());
    if (!pages.isDone) this.#pages = pages;
  }

  #refuse(id: number | undefined, error: WarrenError): void {
    if (id !== undefined) this.#answer(encodeRefusal(id, error));
  }

  #answer(body: Uint8Array): void {
    this.#unreadReplyBytes += body.length;
    this.#write(body, () => {
      this.#unreadReplyBytes -= body.length;
      this.#goOn();
    });
  }

  #write(body: Uint8Array, taken?: () => void): void {
    if (this.#isOver || this.#socket.destroyed) return;
    this.#writer.write(body, taken);
    if (this.#writer.unreadBytes <= this.#bounds.unreadBytesMax) return;
    this.#end();
    this.#socket.destroy();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopPartialTimer();
    for (const controller of this.#waiting.values()) controller.abort();
    this.#waiting.clear();
    this.#client.close();
    closeGently(this.#socket, this.#bounds.lingerMs);
  }
}

/** What is asked for the sake of the answer alone. */
const QUESTIONS: ReadonlySet<Command> = new Set(['status', 'peers', 'resolve', 'why', 'ping', 'record']);

/** What a node refuses is for the client; anything else it throws is a defect, and not to be hidden. */
function ofHost(error: unknown): WarrenError {
  if (error instanceof WarrenError) return error;
  throw error;
}

function unreadable(what: string): WarrenError {
  return new WarrenError('ERR_WARREN_PROTOCOL', `this cannot be read: ${what}`, 'See ipc/PROTOCOL.md.');
}
