import type { Binding, Host, IncomingStream, StreamEnd, StreamListener } from '../ipc/host.ts';
import { CLOSE_CODES } from '../wire/close-codes.ts';

/** RFC 862. */
export const ECHO_PORT = 7;
/** At once, in all and of one peer. Each holds one piece that was read and not yet written, 64 KiB. */
export const ECHO_STREAMS_MAX = 1_024;
export const ECHO_STREAMS_PER_PEER_MAX = 256;
/** Pieces of one stream said back at once before the others have their turn. */
const PIECES_PER_TURN = 16;

/**
 * Says everything back, and finishes when its peer has finished. It reads only what it can write: whoever does not read the echo
 * stops being read.
 */
export function serveEcho(host: Host): Binding {
  const service = new EchoService();
  return host.listen({ port: ECHO_PORT }, (stream) => service.take(stream));
}

class EchoService {
  /** How many there are, by peer key. */
  readonly #streams: Map<string, number> = new Map();
  #count = 0;

  take(incoming: IncomingStream): void {
    const { key } = incoming.peer;
    const ofPeer = this.#streams.get(key) ?? 0;
    if (this.#count >= ECHO_STREAMS_MAX || ofPeer >= ECHO_STREAMS_PER_PEER_MAX) {
      incoming.refuse();
      return;
    }
    const echo = new Echo(() => this.#release(key));
    const end = incoming.accept(echo);
    if (end === undefined) return;
    this.#count += 1;
    this.#streams.set(key, ofPeer + 1);
    echo.begin(end);
  }

  #release(key: string): void {
    this.#count -= 1;
    const left = this.#streams.get(key)! - 1;
    if (left === 0) this.#streams.delete(key);
    else this.#streams.set(key, left);
  }
}

class Echo implements StreamListener {
  readonly #onClosed: () => void;
  #end: StreamEnd | undefined;
  /** Read, and not yet written. */
  #rest: Uint8Array | undefined;
  #hasFinished = false;
  #nextTurn: NodeJS.Immediate | undefined;

  constructor(onClosed: () => void) {
    this.#onClosed = onClosed;
  }

  begin(end: StreamEnd): void {
    this.#end = end;
  }

  connected(): void {}

  readable(): void {
    this.#echo();
  }

  writable(): void {
    this.#echo();
  }

  finished(): void {
    this.#hasFinished = true;
    this.#echo();
  }

  acknowledged(): void {}

  /** Half a stream is no use here: what will not be said cannot be echoed, and what is not heard need not be. */
  reset(): void {
    this.#end?.reset(CLOSE_CODES.CANCELLED);
  }

  stopped(): void {
    this.#end?.stop(CLOSE_CODES.CANCELLED);
  }

  closed(): void {
    clearImmediate(this.#nextTurn);
    this.#end = undefined;
    this.#onClosed();
  }

  #echo(): void {
    const end = this.#end;
    if (end === undefined) return;
    for (let count = 0; count < PIECES_PER_TURN; count++) {
      const piece = this.#rest ?? end.read();
      if (piece === undefined) {
        if (this.#hasFinished) end.finish();
        return;
      }
      const taken = end.write(piece);
      if (taken === 'ended') return;
      this.#rest = taken < piece.length ? piece.subarray(taken) : undefined;
      // `writable` follows.
      if (this.#rest !== undefined) return;
    }
    this.#nextTurn ??= setImmediate(() => {
      this.#nextTurn = undefined;
      this.#echo();
    });
  }
}
