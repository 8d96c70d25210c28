import { networkInterfaces } from 'node:os';
import type { IpEndpoint } from '../wire/ip-endpoint.ts';
import { ipEndpoint } from '../wire/ip-endpoint.ts';
import { parseIpAddress } from './ip-text.ts';

/** What C writes and reads as `struct sockaddr_in` and `sockaddr_in6` on Linux. */

export const AF_INET = 2;
export const AF_INET6 = 10;
/** The longer of the two. */
export const SOCKET_ADDRESS_BYTES = 28;

/** The family in the machine's order, all else in the network's. `undefined` where it is no address of that family. */
export function encodeSocketAddress(family: number, host: string, port: number): Uint8Array | undefined {
  const address = parseIpAddress(host);
  const isIpv6 = family === AF_INET6;
  if (address?.length !== (isIpv6 ? 16 : 4)) return undefined;
  const bytes = new Uint8Array(isIpv6 ? SOCKET_ADDRESS_BYTES : 16);
  new Uint16Array(bytes.buffer)[0] = family;
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set(address, isIpv6 ? 8 : 4);
  return bytes;
}

/** An address as the kernel gave it; IPv4 in its mapped form is IPv4. */
export interface ReadAddress {
  readonly endpoint: IpEndpoint;
  /** Of a link-local address: the number of the interface; else 0. */
  readonly scope: number;
}

export function decodeSocketAddress(bytes: Uint8Array): ReadAddress | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const family = new Uint16Array(bytes.slice(0, 2).buffer)[0];
  const port = view.getUint16(2);
  if (family === AF_INET) return { endpoint: ipEndpoint(bytes.slice(4, 8), port), scope: 0 };
  if (family !== AF_INET6) return undefined;
  const scope = new Uint32Array(bytes.slice(24, 28).buffer)[0]!;
  return { endpoint: ipEndpoint(bytes.slice(8, 24), port), scope };
}

/** An interface as `dgram` writes it behind an address. The system looks at all that there are. */
export function zoneName(scope: number): string {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const address of addresses ?? []) {
      if (address.family === 'IPv6' && address.scopeid === scope) return `%${name}`;
    }
  }
  return `%${scope}`;
}
