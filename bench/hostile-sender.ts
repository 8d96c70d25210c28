import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { frameMessage } from '../ipc/framing.ts';
import { CONTROL_VERSION, encodeRequest, type Request } from '../ipc/messages.ts';
import { type ControlMap, type ControlValue, encodeControl } from '../wire/cbor.ts';

/**
 * The hostile program of `hostile-client`: one that got hold of `app.sock` and does its worst there in one way, as fast as it can.
 * It is a process of its own, so what it costs itself is not taken for what it costs the daemon.
 */

export type Attack =
  | 'length 2³² − 1'
  | 'a million empty frames'
  | 'a byte a second'
  | 'never reads'
  | 'unknown commands'
  | '10,000 dials';

export interface SenderOptions {
  readonly attack: Attack;
  /** Of the daemon. */
  readonly socket: string;
  /** A peer of the daemon, and one that never answers. */
  readonly peer: string;
  readonly ghost: string;
}

export interface SenderRequest {
  readonly kind: 'count';
}

export type SenderReply =
  | { readonly kind: 'attacking' }
  | {
      readonly kind: 'count';
      readonly at: number;
      /** Connections that were made. */
      readonly connections: number;
      /** Of those, the ones that the daemon closed. */
      readonly closed: number;
    };

const CONTROL_BYTE = Uint8Array.of(0);
const ECHO_PORT = 7;
const MIB = 2 ** 20;

let connections = 0;
let closed = 0;

/** What is done with one connection. */
interface Assault {
  /** First, in this order. */
  readonly says: readonly (Uint8Array | string)[];
  readonly work?: (socket: Socket) => void;
  readonly reads?: boolean;
}

/** Resolves once the connection is over. */
async function assault(path: string, { says, work, reads = true }: Assault): Promise<void> {
  const socket = connect(path);
  const isClosed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let isConnected = false;
  // What the daemon does to it is all the same to this program.
  socket.on('error', () => undefined);
  socket.once('connect', () => {
    isConnected = true;
    connections += 1;
    for (const piece of says) socket.write(piece);
    work?.(socket);
  });
  if (reads) socket.resume();
  await isClosed;
  if (isConnected) closed += 1;
  // The daemon's queue is full.
  else await sleep(1);
}

/** So many at any time, each made anew as soon as it is closed. */
function keep(count: number, path: string, what: (index: number) => Assault): void {
  for (let i = 0; i < count; i++) void again(path, what(i));
}

async function again(path: string, what: Assault): Promise<never> {
  for (;;) await assault(path, what);
}

/** As fast as the other side takes it, for as long as there is a connection. */
function flood(piece: Uint8Array): (socket: Socket) => void {
  return (socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on('drain', more);
    more();
  };
}

function drip(bytes: Uint8Array): (socket: Socket) => void {
  return (socket) => {
    let at = 0;
    const next = (): void => {
      socket.write(bytes.subarray(at, ++at));
    };
    const timer = setInterval(next, 1_000);
    socket.once('close', () => clearInterval(timer));
    next();
  };
}

function request(id: number, what: Request): Uint8Array {
  return frameMessage(encodeRequest(id, what) as Uint8Array);
}

const HELLO = request(1, { do: 'hello', version: CONTROL_VERSION });

const unknown = (id: number): ControlMap =>
  new Map<string, ControlValue>([
    ['do', 'nonsense'],
    ['id', id],
  ]);

/** Requests of a kind, as many as a write should have; their ids are their own, and above that of `hello`. */
function requests(encode: (id: number) => Uint8Array): Uint8Array {
  return Buffer.concat(Array.from({ length: 1_000 }, (_, i) => encode(2 + i)));
}

function begin({ attack, socket, peer, ghost }: SenderOptions): void {
  const path = join(socket, 'app.sock');
  const echo = `dial ${peer}:${ECHO_PORT}\n`;
  switch (attack) {
    case 'length 2³² − 1': {
      const work = flood(Buffer.alloc(MIB, 0xff));
      keep(16, path, () => ({ says: [CONTROL_BYTE], work }));
      return;
    }
    case 'a million empty frames': {
      const frames = Buffer.alloc(4_000_000);
      keep(16, path, () => ({ says: [CONTROL_BYTE, frames] }));
      return;
    }
    case 'a byte a second': {
      const message = drip(Buffer.concat([CONTROL_BYTE, HELLO]));
      const line = drip(Buffer.from(echo.padStart(400, 'x')));
      keep(400, path, (i) => ({ says: [], work: i % 2 === 0 ? message : line }));
      return;
    }
    case 'never reads': {
      const statuses = flood(requests((id) => request(id, { do: 'status' })));
      const bytes = flood(Buffer.alloc(MIB));
      keep(8, path, () => ({ says: [CONTROL_BYTE, HELLO], work: statuses, reads: false }));
      keep(8, path, () => ({ says: [echo], work: bytes, reads: false }));
      return;
    }
    case 'unknown commands': {
      const work = flood(requests((id) => frameMessage(encodeControl(unknown(id)))));
      keep(8, path, () => ({ says: [CONTROL_BYTE, HELLO], work }));
      return;
    }
    case '10,000 dials': {
      // To an echo, to nobody, to a port where nobody listens, and to a peer that never answers.
      const lines = [echo, 'dial nobody:80\n', `dial ${peer}:4999\n`, `dial ${ghost}:80\n`];
      keep(10_000, path, (i) => ({ says: [lines[i % lines.length]!] }));
    }
  }
}

function reply(message: SenderReply): void {
  process.send?.(message);
}

process.on('message', () => reply({ kind: 'count', at: performance.now(), connections, closed }));
// With everything it has open.
process.on('disconnect', () => process.exit());
begin(JSON.parse(process.argv[2] ?? '{}') as SenderOptions);
reply({ kind: 'attacking' });
