import { assert } from '../base/assert.ts';
import type { Instant } from '../base/time.ts';
import { after, instant } from '../base/time.ts';
import type { CryptoBackend } from '../crypto/backend.ts';
import { nobleBackend } from '../crypto/noble.ts';
import { opensslBackend } from '../crypto/openssl.ts';
import { type Bench, type BenchRun, type Measurement, median } from '../report/report.ts';
import type { TunnelConfig } from '../transport/constants.ts';
import { Endpoint } from '../transport/endpoint.ts';
import { directRoute, type Route } from '../transport/route.ts';
import { ipEndpoint } from '../wire/ip-endpoint.ts';
import { benchRng, makeParty, type Party } from './party.ts';

/**
 * Handshakes that one core does a second, on one side of them: from the initiation to the tunnel, through the endpoint as the
 * daemon drives it. One node meets strangers, each with a key and a signed record never seen before, so that nothing is answered
 * from memory. Only that node's time counts; the strangers' half is done between the measured stretches.
 */
export const handshakeBench: Bench = {
  name: 'handshake',
  summary: 'handshakes a second and core, for each side and backend',
  seconds: 5,
  async run({ seconds, progress }: BenchRun): Promise<readonly Measurement[]> {
    const measured: { readonly role: Role; readonly backend: string; readonly rounds: number[] }[] = [];
    for (const role of ['responder', 'initiator'] as const) {
      for (const crypto of [opensslBackend, nobleBackend]) {
        const node: MeasuredNode = { role, crypto, party: makeParty(crypto) };
        progress(`${role} ${crypto.name}`);
        // The compiler is done with it all after about a thousand.
        measure(node, seconds / 2);
        const rounds: number[] = [];
        for (let i = 0; i < ROUNDS; i++) {
          rounds.push(measure(node, seconds / ROUNDS));
          // So that a terminal's interrupt is heard, and garbage of one round is not another's.
          await new Promise((resolve) => setImmediate(resolve));
        }
        measured.push({ role, backend: crypto.name, rounds });
      }
    }
    return measured.map(({ role, backend, rounds }) => {
      const other = measured.find((one) => one.role === role && one.backend !== backend)!;
      return {
        case: `${role} ${backend}`,
        metric: 'handshakes',
        unit: '1/s',
        rounds,
        vs: { [`${role} ${other.backend}`]: median(rounds) / median(other.rounds) },
        ...(role === 'responder' && backend === 'openssl' ? { atLeast: RESPONDER_GOAL } : {}),
      };
    });
  },
};

const ROUNDS = 5;
const RESPONDER_GOAL = 1_500;
/** Below what makes a responder ask for cookies. */
const STRANGERS_PER_BATCH = 32;

/** Nothing that stands between strangers and a node in earnest. */
const CONFIG: Partial<TunnelConfig> = { tunnelsMax: 2 ** 30, handshakesPerSecond: 1e9, handshakesBurst: 1e9 };

type Role = 'initiator' | 'responder';

interface MeasuredNode {
  readonly role: Role;
  readonly crypto: CryptoBackend;
  readonly party: Party;
}

interface Stranger {
  readonly party: Party;
  readonly endpoint: Endpoint;
  /** Where the measured node sees it. */
  readonly route: Route;
}

/** Stands nearly still: no machine here has reason to send anything twice, however long its neighbours take. */
let clock = instant(0);

function tick(): Instant {
  clock = after(clock, 1);
  return clock;
}

const HERE: Route = directRoute(0, ipEndpoint(Uint8Array.of(192, 0, 2, 1), 4440));

/** Handshakes a second of this node's own time, over about so many seconds of everybody's. */
function measure(node: MeasuredNode, seconds: number): number {
  const end = performance.now() + 1_000 * seconds;
  let handshakes = 0;
  let milliseconds = 0;
  do {
    milliseconds += runBatch(node);
    handshakes += STRANGERS_PER_BATCH;
  } while (performance.now() < end);
  return (1_000 * handshakes) / milliseconds;
}

/** Gives the milliseconds that the node took. */
function runBatch({ role, crypto, party }: MeasuredNode): number {
  const node = openEndpoint(crypto, party);
  const strangers = Array.from({ length: STRANGERS_PER_BATCH }, (_, i) => makeStranger(i));
  let milliseconds = 0;
  const timed = (work: (stranger: Stranger, i: number) => Uint8Array[]): Uint8Array[][] => {
    // Processor time, the collector's included: what else runs on the machine does not count.
    const start = process.cpuUsage();
    const sent = strangers.map(work);
    const { user, system } = process.cpuUsage(start);
    milliseconds += (user + system) / 1_000;
    return sent;
  };
  if (role === 'responder') {
    const initiations = strangers.map(({ endpoint }) => initiate(endpoint, party, HERE));
    const responses = timed(({ route }, i) => exchange(node, route, initiations[i]!));
    const firstPackets = strangers.map(({ endpoint }, i) => exchange(endpoint, HERE, responses[i]!));
    timed(({ route }, i) => exchange(node, route, firstPackets[i]!));
  } else {
    const initiations = timed((stranger) => initiate(node, stranger.party, stranger.route));
    const responses = strangers.map(({ endpoint }, i) => exchange(endpoint, HERE, initiations[i]!));
    const firstPackets = timed(({ route }, i) => exchange(node, route, responses[i]!));
    strangers.map(({ endpoint }, i) => exchange(endpoint, HERE, firstPackets[i]!));
  }
  for (const endpoint of [node, ...strangers.map((stranger) => stranger.endpoint)]) checkAllUp(endpoint, node);
  return milliseconds;
}

/** Strangers are quick about it whatever is measured: both backends speak the same protocol. */
function makeStranger(i: number): Stranger {
  const party = makeParty(opensslBackend);
  const route = directRoute(0, ipEndpoint(Uint8Array.of(198, 51, 100, i), 4440));
  return { party, endpoint: openEndpoint(opensslBackend, party), route };
}

function openEndpoint(crypto: CryptoBackend, { identity, record }: Party): Endpoint {
  return new Endpoint({ crypto, rng: benchRng, identity, record, admit: () => true, config: CONFIG }, tick());
}

function initiate(endpoint: Endpoint, to: Party, route: Route): Uint8Array[] {
  const now = tick();
  assert(endpoint.connect(to.keys, [route], now) === 'started', 'a stranger can be connected to');
  endpoint.handleTimeout(now);
  return sentBy(endpoint);
}

/** What an endpoint sends when these datagrams come to it. */
function exchange(endpoint: Endpoint, from: Route, datagrams: readonly Uint8Array[]): Uint8Array[] {
  for (const bytes of datagrams) endpoint.handleDatagram(from, bytes, tick());
  return sentBy(endpoint);
}

const buffer = new Uint8Array(65_536);

function sentBy(endpoint: Endpoint): Uint8Array[] {
  const sent: Uint8Array[] = [];
  const now = tick();
  for (let next = endpoint.pollTransmit(buffer, now); next !== undefined; next = endpoint.pollTransmit(buffer, now)) {
    sent.push(buffer.slice(0, next.length));
  }
  return sent;
}

/** A benchmark of refusals would be fast. */
function checkAllUp(endpoint: Endpoint, node: Endpoint): void {
  let up = 0;
  for (let event = endpoint.pollEvent(); event !== undefined; event = endpoint.pollEvent()) {
    if (event.kind === 'tunnel-up') up += 1;
  }
  assert(up === (endpoint === node ? STRANGERS_PER_BATCH : 1), 'every handshake gave a tunnel');
  assert(endpoint.drops.total === 0, 'nothing was dropped');
}
