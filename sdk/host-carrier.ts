import { WarrenError } from '../base/errors.ts';
import type { StreamEnd, StreamListener } from '../ipc/host.ts';
import { CLOSE_CODES } from '../wire/close-codes.ts';
import type { Carrier, CarrierUser, StreamEnds } from './carrier.ts';
import type { Hold, Liveness } from './liveness.ts';

/** A stream of the node in this process. What is read goes from the node to the program as it is. */
export class HostCarrier implements Carrier, StreamListener {
  readonly #liveness: Liveness;
  readonly #begin: ((listener: StreamListener) => StreamEnd) | undefined;
  #user!: CarrierUser;
  #end: StreamEnd | undefined;
  #isWanted = false;
  #isReading = false;
  /** Of the write under way, up to where the node has taken it. */
  #pieces: readonly Uint8Array[] = [];
  #piece = 0;
  #offset = 0;
  /** What was finished has to arrive before the process may end, as it does where the kernel has it. */
  #delivery: Hold | undefined;

  private constructor(liveness: Liveness, begin: ((listener: StreamListener) => StreamEnd) | undefined) {
    this.#liveness = liveness;
    this.#begin = begin;
  }

  /** `begin` is called when the carrier is started. */
  static dialled(liveness: Liveness, begin: (listener: StreamListener) => StreamEnd): HostCarrier {
    return new HostCarrier(liveness, begin);
  }

  /** `accept` takes a stream that waits; `undefined` where it gives none. */
  static taken(
    liveness: Liveness,
    accept: (listener: StreamListener) => StreamEnd | undefined,
  ): HostCarrier | undefined {
    const carrier = new HostCarrier(liveness, undefined);
    carrier.#end = accept(carrier);
    return carrier.#end === undefined ? undefined : carrier;
  }

  get ends(): StreamEnds {
    const { peer, localPort, remotePort } = this.#end!;
    return { peer, localPort, remotePort };
  }

  start(user: CarrierUser): void {
    this.#user = user;
    if (this.#begin === undefined) return;
    try {
      this.#end = this.#begin(this);
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error;
      process.nextTick(() => user.closed(error));
    }
  }

  write(pieces: readonly Uint8Array[]): void {
    this.#pieces = pieces;
    this.#piece = 0;
    this.#offset = 0;
    this.#offer();
  }

  finish(): void {
    if (this.#end === undefined) return;
    this.#delivery = this.#liveness.hold();
    this.#end.finish();
  }

  resume(): void {
    this.#isWanted = true;
    this.#pull();
  }

  giveUp(code: number): void {
    this.#drop();
    this.#end?.reset(code);
    this.#end?.stop(code);
  }

  leave(): void {
    this.#end?.stop(CLOSE_CODES.CANCELLED);
  }

  // What the stream tells.

  connected(): void {
    this.#user.connected(this.ends);
  }

  readable(): void {
    this.#pull();
  }

  writable(): void {
    this.#offer();
  }

  finished(): void {
    this.#user.finished();
  }

  acknowledged(): void {
    this.#delivery?.release();
  }

  reset(code: number): void {
    this.#user.reset(code);
  }

  stopped(code: number): void {
    this.#drop();
    this.#user.stopped(code);
  }

  closed(error: WarrenError | undefined): void {
    this.#drop();
    this.#end = undefined;
    this.#delivery?.release();
    this.#user.closed(error);
  }

  #pull(): void {
    // A program that is handed bytes may ask for more before it returns; they are given in their order all the same.
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#isWanted) {
      const bytes = this.#end?.read();
      if (bytes === undefined) break;
      this.#isWanted = false;
      if (this.#user.received(bytes)) this.#isWanted = true;
    }
    this.#isReading = false;
  }

  /**
   * A program may use its buffer again as soon as a write has called back. So there is one copy, as the kernel makes of what is
   * written to a socket.
   */
  #offer(): void {
    let taken = 0;
    for (let piece = this.#pieces[this.#piece]; piece !== undefined; piece = this.#pieces[this.#piece]) {
      const count = this.#end?.write(this.#offset === 0 ? piece : piece.subarray(this.#offset), 'copied') ?? 'ended';
      if (count === 'ended') {
        // Why, `stopped` or `closed` says.
        this.#drop();
        break;
      }
      taken += count;
      this.#offset += count;
      if (this.#offset < piece.length) break;
      this.#piece += 1;
      this.#offset = 0;
    }
    if (taken > 0) this.#user.taken(taken);
  }

  #drop(): void {
    this.#pieces = NOTHING;
    this.#piece = 0;
    this.#offset = 0;
  }
}

const NOTHING: readonly Uint8Array[] = [];
