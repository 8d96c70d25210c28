import { BASE_MTU } from '../../transport/constants.ts';
import type { Endpoint } from '../../transport/endpoint.ts';
import type { Tunnel } from '../../transport/tunnel.ts';
import type { PathState, TunnelState } from '../../transport/tunnel-node.ts';
import { DATA_OVERHEAD_BYTES } from '../../wire/packet.ts';
import { SimFailure } from '../failure.ts';

/**
 * Invariant I7: nothing new is sent on a path whose window is full. Looked at before and after a node sends what it has to send:
 * where more is in flight than before, it is within the window. A window that has shrunk below what is in flight breaks no rule;
 * to send then does.
 *
 * What a probe timeout asks for may exceed the window (RFC 9002 §7.5): two packets, and the question before them. They go out when
 * the timer has been served, or later where there was nothing to carry then, as long as nothing was acknowledged. A path
 * may be asked whether it is alive, three times at most, whatever is in flight on it; and whoever is asked answers at once, in a
 * packet that holds nothing else.
 */
export class FlightCheck {
  /** By tunnel: how many bytes the active path may have in flight beyond its window. */
  readonly #probes: WeakMap<Tunnel, number> = new WeakMap();
  /** By tunnel: what was in flight on the active path when it had last sent all it had. */
  readonly #inFlight: WeakMap<Tunnel, number> = new WeakMap();
  #before: readonly Flight[] = [];
  #isTimer = false;

  /** A timer is about to be served, which may be that of a probe. */
  timeout(endpoint: Endpoint): void {
    this.#isTimer = true;
    for (const tunnel of endpoint.tunnels) this.#probes.set(tunnel, PROBE_BYTES);
  }

  /** A node has had an input and has not sent anything yet. */
  before(endpoint: Endpoint): void {
    this.#before = endpoint.tunnels.map((tunnel) => ({ tunnel, state: tunnel.inspect() }));
    // The same timer may declare some packets lost and ask for others.
    const isTimer = this.#isTimer;
    this.#isTimer = false;
    if (isTimer) return;
    for (const { tunnel, state } of this.#before) {
      if (inFlight(state) < (this.#inFlight.get(tunnel) ?? 0)) this.#probes.set(tunnel, 0);
    }
  }

  /** It has sent all it had. */
  after(): void {
    for (const { tunnel, state } of this.#before) {
      const next = tunnel.inspect();
      this.#inFlight.set(tunnel, inFlight(next));
      for (const path of next.paths) {
        const was = state.paths.find(({ route }) => route === path.route);
        const sent = path.bytesInFlight - (was?.bytesInFlight ?? 0);
        const isWithin = path.bytesInFlight <= path.window;
        if (sent > ANSWER_BYTES && !isWithin && !path.isChallenged) this.#probe(tunnel, path, sent);
      }
    }
    this.#before = [];
  }

  #probe(tunnel: Tunnel, { bytesInFlight, window }: PathState, sent: number): void {
    const left = (this.#probes.get(tunnel) ?? 0) - sent;
    if (left < 0) throw new SimFailure(`I7: ${sent} bytes went out, and ${bytesInFlight} of ${window} are in flight`);
    this.#probes.set(tunnel, left);
  }
}

function inFlight({ active, paths }: TunnelState): number {
  return paths.find(({ route }) => route === active)?.bytesInFlight ?? 0;
}

/** A PATH_RESPONSE by itself. */
const ANSWER_BYTES: number = DATA_OVERHEAD_BYTES + 9;
/** Two packets of the size of the base, and a question. */
const PROBE_BYTES: number = 2 * BASE_MTU + DATA_OVERHEAD_BYTES + 1;

interface Flight {
  readonly tunnel: Tunnel;
  readonly state: TunnelState;
}
