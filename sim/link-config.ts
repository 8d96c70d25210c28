import { assert } from '../base/assert.ts';
import { type Instant, instant, MILLISECOND, SECOND } from '../base/time.ts';

/** What one direction does to datagrams. Spans are whole microseconds, rates probabilities per datagram sent. */
export interface LinkConfig {
  /** The least time on the wire. */
  readonly delay: number;
  /** Added to it: the most of a uniform one, the mean of an exponential one. A datagram may overtake another. */
  readonly jitter: number;
  readonly jitterShape: 'uniform' | 'exponential';
  readonly loss: number;
  /** Mean length of a run of losses; 1 is independent losses. */
  readonly burst: number;
  readonly duplicate: number;
  /** The chance of being held back by `reorderDelay`, so that others overtake. */
  readonly reorder: number;
  readonly reorderDelay: number;
  readonly corrupt: number;
  /** Which kinds, each as likely. */
  readonly corruptions: readonly Corruption[];
  /** The chance that sending a datagram sets an older one free again, up to `replayWithin` later. */
  readonly replay: number;
  readonly replayWithin: number;
  /** Bits a second, whole, counted over the datagram's bytes; infinite where the link has no bottleneck. */
  readonly bandwidth: number;
  /** Datagrams that fit in front of the bandwidth, the one being sent included; more are dropped. */
  readonly queue: number;
  /** The largest datagram in bytes; a larger one is dropped in silence. */
  readonly mtu: number;
  readonly down: boolean;
  /** A clog: what is sent meanwhile lands then, all at once, and nothing before. */
  readonly heldUntil: Instant;
}

export type Corruption = 'bit' | 'byte' | 'truncation' | 'splice';

export const CORRUPTIONS: readonly Corruption[] = ['bit', 'byte', 'truncation', 'splice'];

/** One millisecond, no fault, no bottleneck. */
export const PERFECT_LINK: LinkConfig = {
  delay: MILLISECOND,
  jitter: 0,
  jitterShape: 'uniform',
  loss: 0,
  burst: 1,
  duplicate: 0,
  reorder: 0,
  reorderDelay: 10 * MILLISECOND,
  corrupt: 0,
  corruptions: CORRUPTIONS,
  replay: 0,
  replayWithin: 180 * SECOND,
  bandwidth: Number.POSITIVE_INFINITY,
  queue: 100,
  mtu: 65_507,
  down: false,
  heldUntil: instant(0),
};

export function checkLinkConfig(config: LinkConfig): void {
  for (const name of ['delay', 'jitter', 'reorderDelay', 'replayWithin'] as const) {
    assert(Number.isSafeInteger(config[name]) && config[name] >= 0, `${name} is whole microseconds`);
  }
  for (const name of ['loss', 'duplicate', 'reorder', 'corrupt', 'replay'] as const) {
    assert(config[name] >= 0 && config[name] <= 1, `${name} is a probability`);
  }
  assert(config.burst >= 1, 'burst is at least 1');
  assert(config.corruptions.length > 0, 'there is a kind of corruption');
  assert(
    config.bandwidth === Number.POSITIVE_INFINITY || (Number.isSafeInteger(config.bandwidth) && config.bandwidth >= 1),
    'bandwidth is whole bits a second, or infinite',
  );
  assert(Number.isInteger(config.queue) && config.queue >= 1, 'queue is at least one datagram');
  assert(Number.isInteger(config.mtu) && config.mtu >= 1, 'mtu is at least one byte');
}
