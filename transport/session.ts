import { assert } from '../base/assert.ts';
import type { Instant } from '../base/time.ts';
import type { Aead } from '../crypto/backend.ts';
import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES } from '../crypto/backend.ts';
import { DATA_HEADER_BYTES, type DataPacket, writeDataHeader } from '../wire/packet.ts';

/**
 * One handshake's keys. It knows nothing of what the packets carry; which session a tunnel sends in, and when one is replaced
 * or dropped, is the tunnel's. The packet number is the tunnel's too: it goes on from session to session.
 */
export class Session {
  /** The id the peer writes into packets for us, and the one we write for the peer. */
  readonly localId: number;
  readonly remoteId: number;
  readonly generation: number;
  readonly initiatedLocally: boolean;
  /** Between sessions of one generation, the one that the lower identity key initiated comes first. */
  readonly initiatedByLower: boolean;
  readonly createdAt: Instant;
  /** A packet from the peer has opened in it. */
  isConfirmed = false;
  lastOpenedAt: Instant;
  /** When a better confirmed session took over. */
  replacedAt: Instant | undefined = undefined;
  sealedPackets = 0;
  sealedBytes = 0;
  openedPackets = 0;
  openedBytes = 0;
  /** Something other than keepalives went through. */
  carriedTraffic = false;
  readonly #sealing: Aead;
  readonly #opening: Aead;
  readonly #nonce: Uint8Array = new Uint8Array(AEAD_NONCE_BYTES);

  constructor(options: SessionOptions, now: Instant) {
    this.localId = options.localId;
    this.remoteId = options.remoteId;
    this.generation = options.generation;
    this.initiatedLocally = options.initiatedLocally;
    this.initiatedByLower = options.initiatedByLower;
    this.#sealing = options.sealing;
    this.#opening = options.opening;
    this.createdAt = now;
    this.lastOpenedAt = now;
  }

  /** PROTOCOL.md §6: whether this session comes before another; both sides find the same. */
  isBefore(other: Session): boolean {
    if (this.generation !== other.generation) return this.generation > other.generation;
    return this.initiatedByLower && !other.initiatedByLower;
  }

  /**
   * Seals in place: the plaintext stands at `start + 16`, `length` bytes; header and tag are written around it. Gives the
   * whole packet's length.
   */
  seal(buffer: Uint8Array, start: number, length: number, packetNumber: number): number {
    const packetLength = DATA_HEADER_BYTES + length + AEAD_TAG_BYTES;
    writeDataHeader(buffer, start, packetLength, this.remoteId, packetNumber);
    const header = buffer.subarray(start, start + DATA_HEADER_BYTES);
    const body = buffer.subarray(start + DATA_HEADER_BYTES, start + packetLength);
    this.#nonce.set(header.subarray(8, 16), 4);
    const written = this.#sealing.seal(this.#nonce, header, body.subarray(0, length), body);
    assert(written === length + AEAD_TAG_BYTES, 'a sealed packet is its plaintext and a tag');
    this.sealedPackets += 1;
    this.sealedBytes += packetLength;
    return packetLength;
  }

  /** Opens in place and gives the plaintext, or `undefined` where the tag is wrong. */
  open(packet: DataPacket, now: Instant): Uint8Array | undefined {
    this.#nonce.set(packet.header.subarray(8, 16), 4);
    const length = this.#opening.open(this.#nonce, packet.header, packet.sealed, packet.sealed);
    if (length < 0) return undefined;
    this.openedPackets += 1;
    this.openedBytes += DATA_HEADER_BYTES + packet.sealed.length;
    this.lastOpenedAt = now;
    return packet.sealed.subarray(0, length);
  }

  wipe(): void {
    this.#sealing.wipe();
    this.#opening.wipe();
  }
}

export interface SessionOptions {
  readonly localId: number;
  readonly remoteId: number;
  readonly generation: number;
  readonly initiatedLocally: boolean;
  readonly initiatedByLower: boolean;
  readonly sealing: Aead;
  readonly opening: Aead;
}
