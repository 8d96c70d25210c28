import type { Instant } from '../base/time.ts';
import type { Path } from './path.ts';

const REMEMBERED_MAX = 64;

export interface SentPacket {
  readonly packetNumber: number;
  readonly at: Instant;
  readonly path: Path;
}

/** When and where the latest packets that ask for an ACK went out: what a round-trip sample needs. Older ones are forgotten. */
export class SentPackets {
  readonly #ring: SentPacket[] = [];
  #next = 0;

  record(packet: SentPacket): void {
    this.#ring[this.#next] = packet;
    this.#next = (this.#next + 1) % REMEMBERED_MAX;
  }

  find(packetNumber: number): SentPacket | undefined {
    return this.#ring.find((packet) => packet.packetNumber === packetNumber);
  }
}
