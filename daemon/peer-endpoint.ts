import { isIP } from 'node:net';
import { WarrenError } from '../base/errors.ts';
import { PORT_MAX } from '../wire/address.ts';
import { type IpEndpoint, ipEndpoint } from '../wire/ip-endpoint.ts';
import { quoteText } from './escape.ts';
import { parseIpAddress } from './udp-route.ts';

/** Where a peer may be asked for, as somebody wrote it: `192.0.2.1:4440`, `[2001:db8::1]:4440`, `alice.example:4440`. */
export interface PeerEndpoint {
  readonly host: string;
  readonly port: number;
  /** `undefined` where `host` is a name, which has to be looked up. */
  readonly address: IpEndpoint | undefined;
}

/** RFC 1035 §2.3.4. */
const HOST_LENGTH_MAX = 253;
const SHAPE = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/;

/** Thrown: what is no such place. */
export function parsePeerEndpoint(text: string): PeerEndpoint {
  const match = SHAPE.exec(text);
  const port = Number(match?.[3]);
  const literal = match?.[1];
  const host = literal ?? match?.[2] ?? '';
  const isHost = literal === undefined ? isIP(host) === 4 || isHostName(host) : isIP(literal) === 6;
  if (match === null || !isHost || port < 1 || port > PORT_MAX) {
    throw new WarrenError(
      'ERR_WARREN_ENDPOINT',
      `${quoteText(text)} is not an endpoint`,
      'an endpoint is HOST:PORT, as in 192.0.2.1:4440, [2001:db8::1]:4440 or alice.example:4440',
    );
  }
  const bytes = parseIpAddress(host);
  return { host, port, address: bytes && ipEndpoint(bytes, port) };
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
