import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES, type Aead } from '../../crypto/backend.ts';

/** The roofline's packets: a header in the clear, as additional data, and everything else sealed where it stands. */

export const HEADER_BYTES = 16;
export const OVERHEAD_BYTES: number = HEADER_BYTES + AEAD_TAG_BYTES;

/** A packet's first byte. */
export const DATA = 1;
export const CREDIT = 2;
export const END = 3;

export interface OpenedPacket {
  type: number;
  stream: number;
  /** Where what was sealed stands, in the datagram. */
  start: number;
  length: number;
}

export class PacketSealer {
  readonly #aead: Aead;
  readonly #nonce: Uint8Array = new Uint8Array(AEAD_NONCE_BYTES);
  readonly #counter: DataView = new DataView(this.#nonce.buffer);
  #number = 0;

  constructor(aead: Aead, side: number) {
    this.#aead = aead;
    this.#nonce[0] = side;
  }

  /** Of a packet whose payload stands behind the room for its header; gives its length. */
  seal(buffer: Buffer, at: number, type: number, stream: number, payloadBytes: number): number {
    const length = payloadBytes + OVERHEAD_BYTES;
    this.#number += 1;
    buffer[at] = type;
    buffer[at + 1] = 0;
    buffer.writeUInt16BE(length, at + 2);
    buffer.writeUInt32BE(stream, at + 4);
    buffer.writeDoubleBE(this.#number, at + 8);
    this.#counter.setFloat64(4, this.#number);
    const aad = buffer.subarray(at, at + HEADER_BYTES);
    this.#aead.seal(this.#nonce, aad, buffer, buffer, at + HEADER_BYTES, payloadBytes);
    return length;
  }
}

export class PacketOpener {
  readonly #aead: Aead;
  readonly #nonce: Uint8Array = new Uint8Array(AEAD_NONCE_BYTES);

  constructor(aead: Aead, peerSide: number) {
    this.#aead = aead;
    this.#nonce[0] = peerSide;
  }

  /** Gives where the next packet of the datagram stands. */
  open(bytes: Buffer, at: number, opened: OpenedPacket): number {
    const length = bytes.readUInt16BE(at + 2);
    for (let i = 0; i < 8; i++) this.#nonce[4 + i] = bytes[at + 8 + i]!;
    const aad = bytes.subarray(at, at + HEADER_BYTES);
    const start = at + HEADER_BYTES;
    const plain = this.#aead.open(this.#nonce, aad, bytes, bytes, start, length - HEADER_BYTES);
    if (plain < 0) throw new Error('a packet of the roofline does not open');
    opened.type = bytes[at]!;
    opened.stream = bytes.readUInt32BE(at + 4);
    opened.start = start;
    opened.length = plain;
    return at + length;
  }
}
