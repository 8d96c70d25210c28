import type { Socket } from 'node:net';
import { cancelled, type WarrenError } from '../base/errors.ts';
import { daemonGone, unreadable } from './client-errors.ts';
import { type ConnectOptions, connectSocket } from './connect-socket.ts';
import {
  ANSWER_BYTES_MAX,
  decodeStreamAnswer,
  encodeStreamLine,
  lineMisuse,
  type StreamLine,
  type StreamTaken,
} from './first-line.ts';

export interface OpenStreamOptions extends ConnectOptions {
  readonly line: StreamLine;
}

/** A stream's connection whose line has been written. */
export interface OpeningStream {
  /**
   * It takes writes at once: they travel with the stream's opening. It is not to be read before `answer` has come, and is then
   * paused behind the answer's line, with nothing but its `error` listened to.
   */
  readonly socket: Socket;
  /** The daemon's answer; fails with its error, and the socket is destroyed. */
  readonly answer: Promise<StreamOpened>;
}

export interface StreamOpened extends StreamTaken {
  /** The first bytes of the stream, where they came with the answer. They come before all that the socket gives. */
  readonly rest: Uint8Array;
}

const LF = 0x0a;

/**
 * Connects and writes the line. Where `signal` aborts before the answer has come, the connection is torn; a program with a control
 * connection says `reset` there too, for a torn connection looks like a finished one.
 */
export async function openStream(options: OpenStreamOptions): Promise<OpeningStream> {
  const line = encodeStreamLine(options.line);
  if (typeof line !== 'string') throw lineMisuse(line);
  const socket = await connectSocket(options);
  // An error without a listener would end the process; whoever uses the socket adds another.
  socket.on('error', () => {});
  socket.write(line);
  const answer = readAnswer(socket, options.signal);
  // The caller may look at it later than it fails.
  answer.catch(() => {});
  return { socket, answer };
}

function readAnswer(socket: Socket, signal: AbortSignal | undefined): Promise<StreamOpened> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer): void => {
      const end = chunk.indexOf(LF);
      chunks.push(chunk);
      length += chunk.length;
      if (end === -1) {
        if (length > ANSWER_BYTES_MAX) fail(unreadable());
        return;
      }
      settle();
      socket.pause();
      const all = Buffer.concat(chunks);
      const at = length - chunk.length + end;
      const answer = decodeStreamAnswer(all.toString('utf8', 0, at));
      if (answer === undefined) fail(unreadable());
      else if (!answer.ok) fail(answer.error);
      else resolve({ rest: new Uint8Array(all.buffer, all.byteOffset + at + 1, all.length - at - 1), ...answer });
    };
    const onGone = (): void => fail(daemonGone());
    const onAbort = (): void => fail(cancelled());
    const settle = (): void => {
      socket.off('data', onData).off('end', onGone).off('close', onGone);
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: WarrenError): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    socket.on('data', onData).on('end', onGone).on('close', onGone);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
  });
}
