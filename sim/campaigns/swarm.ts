import { after, type Instant, MILLISECOND, NEVER, SECOND } from '../../base/time.ts';
import type { CryptoBackend } from '../../crypto/backend.ts';
import { KEEPALIVE_MIN, REPLACED_LIFETIME_MAX } from '../../transport/constants.ts';
import type { EndpointOptions } from '../../transport/endpoint.ts';
import { simAddress } from '../address.ts';
import { AmplificationCheck } from '../checks/amplification.ts';
import { BlameCheck } from '../checks/blame.ts';
import { checkBounds } from '../checks/bounds.ts';
import { NodeChecks } from '../checks/node-checks.ts';
import { Happenings } from '../happenings.ts';
import { LinkFaults } from '../link-faults.ts';
import type { SeededRng } from '../rng.ts';
import { PORTS, StreamTraffic } from '../stream-traffic.ts';
import { type SimPeer, World } from '../world.ts';
import { REPLAYED_WITHIN, SwarmDraw } from './swarm-draw.ts';

/**
 * A random world from one seed. First chaos: links that lose, delay, reorder, duplicate, replay, corrupt, clog, part and come to
 * carry less, nodes that restart, move and sleep, and an adversary who copies what it sees to other addresses, while programs send
 * datagrams and use streams in every way they may. Then everything heals, and what must hold after any past is asked for: both
 * ends of every pair find one session and can use it, every stream that is still alive comes to its end and every port takes
 * another (I11), a node at rest wakes for its keepalives alone (I8), and when all have closed nothing is left (I9).
 *
 * Watched all along: what arrives (I1, I2, by the world and the stream traffic), every seal (I3, by the world's backend), every
 * replay and forgery (I4), every table and buffer (I5), what an address gets that never answers (I6), every limit and every window
 * (I7), timers that do not come to rest (I8, by the network), and that nobody finds fault with what another sends. Of every hundredth seed the range sees that it goes the same way
 * twice (I12).
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
  /** How often each kind of thing happened. */
  readonly counts: Readonly<Record<string, number>>;
  /** The same for the same seed (I12). */
  readonly digest: string;
}

const CHAOS: number = 20 * SECOND;
/** Reliability I11: what is alive after the faults stop recovers within this. */
const HEALS_WITHIN: number = 60 * SECOND;
const REST: number = 100 * SECOND;
/** As long as a replaced session opens packets at the most, twice. */
const REST_BEGINS_AFTER: number = 2 * REPLACED_LIFETIME_MAX;
/** To ask again, to confirm, to acknowledge, and to let the old session go. */
const WAKES_PER_REKEY = 4;

export function runSwarm(options: SwarmOptions): SwarmResult {
  const { seed, crypto, parts, trace } = options;
  const checks = new NodeChecks();
  const world = new World({
    seed,
    crypto,
    watch: checks,
    ...(parts === undefined ? {} : { parts }),
    ...(trace === undefined ? {} : { trace }),
  });
  world.network.observe(checks.inert);
  try {
    return new Swarm(world, new SwarmDraw(seed), checks).run();
  } catch (error) {
    // The last events, for whoever replays the seed.
    if (error instanceof Error) Object.assign(error, { trace: world.trace.lines() });
    throw error;
  }
}

class Swarm {
  readonly #world: World;
  readonly #draw: SwarmDraw;
  readonly #checks: NodeChecks;
  readonly #rng: SeededRng;
  readonly #happenings: Happenings = new Happenings();
  readonly #links: LinkFaults;
  readonly #blame: BlameCheck = new BlameCheck();
  readonly #traffic: StreamTraffic;
  /** Nothing runs there now. */
  readonly #crashed: Set<SimPeer> = new Set();
  #sent = 0;

