import { EMPTY } from '../base/bytes.ts';
import { AEAD_TAG_BYTES } from '../crypto/backend.ts';
import { DATA_HEADER_BYTES } from '../wire/packet.ts';
import { ByteWriter } from '../wire/writer.ts';
import type { PacketContents } from './packet-contents.ts';
import type { Session } from './session.ts';

/**
 * The packet that is being written: where it begins in the caller's buffer, how long it may become, and a cursor for its frames,
 * between the header and the tag. One serves a node for all packets, one after another.
 */
export class PacketDraft {
  readonly writer: ByteWriter = new ByteWriter(EMPTY);
  readonly #contents: PacketContents;
  #start = 0;
  #limit = 0;

  constructor(contents: PacketContents) {
    this.#contents = contents;
  }

  /** The most bytes that the packet may have, sealed. */
  get limit(): number {
    return this.#limit;
  }

  begin(buffer: Uint8Array, start: number, limit: number): ByteWriter {
    this.#start = start;
    this.#limit = limit;
    // Of one that could not be sealed nothing is left for the next, which may be another tunnel's.
    this.#contents.clear();
    this.writer.reset(buffer, start + DATA_HEADER_BYTES, start + limit - AEAD_TAG_BYTES);
    return this.writer;
  }

  /** Seals what has been written, and gives the packet's length. */
  seal(session: Session, packetNumber: number): number {
    const { buffer, offset } = this.writer;
    return session.seal(buffer, this.#start, offset - this.#start - DATA_HEADER_BYTES, packetNumber);
  }
}
