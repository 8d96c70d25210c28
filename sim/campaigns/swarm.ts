import { after, type Instant, MILLISECOND, NEVER, SECOND } from '../../base/time.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import type { TunnelConfig } from '../../transport/constants.ts';
import { PATHS_MAX, PROVISIONAL_MAX, REPLIES_QUEUED_MAX } from '../../transport/constants.ts';
import type { EndpointOptions } from '../../transport/endpoint.ts';
import {
  DEFAULT_STREAM_CONFIG,
  STREAM_WINDOW_INITIAL,
  type StreamConfig,
  TUNNEL_WINDOW_INITIAL,
} from '../../transport/streams/constants.ts';
import type { LinkConfig } from '../link-config.ts';
import { SeededRng } from '../rng.ts';
import { StreamTraffic } from '../stream-traffic.ts';
import { type SimPeer, World } from '../world.ts';

/**
 * A random world from one seed. First chaos: links that lose, delay, reorder, duplicate, replay, corrupt and come to carry less,
 * nodes that restart, move, sleep and part, and an adversary who copies what it sees to other addresses, while programs send
 * datagrams and use streams in every way they may. Then everything heals, and what must hold after any past is asked for: both
 * ends of every pair find one session and can use it, every stream that is still alive comes to its end (I11), and when all have
 * closed nothing is left (I9). What must hold all along is watched all along (I2–I5, I8 by the world; I1, I5 and I7 by the stream
 * traffic; I6 by the paths' own assertion).
 */
export interface SwarmOptions {
  readonly seed: number;
  readonly crypto: CryptoBackend;
  /** A planted fault, for the test that the swarm finds it. */
  readonly parts?: NonNullable<EndpointOptions['parts']>;
  readonly trace?: (line: string) => void;
}

export interface SwarmResult {
  readonly seed: number;
  readonly peers: number;
  readonly simulated: Instant;
  readonly events: number;
  readonly sent: number;
  readonly received: number;
  readonly streams: number;
  /** Directions that came to their FIN, and what all readers read. */
  readonly streamsFinished: number;
  readonly streamBytes: number;
  /** The same for the same seed (I12). */
  readonly digest: string;
}

const CHAOS: number = 20 * SECOND;
/** Reliability I11: what is alive after the faults stop recovers within this. */
const HEALS_WITHIN: number = 60 * SECOND;
const REPLAYED_WITHIN: number = 180 * SECOND;
const PEERS_MAX = 4;

export function runSwarm(options: SwarmOptions): SwarmResult {
  const { seed, crypto, parts, trace } = options;
  const draw = new SwarmDraw(seed);
  const world = new World({
    seed,
    crypto,
    config: draw.config,
    ...(parts === undefined ? {} : { parts }),
    ...(trace === undefined ? {} : { trace }),
  });
  try {
    return new Swarm(world, draw).run();
  } catch (error) {
    // The last events, for whoever replays the seed.
    if (error instanceof Error) Object.assign(error, { trace: world.trace.lines() });
    throw error;
  }
}

class Swarm {
  readonly #world: World;
  readonly #draw: SwarmDraw;
  readonly #rng: SeededRng;
  readonly #traffic: StreamTraffic;
  #sent = 0;

  constructor(world: World, draw: SwarmDraw) {
    this.#world = world;
    this.#draw = draw;
    this.#rng = world.network.rng('swarm');
    this.#traffic = new StreamTraffic(world, draw.config.streams);
  }

