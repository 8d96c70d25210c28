import { NEVER } from '../../base/time.ts';
import type { AckSample, LossSample } from '../congestion/controller.ts';
import { PacketContents } from '../packet-contents.ts';

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** What recovery needs while a packet is written or an ACK frame is read, and nobody needs after it: all tunnels of a node share one. */
export class RecoveryScratch {
  /** Of the packet being written. */
  readonly contents: PacketContents = new PacketContents();
  /** Of the packet whose fate is being told. */
  readonly told: PacketContents = new PacketContents();
  /** Written over for the next one: a controller keeps numbers, never the sample. */
  readonly acked: Writable<AckSample> = {
    bytes: 0,
    packets: 0,
    largestNumber: 0,
    largestSentAt: NEVER,
    nextNumber: 0,
    bytesInFlight: 0,
    rtt: undefined,
    smoothedRtt: 0,
    minimumRtt: 0,
    rate: undefined,
    isAppLimited: false,
  };
  readonly lost: Writable<LossSample> = {
    bytes: 0,
    packets: 0,
    largestNumber: 0,
    largestSentAt: NEVER,
    nextNumber: 0,
    bytesInFlight: 0,
    sentInFlight: 0,
    lostSinceSent: 0,
    isAppLimited: false,
    isPersistent: false,
  };
}
