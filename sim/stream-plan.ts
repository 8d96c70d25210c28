import { after, type Instant, NEVER, SECOND } from '../base/time.ts';
import { DEFAULT_STREAM_CONFIG, STREAM_WINDOW_INITIAL, type StreamConfig } from '../transport/streams/constants.ts';
import type { SeededRng } from './rng.ts';
import type { Plan, Reading } from './stream-model.ts';
import type { SimPeer } from './world.ts';

/**
 * What the programs of a world are like: some of everything; or readers that leave so much lying that the tunnel's own window is
 * used up; or many short streams, so that the limit on their number is.
 */
export type Manner = 'mixed' | 'hoarding' | 'many';

export function streamConfigOf(peer: SimPeer): StreamConfig {
  return { ...DEFAULT_STREAM_CONFIG, ...peer.config.streams };
}

/** Draws what programs mean to do. */
export class StreamPlanner {
  readonly #rng: SeededRng;
  readonly #manner: Manner;
  /** Directions that may be gulped beside those that are: each moves a window and more, so a world has few at a time. */
  #gulpsLeft: number;
  #gulpsAgain: number = GULPS_AGAIN;

  constructor(rng: SeededRng, manner: Manner) {
    this.#rng = rng;
    this.#manner = manner;
    this.#gulpsLeft = manner === 'hoarding' ? HOARDED : manner === 'many' ? 0 : rng.pick(GULPS);
  }

  /** How many streams a program opens at once. */
  opens(): number {
    return this.#manner === 'many' ? 1 + this.#rng.below(40) : 1 + this.#rng.below(3);
  }

  /** Of the direction of whoever opens the stream. */
  forth(from: SimPeer, to: SimPeer): Plan {
    // What is hoarded is all on one side, since it is to be too much for that one.
    const mayBeGulped = this.#manner !== 'hoarding' || from.isLowerThan(to);
    const isGulped = this.#gulpsLeft > 0 && mayBeGulped && streamConfigOf(from).sendBufferMax >= GULPED_BUFFER_MIN;
    return isGulped ? this.#gulped() : this.back(from);
  }

  /** Of any other. */
  back(writer: SimPeer): Plan {
    const { sendBufferMax } = streamConfigOf(writer);
    // A buffer is sent once a round trip, so a small one is given little.
    const size = this.#rng.pick(this.#manner === 'mixed' ? SIZES : SMALL_SIZES);
    const total = this.#rng.below(Math.min(size, BUFFERS_MAX * sendBufferMax) + 1);
    const pieceMax = this.#rng.pick([1, 700, 5_000, 64 * 1_024]);
    return {
      // A byte at a time is slow, so of that only a little.
      total: pieceMax === 1 ? total % 200 : total,
      pieceMax,
      ending: this.#rng.pick(ENDINGS),
      isEager: this.#rng.chance(0.6),
      isGulped: false,
    };
  }

  reading(plan: Plan, now: Instant): Reading {
    if (plan.isGulped) return { kind: 'gulps', until: this.nextGulp(now) };
    const kind = this.#rng.pick(['eager', 'eager', 'eager', 'slow', 'stalls', 'stops'] as const);
    if (kind === 'stalls') return { kind, until: after(now, this.#rng.below(10 * SECOND)) };
    return kind === 'stops' ? { kind, at: this.#rng.below(50_000) } : { kind };
  }

  /** One that was to be gulped has gone with its tunnel, or was turned away, before that. */
  missed(plan: Plan): void {
    if (!plan.isGulped || this.#gulpsAgain === 0) return;
    this.#gulpsAgain -= 1;
    this.#gulpsLeft += 1;
  }

  nextGulp(now: Instant): Instant {
    // Hoarders wait to be told, and gulp in unison: one message gives back the tunnel's window as well.
    if (this.#manner === 'hoarding') return NEVER;
    return after(now, SECOND + this.#rng.below(4 * SECOND));
  }

  #gulped(): Plan {
    this.#gulpsLeft -= 1;
    return {
      total: STREAM_WINDOW_INITIAL + 1 + this.#rng.below(STREAM_WINDOW_INITIAL / 2),
      pieceMax: 64 * 1_024,
      ending: 'finish',
      isEager: true,
      isGulped: true,
    };
  }
}

const SIZES: readonly number[] = [0, 100, 3_000, 3_000, 20_000, 60_000, 120_000];
const SMALL_SIZES: readonly number[] = [0, 1, 100];
const BUFFERS_MAX = 300;
const ENDINGS = ['finish', 'finish', 'finish', 'finish', 'reset', 'linger'] as const;
const GULPS: readonly number[] = [0, 1, 1, 2];
const GULPS_AGAIN = 3;
/** Together they fill the tunnel's first window. */
const HOARDED = 5;
/** With less the window is not filled before the chaos is over. */
const GULPED_BUFFER_MIN = 20_000;
