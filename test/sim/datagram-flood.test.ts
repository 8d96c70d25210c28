import { describe, expect, it } from 'vitest';
import { after, MILLISECOND, SECOND } from '../../base/time.ts';
import { opensslBackend as crypto } from '../../crypto/openssl.ts';
import { BulkTransfer, connected } from '../../sim/bulk.ts';
import { hollowBackend } from '../../sim/hollow-backend.ts';
import { World } from '../../sim/world.ts';

const FLOOD_INTERVAL = 500;

/** Two bulks that cross, and a flood of datagrams of that size in one direction; bytes from the 3rd to the 10th second. */
function flooded(length: number): { readonly up: number; readonly down: number; readonly datagrams: number } {
  const world = new World({ seed: 1, crypto: hollowBackend(crypto), config: { congestion: 'AIMD' } });
  const a = world.addPeer('a');
  const b = world.addPeer('b');
  const { network } = world;
  network.setLink('a', 'b', { delay: 15 * MILLISECOND, mtu: 1_452, bandwidth: 10e6, queue: 30 });
  network.setLink('b', 'a', { delay: 15 * MILLISECOND, mtu: 1_452, bandwidth: 100e6, queue: 250 });
  connected(world, a, b);
  const up = new BulkTransfer(world, { from: a, to: b, bytes: 1e9, port: 80 });
  const down = new BulkTransfer(world, { from: b, to: a, bytes: 1e9, port: 81 });
  for (const peer of [a, b]) {
    peer.onStream = (event) => {
      up.handle(peer, event);
      down.handle(peer, event);
    };
  }
  const start = network.now;
  up.start();
  down.start();
  for (let at = 0; at < 10 * SECOND; at += FLOOD_INTERVAL) {
    network.at(after(start, at), () => void world.send(a, b, length));
  }
  network.runUntil(after(start, 3 * SECOND));
  const before = { up: up.received, down: down.received, datagrams: world.letters(a, b).received };
  network.runUntil(after(start, 10 * SECOND));
  return {
    up: up.received - before.up,
    down: down.received - before.down,
    datagrams: world.letters(a, b).received - before.datagrams,
  };
}

describe('datagrams that come every half millisecond', () => {
  // The largest fits no packet that has an ACK in it, the next one no packet with the credit that the other direction needs.
  it.each([100, 1_100, 1_150, 1_161])('of %i bytes share it with streams, and hold up no credit', (length) => {
    const { up, down, datagrams } = flooded(length);
    const link = 7 * (10e6 / 8);
    expect(up).toBeGreaterThan(0.3 * link);
    const offered = (7 * SECOND * length) / FLOOD_INTERVAL;
    expect(datagrams * length).toBeGreaterThan(Math.min(0.9 * offered, 0.3 * link));
    // Where the queue holds as much as the path: from second to second, with AIMD's sawtooth, 0.65 to 0.9.
    expect(up + datagrams * length).toBeGreaterThan(0.7 * link);
    expect(down).toBeGreaterThan(0.85 * 7 * (100e6 / 8));
  });
});
