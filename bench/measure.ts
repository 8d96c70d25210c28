import { setTimeout as sleep } from 'node:timers/promises';
import type { PathOptions } from './carriers/embedded.ts';
import { isFastPathThere } from './rig/fast-path.ts';
import type { Quantiles } from './rig/quantiles.ts';
import type { Rig, RooflineSettings } from './rigs.ts';

/** How the figures of a rig are taken. */

export const FLOWS = ['one-way', 'both-ways', 'echo'] as const;
export type Flow = (typeof FLOWS)[number];

const WORK = { 'one-way': 'sink', 'both-ways': 'both', echo: 'echo' } as const;
const WARM_UP_SECONDS_MAX = 1;
/** Of processes that have just begun: so long V8 goes on compiling what bytes run through. */
const FIRST_WARM_UP_SECONDS_MAX = 3;
/** A path's MTU is taken as found when it has stayed so long. */
const SETTLED_MS = 300;
const SETTLE_SECONDS_MAX = 5;
const POLL_MS = 30;
const STALL_MS_MAX = 10_000;
const STALL_POLL_MS = 5;

const warm: WeakSet<Rig> = new WeakSet();

/** Megabytes a second, of all directions together, once it goes as fast as it will. */
export async function flowRate(rig: Rig, flow: Flow, seconds: number, streams = 1): Promise<number> {
  await rig.near.open(WORK[flow], streams);
  await begun(rig, flow);
  await settled(rig, seconds);
  const { bytes, milliseconds } = await flowFor(rig, flow, seconds);
  await rig.near.close();
  await rig.far.close();
  return bytes / 1e3 / milliseconds;
}

export interface Flowed {
  readonly bytes: number;
  readonly milliseconds: number;
}

/** What arrives in so many seconds; in more, where in those nothing does. */
export async function flowFor(rig: Rig, flow: Flow, seconds: number): Promise<Flowed> {
  const before = await received(rig, flow);
  const end = performance.now() + STALL_MS_MAX;
  await sleep(1_000 * seconds);
  for (;;) {
    const after = await received(rig, flow);
    const bytes = after.bytes - before.bytes;
    if (bytes > 0) return { bytes, milliseconds: after.at - before.at };
    if (performance.now() > end) throw new Error(`nothing arrived in ${STALL_MS_MAX / 1_000} s`);
    await sleep(STALL_POLL_MS);
  }
}

/** Whoever takes long to begin is not the slower for it once it goes. */
async function begun(rig: Rig, flow: Flow): Promise<void> {
  const end = performance.now() + STALL_MS_MAX;
  while ((await received(rig, flow)).bytes === 0) {
    if (performance.now() > end) throw new Error(`nothing arrived in ${STALL_MS_MAX / 1_000} s`);
    await sleep(STALL_POLL_MS);
  }
}

/** Where the bytes of a flow arrive. */
async function received(rig: Rig, flow: Flow): Promise<{ readonly bytes: number; readonly at: number }> {
  const ends = flow === 'one-way' ? [rig.far] : flow === 'echo' ? [rig.near] : [rig.near, rig.far];
  const counts = await Promise.all(ends.map((end) => end.count()));
  if (counts.some(({ broken }) => broken > 0)) throw new Error('a stream of the benchmark broke');
  return { bytes: counts.reduce((sum, count) => sum + count.received, 0), at: counts[0]!.at };
}

/** Warm, and with packets of a size that does not change any more. */
export async function settled(rig: Rig, seconds: number): Promise<void> {
  const warmUp = warm.has(rig) ? WARM_UP_SECONDS_MAX : FIRST_WARM_UP_SECONDS_MAX;
  warm.add(rig);
  await sleep(1_000 * warmUp * Math.min(1, seconds));
  const end = performance.now() + 1_000 * Math.min(SETTLE_SECONDS_MAX, seconds);
  let mtu = await rig.near.mtu();
  let since = performance.now();
  while (performance.now() < end && performance.now() - since < SETTLED_MS) {
    await sleep(POLL_MS);
    const now = await rig.near.mtu();
    if (now !== mtu) since = performance.now();
    mtu = now;
  }
}

export interface Latencies {
  readonly idle: Quantiles;
  readonly underBulk: Quantiles;
}

/** Of 64-byte echoes: alone, and beside a stream that takes all there is. */
export async function latencies(
  rig: Rig,
  seconds: number,
  warmUpSeconds: number = WARM_UP_SECONDS_MAX,
): Promise<Latencies> {
  await rig.near.ping(1_000 * Math.min(warmUpSeconds, 3 * seconds));
  const idle = await rig.near.ping(1_000 * seconds);
  await rig.near.open('sink');
  await settled(rig, seconds);
  const underBulk = await rig.near.ping(1_000 * seconds);
  return { idle, underBulk };
}

/** What the roofline has to be to be held against a node with these settings. */
export async function rooflineFor(datagramBytes: number, { offload }: PathOptions): Promise<RooflineSettings> {
  return { datagramBytes, isFast: offload !== false && (await isFastPathThere()) };
}
