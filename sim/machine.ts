import type { Instant } from '../base/time.ts';
import type { SimAddress } from './address.ts';

/** What the network drives: anything that takes datagrams and time, and gives datagrams and the time it wants next. */
export interface SimMachine {
  /** `bytes` belong to the machine. `local` is which of its host's addresses they were sent to. */
  handleDatagram(from: SimAddress, bytes: Uint8Array, now: Instant, local: SimAddress): void;
  handleTimeout(now: Instant): void;
  /** `NEVER` when none. */
  nextTimeout(): Instant;
  /** Called after every input until it gives nothing: the next datagram to put on the wire. */
  pollDatagram(now: Instant): OutgoingDatagram | undefined;
}

export interface OutgoingDatagram {
  readonly to: SimAddress;
  /** Copied before the next call. */
  readonly bytes: Uint8Array;
  /** One of the host's addresses; its first where none is named or the named one is gone. */
  readonly from?: SimAddress | undefined;
}
