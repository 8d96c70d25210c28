import type { PeerName, PeerReport, PeerStatus, TunnelStatus } from '../ipc/host.ts';
import type { Route } from '../transport/route.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import type { Peer } from './peer-book.ts';
import type { PeerLink } from './peer-link.ts';
import { display } from './stream-errors.ts';

/** What a node shows of itself and its peers: nothing here changes anything. */

/** As people write it: without the number of our own socket, of which there is one. */
export function routeText(route: Route | undefined): string {
  return route === undefined ? '' : textOfKey(route.key);
}

function textOfKey(key: string): string {
  return key.replace(/^[0-9]+\//, '');
}

export function tunnelStatus(tunnel: Tunnel, name: PeerName, streams: number): TunnelStatus {
  const { path } = tunnel;
  return {
    ...name,
    state: tunnel.state,
    route: routeText(path?.route),
    roundTrip: path?.rtt.isSampled ? path.rtt.smoothed : 0,
    congestion: tunnel.congestion?.name ?? '',
    window: tunnel.congestion?.window ?? 0,
    mtu: path?.mtu ?? 0,
    packetsSent: path?.lane?.recovery.sequence ?? 0,
    packetsLost: path?.lane?.recovery.everLost ?? 0,
    packetsLate: path?.lane?.recovery.everLate ?? 0,
    streams,
  };
}

export function peerStatus(peer: Peer, isConnected: boolean): PeerStatus {
  const { name, record, endpoints } = peer;
  return { ...name, callsItself: record.name, endpoints, connected: isConnected };
}

export function peerReport(peer: Peer, link: PeerLink | undefined, tunnel: Tunnel | undefined): PeerReport {
  return {
    ...peer.name,
    callsItself: peer.record.name,
    endpoints: peer.endpoints,
    tunnel: tunnel && tunnelStatus(tunnel, peer.name, link?.streams.count ?? 0),
    routes: routesOf(link, tunnel),
    lastError: link?.lastError ?? '',
    advice: advice(peer, link, tunnel),
  };
}

/**
 * `asked`: an initiation goes or went there; `answered`: something the peer sent came from there; `validated`: what is sent there
 * reaches it; `in use`: and is where packets go. Names that led nowhere stand there with the reason.
 */
function routesOf(link: PeerLink | undefined, tunnel: Tunnel | undefined): PeerReport['routes'] {
  const states = new Map<string, string>();
  for (const route of [...(link?.asked ?? []), ...(tunnel?.allRoutes ?? [])]) states.set(route.key, 'asked');
  const { paths, active } = tunnel?.inspect() ?? { paths: [], active: undefined };
  for (const { route, isValidated } of paths) {
    states.set(route, route === active ? 'in use' : isValidated ? 'validated' : 'answered');
  }
  for (const failure of link?.lookupFailures ?? []) states.set(failure, 'no address');
  return [...states].map(([route, state]) => ({ route: textOfKey(route), state }));
}

function advice(peer: Peer, link: PeerLink | undefined, tunnel: Tunnel | undefined): string {
  const who = display(peer.name);
  if (tunnel?.state === 'open') return '';
  if (peer.endpoints.length === 0) {
    return `no endpoint of ${who} is known: warren peer add … --endpoint HOST:PORT, or let ${who} dial this node`;
  }
  if (link?.isLookingUp) return 'the names of its endpoints are being looked up';
  if ((link?.asked.length ?? 0) === 0 && (link?.lookupFailures.length ?? 0) > 0) {
    return 'no name of its endpoints has an address: check them, or add an IP address as an endpoint';
  }
  if (tunnel?.state === 'connecting') return `${who} has not answered yet. ${SILENCE}`;
  if (link === undefined || link.lastError === '') return `nobody has asked for ${who} yet: warren ping ${who}`;
  return `${who} was asked for and is not connected. ${SILENCE}`;
}

/** A node says nothing at all to strangers, so these look alike from here. */
const SILENCE =
  'Check that it runs, that its UDP port can be reached at one of these endpoints, and that it has this node in its peer book: it does not answer strangers';
