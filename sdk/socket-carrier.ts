import type { Socket } from 'node:net';
import type { WarrenError } from '../base/errors.ts';
import { daemonGone } from '../ipc/client-errors.ts';
import type { StreamEnding } from '../ipc/messages.ts';
import type { OpeningStream, StreamOpened } from '../ipc/stream-client.ts';
import { CLOSE_CODES } from '../wire/close-codes.ts';
import type { Carrier, CarrierUser, StreamEnds } from './carrier.ts';

/** What is handed to the socket at once of one piece, so that a long write shows how far it is. */
const WRITE_BYTES_MAX: number = 256 * 1_024;

/**
 * A stream of the daemon's, over a connection of its own (ipc/PROTOCOL.md). The socket carries bytes and their ends; what an end
 * means comes as `end` on the control connection, and nothing counts as the stream's end without it. So whatever the socket shows
 * when a daemon dies, the control connection's end says what it was.
 */
export class SocketCarrier implements Carrier {
  readonly #ways: SocketWays;
  readonly #begin: (() => Promise<OpeningStream>) | undefined;
  #user: CarrierUser | undefined;
  /** Once its line has been written. */
  #socket: Socket | undefined;
  #isWanted = false;
  /** Written before there was a socket. */
  #unwritten: readonly Uint8Array[] | undefined;
  #hasFinished = false;
  /** With which code the program has given it up. */
  #givenUp: number | undefined;
  /** The program reads no more. */
  #hasLeft = false;
  #isAcknowledged = false;
  /** What came of it on the control connection before it was open here; nothing waits any more once it is. */
  #early: StreamEnding[] | undefined = [];
  /** The daemon has put all bytes into the socket; and they have all come out. */
  #isComplete = false;
  #hasEnded = false;
  #hasToldEnd = false;
  #isTorn = false;
  /** The daemon has said its last about the stream. */
  #closed: { readonly error: WarrenError | undefined } | undefined;

  /** `begin` dials; left out where the stream was taken. */
  constructor(ways: SocketWays, begin?: () => Promise<OpeningStream>) {
    this.#ways = ways;
    this.#begin = begin;
  }

  start(user: CarrierUser): void {
    this.#user = user;
    if (this.#begin !== undefined) void this.#dial(this.#begin());
  }

  /** The daemon has handed over a stream that waited. */
  accepted(socket: Socket, opened: StreamOpened): void {
    this.#open(socket);
    this.#read(opened);
  }

  // What the program asks for.

  write(pieces: readonly Uint8Array[]): void {
    const socket = this.#socket;
    if (socket === undefined) {
      this.#unwritten = pieces;
      return;
    }
    // One system call for all of them.
    socket.cork();
    for (const piece of pieces) {
      for (let at = 0; at < piece.length; at += WRITE_BYTES_MAX) {
        const part = piece.subarray(at, at + WRITE_BYTES_MAX);
        // Why it fails, the control connection says.
        socket.write(part, (error) => {
          if (error == null) this.#user?.taken(part.length);
        });
      }
    }
    socket.uncork();
  }

  finish(): void {
    this.#hasFinished = true;
    if (this.#socket === undefined) return;
    this.#ways.notifyFinish();
    this.#socket.end();
  }

  resume(): void {
    this.#isWanted = true;
    this.#socket?.resume();
  }

  giveUp(code: number): void {
    this.#givenUp = code;
    this.#abandon();
    if (this.#socket !== undefined) this.#ways.notifyReset(code);
  }

  /** Both halves can be given up together only: so once what was written has arrived. */
  leave(): void {
    this.#hasLeft = true;
    this.#abandon();
    if (this.#isAcknowledged) this.#ways.notifyReset(CLOSE_CODES.CANCELLED);
  }

  // What the daemon says of it.

  ended(ending: StreamEnding): void {
    if (this.#early !== undefined) {
      this.#early.push(ending);
      return;
    }
    const { how, code = CLOSE_CODES.CANCELLED, error } = ending;
    switch (how) {
      case 'fin':
        this.#isComplete = true;
        this.#tellEnd();
        return;
      case 'acknowledged':
        this.#isAcknowledged = true;
        if (this.#hasLeft) this.#ways.notifyReset(CLOSE_CODES.CANCELLED);
        return;
      case 'reset':
        this.#user?.reset(code);
        return;
      case 'stopped':
        this.#user?.stopped(code);
        return;
      case 'closed':
        this.#ways.forget();
        this.#closed = { error };
        // All bytes are on their way: they come first.
        if (!this.#isComplete || this.#hasToldEnd || this.#user === undefined) this.#end(error);
    }
  }

  /** There is no daemon any more. */
  gone(error: WarrenError): void {
    this.#end(error);
  }

  async #dial(opening: Promise<OpeningStream>): Promise<void> {
    try {
      const { socket, answer } = await opening;
      this.#open(socket);
      const opened = await answer;
      this.#user?.connected(endsOf(opened));
      this.#read(opened);
    } catch (error) {
      this.#ways.forget();
      this.#end(error as WarrenError);
    }
  }

  #open(socket: Socket): void {
    this.#socket = socket;
    // What keeps the process alive is the control connection.
    socket.unref();
    if (this.#givenUp !== undefined) {
      this.#ways.notifyReset(this.#givenUp);
      return;
    }
    const unwritten = this.#unwritten;
    this.#unwritten = undefined;
    if (unwritten !== undefined) this.write(unwritten);
    if (this.#hasFinished) this.finish();
  }

  /** From the end of the answer's line on. */
  #read({ rest }: StreamOpened): void {
    const socket = this.#socket!;
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('end', () => {
      this.#hasEnded = true;
      this.#tellEnd();
    });
    socket.on('close', () => {
      this.#isTorn = true;
      this.#tellEnd();
    });
    if (rest.length > 0) this.#received(rest);
    if (this.#isWanted || this.#user === undefined) socket.resume();
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const ending of early) this.ended(ending);
  }

  #received(bytes: Uint8Array): void {
    if (this.#user === undefined || this.#user.received(bytes)) return;
    this.#isWanted = false;
    this.#socket!.pause();
  }

  #tellEnd(): void {
    if (!this.#isComplete || this.#hasToldEnd) return;
    if (this.#hasEnded) {
      this.#hasToldEnd = true;
      this.#user?.finished();
      if (this.#closed !== undefined) this.#end(this.#closed.error);
    } else if (this.#isTorn) {
      // With bytes still in it.
      this.#end(daemonGone());
    }
  }

  /** What still comes is of no interest, but unread it would hold up what is still to be written. */
  #abandon(): void {
    this.#user = undefined;
    this.#unwritten = undefined;
    this.#socket?.resume();
  }

  #end(error: WarrenError | undefined): void {
    const user = this.#user;
    this.#abandon();
    this.#socket?.destroy();
    user?.closed(error);
  }
}

/** What a carrier needs of the control connection; all of it is about its own stream. */
export interface SocketWays {
  notifyFinish(): void;
  notifyReset(code: number): void;
  /** Nothing more will be said of it. */
  forget(): void;
}

export function endsOf({ peer, localPort, remotePort }: StreamOpened): StreamEnds {
  return { peer, localPort, remotePort };
}
