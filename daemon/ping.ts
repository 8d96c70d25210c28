import { equal } from '../base/bytes.ts';
import { cancelled, WarrenError } from '../base/errors.ts';
import { type Rng, randomBytes } from '../base/rng.ts';
import type { Instant } from '../base/time.ts';
import { MILLISECOND } from '../base/time.ts';
import type { DialTarget, PeerName, PingOptions, StreamEnd, StreamListener } from '../ipc/host.ts';
import { ECHO_PORT } from '../services/echo.ts';
import { CLOSE_CODES } from '../wire/close-codes.ts';
import { PRIORITY_HIGH } from '../wire/frames.ts';
import { display } from './stream-errors.ts';

const NONCE_BYTES = 16;

export interface PingWays {
  readonly dial: (target: DialTarget, listener: StreamListener) => StreamEnd;
  readonly now: () => Instant;
  readonly rng: Rng;
}

/**
 * How long the echo of sixteen random bytes takes, in microseconds: from program to program, without what opening a tunnel and a
 * stream takes.
 */
export function ping(ways: PingWays, peer: PeerName, options: PingOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    new Ping(ways, peer, options, { resolve, reject }).begin();
  });
}

interface Outcome {
  readonly resolve: (roundTrip: number) => void;
  readonly reject: (error: unknown) => void;
}

class Ping implements StreamListener {
  readonly #ways: PingWays;
  readonly #peer: PeerName;
  readonly #options: PingOptions;
  readonly #outcome: Outcome;
  readonly #nonce: Uint8Array;
  readonly #echo: Uint8Array = new Uint8Array(NONCE_BYTES);
  #echoed = 0;
  #startedAt: Instant | undefined;
  #sentAt: Instant | undefined;
  #end: StreamEnd | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(ways: PingWays, peer: PeerName, options: PingOptions, outcome: Outcome) {
    this.#ways = ways;
    this.#peer = peer;
    this.#options = options;
    this.#outcome = outcome;
    this.#nonce = randomBytes(ways.rng, NONCE_BYTES);
  }

  begin(): void {
    const { timeout, signal } = this.#options;
    if (signal?.aborted) {
      this.#outcome.reject(cancelled('the ping was cancelled'));
      return;
    }
    this.#startedAt = this.#ways.now();
    // Until it is connected, the dial keeps the time, and knows better what is wrong.
    this.#end = this.#ways.dial({ peer: this.#peer.key, port: ECHO_PORT, priority: PRIORITY_HIGH, timeout }, this);
    signal?.addEventListener('abort', this.#abort);
  }

  connected(): void {
    const { timeout } = this.#options;
    this.#sentAt = this.#ways.now();
    const left = timeout - (this.#sentAt - (this.#startedAt ?? this.#sentAt)) / MILLISECOND;
    this.#timer = setTimeout(() => this.#fail(unanswered(this.#peer, timeout)), Math.max(1, left));
    this.#end?.write(this.#nonce);
  }

  readable(): void {
    for (let bytes = this.#end?.read(); bytes !== undefined; bytes = this.#end?.read()) {
      if (this.#echoed + bytes.length > NONCE_BYTES) {
        this.#fail(notAnEcho(this.#peer));
        return;
      }
      this.#echo.set(bytes, this.#echoed);
      this.#echoed += bytes.length;
    }
    if (this.#echoed === NONCE_BYTES) this.#judge();
  }

  writable(): void {}

  finished(): void {
    this.#fail(notAnEcho(this.#peer));
  }

  acknowledged(): void {}
  reset(): void {}
  stopped(): void {}

  closed(error: WarrenError | undefined): void {
    this.#settle();
    this.#outcome.reject(error ?? notAnEcho(this.#peer));
  }

  readonly #abort = (): void => this.#fail(cancelled('the ping was cancelled'));

  #judge(): void {
    if (!equal(this.#echo, this.#nonce) || this.#sentAt === undefined) {
      this.#fail(notAnEcho(this.#peer));
      return;
    }
    const roundTrip = this.#ways.now() - this.#sentAt;
    this.#settle();
    this.#outcome.resolve(roundTrip);
    // In order: the echo finishes when we do.
    this.#end?.finish();
  }

  #fail(error: WarrenError): void {
    this.#settle();
    this.#outcome.reject(error);
    this.#end?.reset(CLOSE_CODES.CANCELLED);
    this.#end?.stop(CLOSE_CODES.CANCELLED);
  }

  #settle(): void {
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#abort);
  }
}

function unanswered(peer: PeerName, milliseconds: number): WarrenError {
  return new WarrenError(
    'ERR_WARREN_TIMEOUT',
    `${display(peer)} took the ping and did not answer within ${milliseconds} ms`,
    'allow more time; the other node may be busy, or the network down',
  );
}

function notAnEcho(peer: PeerName): WarrenError {
  return new WarrenError(
    'ERR_WARREN_NOT_AN_ECHO',
    `what listens on port ${ECHO_PORT} of ${display(peer)} does not echo`,
    `leave port ${ECHO_PORT} to the node there`,
  );
}
