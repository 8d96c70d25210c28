import { createSocket, type Socket } from 'node:dgram';
import { fromHex } from '../base/bytes.ts';
import { opensslBackend } from '../crypto/openssl.ts';
import { mac, mac1Key } from '../transport/gate.ts';
import {
  INITIATION_BYTES,
  INITIATION_MAC1_OFFSET,
  INITIATION_MAC2_OFFSET,
  writeInitiationHeader,
} from '../wire/packet.ts';
import { benchRng } from './party.ts';

/** The flood of `handshake-flood`: made beforehand, so that the rate is all this process has to see to. */

export type FloodKind = 'bad MAC1' | 'random bytes' | 'valid MAC1, forged, no cookie';

export interface SenderOptions {
  readonly kind: FloodKind;
  readonly port: number;
  /** Of the node that is flooded. */
  readonly staticKey: string;
  readonly perSecond: number;
  readonly sockets: number;
}

export interface SenderRequest {
  readonly kind: 'count';
}

export type SenderReply =
  | { readonly kind: 'sending' }
  | { readonly kind: 'count'; readonly at: number; readonly datagrams: number };

const DATAGRAMS_MADE = 4_096;
const RANDOM_BYTES_MAX = 1_400;
/** What may be caught up on at once after a pause; more would be another kind of flood. */
const BURST_MAX = 400;

const options = JSON.parse(process.argv[2] ?? '{}') as SenderOptions;
const key = mac1Key(opensslBackend, fromHex(options.staticKey));
const datagrams = Array.from({ length: DATAGRAMS_MADE }, makeDatagram);
const sockets = await Promise.all(Array.from({ length: options.sockets }, (_, i) => open(i)));
let sent = 0;
const start = performance.now();
let skipped = 0;

function makeDatagram(): Uint8Array {
  const { kind } = options;
  if (kind === 'random bytes') {
    const length = new Uint16Array(1);
    benchRng.fill(new Uint8Array(length.buffer));
    const random = new Uint8Array(1 + (length[0]! % RANDOM_BYTES_MAX));
    benchRng.fill(random);
    return random;
  }
  const bytes = new Uint8Array(INITIATION_BYTES);
  benchRng.fill(bytes);
  const senderSession = new DataView(bytes.buffer).getUint32(8);
  writeInitiationHeader(bytes, { length: INITIATION_BYTES, network: 0, senderSession });
  bytes.fill(0, INITIATION_MAC2_OFFSET);
  if (kind !== 'bad MAC1') {
    bytes.set(mac(opensslBackend, key, bytes.subarray(0, INITIATION_MAC1_OFFSET)), INITIATION_MAC1_OFFSET);
  }
  return bytes;
}

/** At an address of its own where the system has all of 127.0.0.0/8, else at a port of its own. */
async function open(i: number): Promise<Socket> {
  for (const address of [`127.0.1.${i + 1}`, '127.0.0.1']) {
    const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
    const isBound = await new Promise<boolean>((resolve) => {
      socket.once('listening', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.bind({ address, port: 0, exclusive: true });
    });
    if (isBound) {
      socket.on('error', () => undefined);
      return socket;
    }
    socket.close();
  }
  throw new Error('no loopback address to send from');
}

/** A millisecond's worth at a time. */
function tick(): void {
  const due = Math.floor(((performance.now() - start) * options.perSecond) / 1_000) - sent - skipped;
  skipped += Math.max(0, due - BURST_MAX);
  for (let i = Math.min(due, BURST_MAX); i > 0; i--) {
    const bytes = datagrams[sent % datagrams.length]!;
    sockets[sent % sockets.length]!.send(bytes, 0, bytes.length, options.port, '127.0.0.1');
    sent += 1;
  }
}

function reply(message: SenderReply): void {
  process.send?.(message);
}

const timer = setInterval(tick, 1);
process.on('message', () => reply({ kind: 'count', at: performance.now(), datagrams: sent }));
process.on('disconnect', () => {
  clearInterval(timer);
  for (const socket of sockets) socket.close();
});
reply({ kind: 'sending' });