  constructor(world: World, draw: SwarmDraw, checks: NodeChecks) {
    this.#world = world;
    this.#draw = draw;
    this.#checks = checks;
    this.#rng = world.network.rng('swarm');
    this.#links = new LinkFaults(world.network, this.#happenings);
    this.#traffic = new StreamTraffic(world, {
      manner: draw.manner,
      happenings: this.#happenings,
      onGulp: (reader, writer) => this.#blink(reader, writer),
    });
    world.network.observe(this.#happenings);
  }

  run(): SwarmResult {
    const world = this.#world;
    const { network } = world;
    const { peers } = this.#draw;
    for (let i = 0; i < peers; i++) this.#traffic.started(world.addPeer(`n${i}`, this.#draw.config()));
    for (const [a, b] of this.#orderedPairs())
      network.setLink(a.name, b.name, this.#draw.link(network.rng(`${a.name}>${b.name}`)));
    for (const peer of world.peers) network.setTimerLateness(peer.name, this.#draw.timerLateness());
    if (this.#draw.hasAdversary) this.#unleash();
    this.#chaos();
    this.#heal();
    this.#lastWord();
    this.#rest();
    this.#check();
    this.#closeAll();
    this.#sumUp();
    return {
      seed: network.seed,
      peers,
      simulated: network.now,
      events: network.eventsDone,
      sent: this.#sent,
      received: this.#orderedPairs().reduce((sum, [from, to]) => sum + world.letters(from, to).received, 0),
      streams: this.#traffic.opened,
      streamsFinished: this.#traffic.finished,
      streamBytes: this.#traffic.bytesRead,
      counts: this.#happenings.counts,
      digest: network.digest(),
    };
  }

  #chaos(): void {
    const { network } = this.#world;
    let end = after(network.now, CHAOS);
    let hibernatesAt = this.#draw.hibernation === 0 ? NEVER : after(network.now, this.#rng.below(CHAOS));
    while (network.now < end) {
      network.runUntil(after(network.now, this.#rng.below(200 * MILLISECOND)));
      this.#act();
      this.#check();
      if (network.now < hibernatesAt) continue;
      hibernatesAt = NEVER;
      this.#hibernate(this.#rng.pick(this.#world.peers));
      end = after(end, this.#draw.hibernation);
    }
  }

  #check(): void {
    const { peers } = this.#world;
    for (const peer of peers) {
      checkBounds(peer, peers.length - 1);
      this.#blame.check(peer);
    }
    this.#traffic.check();
  }

  /** Something happens to somebody. */
  #act(): void {
    const world = this.#world;
    const { network } = world;
    const a = this.#rng.pick(world.peers);
    const b = this.#rng.pick(world.peers.filter((peer) => peer !== a));
    if (this.#crashed.has(a)) return;
    switch (this.#draw.action(this.#rng)) {
      case 'send':
        for (let left = 1 + this.#rng.below(20); left > 0; left--) {
          if (world.send(a, b, this.#rng.pick([8, 64, 500, 1_100]))) this.#sent++;
        }
        return;
      case 'stream':
        this.#traffic.open(a, b);
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
        this.#restart(a);
        return;
      case 'rebind':
        this.#happenings.add('address change');
        world.rebind(a, 1_024 + this.#rng.below(60_000));
        return;
      case 'sleep':
        this.#happenings.add('suspend');
        this.#sleep(a);
        network.at(after(network.now, this.#rng.below(10 * SECOND)), () => this.#wake(a), a.name);
        return;
      case 'cut':
        if (this.#rng.chance(0.5)) this.#links.cutBoth(a, b, this.#rng.below(5 * SECOND));
        else this.#links.cut(a, b, this.#rng.below(5 * SECOND));
        return;
      case 'clog':
        this.#links.clog(a, b, this.#rng.below(5 * SECOND));
        return;
      case 'mtu':
        this.#links.setMtu(a, b, this.#draw.linkMtu(this.#rng));
        return;
    }
  }

  /** It dies without a word, and is back at once or some time later. */
  #restart(peer: SimPeer): void {
    const { network } = this.#world;
    this.#happenings.add('restart');
    this.#noteDrops(peer);
    this.#crashed.add(peer);
    this.#traffic.sleeps(peer);
    this.#world.crash(peer);
    const start = (): void => {
      this.#crashed.delete(peer);
      network.resume(peer.name);
      this.#world.start(peer);
      this.#traffic.started(peer);
    };
    if (this.#rng.chance(0.5)) start();
    else network.at(after(network.now, this.#rng.below(3 * SECOND)), start);
  }

  #sleep(peer: SimPeer): void {
    this.#world.network.pause(peer.name);
    this.#traffic.sleeps(peer);
  }

  #wake(peer: SimPeer): void {
    this.#world.network.resume(peer.name);
    this.#traffic.wakes(peer);
  }

  /** A lid is closed: to the one who wakes no time has passed, and everybody else has gone on. */
  #hibernate(peer: SimPeer): void {
    const { network } = this.#world;
    this.#happenings.add('long suspend');
    this.#sleep(peer);
    this.#traffic.rests();
    network.runUntil(after(network.now, this.#draw.hibernation));
    this.#wake(peer);
    this.#traffic.goesOn();
  }

  /** Just as a reader gives a whole window back in one message, its way out may fail for a moment. */
  #blink(reader: SimPeer, writer: SimPeer): void {
    if (this.#rng.chance(0.5)) this.#links.cut(reader, writer, 1 + this.#rng.below(300 * MILLISECOND));
  }

  /**
   * Copies what it sees to the same place from elsewhere, whole or cut, later or before the original gets there: none of it may
   * have any effect of its own, or draw the tunnel to where nobody answers.
   */
  #unleash(): void {
    const { network } = this.#world;
    const rng = network.rng('adversary');
    const attacker = simAddress('10.6.6.6', 666);
    network.observe(new AmplificationCheck(attacker.key));
    network.setAdversary((seen) => {
      if (rng.chance(0.1)) {
        const length = rng.chance(0.5) ? seen.bytes.length : rng.below(seen.bytes.length);
        const isCut = length < seen.bytes.length;
        const delay = rng.chance(0.3) ? 0 : rng.below(2 * SECOND);
        const bytes = seen.bytes.subarray(0, length);
        const corruption = isCut ? ({ corruption: 'truncation' } as const) : {};
        network.inject({ from: attacker, to: seen.to, bytes, delay, copyOf: seen.id, ...corruption });
      }
      return 'pass';
    });
  }

  /** I11: with the faults gone, whoever is asked for is reached, and both directions carry. */
  #heal(): void {
    const world = this.#world;
    const { network } = world;
    network.setAdversary(undefined);
    // Every sleeper wakes before the links are mended. What is lost now is not made good by what else would have happened.
    network.at(after(network.now, this.#rng.below(9 * SECOND)), () => this.#traffic.gulp());
    for (const mended = after(network.now, 10 * SECOND); network.now < mended; this.#check()) {
      network.runUntil(after(network.now, SECOND / 2));
    }
    this.#noteLinks();
    this.#links.end({ delay: 10 * MILLISECOND });
    for (const peer of world.peers) network.setTimerLateness(peer.name, 0);
    const pairs = this.#pairs();
    for (const [a, b] of pairs) {
      world.connect(a, b);
      // Addresses moved during the chaos: both are told where the other is now, as a registry would.
      world.connect(b, a);
    }
    this.#traffic.windUp();
    const deadline = after(network.now, HEALS_WITHIN);
    for (const [from, to] of this.#orderedPairs()) this.#mustCarry(from, to, deadline);
    for (const [a, b] of pairs) {
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
    this.#check();
    this.#traffic.checkEmpty();
  }

  /** I11, I9: no backlog, no limit and no credit was used up by what is gone: every port of every node still takes a stream. */
  #lastWord(): void {
    const world = this.#world;
    const { network } = world;
    for (const port of PORTS) {
      const deadline = after(network.now, HEALS_WITHIN);
      const opened = this.#orderedPairs().map(([from, to]) => {
        let wire = this.#traffic.openPlain(from, to, port);
        const isOpen = (): boolean => {
          if (from.tunnelTo(to) === undefined) world.connect(from, to);
          wire ??= this.#traffic.openPlain(from, to, port);
          return wire !== undefined;
        };
        if (!network.runUntilTrue(isOpen, deadline))
          throw world.fail(`I11: no stream to ${to.name} can be opened`, from);
        return wire!;
      });
      if (!network.runUntilTrue(() => this.#traffic.isOver, deadline)) throw world.fail(`I11: ${this.#traffic.left}`);
      const failed = opened.find(({ forth, back }) => forth.outcome !== 'finished' || back.outcome !== 'finished');
      if (failed !== undefined) {
        throw world.fail(`I11: port ${port} of ${failed.to.name} takes no stream (${failed.turnedAway})`, failed.from);
      }
    }
    network.runUntil(after(network.now, 5 * SECOND));
    this.#traffic.checkEmpty();
  }

  /**
   * I8: when nobody wants anything, and the replays of the chaos have all come, a node wakes once for each keepalive. Where keys
   * last for a few packets only, the keepalives use them up.
   */
  #rest(): void {
    const { network, peers } = this.#world;
    network.runUntil(after(network.now, REPLAYED_WITHIN + HEALS_WITHIN));
    // A rekey that ends shortly before still has its old session to let go.
    const events = peers.map((peer) => peer.events.length);
    network.runUntil(after(network.now, REST_BEGINS_AFTER));
    const before = peers.map(({ name }, i) => ({ wakes: network.timeouts(name), events: events[i]! }));
    network.runUntil(after(network.now, REST));
    for (const [i, peer] of peers.entries()) {
      const { wakes, events } = before[i]!;
      const woke = network.timeouts(peer.name) - wakes;
      const rekeys = peer.events.slice(events).filter(({ kind }) => kind === 'rekeyed').length;
      const most = peer.node.endpoint.tunnels.length * Math.ceil(REST / KEEPALIVE_MIN) + rekeys * WAKES_PER_REKEY;
      if (woke > most) throw this.#world.fail(`I8: woke ${woke} times at rest, and ${most} is the most`, peer);
    }
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
    network.runUntil(after(network.now, HEALS_WITHIN));
    for (const peer of world.peers) {
      const state = peer.node.endpoint.inspect();
      const { tunnels, provisional, sessionIds, replies, events, received, budget } = state;
      const left = tunnels.length + provisional.length + sessionIds + replies + events + received + budget;
      if (left > 0) throw world.fail(`I9: ${left} tunnels, sessions or packets are left after closing`, peer);
      if (peer.node.nextTimeout() !== NEVER) throw world.fail('I9: a timer is left after closing', peer);
    }
  }

  // What has happened.

  #noteDrops(peer: SimPeer): void {
    const { drops } = peer.node.endpoint;
    for (const reason of ['cookie-demanded', 'rate-limited'] as const)
      this.#happenings.add(reason, drops.count(reason));
  }

  #noteLinks(): void {
    const { network, peers } = this.#world;
    for (const [from, to] of this.#orderedPairs()) {
      const { heldBack, reordered } = network.linkStats(from.name, to.name);
      this.#happenings.add('heldBack', heldBack);
      this.#happenings.add('reordered', reordered);
    }
    if (this.#draw.timerLateness() > 0) {
      for (const { name } of peers) this.#happenings.add('late timer', network.timeouts(name));
    }
  }

  #sumUp(): void {
    this.#happenings.add('inert', this.#checks.inert.inert);
    for (const peer of this.#world.peers) {
      this.#noteDrops(peer);
      for (const event of peer.events) {
        if (event.kind === 'path-changed' || event.kind === 'rekeyed') this.#happenings.add(event.kind);
        if (event.kind === 'tunnel-down' && event.reason.kind !== 'evicted') this.#happenings.add(event.reason.kind);
      }
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
