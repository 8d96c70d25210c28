import type { Socket } from 'node:net';
import { cancelled, type WarrenError } from '../base/errors.ts';
import type { Bounds } from './bounds.ts';
import { CANCELLED, type ClientStream, type StreamSlot } from './client-registry.ts';
import { closeGently } from './close-gently.ts';
import { encodeStreamAnswer } from './first-line.ts';
import { freeRead } from './free-memory.ts';
import type { StreamEnd, StreamListener } from './host.ts';

/**
 * The bridge between a stream and the Unix connection of its program. Neither side is read faster than the other takes: what the
 * stream does not take waits here, one read at the most, with the socket paused; what the socket does not take stays in the
 * stream, whose window then closes at the far writer. Bytes are handed on as they are.
 *
 * The halves are independent. *Writing* is from the client to the far side, *reading* from there to the client.
 */
export class StreamConnection implements StreamListener, ClientStream {
  readonly #socket: Socket;
  readonly #slot: StreamSlot;
  readonly #bounds: Bounds;
  #end: StreamEnd | undefined;
  #isAnswered = false;
  #isAbandoned = false;

  #writing: 'open' | 'over' = 'open';
  /** Of the last read from the socket, what the stream has not taken. */
  #untaken: Uint8Array | undefined;
  #clientHasEnded = false;
  /** A dying program's connection ends like a finished one's: with an owner, the end counts once the owner has said so. */
  #isDeclared: boolean;
  #takenInTurn = 0;
  #isYielding = false;

  #reading: 'open' | 'ending' | 'over' = 'open';
  #isPumping = false;
  /** Pieces that the kernel has not taken yet. */
  #unwritten = 0;

  #isSocketClosed = false;
  #isStreamClosed = false;
  #error: WarrenError | undefined;
  #isReported = false;

  constructor(socket: Socket, slot: StreamSlot, bounds: Bounds) {
    this.#socket = socket;
    this.#slot = slot;
    this.#bounds = bounds;
    this.#isDeclared = !slot.hasOwner;
  }

