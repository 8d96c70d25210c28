import { lookup as systemLookup } from 'node:dns/promises';
import { codeOf } from '../ipc/file-trouble.ts';
import { PATHS_MAX } from '../transport/constants.ts';
import { type IpEndpoint, ipEndpoint } from '../wire/ip-endpoint.ts';
import { parseIpAddress } from './ip-text.ts';
import { type PeerEndpoint, whyNotOneNode } from './peer-endpoint.ts';

/** The addresses of a host name, as text. Rejects with an error that has a `code` where there are none. */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** As the system does it: its own files and order of families. */
export const lookupBySystem: Lookup = async (host) => {
  const found = await systemLookup(host, { all: true, verbatim: true });
  return found.map(({ address }) => address);
};

export interface LookupResult {
  /** As many as a tunnel asks at once. */
  readonly remotes: readonly IpEndpoint[];
  /** One for each name that led nowhere: `alice.example (ENOTFOUND)`. */
  readonly failures: readonly string[];
}

/**
 * Where a peer's endpoints lead, all names looked up at once. Every endpoint has its first address in the list before any has its
 * second: a name with many addresses does not push the others out.
 */
export async function lookUp(lookup: Lookup, endpoints: readonly PeerEndpoint[]): Promise<LookupResult> {
  const failures: string[] = [];
  const found = await Promise.all(
    endpoints.map(async ({ host, port, address }): Promise<readonly IpEndpoint[]> => {
      if (address !== undefined) return [address];
      try {
        const texts = await lookup(host);
        const all = texts.flatMap((text) => toEndpoint(text, port) ?? []);
        // A resolver that blocks a name answers with 0.0.0.0, which the system would take for this machine.
        const usable = all.filter((endpoint) => whyNotOneNode(endpoint) === undefined);
        if (usable.length === 0) failures.push(`${host} (${texts.length === 0 ? 'ENODATA' : `is ${texts[0]}`})`);
        return usable;
      } catch (error) {
        failures.push(`${host} (${codeOf(error)})`);
        return [];
      }
    }),
  );
  const remotes: IpEndpoint[] = [];
  const longest = Math.max(0, ...found.map(({ length }) => length));
  for (let rank = 0; rank < longest; rank++) {
    for (const addresses of found) if (rank < addresses.length) remotes.push(addresses[rank]!);
  }
  return { remotes: remotes.slice(0, PATHS_MAX), failures };
}

function toEndpoint(text: string, port: number): IpEndpoint | undefined {
  const bytes = parseIpAddress(text);
  return bytes && ipEndpoint(bytes, port);
}
