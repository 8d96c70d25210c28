import { after, MILLISECOND, SECOND } from '../../base/time.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import { World } from '../world.ts';

/**
 * A key for every hundred packets, while the link loses a tenth and reorders: every packet the link delivers opens, and the
 * stream of them never pauses for longer than a round trip and 50 ms.
 */
export const REKEY_PACKETS_A_SEED = 50_000;
export const REKEY_AFTER_PACKETS = 100;
export const STALL_BEYOND_RTT_MAX: number = 50 * MILLISECOND;
const DELAY: number = 10 * MILLISECOND;
/** A hundred packets take twenty round trips, so that a rekey is over before the next is due. */
const PACKETS_PER_SECOND = 250;

/** A packet that arrived whole and did not open. A handshake frame that comes again is refused as well, and no loss. */
const PACKET_REFUSALS = ['unknown-session', 'not-authentic', 'replayed'] as const;

export interface RekeyResult {
  readonly packets: number;
  readonly rekeys: number;
  readonly lostByLink: number;
  readonly refused: number;
  readonly longestGap: number;
  readonly roundTrip: number;
}

export function runRekey(seed: number, packets: number, crypto: CryptoBackend): RekeyResult {
  const world = new World({
    seed,
    crypto,
    link: { delay: DELAY, loss: 0.1, reorder: 0.1, reorderDelay: DELAY },
    config: { rekeyAfterPackets: REKEY_AFTER_PACKETS, rekeysPerSecond: 1_000 },
  });
  const a = world.addPeer('a');
  const b = world.addPeer('b');
  const { network } = world;
  world.connect(a, b);
  if (!network.runUntilTrue(() => world.hasConverged(a, b), after(network.now, 30 * SECOND))) {
    throw world.fail('no tunnel in 30 s');
  }
  let lastArrival = network.now;
  let longestGap = 0;
  let received = 0;
  const watch = (): void => {
    const now = world.letters(a, b).received;
    if (now === received) return;
    received = now;
    longestGap = Math.max(longestGap, network.now - lastArrival);
    lastArrival = network.now;
  };
  for (let i = 0; i < packets; i++) {
    if (!world.send(a, b)) throw world.fail('the tunnel ended');
    network.runUntilTrue(
      () => {
        watch();
        return false;
      },
      after(network.now, SECOND / PACKETS_PER_SECOND),
    );
  }
  const lastSent = network.now;
  network.runUntilTrue(
    () => {
      watch();
      return network.now - lastArrival > SECOND;
    },
    after(lastSent, SECOND),
  );
  const rekeys = a.events.filter((event) => event.kind === 'rekeyed').length;
  const drops = [a.node.endpoint.drops, b.node.endpoint.drops];
  const refused = drops.reduce((sum, one) => sum + PACKET_REFUSALS.reduce((n, reason) => n + one.count(reason), 0), 0);
  return { packets, rekeys, lostByLink: packets - received, refused, longestGap, roundTrip: 2 * DELAY };
}

export function rekeyFaults(result: RekeyResult): string[] {
  const faults: string[] = [];
  // Nothing is duplicated here, so a packet that arrived and was refused is one that its key was dropped for too early.
  if (result.refused > 0) faults.push(`${result.refused} delivered packets did not open`);
  if (result.longestGap > result.roundTrip + STALL_BEYOND_RTT_MAX) {
    faults.push(
      `a stall of ${result.longestGap / MILLISECOND} ms at a round trip of ${result.roundTrip / MILLISECOND} ms`,
    );
  }
  if (result.rekeys < result.packets / REKEY_AFTER_PACKETS / 4) faults.push(`only ${result.rekeys} rekeys`);
  return faults;
}
