import { describe, expect, it } from 'vitest';
import { SeededRng } from '../../../../sim/rng.ts';
import type { AckRange } from '../../../../wire/frames.ts';
import { at, Lab, type LabPath } from './lab.ts';

interface ModelPacket {
  readonly path: number;
  readonly sequence: number;
  readonly sentAt: number;
  readonly bytes: number;
  readonly asksForAck: boolean;
  state: 'out' | 'lost';
}

/**
 * The loss detection of RFC 9002 A.7 and A.10 over a plain map, looking at everything every time. RTT and thresholds are taken from
 * the machine: they have tests of their own.
 */
class Model {
  readonly packets: Map<number, ModelPacket> = new Map();
  readonly sequences: number[] = [];
  readonly largest: { number: number; sequence: number }[] = [];
  readonly arrived: Set<number> = new Set();
  readonly missing: Set<number> = new Set();

  acknowledge(ranges: readonly AckRange[], paths: readonly LabPath[], now: number): void {
    const touched = new Set<number>();
    for (const [number, packet] of [...this.packets]) {
      if (!ranges.some(({ smallest, largest }) => smallest <= number && number <= largest)) continue;
      this.packets.delete(number);
      // One that was lost may have been forgotten by the machine since.
      if (packet.state === 'out') this.arrived.add(number);
      touched.add(packet.path);
      const largest = this.largest[packet.path] ?? { number: -1, sequence: -1 };
      if (number > largest.number) this.largest[packet.path] = { number, sequence: packet.sequence };
    }
    for (const path of touched) this.detect(path, paths[path]!, now);
  }

  detect(index: number, path: LabPath, now: number): void {
    const largest = this.largest[index];
    if (largest === undefined) return;
    for (const [number, packet] of [...this.packets]) {
      if (packet.path !== index || packet.state === 'lost' || number > largest.number) continue;
      const isBehind = largest.sequence - packet.sequence >= path.reordering.packets;
      if (!isBehind && now - packet.sentAt < path.lossDelay) continue;
      if (packet.asksForAck) packet.state = 'lost';
      else this.packets.delete(number);
      this.missing.add(number);
    }
  }

  abandon(path: number): void {
    for (const [number, packet] of [...this.packets]) {
      if (packet.path !== path || packet.state === 'lost') continue;
      if (packet.asksForAck) packet.state = 'lost';
      else this.packets.delete(number);
      this.missing.add(number);
    }
  }

  bytesInFlight(path: number): number {
    let bytes = 0;
    for (const packet of this.packets.values()) {
      if (packet.path === path && packet.state === 'out' && packet.asksForAck) bytes += packet.bytes;
    }
    return bytes;
  }
}

describe('recovery', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('agrees with the pseudo-code over a plain map, seed %i', (seed) => {
    const rng = new SeededRng(seed);
    const first = rng.pick([0, 2 ** 31 - 100, 2 ** 32 - 100, 2 ** 45]);
    const lab = new Lab({ firstPacketNumber: first, roundTripMs: 50 });
    const paths = [lab.path, lab.addPath(0, 20), lab.addPath(0, 80)];
    const model = new Model();
    const received: number[] = [];
    const counts = new Map<string, number>();
    const count = (name: string, number: number) => counts.set(name + number, (counts.get(name + number) ?? 0) + 1);
    lab.acked = (contents, index) => count('acked', contents.offset(index));
    lab.lost = (contents, index) => count('lost', contents.offset(index));

    let now = 0;
    for (let step = 0; step < 1_500; step++) {
      now += rng.below(3);
      const why = `seed ${seed}, step ${step}`;
      // A probe timeout declares nothing lost on the active path, and everything on another.
      while (lab.recovery.nextTimeout() <= at(now)) {
        const due = lab.recovery.nextTimeout();
        lab.recovery.setActive(rng.pick(paths));
        const losing = paths.filter((path) => path.lossTime <= due);
        const silent = paths.filter((path) => path !== lab.recovery.active && path.probeDeadline(false) <= due);
        lab.recovery.handleTimeout(due);
        for (const path of losing) model.detect(path.index, path, due);
        // Where the first made a loss of all there was, there is nothing left to wait for.
        for (const path of silent) if (model.bytesInFlight(path.index) > 0) model.abandon(path.index);
      }
      const path = rng.pick(paths);
      for (let burst = rng.below(6); burst > 0; burst--) {
        const number = lab.recovery.nextPacketNumber;
        const asksForAck = rng.chance(0.85);
        const bytes = 40 + rng.below(1_160);
        if (rng.chance(0.02)) {
          lab.recovery.onSkipped(number, at(now));
          continue;
        }
        const sequence = model.sequences[path.index] ?? 0;
        model.sequences[path.index] = sequence + 1;
        model.packets.set(number, { path: path.index, sequence, sentAt: at(now), bytes, asksForAck, state: 'out' });
        lab.send(now, { path, bytes, asksForAck });
        if (rng.chance(0.8)) received.push(number);
      }
      if (rng.chance(0.5) && received.length > 0) {
        // What has arrived by now, some of it late, some twice; in a few ranges.
        const ranges = someRanges(rng, received);
        expect(lab.recovery.onAckFrame(ranges, 0, at(now)), why).toBe('ok');
        model.acknowledge(ranges, paths, at(now));
      }
      for (const each of paths) {
        expect(each.bytesInFlight, why).toBe(model.bytesInFlight(each.index));
        expect(each.packetsInFlight, why).toBe(
          [...model.packets.values()].filter((p) => p.path === each.index && p.state === 'out' && p.asksForAck).length,
        );
      }
    }
    // Everything is told, and nothing twice.
    expect(lab.ack(now, `${lab.recovery.nextPacketNumber}`)).toBe('never-sent');
    for (const [key, times] of counts) expect(times, key).toBe(1);
    for (const number of model.arrived) expect(counts.get(`acked${number}`), `acked ${number}`).toBe(1);
    for (const number of model.missing) expect(counts.get(`lost${number}`), `lost ${number}`).toBe(1);
    for (const [number, packet] of model.packets) {
      if (packet.state === 'out') expect(counts.has(`acked${number}`), `${number}`).toBe(false);
    }
    expect(model.arrived.size).toBeGreaterThan(1_000);
    expect(model.missing.size).toBeGreaterThan(100);
  });
});

/** Up to six ranges of numbers that were received, highest first. */
function someRanges(rng: SeededRng, received: readonly number[]): AckRange[] {
  const sorted = [...new Set(received)].sort((a, b) => a - b);
  const ranges: { smallest: number; largest: number }[] = [];
  const from = Math.max(0, sorted.length - 1 - rng.below(60));
  for (const number of sorted.slice(from)) {
    const last = ranges.at(-1);
    if (last !== undefined && last.largest === number - 1) last.largest = number;
    else ranges.push({ smallest: number, largest: number });
  }
  const kept = ranges.filter(() => rng.chance(0.8));
  return (kept.length > 0 ? kept : ranges).reverse();
}
