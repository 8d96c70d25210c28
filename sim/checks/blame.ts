import { CLOSE_CODES } from '../../wire/close-codes.ts';
import { SimFailure } from '../failure.ts';
import type { SimPeer } from '../world.ts';

/**
 * In a world where nobody is hostile nobody breaks the protocol: a tunnel that one side closes because of what the other has sent
 * shows that one of them is wrong, however well both get over it.
 */
export class BlameCheck {
  /** How many of a peer's tunnel events have been looked at. */
  readonly #seen: Map<SimPeer, number> = new Map();

  check(peer: SimPeer): void {
    let seen = this.#seen.get(peer) ?? 0;
    for (; seen < peer.events.length; seen++) {
      const event = peer.events[seen]!;
      if (event.kind !== 'tunnel-down') continue;
      const { reason } = event;
      if (reason.kind !== 'closed' && reason.kind !== 'closed-by-peer') continue;
      const code = reason.kind === 'closed' ? CLOSE_CODES[reason.code] : reason.code;
      if (!BLAMELESS.has(code)) throw new SimFailure(`${peer.name} has a tunnel closed with code ${code}`);
    }
    this.#seen.set(peer, seen);
  }
}

const BLAMELESS: ReadonlySet<number> = new Set([CLOSE_CODES.NO_ERROR, CLOSE_CODES.SHUTDOWN, CLOSE_CODES.KEY_LIMIT]);
