import type { Duplex } from 'node:stream';
import type { Contact } from '../rig/app-protocol.ts';

/** How an application gets its streams, whoever carries them. Those of `streamx` pass for Node's in all that is used here. */
export interface Carrier {
  /** What the other side has to know to reach this one. */
  readonly contact: Contact;
  meet(contact: Contact): Promise<void>;
  /** Once the far side has answered, where the carrier lets one know. */
  dial(): Promise<Duplex>;
  listen(taken: (stream: Duplex) => void): Promise<void>;
  /** The largest packet of the path in use; 0 where that cannot be known. */
  mtu(): Promise<number>;
}

/** What the sockets between processes buffer in each direction, in every layout alike. */
export const BUFFER_BYTES: number = 256 * 1_024;
