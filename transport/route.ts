import { toHex } from '../base/bytes.ts';
import type { IpEndpoint } from '../wire/ip-endpoint.ts';
import { formatIpEndpoint } from '../wire/ip-endpoint.ts';

/**
 * Where packets can go: a local socket and a remote address, or a way through a relay. Two routes are the same when their
 * keys are. The edge makes each once and hands the same object in again.
 */
export interface Route {
  readonly key: string;
  /** What strangers are counted by: an IPv4 address or an IPv6 /64; behind a relay, the relay's route. */
  readonly source: string;
  /** The largest packet that can be tried this way, where that is less than the node's. */
  readonly mtuMax?: number;
}

export interface DirectRoute extends Route {
  readonly kind: 'direct';
  readonly socket: number;
  readonly remote: IpEndpoint;
}

export interface RelayedRoute extends Route {
  readonly kind: 'relayed';
  readonly relay: string;
  readonly route: number;
}

export function directRoute(socket: number, remote: IpEndpoint): DirectRoute {
  const prefix = remote.family === 4 ? remote.address : remote.address.subarray(0, 8);
  return { kind: 'direct', key: `${socket}/${formatIpEndpoint(remote)}`, source: toHex(prefix), socket, remote };
}

export function relayedRoute(relay: string, route: number): RelayedRoute {
  const key = `relay/${relay}/${route}`;
  return { kind: 'relayed', key, source: key, relay, route };
}
