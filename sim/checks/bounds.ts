import {
  AMPLIFICATION_LIMIT,
  CONTROL_FRAMES_QUEUED_MAX,
  DATAGRAMS_QUEUED_MAX,
  DATAGRAMS_RECEIVED_MAX,
  DIRECTED_QUEUED_MAX,
  PATHS_MAX,
  PROVISIONAL_MAX,
  REPLIES_QUEUED_MAX,
} from '../../transport/constants.ts';
import type { EndpointState } from '../../transport/endpoint.ts';
import { NODE_BUDGET_BYTES } from '../../transport/streams/constants.ts';
import { SimFailure } from '../failure.ts';
import type { SimPeer } from '../world.ts';

/**
 * Invariant I5: what a node holds, and that it holds nothing for strangers beyond provisional places: `known` nodes are all that
 * it may have tunnels with. Beside it I6, as the paths themselves count.
 */
export function checkBounds(peer: SimPeer, known: number): void {
  const state = peer.node.endpoint.inspect();
  for (const [what, count, most] of bounds(state, known)) {
    if (count > most) throw new SimFailure(`I5: ${peer.name} has ${count} ${what}, and ${most} is the most`);
  }
  for (const { route, isValidated, bytesReceived, bytesSent } of state.tunnels.flatMap(({ paths }) => paths)) {
    if (!isValidated && bytesSent > AMPLIFICATION_LIMIT * bytesReceived) {
      throw new SimFailure(
        `I6: ${peer.name} has sent ${bytesSent} bytes to ${route}, from where ${bytesReceived} came`,
      );
    }
  }
}

type Bound = readonly [what: string, count: number, most: number];

function* bounds(state: EndpointState, known: number): Generator<Bound> {
  yield ['tunnels', state.tunnels.length, known];
  yield ['provisional sessions', state.provisional.length, PROVISIONAL_MAX];
  yield ['replies', state.replies, REPLIES_QUEUED_MAX];
  yield ['datagrams', state.received, DATAGRAMS_RECEIVED_MAX];
  yield ['bytes of buffers', state.budget, NODE_BUDGET_BYTES];
  let ids = state.provisional.length;
  for (const tunnel of state.tunnels) {
    ids += tunnel.sessions.length + ATTEMPTS_MAX;
    yield ['paths', tunnel.paths.length, PATHS_MAX];
    yield ['sessions', tunnel.sessions.length, SESSIONS_MAX];
    yield ['queued frames', tunnel.queued, QUEUED_MAX];
  }
  yield ['session ids', state.sessionIds, ids];
}

/** One from outside and one inside the tunnel. */
const ATTEMPTS_MAX = 2;
const SESSIONS_MAX = 16;
const QUEUED_MAX: number = CONTROL_FRAMES_QUEUED_MAX + DATAGRAMS_QUEUED_MAX + DIRECTED_QUEUED_MAX;
