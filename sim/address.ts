import { assert } from '../base/assert.ts';

/** Where a simulated datagram comes from or goes to. Two addresses are the same where their keys are. */
export interface SimAddress {
  readonly ip: string;
  readonly port: number;
  /** `ip:port`, the one spelling of this address: for maps, traces and digests. */
  readonly key: string;
}

/** The simulator does not look into `ip`: any text stands for a machine's interface. */
export function simAddress(ip: string, port: number): SimAddress {
  assert(Number.isInteger(port) && port >= 0 && port <= 0xffff, 'a port is 0 to 65535');
  return Object.freeze({ ip, port, key: ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}` });
}
