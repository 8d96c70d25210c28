import { MILLISECOND, SECOND } from '../../base/time.ts';
import type { TunnelConfig } from '../../transport/constants.ts';
import {
  DEFAULT_STREAM_CONFIG,
  STREAM_WINDOW_INITIAL,
  type StreamConfig,
  TUNNEL_WINDOW_INITIAL,
} from '../../transport/streams/constants.ts';
import type { LinkConfig } from '../link-config.ts';
import { SeededRng } from '../rng.ts';
import type { Manner } from '../stream-plan.ts';

export type Action = 'send' | 'stream' | 'connect' | 'close' | 'restart' | 'rebind' | 'sleep' | 'cut' | 'clog' | 'mtu';

/** The longest that a replay is held back. */
export const REPLAYED_WITHIN: number = 180 * SECOND;
const PEERS_MAX = 4;
const COMMON: readonly Action[] = ['send', 'send', 'send', 'send', 'stream', 'stream', 'stream', 'connect', 'connect'];
/** What tunnels survive. */
const PASSING: readonly Action[] = ['rebind', 'cut', 'clog', 'mtu'];
const RARE: readonly Action[] = ['close', 'restart', 'sleep', ...PASSING];

/** What one seed's world is like (reliability §5): each fault is off with probability ½, then of a drawn strength. */
export class SwarmDraw {
  readonly peers: number;
  readonly manner: Manner;
  readonly hasAdversary: boolean;
  /** Once in the run somebody sleeps for so long; 0 for not at all. */
  readonly hibernation: number;
  readonly #rng: SeededRng;
  readonly #actions: readonly Action[];
  readonly #lateness: number;

  constructor(seed: number) {
    // A root of its own: what kind of world it is must not depend on how many draws the network makes.
    this.#rng = new SeededRng(seed).fork('swarm world');
    this.manner = this.#rng.pick(MANNERS);
    this.peers = this.manner === 'mixed' ? 2 + this.#rng.below(PEERS_MAX - 1) : 2;
    const rare = this.manner === 'hoarding' ? PASSING : RARE;
    this.#actions = [...COMMON, ...rare.filter(() => this.#rng.chance(0.5))];
    this.hasAdversary = this.#rng.chance(0.5);
    this.#lateness = this.#rng.chance(0.5) ? this.#rng.below(500 * MILLISECOND) : 0;
    this.hibernation = this.#rng.chance(0.1) ? Math.round(logarithmic(this.#rng, 10 * SECOND, 8 * 3_600 * SECOND)) : 0;
  }

  action(rng: SeededRng): Action {
    return rng.pick(this.#actions);
  }

  timerLateness(): number {
    return this.#lateness;
  }

  linkMtu(rng: SeededRng): number {
    return 1_200 + rng.below(301);
  }

  /** For one node: neighbours need not be alike. Half of them have limits so small that every run meets their edges. */
  config(): Partial<TunnelConfig> {
    const common = {
      congestion: this.#rng.pick(['AIMD', 'CUBIC', 'BBR'] as const),
      mtuMax: this.#rng.pick([1_200, 1_452, 9_000]),
      peerTimeout: this.#rng.pick(PEER_TIMEOUTS) * SECOND,
      streams: this.#streams(),
    };
    if (this.#rng.chance(0.5)) return common;
    return {
      ...common,
      rekeyAfterPackets: 5 + this.#rng.below(50),
      rekeyAfterTime: SECOND + this.#rng.below(10 * SECOND),
      rekeysPerSecond: 100,
      handshakesPerSecond: 2 + this.#rng.below(20),
      handshakesBurst: 1 + this.#rng.below(5),
    };
  }

  /** First windows are the protocol's and cannot be smaller. */
  #streams(): StreamConfig {
    const first = { streamWindowMax: STREAM_WINDOW_INITIAL, tunnelWindowMax: TUNNEL_WINDOW_INITIAL };
    // With more than its first window a tunnel never runs out of credit for what lies with readers.
    if (this.manner === 'hoarding') return { ...DEFAULT_STREAM_CONFIG, ...first };
    if (this.#rng.chance(0.5)) return DEFAULT_STREAM_CONFIG;
    return {
      ...first,
      peerStreamsMax: 1 + this.#rng.below(8),
      sendBufferMax: 1 + this.#rng.below(this.#rng.pick([100, 5_000, 50_000])),
    };
  }

  link(rng: SeededRng): Partial<LinkConfig> {
    const maybe = (strength: () => number): number => (rng.chance(0.5) ? strength() : 0);
    // A mebibyte has to come through before anything runs out.
    const isEasy = this.manner === 'hoarding';
    const delay = rng.below(30 * MILLISECOND) + maybe(() => rng.below((isEasy ? 70 : 370) * MILLISECOND));
    return {
      delay,
      jitter: maybe(() => rng.below(3 * delay + 1)),
      jitterShape: rng.chance(0.5) ? 'uniform' : 'exponential',
      loss: maybe(() => rng.float() * (isEasy ? 0.03 : 0.3)),
      burst: 1 + maybe(() => rng.below(12)),
      duplicate: maybe(() => rng.float() * 0.2),
      reorder: maybe(() => rng.float() * 0.2),
      reorderDelay: rng.below(3 * delay + 1),
      corrupt: maybe(() => rng.float() * 0.1),
      replay: maybe(() => rng.float() * 0.5),
      replayWithin: REPLAYED_WITHIN,
      ...(rng.chance(0.5) ? { mtu: this.linkMtu(rng) } : {}),
      ...(rng.chance(0.3) ? { bandwidth: Math.round(logarithmic(rng, 64_000, 1e9)), queue: 2 + rng.below(199) } : {}),
    };
  }
}

/** The two others cost more, and show what they are for in every run. */
const MANNERS: readonly Manner[] = [...new Array<Manner>(18).fill('mixed'), 'hoarding', 'many'];
const PEER_TIMEOUTS: readonly number[] = [5, 15, 30, 30, 60];

/** As many between 1 and 10 as between 10 and 100. */
function logarithmic(rng: SeededRng, least: number, most: number): number {
  return least * Math.exp(rng.float() * Math.log(most / least));
}
