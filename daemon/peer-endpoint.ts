import { isIP } from 'node:net';
import { WarrenError } from '../base/errors.ts';
import { PORT_MAX } from '../wire/address.ts';
import { type IpEndpoint, ipEndpoint } from '../wire/ip-endpoint.ts';
import { quoteText } from './escape.ts';
import { parseIpAddress } from './ip-text.ts';

/** Where a peer may be asked for, as somebody wrote it: `192.0.2.1:4440`, `[2001:db8::1]:4440`, `alice.example:4440`. */
export interface PeerEndpoint {
  readonly host: string;
  readonly port: number;
  /** `undefined` where `host` is a name, which has to be looked up. */
  readonly address: IpEndpoint | undefined;
}

/** RFC 1035 §2.3.4. */
const HOST_LENGTH_MAX = 253;
const SHAPE = /^(?:\[([0-9A-Fa-f:.]+)(%[^\]]*)?\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/;

/** Thrown: what is no such place, or one where no single node can be. */
export function parsePeerEndpoint(text: string): PeerEndpoint {
  const match = SHAPE.exec(text);
  const [, literal, zone, name = ''] = match ?? [];
  const port = Number(match?.[4]);
  const host = literal ?? name;
  const isHost = literal === undefined ? isIP(host) === 4 || isHostName(host) : isIP(literal) === 6;
  if (match === null || !isHost || port > PORT_MAX) {
    throw refused(
      `${quoteText(text)} is not an endpoint`,
      'an endpoint is HOST:PORT, as in 192.0.2.1:4440, [2001:db8::1]:4440 or alice.example:4440',
    );
  }
  if (port === 0) {
    throw refused(
      `${quoteText(text)} cannot be an endpoint: nothing is received on port 0`,
      'name the UDP port of that node, which its own status shows',
    );
  }
  const bytes = parseIpAddress(host);
  const address = bytes && ipEndpoint(bytes, port);
  const why = zone === undefined ? address && whyNotOneNode(address) : LINK_LOCAL;
  if (why !== undefined) throw refused(`${quoteText(text)} cannot be an endpoint: ${why.what}`, why.hint);
  return { host, port, address };
}

interface Reason {
  readonly what: string;
  readonly hint: string;
}

const UNSPECIFIED: Reason = {
  what: 'this address stands for every address of whoever uses it',
  hint: 'a node may listen there, but it is asked for at an address of its own, as 192.0.2.1:4440',
};
const MULTICAST: Reason = {
  what: 'a multicast address is many nodes, and a tunnel has one at its end',
  hint: 'name an address of that node alone, as 192.0.2.1:4440',
};
const BROADCAST: Reason = {
  what: 'the broadcast address is every node, and a tunnel has one at its end',
  hint: 'name an address of that node alone, as 192.0.2.1:4440',
};
const LINK_LOCAL: Reason = {
  what: 'a link-local address is another node on every interface, and a route has no interface',
  hint: 'name another address of that node, global, unique local (fc00::/7) or of IPv4, or let it dial this node',
};

/** Why no single node can be reached there; `undefined` where one can. The mapped form of an IPv4 address has become one by now. */
export function whyNotOneNode({ family, address }: IpEndpoint): Reason | undefined {
  const [first, second] = address as unknown as readonly [number, number];
  if (family === 4) {
    // RFC 1122 §3.2.1.3: 0.0.0.0/8 is "this host on this network", 255.255.255.255 limited broadcast; RFC 5771: 224.0.0.0/4.
    if (first === 0) return UNSPECIFIED;
    if (address.every((byte) => byte === 255)) return BROADCAST;
    return first >= 224 && first <= 239 ? MULTICAST : undefined;
  }
  // RFC 4291 §2.4: ::, ff00::/8 and fe80::/10.
  if (address.every((byte) => byte === 0)) return UNSPECIFIED;
  if (first === 0xff) return MULTICAST;
  return first === 0xfe && second >> 6 === 0b10 ? LINK_LOCAL : undefined;
}

function refused(message: string, hint: string): WarrenError {
  return new WarrenError('ERR_WARREN_ENDPOINT', message, hint);
}

/** A name whose last label is a number is an address that was mistyped (RFC 3696 §2). */
function isHostName(host: string): boolean {
  if (host.length > HOST_LENGTH_MAX) return false;
  const labels = host.replace(/\.$/, '').split('.');
  return (
    labels.every((label) => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label)) &&
    !/^[0-9]+$/.test(labels.at(-1)!)
  );
}
