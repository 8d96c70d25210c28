import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { WarrenError } from '../../base/errors.ts';
import type { WarrenNode } from '../../sdk/node.ts';

export interface Transfer {
  readonly from: WarrenNode;
  readonly to: WarrenNode;
  /** Of the sender's file, which is there, and of the receiver's, which is not. */
  readonly sent: string;
  readonly received: string;
  readonly port: number;
  readonly bytes: number;
  readonly progress: (bytes: number) => void;
}

export interface TransferFigures {
  readonly bytes: number;
  /** From the dial until the receiver had all of it in its file. */
  readonly seconds: number;
  readonly megabytesPerSecond: number;
  /** Of the file that was sent, and of the one that was received. */
  readonly sha256: string;
}

/** As any program would do it: a file is piped into a stream, and the stream into a file. */
export async function transferFile(transfer: Transfer): Promise<TransferFigures> {
  const { from, to, port, bytes } = transfer;
  const server = await to.listen(port);
  try {
    const start = performance.now();
    const incoming = once(server, 'connection');
    const stream = await from.dial(to.address, port);
    const [received] = await incoming;
    // Each pipeline hears of it only while it has something to do; what breaks one end later breaks the other's.
    for (const end of [stream, received]) end.on('error', () => undefined);
    received.on('data', () => transfer.progress(received.bytesRead));
    await Promise.all([
      pipeline(createReadStream(transfer.sent, { highWaterMark: READ_BYTES }), stream),
      pipeline(received, createWriteStream(transfer.received)),
    ]);
    const seconds = (performance.now() - start) / 1_000;
    const [sha256, other] = [await hashOf(transfer.sent), await hashOf(transfer.received)];
    if (sha256 !== other) throw wrongFile(sha256, other);
    return {
      bytes,
      seconds: Number(seconds.toFixed(4)),
      megabytesPerSecond: Number((bytes / 1e6 / seconds).toFixed(2)),
      sha256,
    };
  } finally {
    await server.close();
  }
}

const READ_BYTES: number = 256 * 1_024;
const PIECE_BYTES: number = 2 ** 20;

export async function writeRandomFile(path: string, bytes: number): Promise<void> {
  await pipeline(randomPieces(bytes), createWriteStream(path));
}

function* randomPieces(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= PIECE_BYTES) yield randomBytes(Math.min(left, PIECE_BYTES));
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function wrongFile(sent: string, received: string): WarrenError {
  return new WarrenError(
    'ERR_WARREN_WRONG_FILE',
    `the file that came is not the one that was sent: ${received}, not ${sent}`,
    'this is a fault of warren: please report it',
  );
}
