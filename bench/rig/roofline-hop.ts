import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { BUFFER_BYTES } from '../carriers/carrier.ts';
import { backendFor, openUdp, type UdpWay } from './fast-path.ts';
import {
  CREDIT,
  DATA,
  END,
  HEADER_BYTES,
  type OpenedPacket,
  OVERHEAD_BYTES,
  PacketOpener,
  PacketSealer,
} from './roofline-packets.ts';
import { openUnix } from './unix-socket.ts';

/**
 * One of the two processes in the middle of the roofline: what comes from an application's Unix socket goes out in sealed UDP
 * packets as far as the other one has given credit, and what comes in goes to an application. Nothing is ever repeated: loopback
 * loses nothing where no buffer overflows, and the credit sees to that. So it is what a tunnel's work would cost without the
 * tunnel: what is sent is what can be sent.
 */

export interface HopOptions {
  readonly side: 'near' | 'far';
  /** Where the near one listens for its application, and where the far one's application listens. */
  readonly path: string;
  readonly datagramBytes: number;
  readonly isFast: boolean;
  /** Hex. */
  readonly key: string;
}

export interface HopRequest {
  readonly kind: 'connect';
  /** UDP, of the other one. */
  readonly port: number;
}

export type HopReply = { readonly kind: 'ready'; readonly port: number } | { readonly kind: 'connected' };

/** What one send may hold: a datagram's payload over IPv4. */
const BATCH_BYTES = 65_507;
/** What the kernel cuts out of one send at most. */
const SEGMENTS_MAX = 64;
/** Of the receiver's buffer, by the kernel's accounting, which counts a packet at up to twice its bytes, for each of two streams. */
const WINDOW_SHARE = 0.25;
const WINDOW_BYTES_MAX = 2 * 2 ** 20;
/** Credit is given by this part of the window. */
const CREDIT_PARTS = 8;
const CREDIT_BYTES = 8;

const options = JSON.parse(process.argv[2] ?? '{}') as HopOptions;
const backend = await backendFor(options.isFast);
const side = options.side === 'near' ? 0 : 1;
const aead = backend.aead(Uint8Array.from(Buffer.from(options.key, 'hex')));
const sealer = new PacketSealer(aead, side);
const opener = new PacketOpener(aead, 1 - side);
const udp: UdpWay = await openUdp(options.isFast);
const { socket } = udp;
const window = Math.min(WINDOW_BYTES_MAX, Math.floor(WINDOW_SHARE * socket.getRecvBufferSize()));
const payloadMax = options.datagramBytes - OVERHEAD_BYTES;
/** Several packets in a send only where the kernel takes them apart again. */
const batchPackets =
  udp.setSegment === undefined
    ? 1
    : Math.max(1, Math.min(SEGMENTS_MAX, Math.floor(BATCH_BYTES / options.datagramBytes)));
if (batchPackets > 1) udp.setSegment?.(options.datagramBytes);

const buffer: Buffer = Buffer.alloc(BATCH_BYTES);
const credit: Buffer = Buffer.alloc(CREDIT_BYTES + OVERHEAD_BYTES);
const opened: OpenedPacket = { type: 0, stream: 0, start: 0, length: 0 };
const pipes: Map<number, Pipe> = new Map();
let isBusy = false;
/** The newest stream. */
let last = 0;

/** A connection to an application, and its half of a stream. */
class Pipe {
  readonly #id: number;
  readonly #app: Socket;
  /** Read from the application, and not sent yet. */
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #hasEnded = false;
  #sent = 0;
  #credit = window;
  #received = 0;
  #credited = 0;
  #isFlushing = false;

