import type { WarrenError } from '../base/errors.ts';
import type { PeerName } from '../ipc/host.ts';

/**
 * What a `WarrenStream` stands on: a stream of the node in this process, or a connection to the daemon that has it. All that is
 * Node about a stream is above this seam, all that is warren below it.
 *
 * Whoever is done with one says `giveUp` or `leave`, or has finished it and been told that the far side has too. What remains to
 * be seen through then, the carrier does by itself, and its user is told nothing more that matters.
 */
export interface Carrier {
  /** Begins. The user is told things from here on, but never before this call has returned. */
  start(user: CarrierUser): void;
  /** Takes all of it, and the next only after it has said of all that it is `taken`. */
  write(pieces: readonly Uint8Array[]): void;
  /** No more will be written. */
  finish(): void;
  /** More is wanted: at first, and whenever `received` has said that it was not. */
  resume(): void;
  /** Gives both halves up. */
  giveUp(code: number): void;
  /** Only after `finish`: reads no more. What was written still arrives. */
  leave(): void;
}

/** What a carrier tells. `closed` is the last. */
export interface CarrierUser {
  /** A program at the far side has the stream. */
  connected(ends: StreamEnds): void;
  /** So many of the bytes that were written are the program's again. */
  taken(bytes: number): void;
  /** The next bytes, the user's to keep. False: no more until `resume`. */
  received(bytes: Uint8Array): boolean;
  /** The far side has written its last, and all of it was `received`. */
  finished(): void;
  /** The far side gave its writing half up. */
  reset(code: number): void;
  /** The far side reads no more. */
  stopped(code: number): void;
  /** With an error where the halves did not both end in order. */
  closed(error: WarrenError | undefined): void;
}

/** Between whom a stream is. */
export interface StreamEnds {
  readonly peer: PeerName;
  readonly localPort: number;
  readonly remotePort: number;
}

/** For a stream that there cannot be: it fails as it would fail on its way. */
export class FailedCarrier implements Carrier {
  readonly #error: WarrenError;

  constructor(error: WarrenError) {
    this.#error = error;
  }

  start(user: CarrierUser): void {
    process.nextTick(() => user.closed(this.#error));
  }

  write(): void {}
  finish(): void {}
  resume(): void {}
  giveUp(): void {}
  leave(): void {}
}
