import { assert } from '../base/assert.ts';
import type { Instant } from '../base/time.ts';
import type { Aead } from '../crypto/backend.ts';
import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES } from '../crypto/backend.ts';
import { writeNonce } from '../crypto/noise.ts';
import { DATA_HEADER_BYTES, type DataPacket, writeDataHeader } from '../wire/packet.ts';

/** Of the packet being sealed or opened: there is one at a time. */
const nonce = new Uint8Array(AEAD_NONCE_BYTES);
const header = new Uint8Array(DATA_HEADER_BYTES);

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
    writeDataHeader(header, 0, packetLength, this.remoteId, packetNumber);
    buffer.set(header, start);
    writeNonce(nonce, packetNumber);
    const body = start + DATA_HEADER_BYTES;
    const written = this.#sealing.seal(nonce, header, buffer, buffer, body, length);
    assert(written === length + AEAD_TAG_BYTES, 'a sealed packet is its plaintext and a tag');
    this.sealedPackets += 1;
    this.sealedBytes += packetLength;
    return packetLength;
  }

  /** Opens in place: the plaintext then stands between header and tag. False where the tag is wrong. */
  open(packet: DataPacket, now: Instant): boolean {
    const { bytes, start, end } = packet;
    for (let i = 0; i < DATA_HEADER_BYTES; i++) header[i] = bytes[start + i]!;
    writeNonce(nonce, packet.packetNumber);
    const body = start + DATA_HEADER_BYTES;
    if (this.#opening.open(nonce, header, bytes, bytes, body, end - body) < 0) return false;
    this.openedPackets += 1;
    this.openedBytes += end - start;
    this.lastOpenedAt = now;
    return true;
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