  constructor(id: number, app: Socket) {
    this.#id = id;
    this.#app = app;
    pipes.set(id, this);
    app.on('data', (bytes: Buffer) => this.#read(bytes));
    app.on('end', () => {
      this.#hasEnded = true;
      this.pump();
    });
    app.on('drain', () => this.#giveCredit());
    app.on('error', () => undefined);
    app.on('close', () => pipes.delete(id));
  }

  /** Sends as far as credit and the kernel allow. */
  pump(): void {
    while (!isBusy && this.#waitingBytes > 0 && this.#sent < this.#credit) {
      let length = 0;
      for (let i = 0; i < batchPackets && this.#waitingBytes > 0 && this.#sent < this.#credit; i++) {
        const payload = this.#fill(length + HEADER_BYTES, Math.min(payloadMax, this.#credit - this.#sent));
        this.#sent += payload;
        length += sealer.seal(buffer, length, DATA, this.#id, payload);
        // The kernel cuts equal pieces: only the last may be shorter.
        if (payload < payloadMax) break;
      }
      send(buffer, length);
    }
    if (this.#hasEnded && this.#waitingBytes === 0 && !isBusy) {
      this.#hasEnded = false;
      send(buffer, sealer.seal(buffer, 0, END, this.#id, 0));
    }
    if (this.#waitingBytes < BUFFER_BYTES && this.#app.isPaused()) this.#app.resume();
  }

  /** After the kernel was busy. */
  goOn(): void {
    this.#giveCredit();
    this.pump();
  }

  extend(limit: number): void {
    this.#credit = Math.max(this.#credit, limit);
    this.pump();
  }

  write(bytes: Buffer): void {
    this.#received += bytes.length;
    // What one turn of the event loop brings leaves in one call.
    if (!this.#isFlushing) {
      this.#isFlushing = true;
      this.#app.cork();
      setImmediate(this.#flush);
    }
    this.#app.write(bytes);
  }

  end(): void {
    this.#app.end();
  }

  readonly #flush = (): void => {
    this.#isFlushing = false;
    this.#app.uncork();
    this.#giveCredit();
  };

  #read(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= BUFFER_BYTES) this.#app.pause();
    this.pump();
  }

  #fill(at: number, most: number): number {
    let filled = 0;
    while (filled < most && this.#waiting.length > 0) {
      const first = this.#waiting[0]!;
      const taken = first.copy(buffer, at + filled, 0, most - filled);
      filled += taken;
      if (taken === first.length) this.#waiting.shift();
      else this.#waiting[0] = first.subarray(taken);
    }
    this.#waitingBytes -= filled;
    return filled;
  }

  /** For what the application's socket has taken. */
  #giveCredit(): void {
    const taken = this.#received - this.#app.writableLength;
    if (taken - this.#credited < window / CREDIT_PARTS || isBusy) return;
    this.#credited = taken;
    credit.writeDoubleBE(taken + window, HEADER_BYTES);
    send(credit, sealer.seal(credit, 0, CREDIT, this.#id, CREDIT_BYTES));
  }
}

function send(bytes: Buffer, length: number): void {
  socket.send(bytes, 0, length, onSent);
  // What the kernel has taken may be written over; else the buffer is left alone until it has.
  isBusy = socket.getSendQueueCount() > 0;
}

function onSent(error: Error | null): void {
  // The other one has been ended, and so will this one be.
  if (error !== null && (error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error;
  if (!isBusy) return;
  isBusy = false;
  for (const pipe of pipes.values()) pipe.goOn();
}

function receive(datagram: Buffer): void {
  for (let at = 0; at < datagram.length; ) {
    let next = opener.open(datagram, at, opened);
    const { type, stream, start } = opened;
    const pipe = pipeOf(stream);
    if (type === CREDIT) pipe?.extend(datagram.readDoubleBE(start));
    else if (type === END) pipe?.end();
    else {
      // What packets of one read hold is pushed together, for one write instead of one each.
      let end = start + opened.length;
      while (next < datagram.length && isDataOf(datagram, next, stream)) {
        next = opener.open(datagram, next, opened);
        datagram.copyWithin(end, opened.start, opened.start + opened.length);
        end += opened.length;
      }
      pipe?.write(datagram.subarray(start, end));
    }
    at = next;
  }
}

function isDataOf(datagram: Buffer, at: number, stream: number): boolean {
  return datagram[at] === DATA && datagram.readUInt32BE(at + 4) === stream;
}

/**
 * The near one numbers streams; the first packet of one makes the far one connect. What is still on its way to one that an
 * application has left is for nobody.
 */
function pipeOf(stream: number): Pipe | undefined {
  const known = pipes.get(stream);
  if (known !== undefined || options.side === 'near' || opened.type !== DATA || stream <= last) return known;
  last = stream;
  return new Pipe(stream, openUnix(options.path));
}

async function listen(): Promise<void> {
  const server = createServer({ highWaterMark: BUFFER_BYTES, allowHalfOpen: true }, (app) => {
    last += 1;
    new Pipe(last, app);
  });
  server.listen({ path: options.path, backlog: 512 });
  await once(server, 'listening');
}

function reply(message: HopReply): void {
  process.send?.(message);
}

socket.on('message', receive);
// What a send has to say of it, its callback hears.
socket.on('error', () => undefined);
process.on('message', (request: HopRequest | { readonly probe: string }) => {
  if ('probe' in request) return;
  socket.connect(request.port, '127.0.0.1', () => reply({ kind: 'connected' }));
});
if (options.side === 'near') await listen();
reply({ kind: 'ready', port: socket.address().port });
