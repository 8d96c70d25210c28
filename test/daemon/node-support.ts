import { createSocket, type Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { concat } from '../../base/bytes.ts';
import type { WarrenError } from '../../base/errors.ts';
import { createIdentity, type Identity } from '../../crypto/identity.ts';
import { opensslBackend } from '../../crypto/openssl.ts';
import { Node, type NodeOptions, type PeerStore } from '../../daemon/node.ts';
import { SystemRng } from '../../daemon/system-rng.ts';
import type { AdminHost, Host, IncomingStream, StreamEnd, StreamListener } from '../../ipc/host.ts';

const rng = new SystemRng();
export const LOOPBACK = '127.0.0.1';

export const hasIpv6: boolean = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

const opened: Node[] = [];
const sockets: Map<Node, Socket> = new Map();

export function newIdentity(): Identity {
  return createIdentity(opensslBackend, rng, 0);
}

export async function openNode(name: string, options: Partial<NodeOptions> = {}): Promise<Node> {
  let socket: Socket | undefined;
  const node = await Node.open({
    identity: newIdentity(),
    profile: { name },
    ...options,
    udp: {
      host: LOOPBACK,
      createSocket: (kind) => {
        socket = createSocket(kind);
        return socket;
      },
      ...options.udp,
    },
  });
  opened.push(node);
  if (socket !== undefined) sockets.set(node, socket);
  return node;
}

export async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((node) => node.close()));
  sockets.clear();
}

/** Called after each datagram that the node reads, before anything else of its process has its turn. */
export function afterEachDatagram(node: Node, work: () => void): void {
  sockets.get(node)?.on('message', work);
}

/** From now on nothing that it sends arrives, as if its machine had lost its power. Of one that was opened without `offload`. */
export function silence(node: Node): void {
  const socket = sockets.get(node);
  const { cutsBatches, joinsPackets } = node.status().udp;
  if (socket === undefined || cutsBatches || joinsPackets) throw new Error('this node has other ways to send');
  const swallow = (...args: unknown[]): void => {
    const done = args.at(-1);
    if (typeof done === 'function') setImmediate(() => done(null, 0));
  };
  socket.send = swallow;
}

/** Each has the other in its book; `a` knows where `b` is. */
export function introduce(a: Node, b: Node, host: string = LOOPBACK): void {
  a.addPeer({ record: b.record(), endpoints: [`${host}:${b.localPort}`] });
  b.addPeer({ record: a.record(), endpoints: [] });
}

export async function pair(options: Partial<NodeOptions> = {}): Promise<{ alice: Node; bob: Node }> {
  const alice = await openNode('alice', options);
  const bob = await openNode('bob', options);
  introduce(alice, bob);
  return { alice, bob };
}

export async function until(what: string, condition: () => boolean, milliseconds = 20_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await sleep(1);
  }
}

/** A peer book's bytes as a disk would keep them. */
export class MemoryStore implements PeerStore {
  bytes: Uint8Array | undefined;
  saves = 0;

  load(): Uint8Array | undefined {
    return this.bytes;
  }

  save(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.saves += 1;
  }
}

/** The user of an end: writes down everything it is told, and reads everything there is unless it is told to wait. */
export class User implements StreamListener {
  end!: StreamEnd;
  readonly told: string[] = [];
  readonly pieces: Uint8Array[] = [];
  isReading: boolean;
  error: WarrenError | undefined;
  /** Written on `connected` and `writable`, as far as it is taken; then the end is finished. */
  #rest: Uint8Array | undefined;

  constructor(isReading = true) {
    this.isReading = isReading;
  }

  get text(): string {
    return Buffer.from(this.bytes).toString();
  }

  get bytes(): Uint8Array {
    return concat(...this.pieces);
  }

  get length(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  /** What was told, without repetitions of `readable` and `writable`. */
  get order(): string[] {
    return this.told.filter((word, i) => word !== this.told[i - 1]);
  }

  get isClosed(): boolean {
    return this.told.includes('closed');
  }

  has(word: string): boolean {
    return this.told.includes(word);
  }

  async ended(): Promise<WarrenError | undefined> {
    await until(`the end of ${this.end.peer.name}:${this.end.remotePort} is closed`, () => this.isClosed);
    return this.error;
  }

  async word(word: string): Promise<void> {
    await until(word, () => this.has(word) || this.isClosed);
    if (!this.has(word)) throw new Error(`closed before ${word}: ${this.told.join(' ')} ${this.error?.message}`);
  }

  read(): void {
    for (let piece = this.end.read(); piece !== undefined; piece = this.end.read()) this.pieces.push(piece);
  }

  /** All of it, however long it takes, and then the end. */
  send(bytes: Uint8Array): void {
    this.#rest = bytes;
    this.#write();
  }

  #write(): void {
    if (this.#rest === undefined) return;
    const taken = this.end.write(this.#rest);
    if (taken === 'ended') {
      this.#rest = undefined;
    } else if (taken === this.#rest.length) {
      this.#rest = undefined;
      this.end.finish();
    } else {
      this.#rest = this.#rest.subarray(taken);
    }
  }

  connected(): void {
    this.told.push('connected');
  }

  readable(): void {
    this.told.push('readable');
    if (this.isReading) this.read();
  }

  writable(): void {
    this.told.push('writable');
    this.#write();
  }

  finished(): void {
    this.told.push('finished');
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
    this.told.push('closed');
    this.error = error;
  }
}

export function dial(host: Host, peer: string, port: number, user: User = new User(), options = {}): User {
  user.end = host.dial({ peer, port, ...options }, user);
  return user;
}

/** Takes every stream to a port; `users` holds them in the order they came. */
export function serve(host: AdminHost, port: number, make: () => User = () => new User()): User[] {
  const users: User[] = [];
  host.listen({ port }, (stream) => users.push(take(stream, make())));
  return users;
}

export function take(stream: IncomingStream, user: User = new User()): User {
  const end = stream.accept(user);
  if (end === undefined) throw new Error('the stream ended before it was taken');
  user.end = end;
  return user;
}

export function text(content: string): Uint8Array {
  return new Uint8Array(Buffer.from(content));
}

/** Bytes that differ wherever two pieces could be confused. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