  run(): SwarmResult {
    const world = this.#world;
    const { network } = world;
    const count = 2 + this.#rng.below(PEERS_MAX - 1);
    for (let i = 0; i < count; i++) this.#traffic.started(world.addPeer(`n${i}`));
    for (const [a, b] of this.#orderedPairs())
      network.setLink(a.name, b.name, this.#draw.link(network.rng(`${a.name}>${b.name}`)));
    for (const peer of world.peers) network.setTimerLateness(peer.name, this.#draw.timerLateness());
    if (this.#draw.hasAdversary) this.#unleash();
    this.#chaos();
    this.#heal();
    this.#closeAll();
    return {
      seed: network.seed,
      peers: count,
      simulated: network.now,
      events: network.eventsDone,
      sent: this.#sent,
      received: this.#pairs().reduce(
        (sum, [a, b]) => sum + world.letters(a, b).received + world.letters(b, a).received,
        0,
      ),
      streams: this.#traffic.opened,
      streamsFinished: this.#traffic.finished,
      streamBytes: this.#traffic.bytesRead,
      digest: network.digest(),
    };
  }

  #chaos(): void {
    const { network } = this.#world;
    const end = after(network.now, CHAOS);
    while (network.now < end) {
      network.runUntil(after(network.now, this.#rng.below(200 * MILLISECOND)));
      this.#act();
      this.#checkBounds();
      this.#traffic.check();
    }
  }

  /** Something happens to somebody. */
  #act(): void {
    const world = this.#world;
    const { network } = world;
    const a = this.#rng.pick(world.peers);
    const b = this.#rng.pick(world.peers.filter((peer) => peer !== a));
    switch (this.#draw.action(this.#rng)) {
      case 'send':
        for (let left = 1 + this.#rng.below(20); left > 0; left--) {
          if (world.send(a, b, this.#rng.pick([8, 64, 500, 1_100]))) this.#sent++;
        }
        return;
      case 'stream':
        for (let left = 1 + this.#rng.below(3); left > 0; left--) this.#traffic.open(a, b);
        return;
      case 'connect':
        world.connect(a, b);
        return;
      case 'close':
        a.node.endpoint.close(b.key, 'SHUTDOWN', 'bye', network.now);
        a.node.drain();
        network.touch(a.name);
        return;
      case 'restart':
        world.crash(a);
        network.resume(a.name);
        world.start(a);
        this.#traffic.started(a);
        return;
      case 'rebind':
        world.rebind(a, 1_024 + this.#rng.below(60_000));
        return;
      case 'sleep':
        this.#sleep(a);
        return;
      case 'mtu': {
        const mtu = this.#draw.linkMtu(this.#rng);
        network.setLink(a.name, b.name, { ...network.linkConfig(a.name, b.name), mtu });
        return;
      }
      case 'partition': {
        const before = network.linkConfig(a.name, b.name);
        network.setLink(a.name, b.name, { ...before, down: true });
        network.at(after(network.now, this.#rng.below(5 * SECOND)), () => network.setLink(a.name, b.name, before));
        return;
      }
    }
  }

  #sleep(peer: SimPeer): void {
    const { network } = this.#world;
    network.pause(peer.name);
    this.#traffic.sleeps(peer);
    const wake = (): void => {
      network.resume(peer.name);
      this.#traffic.wakes(peer);
    };
    network.at(after(network.now, this.#rng.below(10 * SECOND)), wake, peer.name);
  }

  /**
   * Copies what it sees to the same place from elsewhere, whole or cut, later or before the original gets there: none of it may
   * have any effect of its own, or draw the tunnel to where nobody answers.
   */
  #unleash(): void {
    const { network } = this.#world;
    const rng = network.rng('adversary');
    const attacker = { ip: '10.6.6.6', port: 666, key: '10.6.6.6:666' };
    network.setAdversary((seen) => {
      if (rng.chance(0.1)) {
        const bytes = rng.chance(0.5) ? seen.bytes : seen.bytes.subarray(0, rng.below(seen.bytes.length + 1));
        network.inject({ from: attacker, to: seen.to, bytes, delay: rng.chance(0.3) ? 0 : rng.below(2 * SECOND) });
      }
      return 'pass';
    });
  }

  /** I11: with the faults gone, whoever is asked for is reached, and both directions carry. */
  #heal(): void {
    const world = this.#world;
    const { network } = world;
    network.setAdversary(undefined);
    // Every sleeper wakes and every scripted partition ends before the links are mended.
    network.runUntil(after(network.now, 10 * SECOND));
    network.setDefaultLink({ delay: 10 * MILLISECOND });
    network.resetLinks();
    for (const peer of world.peers) network.setTimerLateness(peer.name, 0);
    const pairs = this.#pairs();
    for (const [a, b] of pairs) {
      world.connect(a, b);
      // Addresses moved during the chaos: both are told where the other is now, as a registry would.
      world.connect(b, a);
    }
    this.#traffic.windUp();
    const deadline = after(network.now, HEALS_WITHIN);
    for (const [a, b] of pairs) {
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        this.#mustCarry(from, to, deadline);
      }
      if (!network.runUntilTrue(() => world.hasConverged(a, b), deadline)) {
        throw world.fail(
          `I11: ${a.name} and ${b.name} have not one session ${HEALS_WITHIN / SECOND} s after the faults stopped`,
        );
      }
    }
    if (!network.runUntilTrue(() => this.#traffic.isOver, deadline)) {
      throw world.fail(`I11: ${HEALS_WITHIN / SECOND} s after the faults stopped ${this.#traffic.left}`);
    }
    // What ended last has still to be acknowledged to its peer.
    network.runUntil(after(network.now, 5 * SECOND));
    this.#traffic.checkEmpty();
  }

  #mustCarry(from: SimPeer, to: SimPeer, deadline: Instant): void {
    const world = this.#world;
    const { network } = world;
    const before = world.letters(from, to).received;
    // Datagrams may be lost with a tunnel that turns out to be dead, so one a second is sent until one arrives.
    for (; network.now < deadline; ) {
      if (from.tunnelTo(to) === undefined) world.connect(from, to);
      if (world.send(from, to)) this.#sent++;
      const next = after(network.now, SECOND);
      if (network.runUntilTrue(() => world.letters(from, to).received > before, next)) return;
    }
    throw world.fail(
      `I11: nothing from ${from.name} reaches ${to.name} ${HEALS_WITHIN / SECOND} s after the faults stopped`,
    );
  }

  /** I9: when everybody has said goodbye there is nothing left, not even a timer. */
  #closeAll(): void {
    const world = this.#world;
    const { network } = world;
    for (const peer of world.peers) {
      for (const tunnel of peer.node.endpoint.tunnels)
        peer.node.endpoint.close(tunnel.key, 'SHUTDOWN', '', network.now);
      peer.node.drain();
      network.touch(peer.name);
    }
    // Replays of the chaos still come; the provisional session that one may cost has to be gone as well.
    network.runUntil(after(network.now, REPLAYED_WITHIN + HEALS_WITHIN));
    for (const peer of world.peers) {
      const state = peer.node.endpoint.inspect();
      const left = state.tunnels.length + state.provisional.length + state.sessionIds + state.replies + state.budget;
      if (left > 0) throw world.fail(`I9: ${left} tunnels, sessions or packets are left after closing`, peer);
      if (peer.node.nextTimeout() !== NEVER) throw world.fail('I9: a timer is left after closing', peer);
    }
  }

  /** I5. */
  #checkBounds(): void {
    for (const peer of this.#world.peers) {
      const state = peer.node.endpoint.inspect();
      const isBounded =
        state.provisional.length <= PROVISIONAL_MAX &&
        state.replies <= REPLIES_QUEUED_MAX &&
        state.tunnels.every((tunnel) => tunnel.paths.length <= PATHS_MAX && tunnel.sessions.length <= 16);
      if (!isBounded) throw this.#world.fail('I5: a table outgrew its bound', peer);
    }
  }

  #pairs(): [SimPeer, SimPeer][] {
    const { peers } = this.#world;
    return peers.flatMap((a, i) => peers.slice(i + 1).map((b): [SimPeer, SimPeer] => [a, b]));
  }

  #orderedPairs(): [SimPeer, SimPeer][] {
    return this.#pairs().flatMap(([a, b]): [SimPeer, SimPeer][] => [
      [a, b],
      [b, a],
    ]);
  }
}

type Action = 'send' | 'stream' | 'mtu' | 'connect' | 'close' | 'restart' | 'rebind' | 'sleep' | 'partition';

const COMMON: readonly Action[] = ['send', 'send', 'send', 'send', 'stream', 'stream', 'stream', 'connect', 'connect'];

/** What this seed's world is like: each fault is off with probability ½, then of a drawn strength. */
class SwarmDraw {
  readonly hasAdversary: boolean;
  readonly config: Partial<TunnelConfig>;
  readonly #rng: SeededRng;
  readonly #actions: readonly Action[];
  readonly #lateness: number;