  /** `early` is what came behind the line. One that was dialled is answered once the far side has taken it. */
  start(end: StreamEnd, early: Uint8Array, how: 'dialled' | 'accepted'): void {
    this.#end = end;
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('end', () => this.#ended());
    socket.on('drain', () => this.#pumpNextTurn());
    socket.on('close', () => this.#closedSocket());
    if (early.length > 0) this.#received(early);
    if (how === 'accepted') this.#answer(end);
    this.#slot.hold(this);
  }

  // What the stream tells.

  connected(): void {
    if (!this.#isAnswered && this.#end !== undefined) this.#answer(this.#end);
  }

  readable(): void {
    this.#pump();
  }

  writable(): void {
    const untaken = this.#untaken;
    if (untaken === undefined) return;
    this.#untaken = undefined;
    this.#offer(untaken);
    this.#finishIfComplete();
    this.#resume();
  }

  finished(): void {
    if (this.#reading !== 'open') return;
    this.#reading = 'ending';
    const socket = this.#socket;
    // Told only when the kernel has everything: whoever is told can rely on reading it all. As a rule it has by now.
    socket.end();
    if (!socket.destroyed && socket.writableLength === 0) this.#readToTheEnd();
    else socket.once('finish', () => this.#readToTheEnd());
  }

  acknowledged(): void {
    if (!this.#isReported) this.#slot.report('acknowledged');
  }

  reset(code: number): void {
    if (this.#reading !== 'open') return;
    this.#reading = 'over';
    this.#slot.report('reset', { code });
    this.#socket.end();
  }

  stopped(code: number): void {
    if (!this.#isReported) this.#slot.report('stopped', { code });
    this.#stopWriting();
  }

  closed(error: WarrenError | undefined): void {
    this.#isStreamClosed = true;
    this.#error = error;
    this.#stopWriting();
    if (!this.#isAnswered) this.#refuse(error ?? gaveUp());
    else if (this.#reading === 'open') {
      this.#reading = 'over';
      this.#socket.end();
    }
    this.#settle();
  }

  // What the owner says.

  declareFinished(): void {
    this.#isDeclared = true;
    this.#finishIfComplete();
  }

  giveUp(code: number): void {
    this.#stopWriting();
    this.#reading = 'over';
    this.#end?.reset(code);
    this.#end?.stop(code);
    if (!this.#isAnswered) this.#refuse(gaveUp());
    else closeGently(this.#socket, this.#bounds.lingerMs);
    this.#settle();
  }

  abandon(): void {
    this.#isAbandoned = true;
    // What was declared complete arrives as it would from a TCP connection whose program has exited: it is all in the kernel.
    if (!this.#isDeclared) this.giveUp(CANCELLED);
    else if (this.#reading !== 'over') {
      this.#reading = 'over';
      this.#end?.stop(CANCELLED);
      this.#settle();
    }
  }

  // From the client to the stream.

  #received(chunk: Uint8Array): void {
    // Bytes that nobody wants any more are read all the same: a blocked writer would never see how the other half ends.
    if (this.#writing === 'over') {
      this.#count(chunk.length);
      freeRead(chunk);
    }
    // Without Node's `Buffer`, whose `slice` does not copy.
    else this.#offer(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
  }

  #offer(bytes: Uint8Array): void {
    const taken = this.#end!.write(bytes, 'given');
    if (taken === 'ended') {
      this.#stopWriting();
      return;
    }
    if (taken < bytes.length) {
      this.#untaken = bytes.subarray(taken);
      this.#socket.pause();
    }
    this.#count(taken);
  }

  /** One fast writer leaves the others their turn. */
  #count(bytes: number): void {
    this.#takenInTurn += bytes;
    if (this.#takenInTurn < this.#bounds.bytesPerTurn || this.#isYielding) return;
    this.#isYielding = true;
    this.#socket.pause();
    setImmediate(() => {
      this.#isYielding = false;
      this.#takenInTurn = 0;
      this.#resume();
    });
  }

  #resume(): void {
    if (this.#untaken === undefined && !this.#isYielding) this.#socket.resume();
  }

  #ended(): void {
    this.#clientHasEnded = true;
    this.#finishIfComplete();
  }

  #finishIfComplete(): void {
    if (this.#writing === 'over' || !this.#clientHasEnded || !this.#isDeclared || this.#untaken !== undefined) return;
    this.#writing = 'over';
    this.#end?.finish();
  }

  #stopWriting(): void {
    this.#writing = 'over';
    this.#untaken = undefined;
    this.#resume();
  }

  // From the stream to the client.

  #answer(end: StreamEnd): void {
    this.#isAnswered = true;
    this.#slot.dialled();
    const { peer, localPort, remotePort } = end;
    // To write to a program that is gone would end the connection, and with it what is still to be read from there.
    if (this.#isAbandoned) return;
    // What the far side has said already goes with the answer.
    this.#socket.cork();
    this.#socket.write(encodeStreamAnswer({ ok: true, id: this.#slot.id, peer, localPort, remotePort }));
    this.#pump();
    this.#socket.uncork();
  }

  /** The answer says how it ended; there is nothing to report besides. */
  #refuse(error: WarrenError): void {
    this.#isAnswered = true;
    this.#slot.dialled();
    this.#reading = 'over';
    this.#isReported = true;
    this.#socket.write(encodeStreamAnswer({ ok: false, error }));
    closeGently(this.#socket, this.#bounds.lingerMs);
  }

  #pump(): void {
    const socket = this.#socket;
    if (!this.#isAnswered || this.#reading !== 'open' || this.#isPumping || socket.writableNeedDrain) return;
    if (this.#unwritten >= UNWRITTEN_PIECES_MAX) return;
    // Nothing leaves while it is corked, so the socket's own high-water mark bounds what one turn moves.
    const end = this.#end!;
    socket.cork();
    for (;;) {
      const bytes = this.#unwritten < UNWRITTEN_PIECES_MAX ? end.read(true) : undefined;
      if (bytes === undefined) break;
      this.#unwritten += 1;
      const written = (): void => {
        end.giveBack(bytes);
        // Where it was their number that had the rest wait.
        if (this.#unwritten-- === UNWRITTEN_PIECES_MAX) this.#pumpNextTurn();
      };
      if (!socket.write(bytes, written)) break;
    }
    socket.uncork();
  }

  /** A kernel that takes all at once would otherwise let one fast reader keep the turn. */
  #pumpNextTurn(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    setImmediate(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  #readToTheEnd(): void {
    if (this.#reading !== 'ending') return;
    this.#reading = 'over';
    this.#slot.report('fin');
    this.#settle();
  }

  // The end.

  #closedSocket(): void {
    this.#isSocketClosed = true;
    // Torn before its end was read: what is missing, nobody knows. After its end, what we hold is all.
    if (this.#writing === 'open' && !this.#clientHasEnded) {
      this.#stopWriting();
      this.#end?.reset(CANCELLED);
    }
    if (this.#reading !== 'over') {
      this.#reading = 'over';
      this.#end?.stop(CANCELLED);
    }
    this.#settle();
  }

  #settle(): void {
    if (!this.#isStreamClosed) return;
    if (this.#reading === 'over' && !this.#isReported) {
      this.#isReported = true;
      this.#slot.report('closed', this.#error === undefined ? {} : { error: this.#error });
      closeGently(this.#socket, this.#bounds.lingerMs);
    }
    if (this.#isSocketClosed) this.#slot.release();
  }
}

/**
 * The socket bounds what waits in bytes, and each piece costs some hundred besides: of small ones so many, and what comes stays where
 * it lies close together.
 */
const UNWRITTEN_PIECES_MAX = 64;

function gaveUp(): WarrenError {
  return cancelled('the stream was given up');
}
