import type { Rng } from '../base/rng.ts';
import type { Instant } from '../base/time.ts';
import { createController } from './congestion/create.ts';
import type { TunnelConfig } from './constants.ts';
import { BASE_MTU, PATHS_MAX, PROBE_INTERVAL_MAX } from './constants.ts';
import { Lane } from './lane.ts';
import { MtuSearch } from './mtu-search.ts';
import type { Path } from './path.ts';
import { PathTable } from './path.ts';
import type { Recovery } from './recovery/recovery.ts';
import type { Route } from './route.ts';
import { INITIAL_RTT } from './rtt.ts';
import type { PathState } from './tunnel-node.ts';

const NOTHING_DUE: readonly Challenge[] = [];

/**
 * By which ways a tunnel reaches its peer: where it was told the peer may be, where the peer was heard, and which of these it sends
 * by. Every path in the table has a lane; a path that leaves the table loses it.
 *
 * The active path changes in three ways: a handshake was answered there that we had sent there; there was none; or the newest
 * packet came from there, and the peer has shown that it receives there (RFC 9000 §9.3).
 */
export class TunnelPaths {
  readonly #parts: TunnelPathsParts;
  /** Where `connect` said the peer may be. */
  #told: readonly Route[] = [];
  readonly #table: PathTable = new PathTable();
  /** By which path the highest packet came that was not only about paths (RFC 9000 §9.3). */
  #highestFrom: Path | undefined;
  #highestNumber = -1;

  constructor(parts: TunnelPathsParts) {
    this.#parts = parts;
  }

  get active(): Path | undefined {
    return this.#table.active;
  }

  /** Where the peer may be asked for: where we were told it is, and where it has shown that it receives. */
  get routes(): readonly Route[] {
    const routes = new Map<string, Route>();
    for (const route of this.#told) routes.set(route.key, route);
    for (const path of this.#table.all) if (path.isValidated) routes.set(path.route.key, path.route);
    return [...routes.values()].slice(0, PATHS_MAX);
  }

  get smoothedRtt(): number {
    return this.active?.rtt.smoothed ?? INITIAL_RTT;
  }

  get probeTimeout(): number {
    return this.active?.rtt.probeTimeout ?? PROBE_INTERVAL_MAX;
  }

  /** How long to wait for an answer before asking once more, having asked so often. */
  retryInterval(asked: number): number {
    return Math.min(this.probeTimeout * 2 ** Math.min(asked, 10), PROBE_INTERVAL_MAX);
  }

  nextChallengeDue(): Instant {
    return this.#table.nextChallengeDue();
  }

  inspect(): readonly PathState[] {
    return this.#table.all.map((path) => ({
      route: path.route.key,
      isValidated: path.isValidated,
      isChallenged: path.isChallenged,
      bytesReceived: path.bytesReceived,
      bytesSent: path.bytesSent,
      bytesInFlight: path.lane?.recovery.bytesInFlight ?? 0,
      window: path.lane?.recovery.controller.window ?? 0,
    }));
  }

  tell(routes: readonly Route[]): void {
    this.#told = routes.slice(0, PATHS_MAX);
  }

  /** The path of a route, new or known; `undefined` where every place is taken by a path that proved itself. */
  open(route: Route, now: Instant): Path | undefined {
    const path = this.#table.getOrAdd(route);
    this.#closeLanes(now);
    if (path !== undefined && path.lane === undefined) path.lane = this.#openLane(path, now);
    return path;
  }

  /** How long a handshake's answer took: the first that is known of a path's round trip. */
  sampleHandshake(path: Path, roundTrip: number, now: Instant): void {
    path.rtt.sample(roundTrip, 0);
    path.lane?.follow(now);
  }

  activate(path: Path): void {
    if (path === this.active) return;
    const isFirst = this.active === undefined;
    this.#table.activate(path);
    if (path.lane !== undefined) this.#parts.recovery.setActive(path.lane.recovery);
    if (!isFirst) this.#parts.moved(path.route);
  }

  /** `isOnlyAboutPaths`: what only asks about a path does not move the peer to it (RFC 9000 §9.1). */
  handleArrival(path: Path | undefined, packetNumber: number, isOnlyAboutPaths: boolean, now: Instant): void {
    if (packetNumber > this.#highestNumber) {
      this.#highestNumber = packetNumber;
      if (!isOnlyAboutPaths) this.#highestFrom = path;
    }
    if (path === undefined) return;
    if (path === this.active) {
      // Where all tries were lost there is nothing else to send by; while anything comes from there, it is asked again.
      if (!path.isValidated) path.startChallenge(this.#parts.rng, now);
      return;
    }
    if (!path.wasValidatedLately(now)) path.startChallenge(this.#parts.rng, now);
    // RFC 9000 §9.3: only the newest packet moves us, and only to where the peer has shown that it receives.
    else if (this.#highestFrom === path) this.activate(path);
  }

  challenge(path: Path, now: Instant): void {
    path.startChallenge(this.#parts.rng, now);
  }

  /** The active path seems dead: is another alive? */
  challengeOthers(now: Instant): void {
    for (const path of this.#table.all) if (path !== this.active) this.challenge(path, now);
  }

  /** What is to be sent now to have paths proved. A candidate that has used up its tries leaves. */
  takeChallenges(now: Instant): readonly Challenge[] {
    if (this.#table.nextChallengeDue() > now) return NOTHING_DUE;
    const challenges: Challenge[] = [];
    for (const path of this.#table.all) {
      if (path.challengeDue > now) continue;
      const token = path.takeChallenge(now);
      if (token !== undefined) challenges.push({ path, token });
      else if (!path.isValidated) this.#table.remove(path);
    }
    this.#closeLanes(now);
    return challenges;
  }

  #openLane(path: Path, now: Instant): Lane {
    const { config, rng, recovery } = this.#parts;
    const controller = createController(config.congestion, { mtu: BASE_MTU, rng, now });
    const mtuSearch = new MtuSearch(Math.min(path.route.mtuMax ?? config.mtuMax, config.mtuMax));
    return new Lane(recovery.addPath({ rtt: path.rtt, controller, mtuSearch }, now), now);
  }

  #closeLanes(now: Instant): void {
    for (let path = this.#table.takeRemoved(); path !== undefined; path = this.#table.takeRemoved()) {
      if (path.lane !== undefined) this.#parts.recovery.removePath(path.lane.recovery, now);
      path.lane = undefined;
    }
  }
}

export interface Challenge {
  readonly path: Path;
  readonly token: Uint8Array;
}

export interface TunnelPathsParts {
  readonly config: Pick<TunnelConfig, 'congestion' | 'mtuMax'>;
  readonly rng: Rng;
  readonly recovery: Recovery;
  /** Is told of each change of the active path after the first. */
  readonly moved: (route: Route) => void;
}