  constructor(seed: number) {
    // A root of its own: what kind of world it is must not depend on how many draws the network makes.
    this.#rng = new SeededRng(seed).fork('swarm world');
    const rare = (['close', 'restart', 'rebind', 'sleep', 'partition', 'mtu'] as const).filter(() =>
      this.#rng.chance(0.5),
    );
    this.#actions = [...COMMON, ...rare];
    this.hasAdversary = this.#rng.chance(0.5);
    this.#lateness = this.#rng.chance(0.5) ? this.#rng.below(500 * MILLISECOND) : 0;
    this.config = this.#drawConfig();
  }

  action(rng: SeededRng): Action {
    return rng.pick(this.#actions);
  }

  timerLateness(): number {
    return this.#lateness;
  }

  linkMtu(rng: SeededRng): number {
    return 1_200 + rng.below(301);
  }

  /** Half of the worlds have limits so small that every run meets its edges. */
  #drawConfig(): Partial<TunnelConfig> {
    const common = {
      congestion: this.#rng.pick(['AIMD', 'CUBIC', 'BBR'] as const),
      mtuMax: this.#rng.pick([1_200, 1_452, 9_000]),
      streams: this.#rng.chance(0.5) ? this.#drawStreams() : DEFAULT_STREAM_CONFIG,
    };
    if (this.#rng.chance(0.5)) return common;
    return {
      ...common,
      rekeyAfterPackets: 5 + this.#rng.below(50),
      rekeyAfterTime: SECOND + this.#rng.below(10 * SECOND),
      rekeysPerSecond: 100,
      handshakesPerSecond: 5 + this.#rng.below(50),
      handshakesBurst: 2 + this.#rng.below(10),
    };
  }

  /** First windows are the protocol's and cannot be smaller; nothing grows beyond them, and hardly anything is buffered. */
  #drawStreams(): StreamConfig {
    return {
      peerStreamsMax: 1 + this.#rng.below(8),
      streamWindowMax: STREAM_WINDOW_INITIAL,
      tunnelWindowMax: TUNNEL_WINDOW_INITIAL,
      sendBufferMax: 1 + this.#rng.below(this.#rng.pick([100, 5_000, 50_000])),
    };
  }

  link(rng: SeededRng): Partial<LinkConfig> {
    const maybe = (strength: () => number): number => (rng.chance(0.5) ? strength() : 0);
    const delay = rng.below(30 * MILLISECOND) + maybe(() => rng.below(370 * MILLISECOND));
    return {
      delay,
      jitter: maybe(() => rng.below(3 * delay + 1)),
      jitterShape: rng.chance(0.5) ? 'uniform' : 'exponential',
      loss: maybe(() => rng.float() * 0.3),
      burst: 1 + maybe(() => rng.below(12)),
      duplicate: maybe(() => rng.float() * 0.2),
      reorder: maybe(() => rng.float() * 0.2),
      reorderDelay: rng.below(3 * delay + 1),
      corrupt: maybe(() => rng.float() * 0.1),
      replay: maybe(() => rng.float() * 0.5),
      replayWithin: REPLAYED_WITHIN,
      ...(rng.chance(0.5) ? { mtu: this.linkMtu(rng) } : {}),
      ...(rng.chance(0.3) ? { bandwidth: 64_000 * (1 + rng.below(1_000)), queue: 2 + rng.below(199) } : {}),
    };
  }
}
