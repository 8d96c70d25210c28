import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import type { WarrenError } from '../../base/errors.ts';
import type { Bounds } from '../../ipc/bounds.ts';
import { ControlClient, type ToldEvent } from '../../ipc/client.ts';
import type { StreamLine } from '../../ipc/first-line.ts';
import { FrameReader, frameMessage } from '../../ipc/framing.ts';
import type { IncomingStream, StreamEnd, StreamListener } from '../../ipc/host.ts';
import type { EventName, ServerEvent, StreamEnding } from '../../ipc/messages.ts';
import { LocalServer, type LocalServerOptions } from '../../ipc/server.ts';
import { type SocketPaths, socketPaths } from '../../ipc/socket-path.ts';
import { openStream, type StreamOpened } from '../../ipc/stream-client.ts';
import { type ControlMap, type ControlValue, decodeControl, encodeControl } from '../../wire/cbor.ts';
import { type FakeHost, FakeNetwork } from './fake-host.ts';

/** The node behind the socket, another one that it can reach, and where the sockets are. */
export interface Stage {
  readonly server: LocalServer;
  readonly paths: SocketPaths;
  readonly alice: FakeHost;
  readonly bob: FakeHost;
}

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'warren-ipc-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function temporaryPaths(): SocketPaths {
  return socketPaths({ WARREN_SOCKET: join(temporaryDirectory(), 'run') });
}

/** A daemon's local socket over alice, who knows bob. */
export async function stage(
  bounds: Partial<Bounds> = {},
  options: Pick<LocalServerOptions, 'openFilesMax' | 'warn' | 'ffi'> = {},
): Promise<Stage> {
  const network = new FakeNetwork();
  const alice = network.add('alice');
  const bob = network.add('bob');
  const paths = temporaryPaths();
  const server = await LocalServer.open({ ...options, host: alice, paths, bounds: { lingerMs: 200, ...bounds } });
  onTestFinished(() => server.close());
  return { server, paths, alice, bob };
}

