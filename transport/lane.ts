import type { Instant } from '../base/time.ts';
import { PacingBudget } from './pacer.ts';
import type { RecoveryPath } from './recovery/recovery-path.ts';

/** How packets go out by one path: its window, its pace and its packet size. */
export class Lane {
  readonly recovery: RecoveryPath;
  readonly pacer: PacingBudget;
  #mtu: number;

  constructor(recovery: RecoveryPath, now: Instant) {
    this.recovery = recovery;
    this.#mtu = recovery.mtuSearch.mtu;
    this.pacer = new PacingBudget(this.#mtu, now);
    this.follow(now);
  }

  /** The size of packets now. */
  get mtu(): number {
    return this.recovery.sendMtu;
  }

  /** After anything that may have moved the window, the round trip or the packet size. */
  follow(now: Instant): void {
    const { mtu } = this.recovery.mtuSearch;
    if (mtu !== this.#mtu) {
      this.#mtu = mtu;
      this.pacer.onMtuChange(mtu);
    }
    this.pacer.follow(this.recovery.controller, this.recovery.rtt.smoothed, now);
  }
}
