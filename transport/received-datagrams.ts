import { BoundedQueue } from '../base/bounded.ts';
import { DATAGRAM_BYTES_RECEIVED_MAX, DATAGRAMS_RECEIVED_MAX } from './constants.ts';
import type { ReceivedDatagram } from './events.ts';

/** Datagrams of all peers that wait for the application, bounded in number and in bytes; the oldest give way. */
export class ReceivedDatagrams {
  readonly #queue: BoundedQueue<ReceivedDatagram> = new BoundedQueue(DATAGRAMS_RECEIVED_MAX);
  #bytes = 0;
  #dropped = 0;

  get length(): number {
    return this.#queue.length;
  }

  get dropped(): number {
    return this.#dropped;
  }

  push(datagram: ReceivedDatagram): void {
    this.#bytes += datagram.data.length;
    const displaced = this.#queue.push(datagram);
    if (displaced !== undefined) this.#noteDropped(displaced);
    while (this.#bytes > DATAGRAM_BYTES_RECEIVED_MAX) this.#noteDropped(this.#queue.shift()!);
  }

  shift(): ReceivedDatagram | undefined {
    const datagram = this.#queue.shift();
    this.#bytes -= datagram?.data.length ?? 0;
    return datagram;
  }

  #noteDropped(datagram: ReceivedDatagram): void {
    this.#bytes -= datagram.data.length;
    this.#dropped += 1;
  }
}