/** Waits until something is true; says what it waited for where it never is. */
export async function until(what: string, isTrue: () => boolean, withinMs = 10_000): Promise<void> {
  for (const start = performance.now(); !isTrue(); ) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** A few turns of the event loop, over the sockets too: for what must not happen. */
export async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** A program with a control connection. */
export class Program {
  readonly events: ToldEvent[] = [];
  client!: ControlClient;
  closed: WarrenError | undefined;
  #lastStream = 0;
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  static async connect(path: string): Promise<Program> {
    const program = new Program(path);
    program.client = await ControlClient.connect({
      path,
      listener: {
        event: (event) => program.events.push(event),
        closed: (error) => {
          program.closed = error;
        },
      },
    });
    onTestFinished(() => program.client.close());
    return program;
  }

  async event<E extends EventName>(name: E, index = 0): Promise<ServerEvent<E>> {
    const found = (): ServerEvent<E> | undefined =>
      this.events.filter((event) => event.event === name)[index] as ServerEvent<E> | undefined;
    await until(`event ${name} number ${index}`, () => found() !== undefined);
    return found()!;
  }

  endings(stream: number): StreamEnding[] {
    return this.events.filter((event) => event.event === 'end' && event.stream === stream) as ServerEvent<'end'>[];
  }

  async ending(stream: number, how: StreamEnding['how']): Promise<StreamEnding> {
    const found = (): StreamEnding | undefined => this.endings(stream).find((ending) => ending.how === how);
    await until(`stream ${stream} to be ${how}`, () => found() !== undefined);
    return found()!;
  }

  /** Dials as this program. */
  async dial(target: string, owner = true): Promise<OpenedStream> {
    const colon = target.lastIndexOf(':');
    const id = ++this.#lastStream;
    const { client } = this.client.hello;
    return this.open(
      {
        kind: 'dial',
        peer: target.slice(0, colon),
        port: Number(target.slice(colon + 1)),
        owner: owner ? { client, id } : undefined,
      },
      id,
    );
  }

  async accept(token: string): Promise<OpenedStream> {
    const id = ++this.#lastStream;
    return this.open({ kind: 'accept', token, owner: { client: this.client.hello.client, id } }, id);
  }

  async open(line: StreamLine, id: number): Promise<OpenedStream> {
    const { socket, answer } = await openStream({ path: this.#path, line });
    onTestFinished(() => void socket.destroy());
    const opened = await answer;
    return { id, socket, opened, bytes: new Collected(socket, opened.rest) };
  }

  finish(stream: OpenedStream): void {
    stream.socket.end();
    this.client.notify('finish', { stream: stream.id });
  }
}

export interface OpenedStream {
  readonly id: number;
  readonly socket: Socket;
  readonly opened: StreamOpened;
  readonly bytes: Collected;
}

/** What comes out of a socket. */
export class Collected {
  readonly #chunks: Buffer[];
  length: number;
  hasEnded = false;
  hasClosed = false;
  error: NodeJS.ErrnoException | undefined;

  constructor(socket: Socket, rest: Uint8Array = new Uint8Array(0)) {
    this.#chunks = [Buffer.from(rest)];
    this.length = rest.length;
    socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.length += chunk.length;
    });
    socket.on('end', () => {
      this.hasEnded = true;
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('close', () => {
      this.hasClosed = true;
    });
    socket.resume();
  }

  /** It ended in order, or was torn. */
  get isOver(): boolean {
    return this.hasEnded || this.hasClosed;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString('utf8');
  }

  async reaches(length: number): Promise<Buffer> {
    await until(`${length} bytes (there are ${this.length})`, () => this.length >= length);
    return this.bytes;
  }

  async end(): Promise<Buffer> {
    await until('the end', () => this.isOver);
    return this.bytes;
  }
}

/** A bare connection, as any program can make one. */
export async function bare(path: string): Promise<{ socket: Socket; bytes: Collected }> {
  const socket = connect({ path, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  const bytes = new Collected(socket);
  await until(`a connection to ${path}`, () => !socket.connecting);
  return { socket, bytes };
}

/** A connection that has been closed at the other end looks open to who only reads: writing to it fails. */
export async function tornForWriters(socket: Socket, bytes: Collected): Promise<void> {
  await until('a write to fail', () => {
    if (!bytes.hasClosed) socket.write('x');
    return bytes.hasClosed;
  });
  expect(bytes.error?.code).toMatch(/^(EPIPE|ECONNRESET)$/);
}

/** A control connection made by hand: what comes is collected as maps. */
export class HandMade {
  readonly messages: ControlMap[] = [];
  readonly socket: Socket;
  readonly bytes: Collected;
  readonly #reader: FrameReader = new FrameReader();

  private constructor(socket: Socket, bytes: Collected) {
    this.socket = socket;
    this.bytes = bytes;
    socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk);
      for (let body = this.#reader.next(); body instanceof Uint8Array; body = this.#reader.next()) {
        const control = decodeControl(body);
        if (control.kind === 'control') this.messages.push(control.value as ControlMap);
      }
    });
  }

  static async connect(path: string, first: Uint8Array = Uint8Array.of(0)): Promise<HandMade> {
    const { socket, bytes } = await bare(path);
    const made = new HandMade(socket, bytes);
    socket.write(first);
    return made;
  }

  say(message: Readonly<Record<string, ControlValue>>): void {
    this.socket.write(framed(message));
  }

  async hello(id = 1): Promise<ControlMap> {
    this.say({ id, do: 'hello', version: 1 });
    return this.reply(id);
  }

  async reply(id: number): Promise<ControlMap> {
    const found = (): ControlMap | undefined => this.messages.find((message) => message.get('re') === id);
    await until(`a reply to ${id}`, () => found() !== undefined || this.bytes.hasClosed);
    const reply = found();
    if (reply === undefined) throw new Error(`closed without a reply to ${id}`);
    return reply;
  }

  async closed(): Promise<void> {
    await until('the connection to be closed', () => this.bytes.isOver);
  }

  /** The code of the last event `error`. */
  get error(): ControlValue | undefined {
    const event = this.messages.findLast((message) => message.get('event') === 'error');
    return event === undefined ? undefined : codeOf(event);
  }
}

/** Of the error in a message. */
export function codeOf(message: ControlMap): ControlValue | undefined {
  return (message.get('error') as ControlMap | undefined)?.get('code');
}

export function framed(message: Readonly<Record<string, ControlValue>>): Uint8Array {
  return frameMessage(encodeControl(new Map(Object.entries(message))));
}

/** The far side of a stream, in a node of its own. */
export class Far implements StreamListener {
  #end: StreamEnd | undefined;
  readonly chunks: Uint8Array[] = [];
  length = 0;
  /** What it was told, in order. */
  readonly told: string[] = [];
  error: WarrenError | undefined;
  /** Reads whatever comes. */
  reads = true;
  /** Writes back what it reads, and ends when that does. */
  echoes = false;
  #unwritten: Uint8Array[] = [];
  #finishes = false;

  /** What was to be written before there was an end is written now. */
  set end(end: StreamEnd) {
    this.#end = end;
    this.#go();
  }

  get end(): StreamEnd {
    return this.#end!;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return this.bytes.toString('utf8');
  }

  is(what: string): boolean {
    return this.told.includes(what);
  }

  async when(what: string): Promise<void> {
    await until(`the far side to be told: ${what} (told: ${this.told.join(', ')})`, () => this.is(what));
  }

  write(bytes: Uint8Array | string): void {
    this.#unwritten.push(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
    this.#go();
  }

  finish(): void {
    this.#finishes = true;
    this.#go();
  }

  get unwritten(): number {
    return this.#unwritten.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  read(): void {
    for (let bytes = this.end.read(); bytes !== undefined; bytes = this.end.read()) {
      this.chunks.push(bytes);
      this.length += bytes.length;
      if (this.echoes) this.write(bytes);
    }
  }

  #go(): void {
    if (this.#end === undefined) return;
    while (this.#unwritten.length > 0) {
      const bytes = this.#unwritten[0]!;
      const taken = this.end.write(bytes);
      if (taken === 'ended') {
        this.#unwritten = [];
        return;
      }
      if (taken < bytes.length) {
        this.#unwritten[0] = bytes.subarray(taken);
        return;
      }
      this.#unwritten.shift();
    }
    if (this.#finishes) this.end.finish();
  }

  connected(): void {
    this.told.push('connected');
  }
  readable(): void {
    if (this.reads) this.read();
  }
  writable(): void {
    this.#go();
  }
  finished(): void {
    this.told.push('finished');
    if (this.echoes) this.finish();
  }
  acknowledged(): void {
    this.told.push('acknowledged');
  }
  reset(code: number): void {
    this.told.push(`reset ${code}`);
  }
  stopped(code: number): void {
    this.told.push(`stopped ${code}`);
  }
  closed(error: WarrenError | undefined): void {
    this.error = error;
    this.told.push('closed');
  }
}

/** Takes every stream to a port of a node. */
export function takeAll(
  host: FakeHost,
  port: number,
  made: (far: Far, incoming: IncomingStream) => void = () => {},
): Far[] {
  const taken: Far[] = [];
  host.listen({ port, backlog: 100_000 }, (incoming) => {
    const far = new Far();
    made(far, incoming);
    const end = incoming.accept(far);
    if (end === undefined) return;
    far.end = end;
    taken.push(far);
  });
  return taken;
}

/** Dials from a node without a local socket. */
export function farDial(host: FakeHost, peer: string, port: number): Far {
  const far = new Far();
  far.end = host.dial({ peer, port }, far);
  return far;
}

/** A pattern in which a lost, doubled or swapped chunk shows. */
export function patterned(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (i ^ (i >>> 8) ^ (i >>> 16)) & 0xff;
  return bytes;
}
