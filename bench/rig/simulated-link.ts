import { opensslBackend } from '../../crypto/openssl.ts';
import { type Bottleneck, runFairness, runTransfer } from '../../sim/campaigns/grid.ts';
import type { ControllerName } from '../../transport/congestion/controller.ts';

/** One run of the simulator, as a process of its own: the clock is virtual, so all that matters is which run it is. */

export type SimulatedRun =
  | {
      readonly kind: 'transfer';
      readonly link: Bottleneck;
      readonly bytes: number;
      readonly congestion: ControllerName;
      readonly seed: number;
    }
  | { readonly kind: 'fairness'; readonly flows: readonly ControllerName[]; readonly seed: number };

export type SimulatedResult =
  | { readonly kind: 'transfer'; readonly share: number; readonly goodput: number }
  | { readonly kind: 'fairness'; readonly jain: number; readonly shares: readonly number[] };

function run(what: SimulatedRun): SimulatedResult {
  if (what.kind === 'fairness') return { kind: 'fairness', ...runFairness(what.flows, what.seed, opensslBackend) };
  const { link, bytes, congestion, seed } = what;
  const { share, goodput } = runTransfer(link, bytes, congestion, seed, opensslBackend);
  return { kind: 'transfer', share, goodput };
}

process.send?.(run(JSON.parse(process.argv[2] ?? '{}') as SimulatedRun));
