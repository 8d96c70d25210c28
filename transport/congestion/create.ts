import type { Rng } from '../../base/rng.ts';
import type { Instant } from '../../base/time.ts';
import { BbrController } from './bbr/bbr.ts';
import type { CongestionController, ControllerName } from './controller.ts';
import { CubicLaw } from './cubic.ts';
import { LossBasedController } from './loss-based.ts';
import { NewRenoLaw } from './new-reno.ts';

export interface ControllerOptions {
  readonly mtu: number;
  /** Only BBR draws: it spreads its probes, so that flows do not probe together. */
  readonly rng: Rng;
  readonly now: Instant;
}

export function createController(name: ControllerName, { mtu, rng, now }: ControllerOptions): CongestionController {
  switch (name) {
    case 'AIMD':
      return new LossBasedController(name, new NewRenoLaw(), mtu);
    case 'CUBIC':
      return new LossBasedController(name, new CubicLaw(), mtu);
    case 'BBR':
      return new BbrController(mtu, rng, now);
  }
}
