import { equal } from '../base/bytes.ts';
import type { Rng } from '../base/rng.ts';
import { randomBytes } from '../base/rng.ts';
import type { Instant } from '../base/time.ts';
import { after, earliest, NEVER } from '../base/time.ts';
import {
  AMPLIFICATION_LIMIT,
  BASE_MTU,
  PATH_CHALLENGES_MAX,
  PATH_VALIDATION_LIFETIME,
  PATHS_MAX,
} from './constants.ts';
import type { Lane } from './lane.ts';
import type { Route } from './route.ts';
import { RttEstimator } from './rtt.ts';

/**
 * One way to the peer. It starts as a candidate: until a challenge on it is answered, no more than three times what came
 * from it is sent to it. Whether and when a tunnel sends by it is the tunnel's decision, not the path's.
 */
export class Path {
  readonly route: Route;
  readonly rtt: RttEstimator = new RttEstimator();
  /** What recovery, pacing and MTU search know of it, once packets go by it. */
  lane: Lane | undefined;
  bytesReceived = 0;
  bytesSent = 0;
  #heardAt: Instant = 0 as Instant;
  /** When a challenge was last answered; `undefined` makes it a candidate. */
  validatedAt: Instant | undefined = undefined;
  #challenge: { readonly data: Uint8Array; sent: number; due: Instant } | undefined;

  constructor(route: Route) {
    this.route = route;
  }

  get mtu(): number {
    return this.lane?.mtu ?? BASE_MTU;
  }

  get isValidated(): boolean {
    return this.validatedAt !== undefined;
  }

  /** What may still be sent: RFC 9000 §8.1. */
  get allowance(): number {
    if (this.isValidated) return Number.MAX_SAFE_INTEGER;
    return Math.max(0, AMPLIFICATION_LIMIT * this.bytesReceived - this.bytesSent);
  }

  get challengeDue(): Instant {
    return this.#challenge?.due ?? NEVER;
  }

  get isChallenged(): boolean {
    return this.#challenge !== undefined;
  }

  /** It proved itself, and that or its last use is not long ago. */
  wasValidatedLately(now: Instant): boolean {
    if (this.validatedAt === undefined) return false;
    return now - Math.max(this.validatedAt, this.#heardAt) < PATH_VALIDATION_LIFETIME;
  }

  noteReceived(length: number, now: Instant): void {
    // Asked before this packet counts: silence that is over for one packet was still silence.
    if (this.validatedAt !== undefined && this.wasValidatedLately(now)) this.#heardAt = now;
    this.bytesReceived += length;
  }

  validate(now: Instant): void {
    this.validatedAt = now;
    this.#challenge = undefined;
  }

  /** RFC 9000 §8.2.1: unpredictable, and the same for every try, so that a late answer still counts. */
  startChallenge(rng: Rng, now: Instant): void {
    this.#challenge ??= { data: randomBytes(rng, 8), sent: 0, due: now };
  }

  /** The challenge to send now; `undefined` when the tries are used up, and the challenge is over. */
  takeChallenge(now: Instant): Uint8Array | undefined {
    const challenge = this.#challenge;
    if (challenge === undefined || challenge.sent >= PATH_CHALLENGES_MAX) {
      this.#challenge = undefined;
      return undefined;
    }
    challenge.sent += 1;
    challenge.due = after(now, this.rtt.probeTimeout * challenge.sent);
    return challenge.data;
  }

  isAnsweredBy(response: Uint8Array): boolean {
    return this.#challenge !== undefined && this.#challenge.sent > 0 && equal(this.#challenge.data, response);
  }
}

/** The ways to one peer; at most `PATHS_MAX`, the oldest candidate gives way. */
export class PathTable {
  /** Those that come or leave are in or out of the next array, which is as long as it needs to be; this one may be walked meanwhile. */
  #paths: readonly Path[] = [];
  #active: Path | undefined;
  readonly #removed: Path[] = [];

  get active(): Path | undefined {
    return this.#active;
  }

  get all(): readonly Path[] {
    return this.#paths;
  }

  get(route: Route): Path | undefined {
    for (const path of this.#paths) if (path.route.key === route.key) return path;
    return undefined;
  }

  /** The path of a route, made a candidate if it is new; `undefined` when every place is taken by a path that proved itself. */
  getOrAdd(route: Route): Path | undefined {
    const known = this.get(route);
    if (known !== undefined) return known;
    if (this.#paths.length >= PATHS_MAX && !this.#makeRoom()) return undefined;
    const path = new Path(route);
    this.#paths = this.#paths.concat(path);
    return path;
  }

  activate(path: Path): void {
    this.#active = path;
  }

  remove(path: Path): void {
    if (path === this.#active) return;
    this.#paths = this.#paths.filter((other) => other !== path);
    this.#removed.push(path);
  }

  /** One that has left the table and whose lane is still to be closed. */
  takeRemoved(): Path | undefined {
    return this.#removed.pop();
  }

  nextChallengeDue(): Instant {
    let next = NEVER;
    for (const path of this.#paths) next = earliest(next, path.challengeDue);
    return next;
  }

  /** The oldest candidate gives way, else the path validated longest ago; never the active one. */
  #makeRoom(): boolean {
    let leaving: Path | undefined;
    for (const path of this.#paths) {
      if (path === this.#active) continue;
      if (leaving === undefined || (path.validatedAt ?? -1) < (leaving.validatedAt ?? -1)) leaving = path;
    }
    if (leaving === undefined) return false;
    this.remove(leaving);
    return true;
  }
}
