import type { Instant } from '../../base/time.ts';
import { FRAME_STREAM_OPEN, type Priority, type StreamOpenFrame } from '../../wire/frames.ts';
import { type ByteWriter, varintLength } from '../../wire/writer.ts';
import { CONTENT_STREAM_OPEN, type PacketContents } from '../packet-contents.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { ReceivingHalf } from './receiving-half.ts';
import type { Queued } from './scheduler.ts';
import { SendingHalf } from './sending-half.ts';

/** One stream: its two halves, and what they have in common. */
export class Stream implements Queued {
  readonly id: number;
  readonly isLocal: boolean;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** As the OPEN says, in every copy of it. */
  readonly openPriority: Priority;
  priority: Priority;
  readonly sending: SendingHalf;
  readonly receiving: ReceivingHalf;
  /** `waiting` for the application's word, then `accepted`; or `refused`, of which the application hears no more. */
  admission: 'waiting' | 'accepted' | 'refused';
  opening: Opening;
  /** Of a stream of the peer: the word that it is taken. Of ours: `known` once the peer has said so. */
  acceptance: Acceptance = 'none';
  /** Of the packet that is being filled, or was last, in which an OPEN of this stream stands. */
  openedIn = -1;
  /** Bits of events.ts: what is to be told. */
  events = 0;
  stoppedCode = 0;
  counted = 0;
  placed = 0;

  constructor(options: StreamOptions, now: Instant) {
    this.id = options.id;
    this.isLocal = options.isLocal;
    this.sourcePort = options.sourcePort;
    this.destinationPort = options.destinationPort;
    this.openPriority = options.priority;
    this.priority = options.priority;
    this.sending = new SendingHalf(options.chunks);
    this.receiving = new ReceivingHalf(options.chunks, now);
    this.admission = options.isLocal ? 'accepted' : 'waiting';
    this.opening = options.isLocal ? 'due' : 'known';
  }

  get isThrough(): boolean {
    return this.sending.isTerminal && this.receiving.isTerminal;
  }

  get hasControlDue(): boolean {
    return (
      this.opening === 'due' ||
      this.acceptance === 'due' ||
      this.sending.hasResetDue ||
      this.receiving.hasStopDue ||
      this.receiving.hasCreditDue
    );
  }

  /** Whether this is one more copy of the OPEN that made the stream. */
  wasOpenedBy(frame: StreamOpenFrame): boolean {
    return (
      frame.sourcePort === this.sourcePort &&
      frame.destinationPort === this.destinationPort &&
      frame.priority === this.openPriority
    );
  }

  /**
   * Puts the OPEN into a packet that is to carry something else about the stream, where the peer may not know the stream yet and
   * the packet does not have it. `false` where it did not fit with `more` bytes behind it.
   */
  writeOpen(writer: ByteWriter, contents: PacketContents, packet: number, more: number): boolean {
    if (this.opening === 'known' || this.openedIn === packet) return writer.remaining >= more;
    if (writer.remaining < 6 + varintLength(this.id) + more) return false;
    writer.u8(FRAME_STREAM_OPEN);
    writer.varint(this.id);
    writer.u16(this.sourcePort);
    writer.u16(this.destinationPort);
    writer.u8(this.openPriority);
    contents.add(CONTENT_STREAM_OPEN, this.id, 0, 0);
    this.openedIn = packet;
    this.opening = 'sent';
    return true;
  }
}

/** Of a stream opened here: the peer has to be told, has been told, or has shown that it knows. */
export type Opening = 'due' | 'sent' | 'known';

export type Acceptance = 'none' | 'due' | 'sent' | 'known';

export interface StreamOptions {
  readonly id: number;
  readonly isLocal: boolean;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly priority: Priority;
  /** Memory for what comes. */
  readonly chunks: ChunkPool;
}
