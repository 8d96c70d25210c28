import { assert } from '../base/assert.ts';
import { LruMap } from '../base/bounded.ts';
import { EMPTY, equal } from '../base/bytes.ts';
import { BASE_MTU } from '../transport/constants.ts';
import type { DirectRoute } from '../transport/route.ts';
import { directRoute } from '../transport/route.ts';
import type { IpEndpoint } from '../wire/ip-endpoint.ts';
import { formatIpEndpoint, ipEndpoint } from '../wire/ip-endpoint.ts';
import { parseIpAddress, zoneOf } from './ip-text.ts';
import {
  AF_INET,
  AF_INET6,
  decodeSocketAddress,
  encodeSocketAddress,
  SOCKET_ADDRESS_BYTES,
  zoneName,
} from './socket-address.ts';

/**
 * A direct route as the socket that it leaves through knows it. Its names are made when somebody asks: what comes from a forged
 * address is dropped before anybody does, and must cost next to nothing.
 */
export class UdpRoute implements DirectRoute {
  readonly kind = 'direct';
  readonly socket: number;
  readonly host: string;
  readonly port: number;
  /** Of what a link does not carry the system makes fragments, which would hide it; but no loopback link makes any. */
  readonly mtuMax: number;
  /** The largest pieces that the kernel is asked to cut for it; a way may come to carry less. */
  segmentMax: number = DATAGRAM_BYTES_MAX;
  readonly #family: number;
  #socketAddress: Uint8Array | undefined;
  #names: Pick<DirectRoute, 'key' | 'source' | 'remote'> | undefined;

  /** `host` as the socket writes it: an IPv4 address in its mapped form where the socket is of IPv6. */
  constructor({ socket, isDualStack, carriesLarge }: UdpRouteTableOptions, host: string, port: number) {
    this.socket = socket;
    this.#family = isDualStack ? AF_INET6 : AF_INET;
    this.host = host;
    this.port = port;
    this.mtuMax = carriesLarge || isLoopback(host) ? DATAGRAM_BYTES_MAX : BASE_MTU;
  }

  /** A `struct sockaddr`; empty where only the system knows which interface is meant. */
  get socketAddress(): Uint8Array {
    this.#socketAddress ??=
      zoneOf(this.host) === '' ? (encodeSocketAddress(this.#family, this.host, this.port) ?? EMPTY) : EMPTY;
    return this.#socketAddress;
  }

  get key(): string {
    return this.#named().key;
  }

  get source(): string {
    return this.#named().source;
  }

  get remote(): IpEndpoint {
    return this.#named().remote;
  }

  #named(): Pick<DirectRoute, 'key' | 'source' | 'remote'> {
    if (this.#names === undefined) {
      const bytes = parseIpAddress(this.host);
      assert(bytes !== undefined, 'a socket names hosts by address');
      const route = directRoute(this.socket, ipEndpoint(bytes, this.port));
      // A link-local address is another host on every interface, so the interface belongs to the route's name.
      this.#names = { ...route, key: `${route.key}${zoneOf(this.host)}` };
    }
    return this.#names;
  }
}

/** Of each generation. A live tunnel has a few paths, a node a thousand tunnels; a flood of forged sources fills it and no more. */
export const ROUTES_MAX = 8_192;
const ZONES_MAX = 64;

/**
 * The routes of one socket: the same object for the same address as long as it is remembered. At most two generations are: the
 * one that fills, which an address enters whenever it is used, and the one before. So the last `ROUTES_MAX` addresses used are
 * always known, at no cost of keeping them in order. One that comes again later gets a new object with the same key, which
 * means the same to the machines.
 */
export class UdpRouteTable {
  readonly #options: UdpRouteTableOptions;
  #young: Map<string, UdpRoute> = new Map();
  #old: Map<string, UdpRoute> = new Map();
  /** Reads come in runs from one address. */
  #last: UdpRoute | undefined;
  #lastRead: UdpRoute | undefined;
  readonly #lastAddress: Uint8Array = new Uint8Array(SOCKET_ADDRESS_BYTES);
  /** By the number of the interface: to ask for its name costs as much as many reads, and a flood may have a new sender in each. */
  readonly #zones: LruMap<number, string> = new LruMap(ZONES_MAX);

  constructor(options: UdpRouteTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The route of a host, by the text that the socket has for it. */
  from(host: string, port: number): UdpRoute {
    const last = this.#last;
    if (last !== undefined && last.port === port && last.host === host) return last;
    const key = `${port} ${host}`;
    let route = this.#young.get(key);
    if (route === undefined) {
      route = this.#old.get(key) ?? new UdpRoute(this.#options, host, port);
      if (this.#young.size >= ROUTES_MAX) {
        this.#old = this.#young;
        this.#young = new Map();
      }
      this.#young.set(key, route);
    }
    this.#last = route;
    return route;
  }

  to(remote: IpEndpoint): UdpRoute {
    return this.from(this.#hostOf(remote), remote.port);
  }

  /** The route of a `struct sockaddr`; `undefined` where it is none that there are routes to. */
  ofSocketAddress(bytes: Uint8Array): UdpRoute | undefined {
    if (this.#lastRead !== undefined && equal(bytes, this.#lastAddress)) return this.#lastRead;
    const read = decodeSocketAddress(bytes);
    if (read === undefined) return undefined;
    const route = this.from(`${this.#hostOf(read.endpoint)}${this.#zoneOf(read.scope)}`, read.endpoint.port);
    this.#lastAddress.set(bytes);
    this.#lastRead = route;
    return route;
  }

  #zoneOf(scope: number): string {
    if (scope === 0) return '';
    const known = this.#zones.get(scope);
    if (known !== undefined) return known;
    const zone = (this.#options.zoneName ?? zoneName)(scope);
    // A number is what an interface is called that has no name yet.
    if (zone !== `%${scope}`) this.#zones.set(scope, zone);
    return zone;
  }

  #hostOf(remote: IpEndpoint): string {
    if (remote.family === 4) return `${this.#options.isDualStack ? '::ffff:' : ''}${remote.address.join('.')}`;
    const text = formatIpEndpoint(remote);
    return text.slice(1, text.lastIndexOf(']'));
  }
}

export interface UdpRouteTableOptions {
  readonly socket: number;
  /** Whether it is a socket of IPv6, where IPv4 addresses are written in their mapped form. */
  readonly isDualStack: boolean;
  /** Whether a packet that a link does not carry is lost, as it must be for a path MTU search, and not cut into fragments. */
  readonly carriesLarge: boolean;
  /** The system's where it is left out. */
  readonly zoneName?: (scope: number) => string;
}

/** The largest payload of UDP over IPv4. */
export const DATAGRAM_BYTES_MAX = 65_507;

function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.') || host.startsWith('::ffff:127.');
}
