import { after, MILLISECOND, SECOND } from '../../base/time.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import { World } from '../world.ts';

/**
 * A new key is asked for after every hundred packets, while the link loses a tenth and reorders: every packet the link delivers
 * opens, nothing is lost but what the link or the sender's full queue dropped, and the stream of packets never pauses for longer
 * than a round trip and 50 ms. How many packets each key was in truth good for is part of the result.
 */
export const REKEY_PACKETS_A_SEED = 50_000;
export const REKEY_AFTER_PACKETS = 100;
/** On average: the rekeys themselves are lost as often as anything. */
export const PACKETS_PER_KEY_MAX = 125;
export const STALL_BEYOND_RTT_MAX: number = 50 * MILLISECOND;
const DELAY: number = 10 * MILLISECOND;
/** A hundred packets take twenty round trips, so that a rekey is over before the next is due. */
const PACKETS_PER_SECOND = 250;

/** A packet that arrived whole and did not open. A handshake frame that comes again is refused as well, and no loss. */
const PACKET_REFUSALS = ['unknown-session', 'not-authentic', 'replayed'] as const;

export interface RekeyResult {
  readonly packets: number;
  readonly rekeys: number;
  /** A rekey takes a round trip, and the next is counted from its end. */
  readonly packetsPerKey: number;
  /** Datagrams that did not arrive. */
  readonly lost: number;
  /** Packets that the link dropped on their way to the receiver, the few that carried no datagram included. */
  readonly lostByLink: number;
  /** Datagrams that gave way to younger ones in the sender's queue. */
  readonly droppedBySender: number;
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
  const lostBefore = network.linkStats(a.host, b.host).lost;
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
  const tunnel = a.tunnelTo(b);
  if (tunnel === undefined) throw world.fail('the tunnel ended');
  return {
    packets,
    rekeys,
    packetsPerKey: Math.round(packets / (rekeys + 1)),
    lost: packets - received,
    lostByLink: network.linkStats(a.host, b.host).lost - lostBefore,
    droppedBySender: tunnel.datagramsDropped,
    refused,
    longestGap,
    roundTrip: 2 * DELAY,
  };
}

export function rekeyFaults(result: RekeyResult): string[] {
  const faults: string[] = [];
  // Nothing is duplicated here, so a packet that arrived and was refused is one that its key was dropped for too early.
  if (result.refused > 0) faults.push(`${result.refused} delivered packets did not open`);
  const unexplained = result.lost - result.lostByLink - result.droppedBySender;
  if (unexplained > 0) faults.push(`${unexplained} datagrams were lost by neither the link nor the sender's queue`);
  if (result.longestGap > result.roundTrip + STALL_BEYOND_RTT_MAX) {
    faults.push(
      `a stall of ${result.longestGap / MILLISECOND} ms at a round trip of ${result.roundTrip / MILLISECOND} ms`,
    );
  }
  if (result.packetsPerKey > PACKETS_PER_KEY_MAX) faults.push(`a key for ${result.packetsPerKey} packets`);
  return faults;
}
