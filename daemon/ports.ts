import { WarrenError } from '../base/errors.ts';
import type { Standing } from '../ipc/shared-quota.ts';
import { PORT_MAX } from '../wire/address.ts';

/** RFC 6335 §6: the dynamic ports, which nobody can count on. */
export const EPHEMERAL_FIRST = 49_152;
export const EPHEMERAL_LAST: number = PORT_MAX;
const EPHEMERAL_COUNT = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;
/** The dynamic ports that programs on `app.sock` leave to the node's owner. */
const EPHEMERAL_KEPT = 1_024;
/** Those they may have together, of one kind, lent or bound. */
export const APP_EPHEMERAL_MAX: number = EPHEMERAL_COUNT - EPHEMERAL_KEPT;

/**
 * The ports of one kind, of streams or of datagrams: who has bound which, and which are lent to streams that go out. Bounded by
 * the ports there are: 65,535 bound, 16,384 lent. Programs on `app.sock` together have `APP_EPHEMERAL_MAX` of the dynamic ones, and
 * so cannot keep the owner from dialling, or from listening on any free port.
 *
 * A lent port does not keep anybody from binding it, because streams are told apart by their ids; but no port in use, of either
 * kind, is ever handed out.
 */
export class PortTable<T> {
  readonly #bound: Map<number, { readonly owner: T; readonly standing: Standing }> = new Map();
  /** For whom. */
  readonly #lent: Map<number, Standing> = new Map();
  /** Dynamic ports of programs on `app.sock`. */
  #appCount = 0;
  #next: number;

  /** `start` is where looking for a free port begins. */
  constructor(start: number = EPHEMERAL_FIRST) {
    this.#next = start;
  }

  get(port: number): T | undefined {
    return this.#bound.get(port)?.owner;
  }

  /** Ascending. */
  get bound(): readonly number[] {
    return [...this.#bound.keys()].sort((a, b) => a - b);
  }

  get lentCount(): number {
    return this.#lent.size;
  }

  /** The port that was bound: a free one for 0. Thrown: it is taken, or none is free. */
  bind(port: number, owner: T, standing: Standing = 'owner'): number {
    const chosen = port === 0 ? this.#findFree() : port;
    if (chosen === undefined || (isDynamic(chosen) && !this.#mayHaveMore(standing))) throw noFreePort();
    if (this.#bound.has(chosen)) {
      throw new WarrenError(
        'ERR_WARREN_PORT_TAKEN',
        `port ${chosen} of this node is taken by another program`,
        'choose another port, or 0 for any free one',
      );
    }
    this.#bound.set(chosen, { owner, standing });
    if (isDynamic(chosen)) this.#count(standing, 1);
    return chosen;
  }

  unbind(port: number): void {
    const bound = this.#bound.get(port);
    this.#bound.delete(port);
    if (isDynamic(port)) this.#count(bound?.standing, -1);
  }

  /** A port for a stream that goes out; `undefined` where none is free. */
  lend(standing: Standing = 'owner'): number | undefined {
    const port = this.#mayHaveMore(standing) ? this.#findFree() : undefined;
    if (port === undefined) return undefined;
    this.#lent.set(port, standing);
    this.#count(standing, 1);
    return port;
  }

  giveBack(port: number): void {
    this.#count(this.#lent.get(port), -1);
    this.#lent.delete(port);
  }

  #mayHaveMore(standing: Standing): boolean {
    return standing === 'owner' || this.#appCount < APP_EPHEMERAL_MAX;
  }

  #count(standing: Standing | undefined, change: 1 | -1): void {
    if (standing === 'app') this.#appCount += change;
  }

  /** One after the other, so that a port just given back is not at once another stream's. */
  #findFree(): number | undefined {
    for (let tries = 0; tries < EPHEMERAL_COUNT; tries++) {
      const port = this.#next;
      this.#next = port === EPHEMERAL_LAST ? EPHEMERAL_FIRST : port + 1;
      if (!this.#bound.has(port) && !this.#lent.has(port)) return port;
    }
    return undefined;
  }
}

function isDynamic(port: number): boolean {
  return port >= EPHEMERAL_FIRST;
}

/** Thrown: no port that a stream or a datagram can go to. */
export function requirePort(port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= PORT_MAX) return port;
  throw new WarrenError('ERR_WARREN_ARGUMENT', 'this is not a port', `a port is a number from 1 to ${PORT_MAX}`);
}

/** Likewise, but 0 stands for any free one. */
export function requireLocalPort(port: number): number {
  return port === 0 ? port : requirePort(port);
}

export function noFreePort(): WarrenError {
  return new WarrenError(
    'ERR_WARREN_NO_FREE_PORT',
    `no port from ${EPHEMERAL_FIRST} to ${EPHEMERAL_LAST} is left for this program`,
    'close streams that are not needed any more',
  );
}
