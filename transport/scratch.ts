import { FrameReader } from '../wire/frame-reader.ts';
import type { AckFrame } from '../wire/frames.ts';
import { PacketDraft } from './packet-draft.ts';
import type { WritableRange } from './recovery/received-numbers.ts';
import { RecoveryScratch } from './recovery/scratch.ts';

/**
 * What every packet needs while it is read or written, and none between two packets. One packet is in hand at a time, so all tunnels
 * of a node share one set, and the many idle ones hold nothing of the kind.
 */
export class Scratch {
  /** Of the packet being read. */
  readonly frames: FrameReader = new FrameReader();
  readonly recovery: RecoveryScratch = new RecoveryScratch();
  /** Of the packet being written. */
  readonly draft: PacketDraft = new PacketDraft(this.recovery.contents);
  readonly ack: AckDraft = new AckDraft();
}

/** An ACK frame that is written over for the next one. */
export class AckDraft implements AckFrame {
  readonly kind = 'ack';
  delayUs = 0;
  readonly ranges: WritableRange[] = [];
}
